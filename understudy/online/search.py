"""A search: one question to the provider that the settings name, and the pages it found.

Whatever answers a GET with JSON will do; SearXNG is one row of a table of such. Only the provider learns the words that are
looked for, and nobody where none is named.
"""

from collections.abc import Iterator, Mapping
from ssl import SSLContext
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from msgspec import Struct

from understudy.config import WebSettings
from understudy.language.web import Hit, Missed

ANSWER_LIMIT = 8 * 1024 * 1024
"""Bytes of a provider's answer."""
TOO_MANY = 429


class Provider(Struct, frozen=True):
    """How a provider is asked, and where in its answer things are.

    Attributes:
        url: with `{query}` in it.
        results: the way to the list, as names with dots between.
        fields: the names of address, title, text and age in each item; age may be missing.
        headers: sent along.
    """

    url: str
    results: str
    fields: tuple[str, ...]
    headers: dict[str, str] = {}


def provider(settings: WebSettings, key: str) -> Provider | None:
    """The one that the settings name; None where search is off."""
    value = f"Bearer {key}" if settings.search_key_header.lower() == "authorization" else key
    headers = {settings.search_key_header: value} if key else {}
    if settings.search == "searxng":
        base = settings.search_url.rstrip("/")
        fields = ("url", "title", "content", "publishedDate")
        return Provider(f"{base}/search?q={{query}}&format=json", "results", fields, headers)
    if settings.search == "json":
        return Provider(settings.search_url, settings.search_results, settings.search_fields, headers)
    return None


class SearchFailed(Exception):
    """The provider did not answer as it should; `why` is for the log, and holds no word of the question."""

    def __init__(self, why: str, code: str = "unavailable") -> None:
        super().__init__(why)
        self.why = why
        self.missed = Missed(code)


async def search(provider: Provider, query: str, *, seconds: float, ssl: SSLContext, agent: str) -> list[Hit]:
    """The pages found, in the provider's order.

    Raises:
        SearchFailed: it did not answer, or not in the way the settings say.
    """
    url = provider.url.replace("{query}", quote(query, safe=""))
    headers = {"accept": "application/json", "user-agent": agent, **provider.headers}
    try:
        async with httpx.AsyncClient(verify=ssl, timeout=seconds, trust_env=False) as client:
            response = await client.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SearchFailed(f"the provider cannot be reached ({type(error).__name__})") from error
    if response.status_code != httpx.codes.OK:
        raise SearchFailed(_why(response.status_code), _code(response.status_code))
    if len(response.content) > ANSWER_LIMIT:
        raise SearchFailed("the provider's answer is too large")
    return list(_hits(provider, response.content))


def _code(status: int) -> str:
    return "too_many_requests" if status == TOO_MANY else "unavailable"


def _why(status: int) -> str:
    more = "; does it allow format=json?" if status == httpx.codes.FORBIDDEN else ""
    return f"the provider answered {status}{more}"


def _hits(provider: Provider, body: bytes) -> Iterator[Hit]:
    try:
        place = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise SearchFailed("the provider's answer is no JSON") from error
    for name in provider.results.split(".") if provider.results else ():
        place = place.get(name) if isinstance(place, Mapping) else None
    if not isinstance(place, list):
        raise SearchFailed(f"the provider's answer has no list at {provider.results!r}")
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
