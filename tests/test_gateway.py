"""The whole path, from the client's bytes to the engine's request and back. Engines are puppets: no sockets, no sleeps."""

import asyncio
import time

import msgspec
import pytest
from web.driver import Puppet, Visit, ask, call, house, question, say

from understudy.auth import Caller
from understudy.config import Limits
from understudy.dialects import Quirks
from understudy.gateway import session_key
from understudy.language import errors
from understudy.language.embedding import EmbeddingRequest
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
    Usage,
)
from understudy.language.request import Prompt, Request, Text, Tool, ToolChoice, ToolResult, ToolUse, Turn
from understudy.language.target import Model
from understudy.observe.metrics import REGISTRY
from understudy.relay import Receipt

READ = {
    "name": "Read",
    "input_schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}},
        "required": ["file_path"],
        "additionalProperties": False,
    },
}
BASH = {"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}
SESSION = [(b"x-claude-code-session-id", b"s-1")]
BEGUN = [MessageStart("m"), BlockStart("text"), TextDelta("par")]
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
NATIVE = '{"file_path":"a.txt"}'


def metric(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0


def answered(visit):
    """(content, stop_reason) of an answer, streamed or not."""
    if visit.headers["content-type"] == "application/json":
        return visit.json["content"], visit.json["stop_reason"]
    blocks, text = [], {}
    for _, data in visit.events:
        if data["type"] == "content_block_start":
            blocks.append(dict(data["content_block"]))
            text[data["index"]] = ""
        elif data["type"] == "content_block_delta":
            delta = data["delta"]
            text[data["index"]] += delta.get("text", "") + delta.get("partial_json", "")
        elif data["type"] == "content_block_stop":
            block = blocks[data["index"]]
            if block["type"] == "tool_use":
                block["input"] = msgspec.json.decode(text[data["index"]])
            else:
                block["text"] = text[data["index"]]
        elif data["type"] == "message_delta":
            reason = data["delta"]["stop_reason"]
    return blocks, reason


# -- failover and refusals ----------------------------------------------------------------------------------------

FAILOVER = [
    (errors.EngineBusy("full"), True),
    (errors.EngineLost("gone"), True),
    (errors.EngineTimeout("slow"), True),
    (errors.EngineError("nonsense"), False),
    (errors.EngineRefused("no"), False),
    (errors.PromptTooLong(9, 8), False),
]


@BOTH
@pytest.mark.parametrize("progress", [False, True])
@pytest.mark.parametrize(("error", "tried"), FAILOVER, ids=[type(e).__name__ for e, _ in FAILOVER])
async def test_the_next_target_is_tried_before_the_first_event_only(error, tried, progress, stream):
    before = metric("understudy_failovers_total", error=type(error).__name__)
    first = Puppet([*([[Progress(1, 2, 0)]] if progress else []), error], name="first")
    second = Puppet([say("from the second")], name="second")
    async with house(first, second) as built:
        visit = await ask(built, stream=stream)()
    assert len(second.requests) == tried
    assert (visit.status == 200) == tried
    if tried:
        assert visit.headers["x-understudy-target"] == "second/coder"
        assert answered(visit) == ([{"type": "text", "text": "from the second"}], "end_turn")
        assert metric("understudy_failovers_total", error=type(error).__name__) == before + 1


@pytest.mark.parametrize("how", ["raised", "event"])
async def test_after_the_first_event_nobody_else_is_asked(how):
    error = errors.EngineLost("gone")
    first = Puppet([BEGUN, error if how == "raised" else [Failed(error)]], name="first")
    second = Puppet(name="second")
    async with house(first, second) as built:
        visit = await ask(built, stream=True)()
    assert not second.requests
    assert visit.names[-1] == "error"


@pytest.mark.parametrize("how", ["raised", "event"])
async def test_an_engine_that_broke_off_is_looked_at_soon(how, monkeypatch):
    error, looks = errors.EngineLost("gone"), []
    async with house(Puppet([BEGUN, error if how == "raised" else [Failed(error)]], [say("fine")])) as built:
        monkeypatch.setattr(built.pool, "look_soon", lambda: looks.append("soon"))
        await ask(built, stream=True)()
        assert looks == ["soon"]
        await ask(built, stream=True)()
        assert looks == ["soon"]


@BOTH
async def test_a_failure_that_the_client_has_seen_nothing_of_is_no_answer(stream):
    """What came with it was never sent: another engine may be asked, and the status says what happened."""
    first, second = Puppet([[*BEGUN, Failed(errors.EngineLost("gone"))]], name="first"), Puppet(name="second")
    async with house(first, second) as built:
        visit = await ask(built, stream=stream)()
        assert visit.headers["x-understudy-target"] == "second/coder"
    alone = Puppet([[*BEGUN, Failed(errors.EngineError("nonsense"))]])
    async with house(alone) as built:
        visit = await ask(built, stream=stream)()
    assert visit.status == 502


@BOTH
async def test_all_targets_down_gives_the_last_error(stream):
    engines = [Puppet([errors.EngineBusy(f"busy {n}", retry_after=n)], name=f"e{n}") for n in (1, 2, 3)]
    async with house(*engines) as built:
        visit = await ask(built, stream=stream)()
    assert visit.status == 503
    assert visit.json["error"]["message"] == "busy 3"
    assert visit.headers["retry-after"] == "3"


async def test_an_unknown_model_names_those_there_are():
    async with house(Puppet(models=(Model("a"), Model("b:7b")))) as built:
        visit = await ask(built, model="nope")()
    assert visit.status == 404
    assert visit.json["error"]["type"] == "not_found_error"
    assert "a, b:7b" in visit.json["error"]["message"]


@pytest.mark.parametrize("engines", [(), (errors.EngineLost("connection refused"),)], ids=["none", "down"])
async def test_no_engine_is_overloaded(engines):
    async with house(*(Puppet(models=why) for why in engines)) as built:
        visit = await ask(built)()
    assert visit.status == 503
    assert visit.json["error"]["type"] == "overloaded_error"
    assert visit.headers["retry-after"] == "5"


async def test_a_conversation_stays_where_its_prefix_is():
    gate = asyncio.Event()
    one, two = Puppet(name="one"), Puppet(name="two", count=5)
    async with house(one, two) as built:
        one.answers.appendleft([gate, say("slow")])
        slow = ask(built, "another conversation").start()
        await one.asked.wait()
        first = await ask(built, "Hi")()  # "one" is busy
        assert first.headers["x-understudy-target"] == "two/coder"
        gate.set()
        await slow.over()
        one.answers.clear()
        one.answers.append([say("free")])
        turns = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "more"},
        ]
        again = await ask(built, turns)()
        assert again.headers["x-understudy-target"] == "two/coder"
        assert again.headers["x-understudy-prefix"].startswith("kept")
        counted = await Visit(built.app, path="/v1/messages/count_tokens", body=question(turns))()
        assert counted.json == {"input_tokens": 5}
        new = await ask(built, "a new one")()
        assert new.headers["x-understudy-target"] == "one/coder"


