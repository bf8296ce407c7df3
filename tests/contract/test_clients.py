"""Every client there is an official SDK for, and LangChain's on top of them, in every situation of an agent's life.

The same question is asked in each client's own words, streamed and not. Two things are compared: what the engine was asked
(one canonical question, whoever asked it) and what the client has understood (one answer, whatever carried it).
"""

import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import anthropic
import httpx
import ollama
import openai
import pytest
from contract.playhouse import PLAIN, answer, called, playhouse_served
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from understudy.engines.scripted import ScriptedEngine
from understudy.language import errors
from understudy.language.embedding import EmbeddingRequest
from understudy.language.request import Image, Text, ToolResult, ToolUse
from understudy.language.target import Model

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SYSTEM, WORDS = "You are terse.", "How is the weather in Paris?"
WEATHER, ABOUT = "get_weather", "tells the weather"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
INPUT = {"city": "Paris"}
RESULT = "sunny, 21 degrees"
CALL = "call_7"


@dataclass(frozen=True)
class Question:
    """What is asked, in nobody's dialect."""

    tool: bool = False
    result: bool = False
    picture: bool = False


class Heard(NamedTuple):
    """What a client has understood."""

    text: str
    calls: list


@dataclass(frozen=True)
class Situation:
    """A question, what the engine says to it, and what is heard."""

    question: Question
    said: object
    heard: Heard | None


SITUATIONS = {
    "plain": Situation(Question(), answer("Good ", "day."), Heard("Good day.", [])),
    "tool-call": Situation(
        Question(tool=True),
        answer("I look.", called(WEATHER, INPUT), stop="tool_use"),
        Heard("I look.", [(WEATHER, INPUT)]),
    ),
    "two-calls": Situation(
        Question(tool=True),
        answer(called(WEATHER, INPUT, "a"), called(WEATHER, {"city": "Rome"}, "b"), stop="tool_use"),
        Heard("", [(WEATHER, INPUT), (WEATHER, {"city": "Rome"})]),
    ),
    "tool-result": Situation(
        Question(tool=True, result=True), answer("It is sunny."), Heard("It is sunny.", [])
    ),
    "picture": Situation(Question(picture=True), answer("A dot."), Heard("A dot.", [])),
    "error": Situation(Question(), errors.EngineRefused("the engine does not like it"), None),
    "no-such-model": Situation(Question(), errors.NoTarget("there is no such model"), None),
}


# ---- the vendors' own SDKs ----


async def messages(url, question, *, stream):
    """Anthropic's Messages."""
    content = [{"type": "text", "text": WORDS}]
    if question.picture:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content.append({"type": "image", "source": source})
    history = [{"role": "user", "content": content}]
    if question.result:
        call = {"type": "tool_use", "id": CALL, "name": WEATHER, "input": INPUT}
        result = {"type": "tool_result", "tool_use_id": CALL, "content": RESULT}
        history += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    ask = {"model": "m", "max_tokens": 99, "system": SYSTEM, "messages": history}
    if question.tool:
        ask["tools"] = [{"name": WEATHER, "description": ABOUT, "input_schema": SCHEMA}]
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0, timeout=20) as client:
        if stream:
            async with client.messages.stream(**ask) as events:
                message = await events.get_final_message()
        else:
            message = await client.messages.create(**ask)
    text = "".join(block.text for block in message.content if block.type == "text")
    return Heard(text, [(block.name, block.input) for block in message.content if block.type == "tool_use"])


def openai_client(url):
    plain = httpx.AsyncClient(verify=PLAIN)
    return openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=20, http_client=plain
    )


def function():
    return {"name": WEATHER, "description": ABOUT, "parameters": SCHEMA}


