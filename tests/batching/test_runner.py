"""The runner: order, room, failures, ends. Time stands still, and nothing sleeps."""

import asyncio
import json
import re
import sqlite3

import pytest
from batching.rig import Desk, Rig, entries, entry, rig
from web.driver import call, say

from understudy.batching import runner as module
from understudy.dialects import dialect
from understudy.language import errors
from understudy.language.batch import Entry
from understudy.language.events import Failed, told
from understudy.language.target import Model
from understudy.observe import metrics
from understudy.store.batches import BatchFile
from understudy.store.sqlite import StoreError

ABC = entries("a", "b", "c")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batches.db"


def counted(name, **labels):
    return metrics.REGISTRY.get_sample_value(f"understudy_{name}", labels) or 0.0


# -- answers --------------------------------------------------------------------------------------------------------


async def test_every_request_is_answered_in_its_order(path):
    desk = Desk()
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC)
        assert re.fullmatch(r"msgbatch_\d+", batch.id)
        assert (batch.created_at, batch.expires_at) == (1000.0, 1000.0 + 86400)
        found = await built.ended(batch)
        assert (found.succeeded, found.done, found.ended_at) == (3, 3, 1000.0)
        rows = await built.results(batch)
    assert desk.asked_about == ["a", "b", "c"]
    message = json.loads(rows["b"].payload)
    assert (message["type"], message["model"], message["stop_reason"]) == ("message", "coder", "end_turn")
    assert message["content"] == [{"type": "text", "text": "about b"}]


async def test_what_is_asked_is_what_was_sent(path):
    desk = Desk()
    tool = {"name": "Bash", "description": "runs", "input_schema": {"type": "object"}}
    async with rig(path, desk) as built:
        batch = await built.hand_in(entry("a", system="Be brief.", tools=[tool], temperature=0.5))
        await built.ended(batch)
    (asked,) = desk.requests
    assert (asked.system[0].text, asked.tools[0].name, asked.sampling.temperature) == (
        "Be brief.",
        "Bash",
        0.5,
    )


async def test_a_call_is_a_result_like_any(path):
    desk = Desk()
    desk.answer = steps([[call("Bash", '{"command": "ls"}')]])
    tool = {"name": "Bash", "input_schema": {"type": "object"}}
    async with rig(path, desk) as built:
        batch = await built.hand_in(entry("a", tools=[tool]))
        await built.ended(batch)
        payload = json.loads((await built.results(batch))["a"].payload)
    assert payload["stop_reason"] == "tool_use"
    assert payload["content"][0]["input"] == {"command": "ls"}


def steps(answers):
    """An `answer` that plays these, one after the other, each a list of batches."""

    async def answer(request, session, listener):
        for batch in answers.pop(0):
            await told(listener, batch)

    return answer


ERRED = {
    "no messages": (Entry("a", "coder", b'{"model": "coder", "max_tokens": 9}'), "messages: Field required"),
    "no max_tokens": (entry("a", max_tokens=None), "max_tokens: Field required"),
    "no model": (Entry("a", "", b"{}"), "Field required"),
    "a stream": (entry("a", stream=True), "stream: a request of a batch cannot be streamed"),
    "an unknown model": (entry("a", model="nope"), "model 'nope' not found"),
}


@pytest.mark.parametrize(("bad", "words"), ERRED.values(), ids=ERRED)
async def test_one_wrong_request_is_one_errored_result(path, bad, words):
    desk = Desk()
    async with rig(path, desk) as built:
        batch = await built.hand_in(bad, *entries("b", "c"))
        found = await built.ended(batch)
        row = (await built.results(batch))["a"]
    assert (found.errored, found.succeeded) == (1, 2)
    error = json.loads(row.payload)
    assert error["type"] == "error"
    assert error["error"]["type"] in ("invalid_request_error", "not_found_error")
    assert words in error["error"]["message"]
    assert error["request_id"].startswith("req_")
    assert desk.asked_about == ["b", "c"]


