import asyncio
import contextlib
from contextlib import asynccontextmanager, nullcontext, suppress

import pytest
from harness import Heard, pushed

from understudy.engines import Facts, pool
from understudy.engines.pool import Pool
from understudy.language.errors import EngineBusy, EngineError, EngineLost, EngineRefused, NoTarget
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    MessageStart,
    MessageStop,
    TextDelta,
    told,
)
from understudy.language.request import Request
from understudy.language.target import Model, Target

ASK = Request("m", ())
WORDS = [[MessageStart("1")], [BlockStart("text"), TextDelta("a")], [BlockStop(), MessageStop("end_turn")]]


SERVED = (Model("m"),)


class Actor:
    """An engine that does as it is told: each batch may be events, an exception or an event to wait for."""

    def __init__(self, name="e", batches=(), models=SERVED, count=None, start=None):
        self.facts = Facts(name, "ollama", notice="played")
        self.batches, self.served, self.counted, self.failing = batches, models, count, start
        self.looks = asyncio.Queue()
        self.closed = 0

    async def start(self):
        if self.failing:
            raise self.failing

    async def models(self):
        self.looks.put_nowait(None)
        if isinstance(self.served, Exception):
            raise self.served
        return self.served

    async def answer(self, request, session, listener):
        try:
            for batch in self.batches:
                if isinstance(batch, Exception):
                    raise batch
                if isinstance(batch, asyncio.Event):
                    await batch.wait()
                else:
                    await told(listener, batch)
        finally:
            self.closed += 1

    async def count(self, request):
        if isinstance(self.counted, Exception):
            raise self.counted
        return self.counted

    async def aclose(self):
        self.closed += 100


TARGET = Target("e", Model("m"))


def standing(engines):
    (row,) = engines.snapshot()
    return row


@asynccontextmanager
async def watching(engines):
    task = asyncio.ensure_future(engines.watch())
    try:
        async with asyncio.timeout(5):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_looking_tells_who_is_up():
    up, down, bare = Actor("up"), Actor("down", models=EngineBusy("refused")), Actor("bare", models=())
    engines = Pool([up, down, bare])
    assert [row.state for row in engines.snapshot()] == ["starting"] * 3
    await engines.start()
    assert [(r.engine, r.state, r.detail, r.models) for r in engines.snapshot()] == [
        ("up", "up", "", (Model("m"),)),
        ("down", "down", "refused", ()),
        ("bare", "up", "it serves no model", ()),
    ]
    assert engines.names == ("up", "down", "bare")
    assert engines.engine("down") is down
    assert engines.snapshot()[0].notice == "played"


async def test_an_engine_that_is_down_keeps_its_last_models():
    actor = Actor()
    engines = Pool([actor])
    await engines.look()
    actor.served = EngineLost("cut")
    await engines.look()
    assert (standing(engines).state, standing(engines).models) == ("down", (Model("m"),))
    actor.served = (Model("n"),)
    await engines.look()
    assert (standing(engines).state, standing(engines).detail, standing(engines).models) == (
        "up",
        "",
        (Model("n"),),
    )


async def test_an_engine_that_cannot_start_is_told_of_and_others_start():
    told = []
    engines = Pool([Actor("a", start=EngineError("no memory"), models=EngineBusy("off")), Actor("b")])
    await engines.start(lambda name, error: told.append((name, error.message)))
    assert told == [("a", "no memory")]
    assert [row.state for row in engines.snapshot()] == ["down", "up"]
    await engines.start()


PATHS = {  # batches, what comes out at the end
    "finished": (WORDS, None),
    "failed midway": ([*WORDS[:2], [Failed(EngineLost("cut"))]], None),
    "refused": ([EngineRefused("no")], EngineRefused),
    "busy": ([EngineBusy("full")], EngineBusy),
    "lost": ([EngineLost("cut")], EngineLost),
    "a bug midway": ([WORDS[0], ZeroDivisionError()], ZeroDivisionError),
    "nothing": ([], None),
}


@pytest.mark.parametrize(("batches", "raised"), PATHS.values(), ids=PATHS)
async def test_in_flight_returns_to_nothing(batches, raised):
    actor = Actor(batches=batches)
    engines, seen = Pool([actor]), []

    class Counting(Heard):
        def tell(self, events):
            assert standing(engines).in_flight == 1
            assert standing(engines).in_use == (TARGET.model.id,)
            seen.append(events)

    with pytest.raises(raised) if raised else nullcontext():
        await engines.answer(TARGET, ASK, "s", Counting())
    assert (standing(engines).in_flight, standing(engines).in_use) == (0, ())
    assert actor.closed == 1
    assert seen == [batch for batch in batches if isinstance(batch, list)]


async def test_in_flight_returns_to_nothing_when_the_client_leaves():
    actor = Actor(batches=[WORDS[0], asyncio.Event()])
    engines = Pool([actor])
    answer = pushed(engines.answer, TARGET, ASK, "s")
    await anext(answer)
    assert standing(engines).in_flight == 1
    await answer.aclose()
    assert (standing(engines).in_flight, actor.closed) == (0, 1)


