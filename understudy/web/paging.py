"""What a listing's query asks for."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.types import Scope

from understudy.language.errors import BadRequest

PAGE = 20
PAGE_LIMIT = 1000
LIMIT = re.compile(r"[0-9]{1,4}")


def query_of(scope: Scope) -> dict[str, str]:
    """The query's fields; empty ones are left out."""
    return dict(parse_qsl(scope["query_string"].decode("latin-1")))


def limit_of(query: Mapping[str, str]) -> int:
    """How many rows a page may have.

    Raises:
        BadRequest: a limit that is no number from 1 to 1000.
    """
    text = query.get("limit", str(PAGE))
    if not LIMIT.fullmatch(text) or not 1 <= int(text) <= PAGE_LIMIT:
        raise BadRequest(f"limit: {text[:20]!r} is not a number from 1 to {PAGE_LIMIT}")
    return int(text)
