"""Access to the web: calls are judged, run, counted, and cut to size."""

import asyncio

import pytest
from online.webserver import Reply, rows, web

from understudy.config import WebSettings
from understudy.language.request import Request, Text, Turn
from understudy.language.web import Missed, ServerToolUse, WebTool
from understudy.observe.metrics import REGISTRY
from understudy.online import access
from understudy.online import search as asking
from understudy.online.access import AT_ONCE, CHARACTERS, Access, Errand

NOW = "2026-11-24T12:00:00+00:00"


async def pdf(data):
    return f"the text of {data}"


def counted(job, outcome):
    return REGISTRY.get_sample_value("understudy_web_calls_total", {"job": job, "outcome": outcome}) or 0


def settings(site, **more):
    on = {"search": "searxng", "search_url": site.url, "fetch": True, "private_hosts": ("127.0.0.1",)}
    return WebSettings(**{**on, **more})


def looks(query="cats", tool=None, *, tokens=0, uses=0):
    call = ServerToolUse("srvtoolu_1", "web_search", f'{{"query":"{query}"}}')
    return Errand(call, tool or WebTool("search"), Request("m", ()), uses, tokens)


def reads(url, tool=None, *, tokens=0):
    call = ServerToolUse("srvtoolu_1", "web_fetch", f'{{"url":"{url}"}}')
    return Errand(call, tool or WebTool("fetch"), Request("m", (Turn("user", (Text(url),)),)), 0, tokens)


async def run(found, errand):
    return (await Access(found, "", lambda: NOW, pdf).run(errand)).found


async def test_a_search():
    before = counted("search", "found")
    async with web({"/search": rows("a", "b", "c")}) as site:
        result = await Access(settings(site, results=2), "", lambda: NOW, pdf).run(looks())
    assert (result.tool_use_id, result.job) == ("srvtoolu_1", "search")
    assert [hit.url for hit in result.found] == ["https://docs.example/a", "https://docs.example/b"]
    assert counted("search", "found") == before + 1


async def test_a_page():
    async with web({"/p": Reply(b"<p>words")}) as site:
        page = await run(settings(site), reads(f"{site.url}/p"))
    assert (page.text, page.retrieved_at) == ("words", NOW)


async def test_off():
    before = counted("search", "unavailable"), counted("fetch", "unavailable")
    async with web({"/p": Reply(b"<p>words"), "/search": rows("a")}) as site:
        assert await run(settings(site, search="off"), looks()) == Missed("unavailable")
        assert await run(settings(site, fetch=False), reads(f"{site.url}/p")) == Missed("unavailable")
        assert await run(WebSettings(), looks()) == Missed("unavailable")
    assert not site.asked
    assert (counted("search", "unavailable"), counted("fetch", "unavailable")) == (
        before[0] + 2,
        before[1] + 1,
    )


@pytest.mark.parametrize(
    ("errand", "code"),
    [
        (looks(tool=WebTool("search", max_uses=1), uses=1), "max_uses_exceeded"),
        (looks(""), "invalid_tool_input"),
        (reads("http://127.0.0.1:1/"), "url_not_accessible"),
    ],
)
async def test_what_comes_to_nothing(errand, code):
    async with web({}) as site:
        assert await run(settings(site), errand) == Missed(code)
    assert not site.asked


async def test_sites_that_the_settings_block():
    async with web({"/search": rows("a"), "/p": Reply(b"<p>words")}) as site:
        assert await run(settings(site, blocked=("docs.example",)), looks()) == ()
        assert await run(settings(site, blocked=("127.0.0.1/p",)), reads(f"{site.url}/p")) == Missed(
            "url_not_allowed"
        )
    assert site.paths == ["/search"]


async def test_one_site_is_named_to_the_provider():
    async with web({"/search": rows("a")}) as site:
        assert len(await run(settings(site), looks(tool=WebTool("search", allowed=("docs.example",))))) == 1
        assert await run(settings(site), looks(tool=WebTool("search", allowed=("x.org", "y.org")))) == ()
    assert [request.query_params["q"] for request in site.asked] == ["cats site:docs.example", "cats"]


@pytest.mark.parametrize(
    ("page_tokens", "max_tokens", "tokens", "size"),
    [(200, None, 0, 200), (200, 150, 0, 150), (200, 150, 120, 120)],
)
async def test_a_result_is_cut_to_size(page_tokens, max_tokens, tokens, size):
    async with web({"/p": Reply(b"x" * 5000, type="text/plain")}) as site:
        errand = reads(f"{site.url}/p", WebTool("fetch", max_tokens=max_tokens), tokens=tokens)
        page = await run(settings(site, page_tokens=page_tokens), errand)
    assert page.text.count("x") == size * CHARACTERS


async def test_a_provider_that_does_not_work_is_told_of_without_the_question(monkeypatch):
    told = []

    class Log:
        def warning(self, event, **more):
            told.append((event, more))

    monkeypatch.setattr(access, "logger", Log)
    monkeypatch.setattr(asking, "logger", Log)
    async with web({"/search": Reply(b"", 500)}) as site:
        assert await run(settings(site), looks("secret")) == Missed("unavailable")
        assert await run(WebSettings(), looks("secret")) == Missed("unavailable")
    assert [more["why"] for _, more in told] == ["the provider answered 500", "web.search is off"]
    assert "secret" not in str(told)


async def test_nobody_waits_for_ever():
    async def silence(_request):
        await asyncio.Event().wait()

    async with web({"/search": silence, "/p": silence}) as site:
        found = settings(site, seconds=0.05)
        assert await run(found, looks()) == Missed("unavailable")
        assert await run(found, reads(f"{site.url}/p")) == Missed("url_not_accessible")


async def test_a_page_that_trickles_is_given_up():
    """Each piece comes in time; the whole does not."""
    gone = asyncio.Event()

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = WebSettings(fetch=True, private_hosts=("127.0.0.1",), seconds=0.2)
    assert await run(found, reads(f"http://127.0.0.1:{port}/")) == Missed("url_not_accessible")
    await gone.wait()
    server.close()
    await server.wait_closed()


async def test_no_more_than_a_few_at_once():
    waiting, full, go = 0, asyncio.Event(), asyncio.Event()

    async def slow(_request):
        nonlocal waiting
        waiting += 1
        if waiting == AT_ONCE:
            full.set()
        await go.wait()
        return rows("a")

    async with web({"/search": slow}) as site:
        ours = Access(settings(site), "", lambda: NOW, pdf)
        asked = [asyncio.ensure_future(ours.run(looks())) for _ in range(AT_ONCE + 2)]
        await full.wait()
        assert len(site.asked) == AT_ONCE
        go.set()
        assert all(len(result.found) == 1 for result in await asyncio.gather(*asked))
    assert len(site.asked) == AT_ONCE + 2
