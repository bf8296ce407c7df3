"""The chat endpoint, by a client that sees every send: errors before and after the first byte, clients that leave."""

import asyncio
import random

import pytest
from driver import Puppet, Visit, ask, call, house, in_flight, question, say, turns

from understudy.language import errors
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)

BEGUN = [MessageStart("m"), BlockStart("text"), TextDelta("par")]
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
TERMINAL = ("message_stop", "error")


def terminals(visit):
    return [name for name in visit.names if name in TERMINAL]


# -- answers ------------------------------------------------------------------------------------------------------


async def test_a_whole_answer():
    async with house(Puppet([say("Hello")])) as built:
        visit = await ask(built)()
    assert visit.status == 200
    assert visit.headers["request-id"].startswith("req_")
    assert visit.headers["x-understudy-target"] == "puppet/coder"
    assert visit.headers["x-understudy-prefix"] == "new; cached=4/10"
    assert int(visit.headers["content-length"]) == len(visit.body)
    assert visit.json["content"] == [{"type": "text", "text": "Hello"}]
    assert visit.json["stop_reason"] == "end_turn"
    assert visit.json["usage"]["input_tokens"] == 6


async def test_a_streamed_answer():
    async with house(Puppet([BEGUN, say("Hello")[2:]])) as built:
        visit = await ask(built, stream=True)()
    assert visit.status == 200
    assert visit.headers["content-type"] == "text/event-stream"
    assert visit.headers["x-accel-buffering"] == "no"
    assert visit.text == "parHello"
    assert terminals(visit) == ["message_stop"]
    assert visit.names[-1] == "message_stop"
    assert visit.finished


@BOTH
async def test_half_a_character_in_the_body_is_refused_or_read(stream):
    async with house(Puppet()) as built:
        body = b'{"model":"coder","max_tokens":9,"messages":[{"role":"user","content":"caf\xc3"}]}'
        visit = await Visit(built.app, body=body)()
    assert visit.status == 400
    assert visit.json["error"]["type"] == "invalid_request_error"


# -- errors -------------------------------------------------------------------------------------------------------

BEFORE = [
    (errors.EngineRefused("no"), 400, "invalid_request_error"),
    (errors.PromptTooLong(70000, 65536), 400, "invalid_request_error"),
    (errors.EngineBusy("full", retry_after=7), 503, "overloaded_error"),
    (errors.EngineLost("gone"), 502, "api_error"),
    (errors.EngineTimeout("slow"), 504, "timeout_error"),
    (errors.Refused("limit"), 429, "rate_limit_error"),
    (errors.NoTarget("what model"), 404, "not_found_error"),
    (errors.Bug("ours"), 500, "api_error"),
    (ZeroDivisionError("secret words"), 500, "api_error"),
]


@BOTH
@pytest.mark.parametrize("how", ["raised", "failed event"])
@pytest.mark.parametrize(("error", "status", "kind"), BEFORE, ids=[type(e).__name__ for e, _, _ in BEFORE])
async def test_an_error_before_the_first_event_has_its_status(stream, how, error, status, kind):
    if how == "failed event":
        if not isinstance(error, errors.UnderstudyError):
            return
        error = Failed(error)
    steps = [[error]] if isinstance(error, Failed) else [error]
    async with house(Puppet([[Progress(1, 9, 0)], *steps])) as built:
        visit = await ask(built, stream=stream)()
    assert visit.status == status
    assert visit.headers["content-type"] == "application/json"
    assert visit.json["type"] == "error"
    assert visit.json["error"]["type"] == kind
    assert visit.json["request_id"] == visit.headers["request-id"]
    assert "secret words" not in visit.body.decode()
    if status == 503:
        assert visit.headers["retry-after"] == "7"


AFTER = [*(e for e, _, _ in BEFORE), None]


