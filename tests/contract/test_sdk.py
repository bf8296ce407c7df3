"""The official SDK as the judge: sync and async, streamed and whole, and every wire of tests/wires through the gateway."""

import asyncio
import json
from contextlib import asynccontextmanager

import anthropic
import pytest
from contract.claude import SCHEMAS, big_request, first_request
from contract.playhouse import (
    FakeEngine,
    answer,
    called,
    playhouse_served,
    said,
    settings,
    started,
    thought,
)
from harness import WIRES, meaning

from understudy.app import new_id
from understudy.dialects import Quirks
from understudy.engines import KINDS, Facts, Kind
from understudy.engines.remote import RemoteEngine
from understudy.engines.upstream import Upstream
from understudy.language import errors
from understudy.language.events import Failed
from understudy.language.target import Model

HELLO = [{"role": "user", "content": "hello"}]
ASK = {"model": "local-coder", "max_tokens": 64, "messages": HELLO}
BASH = {"name": "Bash", "description": "runs", "input_schema": SCHEMAS["Bash"]}


@asynccontextmanager
async def client_of(*answers, **more):
    """The async SDK in front of a gateway; `.house` is the gateway."""
    async with playhouse_served(*answers, **more) as house, sdk(house, anthropic.AsyncAnthropic) as client:
        yield client, house


def sdk(house, kind, **more):
    """A client that tries once."""
    return kind(base_url=str(house.client.base_url), api_key="none", max_retries=0, timeout=20, **more)


# ---- its own helpers ----


async def test_create_whole_and_streamed():
    async with client_of(answer("Good ", "day.", stop="end_turn")) as (client, _):
        message = await client.messages.create(**ASK)
        assert [block.text for block in message.content] == ["Good ", "day."]
        assert (message.stop_reason, message.model, message.role) == ("end_turn", ASK["model"], "assistant")
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (200, 1000)
        kinds = [event.type async for event in await client.messages.create(**ASK, stream=True)]
        assert kinds[0] == "message_start"
        assert kinds[-1] == "message_stop"


async def test_the_stream_helper():
    given = answer(thought("Hm. "), "I look.", called("Bash", {"command": "ls"}), stop="tool_use")
    async with client_of(given) as (client, _):
        async with client.messages.stream(
            **ASK, tools=[BASH], thinking={"type": "enabled", "budget_tokens": 1024}
        ) as stream:
            texts = [text async for text in stream.text_stream]
            message = await stream.get_final_message()
        assert texts == ["I look."]
        reasoning, words, call = message.content
        assert (reasoning.type, reasoning.thinking, reasoning.signature) == ("thinking", "Hm. ", "")
        assert (words.text, call.name, call.input) == ("I look.", "Bash", {"command": "ls"})
        assert message.stop_reason == "tool_use"
        assert message.usage.output_tokens == 7


async def test_the_sync_client():
    given = answer("I look.", called("Bash", {"command": "ls"}), stop="tool_use")
    async with playhouse_served(given, counts=99) as house:

        def asks():
            with sdk(house, anthropic.Anthropic) as client:
                whole = client.messages.create(**ASK, tools=[BASH])
                with client.messages.stream(**ASK, tools=[BASH]) as stream:
                    streamed = stream.get_final_message()
                count = client.messages.count_tokens(model="m", messages=HELLO, tools=[BASH])
                return whole, streamed, count.input_tokens, [model.id for model in client.models.list()]

        whole, streamed, count, models = await asyncio.to_thread(asks)
    assert whole.content[1].input == streamed.content[1].input == {"command": "ls"}
    assert whole.stop_reason == streamed.stop_reason == "tool_use"
    assert count == 99
    assert models == ["qwen-coder", "claude-local-qwen-coder"]


async def test_a_tool_loop():
    rounds = (answer(called("Bash", {"command": "ls"}, "e1"), stop="tool_use"), answer("One file."))
    async with client_of(*rounds) as (client, house):
        first = await client.messages.create(**ASK, tools=[BASH])
        outcome = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "plot.py"}
        history = [
            *HELLO,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [outcome]},
        ]
        last = await client.messages.create(**{**ASK, "messages": history}, tools=[BASH])
        assert last.content[0].text == "One file."
        assert house.engine.asked[1].turns[-1].blocks[0].tool_use_id == "e1"


@pytest.mark.requirement("CC-1.5", "CC-6.12")
async def test_counting():
    async with client_of(counts=4321) as (client, _):
        count = await client.messages.count_tokens(model="m", messages=HELLO, system="s", tools=[BASH])
        assert count.input_tokens == 4321


@pytest.mark.requirement("CC-1.4")
async def test_models_are_listed_page_by_page_and_one_by_one():
    models = tuple(Model(f"m{n}", 4096 * n) for n in range(1, 16))
    async with client_of(models=models, loaded=settings()) as (client, _):
        found = [model async for model in client.models.list(limit=7)]
        assert [model.id for model in found][::2] == [model.id for model in models]
        one = await client.models.retrieve("m3")
        assert (one.id, one.type, one.display_name, one.max_input_tokens) == ("m3", "model", "m3", 12288)
        with pytest.raises(anthropic.NotFoundError, match="m15"):
            await client.models.retrieve("m99")


