"""Every client dialect in front of every engine's wire: the client's official SDK reads what the engine said.

Anthropic's and the Responses API's are in test_sdk and test_responses_sdk; here are the others. Each client has its own way
to tell text, reasoning and calls; what it tells is compared with the wire's meaning.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import ollama
import openai
import pytest
from contract.playhouse import PLAIN, playhouse_served
from contract.test_sdk import THROUGH, all_wires, engine_for, meant, replaying
from harness import meaning

from understudy.engines.upstream import Upstream
from understudy.language import errors

HELLO = [{"role": "user", "content": "hello"}]
STOPS = {"max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


@dataclass
class Read:
    """What a client has understood."""

    text: str = ""
    thinking: str = ""
    calls: list = field(default_factory=list)
    finish: str | None = None
    prompt: int = 0
    output: int = 0


def tools_of(names):
    return [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names
    ]


# ---- OpenAI ----


def openai_client(url):
    plain = httpx.AsyncClient(verify=PLAIN)
    return openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=20, http_client=plain
    )


async def chat_whole(url, names):
    async with openai_client(url) as client:
        answer = await client.chat.completions.create(
            model="m", messages=HELLO, tools=tools_of(names) or openai.omit
        )
    [choice] = answer.choices
    message, usage = choice.message, answer.usage
    return Read(
        message.content or "",
        (message.model_extra or {}).get("reasoning_content", ""),
        [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()],
        choice.finish_reason,
        usage.prompt_tokens,
        usage.completion_tokens,
    )


async def chat_streamed(url, names):
    """By the SDK's own accumulator, and by hand where it keeps nothing."""
    read = Read()
    async with openai_client(url) as client:
        wishes = {"stream_options": {"include_usage": True}, "tools": tools_of(names) or openai.omit}
        async with client.chat.completions.stream(model="m", messages=HELLO, **wishes) as stream:
            async for event in stream:
                if event.type == "chunk" and event.chunk.choices:
                    extra = event.chunk.choices[0].delta.model_extra or {}
                    read.thinking += extra.get("reasoning_content", "")
                    read.finish = event.chunk.choices[0].finish_reason
            answer = stream.current_completion_snapshot
    message = answer.choices[0].message
    read.text = message.content or ""
    read.calls = [
        (call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()
    ]
    read.prompt, read.output = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return read


async def completions_whole(url, _names):
    async with openai_client(url) as client:
        answer = await client.completions.create(model="m", prompt="def f", max_tokens=4096)
    usage = answer.usage
    [choice] = answer.choices
    return Read(
        choice.text, finish=choice.finish_reason, prompt=usage.prompt_tokens, output=usage.completion_tokens
    )


async def completions_streamed(url, _names):
    read = Read()
    wishes = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 4096}
    async with openai_client(url) as client:
        async for chunk in await client.completions.create(model="m", prompt="def f", **wishes):
            for choice in chunk.choices:
                read.text += choice.text
                read.finish = choice.finish_reason
            if chunk.usage:
                read.prompt, read.output = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
    return read


def openai_failed(error):
    body = error.body if isinstance(error.body, dict) else {}
    return getattr(error, "status_code", None), body.get("message")


# ---- Ollama ----


def ollama_read(parts):
    read = Read()
    for part in parts:
        message = part.get("message") or part
        read.text += message.get("content") or message.get("response") or ""
        read.thinking += message.get("thinking") or ""
        for call in message.get("tool_calls") or ():
            read.calls.append((call.function.name, dict(call.function.arguments)))
    read.finish, read.prompt, read.output = part.done_reason, part.prompt_eval_count, part.eval_count
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    return read


async def ollama_asked(url, *, stream, **asked):
    client = ollama.AsyncClient(host=url, timeout=20, verify=PLAIN)
    ask = client.chat if "messages" in asked else client.generate
    try:
        answer = await ask("m", **asked, stream=stream)
        return ollama_read([part async for part in answer] if stream else [answer])
    finally:
        await client.close()


def ollama_chat(*, stream):
    return lambda url, names: ollama_asked(url, stream=stream, messages=HELLO, tools=tools_of(names))


def ollama_generate(*, stream):
    return lambda url, _names: ollama_asked(url, stream=stream, prompt="hello")


def ollama_failed(error):
    return (error.status_code if error.status_code != -1 else None), error.error


# ---- the matrix ----


@dataclass
class Client:
    """One client: how it asks, what it raises, what it cannot be told."""

    ask: Callable[[str, list[str]], Awaitable[Read]]
    raises: type[Exception]
    failed: Callable[[Exception], tuple]
    deaf: tuple[str, ...] = ()
    stops: dict = field(default_factory=dict)
    raw: bool = False


