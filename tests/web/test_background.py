"""Answers that go on by themselves: read along, cancelled, failed, and too many of them."""

import asyncio
import json

import pytest
from dialects.respond import asking
from harness import pushed
from web.driver import in_flight, say, turns

from understudy.language.errors import EngineLost, Refused
from understudy.language.events import BlockStart, Failed, MessageStart, TextDelta, told
from understudy.observe import metrics
from understudy.relay import Receipt
from understudy.web import background
from understudy.web.background import Background, Work

BEGUN = [MessageStart("e"), BlockStart("text"), TextDelta("a")]


def counted(outcome):
    labels = {"dialect": "responses", "mode": "background", "outcome": outcome}
    return metrics.REGISTRY.get_sample_value("understudy_requests_total", labels) or 0


class Stage:
    """A work whose engine plays steps: a batch, an event to wait for, an error."""

    def __init__(self, *steps):
        self.exchange = asking(background=True)
        self.left = asyncio.Event()
        self.kept = []
        self._steps = steps

    async def engine(self, listener):
        try:
            for step in self._steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    await told(listener, step)
        finally:
            self.left.set()

    async def keep(self):
        self.kept.append(self.exchange.told)

    def work(self):
        return Work(self.exchange, self.engine, self.keep, Receipt(), "req_1")

    async def begun(self):
        return await Background().start(("", "resp_1"), self.work)


async def gathered(work):
    return [event for batch in [batch async for batch in pushed(work.follow)] for event in batch]


async def test_everybody_reads_the_whole_answer():
    more = asyncio.Event()
    stage = Stage(say("a")[:2], more, say("a")[2:])
    before = counted("end_turn"), in_flight()
    work = await stage.begun()
    early = asyncio.ensure_future(gathered(work))
    await turns()
    assert not work.over
    assert in_flight() == before[1] + 1
    assert json.loads(stage.exchange.pending())["status"] == "in_progress"
    more.set()
    assert await early == await gathered(work) == say("a")
    assert work.over
    assert [told.status for told in stage.kept] == ["completed"]
    assert (counted("end_turn"), in_flight()) == (before[0] + 1, before[1])


async def test_a_reader_writes_what_the_first_one_wrote():
    work = await Stage(say("a")).begun()
    reader = work.reader()
    written = b"".join([reader.encode(batch) async for batch in pushed(work.follow)])
    assert written.endswith(b"\n\n")
    assert json.loads(written.split(b"data: ")[-1])["response"] == json.loads(work.exchange.told.body)


async def test_cancelled_it_lets_go_of_the_engine():
    stage, before = Stage(BEGUN, asyncio.Event()), counted("cancelled")
    work = await stage.begun()
    reading = asyncio.ensure_future(gathered(work))
    await turns()
    await work.cancel()
    assert stage.left.is_set()
    assert work.over
    assert [told.status for told in stage.kept] == ["cancelled"]
    last = (await reading)[-1]
    assert isinstance(last, Failed)
    assert "cancelled" in last.error.message
    assert counted("cancelled") == before + 1
    await work.cancel()
    assert len(stage.kept) == 1


async def test_cancelled_at_once_it_is_kept_as_such():
    stage = Stage(asyncio.Event())
    work = await stage.begun()
    await asyncio.gather(work.cancel(), work.cancel())
    assert [told.status for told in stage.kept] == ["cancelled"]
    assert [type(event) for event in await gathered(work)] == [Failed]


async def test_cancelled_after_its_end_it_stays_what_it_is():
    stage = Stage(say("a"))
    work = await stage.begun()
    await gathered(work)
    await work.cancel()
    assert stage.exchange.told.status == "completed"


@pytest.mark.parametrize("before", [(), (BEGUN,)])
async def test_a_failure_is_told(before):
    stage = Stage(*before, EngineLost("gone"))
    last = (await gathered(await stage.begun()))[-1]
    assert isinstance(last, Failed)
    assert last.error.message == "gone"
    assert [told.status for told in stage.kept] == ["failed"]


async def test_a_bug_is_logged_and_says_nothing_of_the_prompt(capsys):
    stage = Stage(BEGUN, ZeroDivisionError("the prompt"))
    last = (await gathered(await stage.begun()))[-1]
    assert "ZeroDivisionError" in last.error.message
    written = "".join(capsys.readouterr())
    assert "req_1" in written
    assert "the prompt" not in written + last.error.message


async def test_there_may_be_too_many(monkeypatch):
    monkeypatch.setattr(background, "AT_ONCE", 2)
    all_of_them, stages = Background(), [Stage(asyncio.Event()) for _ in range(2)]
    works = [await all_of_them.start(("", str(i)), stage.work) for i, stage in enumerate(stages)]
    with pytest.raises(Refused, match="2 answers"):
        await all_of_them.start(("", "more"), Stage().work)
    await works[0].cancel()
    await all_of_them.start(("", "more"), Stage(say("a")).work)
    await all_of_them.aclose()
    assert [stage.left.is_set() for stage in stages] == [True, True]


async def test_what_has_ended_is_forgotten_in_time(monkeypatch):
    monkeypatch.setattr(background, "REMEMBERED", 2)
    all_of_them = Background()
    going = await all_of_them.start(("", "going"), Stage(asyncio.Event()).work)
    for number in range(5):
        await gathered(await all_of_them.start(("", str(number)), Stage(say("a")).work))
    found = [name for name in ("going", *"01234") if all_of_them.find(("", name))]
    assert found == ["going", "2", "3", "4"]  # the last was started when two others had ended
    assert all_of_them.find(("", "going")) is going
    assert all_of_them.find(("bob", "4")) is None
    all_of_them.forget(("", "4"))
    all_of_them.forget(("", "4"))
    assert all_of_them.find(("", "4")) is None
    await all_of_them.aclose()
