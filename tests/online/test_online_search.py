"""A search, asked of a provider that really listens."""

import ssl

import pytest
from online.webserver import Reply, json, rows, web

from understudy.config import WebSettings
from understudy.language.web import Hit
from understudy.online.search import ANSWER_LIMIT, SearchFailed, provider, search

CONTEXT = ssl.create_default_context()


async def found(settings, query="cats & dogs", key=""):
    return await search(provider(settings, key), query, seconds=5, ssl=CONTEXT, agent="understudy/x")


def searxng(site):
    return WebSettings(search="searxng", search_url=f"{site.url}/")


def test_off_is_no_provider():
    assert provider(WebSettings(), "") is None


async def test_searxng():
    async with web({"/search": rows("a", "b")}) as site:
        hits = await found(searxng(site))
    assert hits[0] == Hit("https://docs.example/a", "All about a and more", "An excerpt on a.")
    assert len(hits) == 2
    (asked,) = site.asked
    assert dict(asked.query_params) == {"q": "cats & dogs", "format": "json"}
    assert asked.headers["user-agent"] == "understudy/x"
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
        assert await found(settings, key="k1") == [Hit("https://a.example", "A", "On a.", "today")]
        await found(WebSettings(**{**_fields(settings), "search_key_header": "X-Token"}), key="k1")
    assert dict(site.asked[0].query_params) == {"query": "cats & dogs", "lang": "en"}
    assert site.asked[0].headers["authorization"] == "Bearer k1"
    assert site.asked[1].headers["x-token"] == "k1"


def _fields(settings):
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


async def test_a_list_alone():
    async with web({"/": json([{"url": "https://a.example"}])}) as site:
        settings = WebSettings(search="json", search_url=f"{site.url}/?{{query}}", search_results="")
        assert await found(settings) == [Hit("https://a.example", "https://a.example")]


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
        assert await found(searxng(site)) == [Hit("https://a.example", "https://a.example")]


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


@pytest.mark.parametrize(("reply", "why", "code"), FAILED, ids=[row[1] for row in FAILED])
async def test_a_provider_that_does_not_work(reply, why, code):
    async with web({"/search": reply}) as site:
        with pytest.raises(SearchFailed, match=why) as failure:
            await found(searxng(site))
    assert failure.value.missed.code == code
    assert "cats" not in failure.value.why


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://["])
async def test_a_provider_that_is_not_there(url):
    with pytest.raises(SearchFailed, match="cannot be reached") as failure:
        await found(WebSettings(search="searxng", search_url=url))
    assert "cats" not in failure.value.why