async def chat(url, question, *, stream):
    """OpenAI's Chat Completions."""
    content = [{"type": "text", "text": WORDS}]
    if question.picture:
        content.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}})
    history = [{"role": "developer", "content": SYSTEM}, {"role": "user", "content": content}]
    if question.result:
        call = {
            "id": CALL,
            "type": "function",
            "function": {"name": WEATHER, "arguments": json.dumps(INPUT)},
        }
        history += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": CALL, "content": RESULT},
        ]
    tools = [{"type": "function", "function": function()}] if question.tool else openai.omit
    ask = {"model": "m", "messages": history, "tools": tools}
    async with openai_client(url) as client:
        if stream:
            async with client.chat.completions.stream(**ask) as events:
                completion = await events.get_final_completion()
        else:
            completion = await client.chat.completions.create(**ask)
    [choice] = completion.choices
    calls = [
        (call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or ()
    ]
    assert choice.finish_reason == ("tool_calls" if calls else "stop")
    return Heard(choice.message.content or "", calls)


async def responses(url, question, *, stream):
    """OpenAI's Responses."""
    content = [{"type": "input_text", "text": WORDS}]
    if question.picture:
        picture = f"data:image/png;base64,{PIXEL}"
        content.append({"type": "input_image", "image_url": picture, "detail": "auto"})
    items = [{"role": "user", "content": content}]
    if question.result:
        items += [
            {"type": "function_call", "call_id": CALL, "name": WEATHER, "arguments": json.dumps(INPUT)},
            {"type": "function_call_output", "call_id": CALL, "output": RESULT},
        ]
    tools = [{"type": "function", "strict": False, **function()}] if question.tool else openai.omit
    ask = {"model": "m", "instructions": SYSTEM, "input": items, "tools": tools}
    async with openai_client(url) as client:
        if stream:
            async with client.responses.stream(**ask) as events:
                response = await events.get_final_response()
        else:
            response = await client.responses.create(**ask)
    calls = [
        (item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"
    ]
    return Heard(response.output_text, calls)


async def completions(url, question, *, stream):
    """OpenAI's Completions: text alone."""
    del question
    async with openai_client(url) as client:
        if not stream:
            answered = await client.completions.create(model="m", prompt=WORDS)
            return Heard(answered.choices[0].text, [])
        chunks = await client.completions.create(model="m", prompt=WORDS, stream=True)
        return Heard("".join([choice.text async for chunk in chunks for choice in chunk.choices]), [])


async def ollama_heard(url, method, ask, *, stream):
    client = ollama.AsyncClient(host=url, timeout=20, verify=PLAIN)
    try:
        answered = await getattr(client, method)(model="m", stream=stream, **ask)
        parts = [part async for part in answered] if stream else [answered]
    finally:
        await client.close()
    assert parts[-1].done
    if method == "generate":
        return Heard("".join(part.response for part in parts), [])
    calls = [call.function for part in parts for call in part.message.tool_calls or ()]
    text = "".join(part.message.content or "" for part in parts)
    return Heard(text, [(call.name, dict(call.arguments)) for call in calls])


async def ollama_chat(url, question, *, stream):
    """Ollama's chat. A result says whose it is by the tool's name: older Ollamas gave calls no ids."""
    user = {"role": "user", "content": WORDS, **({"images": [PIXEL]} if question.picture else {})}
    history = [{"role": "system", "content": SYSTEM}, user]
    if question.result:
        call = {"function": {"name": WEATHER, "arguments": INPUT}}
        history += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_name": WEATHER, "content": RESULT},
        ]
    tools = [{"type": "function", "function": function()}] if question.tool else None
    return await ollama_heard(url, "chat", {"messages": history, "tools": tools}, stream=stream)


async def ollama_generate(url, question, *, stream):
    """Ollama's generate."""
    ask = {"prompt": WORDS, "system": SYSTEM, "images": [PIXEL] if question.picture else None}
    return await ollama_heard(url, "generate", ask, stream=stream)


# ---- LangChain on top of them ----


def langchain(model: Callable):
    """A client of LangChain's, asked in LangChain's words."""

    async def ask(url, question, *, stream):
        content = [{"type": "text", "text": WORDS}]
        if question.picture:
            content.append({"type": "image", "base64": PIXEL, "mime_type": "image/png"})
        history = [SystemMessage(SYSTEM), HumanMessage(content)]
        if question.result:
            call = {"type": "tool_call", "id": CALL, "name": WEATHER, "args": INPUT}
            history += [AIMessage("", tool_calls=[call]), ToolMessage(RESULT, tool_call_id=CALL)]
        async with model(url) as plain:
            tools = [{"type": "function", "function": function()}]
            runnable = plain.bind_tools(tools) if question.tool else plain
            if stream:
                first, *rest = [chunk async for chunk in runnable.astream(history)]
                message = sum(rest, first)
            else:
                message = await runnable.ainvoke(history)
        assert message.usage_metadata["output_tokens"] == 7
        return Heard(message.text, [(call["name"], call["args"]) for call in message.tool_calls])

    return ask


@asynccontextmanager
async def lc_anthropic(url):
    yield ChatAnthropic(model="m", base_url=url, api_key="none", max_retries=0, max_tokens=99)


@asynccontextmanager
async def own_clients():
    """What LangChain is given instead of clients that it would never close."""
    async with httpx.AsyncClient(verify=PLAIN) as plain:
        with httpx.Client(verify=PLAIN) as unused:
            yield {"http_async_client": plain, "http_client": unused}


@asynccontextmanager
async def lc_openai(url, **more):
    async with own_clients() as own:
        more |= {"api_key": "none", "max_retries": 0, "stream_usage": True}
        yield ChatOpenAI(model="m", base_url=f"{url}/v1", **own, **more)


def lc_responses(url):
    return lc_openai(url, use_responses_api=True)


@asynccontextmanager
async def lc_ollama(url):
    """It never closes its connections."""
    model = ChatOllama(model="m", base_url=url, client_kwargs={"verify": PLAIN})
    try:
        yield model
    finally:
        await model._async_client.close()
        model._client.close()


# ---- the matrix ----


@dataclass(frozen=True)
class Client:
    """One client: how it asks, what it raises, where it has no words, and the status it knows for a model that is none."""

    ask: Callable[..., Awaitable[Heard]]
    raises: type[Exception]
    without: frozenset = field(default_factory=frozenset)
    no_model: int = 404


TOOLS = frozenset({"tool-call", "two-calls", "tool-result"})
CLIENTS = {
    "anthropic": Client(messages, anthropic.APIStatusError),
    "openai-chat": Client(chat, openai.APIStatusError),
    "openai-responses": Client(responses, openai.APIStatusError, no_model=400),
    "openai-completions": Client(completions, openai.APIStatusError, TOOLS | {"picture"}),
    "ollama-chat": Client(ollama_chat, ollama.ResponseError),
    "ollama-generate": Client(ollama_generate, ollama.ResponseError, TOOLS),
    "langchain-anthropic": Client(langchain(lc_anthropic), anthropic.APIStatusError),
    "langchain-openai": Client(langchain(lc_openai), openai.APIStatusError),
    "langchain-responses": Client(langchain(lc_responses), openai.APIStatusError, no_model=400),
    "langchain-ollama": Client(langchain(lc_ollama), ollama.ResponseError),
}
CELLS = [
    (client, situation)
    for client in CLIENTS
    for situation in SITUATIONS
    if situation not in CLIENTS[client].without
]


@pytest.mark.parametrize(("name", "situation"), CELLS)
async def test_every_client_in_every_situation(name, situation):
    client, scene = CLIENTS[name], SITUATIONS[situation]
    async with playhouse_served(scene.said) as house:
        url = str(house.client.base_url)
        for stream in (False, True):
            if scene.heard is None:
                status = client.no_model if situation == "no-such-model" else scene.said.status
                await fails(client, url, scene, status, stream=stream)
            else:
                assert await client.ask(url, scene.question, stream=stream) == scene.heard
                check(house.engine.asked[-1], scene.question, raw=name == "openai-completions")


async def fails(client, url, scene, status, *, stream):
    with pytest.raises(client.raises) as raised:
        await client.ask(url, scene.question, stream=stream)
    assert raised.value.status_code == status
    assert scene.said.message in str(raised.value)


def check(asked, question, *, raw):
    """What the engine was asked: the same, whoever asked."""
    if raw:
        assert (asked.prompt.text, asked.turns) == (WORDS, ())
        return
    assert [block.text for block in asked.system] == [SYSTEM]
    said = asked.turns[0].blocks
    words = [
        block.text.strip() for block in said if isinstance(block, Text)
    ]  # LangChain begins a line for Ollama
    assert words == [WORDS]
    pictures = [block for block in said if isinstance(block, Image)]
    assert pictures == ([Image("image/png", PIXEL)] if question.picture else [])
    assert [(tool.name, tool.description, json.loads(tool.schema)) for tool in asked.tools] == (
        [(WEATHER, ABOUT, SCHEMA)] if question.tool else []
    )
    if question.result:
        [call] = [block for block in asked.turns[1].blocks if isinstance(block, ToolUse)]
        [result] = [block for block in asked.turns[2].blocks if isinstance(block, ToolResult)]
        assert (call.name, json.loads(call.input)) == (WEATHER, INPUT)
        assert (result.tool_use_id, result.content) == (call.id, (Text(RESULT),))
    assert [turn.role for turn in asked.turns] == ["user", "assistant", "user"][: 3 if question.result else 1]


# ---- vectors, and what a client asks before it chats ----


async def test_vectors_for_every_client():
    """OpenAI's own client asks for base64, whose numbers have 32 bits."""
    async with playhouse_served(models=(Model("nomic-embed-text"),)) as house:
        url = str(house.client.base_url)
        made = await ScriptedEngine().embed(EmbeddingRequest("m", ("a", "b")))
        wanted = [json.loads(row) for row in made.vectors]
        found = {}
        async with openai_client(url) as client:
            rows = (await client.embeddings.create(model="m", input=["a", "b"])).data
            found["openai"] = [row.embedding for row in rows]
        client = ollama.AsyncClient(host=url, verify=PLAIN)
        found["ollama"] = (await client.embed("m", ["a", "b"])).embeddings
        found["ollama, as it was"] = [(await client.embeddings("m", word)).embedding for word in "ab"]
        await client.close()
        model = OllamaEmbeddings(model="m", base_url=url, client_kwargs={"verify": PLAIN})
        found["langchain, ollama"] = await model.aembed_documents(["a", "b"])
        await model._async_client.close()
        model._client.close()
        async with own_clients() as own:
            model = OpenAIEmbeddings(
                model="m", base_url=f"{url}/v1", api_key="none", check_embedding_ctx_length=False, **own
            )
            found["langchain, openai"] = await model.aembed_documents(["a", "b"])
    for name, vectors in found.items():
        assert [list(row) for row in vectors] == [pytest.approx(row, rel=1e-6) for row in wanted], name


async def test_what_there_is():
    async with playhouse_served() as house:
        url = str(house.client.base_url)
        async with openai_client(url) as client:
            names = [model.id async for model in client.models.list()]
        assert names[0] == "qwen-coder"
        client = ollama.AsyncClient(host=url, verify=PLAIN)
        [listed] = (await client.list()).models
        [running] = (await client.ps()).models
        shown = await client.show("qwen-coder")
        assert (listed.model, running.model, running.context_length) == ("qwen-coder", "qwen-coder", 131072)
        assert shown.modelinfo["qwen.context_length"] == 131072
        assert set(shown.capabilities) >= {"completion", "tools"}
        for refused in (
            client.pull("m"),
            client.delete("m"),
            client.create("m", from_="n"),
            client.copy("m", "n"),
        ):
            with pytest.raises(ollama.ResponseError, match="does not manage models"):
                await refused
        await client.close()
