"""Sections 1 and 2: which requests come, and what is in their headers."""

import asyncio
import json

import pytest
from contract.claude import (
    AGENT,
    HAIKU,
    MODEL,
    TITLE,
    Ask,
    call,
    compaction_request,
    count_tokens_request,
    first_request,
    headers,
    next_turn,
    result,
    subagent_request,
    title_request,
    web_search_request,
)
from contract.playhouse import (
    CODER,
    FakeEngine,
    answer,
    blocks,
    called,
    calls,
    ending,
    events,
    playhouse,
    playhouse_served,
    rendered,
    settings,
    thought,
)

from understudy.auth import Gatekeeper
from understudy.engines import Facts
from understudy.language.request import change
from understudy.language.target import Model
from understudy.routing.privacy import decide


@pytest.mark.requirement("CC-1.1")
async def test_a_question_is_answered_with_a_stream():
    async with playhouse(answer("It draws a graph.")) as house:
        response = await house.ask(first_request())
    assert blocks(response) == [{"type": "text", "text": "It draws a graph."}]
    assert [event["type"] for event in events(response)] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events(response)[0]["message"]["model"] == MODEL


@pytest.mark.requirement("CC-1.2")
@pytest.mark.parametrize("path", ["/api/hello", "/"])
async def test_the_probe_at_the_start(path):
    async with playhouse() as house:
        response = await house.client.head(path, headers={"user-agent": "Bun/1.3"})
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.requirement("CC-1.3", "CC-8.34")
async def test_the_title_question_goes_to_whatever_model_there_is():
    async with playhouse(answer('{"title": "Plots"}'), loaded=settings()) as house:  # the default [models]
        response = await house.ask(title_request())
        assert json.loads(blocks(response)[0]["text"]) == {"title": "Plots"}
        assert events(response)[0]["message"]["model"] == HAIKU
        assert house.engine.asked[0].model == CODER.id
        assert house.body("vllm")["response_format"]["json_schema"]["schema"] == TITLE
        assert house.body("ollama")["format"] == TITLE


@pytest.mark.requirement("CC-1.4", "CC-8.35")
async def test_discovery_lists_every_model_under_an_id_that_the_client_keeps():
    models = (Model("qwen3-coder:30b", 40960), Model("claude-ish-7b"), Model("tiny"))
    async with playhouse(models=models, loaded=settings()) as house:
        page = (await house.client.get("/v1/models?limit=1000", headers=headers())).json()
        rows = {row["id"]: row for row in page["data"]}
        assert [name for name in rows if "claude" in name or "anthropic" in name] == [
            "claude-local-qwen3-coder:30b",
            "claude-ish-7b",
            "claude-local-tiny",
        ]
        assert {model.id for model in models} <= rows.keys()
        assert rows["claude-local-qwen3-coder:30b"]["description"] == "40960 tokens"
        for name, model in (("claude-local-tiny", "tiny"), ("qwen3-coder:30b", "qwen3-coder:30b")):
            assert (await house.told(first_request(model=name))).model == model


@pytest.mark.requirement("CC-1.5")
async def test_counting_needs_neither_system_nor_max_tokens():
    async with playhouse(counts=321) as house:
        response = await house.ask(count_tokens_request())
    assert (response.status_code, response.json()) == (200, {"input_tokens": 321})
    assert "x-understudy-estimate" not in response.headers
    assert len(house.engine.counted[0].tools) == 11  # twelve, and the stand-in left out


@pytest.mark.requirement("CC-1.6")
async def test_26_counts_at_a_time():
    async with playhouse_served(counts=lambda request: len(request.turns[0].blocks[0].text)) as house:
        asks = [count_tokens_request("x" * n) for n in range(1, 27)]
        responses = await asyncio.gather(*(house.ask(ask) for ask in asks))
    assert [response.json()["input_tokens"] for response in responses] == list(range(1, 27))


@pytest.mark.requirement("CC-1.7", "CC-8.31")
async def test_a_web_search_is_answered_though_nobody_can_search():
    async with playhouse(answer("I cannot search.")) as house:
        response = await house.ask(web_search_request())
        assert blocks(response) == [{"type": "text", "text": "I cannot search."}]
        for kind in ("vllm", "llama-server", "ollama"):
            body = house.body(kind)
            (tool,) = body[
                "tools"
            ]  # a function: whoever runs it, and whether anybody does, is told by its result
            assert tool["function"]["name"] == "web_search"
            assert tool["function"]["parameters"]["required"] == ["query"]
            assert body.get("tool_choice", "auto") == "auto"


