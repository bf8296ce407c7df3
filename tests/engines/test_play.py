"""Fake engines over loopback, read by the official clients and by our own: answers, faults, limits, discovery."""

import asyncio
import json
from contextlib import aclosing, asynccontextmanager

import anthropic
import httpx
import ollama
import openai
import pytest
from harness import ids, legal, pushed

from understudy.config import Limits
from understudy.dialects import dialect
from understudy.engines import KINDS, Facts
from understudy.engines.discover import PROBES, discover
from understudy.engines.play import REMEMBERED, serving
from understudy.engines.play_kinds import MANNERS
from understudy.engines.remote import RemoteEngine
from understudy.engines.script import ScriptError, parse
from understudy.engines.upstream import Upstream
from understudy.language.errors import (
    EngineBusy,
    EngineError,
    EngineLost,
    EngineTimeout,
    NoTarget,
    PromptTooLong,
)
from understudy.language.events import Failed, InputDelta, MessageStop, TextDelta, ThinkingDelta
from understudy.language.message import collect
from understudy.language.request import Request, Sampling, Text, Tool, Turn

KEY = "sk-none"
OPENAI = [kind for kind in KINDS if KINDS[kind].dialect == "openai"]
SESSION = parse(
    '{"thinking": "Hm"}\n{"chunk": 4}\n{"text": "Grüße, Welt"}\n'
    '{"call": {"name": "Write", "input": {"file_path": "a", "content": "é"}}}\n'
    '{"usage": {"input_tokens": 100, "cached_tokens": 90, "output_tokens": 7}}'
)
TEXT = parse('{"text": "Hel"}\n{"text": "lo"}')
WRITE = Tool("Write", "writes", b'{"type":"object","properties":{"content":{"type":"string"}}}')


def asked(text: str = "hi", model: str = "scripted-coder", **more) -> Request:
    return Request(model, (Turn("user", (Text(text),)),), **more)


@asynccontextmanager
async def remote(played, *, limits: Limits | None = None):
    """Our own engine object for a fake one."""
    upstream = Upstream()
    kind = played.house.kind
    facts = Facts(kind, kind, played.url, quirks=KINDS[kind].quirks)
    try:
        yield RemoteEngine(facts, upstream, ids(), limits=limits or Limits())
    finally:
        await upstream.aclose()


async def told(engine: RemoteEngine, request: Request) -> list:
    return [event async for batch in pushed(engine.answer, request, "") for event in batch]


# --- answers


@pytest.mark.parametrize("kind", MANNERS)
@pytest.mark.parametrize("pace", [None, 0])
async def test_our_own_engine_reads_every_kind(kind, pace):
    async with serving(SESSION, kind=kind, pace=pace) as played, remote(played) as engine:
        events = legal(await told(engine, asked(tools=(WRITE,))))
        text = "".join(e.text for e in events if isinstance(e, TextDelta))
        thoughts = "".join(e.text for e in events if isinstance(e, ThinkingDelta))
        arguments = "".join(e.json for e in events if isinstance(e, InputDelta))
        assert (text, thoughts) == ("Grüße, Welt", "Hm")
        assert json.loads(arguments) == {"file_path": "a", "content": "é"}
        stop = events[-1]
        assert isinstance(stop, MessageStop)
        assert stop.stop_reason == "tool_use"
        assert stop.usage.output_tokens == 7
        assert stop.usage.input_tokens == 100
        assert [r.path for r in played.requests] == [KINDS[kind].chat]
        assert json.loads(played.requests[0].body)["tools"]


@pytest.mark.parametrize("kind", OPENAI)
async def test_the_openai_client(kind):
    async with (
        serving(SESSION, kind=kind) as played,
        openai.AsyncOpenAI(base_url=played.url + "/v1", api_key=KEY) as client,
    ):
        question = {"model": "scripted-coder", "messages": [{"role": "user", "content": "hi"}]}
        whole = await client.chat.completions.create(**question)
        assert whole.choices[0].message.content == "Grüße, Welt"
        assert whole.choices[0].message.tool_calls[0].function.name == "Write"
        assert whole.usage.prompt_tokens == 100
        pieces, options = "", {"include_usage": True}
        stream = await client.chat.completions.create(**question, stream=True, stream_options=options)
        async for chunk in stream:
            pieces += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        assert pieces == "Grüße, Welt"
        assert chunk.usage.prompt_tokens_details.cached_tokens == 90
        listed = [model.id async for model in client.models.list()]
        assert listed == ["scripted-coder"]


