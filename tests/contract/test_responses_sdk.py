"""The official OpenAI SDK in front of /v1/responses: its own helpers, tools, errors, and every wire of tests/wires."""

import json
from contextlib import asynccontextmanager

import openai
import pytest
from contract.playhouse import FakeEngine, answer, called, calls, playhouse_served, said, started, thought
from contract.test_sdk import THROUGH, all_wires, engine_for, meant, replaying
from harness import meaning
from pydantic import BaseModel

from understudy.engines.upstream import Upstream
from understudy.language import errors
from understudy.language.events import Failed

RUN = {
    "type": "function",
    "name": "run",
    "description": "runs",
    "parameters": {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
        "additionalProperties": False,
    },
    "strict": True,
}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch"'},
}
ASK = {"model": "local-coder", "input": "hello"}


@asynccontextmanager
async def client_of(*answers, **more):
    """The async SDK in front of a gateway; `.house` is the gateway."""
    async with playhouse_served(*answers, **more) as house:
        url = f"{house.client.base_url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=20) as client:
            yield client, house


# ---- its own helpers ----


async def test_create_whole_and_streamed():
    async with client_of(answer("Good ", "day.")) as (client, _):
        whole = await client.responses.create(**ASK)
        async with client.responses.stream(**ASK) as stream:
            names = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert names[0] == "response.created"
        assert names[-1] == "response.completed"
        for response in (whole, final):
            assert response.output_text == "Good day."
            assert response.status == "completed"
            assert response.usage.input_tokens_details.cached_tokens == 1000


async def test_a_plain_stream_is_typed():
    async with client_of(answer("Good day.")) as (client, _):
        stream = await client.responses.create(**ASK, stream=True)
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == "Good day."


async def test_structured_output():
    class City(BaseModel):
        name: str

    async with client_of(answer('{"name": "Paris"}')) as (client, house):
        parsed = await client.responses.parse(**ASK, text_format=City)
        assert parsed.output_parsed == City(name="Paris")
        assert json.loads(house.engine.asked[-1].format)["properties"]["name"]["type"] == "string"
        assert house.body()["response_format"]["type"] == "json_schema"


async def test_images_reach_the_engine():
    parts = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
    ]
    async with client_of(answer("A cat.")) as (client, house):
        await client.responses.create(model="m", input=[{"role": "user", "content": parts}])
        content = house.body()["messages"][0]["content"]
        assert content[1]["image_url"]["url"] == "data:image/png;base64,aGk="