FINAL = [
    errors.PromptTooLong(9, 8),
    errors.EngineRefused("no"),
    errors.EngineDenied("bad key"),
    errors.EngineError("nonsense"),
    errors.NoTarget("gone"),
]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
async def test_what_would_fail_again_is_errored_at_once(path, error):
    desk = Desk(faults={"b": [error]})
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC)
        await built.ended(batch)
        rows = await built.results(batch)
    assert [rows[name].outcome for name in "abc"] == ["succeeded", "errored", "succeeded"]
    assert json.loads(rows["b"].payload)["error"]["type"] == error.kind
    assert desk.asked_about == ["a", "b", "c"]


@pytest.mark.parametrize("error", [ZeroDivisionError("secret words"), errors.Bug("x")], ids=repr)
async def test_a_bug_of_ours_is_one_requests_error_and_is_logged(path, capsys, error):
    desk = Desk(faults={"a": [error]})
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC)
        found = await built.ended(batch)
        payload = json.loads((await built.results(batch))["a"].payload)
    said = "".join(capsys.readouterr())
    assert (found.errored, found.succeeded) == (1, 2)
    assert payload["error"]["type"] == "api_error"
    assert "secret words" not in said + payload["error"]["message"]
    assert payload["request_id"] in said
    assert "bug" in said


async def test_an_answer_that_cannot_be_written_is_one_requests_error(path, monkeypatch):
    async with rig(path, Desk()) as built:
        monkeypatch.setattr(module, "_ANTHROPIC", Broken())
        batch = await built.hand_in(*ABC)
        assert (await built.ended(batch)).errored == 3


class Broken:
    """The dialect, but for one thing."""

    def __getattr__(self, name):
        return getattr(dialect("anthropic"), name)

    def whole(self, message, request, model):
        raise ZeroDivisionError


async def test_a_line_in_the_log_for_each(path, capsys):
    async with rig(path, Desk()) as built:
        batch = await built.hand_in(entry("the-name", "the question"))
        await built.ended(batch)
    (line,) = [row for row in capsys.readouterr().out.splitlines() if "batch request" in row]
    for word in (batch.id, "outcome=end_turn", "target=puppet/coder", "input_tokens=10", "request_id=req_"):
        assert word in line
    assert "the-name" not in line
    assert "question" not in line


async def test_what_is_counted(path):
    before = [counted("batch_requests_total", outcome=name) for name in ("succeeded", "errored", "canceled")]
    desk = Desk(held=True)
    async with rig(path, desk) as built:
        await built.hand_in(*ABC)
        await built.until(lambda: desk.open_about == ["a"])
        assert counted("batch_requests_waiting") == 3
        desk.held = False
        desk.let("a")
        await built.until(lambda: desk.answered == ["a", "b", "c"])
        await built.until(lambda: counted("batch_requests_waiting") == 0)
    after = [counted("batch_requests_total", outcome=name) for name in ("succeeded", "errored", "canceled")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 0, 0]


# -- room -----------------------------------------------------------------------------------------------------------


async def test_a_batch_waits_while_people_fill_the_slots(path):
    desk = Desk(held=True, slots=2)
    async with rig(path, desk) as built:
        people = [built.person("p1"), built.person("p2")]
        await built.until(lambda: desk.open_about == ["p1", "p2"])
        batch = await built.hand_in(*ABC)
        await built.runner.look()
        assert desk.asked_about == ["p1", "p2"]
        desk.let("p1")
        await people[0]
        await built.runner.look()
        assert desk.asked_about == ["p1", "p2"]  # the slot that is free now is for the next person
        desk.let("p2")
        await people[1]
        await built.until(lambda: desk.open_about == ["a"])
        await built.runner.look()
        assert desk.open_about == ["a"]
        desk.let("a", "b", "c")
        await built.ended(batch)


