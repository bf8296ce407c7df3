"""Real llama.cpp speaks scripts: that the weights work is shown by nothing less."""

import json
from contextlib import asynccontextmanager

import httpx
import pytest

from understudy.engines.child import LlamaChild
from understudy.engines.tinygguf import write_rehearsal, write_scripted
from understudy.engines.worker import WorkerSettings

CALL = '<tool_call>\n{{"name": "{}", "arguments": {}}}\n</tool_call>'
XML = "<tool_call>\n<function={}>\n{}</function>\n</tool_call>"
STEPS = [
    (
        "Step one, write the file.",
        "",
        [("Write", {"file_path": "/home/me/a.txt", "content": 'say "hi"\n\tthere'})],
    ),
    ("Step two, edit it.", "", [("Edit", {"file_path": "/home/me/a.txt", "old": "hi", "new": "bye"})]),
    ("Step three, read it back.", "I should check.", [("Read", {"file_path": "/home/me/a.txt"})]),
    ("Step four, read it again.", "", [("Read", {"file_path": "/home/me/a.txt"})]),
    (
        "Step five, read two.",
        "Two at once.",
        [("Read", {"file_path": "/home/me/b"}), ("Read", {"file_path": "/home/me/c"})],
    ),
    ("Step six, once more.", "I should check.", [("Read", {"file_path": "/home/me/a.txt"})]),
    ("All is done: the file says bye.", "", []),
]


def tool(name, *keys):
    schema = {
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": list(keys),
    }
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


TOOLS = [
    tool("Write", "file_path", "content"),
    tool("Edit", "file_path", "old", "new"),
    tool("Read", "file_path"),
]


def as_text(step, template):
    said, thought, calls = step
    parts = [said]
    for name, arguments in calls:
        if template == "qwen-xml":
            inside = "".join(
                f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items()
            )
            parts.append(XML.format(name, inside))
        else:
            parts.append(CALL.format(name, json.dumps(arguments)))
    return (f"<think>\n{thought}\n</think>\n\n" if thought else "") + "\n".join(parts)


@asynccontextmanager
async def served(path, **settings):
    async with (
        LlamaChild(WorkerSettings(model=str(path), key="", **settings)) as child,
        httpx.AsyncClient(
            base_url=child.url,
            headers={"Authorization": f"Bearer {child.key}"},
            timeout=60,
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as client,
    ):
        yield client


async def ask(client, messages, **more):
    body = {"messages": messages, "max_tokens": 300, "temperature": 1.0, **more}
    reply = await client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("template", ["hermes", "qwen-xml"])
async def test_a_session_with_tools_runs_through_the_native_parser(tmp_path, template):
    write_scripted(tmp_path / "s.gguf", [as_text(step, template) for step in STEPS], template=template)
    messages = [{"role": "system", "content": "You are it."}, {"role": "user", "content": "go"}]
    async with served(tmp_path / "s.gguf") as client:
        for said, thought, calls in [*STEPS, STEPS[-1]]:
            answer = (await ask(client, messages, tools=TOOLS))["choices"][0]
            message = answer["message"]
            found = [
                (c["function"]["name"], json.loads(c["function"]["arguments"]))
                for c in message.get("tool_calls", [])
            ]
            assert (message["content"].strip(), found) == (said, calls)
            assert message.get("reasoning_content", "").strip() == thought
            assert answer["finish_reason"] == ("tool_calls" if calls else "stop")
            messages += [
                message,
                *({"role": "tool", "tool_call_id": "x", "content": "Step nine\n"} for _ in calls),
            ]


@pytest.mark.parametrize(("template", "words"), [("plain", 0), ("hermes", 4000)])
async def test_raw_text_comes_back_exactly_and_is_found_in_the_cache(tmp_path, template, words):
    turns = [as_text(step, template) for step in STEPS]
    write_scripted(tmp_path / "s.gguf", turns, template=template)
    messages = [
        {"role": "system", "content": "The file of a user! " * words},
        {"role": "user", "content": "go"},
    ]
    async with served(tmp_path / "s.gguf", context=65_536, slots=1, raw_text=True, threads=1) as client:
        before = 0
        for turn in turns:
            reply = await ask(client, messages, tools=TOOLS, temperature=1.5)
            assert reply["choices"][0]["message"]["content"] == turn + "<|im_end|>"
            usage = reply["usage"]
            # all but the end token, which was sampled and never computed
            assert usage["prompt_tokens_details"]["cached_tokens"] == max(0, before - 1)
            assert usage["prompt_tokens"] > 5 * words
            before = usage["total_tokens"]
            messages += [{"role": "assistant", "content": turn}, {"role": "user", "content": "go on " * 9}]


async def test_markers_let_a_turn_begin_with_a_call(tmp_path):
    turns = [
        CALL.format("Read", json.dumps({"file_path": path})) for path in ("/home/me/first", "/home/me/second")
    ]
    write_scripted(tmp_path / "s.gguf", turns, markers=["/home/me/first", "/home/me/second"])
    async with served(tmp_path / "s.gguf") as client:
        messages = [{"role": "user", "content": "go"}]
        for path in ("/home/me/first", "/home/me/second", "/home/me/second"):
            message = (await ask(client, messages, tools=TOOLS))["choices"][0]["message"]
            assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"file_path": path}
            messages += [message, {"role": "tool", "tool_call_id": "x", "content": "ok"}]


async def test_many_turns(tmp_path):
    turns = [f"Turn number {number} of many.\nIt says nothing new." for number in range(70)]
    write_scripted(tmp_path / "s.gguf", turns)
    async with served(tmp_path / "s.gguf") as client:
        for number in (0, 1, 35, 68, 69):
            messages = [
                {"role": "user", "content": "go"},
                *({"role": "assistant", "content": t} for t in turns[:number]),
            ]
            messages.append({"role": "user", "content": "on"})
            assert (await ask(client, messages))["choices"][0]["message"]["content"] == turns[number]


@pytest.mark.parametrize("turns", [[], ["x"] * 257])
def test_number_of_turns_is_limited(tmp_path, turns):
    with pytest.raises(ValueError, match="1 to 256 turns"):
        write_scripted(tmp_path / "s.gguf", turns)


async def test_rehearsal_ends_and_closes_what_a_grammar_opens(tmp_path):
    path = tmp_path / "r.gguf"
    write_rehearsal(path)
    assert path.stat().st_size < 2_000_000
    schema = {
        "type": "object",
        "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}},
        "required": ["path", "lines"],
        "additionalProperties": False,
        "x-guidance": {"whitespace_flexible": False},
    }
    async with served(path) as client:
        for temperature in (0.0, 0.8, 1.0):
            answer = await ask(
                client, [{"role": "user", "content": "hi"}], tools=TOOLS, temperature=temperature, seed=1
            )
            assert answer["choices"][0]["finish_reason"] == "stop"
            assert answer["choices"][0]["message"]["content"]
            body = {
                "prompt": "<tool_call>\n",
                "json_schema": schema,
                "n_predict": 1000,
                "temperature": temperature,
            }
            forced = (await client.post("/completion", json={**body, "seed": 1})).json()
            assert sorted(json.loads(forced["content"])) == ["lines", "path"]


def test_files_are_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        write_rehearsal(tmp_path / f"r{name}")
        write_scripted(tmp_path / f"s{name}", ["One.", "Two."])
    assert (tmp_path / "ra").read_bytes() == (tmp_path / "rb").read_bytes()
    assert (tmp_path / "sa").read_bytes() == (tmp_path / "sb").read_bytes()