async def test_a_home_that_fails_is_left():
    one, two = Puppet(name="one"), Puppet(name="two")
    async with house(one, two) as built:
        await ask(built)()
        one.answers[0] = [errors.EngineBusy("full")]
        visit = await ask(built)()
    assert visit.headers["x-understudy-target"] == "two/coder"


# -- the window ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.PromptTooLong(70000, 65536), "prompt is too long: 70000 tokens > 65536 maximum"),
        (errors.PromptTooLong(0, 4096), "prompt is too long: 4097 tokens > 4096 maximum"),
        (errors.PromptTooLong(0, 0), "prompt is too long: 65537 tokens > 65536 maximum"),
    ],
    ids=["both numbers", "its window", "no number"],
)
@pytest.mark.parametrize("where", ["raised", "event", "counting"])
async def test_an_overflow_has_both_numbers_and_a_status(error, sentence, where, stream):
    puppet = Puppet([[Failed(error)] if where == "event" else error])
    text = "Hi"
    if where == "counting":
        puppet.counted, text = error, "x" * 70000
    async with house(puppet) as built:
        visit = await ask(built, text, stream=stream)()
    assert visit.status == 400
    assert visit.headers["x-should-retry"] == "false"
    found = visit.json["error"]["message"]
    if where == "counting" and not error.tokens:
        assert found.startswith("prompt is too long: ")
        assert " 0 " not in found
    else:
        assert found == sentence


@pytest.mark.parametrize("ratio", [0.5, 0.6])
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "at once"])
@BOTH
async def test_a_prompt_that_ollama_cut_in_silence_is_no_answer(stream, begun, ratio):
    """Ollama answers a prompt over its window after throwing away the front of it: the system prompt is lost."""
    cut = say("I forgot", usage=Usage(int(4096 * ratio) + 1, None, 2))
    gate = asyncio.Event()
    taught = say("x", usage=Usage(3200, None, 1))
    puppet = Puppet(
        [gate, cut[:-1], cut[-1:]] if begun else [gate, cut],
        [taught],
        models=(Model("coder", 4096),),
        kind="ollama",
    )
    async with house(puppet) as built:
        visit = ask(built, "w" * 13000, stream=stream).start()  # by the first guess it fits
        await puppet.asked.wait()
        await ask(built, "w" * 9000)()  # teaches more tokens a byte
        gate.set()
        await visit.over()
    told = visit.events[-1][1] if stream and begun else visit.json
    message = told["error"]["message"]
    assert message.startswith("prompt is too long: ")
    assert message.endswith("> 4096 maximum")
    if stream and begun:
        assert "message_stop" not in visit.names
    else:
        assert visit.status == 400