async def test_the_ollama_client():
    async with serving(SESSION, kind="ollama") as played:
        client = ollama.AsyncClient(host=played.url)
        async with client:
            question = {"model": "scripted-coder", "messages": [{"role": "user", "content": "hi"}]}
            whole = await client.chat(**question)
            assert whole.message.content == "Grüße, Welt"
            assert whole.message.tool_calls[0].function.arguments == {"file_path": "a", "content": "é"}
            pieces = [part.message.content async for part in await client.chat(**question, stream=True)]
            assert "".join(pieces) == "Grüße, Welt"
            assert [m.model for m in (await client.list()).models] == ["scripted-coder"]
            assert (await client.ps()).models[0].context_length == 4096
            assert "tools" in (await client.show("scripted-coder")).capabilities


async def test_the_anthropic_client():
    async with (
        serving(SESSION, kind="anthropic") as played,
        anthropic.AsyncAnthropic(base_url=played.url, api_key=KEY) as client,
    ):
        question = {
            "model": "scripted-coder",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}],
        }
        whole = await client.messages.create(**question)
        assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
        assert whole.usage.cache_read_input_tokens == 90
        async with client.messages.stream(**question) as stream:
            message = await stream.get_final_message()
        assert message.content[1].text == "Grüße, Welt"
        assert message.content[2].id.startswith("toolu_")
        del question["max_tokens"]
        assert (await client.messages.count_tokens(**question)).input_tokens > 0
        assert [model.id async for model in client.models.list()] == ["scripted-coder"]


async def test_answers_are_chosen_by_the_request_and_take_turns():
    script = parse(
        '{"cycle": true}\n{"answer": "x", "when": {"contains": "?"}}\n{"text": "x"}\n'
        '{"answer": "a"}\n{"text": "a"}\n{"answer": "b"}\n{"text": "b"}'
    )
    async with serving(script) as played, remote(played) as engine:
        said = [collect(await told(engine, asked(text))).blocks[0].text for text in "12?1?1"]
    assert said == ["a", "b", "x", "a", "x", "b"]


async def test_a_script_that_takes_turns_may_have_no_turns():
    script = parse('{"cycle": true}\n{"answer": "x", "when": {"contains": "?"}}\n{"text": "x"}')
    async with serving(script) as played, remote(played) as engine:
        assert collect(await told(engine, asked("?"))).blocks[0].text == "x"


# --- faults

LATE = {  # fault after some text: what it is to us, and the error's name at the client of OpenAI, Ollama and Anthropic
    "reset": (EngineLost, "APIConnectionError", "ReadError", "ReadError"),
    "cut": (EngineLost, "", "", ""),
    "garbage": (EngineError, "JSONDecodeError", "JSONDecodeError", "JSONDecodeError"),
    "error": (EngineError, "APIError", "ResponseError", "APIStatusError"),
}
"""By name: the official clients bring an HTTP library of their own."""


def late(fault: str):
    more = '\n{"text": "lo"}' if fault == "garbage" else ""
    return parse(f'{{"text": "Hel"}}\n{{"delay": 1}}\n{{"fault": "{fault}"}}' + more)


async def at_once(seconds: float) -> None:
    """A delay that is none."""


@pytest.mark.parametrize("fault", LATE)
@pytest.mark.parametrize("kind", MANNERS)
async def test_a_late_fault_cuts_our_answer(kind, fault):
    heard, events = asyncio.Event(), []

    async def sleep(seconds: float) -> None:
        await heard.wait()

    async with serving(late(fault), kind=kind, sleep=sleep) as played, remote(played) as engine:
        async for batch in pushed(engine.answer, asked(), ""):
            events += batch
            heard.set()
    last = legal(events)[-1]
    if (kind, fault) == ("anthropic", "garbage"):
        assert isinstance(last, MessageStop)  # its decoder steps over nonsense between records
        return
    assert isinstance(last, Failed)
    assert isinstance(last.error, LATE[fault][0])