RAISED = [
    (errors.EngineRefused("no"), anthropic.BadRequestError, "invalid_request_error"),
    (errors.PromptTooLong(9, 8), anthropic.BadRequestError, "invalid_request_error"),
    (errors.Unauthorized("no"), anthropic.AuthenticationError, "authentication_error"),
    (errors.Forbidden("no"), anthropic.PermissionDeniedError, "permission_error"),
    (errors.NoTarget("no"), anthropic.NotFoundError, "not_found_error"),
    (errors.TooLarge("no"), anthropic.RequestTooLargeError, "request_too_large"),
    (errors.Refused("no"), anthropic.RateLimitError, "rate_limit_error"),
    (errors.Bug("no"), anthropic.InternalServerError, "api_error"),
    (errors.EngineError("no"), anthropic.InternalServerError, "api_error"),
    (errors.EngineBusy("no"), anthropic.ServiceUnavailableError, "overloaded_error"),
    (errors.EngineTimeout("no"), anthropic.DeadlineExceededError, "timeout_error"),
]


@pytest.mark.requirement("CC-6.1", "CC-6.3")
@pytest.mark.parametrize(("error", "kind", "name"), RAISED, ids=[type(row[0]).__name__ for row in RAISED])
async def test_every_error_is_the_sdks_own(error, kind, name):
    async with client_of(error) as (client, _):
        for ask in (ASK, {**ASK, "stream": True}):
            with pytest.raises(kind) as raised:
                await client.messages.create(**ask)
            assert raised.value.status_code == error.status
            assert raised.value.body["error"]["type"] == name
            assert raised.value.request_id.startswith("req_")


@pytest.mark.requirement("CC-6.18")
async def test_an_error_in_the_stream():
    given = [started(), *said("It dr"), Failed(errors.EngineBusy("full"))]
    async with client_of(given) as (client, _):
        seen = []

        async def reads():
            async with client.messages.stream(**ASK) as stream:
                async for text in stream.text_stream:
                    seen.append(text)  # noqa: PERF401 - what came before the error counts

        with pytest.raises(anthropic.APIStatusError, match="full"):
            await reads()
        assert seen == ["It dr"]


@pytest.mark.requirement("CC-6.1", "CC-6.3")
async def test_it_tries_again_when_told_to_and_only_then():
    async with playhouse_served(errors.EngineBusy("x", retry_after=0.2), answer("second")) as house:
        kind = anthropic.AsyncAnthropic(base_url=str(house.client.base_url), api_key="none", max_retries=1)
        async with kind as client:
            assert (await client.messages.create(**ASK)).content[0].text == "second"
    refusing = FakeEngine(errors.EngineRefused("no"))
    async with playhouse_served(engines=[refusing]) as house:
        kind = anthropic.AsyncAnthropic(base_url=str(house.client.base_url), api_key="none", max_retries=3)
        async with kind as client:
            with pytest.raises(anthropic.BadRequestError):
                await client.messages.create(**ASK)
    assert len(refusing.asked) == 1


@pytest.mark.requirement("CC-3.20", "CC-1.1")
async def test_claude_codes_own_questions():
    async with client_of(answer("a")) as (client, _):
        for ask in (first_request(), big_request(100)):
            body = ask.whole().body
            message = await client.post(ask.path, body=body, cast_to=anthropic.types.Message)
            assert message.content[0].text == "a"


# ---- every wire ----

LOCAL_ANTHROPIC = Kind(dialect="anthropic", chat="/v1/messages", inventory="openai")
SUFFIXES = {"openai": "sse", "ollama": "ndjson", "anthropic": "sse"}
NAME = "wire-model"
LISTINGS = {
    "/v1/models": {"data": [{"id": NAME, "max_model_len": 131072}]},
    "/props": {"default_generation_settings": {"n_ctx": 131072}},
    "/api/tags": {"models": [{"name": NAME}]},
    "/api/ps": {"models": [{"name": NAME, "context_length": 131072}]},
    "/api/show": {"capabilities": ["completion", "tools", "thinking", "vision"]},
}


