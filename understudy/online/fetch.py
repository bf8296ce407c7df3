"""One page of the web, read: every redirect judged like the first address, and nothing larger or slower than was allowed.

A connection goes to the address that was judged (`addresses`), under the name that was asked for. No cookies, no keys, no
proxy of the environment: a page learns that somebody read it, and what this program is called.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Callable

import httpx

from understudy.language.web import Missed, Page
from understudy.online.addresses import Private, outside
from understudy.online.manners import Manners
from understudy.online.pagetext import page_text

REDIRECTS = 5
PDF = "application/pdf"
HTML = ("text/html", "application/xhtml+xml")
TEXTS = re.compile(r"text/.+|application/(.+\+)?(json|xml|yaml|toml|javascript|x-ndjson)")
"""Types that are read as they are."""
_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)
TOO_MANY = 429
LAST_PORT = 65535
PACKED = ("identity", "gzip", "deflate")
"""How a page may be packed: others, or one in another, grow too much in one piece."""


class _Failed(Exception):
    """The page cannot be read; `missed` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.missed = Missed(code)


async def fetch(address: str, manners: Manners, allowed: Callable[[str], bool], now: str) -> Page | Missed:
    """The page at an address, or why it cannot be read.

    Args:
        address: the whole of it.
        manners: how it is asked for.
        allowed: whether an address may be read; asked again for every redirect.
        now: the time, as the page's `retrieved_at`.
    """
    limits = httpx.Limits(max_keepalive_connections=0)  # a connection speaks for the name it was opened for
    try:
        async with httpx.AsyncClient(
            verify=manners.ssl, timeout=manners.seconds, trust_env=False, limits=limits
        ) as client:
            return await _followed(client, httpx.URL(address), manners, allowed, now)
    except _Failed as failure:
        return failure.missed
    except Private:
        return Missed("url_not_allowed")
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return Missed("url_not_accessible")


async def _followed(
    client: httpx.AsyncClient, url: httpx.URL, manners: Manners, allowed: Callable[[str], bool], now: str
) -> Page:
    for _ in range(REDIRECTS + 1):
        if url.scheme not in ("http", "https") or url.userinfo or not allowed(str(url)):
            raise _Failed("url_not_allowed")
        request = await _request(client, url, manners)
        response = await client.send(request, stream=True)
        try:
            if not response.has_redirect_location:
                return await _page(response, url, manners, now)
            url = url.join(response.headers["location"])
        finally:
            await response.aclose()
    raise _Failed("url_not_accessible")


async def _request(client: httpx.AsyncClient, url: httpx.URL, manners: Manners) -> httpx.Request:
    """To the address that was judged, under the name that was asked for."""
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    if port > LAST_PORT:
        raise OSError("no port")
    host = url.raw_host.decode()
    at = await outside(host, port, manners.resolve, manners.trusted)
    headers = {
        "host": url.netloc.decode(),
        "user-agent": manners.agent,
        "accept-encoding": "gzip, deflate",
        "accept": "text/html, text/*;q=0.9, */*;q=0.1",
    }
    return client.build_request(
        "GET", url.copy_with(host=at), headers=headers, extensions={"sni_hostname": host}
    )


async def _page(response: httpx.Response, url: httpx.URL, manners: Manners, now: str) -> Page:
    if response.status_code != httpx.codes.OK:
        raise _Failed("too_many_requests" if response.status_code == TOO_MANY else "url_not_accessible")
    kind = response.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if kind not in HTML and kind != PDF and not TEXTS.fullmatch(kind):
        raise _Failed("unsupported_content_type")
    if response.headers.get("content-encoding", "identity").lower() not in PACKED:
        raise _Failed("url_not_accessible")
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > manners.limit:
            raise _Failed("content_too_large")
    if kind == PDF:
        return Page(str(url), "", await manners.pdf(b64encode(body).decode()), retrieved_at=now)
    text = _decoded(bytes(body), response.charset_encoding)
    if kind not in HTML:
        return Page(str(url), "", text, retrieved_at=now)
    title, words = await asyncio.to_thread(page_text, text, str(url))  # a large page takes a second
    return Page(str(url), title, words, retrieved_at=now)


def _decoded(body: bytes, told: str | None) -> str:
    """The text, in the encoding that the server told, else the page itself, else UTF-8."""
    inside = _CHARSET.search(body[:2048])
    for name in (told, inside[1].decode() if inside else None):
        try:
            return body.decode(name or "", errors="replace")
        except LookupError:
            continue
    return body.decode(errors="replace")
