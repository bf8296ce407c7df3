"""An address of the web in the middle of text: where it begins, and where it is over."""

import re

_URL = re.compile(
    r"(?i:https?://)?(?P<host>(?:\[[0-9a-fA-F:.]+\]|[^/?#\s:\[\]]+)(?::\d+)?)(?P<rest>(?:[/?][^#\s]*)?)(?:#\S*)?"
)
_BEFORE = r"(?<![A-Za-z0-9.@_-])"
_AFTER = r"/?(?:#\S*)?(?=[.,;:!?]*(?:[\s\"'<>()\[\]{}|\\^`*]|[^\x00-\x7f]|$))"
"""It is over where none could go on; the signs that end a sentence do not belong to it."""


def sought(url: str) -> re.Pattern[str] | None:
    """What finds this very address in a text, with or without its scheme, a last slash, and its fragment.

    A longer one that begins like it is another one. None for what is no address.
    """
    found = _URL.fullmatch(url.strip())
    if found is None:
        return None
    host, rest = re.escape(found["host"]), re.escape(found["rest"].rstrip("/"))
    return re.compile(f"{_BEFORE}(?i:{host}){rest}{_AFTER}")
