"""Whatever a client sends to whichever endpoint: never a status of 500 or more, never an error in somebody else's dialect.

A question that is taken is also rendered for every kind of engine, as it would be before it is sent; and its answer must be
readable. Bodies are anything at all, or a good body of which some places have gone wrong. Schemathesis does the same with
what `/openapi.json` says, and holds our answers against it.
"""

import asyncio
import copy
import json
import threading
from contextlib import AsyncExitStack, suppress

import pytest
import schemathesis
from contract.playhouse import CODER, FakeEngine, answer, called, playhouse, rendered, served, thought
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from understudy.engines import KINDS
from understudy.language.errors import UnderstudyError
from understudy.language.target import Model
from understudy.web.openapi import described

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PIXEL}"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "pattern": "^P"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "tells it", "parameters": SCHEMA}
CALLED = {
    "id": "c1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
SOURCE = {"type": "base64", "media_type": "image/png", "data": PIXEL}
MESSAGES = {
    "model": "m",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "u"}, {"type": "image", "source": SOURCE}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "x"},
                {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Paris"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
            ],
        },
    ],
    "tools": [{"name": "get_weather", "description": "tells it", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 3,
    "metadata": {"user_id": "me"},
    "stream": True,
}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "u"}, {"type": "image_url", "image_url": {"url": URL}}],
        },
        {"role": "assistant", "content": None, "reasoning_content": "r", "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "parallel_tool_calls": False,
    "max_completion_tokens": 9,
    "temperature": 1,
    "top_p": 0.5,
    "seed": 7,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stop": ["a", "b"],
    "n": 2,
    "stream": True,
    "stream_options": {"include_usage": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "reasoning_effort": "low",
    "logprobs": True,
    "top_logprobs": 2,
    "user": "me",
}
RESPONSES = {
    "model": "m",
    "instructions": "s",
    "input": [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "u"}, {"type": "input_image", "image_url": URL}],
        },
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "r"}]},
        {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": '{"city": "Paris"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
    ],
    "tools": [{"type": "function", **FUNCTION}, {"type": "custom", "name": "patch"}, {"type": "web_search"}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_output_tokens": 50,
    "temperature": 1,
    "top_p": 0.5,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
    "store": True,
    "stream": True,
}
OPTIONS = {
    "num_predict": 9,
    "temperature": 1,
    "top_p": 0.5,
    "top_k": 3,
    "seed": 7,
    "stop": ["a"],
    "num_ctx": 9,
}
OLLAMA_CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u", "images": [PIXEL]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "t",
            "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}],
        },
        {"role": "tool", "tool_name": "get_weather", "content": "sunny"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "format": SCHEMA,
    "options": OPTIONS,
    "think": "high",
    "keep_alive": "5m",
    "stream": True,
}
GENERATE = {
    "model": "m",
    "prompt": "p",
    "suffix": None,
    "system": "s",
    "images": [PIXEL],
    "format": "json",
    "options": OPTIONS,
    "think": False,
    "context": [1, 2],
    "raw": False,
    "stream": True,
    "task_type": "code",
    "temperature": 1,
    "maxTokens": 9,
}
GOOD = {
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": {name: MESSAGES[name] for name in ("model", "messages", "system", "tools")},
    "/v1/messages/batches": {"requests": [{"custom_id": "a", "params": {**MESSAGES, "stream": False}}]},
    "/v1/chat/completions": CHAT,
    "/v1/completions": {
        "model": "m",
        "prompt": ["p"],
        "suffix": "s",
        "max_tokens": 9,
        "n": 2,
        "echo": True,
        "stop": "x",
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "/v1/embeddings": {
        "model": "nomic-embed-text",
        "input": ["a", "b"],
        "dimensions": 4,
        "encoding_format": "base64",
        "user": "me",
    },
    "/v1/responses": RESPONSES,
    "/api/chat": OLLAMA_CHAT,
    "/api/generate": GENERATE,
    "/api/embed": {
        "model": "nomic-embed-text",
        "input": ["a"],
        "truncate": True,
        "dimensions": 4,
        "options": {},
    },
    "/api/embeddings": {"model": "nomic-embed-text", "prompt": "a"},
    "/api/show": {"model": "qwen-coder", "verbose": True},
}


# ---- whose error it is ----


def anthropic_error(body):
    assert body["type"] == "error"
    assert isinstance(body["error"]["type"], str)
    assert body["error"]["message"]
    assert body["request_id"].startswith("req_")


def openai_error(body):
    assert {"message", "type", "param", "code"} <= set(body["error"])
    assert body["error"]["message"]


def ollama_error(body):
    assert list(body) == ["error"]
    assert body["error"]
    assert isinstance(body["error"], str)


def error_of(path):
    """Whose words an error at this path is told in."""
    if path.startswith("/api/"):
        return ollama_error
    return anthropic_error if "/messages" in path or path.startswith("/v1/models") else openai_error


# ---- a gateway on a loop of its own ----


class Picky(FakeEngine):
    """An engine that has each question rendered for every kind of engine before it answers."""

    async def answer(self, request, session, listener):
        for kind in KINDS:
            with suppress(UnderstudyError):
                rendered(request, kind)
        self.asked.clear()
        await super().answer(request, session, listener)


class Running:
    """A gateway that plain functions can ask; `url` is where it listens."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._life = asyncio.run_coroutine_threadsafe(self._live(), self.loop)
        self._ready.wait(30)

    async def _live(self):
        said = answer(thought("hm"), "I look.", called("get_weather", {"city": "Paris"}), stop="tool_use")
        engine = Picky(said, models=(CODER, Model("nomic-embed-text")), counts=9)
        async with AsyncExitStack() as stack:
            self._house = await stack.enter_async_context(playhouse(engines=[engine]))
            self.url = await stack.enter_async_context(served(self._house.house.app))
            self._ready.set()
            await self._over.wait()

    def ask(self, method, path, content):
        asked = self._house.client.request(method, path, content=content)
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(30)

    def close(self):
        self.loop.call_soon_threadsafe(self._over.set)
        self._life.result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Its batches are its own: another gateway would go on with what is left of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("any_body")))
        house = Running()
        yield house
        house.close()


# ---- what is sent ----

WORDS = st.text(max_size=8) | st.sampled_from(
    ["\ud800", "\udfff\ud83d", "\x00", "a\u2028b", "é" * 9, "", "x" * 300]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([-1, 0, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0])
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
DEEP = st.sampled_from(["[", '{"a":']).flatmap(
    lambda piece: st.sampled_from([9, 900, 9000]).map(lambda n: (piece * n).encode())
)


GONE = object()
WRONG = (GONE, None, True, -(2**70), 1.5, "", "\ud800\x00", [], {}, [{}], [None], {"type": "what"})
"""What may stand in a place, one by one."""


def places(value, path=()):
    """The path of everything inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (*path, key)
        yield from places(below, (*path, key))


@st.composite
def gone_wrong(draw, good):
    """A good body, some places of which hold something else, or nothing, or the same twice."""
    body = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        if not (found := [*places(body)]):
            break
        *way, last = draw(st.sampled_from(found))
        holder = body
        for key in way:
            holder = holder[key]
        match draw(st.sampled_from(["other", "gone", "twice", "more"])):
            case "other":
                holder[last] = draw(JUNK)
            case "gone":
                del holder[last]
            case "twice" if isinstance(holder, list):
                holder.insert(last, copy.deepcopy(holder[last]))
            case "more" if isinstance(holder, dict):
                holder[draw(WORDS)] = draw(JUNK)
    return body


def written(value):
    """As JSON, surrogates and all."""
    return json.dumps(value).encode()


def raw(value):
    """As JSON that escapes nothing; lone surrogates make it no UTF-8."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def bodies(good):
    wrong = gone_wrong(good)
    whole = json.dumps(good).encode()
    cut = st.integers(0, len(whole)).map(lambda end: whole[:end])
    return wrong.map(written) | wrong.map(raw) | JUNK.map(written) | cut | DEEP | st.binary(max_size=20)


# ---- the tests ----

EXAMPLES = 60


@pytest.mark.parametrize("path", GOOD)
def test_a_good_body_is_taken(running, path):
    assert running.ask("POST", path, written(GOOD[path])).status_code == 200


@pytest.mark.parametrize("path", GOOD)
def test_a_way_that_nobody_goes_is_refused_in_the_callers_dialect(running, path):
    for method, place in (("PUT", path), ("POST", f"{path}/nowhere/at/all")):
        response = running.ask(method, place, b"{}")
        assert response.status_code in (404, 405)
        error_of(path)(response.json())


@pytest.mark.parametrize("path", GOOD)
def test_any_place_may_hold_anything(running, path):
    """Each place by itself, so that none is left to chance."""
    good = GOOD[path]
    for place in places(good):
        for wrong in WRONG:
            body = copy.deepcopy(good)
            holder = body
            for key in place[:-1]:
                holder = holder[key]
            if wrong is GONE:
                del holder[place[-1]]
            else:
                holder[place[-1]] = wrong
            check(running, path, written(body))


@pytest.mark.parametrize("path", GOOD)
def test_any_body_is_answered_in_the_callers_dialect(running, path):
    @bounded(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(bodies(GOOD[path]))
    def any_body(content):
        check(running, path, content)

    any_body()


def check(running, path, content):
    response = running.ask("POST", path, content)
    assert response.status_code < 500, (content, response.text)
    if response.status_code == 200:
        readable(response)
    else:
        error_of(path)(response.json())


def readable(response):
    """Whole, or a stream whose every record is one."""
    kind = response.headers["content-type"].partition(";")[0]
    if kind == "application/json":
        response.json()
    elif kind == "application/x-ndjson":
        lines = [json.loads(line) for line in response.text.split("\n") if line]
        assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    else:
        assert kind == "text/event-stream"
        *records, rest = response.text.split("\n\n")
        assert rest == ""
        data = [line[6:] for record in records for line in record.split("\n") if line.startswith("data: ")]
        assert all(json.loads(line) for line in data if line != "[DONE]")


def document():
    """What `/openapi.json` says."""
    paths, schemas = described()
    info = {"title": "understudy", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(document()).get_all_operations()]
WAYS = [
    pytest.param(mode, operation, id=f"{mode.value}-{operation.label}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.body  # any text is a good id
]


@pytest.mark.parametrize(("mode", "operation"), WAYS)
def test_every_endpoint_is_as_it_is_described(running, mode, operation):
    @bounded(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(operation.as_strategy(generation_mode=mode))
    def as_described(case):
        response = case.call(base_url=running.url)
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            error_of(operation.path)(response.json())
        case.validate_response(response, checks=CHECKS)

    as_described()