async def test_an_agents_loop_without_a_store():
    """As Codex does it: nothing is kept, everything is sent again, reasoning is packed."""
    more = {
        "model": "m",
        "instructions": "You are an agent.",
        "tools": [RUN, PATCH, {"type": "web_search"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "medium", "summary": "auto"},
        "prompt_cache_key": "thread",
    }
    first = answer(
        thought("hm"),
        "Let me see.",
        called("run", {"command": "ls"}, "call_1"),
        called("apply_patch", {"input": "*** Begin Patch"}, "call_2"),
        stop="tool_use",
    )
    async with client_of(first, answer("Done.")) as (client, house):
        items = [{"role": "user", "content": "fix it"}]
        async with client.responses.stream(input=items, **more) as stream:
            async for _ in stream:
                pass
            response = await stream.get_final_response()
        reasoning, message, function, custom = response.output
        assert reasoning.summary[0].text == "hm"
        assert message.content[0].text == "Let me see."
        assert json.loads(function.arguments) == {"command": "ls"}
        assert (custom.type, custom.name, custom.input) == (
            "custom_tool_call",
            "apply_patch",
            "*** Begin Patch",
        )
        items += [item.model_dump(exclude_none=True, mode="json") for item in response.output]
        items += [
            {"type": "function_call_output", "call_id": function.call_id, "output": "a b"},
            {"type": "custom_tool_call_output", "call_id": custom.call_id, "output": "ok"},
        ]
        for item in items:
            item.pop("parsed_arguments", None)
        last = await client.responses.create(input=items, **more)
        assert last.output_text == "Done."
        first_body, second_body = house.body(number=0), house.body(number=1)
        assert second_body["messages"][: len(first_body["messages"])] == first_body["messages"]
        assert second_body["tools"] == first_body["tools"]
        assert [call["id"] for call in second_body["messages"][2]["tool_calls"]] == ["call_1", "call_2"]


async def test_a_chain_and_its_kept_answers():
    async with client_of(calls(("run", {"command": "ls"}, "call_1")), answer("Done.")) as (client, house):
        first = await client.responses.create(**ASK, tools=[RUN])
        output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "a"}
        second = await client.responses.create(
            model="m", input=[output], previous_response_id=first.id, tools=[RUN]
        )
        assert second.output_text == "Done."
        assert [turn.role for turn in house.engine.asked[-1].turns] == ["user", "assistant", "user"]
        assert await client.responses.retrieve(second.id) == second
        items = await client.responses.input_items.list(second.id)
        assert [item.type async for item in items] == ["function_call_output"]
        await client.responses.delete(second.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(second.id)
        with pytest.raises(openai.BadRequestError) as raised:
            await client.responses.create(**ASK, previous_response_id=second.id)
        assert (raised.value.param, raised.value.code) == (
            "previous_response_id",
            "previous_response_not_found",
        )


async def test_the_background():
    async with client_of(answer("a")) as (client, _):
        queued = await client.responses.create(**ASK, background=True)
        assert queued.status == "queued"
        stream = await client.responses.retrieve(queued.id, stream=True)
        names = [event.type async for event in stream]
        assert names[:3] == ["response.created", "response.queued", "response.in_progress"]
        assert (await client.responses.retrieve(queued.id)).output_text == "a"
        assert (await client.responses.cancel(queued.id)).status == "completed"
        rest = await client.responses.retrieve(queued.id, stream=True, starting_after=3)
        numbers = [event.sequence_number async for event in rest]
        assert numbers[0] == 4


async def test_calls_in_the_apis_own_forms():
    tools = [{"type": "local_shell"}, {"type": "shell"}, {"type": "apply_patch"}]
    made = answer(
        called("local_shell", {"command": ["ls", "-l"]}, "c1"),
        called("shell", {"commands": ["ls"]}, "c2"),
        called("apply_patch", {"type": "delete_file", "path": "a"}, "c3"),
        stop="tool_use",
    )
    async with client_of(made, answer("Done.")) as (client, house):
        response = await client.responses.create(**ASK, tools=tools)
        local, shell, patch = response.output
        assert local.action.command == ["ls", "-l"]
        assert shell.action.commands == ["ls"]
        assert (patch.operation.type, patch.operation.path) == ("delete_file", "a")
        outputs = [
            {"type": "local_shell_call_output", "id": local.id, "output": "x"},
            {
                "type": "shell_call_output",
                "call_id": shell.call_id,
                "output": [{"stdout": "y", "stderr": "", "outcome": {"type": "exit", "exit_code": 1}}],
            },
            {"type": "apply_patch_call_output", "call_id": patch.call_id, "status": "completed"},
        ]
        await client.responses.create(model="m", input=outputs, previous_response_id=response.id, tools=tools)
        told = [message for message in house.body()["messages"] if message["role"] == "tool"]
        assert [message["tool_call_id"] for message in told] == ["c1", "c2", "c3"]
        assert told[1]["content"] == "y\n[exit code 1]"


async def test_only_some_tools_may_be_called():
    other = {**RUN, "name": "write"}
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "run"}]}
    made = calls(("write", {"command": "x"}, "c1"), ("run", {"command": "ls"}, "c2"))
    async with client_of(made) as (client, house):
        response = await client.responses.create(**ASK, tools=[RUN, other], tool_choice=choice)
        assert [item.name for item in response.output] == ["run"]
        assert [tool["function"]["name"] for tool in house.body()["tools"]] == ["run", "write"]


# ---- errors ----

RAISED = [
    (errors.BadRequest("bad"), openai.BadRequestError),
    (errors.PromptTooLong(10, 5), openai.BadRequestError),
    (errors.Refused("slow", retry_after=0.01), openai.RateLimitError),
    (errors.EngineRefused("no"), openai.BadRequestError),
    (errors.EngineBusy("full"), openai.InternalServerError),
    (errors.EngineTimeout("late"), openai.InternalServerError),
]