@BOTH
async def test_an_honest_short_count_is_no_cut_prompt(stream):
    puppet = Puppet(
        [say("fine", usage=Usage(2000, None, 2))], models=(Model("coder", 4096),), kind="ollama", count=None
    )
    async with house(puppet) as built:
        visit = await ask(built, "w" * 9000, stream=stream)()
    assert visit.status == 200
    assert answered(visit)[1] == "end_turn"


CLAMPS = [  # window, bytes, counted, max_tokens asked -> max_tokens sent, whether counting was asked for
    (65536, 10, None, 64, 64, False),
    (0, 10**6, None, 64, 64, False),
    (4096, 4500, 3000, 4000, 4096 - 3000 - 16, True),
    (4096, 4500, 100, 500, 500, True),
    (4096, 4000, 3000, 4000, 4096 - 3000 - 16, True),
]


@pytest.mark.parametrize("row", CLAMPS, ids=str)
async def test_max_tokens_fits_the_window(row):
    window, size, counted, asked, sent, counts = row
    puppet = Puppet(models=(Model("coder", window),), count=counted)
    async with house(puppet) as built:
        await Visit(built.app, body=question("w" * size) | {"max_tokens": asked})()
    assert puppet.requests[0].sampling.max_tokens == sent
    assert puppet.counts == counts


async def test_no_room_for_an_answer_is_refused_before_the_engine_is_asked():
    puppet = Puppet(models=(Model("coder", 4096),), count=4090)
    async with house(puppet) as built:
        visit = await ask(built, "w" * 9000)()
    assert visit.status == 400
    assert visit.json["error"]["message"] == "prompt is too long: 4097 tokens > 4096 maximum"
    assert not puppet.requests


async def test_a_ruler_that_has_learnt_saves_the_counting():
    puppet = Puppet([say("x", usage=Usage(2000, None, 1))], models=(Model("coder", 8192),), count=2000)
    async with house(puppet) as built:
        for _ in range(4):
            await ask(built, "w" * 9000)()
    assert puppet.counts == 1


async def test_no_limit_of_the_clients_gets_ours():
    """Toward the gateway itself: other dialects have no required max_tokens."""
    puppet = Puppet()
    async with house(puppet, limits=Limits(default_max_tokens=123)) as built:
        request = Request("coder", (Turn("user", (Text("Hi"),)),))
        await built.gateway.whole(request, Caller(), Receipt())
    assert puppet.requests[0].sampling.max_tokens == 123


# -- sessions -----------------------------------------------------------------------------------------------------


