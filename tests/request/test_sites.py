"""Which addresses a list of sites means."""

import time

import pytest

from understudy.request.sites import allowed

# site, address, whether it is meant
MEANT = [
    ("example.com", "https://example.com/", True),
    ("example.com", "https://example.com", True),
    ("example.com", "http://docs.example.com:8080/a?b#c", True),
    ("example.com", "https://badexample.com/", False),
    ("example.com", "https://example.com.evil.org/", False),
    ("docs.example.com", "https://example.com/", False),
    ("EXAMPLE.com/", "https://Example.COM./x", True),
    ("https://example.com", "https://example.com/x", True),
    ("example.com/blog", "https://example.com/blog", True),
    ("example.com/blog", "https://example.com/blog/a", True),
    ("example.com/blog", "https://example.com/blogger", False),
    ("example.com/blog", "https://example.com/", False),
    ("example.com/*/news", "https://example.com/en/news/a", True),
    ("example.com/*/news", "https://example.com/en/views", False),
    ("example.com/*", "https://example.com/", True),
    ("example.com/a*b*c", "https://example.com/a-b-b-cc/c", True),
    ("example.com/a*b*c", "https://example.com/a-c-b/d", False),
    ("example.com/a*b", "https://example.com/x/a/b", False),
    ("example.com/b", "https://example.com/a/b", False),
    ("example.com/Docs", "https://example.com/docs/x", True),
    ("example.com/en*", "https://example.com/english", True),
    ("example.com/a.c", "https://example.com/abc", False),
    ("127.0.0.1", "http://127.0.0.1:9/x", True),
]


@pytest.mark.parametrize(("site", "url", "meant"), MEANT)
def test_a_site(site, url, meant):
    assert allowed(url, [site], []) == meant
    assert allowed(url, [], [site]) != meant


@pytest.mark.parametrize("url", ["", "nothing", "https://", "https://[", "/x"])
def test_no_address_is_allowed(url):
    assert not allowed(url, [], [])


def test_one_of_many_is_enough():
    assert allowed("https://b.org/", ["a.org", "b.org"], ["c.org"])
    assert not allowed("https://b.org/", ["a.org", "b.org"], ["c.org", "b.org"])


def test_no_pattern_takes_for_ever():
    began = time.process_time()
    assert not allowed("https://example.com/" + "a" * 2000, ["example.com/" + "*a" * 50 + "*b"], [])
    assert time.process_time() - began < 1