@pytest.mark.requirement("CC-1.8", "CC-2.8")
async def test_a_sub_agent_is_answered_while_the_main_conversation_runs():
    release, main = asyncio.Event(), asyncio.Event()

    async def waits():
        main.set()
        await release.wait()
        yield answer("main")

    async with playhouse_served(waits, answer("agent"), answer("main again")) as house:
        first = asyncio.ensure_future(house.ask(first_request()))
        await main.wait()
        other = await house.ask(subagent_request())
        assert blocks(other)[0]["text"] == "agent"
        assert other.headers["x-understudy-prefix"].startswith("new")
        release.set()
        assert blocks(await first)[0]["text"] == "main"
        turn = next_turn(first_request(), [{"type": "text", "text": "main"}])
        again = await house.ask(turn)
        assert again.headers["x-understudy-prefix"].startswith("kept"), "the sub-agent is no break"


@pytest.mark.requirement("CC-1.3", "CC-1.7", "CC-2.8")
async def test_side_questions_of_a_session_break_no_prefix():
    first = first_request()
    async with playhouse() as house:
        assert (await house.ask(first)).headers["x-understudy-prefix"].startswith("new")
        for side in (subagent_request(), subagent_request(agent="b7"), title_request(), web_search_request()):
            await house.ask(side)
        turn = next_turn(first, [{"type": "text", "text": "hello"}])
        assert (await house.ask(turn)).headers["x-understudy-prefix"].startswith("kept")
        again = next_turn(subagent_request(), [{"type": "text", "text": "hello"}])
        assert (await house.ask(again)).headers["x-understudy-prefix"].startswith("kept")


@pytest.mark.requirement("CC-1.9", "CC-4.14")
async def test_a_compaction_goes_on_from_the_last_prompt():
    async with playhouse(calls(("Bash", {"command": "ls"}, "e1")), answer("a"), answer("summary")) as house:
        first = first_request()
        reply = await house.ask(first)
        identity = blocks(reply)[0]["id"]
        turn = next_turn(first, [call(identity, "Bash", command="ls")], result(identity, "plot.py"))
        await house.ask(turn)
        response = await house.ask(compaction_request(turn))
        assert blocks(response) == [{"type": "text", "text": "summary"}]
        assert response.headers["x-understudy-prefix"].startswith("kept")
        before, now = (house.body("llama-server", n) for n in (1, 2))
        assert now["tools"] == before["tools"]
        assert now["messages"][: len(before["messages"])] == before["messages"]
        assert "Write down all that matters" in now["messages"][-1]["content"]


ANSWERS = {
    "text": answer("It draws."),
    "thinking": answer(thought("Hm. "), "So."),
    "calls": answer(
        "I look.",
        called("Bash", {"command": "ls"}),
        called("Read", {"file_path": "/a"}, "c2"),
        stop="tool_use",
    ),
    "cut by its limit": answer("It dr", stop="max_tokens"),
    "empty": answer(),
}


