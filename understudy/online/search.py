"""A search: one question to the provider that the settings name, and the pages it found.

Only the provider learns the words that are looked for, and nobody where none is named.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from understudy.language.web import Hit, Missed
from understudy.observe.log import logger
from understudy.online.manners import Manners
from understudy.online.providers import Provider

ANSWER_LIMIT = 8 * 1024 * 1024
"""Bytes of a provider's answer."""
TOO_MANY = 429


class _Failed(Exception):
    """The provider did not answer as it should; what it says is for the log, and holds no word of the question."""

    def __init__(self, why: str, code: str = "unavailable") -> None:
        super().__init__(why)
        self.missed = Missed(code)


async def search(provider: Provider, query: str, manners: Manners) -> tuple[Hit, ...] | Missed:
    """The pages found, in the provider's order. Why there are none is told to the log."""
    try:
        return tuple(_hits(provider, await _answer(provider, query, manners)))
    except _Failed as failure:
        logger().warning("web", job="search", why=str(failure))
        return failure.missed


async def _answer(provider: Provider, query: str, manners: Manners) -> bytes:
    url = provider.url.replace("{query}", quote(query, safe=""))
    headers = {"accept": "application/json", "user-agent": manners.agent, **provider.headers}
    try:
        async with httpx.AsyncClient(verify=manners.ssl, timeout=manners.seconds, trust_env=False) as client:
            response = await client.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _Failed(f"the provider cannot be reached ({type(error).__name__})") from error
    if response.status_code != httpx.codes.OK:
        raise _Failed(_why(response.status_code), _code(response.status_code))
    if len(response.content) > ANSWER_LIMIT:
        raise _Failed("the provider's answer is too large")
    return response.content


def _code(status: int) -> str:
    return "too_many_requests" if status == TOO_MANY else "unavailable"


def _why(status: int) -> str:
    more = "; does it allow format=json?" if status == httpx.codes.FORBIDDEN else ""
    return f"the provider answered {status}{more}"


def _hits(provider: Provider, body: bytes) -> Iterator[Hit]:
    try:
        place = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise _Failed("the provider's answer is no JSON") from error
    for name in provider.results.split(".") if provider.results else ():
        place = place.get(name) if isinstance(place, Mapping) else None
    if not isinstance(place, list):
        raise _Failed(f"the provider's answer has no list at {provider.results!r}")
    seen: set[str] = set()
    for item in place:
        url, title, text, age = _fields(provider.fields, item)
        if urlsplit(url).scheme in ("http", "https") and url not in seen:
            seen.add(url)
            yield Hit(url, title or url, text, age)


def _fields(names: tuple[str, ...], item: object) -> list[str]:
    """The four texts of an item; what is missing, or no text, is empty."""
    values = [item.get(name) if isinstance(item, Mapping) else None for name in names]
    return [value if isinstance(value, str) else "" for value in (*values, None, None, None, None)[:4]]