def follow_up(first, content, result="done", **more):
    """The next turn as Claude Code sends it: the answer replayed, and the results of its calls."""
    calls = [block["id"] for block in content if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": one, "content": result} for one in calls]
    turns = [
        {"role": "user", "content": first},
        {"role": "assistant", "content": content},
        {"role": "user", "content": results or "and now?"},
    ]
    return question(turns, tools=[READ, BASH], **more)


RAW = '<tool_call>\n{"name": "Read", "arguments": {"file_path":   "a.txt"}}\n</tool_call>'


@BOTH
async def test_the_second_turn_replays_the_engines_own_text(stream):
    """Raw text: spacing and all, for the engine's prefix cache holds those very bytes."""
    raw = Puppet([say("On it.\n" + RAW)], tool_syntax="hermes", quirks=Quirks(raw_text=True))
    async with house(raw) as built:
        visit = await Visit(
            built.app, body=question("go", stream=stream, tools=[READ, BASH]), headers=SESSION
        )()
        content, reason = answered(visit)
        assert reason == "tool_use"
        assert content[-1]["input"] == {"file_path": "a.txt"}
        assert visit.headers["x-understudy-prefix"].startswith("new")
        again = await Visit(built.app, body=follow_up("go", content), headers=SESSION)()
    assert again.headers["x-understudy-prefix"].startswith("kept")
    turn = raw.requests[1].turns[1]
    assert turn.verbatim == "On it.\n" + RAW
    assert raw.sessions[0] == raw.sessions[1]


async def test_a_session_stays_with_the_engine_that_holds_its_prefix():
    first, second = Puppet(name="first"), Puppet(name="second")
    async with house(first, second) as built:
        await ask(built, "Hi", headers=SESSION)()
        built.pool._members["first"].in_flight = 9
        await ask(built, "Hi", headers=SESSION)()
        await ask(built, "Hi", headers=[(b"x-claude-code-session-id", b"s-2")])()
        built.pool._members["first"].in_flight = 0
    assert (len(first.requests), len(second.requests)) == (2, 1)


@BOTH
async def test_the_second_turn_gives_the_engine_its_own_ids(stream):
    puppet = Puppet([call("Read", NATIVE, identity="engine-7", text="On it.")])
    async with house(puppet) as built:
        body = question("go", stream=stream, tools=[READ, BASH])
        content, _ = answered(await Visit(built.app, body=body, headers=SESSION)())
        assert content[-1]["id"] != "engine-7"
        await Visit(built.app, body=follow_up("go", content), headers=SESSION)()
    _, assistant, results = puppet.requests[1].turns
    assert assistant.verbatim is None
    assert assistant.blocks[-1] == ToolUse("engine-7", "Read", NATIVE)
    assert results.blocks[0] == ToolResult("engine-7", (Text("done"),))


@BOTH
async def test_a_mended_call_is_replayed_mended(stream):
    puppet = Puppet([call("Read", '{"path": "a.txt",}', identity="e1")])
    async with house(puppet) as built:
        body = question("go", stream=stream, tools=[READ, BASH])
        content, _ = answered(await Visit(built.app, body=body, headers=SESSION)())
        assert content[-1]["input"] == {"file_path": "a.txt"}
        await Visit(built.app, body=follow_up("go", content), headers=SESSION)()
    replayed = puppet.requests[1].turns[1].blocks[-1]
    assert replayed.id == "e1"
    assert msgspec.json.decode(replayed.input) == {"file_path": "a.txt"}


@BOTH
async def test_a_call_that_was_given_up_is_not_replayed(stream):
    """Engines parse the arguments of replayed calls: broken ones would be refused for the rest of the conversation."""
    blocks = [
        *[BlockStart("tool_use", "good", "Read"), InputDelta(NATIVE), BlockStop()],
        *[BlockStart("tool_use", "bad", "Read"), InputDelta('{"nothing": tru'), BlockStop()],
    ]
    puppet = Puppet([[MessageStart("m"), *blocks, MessageStop("tool_use")]])
    async with house(puppet, limits=Limits(tool_retries=0)) as built:
        body = question("go", stream=stream, tools=[READ, BASH])
        content, _ = answered(await Visit(built.app, body=body, headers=SESSION)())
        assert len(content) == 1
        await Visit(built.app, body=follow_up("go", content), headers=SESSION)()
    assert [block.id for block in puppet.requests[1].turns[1].blocks] == ["good"]


# -- calls that the engine is asked for again ------------------------------------------------------------------------

BROKEN = [
    MessageStart("m"),
    *[BlockStart("text"), TextDelta("On it."), BlockStop()],
    *[BlockStart("tool_use", "bad", "Read"), InputDelta('{"nothing": tru'), BlockStop()],
    MessageStop("tool_use", usage=Usage(100, 90, 10)),
]
CONSTRAINED = [  # how the engine is held to the call, what it answers then, and what it was asked
    (
        "named",
        call("Read", NATIVE),
        ToolChoice("tool", "Read", parallel=False),
        None,
    ),
    ("required", call("Read", NATIVE), ToolChoice("any", parallel=False), None),
    ("format", say(NATIVE, usage=Usage(10, 4, 2)), ToolChoice(), READ["input_schema"]),
]


@BOTH
@pytest.mark.parametrize(
    ("way", "second", "choice", "form"), CONSTRAINED, ids=[row[0] for row in CONSTRAINED]
)
async def test_a_broken_call_is_asked_for_again_with_the_same_prompt(way, second, choice, form, stream):
    before = metric("understudy_tool_calls_total", outcome="retried")
    puppet = Puppet([BROKEN], [second], quirks=Quirks(constrain=way))
    async with house(puppet) as built:
        visit = await Visit(
            built.app, body=question("go", stream=stream, tools=[READ, BASH]), headers=SESSION
        )()
        content, reason = answered(visit)
    assert [block["type"] for block in content] == ["text", "tool_use"]
    assert content[0]["text"] == "On it."
    assert content[1]["input"] == {"file_path": "a.txt"}
    assert reason == "tool_use"
    first, again = puppet.requests
    assert (again.tool_choice, again.thinking.mode) == (choice, "disabled")
    assert (again.format and msgspec.json.decode(again.format)) == form
    assert (again.turns, again.tools, again.system) == (first.turns, first.tools, first.system), (
        "the prefix is kept"
    )
    assert puppet.sessions[0] == puppet.sessions[1]
    assert metric("understudy_tool_calls_total", outcome="retried") == before + 1
    usage = visit.events[-2][1]["usage"] if stream else visit.json["usage"]
    assert usage["output_tokens"] == 12


SECONDS = {  # what does not help
    "broken again": [BROKEN],
    "text": [say("I would rather not.")],
    "another tool": [call("Bash", '{"command": "ls"}')],
    "busy": [errors.EngineBusy("full")],
    "cut": [call("Read", NATIVE)[:-1]],
}


@BOTH
@pytest.mark.parametrize("second", SECONDS.values(), ids=SECONDS)
async def test_a_second_try_that_fails_changes_nothing(second, stream):
    puppet = Puppet([BROKEN], second)
    async with house(puppet) as built:
        visit = await Visit(built.app, body=question("go", stream=stream, tools=[READ, BASH]))()
    content, reason = answered(visit)
    assert (content, reason) == ([{"type": "text", "text": "On it."}], "tool_use")
    assert len(puppet.requests) == 2
    assert visit.status == 200


async def test_the_number_of_tries_is_bounded():
    bad = [
        e
        for n in range(4)
        for e in (BlockStart("tool_use", f"bad{n}", "Read"), InputDelta("{}"), BlockStop())
    ]
    puppet = Puppet([[MessageStart("m"), *bad, MessageStop("tool_use")]], [call("Read", NATIVE)])
    async with house(puppet) as built:
        content, _ = answered(await Visit(built.app, body=question("go", tools=[READ]))())
    assert len(puppet.requests) == 1 + Limits().tool_retries
    assert [block["input"] for block in content] == Limits().tool_retries * [{"file_path": "a.txt"}]


async def test_a_tool_that_does_not_exist_may_become_one_that_does():
    bad = [BlockStart("tool_use", "bad", "Fly"), InputDelta("{}"), BlockStop()]
    puppet = Puppet([[MessageStart("m"), *bad, MessageStop("tool_use")]], [call("Read", NATIVE)])
    async with house(puppet) as built:
        content, _ = answered(await Visit(built.app, body=question("go", tools=[READ]))())
    assert puppet.requests[1].tool_choice == ToolChoice("any", parallel=False)
    assert content[0]["name"] == "Read"


async def test_an_answer_in_which_a_call_was_written_twice_is_replayed_as_the_client_has_it():
    puppet = Puppet([BROKEN], [call("Read", NATIVE, identity="e2")])
    async with house(puppet) as built:
        body = question("go", tools=[READ, BASH])
        content, _ = answered(await Visit(built.app, body=body, headers=SESSION)())
        await Visit(built.app, body=follow_up("go", content), headers=SESSION)()
    assert [block.id for block in puppet.requests[2].turns[1].blocks if isinstance(block, ToolUse)] == [
        content[1]["id"]
    ]


WRITE = {
    "name": "Write",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}


async def test_a_call_streams_while_it_is_written():
    gate = asyncio.Event()
    begun = [MessageStart("m"), BlockStart("tool_use", "e1", "Write"), InputDelta('{"text": "hel')]
    puppet = Puppet([begun, gate, [InputDelta('lo"}'), BlockStop(), MessageStop("tool_use")]])
    async with house(puppet) as built:
        visit = Visit(built.app, body=question("go", stream=True, tools=[WRITE])).start()
        await visit.until(lambda v: b"hel" in v.body)
        gate.set()
        await visit.over()
    assert answered(visit)[0][0]["input"] == {"text": "hello"}


@pytest.mark.parametrize("helps", [True, False])
async def test_a_call_that_tore_while_it_streamed_is_completed_or_the_answer_fails(helps):
    """It never looks like a whole one."""
    begun = [MessageStart("m"), BlockStart("tool_use", "e1", "Write"), InputDelta('{"text": "hel')]
    second = call("Write", '{"text":"hello"}' if helps else '{"text":"other"}')
    puppet = Puppet([begun, [BlockStop(), MessageStop("tool_use")]], [second])
    async with house(puppet) as built:
        visit = await Visit(built.app, body=question("go", stream=True, tools=[WRITE]))()
    if helps:
        assert answered(visit) == (
            [{**visit.events[1][1]["content_block"], "input": {"text": "hello"}}],
            "tool_use",
        )
    else:
        assert visit.names[-1] == "error"
        assert "content_block_stop" not in visit.names
        assert "Write cannot be run" in visit.events[-1][1]["error"]["message"]


async def test_a_client_that_leaves_at_the_last_event_is_remembered():
    """Claude Code may ask again as soon as it has read message_stop, whatever the engine's connection still does."""
    gate = asyncio.Event()
    puppet = Puppet([call("Read", NATIVE, identity="e1"), gate])
    async with house(puppet) as built:
        body = question("go", stream=True, tools=[READ, BASH])
        visit = Visit(built.app, body=body, headers=SESSION).start()
        await visit.until(lambda v: b"message_stop" in v.body)
        content, _ = answered(visit)
        again = Visit(built.app, body=follow_up("go", content, stream=True), headers=SESSION).start()
        await again.until(lambda v: b"message_stop" in v.body)
        assert puppet.requests[1].turns[1].blocks[0].id == "e1"
        gate.set()
        await visit.over()
        await again.over()


MARKS = [
    ("same tools", {}, "kept"),
    ("another tool", {"tools": [READ, BASH, {**READ, "name": "Extra"}]}, "broken at tools.2"),
    ("another system", {"system": "You are B"}, "broken at system.0"),
]


@pytest.mark.parametrize(("_name", "more", "expected"), MARKS, ids=[m[0] for m in MARKS])
async def test_what_broke_the_prefix_is_said(_name, more, expected):
    base = {"tools": [READ, BASH], "system": "You are A"}
    async with house(Puppet()) as built:
        first = await Visit(built.app, body=question("one", **base), headers=SESSION)()
        assert first.headers["x-understudy-prefix"].partition(";")[0] == "new"
        turns = [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "two"},
        ]
        second = await Visit(built.app, body=question(turns, **base | more), headers=SESSION)()
    assert second.headers["x-understudy-prefix"].startswith(expected)


