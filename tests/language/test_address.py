"""Where an address begins in a text, and where it is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.address import sought

URL = "https://a.example/x/y?q=1"
# text, whether the address stands in it
TEXTS = [
    ("https://a.example/x/y?q=1", True),
    ("See https://a.example/x/y?q=1.", True),
    ("See (https://a.example/x/y?q=1), or not", True),
    ("[y](https://a.example/x/y?q=1)", True),
    ("`a.example/x/y?q=1`", True),
    ("http://A.Example/x/y?q=1#part", True),
    ("看https://a.example/x/y?q=1。", True),
    ("https://a.example/x/y?q=1/", True),
    ("https://a.example/x/y?q=12", False),
    ("https://a.example/x/y?q=1&r=2", False),
    ("https://a.example/x/y", False),
    ("https://a.example/X/y?q=1", False),
    ("https://bada.example/x/y?q=1", False),
    ("https://b.a.example/x/y?q=1", False),
    ("me@a.example/x/y?q=1", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "found"), TEXTS)
def test_an_address_is_found_as_it_is(text, found):
    assert bool(sought(URL).search(text)) == found


@pytest.mark.parametrize("url", ["a.example", "https://a.example/", " https://a.example#top "])
def test_scheme_slash_and_fragment_do_not_matter(url):
    assert sought(url).search("go to https://a.example, please")


@pytest.mark.parametrize("text", ["", "https://", "https:", "two words", "/path", "http://u:p@a.example"])
def test_what_is_no_address(text):
    assert sought(text) is None


@pytest.mark.parametrize("url", ["http://a.example:8080/x", "http://[::1]:80/x", "http://[::1]"])
def test_ports_and_numbers(url):
    assert sought(url).search(f"at {url}, there")
    assert not sought(url).search(f"at {url}1, there")


@given(st.text("ab/?.*+([", min_size=1, max_size=12))
def test_signs_mean_themselves(path):
    url = f"https://a.example/x{path}z"
    assert sought(url).search(f"at {url} it is")
    assert not sought(url).search(f"at {url}y it is")
