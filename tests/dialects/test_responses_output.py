"""Each kind of item: the events by which it comes, exactly."""

import json

import pytest

from understudy.dialects.responses_items import unsealed
from understudy.dialects.responses_output import PLAIN, SUMMARY, Said, Thought, call_of
from understudy.dialects.responses_tools import Way
from understudy.language.request import Thinking


def steps(found):
    """Steps as the events that they become."""
    return [
        {"type": kind.decode().removeprefix("response."), **json.loads(b"{%b}" % fields)}
        for kind, fields in found
    ]


def story(output, text, status="completed"):
    """Everything that an item says, its deltas in one."""
    head = output.delta.decode()
    delta = [json.loads(head.partition("data: ")[2] + json.dumps(text) + "}")] if head else []
    for event in delta:
        assert head.startswith(f"event: {event['type']}\n")
        event["type"] = event["type"].removeprefix("response.")
    return [*steps(output.opening()), *delta, *steps(output.closing(text, status))]


def test_a_message():
    part = {"type": "output_text", "annotations": [], "logprobs": []}
    item = {"type": "message", "id": "msg_k-0", "role": "assistant"}
    at = {"item_id": "msg_k-0", "output_index": 2, "content_index": 0}
    assert story(Said("k-0", 2), "Hi", "incomplete") == [
        {
            "type": "output_item.added",
            "output_index": 2,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "content_part.added", **at, "part": {**part, "text": ""}},
        {"type": "output_text.delta", **at, "logprobs": [], "delta": "Hi"},
        {"type": "output_text.done", **at, "logprobs": [], "text": "Hi"},
        {"type": "content_part.done", **at, "part": {**part, "text": "Hi"}},
        {
            "type": "output_item.done",
            "output_index": 2,
            "item": {**item, "status": "incomplete", "content": [{**part, "text": "Hi"}]},
        },
    ]


def test_reasoning_as_a_summary():
    item = {"type": "reasoning", "id": "rs_k", "content": []}
    at = {"item_id": "rs_k", "output_index": 0, "summary_index": 0}
    part = {"type": "summary_text"}
    assert story(Thought("k", 0, SUMMARY, seal=False), "hm") == [
        {"type": "output_item.added", "output_index": 0, "item": {**item, "summary": []}},
        {"type": "reasoning_summary_part.added", **at, "part": {**part, "text": ""}},
        {"type": "reasoning_summary_text.delta", **at, "delta": "hm"},
        {"type": "reasoning_summary_text.done", **at, "text": "hm"},
        {"type": "reasoning_summary_part.done", **at, "part": {**part, "text": "hm"}},
        {
            "type": "output_item.done",
            "output_index": 0,
            "item": {**item, "summary": [{**part, "text": "hm"}]},
        },
    ]


def test_reasoning_as_it_is():
    item = {"type": "reasoning", "id": "rs_k", "summary": []}
    at = {"item_id": "rs_k", "output_index": 0, "content_index": 0}
    part = {"type": "reasoning_text"}
    assert story(Thought("k", 0, PLAIN, seal=False), "hm") == [
        {"type": "output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "content_part.added", **at, "part": {**part, "text": ""}},
        {"type": "reasoning_text.delta", **at, "delta": "hm"},
        {"type": "reasoning_text.done", **at, "text": "hm"},
        {"type": "content_part.done", **at, "part": {**part, "text": "hm"}},
        {
            "type": "output_item.done",
            "output_index": 0,
            "item": {**item, "content": [{**part, "text": "hm"}]},
        },
    ]


def test_reasoning_that_is_only_packed():
    thinking = Thought("k", 0, None, seal=True)
    thinking.signature = "s"
    events = story(thinking, "hm")
    assert [event["type"] for event in events] == ["output_item.added", "output_item.done"]
    item = events[1]["item"]
    assert (item["summary"], item["content"]) == ([], [])
    assert unsealed(item["encrypted_content"]) == Thinking("hm", "s")


@pytest.mark.parametrize("shown", [SUMMARY, PLAIN, None])
@pytest.mark.parametrize("seal", [True, False])
def test_what_is_kept_is_always_packed(shown, seal):
    thinking = Thought("k", 0, shown, seal=seal)
    assert unsealed(json.loads(thinking.item("hm", "x", seal=True))["encrypted_content"]) == Thinking("hm")
    assert ("encrypted_content" in json.loads(thinking.item("hm", "x", seal=False))) is seal


def test_a_call_of_a_function():
    item = {"type": "function_call", "id": "fc_k", "call_id": "c", "name": "run"}
    at = {"item_id": "fc_k", "output_index": 1}
    assert story(call_of("k", 1, "c", Way("function", "run")), "{}") == [
        {
            "type": "output_item.added",
            "output_index": 1,
            "item": {**item, "status": "in_progress", "arguments": ""},
        },
        {"type": "function_call_arguments.delta", **at, "delta": "{}"},
        {"type": "function_call_arguments.done", **at, "arguments": "{}"},
        {
            "type": "output_item.done",
            "output_index": 1,
            "item": {**item, "status": "completed", "arguments": "{}"},
        },
    ]


def test_a_call_of_a_custom_tool():
    item = {"type": "custom_tool_call", "id": "ctc_k", "call_id": "c", "name": "patch"}
    at = {"item_id": "ctc_k", "output_index": 1}
    assert story(call_of("k", 1, "c", Way("custom", "patch")), '{"input": "a\\nb"}') == [
        {
            "type": "output_item.added",
            "output_index": 1,
            "item": {**item, "status": "in_progress", "input": ""},
        },
        {"type": "custom_tool_call_input.delta", **at, "delta": "a\nb"},
        {"type": "custom_tool_call_input.done", **at, "input": "a\nb"},
        {
            "type": "output_item.done",
            "output_index": 1,
            "item": {**item, "status": "completed", "input": "a\nb"},
        },
    ]


@pytest.mark.parametrize(("kind", "arguments"), [("function", "{}"), ("custom", '{"input": ""}')])
def test_a_namespace_is_named(kind, arguments):
    output = call_of("k", 1, "c", Way(kind, "run", "files"))
    for event in story(output, arguments):
        if "item" in event:
            assert (event["item"]["name"], event["item"]["namespace"]) == ("run", "files")


NATIVES = [
    ("local_shell", "lsh", {"action": {"type": "exec", "env": {}, "command": ["ls"]}}, '{"command": ["ls"]}'),
    ("shell", "sh", {"action": {"commands": ["ls"]}}, '{"commands": ["ls"]}'),
    (
        "apply_patch",
        "apc",
        {"operation": {"type": "delete_file", "path": "a"}},
        '{"type": "delete_file", "path": "a"}',
    ),
    ("tool_search", "tsc", {"arguments": {"q": "x"}, "execution": "client"}, '{"q": "x"}'),
]


@pytest.mark.parametrize(("tool", "mark", "fields", "arguments"), NATIVES)
def test_a_call_in_the_apis_own_form(tool, mark, fields, arguments):
    item = {"type": f"{tool}_call", "id": f"{mark}_k", "call_id": "c", **fields}
    assert story(call_of("k", 1, "c", Way(tool, tool)), arguments) == [
        {"type": "output_item.added", "output_index": 1, "item": {**item, "status": "in_progress"}},
        {"type": "output_item.done", "output_index": 1, "item": {**item, "status": "completed"}},
    ]