AGENT = [*SESSION, (b"x-claude-code-agent-id", b"a-1")]


@pytest.mark.parametrize(
    ("headers", "tools"),
    [(SESSION, []), (SESSION, [{"type": "web_search_20250305", "name": "web_search"}]), (AGENT, [READ])],
    ids=["title", "web search", "sub-agent"],
)
async def test_side_requests_do_not_break_the_main_thread(headers, tools):
    puppet = Puppet()
    async with house(puppet) as built:
        await Visit(built.app, body=question("main", tools=[READ, BASH]), headers=SESSION)()
        side = question("title?", system="Write a title.", tools=tools)
        await Visit(built.app, body=side, headers=headers)()
        again = await Visit(built.app, body=question("main", tools=[READ, BASH]), headers=SESSION)()
    assert again.headers["x-understudy-prefix"].startswith("kept")
    assert puppet.sessions[0] == puppet.sessions[2] != puppet.sessions[1]


UNREAD = {
    "too long": [errors.PromptTooLong(9, 8)],
    "engine busy": [errors.EngineBusy("x")],
    "left in the prefill": [[Progress(1, 9, 0)], asyncio.Event],
    "left in the queue": [asyncio.Event],
}


@BOTH
@pytest.mark.parametrize("how", UNREAD)
async def test_a_prompt_that_was_never_read_is_not_remembered(how, stream):
    steps = [asyncio.Event() if step is asyncio.Event else step for step in UNREAD[how]]
    puppet = Puppet([say("one")], steps, [say("two")])
    async with house(puppet) as built:
        tools = {"tools": [READ]}
        await Visit(built.app, body=question("a", system="A", **tools), headers=SESSION)()
        puppet.asked.clear()
        other = question("b", system="B", stream=stream, **tools)
        visit = Visit(built.app, body=other, headers=SESSION).start()
        await puppet.asked.wait()
        visit.leave()
        await visit.over()
        again = await Visit(built.app, body=question("a", system="A", **tools), headers=SESSION)()
    assert again.headers["x-understudy-prefix"].startswith("kept")


