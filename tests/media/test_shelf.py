"""Texts that are made once: however many want them, whoever leaves, and however little room there is."""

import asyncio
import gc
from sys import getsizeof

import pytest

from understudy.media.shelf import ENTRY_COST, Shelf, content_key


class Maker:
    """Makes texts, when it is let."""

    def __init__(self, *texts, fails=None):
        self.texts = list(texts or ["text"])
        self.fails = fails
        self.begun = 0
        self.ended = 0
        self.gate = asyncio.Event()

    async def __call__(self):
        self.begun += 1
        try:
            await self.gate.wait()
            if self.fails is not None:
                raise self.fails
            return self.texts.pop(0)
        finally:
            self.ended += 1


async def at_once(text="text"):
    return text


async def turns(number=5):
    for _ in range(number):
        await asyncio.sleep(0)


def cost(text):
    return getsizeof(text) + ENTRY_COST


def test_equal_contents_have_one_key_and_others_another():
    assert content_key("a") == content_key("a") != content_key("b")
    assert content_key("\ud800")  # the client's text may hold half a surrogate pair


async def test_a_text_is_made_once():
    shelf, maker = Shelf(10**6), Maker("one", "two")
    maker.gate.set()
    assert shelf.get("k") is None
    assert [await shelf.obtain("k", maker) for _ in range(3)] == ["one"] * 3
    assert (maker.begun, shelf.get("k")) == (1, "one")


async def test_who_wants_it_meanwhile_waits_for_the_same():
    shelf, maker = Shelf(10**6), Maker("one", "two")
    waiting = [asyncio.ensure_future(shelf.obtain("k", maker)) for _ in range(5)]
    await turns()
    maker.gate.set()
    assert await asyncio.gather(*waiting) == ["one"] * 5
    assert maker.begun == 1


async def test_other_texts_do_not_wait():
    shelf, maker = Shelf(10**6), Maker()
    slow = asyncio.ensure_future(shelf.obtain("slow", maker))
    await turns()
    assert await shelf.obtain("quick", at_once) == "text"
    maker.gate.set()
    assert await slow == "text"


async def test_a_failure_is_everybodys_and_is_not_kept():
    shelf, maker = Shelf(10**6), Maker(fails=ValueError("no"))
    waiting = [asyncio.ensure_future(shelf.obtain("k", maker)) for _ in range(3)]
    await turns()
    maker.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in found] == ["no"] * 3
    assert await shelf.obtain("k", at_once) == "text"


async def test_who_leaves_takes_it_from_nobody():
    shelf, maker = Shelf(10**6), Maker()
    first, second = (asyncio.ensure_future(shelf.obtain("k", maker)) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    assert first.cancelled()
    maker.gate.set()
    assert await second == "text"
    assert maker.begun == 1


async def test_when_nobody_waits_any_more_it_is_given_up():
    shelf, maker = Shelf(10**6), Maker()
    waiting = [asyncio.ensure_future(shelf.obtain("k", maker)) for _ in range(2)]
    await turns()
    for wait in waiting:
        wait.cancel()
    await turns()
    assert (maker.begun, maker.ended) == (1, 1)
    assert shelf.get("k") is None


async def test_who_comes_while_it_is_given_up_begins_anew():
    shelf, maker = Shelf(10**6), Maker("late")
    first = asyncio.ensure_future(shelf.obtain("k", maker))
    await turns()
    first.cancel()
    await asyncio.sleep(0)  # it has left; what it waited for has been told to end, and has not yet
    second = asyncio.ensure_future(shelf.obtain("k", maker))
    await turns()
    maker.gate.set()
    assert await second == "late"
    assert maker.begun == 2


@pytest.mark.parametrize("later", range(4))
async def test_an_error_that_comes_when_everybody_has_just_left_is_quiet(later):
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context))
    shelf, maker = Shelf(10**6), Maker(fails=ValueError("no"))
    only = asyncio.ensure_future(shelf.obtain("k", maker))
    await turns()
    maker.gate.set()
    await turns(later)
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    del only
    await turns()
    gc.collect()
    assert heard == []
    assert shelf._making == {}


@pytest.mark.parametrize("room", [1, 2, 3])
async def test_the_longest_unused_is_forgotten_first(room):
    shelf = Shelf(room * cost("text"))
    for key in "abc":
        await shelf.obtain(key, at_once)
    assert [key for key in "abc" if shelf.get(key)] == list("abc"[-room:])


async def test_looking_at_a_text_is_using_it():
    shelf = Shelf(2 * cost("text"))
    await shelf.obtain("a", at_once)
    await shelf.obtain("b", at_once)
    assert shelf.get("a")
    await shelf.obtain("c", at_once)
    assert [key for key in "abc" if shelf.get(key)] == ["a", "c"]


async def test_a_text_that_fills_the_shelf_drives_nothing_out():
    shelf, long = Shelf(2 * cost("text")), "x" * 10_000
    await shelf.obtain("a", at_once)
    assert await shelf.obtain("b", lambda: at_once(long)) == long
    assert (shelf.get("a"), shelf.get("b")) == ("text", None)
    assert shelf._used == cost("text")


async def test_what_is_used_is_what_is_kept():
    shelf = Shelf(20 * cost("x" * 50))
    for number in range(200):
        await shelf.obtain(str(number), lambda number=number: at_once("x" * (number % 97)))
    assert shelf._used == sum(map(cost, shelf._kept.values())) <= shelf._limit
