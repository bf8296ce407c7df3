"""A search, asked of a provider that really listens."""

import pytest
from online.webserver import Reply, json, rows, web

from understudy.config import WebSettings
from understudy.language.web import Hit, Missed
from understudy.online import search as module
from understudy.online.manners import Manners
from understudy.online.providers import provider
from understudy.online.search import ANSWER_LIMIT, search


@pytest.fixture
def why(monkeypatch):
    told = []

    class Log:
        def warning(self, event, **more):
            told.append(more["why"])

    monkeypatch.setattr(module, "logger", Log)
    return told


async def found(settings, query="cats & dogs", key=""):
    return await search(provider(settings, key), query, Manners(settings, str))


def searxng(site):
    return WebSettings(search="searxng", search_url=f"{site.url}/")


async def test_searxng():
    async with web({"/search": rows("a", "b")}) as site:
        hits = await found(searxng(site))
    assert isinstance(hits, tuple)
    assert hits[0] == Hit("https://docs.example/a", "All about a and more", "An excerpt on a.")
    assert len(hits) == 2
    (asked,) = site.asked
    assert dict(asked.query_params) == {"q": "cats & dogs", "format": "json"}
    assert asked.headers["user-agent"].startswith("understudy/")
    assert "authorization" not in asked.headers
    assert "cookie" not in asked.headers


async def test_any_other_provider():
    body = {"web": {"hits": [{"link": "https://a.example", "name": "A", "words": "On a.", "at": "today"}]}}
    async with web({"/v1/find": json(body)}) as site:
        settings = WebSettings(
            search="json",
            search_url=f"{site.url}/v1/find?query={{query}}&lang=en",
            search_results="web.hits",
            search_fields=("link", "name", "words", "at"),
        )
        assert await found(settings, key="k1") == (Hit("https://a.example", "A", "On a.", "today"),)
        await found(WebSettings(**{**_fields(settings), "search_key_header": "X-Token"}), key="k1")
    assert dict(site.asked[0].query_params) == {"query": "cats & dogs", "lang": "en"}
    assert site.asked[0].headers["authorization"] == "Bearer k1"
    assert site.asked[1].headers["x-token"] == "k1"


def _fields(settings):
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


async def test_a_list_alone():
    async with web({"/": json([{"url": "https://a.example"}])}) as site:
        settings = WebSettings(search="json", search_url=f"{site.url}/?{{query}}", search_results="")
        assert await found(settings) == (Hit("https://a.example", "https://a.example"),)


async def test_what_is_no_page_is_left_out():
    odd = [
        {"url": "ftp://a.example", "title": "t"},
        {"url": None},
        {"title": "no address"},
        "no object",
        {"url": "https://a.example", "title": 5, "content": None},
        {"url": "https://a.example", "title": "again"},
    ]
    async with web({"/search": json({"results": odd})}) as site:
        assert await found(searxng(site)) == (Hit("https://a.example", "https://a.example"),)


FAILED = [
    (Reply(b"", 429), "429", "too_many_requests"),
    (Reply(b"", 403), "format=json", "unavailable"),
    (Reply(b"", 500), "500", "unavailable"),
    (Reply(b"", 302, headers={"location": "/x"}), "302", "unavailable"),
    (Reply(b"<html>"), "no JSON", "unavailable"),
    (json({"results": {}}), "no list at 'results'", "unavailable"),
    (json([]), "no list", "unavailable"),
    (json("x" * ANSWER_LIMIT), "too large", "unavailable"),
]


@pytest.mark.parametrize(("reply", "words", "code"), FAILED, ids=[row[1] for row in FAILED])
async def test_a_provider_that_does_not_work(reply, words, code, why):
    async with web({"/search": reply}) as site:
        assert await found(searxng(site)) == Missed(code)
    assert words in why[0]
    assert "cats" not in why[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://["])
async def test_a_provider_that_is_not_there(url, why):
    assert await found(WebSettings(search="searxng", search_url=url)) == Missed("unavailable")
    assert "cannot be reached" in why[0]
    assert "cats" not in why[0]