@BOTH
@pytest.mark.parametrize("end", ["leaves", "fails", "cut"])
async def test_half_an_answer_is_not_remembered(end, stream):
    half = [MessageStart("m"), BlockStart("tool_use", "e1", "Read"), InputDelta(NATIVE), BlockStop()]
    last = {"leaves": [asyncio.Event()], "fails": [[Failed(errors.EngineLost("x"))]], "cut": []}[end]
    puppet = Puppet([half, *last])
    async with house(puppet) as built:
        visit = Visit(built.app, body=question("go", stream=stream, tools=[READ]), headers=SESSION).start()
        await puppet.asked.wait()
        if end == "leaves":
            visit.leave()
        await visit.over()
        session = built.gateway._sessions.of(puppet.sessions[0])
    assert not session._turns


async def test_two_callers_of_one_opening_share_nothing():
    request = Request("m", (Turn("user", (Text("Hi"),)),), tools=(Tool("T"),))
    keys = {
        session_key(request, Caller(key="a")),
        session_key(request, Caller(key="b")),
        session_key(request, Caller(session="s")),
        session_key(request, Caller(session="s", agent="x")),
        session_key(Request("m", request.turns), Caller(session="s")),
        session_key(Request("m", request.turns, user="u", tools=request.tools), Caller()),
        session_key(Request("m", ()), Caller()),
        session_key(Request("m", (), user="u"), Caller()),
    }
    assert len(keys) == 8
    assert not any("Hi" in key for key in keys)


def test_a_user_has_as_many_sessions_as_conversations():
    def asking(*words):
        return Request("m", tuple(Turn("user", (Text(word),)) for word in words), user="app")

    assert session_key(asking("Hi"), Caller()) == session_key(asking("Hi", "more"), Caller())
    assert session_key(asking("Hi"), Caller()) != session_key(asking("Ho"), Caller())