async def test_no_more_than_the_slots_allow(path):
    desk = Desk(held=True, slots=4)
    async with rig(path, desk, concurrency=9) as built:
        await built.hand_in(*entries(*"abcdef"))
        await built.runner.look()
        assert desk.asked_about == ["a", "b", "c"]
        desk.let("b")
        await built.until(lambda: "d" in desk.asked_about)
        await built.runner.look()
        assert desk.open_about == ["a", "c", "d"]


async def test_no_more_than_the_settings_allow(path):
    desk = Desk(held=True, slots=9)
    async with rig(path, desk, concurrency=2) as built:
        await built.hand_in(*entries(*"abcdef"))
        await built.runner.look()
        assert desk.asked_about == ["a", "b"]


async def test_one_at_a_time_where_slots_are_not_known(path):
    desk = Desk(held=True)
    async with rig(path, desk) as built:
        await built.hand_in(*ABC)
        await built.runner.look()
        assert desk.asked_about == ["a"]


async def test_between_two_turns_of_a_person_a_single_slot_stays_theirs(path):
    desk = Desk()
    async with rig(path, desk, quiet_seconds=20.0) as built:
        await built.person("p1")
        batch = await built.hand_in(*ABC)
        await built.runner.look()
        built.now += 19.0
        await built.runner.look()
        assert desk.asked_about == ["p1"]
        await built.person("p2")
        built.now += 19.0
        await built.runner.look()
        assert desk.asked_about == ["p1", "p2"]
        built.now += 1.0
        built.runner.wake()
        await built.ended(batch)  # its own answers need no such pause
    assert desk.asked_about == ["p1", "p2", "a", "b", "c"]


async def test_a_person_who_comes_gets_the_slot(path):
    before = counted("batch_retries_total", reason="gave way")
    desk = Desk(held=True)
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC)
        await built.until(lambda: desk.open_about == ["a"])
        person = built.person("p")
        await built.until(lambda: desk.open_about == ["p"])
        await built.runner.look()
        assert desk.asked_about == ["a", "p"]
        assert await built.outcomes(batch) == {}
        desk.let("p", "a", "b", "c")
        await person
        found = await built.ended(batch)
    assert found.succeeded == 3
    assert desk.asked_about == ["a", "p", "a", "b", "c"]
    assert counted("batch_retries_total", reason="gave way") - before == 1


async def test_the_newest_gives_way_and_no_more_than_needed(path):
    desk = Desk(held=True, slots=3)
    async with rig(path, desk) as built:
        await built.hand_in(*ABC)
        await built.until(lambda: desk.open_about == ["a", "b"])
        people = [built.person("p1")]
        await built.until(lambda: desk.open_about == ["a", "b", "p1"])
        await built.runner.look()
        assert desk.open_about == ["a", "b", "p1"]  # there is a slot for each
        people.append(built.person("p2"))
        await built.until(lambda: desk.open_about == ["a", "p1", "p2"])
        await built.runner.look()
        assert desk.open_about == ["a", "p1", "p2"]
        people += [built.person("p3"), built.person("p4")]
        await built.until(lambda: desk.open_about == ["p1", "p2", "p3", "p4"])
        desk.let("p1", "p2", "p3", "p4", "a", "b", "c")
        await asyncio.gather(*people)
        await built.until(lambda: desk.answered[4:] == ["a", "b", "c"])
    assert desk.asked_about == ["a", "b", "p1", "p2", "p3", "p4", "a", "b", "c"]


async def test_who_is_leaving_is_not_counted_as_staying(path):
    desk = Desk(held=True, slots=3)
    async with rig(path, desk) as built:
        await built.hand_in(*ABC)
        await built.until(lambda: desk.open_about == ["a", "b"])
        desk.slow = True
        people = [built.person("p1"), built.person("p2")]
        await built.until(lambda: desk.open_about == ["a", "b", "p1", "p2"])
        for _ in range(3):
            await built.runner.look()
        desk.gone.set()
        await built.until(lambda: desk.open_about == ["a", "p1", "p2"])
        await built.runner.look()
        assert desk.open_about == ["a", "p1", "p2"]
        desk.let("p1", "p2")
        await asyncio.gather(*people)


