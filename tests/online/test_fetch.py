"""One page of the web, read from a server that really listens."""

import asyncio
import gzip

import pytest
from online.webserver import Reply, web

from understudy.config import WebSettings
from understudy.language.web import Missed, Page
from understudy.online.addresses import resolved
from understudy.online.fetch import REDIRECTS, fetch
from understudy.online.manners import Manners

NOW = "2026-11-24T12:00:00+00:00"


async def read(
    url, *, allowed=lambda _url: True, trusted=("127.0.0.1",), limit=10_000, resolve=resolved, seconds=5.0
):
    settings = WebSettings(seconds=seconds, page_limit=str(limit), private_hosts=trusted)
    return await fetch(url, Manners(settings, pdf, resolve), allowed, NOW)


async def pdf(data):
    return f"the text of {data}"


async def code_of(url, **more):
    found = await read(url, **more)
    assert isinstance(found, Missed)
    return found.code


TYPES = [
    ("text/html; charset=utf-8", "<title>T</title><p>ä".encode(), ("T", "ä")),
    ("text/html", '<meta charset="latin-1"><p>ä'.encode("latin-1"), ("", "ä")),
    ("text/html; charset=nonsense", "<p>ä".encode(), ("", "ä")),
    ("application/xhtml+xml", b"<p>a", ("", "a")),
    ("text/plain", b"<p>a\n", ("", "<p>a\n")),
    ("", b"plain", ("", "plain")),
    ("application/json", b'{"a":1}', ("", '{"a":1}')),
    ("application/ld+json", b"{}", ("", "{}")),
    ("application/pdf", b"hi", ("", "the text of aGk=")),
    ("text/markdown", b"# A \xff", ("", "# A \ufffd")),
]


@pytest.mark.parametrize(("kind", "body", "expected"), TYPES, ids=[row[0] for row in TYPES])
async def test_what_is_read(kind, body, expected):
    async with web({"/p": Reply(body, type=kind)}) as site:
        title, text = expected
        assert await read(f"{site.url}/p?q=1") == Page(f"{site.url}/p?q=1", title, text, retrieved_at=NOW)
    (asked,) = site.asked
    assert asked.headers["user-agent"].startswith("understudy/")
    assert asked.headers["host"] == site.url.removeprefix("http://")
    assert not {"cookie", "authorization", "referer"} & set(asked.headers)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(b"", 404), "url_not_accessible"),
        (Reply(b"", 204), "url_not_accessible"),
        (Reply(b"", 429), "too_many_requests"),
        (Reply(b"\x89PNG", type="image/png"), "unsupported_content_type"),
        (Reply(b"x" * 10_001), "content_too_large"),
        (
            Reply(gzip.compress(b"x" * 1_000_000), headers={"content-encoding": "gzip"}),
            "content_too_large",
        ),
        (Reply(gzip.compress(b"x"), headers={"content-encoding": "gzip, gzip"}), "url_not_accessible"),
        (Reply(b"x", headers={"content-encoding": "br"}), "url_not_accessible"),
        (Reply(b"nonsense", headers={"content-encoding": "gzip"}), "url_not_accessible"),
        (Reply(b"", 302, headers={"location": "ftp://a.example/"}), "url_not_allowed"),
        (Reply(b"", 302, headers={"location": "http://u:p@a.example/"}), "url_not_allowed"),
        (Reply(b"", 302, headers={"location": "http://["}), "url_not_accessible"),
        (Reply(b"", 302, headers={"location": "/p"}), "url_not_accessible"),
    ],
)
async def test_what_is_not(reply, code):
    async with web({"/p": reply}) as site:
        assert await code_of(f"{site.url}/p") == code
    assert len(site.asked) <= REDIRECTS + 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[", "http://127.0.0.1:99999/"])
async def test_nobody_is_there(url):
    assert await code_of(url) == "url_not_accessible"


async def test_a_page_that_never_comes():
    async def silence(_request):
        await asyncio.Event().wait()

    async with web({"/p": silence}) as site:
        assert await code_of(f"{site.url}/p", seconds=0.05) == "url_not_accessible"


async def test_nothing_of_the_house_is_read():
    async with web({"/p": Reply(b"secret")}) as site:
        assert await code_of(f"{site.url}/p", trusted=()) == "url_not_allowed"
        assert await code_of(site.url.replace("127.0.0.1", "localhost") + "/p") == "url_not_allowed"
    assert not site.asked


async def test_every_redirect_is_judged():
    """By the sites that are allowed, and by where the new host is."""
    async with web({"/p": Reply(b"secret")}) as inner:
        moved = Reply(b"", 302, headers={"location": f"{inner.url}/p".replace("127.0.0.1", "inner.example")})

        async def resolve(host, port):
            return ["127.0.0.1"]

        async with web({"/p": moved}) as site:
            outer = f"{site.url}/p".replace("127.0.0.1", "outer.example")
            known = {"resolve": resolve, "trusted": ("outer.example",)}
            assert await code_of(outer, **known) == "url_not_allowed"
            assert not inner.asked
            both = {"resolve": resolve, "trusted": ("outer.example", "inner.example")}
            assert await code_of(outer, allowed=lambda url: "outer" in url, **both) == "url_not_allowed"
            assert not inner.asked
            assert (await read(outer, **both)).text == "secret"


async def test_the_address_that_was_judged_is_the_one_that_is_asked():
    """A name that means another place a moment later is asked for once: the connection goes to what was judged."""
    lookups = []

    async def resolve(host, port):
        lookups.append(host)
        return ["127.0.0.1"]

    async with web({"/p": Reply(b"words")}) as site:
        url = f"{site.url}/p".replace("127.0.0.1", "rebound.example")
        page = await read(url, resolve=resolve, trusted=("rebound.example",))
    assert page.text == "words"
    assert page.url == url
    assert lookups == ["rebound.example"]
    assert site.asked[0].headers["host"].startswith("rebound.example:")


async def test_a_packed_page():
    async with web({"/p": Reply(gzip.compress(b"<p>words"), headers={"content-encoding": "gzip"})}) as site:
        assert (await read(f"{site.url}/p")).text == "words"
