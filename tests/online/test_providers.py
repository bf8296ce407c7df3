"""Who is asked for a search."""

import pytest

from understudy.config import WebSettings
from understudy.online.providers import Provider, provider


def test_off_is_nobody():
    assert provider(WebSettings(search_url="https://s.example"), "k") is None


@pytest.mark.parametrize("url", ["https://s.example", "https://s.example/"])
def test_searxng(url):
    found = provider(WebSettings(search="searxng", search_url=url), "")
    assert found.url == "https://s.example/search?q={query}&format=json"
    assert (found.results, found.fields[:3], found.headers) == ("results", ("url", "title", "content"), {})


@pytest.mark.parametrize(
    ("header", "value"), [("Authorization", "Bearer k"), ("authorization", "Bearer k"), ("X-Token", "k")]
)
def test_any_other_one(header, value):
    settings = WebSettings(
        search="json",
        search_url="https://s.example/{query}",
        search_results="a.b",
        search_fields=("u", "t", "w"),
        search_key_header=header,
    )
    assert provider(settings, "k") == Provider(
        "https://s.example/{query}", "a.b", ("u", "t", "w"), {header: value}
    )