async def test_a_person_elsewhere_disturbs_nobody(path):
    one, two = Desk(held=True, name="one"), Desk(held=True, name="two", models=(Model("other"),))
    async with rig(path, one, two) as built:
        await built.hand_in(*ABC)
        await built.until(lambda: one.open_about == ["a"])
        people = [built.person("p1", "other"), built.person("p2", "other")]
        await built.until(lambda: two.open_about == ["p1", "p2"])
        await built.runner.look()
        assert one.open_about == ["a"]
        two.let("p1", "p2")
        await asyncio.gather(*people)


async def test_while_nothing_waits_people_wake_nobody(path):
    async with rig(path, Desk()) as built:
        before = built.runner.looks
        for _ in range(3):
            await built.person()
        await built.runner.keeper.open()
        assert built.runner.looks == before


# -- order, lanes and prefixes --------------------------------------------------------------------------------------


async def test_the_older_batch_comes_first(path):
    desk = Desk(held=True)
    async with rig(path, desk) as built:
        one = await built.hand_in(*entries("a", "b"))
        two = await built.hand_in(*entries("x", "y"), caller="k")
        desk.held = False
        desk.let("a")
        await built.ended(one)
        while (await built.batch(two.id, "k")).ended_at is None:
            pass
    assert desk.asked_about == ["a", "b", "x", "y"]


async def test_a_lane_that_has_to_wait_holds_up_no_other(path):
    full, idle = Desk(held=True, name="full"), Desk(name="idle", models=(Model("other"),))
    async with rig(path, full, idle) as built:
        person = built.person("p")
        await built.until(lambda: full.open_about == ["p"])
        first = await built.hand_in(*entries("a", "b"), *entries("x", model="other"))
        second = await built.hand_in(*entries("y", model="other"))
        await built.ended(second)
        assert idle.asked_about == ["x", "y"]
        assert full.asked_about == ["p"]
        full.let("p", "a", "b")
        await person
        await built.ended(first)


async def test_more_lanes_than_are_looked_at(path, monkeypatch):
    monkeypatch.setattr(module, "LANES", 2)
    desk = Desk(models=tuple(Model(f"m{n}") for n in range(5)))
    async with rig(path, desk) as built:
        batch = await built.hand_in(*(entry(f"r{n}", model=f"m{n}") for n in range(5)))
        assert (await built.ended(batch)).succeeded == 5
    assert desk.asked_about == [f"r{n}" for n in range(5)]


async def test_a_fast_lane_leaves_others_their_turn(path):
    fast, other = Desk(name="fast", slots=9), Desk(name="other", models=(Model("other"),))
    async with rig(path, fast, other) as built:
        first = await built.hand_in(*entries(*(f"r{n}" for n in range(500))))
        second = await built.hand_in(entry("x", model="other"))
        await built.ended(second)
        assert (await built.batch(first.id)).ended_at is None


async def test_a_hand_is_one_session(path):
    """The embedded engine gives a session its slot again; the gateway, its engine."""
    desk = Desk(held=True, slots=3)
    async with rig(path, desk) as built:
        batch = await built.hand_in(*entries(*"abcd"))
        await built.until(lambda: desk.open_about == ["a", "b"])
        desk.let("b")
        await built.until(lambda: desk.open_about == ["a", "c"])
        desk.let("a")
        await built.until(lambda: desk.open_about == ["c", "d"])
        desk.let("c", "d")
        await built.ended(batch)
    hands = [re.match(rf"{batch.id}/(\d+)/", session)[1] for session in desk.sessions]
    assert hands == ["0", "1", "1", "0"]


