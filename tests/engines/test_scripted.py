"""The scripted engine: an Engine without sockets, clock or model."""

import asyncio
import json
import math
from contextlib import aclosing

import pytest
from harness import legal, pushed

from understudy.engines import Engine
from understudy.engines.performance import tokens_of
from understudy.engines.script import ScriptError, parse
from understudy.engines.scripted import MODEL, SHIPPED, ScriptedEngine, load
from understudy.language.embedding import EmbeddingRequest
from understudy.language.errors import (
    EngineBusy,
    EngineError,
    EngineLost,
    NoTarget,
    PromptTooLong,
    UnderstudyError,
)
from understudy.language.events import Failed, MessageStop, Progress, TextDelta
from understudy.language.message import collect
from understudy.language.request import Request, Text, Tool, ToolUse, Turn
from understudy.language.target import Model


def asked(text: str = "hello", **more) -> Request:
    return Request(MODEL.id, (Turn("user", (Text(text),)),), raw=text.encode(), **more)


async def batches(engine: ScriptedEngine, request: Request) -> list:
    return [batch async for batch in pushed(engine.answer, request, "session")]


async def events(engine: ScriptedEngine, request: Request | None = None) -> list:
    return [event for batch in await batches(engine, request or asked()) for event in batch]


async def test_it_is_an_engine_that_says_what_it_is():
    engine: Engine = ScriptedEngine()
    await engine.start()
    assert engine.facts.kind == engine.facts.name == "scripted"
    assert "no model" in engine.facts.notice
    assert await engine.models() == (MODEL,)
    message = collect(legal(await events(engine)))  # type: ignore[arg-type]
    assert "scripted engine" in message.blocks[0].text
    await engine.aclose()


async def test_delays_are_slept_between_batches():
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    script = parse('{"text": "a"}\n{"delay": 90}\n{"text": "b"}\n{"delay": 0.5}\n{"delay": 1}')
    parts = await batches(ScriptedEngine(script, sleep=sleep), asked())
    assert slept == [90, 0.5, 1]
    assert [[e.text for e in part if isinstance(e, TextDelta)] for part in parts] == [["a"], ["b"], []]


FAULTS = [  # line, what it is before the first event and after it
    ('{"fault": "reset"}', EngineLost),
    ('{"fault": "cut"}', EngineLost),
    ('{"fault": "garbage"}', EngineError),
    ('{"fault": "error", "status": 503}', EngineBusy),
    ('{"fault": "error", "status": 400, "message": "prompt is too long"}', UnderstudyError),
]


@pytest.mark.parametrize(("line", "expected"), FAULTS)
async def test_a_fault_is_an_exception_first_and_an_event_later(line, expected):
    early = ScriptedEngine(parse('{"progress": {"processed": 1, "total": 2}}\n' + line))
    answer = pushed(early.answer, asked(), "")
    assert await anext(answer) == [Progress(1, 2, 0)]
    with pytest.raises(expected):
        await anext(answer)
    late = legal(await events(ScriptedEngine(parse('{"text": "a"}\n' + line))))
    assert isinstance(late[-1], Failed)
    assert isinstance(late[-1].error, expected)
    assert early.cancelled == 0


async def test_a_character_in_two_pieces_is_no_matter_here():
    message = collect(await events(ScriptedEngine(parse('{"fault": "split_utf8"}\n{"text": "ü"}'))))
    assert message.blocks == (Text("ü"),)


async def test_leaving_early_is_noticed():
    engine = ScriptedEngine(parse('{"text": "a"}\n{"fault": "hang"}'))
    async with aclosing(pushed(engine.answer, asked(), "")) as answer:
        async for _ in answer:
            break
    assert engine.cancelled == 1
    hung = asyncio.ensure_future(events(engine))
    await asyncio.sleep(0)
    hung.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung
    assert engine.cancelled == 2


async def test_what_it_does_not_serve():
    engine = ScriptedEngine(models=(Model("small", 10), Model("any")))
    with pytest.raises(NoTarget, match="no model 'scripted-coder', only small, any"):
        await events(engine)
    long = Request("small", asked("x" * 100).turns)
    with pytest.raises(PromptTooLong) as caught:
        await events(engine, long)
    assert (caught.value.tokens, caught.value.maximum) == (tokens_of(long), 10)
    assert await engine.count(long) == tokens_of(long) > 25
    assert isinstance((await events(engine, Request("any", asked("x" * 100).turns)))[-1], MessageStop)
    assert len(engine.requests) == 3


async def test_answers_take_turns():
    script = parse(
        '{"cycle": true}\n{"answer": "w", "when": {"contains": "?"}}\n{"text": "w"}\n'
        '{"answer": "a"}\n{"text": "a"}\n{"answer": "b"}\n{"text": "b"}'
    )
    engine = ScriptedEngine(script)
    said = [collect(await events(engine, asked(text))).blocks[0].text for text in ("1", "?", "2", "3")]
    assert said == ["a", "w", "b", "a"]


async def test_the_same_question_gets_an_answer_of_its_own():
    engine = ScriptedEngine(load("hello"))
    first, second = [(await events(engine))[0].id for _ in range(2)]
    assert first != second


@pytest.mark.parametrize("name", SHIPPED)
async def test_shipped_scripts_play(name):
    engine = ScriptedEngine(load(name, {"cwd": "/here"}))
    legal(await events(engine))


async def test_the_agent_writes_edits_reads_and_ends():
    engine = ScriptedEngine(load("agent", {"cwd": "/here"}))
    tools = tuple(Tool(name) for name in ("Write", "Edit", "Read"))
    request, called = asked(tools=tools), []
    for _ in range(4):
        message = collect(await events(engine, request))
        calls = [block for block in message.blocks if isinstance(block, ToolUse)]
        called += [call.name for call in calls]
        assert all('"/here/greeting.py"' in call.input for call in calls)
        turns = (*request.turns, Turn("assistant", message.blocks), Turn("user", (Text("go on"),)))
        request = asked(tools=tools).__class__(MODEL.id, turns, tools=tools)
    assert called == ["Write", "Edit", "Read"]
    assert message.stop_reason == "end_turn"


def test_the_agent_needs_a_directory():
    with pytest.raises(ScriptError, match=r"agent.jsonl:3: the script needs cwd"):
        load("agent")


def test_a_script_from_a_file(tmp_path):
    file = tmp_path / "s.jsonl"
    file.write_text('{"text": "{who}"}', encoding="utf-8")
    assert load(file, {"who": "me"}).source == str(file)
    with pytest.raises(
        ScriptError, match=r"none.jsonl: cannot be read .*Name a file, or one of hello, agent, conform"
    ):
        load(tmp_path / "none.jsonl")
    file.write_bytes(b"\xff")
    with pytest.raises(ScriptError, match="cannot be read"):
        load(file)


async def test_vectors_are_the_same_for_the_same_text():
    found = await ScriptedEngine().embed(EmbeddingRequest("m", ("a", "b", "a", (1, 2))))
    assert found.vectors[0] == found.vectors[2] != found.vectors[1]
    vectors = [json.loads(vector) for vector in found.vectors]
    assert all(abs(math.hypot(*vector) - 1) < 1e-4 for vector in vectors)
