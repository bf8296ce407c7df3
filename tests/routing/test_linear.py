"""RE2: what it refuses, and that it is quick whatever it is asked."""

import re
import time

import pytest

from understudy.routing import linear

REFUSED = {
    r"(a)\1": "invalid escape",
    r"(?=a)b": "invalid perl operator",
    "(a": "missing )",
    "x{2000}": "invalid repetition",
}


@pytest.mark.parametrize(("pattern", "reason"), REFUSED.items(), ids=repr)
def test_what_is_not_linear_is_refused(pattern, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        linear.compiled(pattern)


def test_a_pattern_that_makes_others_hang():
    started = time.process_time()
    assert linear.compiled("(a+)+$").search(b"a" * 100_000 + b"b") is None
    assert time.process_time() - started < 1


def test_a_pattern_is_made_once():
    assert linear.compiled("ab") is linear.compiled("ab")


def test_many_patterns_at_once():
    some = linear.Any(["foo", "[0-9]{4}", "ba[rz]{0,2}"])
    assert sorted(some(b"foo 1")) == [0, 1]  # it does not count: 1 may be four digits
    assert some(b"nothing") == []
    assert some(b"") == []
    assert some(b"ba") == [2]


@pytest.mark.parametrize("pattern", ["a{3}", "a{0,3}b", "(?:ab){2,}", "[{}]x{1,2}?"])
def test_not_counting_never_loses_a_match(pattern):
    some, one = linear.Any([pattern]), linear.compiled(pattern)
    for text in (b"aaa", b"b", b"abab", b"{x", b"}xx", b"", b"aab"):
        if one.search(text):
            assert some(text) == [0], text


VALUES = [
    ("b+", b"abba b", [b"bb", b"b"]),
    (r"(?:^| )(\w+)(?: |$)", b"a b c", [b"a", b"b", b"c"]),
    ("x*", b"axxa", [b"xx"]),
    ("a(b)?", b"a ab", [b"b"]),
    ("q", b"", []),
]


@pytest.mark.parametrize(("pattern", "data", "expected"), VALUES)
def test_values(pattern, data, expected):
    assert [data[start:end] for start, end in linear.values(linear.compiled(pattern), data)] == expected