async def test_two_engines_with_one_model_share_a_batch_and_each_hand_keeps_to_its_own(path):
    desks = one, two = Desk(held=True, name="one"), Desk(held=True, name="two")
    async with rig(path, *desks) as built:
        batch = await built.hand_in(*entries(*"abcd"))
        await built.until(lambda: one.open_about + two.open_about == ["a", "b"])
        two.let("b")
        await built.until(lambda: two.open_about == ["c"])
        one.let("a")
        await built.until(lambda: one.open_about == ["d"])
        one.let("d")
        two.let("c")
        await built.ended(batch)
    assert (one.asked_about, two.asked_about) == (["a", "d"], ["b", "c"])


async def test_where_a_hands_engine_has_no_room_another_hand_asks_elsewhere(path):
    desks = one, two = Desk(held=True, name="one"), Desk(held=True, name="two")
    async with rig(path, *desks) as built:
        people = [built.person("p1")]
        await built.until(lambda: one.open_about == ["p1"])
        batch = await built.hand_in(*ABC)
        await built.until(lambda: two.open_about == ["a"])
        people.append(built.person("p2"))  # to the first in line, both being busy
        await built.until(lambda: one.open_about == ["p1", "p2"])
        people.append(built.person("p3"))
        await built.until(lambda: two.open_about == ["p3"])  # the hand has to leave its engine
        one.let("p1", "p2")
        await asyncio.gather(*people[:2])
        await built.until(lambda: one.open_about == ["a"])
        await built.runner.look()
        assert two.asked_about == ["a", "p3"]
        two.let("p3")
        one.let(*"abc")
        two.let(*"abc")
        await people[2]
        await built.ended(batch)


async def test_a_hand_whose_engine_is_gone_takes_another(path):
    desks = one, two = Desk(name="one"), Desk(name="two")
    async with rig(path, *desks, concurrency=1) as built:
        await built.ended(await built.hand_in(entry("a")))
        batch = await built.hand_in(entry("b"))
        await built.ended(batch)
        one.served = errors.EngineBusy("gone")
        await built.pool.look()
        await built.ended(await built.hand_in(*entries("c", "d")))
    assert (one.asked_about, two.asked_about) == (["a", "b"], ["c", "d"])


# -- engines that fail ----------------------------------------------------------------------------------------------


async def test_an_engine_that_is_down_is_waited_for(path):
    desk = Desk()
    desk.served = errors.EngineBusy("refused")
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC, entry("d", model="auto"))
        await built.runner.look()
        built.now += 80_000
        await built.runner.look()
        assert (desk.asked_about, (await built.batch(batch.id)).done) == ([], 0)
        desk.served = (Model("coder"),)
        await built.pool.look()
        built.runner.wake()
        found = await built.ended(batch)
    assert found.succeeded == 4


async def test_a_model_that_may_yet_appear_is_waited_for(path):
    there, away = Desk(name="there", models=(Model("other"),)), Desk(name="away")
    away.served = errors.EngineBusy("refused")
    async with rig(path, there, away) as built:
        batch = await built.hand_in(*ABC)
        await built.runner.look()
        assert (await built.batch(batch.id)).done == 0
        away.served = (Model("coder"),)
        await built.pool.look()
        built.runner.wake()
        assert (await built.ended(batch)).succeeded == 3
    assert there.asked_about == []


async def test_a_down_engine_is_noticed_when_it_is_back(path, monkeypatch):
    desk = Desk()
    desk.served = errors.EngineBusy("refused")
    async with rig(path, desk) as built:
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
        batch = await built.hand_in(*ABC)
        await built.runner.look()
        desk.served = (Model("coder"),)
        await built.pool.look()
        await built.ended(batch)  # nobody woke it


async def test_a_busy_engine_is_asked_again_later_and_ever_later(path):
    desk = Desk(faults={"a": [errors.EngineBusy("full")] * 12})
    waits = []
    async with rig(path, desk, tries=1) as built:
        batch = await built.hand_in(*ABC)
        for number in range(1, 13):
            await built.until(lambda n=number: len(desk.asked_about) == n)
            await built.runner.look()
            assert desk.asked_about == ["a"] * number
            before = built.now
            while len(desk.asked_about) == number:
                built.now += 0.5
                await built.runner.look()
            waits.append(built.now - before)
        assert (await built.ended(batch)).succeeded == 3
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert desk.asked_about[12:] == ["a", "b", "c"]