async def test_a_cloud_target_gets_the_clients_own_request():
    cloud = Puppet(local=False)
    async with house(cloud) as built:
        turns = [{"role": "user", "content": "a"}, {"role": "system", "content": "note"}]
        await Visit(built.app, body=question(turns))()
    assert [turn.role for turn in cloud.requests[0].turns] == ["user", "system"]


# -- tools --------------------------------------------------------------------------------------------------------


def two_calls():
    one = [BlockStart("tool_use", "e1", "Read"), InputDelta(NATIVE), BlockStop()]
    two = [BlockStart("tool_use", "e2", "Bash"), InputDelta('{"command":"ls"}'), BlockStop()]
    return [MessageStart("m"), *one, *two, MessageStop("tool_use")]


CHOICES = [
    ({"type": "auto"}, ["Read", "Bash"], "tool_use"),
    ({"type": "any"}, ["Read", "Bash"], "tool_use"),
    ({"type": "auto", "disable_parallel_tool_use": True}, ["Read"], "tool_use"),
    ({"type": "tool", "name": "Bash"}, ["Bash"], "tool_use"),
    ({"type": "none"}, [], "end_turn"),
]


@BOTH
@pytest.mark.parametrize(("choice", "names", "reason"), CHOICES, ids=[str(c[0]) for c in CHOICES])
async def test_tool_choice_is_kept_whatever_the_engine_does(choice, names, reason, stream):
    async with house(Puppet([two_calls()])) as built:
        body = question("go", stream=stream, tools=[READ, BASH], tool_choice=choice)
        visit = await Visit(built.app, body=body)()
    content, found = answered(visit)
    assert [block["name"] for block in content] == names
    assert found == reason


@BOTH
async def test_a_call_that_cannot_be_mended_never_leaves_but_asks_for_another_try(stream):
    async with house(Puppet([call("Read", '{"nothing": tru')])) as built:
        visit = await Visit(built.app, body=question("go", stream=stream, tools=[READ]))()
    assert answered(visit) == ([], "tool_use")


@BOTH
@pytest.mark.parametrize("syntax", ["auto", "hermes", "native"])
@pytest.mark.parametrize("native", [False, True])
async def test_noise_never_becomes_a_command(native, syntax, stream):
    """The rehearsal model's weights are random: whatever it says, no tool is called."""
    model = Model("qwen-coder", 65536, template="<tool_call>")
    noise = call("Read", NATIVE) if native else say("sure\n" + RAW, reason="tool_use")
    puppet = Puppet([noise], models=(model,), quirks=Quirks(tools=False, raw_text=True), tool_syntax=syntax)
    async with house(puppet) as built:
        body = question("go", stream=stream, tools=[READ, BASH], model="qwen-coder")
        visit = await Visit(built.app, body=body)()
    content, reason = answered(visit)
    assert not [block for block in content if block["type"] == "tool_use"]
    assert reason == "end_turn"


async def test_outcomes_of_calls_are_counted():
    before = {o: metric("understudy_tool_calls_total", outcome=o) for o in ("clean", "repaired", "given up")}
    puppet = Puppet([call("Read", NATIVE)], [call("Read", '{"path":"a"}')], [call("Read", "{")])
    async with house(puppet) as built:
        for _ in range(3):
            await Visit(built.app, body=question("go", tools=[READ]))()
    for outcome, count in before.items():
        assert metric("understudy_tool_calls_total", outcome=outcome) == count + 1, outcome


# -- large and odd requests ---------------------------------------------------------------------------------------