async def spoken(kind: str, url: str) -> str:
    """What the official client of this kind reads from a stream."""
    messages = [{"role": "user", "content": "hi"}]
    if kind == "ollama":
        async with ollama.AsyncClient(host=url) as client:
            stream = await client.chat(model="scripted-coder", messages=messages, stream=True)
            return "".join([part.message.content async for part in stream])
    if kind == "anthropic":
        async with anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as client:
            stream = await client.messages.create(
                model="scripted-coder", messages=messages, max_tokens=9, stream=True
            )
            deltas = [e.delta.text async for e in stream if e.type == "content_block_delta"]
            return "".join(deltas)
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0) as client:
        stream = await client.chat.completions.create(model="scripted-coder", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


@pytest.mark.parametrize("fault", LATE)
@pytest.mark.parametrize("kind", MANNERS)
async def test_a_late_fault_at_the_official_client(kind, fault):
    expected = LATE[fault][{"openai": 1, "ollama": 2, "anthropic": 3}[KINDS[kind].dialect]]
    async with serving(late(fault), kind=kind, sleep=at_once) as played:
        if not expected:
            assert await spoken(kind, played.url) == "Hel"
            return
        with pytest.raises(Exception) as caught:
            await spoken(kind, played.url)
    assert expected in {parent.__name__ for parent in type(caught.value).__mro__}


EARLY = [  # the whole script, what it is to us
    ('{"fault": "reset"}', EngineLost, None),
    ('{"fault": "cut"}', EngineLost, None),
    ('{"fault": "error", "status": 503, "message": "Loading model"}', EngineBusy, "Loading model"),
    ('{"fault": "error", "status": 500, "message": "out of memory"}', EngineError, "out of memory"),
]


@pytest.mark.parametrize(("text", "expected", "words"), EARLY)
@pytest.mark.parametrize("kind", MANNERS)
async def test_an_early_fault_is_an_exception(kind, text, expected, words):
    async with serving(parse(text), kind=kind) as played, remote(played) as engine:
        with pytest.raises(expected, match=words):
            await told(engine, asked())


@pytest.mark.parametrize("kind", MANNERS)
async def test_an_early_error_has_its_status(kind):
    async with serving(parse('{"fault": "error", "status": 503}'), kind=kind) as played:
        with pytest.raises((openai.APIStatusError, ollama.ResponseError, anthropic.APIStatusError)) as caught:
            await spoken(kind, played.url)
        assert caught.value.status_code == 503


@pytest.mark.parametrize("kind", MANNERS)
async def test_silence_ends_in_a_timeout(kind):
    limits = Limits(first_byte_seconds=0.05, idle_seconds=0.05)
    async with (
        serving(parse('{"fault": "hang"}'), kind=kind) as played,
        remote(played, limits=limits) as engine,
    ):
        with pytest.raises(EngineTimeout):
            await told(engine, asked())
        await played.until(lambda: len(played.cancelled) == 1)
    async with (
        serving(late("hang"), kind=kind, sleep=at_once) as played,
        remote(played, limits=limits) as engine,
    ):
        events = legal(await told(engine, asked()))
        assert isinstance(events[-1].error, EngineTimeout)


@pytest.mark.parametrize("kind", MANNERS)
async def test_a_character_in_two_pieces_is_whole(kind):
    script = parse('{"text": "Gr"}\n{"fault": "split_utf8"}\n{"text": "üße"}')
    async with serving(script, kind=kind, pace=0) as played, remote(played) as engine:
        assert collect(await told(engine, asked())).blocks == (Text("Grüße"),)
        assert await spoken(kind, played.url) == "Grüße"


async def test_the_character_really_is_cut():
    script = parse('{"fault": "split_utf8"}\n{"text": "ü"}')
    async with serving(script) as played, httpx.AsyncClient() as client:
        body = {"model": "scripted-coder", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with client.stream("POST", played.url + "/v1/chat/completions", json=body) as response:
            chunks = [chunk async for chunk in response.aiter_raw()]
    assert any(chunk.endswith(b"\xc3") for chunk in chunks)
    assert "ü".encode() in b"".join(chunks)


WHOLE = [
    ('{"fault": "reset"}', httpx.TransportError, 0),
    ('{"text": "a"}\n{"fault": "cut"}', None, 200),
    ('{"fault": "garbage"}\n{"text": "a"}', None, 200),
    ('{"text": "a"}\n{"fault": "error", "status": 503}', None, 503),
    ('{"fault": "split_utf8"}\n{"text": "ü"}', None, 200),
    ('{"delay": 0}\n{"text": "a"}', None, 200),
]


@pytest.mark.parametrize(("text", "expected", "status"), WHOLE)
@pytest.mark.parametrize("kind", MANNERS)
async def test_faults_of_an_answer_in_one_piece(kind, text, expected, status):
    body = {"model": "scripted-coder", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    async with serving(parse(text), kind=kind) as played, httpx.AsyncClient() as client:
        call = client.post(played.url + KINDS[kind].chat, json=body | {"max_tokens": 5})
        if expected is not None:
            with pytest.raises(expected):
                await call
            return
        response = await call
        assert response.status_code == status
        complete = "cut" not in text and "garbage" not in text
        assert _is_json(response.content) is complete


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except json.JSONDecodeError:
        return False
    return True


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_is_noticed_at_once(stream):
    async with serving(late("hang"), sleep=at_once) as played, remote(played) as engine:
        if stream:
            async with aclosing(pushed(engine.answer, asked(), "")) as answer:
                async for _ in answer:
                    break
        else:
            body = {"model": "scripted-coder", "messages": [{"role": "user", "content": "hi"}]}
            async with httpx.AsyncClient(timeout=0.1) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.post(played.url + "/v1/chat/completions", json=body)
        await played.until(lambda: not played.in_flight)
        assert [r.path for r in played.cancelled] == ["/v1/chat/completions"]


# --- limits


@pytest.mark.parametrize("kind", MANNERS)
async def test_a_prompt_over_the_window(kind):
    async with serving(TEXT, kind=kind, context=512) as played, remote(played) as engine:
        await engine.models()  # tells Ollama its window
        with pytest.raises(PromptTooLong) as caught:
            await told(engine, asked("x" * 4096, sampling=Sampling(max_tokens=10)))
        assert caught.value.maximum == 512
        assert 1024 <= caught.value.tokens < 1100
        assert collect(await told(engine, asked())).blocks == (Text("Hello"),)


async def test_prompt_and_answer_together_are_too_long_for_vllm():
    async with serving(TEXT, kind="vllm", context=512) as played, remote(played) as engine:
        with pytest.raises(PromptTooLong) as caught:
            await told(engine, asked(sampling=Sampling(max_tokens=512)))
        assert caught.value.tokens > caught.value.maximum == 512


CUTS = [  # what is sent to Ollama, and the prompt it says it has read
    ({}, 4096),
    ({"options": {"num_ctx": 8192}}, 8192),
    ({"options": {"num_ctx": 1_000_000}}, 16384),
    ({"truncate": True}, 4096),
    ({"options": {"num_ctx": 4096}, "truncate": False}, None),
]


@pytest.mark.parametrize(("more", "read"), CUTS)
@pytest.mark.parametrize("stream", [True, False])
async def test_ollama_cuts_without_a_word(more, read, stream):
    body = {
        "model": "scripted-coder:latest",
        "messages": [{"role": "user", "content": "x" * 80_000}],
        "stream": stream,
    }
    async with serving(TEXT, kind="ollama", context=16384) as played, httpx.AsyncClient() as client:
        response = await client.post(played.url + "/api/chat", json=body | more)
        last = json.loads(response.text.splitlines()[-1])
        assert last.get("prompt_eval_count") == read
        running = (await client.get(played.url + "/api/ps")).json()["models"]
        assert [row["context_length"] for row in running] == [read or 4096]
    assert (read is None) == ("exceeds the available context size" in last.get("error", ""))


UNKNOWN = [kind for kind in MANNERS if MANNERS[kind].unknown]


@pytest.mark.parametrize("kind", MANNERS)
async def test_a_model_that_is_not_there(kind):
    async with serving(TEXT, kind=kind) as played, remote(played) as engine:
        if kind not in UNKNOWN:  # llama-server and SGLang answer to any name
            assert collect(await told(engine, asked(model="other"))).blocks == (Text("Hello"),)
            return
        with pytest.raises(NoTarget, match=r"other|does not exist|not found"):
            await told(engine, asked(model="other"))


@pytest.mark.parametrize("kind", MANNERS)
async def test_what_cannot_be_read_is_refused(kind):
    async with serving(TEXT, kind=kind) as played, httpx.AsyncClient() as client:
        posts = [KINDS[kind].chat, *{"vllm": ["/tokenize"], "ollama": ["/api/show"]}.get(kind, [])]
        posts += {
            "llama-server": ["/v1/chat/completions/input_tokens"],
            "anthropic": ["/v1/messages/count_tokens"],
        }.get(kind, [])
        for path in posts:
            response = await client.post(played.url + path, content=b"{")
            assert response.status_code == 400
            assert dialect(KINDS[kind].dialect).refusal(400, response.content).message
        response = await client.get(played.url + "/nowhere")
        assert response.status_code == MANNERS[kind].lost_status
        assert response.headers["server"] == "understudy-play"
        head = await client.head(played.url + "/v1/models")
        assert (head.status_code, head.content) == (200, b"")


async def test_lm_studio_answers_200_to_any_path():
    async with serving(TEXT, kind="lmstudio") as played, httpx.AsyncClient() as client:
        response = await client.get(played.url + "/version")
    assert response.status_code == 200
    assert response.json() == {"error": "Unexpected endpoint or method. (GET /version)"}


async def test_ollamas_own_pages():
    async with serving(TEXT, kind="ollama", model="m:latest") as played, httpx.AsyncClient() as client:
        assert (await client.get(played.url)).text == "Ollama is running"
        shown = await client.post(played.url + "/api/show", json={"model": "m"})
        assert shown.json()["model_info"]["scripted.context_length"] == 65536
        missing = await client.post(played.url + "/api/show", json={"model": "n"})
        assert (missing.status_code, missing.json()) == (404, {"error": "model 'n' not found"})


async def test_a_request_that_comes_again_gets_the_same_bytes():
    async with serving(TEXT) as played, httpx.AsyncClient() as client:
        body = {"model": "scripted-coder", "messages": [{"role": "user", "content": "hi"}]}
        first = await client.post(played.url + "/v1/chat/completions", json=body)
        for number in range(REMEMBERED + 1):
            other = body | {"user": str(number)}
            assert (await client.post(played.url + "/v1/chat/completions", json=other)).status_code == 200
        assert (await client.post(played.url + "/v1/chat/completions", json=body)).content == first.content
        assert played.connections == 1


async def test_no_answer_is_a_server_error():
    async with serving(parse('{"answer": "a", "when": {"turn": 9}}')) as played, remote(played) as engine:
        with pytest.raises(EngineError, match="no answer matches this request"):
            await told(engine, asked())


async def test_what_cannot_be_played():
    with pytest.raises(ScriptError, match="'tgi' cannot be played: one of vllm"):
        async with serving(TEXT, kind="tgi"):
            pass


# --- what discovery and the inventory see


WINDOWS = {
    "vllm": 8192,
    "llama-server": 8192,
    "sglang": 8192,
    "lmstudio": 8192,
    "ollama": 8192,
    "openai": 0,
    "anthropic": 0,
}


@pytest.mark.parametrize("kind", MANNERS)
async def test_the_inventory_gives_the_window(kind):
    async with serving(TEXT, kind=kind, context=8192, model="m") as played, remote(played) as engine:
        (model,) = await engine.models()
        assert (model.id, model.context) == ("m", WINDOWS[kind])


@pytest.mark.parametrize("kind", MANNERS)
async def test_tokens_are_counted_as_they_are_in_the_answer(kind):
    async with serving(TEXT, kind=kind) as played, remote(played) as engine:
        counted = await engine.count(asked(tools=(WRITE,)))
        assert (counted is not None) == bool(KINDS[kind].count)
        if counted is not None:
            stop = (await told(engine, asked(tools=(WRITE,))))[-1]
            assert stop.usage.input_tokens == counted > 0


@pytest.mark.parametrize("kind", PROBES)
async def test_discovery_finds_each_kind_as_itself(kind):
    async with serving(TEXT, kind=kind) as played:
        found = await found_at(played.url, tuple(PROBES))
    assert played.url in {row.url for row in found if row.kind == kind}


@pytest.mark.parametrize("kind", [*PROBES, "openai", "anthropic"])
async def test_discovery_finds_no_kind_as_another(kind):
    async with serving(TEXT, kind=kind) as played:
        found = await found_at(played.url, tuple(PROBES))
    assert [row.kind for row in found] == ([kind] if kind in PROBES else [])


async def found_at(url: str, kinds: tuple[str, ...]):
    """What discovery takes this server for, each kind asked alone."""
    upstream, port = Upstream(), int(url.rpartition(":")[2])
    try:
        found = []
        for kind in kinds:
            found += await discover(
                upstream, hosts=["127.0.0.1"], ollama_host="", patience=5, ports={kind: (port,)}
            )
        return found
    finally:
        await upstream.aclose()