async def test_an_engine_that_says_when_is_taken_at_its_word(path):
    desk = Desk(faults={"a": [errors.EngineBusy("full", retry_after=90)]})
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC)
        await built.until(lambda: desk.asked_about == ["a"])
        await built.runner.look()
        built.now += 89
        await built.runner.look()
        assert desk.asked_about == ["a"]
        built.now += 1
        built.runner.wake()
        assert (await built.ended(batch)).succeeded == 3


@pytest.mark.parametrize("error", [errors.EngineLost("cut"), errors.EngineTimeout("late")], ids=repr)
async def test_a_request_that_loses_its_engine_again_and_again_is_errored(path, error):
    desk = Desk(faults={"a": [error] * 9})
    async with rig(path, desk, tries=3) as built:
        batch = await built.hand_in(*ABC)
        for number in (1, 2):
            await built.until(lambda n=number: len(desk.asked_about) == n)
            await built.runner.look()
            built.now += 300
            built.runner.wake()
        found = await built.ended(batch)
        payload = json.loads((await built.results(batch))["a"].payload)
    assert (found.errored, found.succeeded) == (1, 2)
    assert payload["error"]["message"] == error.message
    assert desk.asked_about == ["a", "a", "a", "b", "c"]


async def test_what_was_lost_now_and_then_is_not_held_against_the_next(path):
    lost = errors.EngineLost("cut")
    desk = Desk(faults={"a": [lost], "b": [lost], "c": [lost]})
    async with rig(path, desk, tries=2) as built:
        batch = await built.hand_in(*ABC)
        for number in (1, 3, 5):
            await built.until(lambda n=number: len(desk.asked_about) == n)
            await built.runner.look()
            built.now += 1
            built.runner.wake()
        assert (await built.ended(batch)).succeeded == 3
    assert desk.asked_about == ["a", "a", "b", "b", "c", "c"]


async def test_what_fails_together_waits_once(path):
    desk = Desk(held=True, slots=4, faults={name: [errors.EngineBusy("full")] for name in "abc"})
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC)
        await built.until(lambda: desk.open_about == ["a", "b", "c"])
        desk.let("a", "b", "c")
        await built.until(lambda: desk.open_about == [])
        await built.runner.look()
        built.now += 1
        built.runner.wake()
        assert (await built.ended(batch)).succeeded == 3


async def test_an_answer_that_breaks_off_is_no_answer(path):
    desk = Desk()
    answers = [[say("half")[:3], [Failed(errors.EngineLost("cut"))]], [say("whole")]]
    desk.answer = steps(answers)
    async with rig(path, desk) as built:
        batch = await built.hand_in(entry("a"))
        await built.until(lambda: len(answers) == 1)
        await built.runner.look()
        built.now += 1
        built.runner.wake()
        await built.ended(batch)
        payload = json.loads((await built.results(batch))["a"].payload)
    assert payload["content"][0]["text"] == "whole"


# -- ends -----------------------------------------------------------------------------------------------------------


async def test_cancel_stops_what_is_being_asked(path):
    desk = Desk(held=True, slots=3)
    async with rig(path, desk) as built:
        batch = await built.hand_in(*entries(*"abcd"))
        other = await built.hand_in(*entries("x"))
        await built.until(lambda: desk.open_about == ["a", "b"])
        desk.let("a")
        await built.until(lambda: desk.open_about == ["b", "c"])
        built.now += 5
        found = await built.runner.cancel("", batch.id)
        assert (found.cancel_initiated_at, found.ended_at) == (1005.0, None)
        found = await built.ended(batch)
        assert (found.succeeded, found.canceled, found.ended_at) == (1, 3, 1005.0)
        assert desk.open_about in ([], ["x"])
        assert await built.outcomes(batch) == {"a": "succeeded"} | dict.fromkeys("bcd", "canceled")
        desk.let("x")
        await built.ended(other)
    assert desk.asked_about == ["a", "b", "c", "x"]


