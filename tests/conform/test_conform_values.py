"""Reading JSON of which nothing is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.conform.values import at, number, obj, rows, text

FOUND = {"a": [{"b": "x"}, 7, True, None], "c": {}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), FOUND),
        (("a", 0, "b"), "x"),
        (("a", 1), 7),
        (("a", 4), None),
        (("a", "b"), None),
        (("c", 0), None),
        (("a", 0, "b", "c"), None),
        (("d",), None),
    ],
)
def test_what_stands_at_a_path(path, value):
    assert at(FOUND, *path) == value


def test_kinds():
    assert obj({"a": 1}) == {"a": 1}
    assert rows([1]) == [1]
    assert (obj([1]), rows({"a": 1}), obj(None), rows("ab")) == ({}, [], {}, [])
    assert (text(FOUND, "a", 0, "b"), text(FOUND, "a", 1)) == ("x", None)
    assert (number(FOUND, "a", 1), number(FOUND, "a", 2), number(FOUND, "a", 0)) == (7, None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.lists(st.text(max_size=2) | st.integers(0, 3), max_size=4))
def test_nothing_raises(value, path):
    for read in (at, text, number):
        read(value, *path)