@pytest.mark.requirement("CC-1.10")
@pytest.mark.parametrize("given", ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_repeat_without_streaming_gives_the_same_answer(given):
    async with playhouse(given) as house:
        streamed = await house.ask(first_request())
        whole = (await house.ask(first_request().whole())).json()
    unlike = {"id": "", "signature": ""}
    assert [{**b, **unlike} for b in whole["content"]] == [{**b, **unlike} for b in blocks(streamed)]
    assert (whole["type"], whole["role"], whole["model"]) == ("message", "assistant", MODEL)
    end = ending(streamed)
    assert whole["stop_reason"] == end["delta"]["stop_reason"]
    assert whole["usage"] == {**whole["usage"], **end["usage"]}


# ---- headers ----

KEY = "sk-understudy-test"
KEYS = [
    pytest.param(
        {"authorization": f"Bearer {KEY}"}, 200, id="bearer", marks=pytest.mark.requirement("CC-2.1")
    ),
    pytest.param({"x-api-key": KEY}, 200, id="x-api-key", marks=pytest.mark.requirement("CC-2.2")),
    pytest.param(
        {"authorization": f"Bearer {KEY}", "x-api-key": KEY},
        200,
        id="both",
        marks=pytest.mark.requirement("CC-2.3"),
    ),
    pytest.param(
        {"authorization": "Bearer other", "x-api-key": KEY},
        200,
        id="one of two",
        marks=pytest.mark.requirement("CC-2.3"),
    ),
    pytest.param({"authorization": "Bearer other"}, 401, id="wrong", marks=pytest.mark.requirement("CC-6.4")),
    pytest.param({}, 401, id="none", marks=pytest.mark.requirement("CC-6.4")),
]


@pytest.mark.parametrize(("given", "status"), KEYS)
async def test_keys(given, status):
    ask = first_request()
    bare = {name: value for name, value in ask.headers.items() if name != "authorization"}
    async with playhouse(loaded=settings(key=KEY, names={"*": "auto"})) as house:
        response = await house.ask(Ask(ask.body, {**bare, **given}))
    assert response.status_code == status
    if status == 401:
        assert response.json()["error"]["type"] == "authentication_error"
        assert response.headers["x-should-retry"] == "false"


# what the client may send or leave out, and nothing may hang on it
VARIANTS = [
    pytest.param(
        {"user-agent": "claude-cli/2.1.197 (external, cli)"}, marks=pytest.mark.requirement("CC-2.4")
    ),
    pytest.param(
        {"user-agent": "claude-cli/3.0.0 (external, sdk-py, agent-sdk/0.3.0)"},
        marks=pytest.mark.requirement("CC-2.4"),
    ),
    pytest.param({"user-agent": "Bun/1.3"}, marks=pytest.mark.requirement("CC-2.4")),
    pytest.param({"anthropic-version": "2031-01-01"}, marks=pytest.mark.requirement("CC-2.5")),
    pytest.param({"anthropic-version": None}, marks=pytest.mark.requirement("CC-2.5")),
    pytest.param({"anthropic-beta": "tea-2031-01-01,oh so wrong,,"}, marks=pytest.mark.requirement("CC-2.6")),
    pytest.param({"anthropic-beta": None}, marks=pytest.mark.requirement("CC-2.6")),
    pytest.param(
        {"x-stainless-retry-count": "7", "x-stainless-timeout": "1"}, marks=pytest.mark.requirement("CC-2.9")
    ),
    pytest.param({"x-stainless-timeout": "soon"}, marks=pytest.mark.requirement("CC-2.9")),
    pytest.param(
        {"x-app": "web", "anthropic-dangerous-direct-browser-access": "true"},
        marks=pytest.mark.requirement("CC-2.12"),
    ),
    pytest.param({"x-claude-code-request-class": "brunch"}, marks=pytest.mark.requirement("CC-2.10")),
    pytest.param({"accept-encoding": "gzip, deflate, br, zstd"}, marks=pytest.mark.requirement("CC-2.11")),
]


@pytest.mark.parametrize("given", VARIANTS, ids=str)
async def test_headers_that_change_nothing(given):
    ask = first_request()
    sent = {name: value for name, value in {**ask.headers, **given}.items() if value is not None}
    async with playhouse() as house:
        response = await house.ask(Ask(ask.body, sent))
        assert blocks(response) == [{"type": "text", "text": "hello"}]
        assert "content-encoding" not in response.headers
        usual = await house.told(ask)
    assert change(house.engine.asked[0], asked_at=0) == change(usual, asked_at=0)


@pytest.mark.requirement("CC-2.7")
async def test_the_session_id_holds_a_conversation_together():
    first = first_request()
    turn = next_turn(first, [{"type": "text", "text": "hello"}])
    async with playhouse() as house:
        await house.ask(first)
        other = await house.ask(turn, headers={"x-claude-code-session-id": "another"})
        assert other.headers["x-understudy-prefix"].startswith("new")
        same = await house.ask(turn)
        assert same.headers["x-understudy-prefix"].startswith("kept")


@pytest.mark.requirement("CC-2.10")
def test_hints_are_read():
    ask = first_request(hints=True)
    raw = {name.encode(): value.encode() for name, value in ask.headers.items()}
    caller = Gatekeeper("127.0.0.1").admit("/v1/messages", {b"host": b"127.0.0.1", **raw})
    assert (caller.request_class, caller.session, caller.agent) == (
        "main",
        ask.headers["x-claude-code-session-id"],
        "",
    )
    agent = {name.encode(): value.encode() for name, value in subagent_request().headers.items()}
    assert Gatekeeper("127.0.0.1").admit("/", agent | {b"host": b"localhost"}).agent == AGENT


@pytest.mark.requirement("CC-8.38")
async def test_every_question_reaches_the_engine():
    async with playhouse(answer("one"), answer("two"), answer("three")) as house:
        texts = [blocks(await house.ask(first_request(p)))[0]["text"] for p in ("a", "b", "b")]
    assert texts == ["one", "two", "three"]


@pytest.mark.requirement("CC-8.2")
async def test_toward_the_claude_api_the_bytes_are_the_clients_own():
    kept = []

    class Cloud(FakeEngine):
        async def answer(self, request, session, listener):
            kept.append(request.raw)
            await super().answer(request, session, listener)

    cloud = Cloud(kind="anthropic")
    cloud.facts = Facts("cloud", "anthropic", raw=True)
    async with playhouse(engines=[cloud]) as house:
        house.house.gateway._router._may_leave = lambda _: decide("open", ())
        await house.ask(first_request())
    assert kept == [first_request().content]
    assert b"x-anthropic-billing-header" in kept[0]
    assert rendered(house.engine.asked[0], "anthropic") == kept[0], "and these go out"