async def test_cancel_is_heard_however_fast_the_engine_is(path):
    desk = Desk(slots=9)
    async with rig(path, desk) as built:
        batch = await built.hand_in(*entries(*(f"r{n}" for n in range(500))))
        await built.until(lambda: len(desk.answered) > 5)
        await built.runner.cancel("", batch.id)
        found = await built.ended(batch)
    assert found.canceled > 0
    assert found.done == 500


async def test_cancel_of_what_is_not_there(path):
    async with rig(path, Desk()) as built:
        assert await built.runner.cancel("", "msgbatch_9") is None


async def test_what_is_not_answered_in_time_expires(path):
    desk = Desk(held=True)
    async with rig(path, desk, expire_hours=2.0) as built:
        batch = await built.hand_in(*ABC)
        await built.until(lambda: desk.open_about == ["a"])
        built.now += 7199
        await built.runner.look()
        assert (await built.batch(batch.id)).done == 0
        built.now += 1
        built.runner.wake()
        found = await built.ended(batch)
        assert (found.expired, found.ended_at) == (3, 8200.0)
        assert desk.open_about == []
    assert desk.asked_about == ["a"]


async def test_what_expires_while_the_engine_is_down(path):
    desk = Desk()
    desk.served = errors.EngineBusy("refused")
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC)
        built.now += 86400
        built.runner.wake()
        assert (await built.ended(batch)).expired == 3


async def test_results_are_dropped_after_their_days(path):
    async with rig(path, Desk(), keep_days=2.0) as built:
        batch = await built.hand_in(*ABC)
        await built.ended(batch)
        await built.runner.look()
        built.now += 2 * 86400 - 1
        await built.runner.look()
        assert (await built.batch(batch.id)).archived_at is None
        built.now += 1
        await built.runner.look()
        assert (await built.batch(batch.id)).archived_at == built.now
        assert await built.results(batch) == {}


async def test_a_rest_ends_at_the_deadline(path, monkeypatch):
    rests = []

    def timeout(seconds):
        rests.append(seconds)
        return asyncio.Timeout(None)

    monkeypatch.setattr(module, "LOOK_SECONDS", 1.0)
    built = Rig(path, [Desk()])
    monkeypatch.setattr(module.asyncio, "timeout", timeout)
    for deadline, seconds in ((float("inf"), 3600.0), (1000.0 + 99, 99.0), (1000.2, 1.0), (5.0, 1.0)):
        built.runner._deadline = deadline
        built.runner.wake()
        await built.runner._rest()
        assert rests.pop() == seconds
    built.runner._lanes = {"any": "lane"}
    built.runner.wake()
    await built.runner._rest()
    assert rests == [1.0]


# -- stops and crashes ----------------------------------------------------------------------------------------------


async def test_a_stop_leaves_what_is_being_asked_waiting(path):
    desk = Desk(held=True, slots=3)
    async with rig(path, desk) as built:
        batch = await built.hand_in(*ABC)
        await built.until(lambda: desk.open_about == ["a", "b"])
        desk.let("a")
        await built.until(lambda: desk.open_about == ["b", "c"])
        while (await built.batch(batch.id)).succeeded == 0:
            pass
    assert desk.open_about == []
    desk.let("b", "c")
    async with rig(path, desk) as built:
        assert (await built.ended(batch)).succeeded == 3
    assert desk.asked_about == ["a", "b", "c", "b", "c"]


async def test_cancel_and_expiry_go_on_after_a_stop(path):
    async with rig(path, Desk(held=True)) as built:
        one, two = await built.hand_in(*ABC), await built.hand_in(*ABC)
        await built.runner.keeper.do(BatchFile.cancel, "", one.id, built.now)
    async with Rig(path, [desk := Desk(held=True)]).running() as built:
        assert (await built.ended(one)).canceled == 3
        await built.until(lambda: desk.open_about == ["a"])
    later = Rig(path, [desk := Desk()])
    later.now += 86400
    async with later.running() as built:
        assert (await built.ended(two)).expired == 3
    assert desk.asked_about == []


