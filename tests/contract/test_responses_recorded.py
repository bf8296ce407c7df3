"""Recorded exchanges with OpenAI's own /v1/responses: the gateway answers the same questions in the same way.

The engine says what OpenAI's model said, as far as it is a model's to say (reasoning, text, calls of functions). What then
leaves the gateway must have the same class of status, only types that the official SDK's own models accept, the same events
in the same order, and every field that is ours to give. NOT_OURS lists the others, and why.
"""

import json
import re
from itertools import groupby
from pathlib import Path

import pytest
from contract.playhouse import called, playhouse, said, settings, started, thought
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from understudy.language.events import MessageStop, Usage

RECORDED = Path(__file__).parents[3] / "shared/data/wire/wire.jsonl"
STREAM = TypeAdapter(ResponseStreamEvent)

SERVER_TOOLS = re.compile(
    r"(code_interpreter|file_search|image_generation|mcp|tool_search|web_search)\w*|compaction"
)
"""What OpenAI's servers do between two words of the model: nobody does it here."""

NOT_OURS = re.compile(
    r"""
    billing | tool_usage            # what OpenAI sells
    | obfuscation                   # padding against listeners on the way
    | phase                         # only its own models tell
    | tools\[\]\.\w+ | tool_choice\.mode  # shown as the client wrote them, not completed
    | annotations\[\]               # of its own searches
    | item\.encrypted_content$      # when an item is added nothing has been thought yet
    """,
    re.VERBOSE,
)


def exchanges():
    if not RECORDED.is_file():
        return []
    rows = map(json.loads, RECORDED.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row["path"] == "/v1/responses"]


def events_of(text):
    """The events of a stream; its last record may be `[DONE]`."""
    out = []
    for record in text.split("\n\n"):
        data = [line[5:].strip() for line in record.split("\n") if line.startswith("data:")]
        if data and data[0] != "[DONE]":
            out.append(json.loads(data[0]))
    return out


def final(row):
    """The response object of a recorded answer."""
    return row["json"] if "sse" not in row else events_of(row["sse"])[-1]["response"]


def played(response):
    """The events of an engine whose model says the same."""
    out = [started()]
    for item in response["output"]:
        match item["type"]:
            case "message":
                out += said("".join(part["text"] for part in item["content"]) or "...")
            case "reasoning":
                out += thought("".join(part["text"] for part in item["summary"]) or "...")
            case "function_call":
                out += called(item["name"], item["arguments"])
    calls = any(item["type"] == "function_call" for item in response["output"])
    usage = response["usage"]
    counted = Usage(
        usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"]
    )
    return [*out, MessageStop("tool_use" if calls else "end_turn", None, counted)]


def kind(event):
    return event["type"]


def of_the_model(events):
    """The events that a model without servers behind it can cause."""
    theirs = {
        event["output_index"]
        for event in events
        if event["type"] == "response.output_item.added" and SERVER_TOOLS.fullmatch(event["item"]["type"])
    }
    return [
        event
        for event in events
        if event.get("output_index") not in theirs and not event.get("summary_index")  # one part is enough
    ]


def order(events):
    """Types in their order; a run of deltas counts once, however it was split."""
    return [name for name, _ in groupby(events, kind)]


def paths(value, place=""):
    """Every field there is, as `output[].content[].text`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            path = f"{place}.{name}" if place else name
            yield path
            yield from paths(inner, path)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{place}[]")


def fields(response):
    """What a response object has that we must have too."""
    own = [item for item in response["output"] if not SERVER_TOOLS.fullmatch(item["type"])]
    found = {path for item in own for path in paths({item["type"]: item}) if not NOT_OURS.search(path)}
    return found | {
        path
        for path in paths({**response, "output": []})
        if not NOT_OURS.search(path) and not path.startswith("text.format.schema.")
    }


def event_fields(events):
    """What the events have, by type; response objects are looked at by themselves."""
    out = {}
    for event in events:
        shown = {name: value for name, value in event.items() if name != "response"}
        names = {path for path in paths(shown) if not NOT_OURS.search(path)}
        out[event["type"], event.get("item", {}).get("type")] = names
    return out


def check_response(ours, theirs):
    Response.model_validate(ours)
    assert fields(theirs) - fields(ours) == set()
    assert ours["status"] == theirs["status"]
    for name in ("instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "truncation"):
        assert ours[name] == theirs[name]
    assert [item["type"] for item in ours["output"]] == [
        item["type"] for item in theirs["output"] if not SERVER_TOOLS.fullmatch(item["type"])
    ]
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert ours["usage"][name] == theirs["usage"][name]


def check_stream(ours, theirs):
    for number, event in enumerate(ours):
        STREAM.validate_python(event)
        assert event["sequence_number"] == number
    theirs = of_the_model(theirs)
    assert order(ours) == order(theirs)
    mine = event_fields(ours)
    for name, wanted in event_fields(theirs).items():
        assert wanted - mine[name] == set(), name


async def answer_to(row, **more):
    """What the gateway answers to a recorded question."""
    failed = row["status"] != 200
    code = row["json"]["error"]["code"] if failed else ""
    names = {} if code == "model_not_found" else {"*": "auto"}
    story = [started()] if failed else played(final(row))
    async with playhouse(story, loaded=settings(names=names)) as house:
        return await house.client.post("/v1/responses", json=row["body"] | more)


@pytest.mark.skipif(not RECORDED.is_file(), reason="the recorded exchanges are not beside this checkout")
@pytest.mark.parametrize("row", exchanges(), ids=lambda row: row["id"].rpartition("/")[2])
async def test_the_same_question_is_answered_in_the_same_way(row):
    response = await answer_to(row)
    assert response.status_code // 100 == row["status"] // 100, response.text
    if row["status"] != 200:
        ours, theirs = response.json()["error"], row["json"]["error"]
        assert (ours["type"], ours["param"], ours["code"]) == (
            theirs["type"],
            theirs["param"],
            theirs["code"],
        )
        return
    if "sse" not in row:
        check_response(response.json(), row["json"])
        return
    ours, theirs = events_of(response.text), events_of(row["sse"])
    check_stream(ours, theirs)
    check_response(ours[-1]["response"], theirs[-1]["response"])


SAME = ("id", "created_at", "completed_at", "output")
"""What differs between two answers to one question; of the output only ids do."""


def nameless(output):
    """Items without the ids that are made anew for each answer."""
    return [{name: value for name, value in item.items() if name not in ("id", "call_id")} for item in output]


@pytest.mark.skipif(not RECORDED.is_file(), reason="the recorded exchanges are not beside this checkout")
@pytest.mark.parametrize("row", exchanges(), ids=lambda row: row["id"].rpartition("/")[2])
async def test_streamed_and_whole_are_one_answer(row):
    whole, streamed = [await answer_to(row, stream=stream, background=False) for stream in (False, True)]
    assert whole.status_code == streamed.status_code
    if whole.status_code != 200:
        assert whole.json()["error"] == streamed.json()["error"]
        return
    one, other = whole.json(), events_of(streamed.text)[-1]["response"]
    assert nameless(one["output"]) == nameless(other["output"])
    for response in (one, other):
        for name in SAME:
            response.pop(name)
    assert one == other