RECURSIVE = {"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}}
PATTERN = {"type": "object", "properties": {"a": {"type": "string", "pattern": r"^(?<year>\d{4})(a+)+$"}}}
HUGE = {
    "type": "object",
    "properties": {f"p{n}": {"type": "string", "description": "x" * 190} for n in range(9000)},
}
SCHEMAS = {
    "recursive": RECURSIVE,
    "pattern": PATTERN,
    "huge": HUGE,
    "lookbehind": {"pattern": r"(?<=a)b\p{Han}"},
}


@pytest.mark.parametrize("name", SCHEMAS)
async def test_odd_schemas_are_served(name):
    async with house(Puppet([call("T", "{}")], models=(Model("coder"),))) as built:
        body = msgspec.json.encode(question("go", tools=[{"name": "T", "input_schema": SCHEMAS[name]}]))
        began = time.perf_counter()
        visit = await Visit(built.app, body=body)()
    assert name != "huge" or len(body) > 2_000_000
    assert answered(visit)[1] == "tool_use"
    assert time.perf_counter() - began < 5


async def test_ten_thousand_messages_are_answered_in_good_time():
    turns = []
    for n in range(2500):
        turns += [
            {"role": "user", "content": f"do {n}"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": f"t{n}", "name": "Bash", "input": {}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"t{n}", "content": "ok"}]},
            {"role": "assistant", "content": "done"},
        ]
    turns.append({"role": "user", "content": "and now?"})
    puppet = Puppet(models=(Model("coder", 0),))
    async with house(puppet) as built:
        began = time.perf_counter()
        visit = await ask(built, turns, tools=[BASH])()
        seconds = time.perf_counter() - began
    assert visit.status == 200
    assert len(puppet.requests[0].turns) == 10001
    assert seconds < 3


# -- counting -----------------------------------------------------------------------------------------------------


async def test_count_is_the_engines_and_says_nothing_of_estimates():
    puppet = Puppet(count=1234)
    async with house(puppet) as built:
        receipt = Receipt()
        request = Request("coder", (Turn("user", (Text("Hi"),)),))
        assert await built.gateway.count(request, Caller(), receipt) == 1234
    assert not receipt.estimated
    assert not puppet.requests


async def test_an_estimate_learns_and_is_flagged():
    puppet = Puppet([say("x", usage=Usage(5000, None, 1))])
    async with house(puppet) as built:
        request = Request("coder", (Turn("user", (Text("w" * 10000),)),))
        receipt = Receipt()
        first = await built.gateway.count(request, Caller(), receipt)
        await built.gateway.whole(request, Caller(), Receipt())
        second = await built.gateway.count(request, Caller(), Receipt())
    assert receipt.estimated
    assert first != second
    assert abs(second - 5000) < 5


def test_headers_are_printable_and_short():
    receipt = Receipt()
    receipt.reason = "claude-x\r\nset-cookie: a=b\x00é" + "y" * 10**6
    ((name, value),) = receipt.headers()
    assert name == b"x-understudy-route"
    assert value.startswith(b"claude-x??set-cookie: a=b??y")
    assert len(value) == 500


async def test_a_model_name_cannot_write_headers():
    async with house(Puppet()) as built:
        visit = await ask(built, model="claude-\r\nx-evil: 1")()
    assert visit.status == 200
    assert not any(b"\r" in value or b"\n" in value for _, value in visit.starts[0]["headers"])


# -- vectors ----------------------------------------------------------------------------------------------------------


def embed(built, model="auto", **more):
    return Visit(built.app, path="/v1/embeddings", body={"model": model, "input": ["a", "b"], **more})


async def test_vectors_come_from_a_model_that_makes_them():
    coder, embedder = Puppet(name="one"), Puppet(name="two", models=(Model("nomic-embed-text"),))
    async with house(coder, embedder) as built:
        visit = await embed(built)()
    assert visit.status == 200
    assert [row["index"] for row in visit.json["data"]] == [0, 1]
    assert visit.json["model"] == "auto"
    assert visit.headers["x-understudy-target"] == "two/nomic-embed-text"
    assert embedder.embedded[0].model == "nomic-embed-text"
    assert not coder.embedded


async def test_no_texts_are_no_vectors_and_no_question():
    puppet = Puppet()
    async with house(puppet) as built:
        receipt = Receipt()
        found = await built.gateway.embed(EmbeddingRequest("coder", ()), receipt)
        with pytest.raises(errors.NoTarget):
            await built.gateway.embed(EmbeddingRequest("nope", ()), receipt)
    assert (found.vectors, puppet.embedded) == ((), [])


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (Request("coder", ()), 0),
        (Request("coder", (), (Text("s"),)), 1),
        (Request("coder", (), prompt=Prompt("")), 1),
    ],
)
async def test_whoever_asks_nothing_is_told_nothing_by_nobody(request_, asked):
    puppet = Puppet([say("Hello")])
    async with house(puppet) as built:
        message = await built.gateway.whole(request_, Caller(), receipt := Receipt())
    assert len(puppet.requests) == asked
    assert bool(message.blocks) == bool(asked)
    assert str(receipt.target) == "puppet/coder"


async def test_who_would_answer():
    async with house(Puppet(), Puppet(name="two", models=(Model("big"),))) as built:
        assert str(built.gateway.find("two/big")) == "two/big"
        with pytest.raises(errors.NoTarget):
            built.gateway.find("nope")


async def test_vectors_are_asked_of_the_next_engine_when_one_is_busy():
    one, two = Puppet(name="one"), Puppet(name="two")
    one.embed = lambda request: _raise(errors.EngineBusy("full"))
    async with house(one, two) as built:
        visit = await embed(built, "coder")()
        assert visit.headers["x-understudy-target"] == "two/coder"
        two.embed = lambda request: _raise(errors.EngineRefused("it cannot"))
        refused = await embed(built, "coder")()
        two.embed = one.embed
        busy = await embed(built, "coder")()
    assert refused.status == 400
    assert refused.json["error"]["message"] == "it cannot"
    assert busy.status == 503
    assert [row.in_flight for row in built.pool.snapshot()] == [0, 0]


async def _raise(error):
    raise error
