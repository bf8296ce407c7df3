"""Kept answers: by whom they can be read, how long they last, and what goes on from them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.errors import BadField
from understudy.store.responses import ITEM_COST, RECORD_COST, MemoryResponses, Record, cost, history

ROOM = 10**6


def record(name, previous="", *, owner="", size=100, **more):
    """An answer whose items name it."""
    asked, said = (f"{name}?".encode(),), (f"{name}!".encode(),)
    more = {"status": "completed", **more}
    return Record(owner, name, more.pop("status"), b"x" * size, asked, said, previous, **more)


async def kept(*records, limit=ROOM):
    store = MemoryResponses(limit)
    for one in records:
        await store.keep(one)
    return store


def names(records):
    return [one.id for one in records]


async def test_an_answer_is_found_by_its_id():
    store = await kept(record("a"), record("b"))
    assert await store.find("", "a") == record("a")
    assert await store.find("", "c") is None


async def test_only_the_caller_who_made_it_can_read_it():
    store = await kept(record("a", owner="alice", conversation="conv"), record("b", "a", owner="bob"))
    assert await store.find("bob", "a") is None
    assert await store.find("", "a") is None
    assert await store.newest("bob", "conv") == ""
    assert not await store.drop("bob", "a")
    assert names(await store.chain("bob", "b")) == ["b"]  # a chain does not lead into another's house
    with pytest.raises(BadField):
        await history(store, "bob", "b")
    assert await store.find("alice", "a") is not None


async def test_a_chain_is_everything_that_was_said():
    store = await kept(record("a"), record("b", "a"), record("c", "b"), record("x", "a"))
    assert await history(store, "", "c") == (b"a?", b"a!", b"b?", b"b!", b"c?", b"c!")
    assert await history(store, "", "x") == (b"a?", b"a!", b"x?", b"x!")
    assert await history(store, "", "") == ()
    assert names(await store.chain("", "c")) == ["c", "b", "a"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_nobody_goes_on_from_what_is_no_answer(status):
    store = await kept(record("a", status=status), record("b", status="incomplete"))
    with pytest.raises(BadField, match="Previous response with id 'a' not found"):
        await history(store, "", "a")
    assert await history(store, "", "b") == (b"b?", b"b!")


async def test_what_is_missing_is_named():
    store = await kept(record("a"), record("b", "a"), record("c", "b"))
    await store.drop("", "a")
    with pytest.raises(BadField) as raised:
        await history(store, "", "c")
    assert raised.value.message == "Previous response with id 'a' not found."
    assert (raised.value.field, raised.value.code) == ("previous_response_id", "previous_response_not_found")
    with pytest.raises(BadField, match="'nothing'"):
        await history(store, "", "nothing")


async def test_a_dropped_answer_is_gone():
    store = await kept(record("a", conversation="conv"), record("b"))
    assert await store.drop("", "a")
    assert not await store.drop("", "a")
    assert await store.find("", "a") is None
    assert await store.newest("", "conv") == ""
    assert (len(store), store.used) == (1, cost(record("b")))


async def test_a_conversation_has_a_newest_answer():
    store = await kept(record("a", conversation="conv"), record("b", "a", conversation="conv"))
    assert await store.newest("", "conv") == "b"
    await store.drop("", "a")
    assert await store.newest("", "conv") == "b"
    assert await store.newest("", "other") == ""


async def test_an_answer_may_be_kept_again():
    store = await kept(record("a", size=500, status="failed"), record("a", size=10))
    assert (len(store), store.used) == (1, cost(record("a", size=10)))
    assert (await store.find("", "a")).status == "completed"


async def test_what_was_used_least_recently_goes_first():
    size = cost(record("a"))
    store = await kept(record("a"), record("b"), record("c"), limit=3 * size)
    await store.chain("", "a")  # somebody goes on from it
    await store.keep(record("d"))
    assert [bool(await store.find("", name)) for name in "abcd"] == [True, False, True, True]


async def test_a_conversation_loses_its_end_before_its_beginning():
    size = cost(record("a"))
    store = await kept(record("a"), record("b", "a"), record("c", "b"), limit=3 * size)
    await store.keep(record("x"))
    assert [bool(await store.find("", name)) for name in "abcx"] == [True, True, False, True]
    assert await history(store, "", "b")


async def test_an_answer_that_is_too_large_is_not_kept_and_costs_nobody_else():
    store = await kept(record("a"), record("b", size=ROOM))
    assert [bool(await store.find("", name)) for name in "ab"] == [True, False]
    await store.keep(record("a", size=ROOM))
    assert (len(store), store.used) == (0, 0)


def test_what_an_answer_costs():
    one = Record("", "a", "completed", b"12345", (b"123", b"4"), (b"56",))
    assert cost(one) == RECORD_COST + 5 + 3 * ITEM_COST + 6


STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2000)), max_size=40)


@given(STEPS)
async def test_no_chain_is_ever_broken_by_want_of_room(steps):
    """Whatever is kept and used in whatever order: what is found can be read back to its beginning."""
    limit, fresh = 12 * RECORD_COST, itertools.count()
    store = MemoryResponses(limit)
    known = []
    for pick, dropped, size in steps:
        previous = known[pick % len(known)] if known and pick else ""
        if await store.find("", previous) is None:
            previous = ""
        name = f"r{next(fresh)}"
        await store.keep(record(name, previous, size=size))
        known.append(name)
        await store.chain("", known[dropped % len(known)])
        assert store.used <= limit
        assert store.used == sum([cost(one) for one in store._records.values()])
        for one in list(store._records.values()):
            assert await history(store, "", one.id)