async def test_in_flight_returns_to_nothing_when_cancelled():
    actor = Actor(batches=[WORDS[0], asyncio.Event()])
    engines, began = Pool([actor]), asyncio.Event()

    async def reading():
        async for _ in pushed(engines.answer, TARGET, ASK, "s"):
            began.set()

    task = asyncio.ensure_future(reading())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (standing(engines).in_flight, actor.closed) == (0, 1)


@pytest.mark.parametrize(("batches", "raised"), PATHS.values(), ids=PATHS)
async def test_whoever_watches_is_told_when_an_answer_begins_and_ends(batches, raised):
    engines, told = Pool([Actor(batches=batches)]), []
    engines.on_move = lambda name: told.append((name, engines.in_flight(name), asyncio.current_task()))
    with pytest.raises(raised) if raised else nullcontext():
        await engines.answer(TARGET, ASK, "s", Heard())
    me = asyncio.current_task()
    assert told == [("e", 1, me), ("e", 0, me)]


async def test_answers_at_once_are_all_counted():
    gate = asyncio.Event()
    engines = Pool([Actor(batches=[WORDS[0], gate, *WORDS[1:]])])
    answers = [pushed(engines.answer, TARGET, ASK, str(i)) for i in range(3)]
    for answer in answers:
        await anext(answer)
    assert standing(engines).in_flight == 3
    gate.set()
    for answer in answers:
        assert [batch async for batch in answer] == WORDS[1:]
    assert (standing(engines).in_flight, standing(engines).in_use) == (0, ())


async def test_a_down_engine_comes_back_by_itself(monkeypatch):
    monkeypatch.setattr(pool, "RETRY_SECONDS", 0.001)
    actor = Actor(models=EngineBusy("refused"))
    engines = Pool([actor])
    await engines.start()
    async with watching(engines):
        for _ in range(3):
            await actor.looks.get()
        assert standing(engines).state == "down"
        actor.served = (Model("m"),)
        while standing(engines).state != "up":
            await actor.looks.get()
            await asyncio.sleep(0)


async def test_an_engine_that_is_up_is_left_in_peace(monkeypatch):
    waits = []

    @contextlib.asynccontextmanager
    async def timeout(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError
        raise TimeoutError
        yield

    monkeypatch.setattr(asyncio, "timeout", timeout)
    actor = Actor()
    engines = Pool([actor])
    await engines.look()
    with pytest.raises(asyncio.CancelledError):
        await engines.watch()
    assert waits == [pool.LOOK_SECONDS] * 3
    actor.served = EngineBusy("gone")
    await engines.look()
    waits.clear()
    with pytest.raises(asyncio.CancelledError):
        await engines.watch()
    assert waits == [pool.RETRY_SECONDS] * 3


async def test_while_one_is_down_the_others_are_looked_at_no_oftener(monkeypatch):
    monkeypatch.setattr(pool, "RETRY_SECONDS", 0.001)
    down, up = Actor("down", models=EngineBusy("refused")), Actor("up")
    engines = Pool([down, up])
    await engines.start()
    up.looks.get_nowait()
    async with watching(engines):
        for _ in range(5):
            await down.looks.get()
    assert up.looks.empty()


FAILURES = {
    "busy": ([EngineBusy("refused")], True),
    "lost": ([EngineLost("cut")], True),
    "refused": ([EngineRefused("no")], False),
    "finished": (WORDS, False),
}


@pytest.mark.parametrize(("batches", "looked"), FAILURES.values(), ids=FAILURES)
async def test_an_engine_that_just_failed_is_looked_at_soon(batches, looked):
    actor = Actor(batches=batches)
    engines = Pool([actor])
    await engines.start()
    actor.looks.get_nowait()
    with suppress(EngineError):
        async for _ in pushed(engines.answer, TARGET, ASK, "s"):
            pass
    assert engines._look_now.is_set() is looked
    if looked:
        async with watching(engines):
            await actor.looks.get()


async def test_a_failure_during_a_look_is_not_forgotten():
    actor = Actor(batches=[EngineBusy("refused")])
    engines = Pool([actor])
    first = asyncio.Event()
    plain = actor.models

    async def failing_meanwhile():
        found = await plain()
        if not first.is_set():
            first.set()
            engines._look_now.set()  # another request fails now, after this look's question
        return found

    actor.models = failing_meanwhile
    engines._look_now.set()
    async with watching(engines):
        await actor.looks.get()
        await actor.looks.get()


@pytest.mark.parametrize(
    ("counted", "tokens"), [(7, 7), (None, None), (EngineBusy("x"), None), (EngineLost("x"), None)]
)
async def test_a_count_that_cannot_be_had_is_none(counted, tokens):
    assert await Pool([Actor(count=counted)]).count(TARGET, ASK) == tokens


async def test_what_is_wrong_with_the_request_is_not_hidden():
    with pytest.raises(NoTarget):
        await Pool([Actor(count=NoTarget("x"))]).count(TARGET, ASK)


async def test_all_are_let_go():
    actors = [Actor("a"), Actor("b")]
    await Pool(actors).aclose()
    assert [actor.closed for actor in actors] == [100, 100]