@pytest.mark.parametrize(("error", "kind"), RAISED, ids=[type(row[0]).__name__ for row in RAISED])
async def test_every_error_is_the_sdks_own(error, kind):
    async with client_of(error) as (client, _):
        for stream in (True, False):
            with pytest.raises(kind) as raised:
                await client.responses.create(**ASK, stream=stream)
            assert raised.value.status_code == error.status
            assert raised.value.body["message"]


async def test_an_error_in_the_stream():
    given = [started(), *said("It dr"), Failed(errors.EngineLost("gone"))]
    async with client_of(given) as (client, _):
        stream = await client.responses.create(**ASK, stream=True)
        events = [event async for event in stream]
        assert events[-1].type == "response.failed"
        assert events[-1].response.error.message == "gone"
        assert events[-1].response.status == "failed"


async def test_it_tries_again_when_told_to_and_only_then():
    refusing = FakeEngine(errors.EngineRefused("no"))
    async with playhouse_served(engines=[refusing]) as house:
        url = f"{house.client.base_url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=3) as client:
            with pytest.raises(openai.BadRequestError):
                await client.responses.create(**ASK)
    assert len(refusing.asked) == 1


# ---- every wire ----


def told(response):
    """The response's items, as a wire's meaning puts them."""
    out = []
    for item in response.output:
        match item.type:
            case "function_call":
                out.append(("tool_use", item.name, item.arguments))
            case "reasoning":
                out.append(("thinking", item.content[0].text))
            case _:
                out.append(("text", item.content[0].text))
    return out


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("dialect", "path"), list(all_wires()))
async def test_the_sdk_reads_every_wire(dialect, path, stream):
    expected, end = meant(meaning(path))
    if path.stem in THROUGH:
        expected, end["stop_reason"] = THROUGH[path.stem]
    names = {row[1] for row in expected if row[0] == "tool_use"}
    tools = [
        {"type": "function", "name": name, "parameters": {"type": "object"}, "strict": False}
        for name in sorted(names)
        if name
    ]
    content_type = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
    upstream = Upstream()
    async with replaying(path.read_bytes(), content_type) as url:
        engine = engine_for(dialect, path.stem, url, upstream)
        async with client_of(engines=[engine]) as (client, _):
            ask = {**ASK, "max_output_tokens": 4096, "tools": tools or openai.omit}
            if end["event"] == "Failed":
                await check_failure(client, ask, end, stream=stream)
            else:
                check(await final(client, ask, stream=stream), expected, end)
    await upstream.aclose()


async def final(client, ask, *, stream):
    """The finished response, one way or the other."""
    if not stream:
        return await client.responses.create(**ask)
    events = [event async for event in await client.responses.create(**ask, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events[-1].response


async def check_failure(client, ask, end, *, stream):
    """A status of its own before the answer has begun, an event after that."""
    cls = getattr(errors, end["error"])
    try:
        response = await final(client, ask, stream=stream)
    except openai.APIStatusError as error:
        seen = error.status_code, error.body["message"]
    else:
        assert stream
        assert response.status == "failed"
        seen = cls.status, response.error.message
    assert seen == (cls.status, end["message"])


CUT = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}


def check(response, expected, end):
    found = told(response)
    if end["stop_reason"] == "tool_use" and not any(row[0] == "tool_use" for row in expected):
        assert response.status == "failed"  # a call that nobody can run
        return
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        if row[0] == "tool_use":
            assert json.loads(row[2]) == json.loads(wanted[2] or "{}")
    reason = CUT.get(end["stop_reason"])
    assert response.status == ("incomplete" if reason else "completed")
    assert (response.incomplete_details and response.incomplete_details.reason) == reason
    usage = end["usage"]
    cached = usage["cached_tokens"] or 0
    assert response.usage.input_tokens == max(usage["input_tokens"], cached)
    assert response.usage.input_tokens_details.cached_tokens == cached
    assert response.usage.output_tokens == usage["output_tokens"]