@pytest.mark.parametrize("error", AFTER, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("how", ["raised", "failed event"])
async def test_an_error_after_the_first_event_is_an_event(error, how):
    if error is None:
        steps = []  # the engine just stops
    elif how == "raised":
        steps = [error]
    elif isinstance(error, errors.UnderstudyError):
        steps = [[Failed(error)]]
    else:
        return
    async with house(Puppet([BEGUN, *steps])) as built:
        visit = await ask(built, stream=True)()
    assert visit.status == 200
    assert terminals(visit) == ["error"]
    assert visit.names[-1] == "error"
    assert visit.text == "par"
    assert visit.finished
    assert "secret words" not in visit.body.decode()
    assert in_flight() == 0


async def test_an_answer_cut_after_its_first_event_is_no_whole_answer():
    async with house(Puppet([BEGUN])) as built:
        visit = await ask(built)()
    assert visit.status == 502
    assert visit.json["error"]["type"] == "api_error"


async def test_an_engine_that_says_nothing_at_all_gets_a_status():
    async with house(Puppet([])) as built:
        for stream in (True, False):
            visit = await ask(built, stream=stream)()
            assert visit.status == 502, stream


@BOTH
async def test_nothing_follows_the_terminal_event(stream):
    late = [TextDelta("late"), *say("again")]
    async with house(Puppet([say("Hello"), late, errors.EngineLost("late")])) as built:
        visit = await ask(built, stream=stream)()
    if stream:
        assert terminals(visit) == ["message_stop"]
        assert visit.text == "Hello"
    else:
        assert visit.json["content"] == [{"type": "text", "text": "Hello"}]


# -- clients that leave -------------------------------------------------------------------------------------------


MOMENTS = {
    "queued": [asyncio.Event],
    "prefill": [[Progress(1, 9, 0)], asyncio.Event],
    "generating": [BEGUN, asyncio.Event],
}


def at_moment(moment):
    return [step() if step is asyncio.Event else step for step in MOMENTS[moment]]


@BOTH
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_client_that_leaves_frees_the_engine_at_once(stream, moment):
    puppet = Puppet(at_moment(moment))
    async with house(puppet) as built:
        visit = ask(built, stream=stream).start()
        await puppet.asked.wait()
        await turns()
        assert in_flight() == 1
        assert built.pool.snapshot()[0].in_flight == 1
        visit.leave()
        await turns()
        assert puppet.left.is_set()
        await visit.over()
        assert in_flight() == 0
        assert built.pool.snapshot()[0].in_flight == 0
    assert b"message_stop" not in visit.body
    assert bool(visit.sent) == (stream and moment == "generating")


@BOTH
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_cancelled_server_task_frees_the_engine(stream, moment):
    puppet = Puppet(at_moment(moment))
    async with house(puppet, ping=0.001) as built:
        await turns()
        others = asyncio.all_tasks()
        visit = ask(built, stream=stream).start()
        await puppet.asked.wait()
        await turns()
        visit.task.cancel()
        await turns()
        assert puppet.left.is_set()
        with pytest.raises(asyncio.CancelledError):
            await visit.over()
        assert in_flight() == 0
        assert built.pool.snapshot()[0].in_flight == 0
        assert asyncio.all_tasks() == others


async def test_a_client_that_leaves_while_it_sends_its_body():
    async with house(puppet := Puppet()) as built:
        visit = Visit(built.app, pieces=[b'{"model":', None])
        await visit()
        assert not visit.sent
        assert not puppet.requests
        assert in_flight() == 0


async def test_a_client_that_does_not_read_and_leaves():
    puppet = Puppet([BEGUN, asyncio.Event()])
    async with house(puppet, ping=0.001) as built:
        visit = ask(built, stream=True)
        visit.stop_reading()
        visit.start()
        await puppet.asked.wait()
        await asyncio.sleep(0.005)
        visit.leave()
        await turns()
        assert puppet.left.is_set()
        await visit.over()
        assert in_flight() == 0


PIECES = [
    MessageStart("m"),
    BlockStart("text"),
    BlockStart("thinking"),
    BlockStart("tool_use", "e1", "T"),
    BlockStart("tool_use", "e2", "unheard of"),
    BlockStop(),
    TextDelta("word"),
    TextDelta("<tool_call>"),
    TextDelta("</think>"),
    TextDelta("\ud83d"),
    ThinkingDelta("hm"),
    SignatureDelta("sig"),
    InputDelta("{}"),
    InputDelta('{"a'),
    Progress(1, 9, 0),
    MessageStop("end_turn"),
    MessageStop("tool_use"),
    Failed(errors.EngineLost("x")),
    Failed(errors.PromptTooLong(0, 0)),
]
ACCIDENTS = [errors.EngineLost("x"), errors.EngineBusy("x"), errors.BadRequest("x"), KeyError("x")]


def nonsense(dice):
    """What an engine might do on its worst day, with or without an answer in it."""
    steps = []
    for _ in range(dice.randrange(6)):
        kind = dice.random()
        if kind < 0.7:
            steps.append([dice.choice(PIECES) for _ in range(dice.randrange(1, 6))])
        elif kind < 0.8:
            steps.append(say("Hello")[dice.randrange(5) :])
        elif kind < 0.9:
            steps.append(dice.choice(ACCIDENTS))
        else:
            steps.append(asyncio.Event())
    return steps


@BOTH
@pytest.mark.parametrize("seed", range(6))
async def test_whatever_an_engine_does_the_client_gets_one_proper_answer(stream, seed):
    dice = random.Random(seed)  # noqa: S311 - no secrets
    tools = [{"name": "T", "input_schema": {"type": "object"}}]
    for _ in range(50):
        steps = nonsense(dice)
        syntax = dice.choice(["native", "hermes"])
        async with house(Puppet(steps, tool_syntax=syntax), Puppet(name="second"), ping=0.0005) as built:
            visit = ask(built, stream=stream, tools=tools).start()
            left = False
            if any(isinstance(step, asyncio.Event) for step in steps):
                await turns(dice.randrange(40))
                left = dice.random() < 0.5
                if left:
                    visit.leave()
                for step in steps:
                    if isinstance(step, asyncio.Event):
                        step.set()
            await visit.over()
            assert in_flight() == 0
            assert not any(row.in_flight for row in built.pool.snapshot())
        if left and not visit.finished:
            continue
        assert visit.finished, steps
        assert visit.status in (200, 400, 500, 502, 503), steps
        if visit.headers["content-type"] == "text/event-stream":
            assert len(terminals(visit)) == 1, steps
            assert visit.names[-1] in TERMINAL, steps
        else:
            assert visit.json["type"] in ("message", "error"), steps


async def test_twenty_six_streams_side_by_side():
    gate = asyncio.Event()
    puppet = Puppet(*[[BEGUN, gate, say(f"-{n}")[2:]] for n in range(26)])
    async with house(puppet) as built:
        visits = [ask(built, f"question {n}", stream=True).start() for n in range(26)]
        for visit in visits:
            await visit.until(lambda v: b"par" in v.body)
        assert in_flight() == 26
        gate.set()
        for visit in visits:
            await visit.over()
    assert [v.text for v in visits] == [f"par-{n}" for n in range(26)]
    assert in_flight() == 0


async def test_it_counts_how_answers_end():
    from understudy.observe.metrics import REGISTRY  # noqa: PLC0415

    def count(mode, outcome):
        labels = {"dialect": "anthropic", "mode": mode, "outcome": outcome}
        return REGISTRY.get_sample_value("understudy_requests_total", labels) or 0

    table = [
        ("stream", [say("x")], "end_turn"),
        ("whole", [call("T", "{}")], "tool_use"),
        ("stream", [BEGUN, [Failed(errors.EngineLost("x"))]], "api_error"),
        ("whole", [errors.EngineBusy("x")], "overloaded_error"),
    ]
    for mode, steps, outcome in table:
        before = count(mode, outcome)
        async with house(Puppet(steps)) as built:
            tools = [{"name": "T", "input_schema": {"type": "object"}}]
            await Visit(built.app, body=question(stream=mode == "stream", tools=tools))()
        assert count(mode, outcome) == before + 1, outcome


async def test_the_log_has_usage_and_outcome_but_no_words():
    import structlog  # noqa: PLC0415

    async with house(Puppet([say("private", usage=Usage(10, 4, 2))])) as built:
        with structlog.testing.capture_logs() as lines:
            await ask(built, "secret question", stream=True)()
    line = next(line for line in lines if line["event"] == "request")
    assert line["outcome"] == "end_turn"
    assert (line["input_tokens"], line["cached_tokens"], line["output_tokens"]) == (10, 4, 2)
    assert "secret" not in str(lines)
    assert "private" not in str(lines)