@asynccontextmanager
async def replaying(wire: bytes, content_type: str):
    """An engine that answers every chat with these bytes, cut in two, and hangs up; gives its URL."""

    async def connected(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = next(
                (int(row[15:]) for row in head.split("\r\n") if row.startswith("content-length:")), 0
            )
            await reader.readexactly(length)
            path = head.split(" ")[1]
            body, kind = wire, content_type
            if path in LISTINGS and (path != "/v1/models" or head.startswith("get")):
                body, kind = json.dumps(LISTINGS[path]).encode(), "application/json"
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())
            writer.write(body[: len(body) // 2])
            await writer.drain()
            writer.write(body[len(body) // 2 :])
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def engine_for(dialect: str, wire_name: str, url: str, upstream: Upstream) -> RemoteEngine:
    """The engine whose wire this is."""
    if dialect == "anthropic":
        facts = Facts("wire", "anthropic", url, quirks=Quirks(), tool_syntax="native")
        return RemoteEngine(facts, upstream, new_id, kind=LOCAL_ANTHROPIC)
    kind = "ollama" if dialect == "ollama" else "llama-server" if wire_name.startswith("llamacpp") else "vllm"
    syntax = "hermes" if wire_name == "llamacpp-raw-text" else "native"
    facts = Facts("wire", kind, url, quirks=KINDS[kind].quirks, tool_syntax=syntax)
    return RemoteEngine(facts, upstream, new_id)


def meant(story: list[dict], *, served: bool = False) -> tuple[list[tuple], dict]:
    """What a wire means: its blocks, and how it ends. Blank text is nothing, nor are tools run elsewhere, for most."""
    found, open_block, pieces = [], {}, []
    for event in story:
        match event["event"]:
            case "BlockStart":
                open_block, pieces = event, []
            case "TextDelta" | "ThinkingDelta":
                pieces.append(event["text"])
            case "InputDelta":
                pieces.append(event["json"])
            case "Served" if served:
                block = event["block"]
                found.append(("served", block.get("tool_use_id") or block["id"]))
            case "BlockStop":
                words = "".join(pieces)
                if open_block["kind"] == "tool_use":
                    found.append(("tool_use", open_block["name"], words))
                elif words.strip() or (words and open_block["kind"] == "thinking"):
                    found.append((open_block["kind"], words))
    return found, story[-1]


def told(message) -> list[tuple]:
    """The same of the SDK's message."""
    out = []
    for block in message.content:
        match block.type:
            case "tool_use":
                out.append(("tool_use", block.name, block.input))
            case "thinking":
                out.append(("thinking", block.thinking))
            case "server_tool_use":
                out.append(("served", block.id))
            case "web_search_tool_result" | "web_fetch_tool_result":
                out.append(("served", block.tool_use_id))
            case _:
                out.append(("text", block.text))
    return out


RAW_TEXT = ([("thinking", "ls"), ("tool_use", "Bash", '{"command": "ls"}')], "tool_use")
THROUGH = {"llamacpp-raw-text": RAW_TEXT, "odd-length-in-arguments": ([], "max_tokens")}
"""Wires that mean more, or less, to a client than to the decoder: our stages read raw text, and a cut call never leaves."""


def all_wires():
    for dialect, suffix in SUFFIXES.items():
        for path in sorted((WIRES / dialect).glob(f"*.{suffix}")):
            yield pytest.param(dialect, path, id=f"{dialect}/{path.stem}")


@pytest.mark.requirement("CC-6.32", "CC-8.9", "CC-8.11", "CC-8.18")
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("dialect", "path"), list(all_wires()))
async def test_the_sdk_reads_every_wire(dialect, path, stream):
    story = meaning(path)
    expected, end = meant(story, served=True)
    if path.stem in THROUGH:
        expected, end["stop_reason"] = THROUGH[path.stem]
    names = {row[1] for row in expected if row[0] == "tool_use"}
    offered = [{"name": name, "input_schema": {"type": "object"}} for name in sorted(names) if name]
    content_type = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
    upstream = Upstream()
    async with replaying(path.read_bytes(), content_type) as url:
        engine = engine_for(dialect, path.stem, url, upstream)
        async with client_of(engines=[engine]) as (client, _):
            ask = {**ASK, "max_tokens": 4096, "tools": offered or anthropic.NOT_GIVEN}
            if end["event"] == "Failed":
                with pytest.raises(anthropic.APIStatusError) as raised:
                    await final(client, ask, stream=stream)
                check_error(raised.value, end)
            else:
                check(await final(client, ask, stream=stream), expected, end)
    await upstream.aclose()


async def final(client, ask, *, stream):
    """The finished message, one way or the other."""
    if not stream:
        return await client.messages.create(**ask)
    async with client.messages.stream(**ask) as helper:
        return await helper.get_final_message()


def check_error(raised, end) -> None:
    cls = getattr(errors, end["error"])
    assert raised.body["error"]["type"] == cls.kind
    assert raised.body["error"]["message"] == end["message"]


def check(message, expected, end) -> None:
    found = told(message)
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        if row[0] == "tool_use":
            assert row[2] == json.loads(wanted[2] or "{}")
    assert message.stop_reason == end["stop_reason"]
    assert message.stop_sequence == end["stop_sequence"]
    usage = end["usage"]
    cached = usage["cached_tokens"] or 0
    written = message.usage.cache_creation_input_tokens
    assert message.usage.input_tokens + written + message.usage.cache_read_input_tokens == max(
        usage["input_tokens"], cached
    )
    assert message.usage.cache_read_input_tokens == cached
    assert message.usage.output_tokens == usage["output_tokens"]