async def test_the_usual_file_is_made_with_the_first_batch(path):
    async with rig(path, Desk(), file="") as built:
        assert not path.exists()
        batch = await built.hand_in(*ABC)
        assert path.exists()
        await built.ended(batch)
    async with rig(path, Desk(), file="") as built:
        assert built.runner.keeper._kept is not None


async def test_a_named_file_is_made_at_the_start(path):
    async with rig(path, Desk()):
        assert path.exists()


async def test_a_file_that_cannot_be_used_stops_the_start(path):
    path.write_bytes(b"garbage, and enough of it to be read" * 99)
    with pytest.raises(StoreError, match="is no database"):
        async with rig(path, Desk(), file=""):
            pass


# -- a disk that fails ----------------------------------------------------------------------------------------------


def failing(monkeypatch, name, times):
    """That step of the file fails so often."""
    real, left = getattr(BatchFile, name), [None] * times

    def step(self, *args):
        if left:
            left.pop()
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        return real(self, *args)

    monkeypatch.setattr(BatchFile, name, step)


async def test_an_answer_waits_until_the_disk_takes_it(path, monkeypatch, capsys):
    desk = Desk()
    async with rig(path, desk) as built:
        failing(monkeypatch, "finish", 2)
        batch = await built.hand_in(entry("a"))
        for number in (1, 2):
            await built.until(lambda n=number: len(built.slept) == n)
            assert (await built.batch(batch.id)).done == 0
            built.awake.set()
        assert (await built.ended(batch)).succeeded == 1
    assert desk.asked_about == ["a"]
    assert built.slept == [5.0, 5.0]
    assert "the disk is full: make room" in "".join(capsys.readouterr())


@pytest.mark.parametrize("step", ["overdue", "archive", "lanes", "waiting", "next"])
async def test_work_goes_on_when_the_disk_does(path, monkeypatch, capsys, step):
    desk = Desk()
    async with rig(path, desk) as built:
        failing(monkeypatch, step, 1)
        batch = await built.hand_in(*ABC)
        await built.until(lambda: built.slept == [5.0])
        built.awake.set()
        built.runner.wake()
        assert (await built.ended(batch)).succeeded == 3
    assert "batches wait for the disk" in "".join(capsys.readouterr())


async def test_what_cannot_be_written_is_not_accepted(path, monkeypatch):
    async with rig(path, Desk()) as built:
        failing(monkeypatch, "add", 1)
        with pytest.raises(StoreError, match="the disk is full"):
            await built.hand_in(*ABC)
        assert (await built.runner.keeper.do(BatchFile.page, "", 9, "", ""))[0] == []


# -- races ----------------------------------------------------------------------------------------------------------


async def test_a_person_who_comes_while_the_next_request_is_read(path, monkeypatch):
    desk = Desk(held=True)
    async with rig(path, desk) as built:
        people = []
        real = BatchFile.next
        loop = asyncio.get_running_loop()

        def slow(self, *args):
            if not people:
                came = asyncio.run_coroutine_threadsafe(come(), loop)
                came.result(5)
            return real(self, *args)

        async def come():
            people.append(built.person("p"))
            await desk.asked.wait()

        monkeypatch.setattr(BatchFile, "next", slow)
        batch = await built.hand_in(*ABC)
        await built.until(lambda: people)
        await built.runner.look()
        assert desk.asked_about == ["p"]
        desk.let("p", "a", "b", "c")
        await people[0]
        assert (await built.ended(batch)).succeeded == 3


async def test_the_answering_are_told(path):
    desk = Desk(held=True, slots=3)
    async with rig(path, desk) as built:
        assert built.runner.answering == 0
        await built.hand_in(*ABC)
        await built.until(lambda: desk.open_about == ["a", "b"])
        assert built.runner.answering == 2
