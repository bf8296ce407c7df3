"""One exchange of /v1/responses in tests, and the official SDK as the judge of what comes of it.

exchange = asking(tools=[...])
events = written(exchange, [MessageStart("e"), ...])     # every record typed, numbered, named
"""

import itertools
import json
from typing import get_args

from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from understudy.dialects.responses import DIALECT

STREAM = {
    get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in get_args(get_args(ResponseStreamEvent)[0])
}
"""The SDK's type of each event."""
ENDS = ("response.completed", "response.incomplete", "response.failed")
SHELL = {
    "type": "function",
    "name": "run",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
}


def clock(start=1000.0):
    """Seconds that pass by ones."""
    return map(float, itertools.count(int(start))).__next__


def asking(history=(), found=None, *, answer="resp_KEY", **body):
    """The exchange of this question."""
    asked = DIALECT.read(json.dumps({"model": "m", "input": "Hi", **body}).encode())
    raw = [json.dumps(item).encode() for item in history]
    return asked.exchange(raw, found or {}, answer, clock())


def records(data):
    """The events of a stream: each record has its name and its number, and is of a type that the SDK knows."""
    out = []
    for record in data.decode().split("\n\n")[:-1]:
        name, body = record.split("\n")
        event = json.loads(body.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        if event["type"] != "keepalive":  # the API says it, and no type has it
            typed(event)
        out.append(event)
    return out


def typed(event):
    """The event as the SDK's own type."""
    failure = event.get("response", {}).get("error")
    if (
        failure and failure["code"] == "context_length_exceeded"
    ):  # Codex reads it; the SDK's list has not got it
        failure = {**failure, "code": "server_error"}
        event = {**event, "response": {**event["response"], "error": failure}}
    return STREAM[event["type"]].model_validate(event)


def numbered(events):
    """The same, once their numbers have been seen to be in order."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def written(exchange, *batches):
    """The events of an answer, batch by batch; the SDK's accumulator has the same answer at its end."""
    encoder = exchange.encoder(None, "")
    events = numbered(records(b"".join([encoder.encode(batch) for batch in batches])))
    consistent(events)
    return events


def types(events):
    return [event["type"].removeprefix("response.") for event in events]


def consistent(events):
    """Items are added, spoken of and done under one id and index; what the deltas add up to is what is done."""
    items, texts = {}, {}
    for event in events:
        index = event.get("output_index")
        match event["type"].removeprefix("response."):
            case "output_item.added":
                assert index == len(items)
                items[index] = event["item"]["id"]
            case "output_item.done":
                assert event["item"]["id"] == items[index]
            case _ if "item_id" in event:
                assert event["item_id"] == items[index]
        if event["type"].endswith(".delta"):
            texts[index] = texts.get(index, "") + event["delta"]
        for name in ("text", "arguments", "input"):
            if name in event and event["type"].endswith(".done"):
                assert event[name] == texts.get(index, "")
    last = events[-1] if events else {}
    if last.get("type") in ENDS:
        done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        assert last["response"]["output"][: len(done)] == done
        if last["type"] == "response.completed":
            assert len(done) == len(last["response"]["output"])
            assert accumulated(events) == Response.model_validate(last["response"]).output_text


def accumulated(events):
    """The text that the SDK's own stream helper gathers."""
    state = ResponseStreamState(input_tools=[], text_format=omit)
    for event in events:
        state.handle_event(typed(event))
    return state._completed_response.output_text
