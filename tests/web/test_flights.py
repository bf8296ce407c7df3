"""Who asks the same again joins in; the answer goes on as long as anybody reads it."""

import asyncio

import pytest
from driver import Puppet, ask, house, in_flight, say, turns

from understudy.language import errors
from understudy.language.events import BlockStart, MessageStart, TextDelta
from understudy.web.flights import Flight

BEGUN = [MessageStart("m"), BlockStart("text"), TextDelta("par")]
REST = say("Hello")[2:]
SESSION = [(b"x-claude-code-session-id", b"s-1")]
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def asked(built, text="Hi", headers=SESSION, **more):
    return ask(built, text, headers=headers, **more)


async def begun(built, stream=True, **more):
    """A visit whose answer has begun."""
    visit = asked(built, stream=stream, **more).start()
    if stream:
        await visit.until(lambda v: b"par" in v.body)
    return visit


@BOTH
async def test_the_same_question_again_joins_the_first(stream):
    gate = asyncio.Event()
    puppet = Puppet([BEGUN, gate, REST])
    async with house(puppet) as built:
        first = await begun(built, stream)
        await puppet.asked.wait()
        second, third = (asked(built, stream=stream).start() for _ in range(2))
        await turns()
        assert len(puppet.requests) == 1
        assert in_flight() == 3
        gate.set()
        for visit in (first, second, third):
            await visit.over()
    assert len(puppet.requests) == 1
    assert second.body == third.body == first.body
    assert first.status == second.status == 200
    ids = {visit.headers["request-id"] for visit in (first, second, third)}
    assert len(ids) == 3, "each has its own"
    if stream:
        assert second.text == "parHello"
    assert in_flight() == 0


OTHERS = {
    "another question": {"text": "Ho"},
    "as long, but another": {"text": "Hj"},
    "another session": {"headers": [(b"x-claude-code-session-id", b"s-2")]},
    "another agent": {"headers": [*SESSION, (b"x-claude-code-agent-id", b"a")]},
    "no session": {"headers": []},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_whatever_is_not_the_same_is_asked_by_itself(other):
    gate = asyncio.Event()
    puppet = Puppet([BEGUN, gate, REST], [say("other")])
    async with house(puppet) as built:
        first = await begun(built)
        second = await asked(built, **{"stream": True, **other})()
        assert second.text == "other"
        gate.set()
        await first.over()
    assert first.text == "parHello"
    assert len(puppet.requests) == 2


async def test_without_a_session_equal_questions_are_two():
    gate = asyncio.Event()
    puppet = Puppet([BEGUN, gate, REST])
    async with house(puppet) as built:
        visits = [await begun(built, headers=()) for _ in range(2)]
        gate.set()
        for visit in visits:
            await visit.over()
    assert len(puppet.requests) == 2


async def test_after_the_answer_the_same_question_is_a_new_one():
    puppet = Puppet([say("one")], [say("two")])
    async with house(puppet) as built:
        texts = [(await asked(built, stream=True)()).text for _ in range(2)]
    assert texts == ["one", "two"]


@BOTH
async def test_when_the_first_leaves_the_others_read_on(stream):
    gate = asyncio.Event()
    puppet = Puppet([BEGUN, gate, REST])
    async with house(puppet) as built:
        first = await begun(built, stream)
        await puppet.asked.wait()
        second = asked(built, stream=stream).start()
        await turns()
        first.leave()
        await turns()
        assert puppet.open == 1, "somebody still reads"
        gate.set()
        await second.over()
        await first.over()
    assert second.status == 200
    assert b"Hello" in second.body
    assert not first.finished


@BOTH
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first first", "second first"])
async def test_when_all_have_left_the_engine_is_free(stream, order):
    puppet = Puppet([BEGUN, asyncio.Event()])
    async with house(puppet) as built:
        first = await begun(built, stream)
        await puppet.asked.wait()
        visits = [first, asked(built, stream=stream).start()]
        await turns()
        visits[order[0]].leave()
        await turns()
        assert puppet.open == 1
        visits[order[1]].leave()
        await asyncio.wait_for(puppet.left.wait(), 5)
        for visit in visits:
            await visit.over()
    assert in_flight() == 0


async def test_a_first_client_that_reads_nothing_holds_nobody_up():
    gate = asyncio.Event()
    puppet = Puppet([BEGUN, gate, REST])
    async with house(puppet) as built:
        first = await begun(built)
        second = asked(built, stream=True).start()
        await second.until(lambda v: b"par" in v.body)
        first.stop_reading()
        gate.set()
        await second.until(lambda v: v.finished)
        assert second.text == "parHello"
        first.go_on_reading()
        await first.over()
        await second.over()
    assert first.text == "parHello"


@BOTH
async def test_an_error_before_the_answer_is_everybodys(stream):
    gate = asyncio.Event()
    puppet = Puppet([gate, errors.EngineRefused("no")])
    async with house(puppet) as built:
        visits = [asked(built, stream=stream).start() for _ in range(2)]
        await puppet.asked.wait()
        await turns()
        gate.set()
        for visit in visits:
            await visit.over()
    assert len(puppet.requests) == 1
    assert [visit.status for visit in visits] == [400, 400]
    assert [visit.json["error"]["message"] for visit in visits] == ["no", "no"]


async def test_an_error_in_the_answer_is_everybodys():
    gate = asyncio.Event()
    puppet = Puppet([BEGUN, gate, errors.EngineLost("gone")])
    async with house(puppet) as built:
        first = await begun(built)
        second = asked(built, stream=True).start()
        await turns()
        gate.set()
        await first.over()
        await second.over()
    assert first.names[-1] == second.names[-1] == "error"


async def test_a_server_that_cuts_the_first_off_tells_the_others():
    puppet = Puppet([asyncio.Event()])
    async with house(puppet) as built:
        first = asked(built).start()
        await puppet.asked.wait()
        second = asked(built).start()
        await turns()
        first.task.cancel()
        await second.over()
        with pytest.raises(asyncio.CancelledError):
            await first.task
    assert second.status == 502
    assert "ask again" in second.json["error"]["message"]


async def test_it_counts_as_joined():
    import structlog  # noqa: PLC0415

    gate = asyncio.Event()
    puppet = Puppet([BEGUN, gate, REST])
    async with house(puppet) as built:
        first = await begun(built)
        with structlog.testing.capture_logs() as lines:
            second = asked(built, stream=True).start()
            await turns()
            gate.set()
            await second.over()
            await first.over()
    assert sorted(line["outcome"] for line in lines if line["event"] == "request") == ["end_turn", "joined"]


class Reader:
    def __init__(self):
        self.got = []

    async def __call__(self, message):
        self.got.append(message)

    plain = __call__


async def test_a_reader_that_comes_when_all_is_over_gets_all():
    first, late = Reader(), Reader()
    flight = Flight(b"", first)
    for number in range(3):
        await flight.plain({"type": "http.response.body", "number": number})
    await flight.land()
    assert await flight.join(late) == "joined"
    assert late.got == first.got