NO_CALLS = {**STOPS, "tool_use": "stop"}
OLLAMA = {"max_tokens": "length"}
CLIENTS = {
    "chat-whole": Client(chat_whole, openai.APIError, openai_failed, stops=STOPS),
    "chat-stream": Client(chat_streamed, openai.APIError, openai_failed, stops=STOPS),
    "completions-whole": Client(
        completions_whole, openai.APIError, openai_failed, ("tool_use", "thinking"), NO_CALLS, raw=True
    ),
    "completions-stream": Client(
        completions_streamed, openai.APIError, openai_failed, ("tool_use", "thinking"), NO_CALLS, raw=True
    ),
    "ollama-whole": Client(ollama_chat(stream=False), ollama.ResponseError, ollama_failed, stops=OLLAMA),
    "ollama-stream": Client(ollama_chat(stream=True), ollama.ResponseError, ollama_failed, stops=OLLAMA),
    "generate-whole": Client(
        ollama_generate(stream=False), ollama.ResponseError, ollama_failed, ("tool_use",), OLLAMA
    ),
    "generate-stream": Client(
        ollama_generate(stream=True), ollama.ResponseError, ollama_failed, ("tool_use",), OLLAMA
    ),
}
NOT_THROUGH = {
    ("generate", "llamacpp-raw-text"): "without tools nobody looks for calls in the text",
    ("completions", "llamacpp-raw-text"): "text to go on with is passed on as it is",
}
"""Wires that mean something else to a client that offers no tools; test_raw_text_without_tools says what."""


def told(expected, client):
    """What the wire means, as far as this client can be told."""
    text = "".join(row[1] for row in expected if row[0] == "text")
    thinking = "".join(row[1] for row in expected if row[0] == "thinking")
    calls = [(row[1], json.loads(row[2] or "{}")) for row in expected if row[0] == "tool_use"]
    return text, "" if "thinking" in client.deaf else thinking, [] if "tool_use" in client.deaf else calls


@pytest.mark.parametrize(("dialect", "path"), list(all_wires()))
async def test_the_sdks_read_every_wire(dialect, path, subtests):
    expected, end = meant(meaning(path))
    if path.stem in THROUGH:
        expected, end["stop_reason"] = THROUGH[path.stem]
    names = sorted({row[1] for row in expected if row[0] == "tool_use" and row[1]})
    content_type = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
    upstream = Upstream()
    async with replaying(path.read_bytes(), content_type) as url:
        engine = engine_for(dialect, path.stem, url, upstream)
        async with playhouse_served(engines=[engine]) as house:
            for name, client in CLIENTS.items():
                if (name.partition("-")[0], path.stem) not in NOT_THROUGH:
                    with subtests.test(client=name):
                        await told_right(client, str(house.client.base_url), names, expected, end)
    await upstream.aclose()


async def told_right(client, url, names, expected, end):
    ask = client.ask(url, names)
    if end["event"] == "Failed":
        with pytest.raises(client.raises) as raised:
            await ask
        check_failure(client.failed(raised.value), end)
    else:
        check(await ask, client, expected, end)


def check(read, client, expected, end):
    assert (read.text, read.thinking, read.calls) == told(expected, client)
    assert read.finish == client.stops.get(end["stop_reason"], "stop")
    usage = end["usage"]
    assert (read.prompt or 0) == max(usage["input_tokens"], usage["cached_tokens"] or 0)
    assert (read.output or 0) == usage["output_tokens"]


def check_failure(seen, end):
    """A status of its own before the answer has begun; in the middle of a stream there is none."""
    status, message = seen
    assert status in (None, getattr(errors, end["error"]).status)
    assert message == end["message"]


@pytest.mark.parametrize(
    "name", [name for name in CLIENTS if name.partition("-")[0] in ("generate", "completions")]
)
async def test_raw_text_without_tools(name):
    path = next(param.values[1] for param in all_wires() if param.values[1].stem == "llamacpp-raw-text")
    said = "".join(event.get("text", "") for event in meaning(path) if event["event"] == "TextDelta")
    upstream = Upstream()
    async with replaying(path.read_bytes(), "text/event-stream") as url:
        engine = engine_for("openai", path.stem, url, upstream)
        async with playhouse_served(engines=[engine]) as house:
            read = await CLIENTS[name].ask(str(house.client.base_url), [])
    await upstream.aclose()
    if name.startswith("completions"):
        assert read.text == said
    else:
        thought, _, rest = said.removeprefix("<think>").partition("</think>")
        assert (read.thinking.strip(), read.text.strip()) == (thought.strip(), rest.strip())
