import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.kept import Kept


def test_what_was_put_is_there():
    kept = Kept(100)
    assert kept.get("a") is None
    assert kept.put("a", "value", 10) == "value"
    assert kept.get("a") == "value"


def test_a_full_generation_becomes_the_old_one_and_then_goes():
    kept = Kept(100)
    for name in "abcde":
        kept.put(name, name, 20)
    assert all(kept.get(name) for name in "abcde")
    for name in "fghij":
        kept.put(name, name, 20)
    assert all(kept.get(name) for name in "abcdefghij")
    kept.put("k", "k", 20)
    assert [name for name in "abcdefghijk" if kept.get(name)] == list("fghijk")


@pytest.mark.parametrize(("size", "there"), [(25, True), (26, False), (10**9, False)])
def test_what_would_push_all_else_out_is_not_kept(size, there):
    kept = Kept(100)
    assert kept.put("a", "value", size) == "value"
    assert (kept.get("a") == "value") is there


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 40))))
def test_the_bound_holds_and_a_value_is_never_another_keys(puts):
    kept = Kept(100)
    sizes = {}
    for key, size in puts:
        kept.put(key, ("value", key), size)
        sizes[key] = max(size, sizes.get(key, 0))
    held = [key for key in sizes if kept.get(key)]
    assert all(kept.get(key) == ("value", key) for key in held)
    assert len(kept._young) + len(kept._old) >= len(held)
    assert kept._used <= 100
