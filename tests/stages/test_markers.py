"""Markers in cut text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.stages.markers import Markers

KNOWN = ["<think>", "<tool_call>", "[X]"]
MARKERS = Markers(KNOWN)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("", 0),
        ("plain", 0),
        ("<", 1),
        ("a <t", 2),
        ("<<t", 2),
        ("<t<", 1),
        ("<think", 6),
        ("<think>", 0),
        ("<thinks", 0),
        ("<tool_call", 10),
        ("[X", 2),
        ("[[", 1),
        ("x" * 100 + "<tool", 5),
    ],
)
def test_unfinished(text, held):
    assert MARKERS.unfinished(text) == held


@pytest.mark.parametrize(
    ("text", "whole", "beginning"),
    [
        ("<think>", True, False),
        ("<think> a", True, False),
        ("<th", False, True),
        ("", False, False),
        ("a<th", False, False),
    ],
)
def test_at_the_beginning(text, whole, beginning):
    assert (MARKERS.match(text) is not None) == whole
    assert MARKERS.begins(text) == beginning


def test_nothing_to_look_for():
    none = Markers(())
    assert none.search("a") is None
    assert none.unfinished("a") == 0
    assert re.search(none.signs, "a") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", False),
        ("a < b", False),
        ("a <", True),
        ("<th", True),
        ("<to", True),
        ("<tx", False),
        ("[X]", True),
        ("[", True),
    ],
)
def test_signs(text, found):
    assert bool(re.search(MARKERS.signs, text)) == found


@given(st.text("<thinkol_ca>[X] ", max_size=30))
def test_what_has_no_sign_has_no_marker(text):
    if not re.search(MARKERS.signs, text):
        assert MARKERS.search(text) is None
        assert MARKERS.unfinished(text) == 0


def test_search():
    text = "a [X] <think>"
    first = MARKERS.search(text)
    assert first is not None
    assert first[0] == "[X]"
    second = MARKERS.search(text, first.end())
    assert second is not None
    assert second[0] == "<think>"
    assert MARKERS.search(text, second.end()) is None


@given(st.text("<thinkol_ca>[X] ", max_size=30))
def test_unfinished_is_the_longest_beginning(text):
    beginnings = {marker[:end] for marker in KNOWN for end in range(1, len(marker))}
    longest = max(
        (size for size in range(1, 11) if text[-size:] in beginnings and size <= len(text)), default=0
    )
    assert MARKERS.unfinished(text) == longest
