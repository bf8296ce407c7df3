"""The response object: what was asked, shown again, and what became of it."""

import json

import pytest
from dialects.respond import clock
from openai.types.responses import Response

from understudy.dialects.responses_object import Sheet, WireError, usage_of
from understudy.dialects.responses_parse import read_ask
from understudy.language.events import Usage

ALWAYS = {
    "background": False,
    "completed_at": None,
    "created_at": 1000,
    "error": None,
    "frequency_penalty": 0.0,
    "id": "resp_KEY",
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "model": "m",
    "moderation": None,
    "object": "response",
    "output": [],
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None, "generate_summary": None, "context": None, "mode": None},
    "safety_identifier": None,
    "service_tier": "default",
    "status": "in_progress",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
    "user": None,
}


def sheet(**body):
    return Sheet(read_ask(json.dumps({"model": "m", "input": "Hi", **body}).encode()), "resp_KEY", clock())


def shown(status="in_progress", *rest, body=None, **more):
    found = json.loads(sheet(**(body or {})).body(status, *rest, **more))
    Response.model_validate(found)
    return found


def test_every_field_is_always_there():
    assert shown() == ALWAYS


FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
SCHEMA = {"type": "object", "properties": {}}
ECHOED = [
    ({"background": True}, {}),
    ({"conversation": "conv_1"}, {"conversation": {"id": "conv_1"}}),
    ({"conversation": {"id": "conv_1"}}, {"conversation": {"id": "conv_1"}}),
    ({"instructions": "Be brief"}, {}),
    ({"max_output_tokens": 100, "max_tool_calls": 2}, {}),
    ({"metadata": {"a": "b"}}, {}),
    ({"parallel_tool_calls": False}, {}),
    ({"previous_response_id": "resp_0"}, {}),
    (
        {
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        },
        {},
    ),
    ({"store": False}, {}),
    ({"temperature": 0.0, "top_p": 0.5, "top_logprobs": 3}, {}),
    ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}}, {}),
    ({"truncation": "auto"}, {}),
    ({"user": "u", "safety_identifier": "s"}, {}),
    ({"service_tier": "flex"}, {"service_tier": "default"}),  # there is but one here
    (
        {"reasoning": {"effort": "high", "summary": "auto", "context": "auto", "mode": "pro"}},
        {
            "reasoning": {
                "effort": "high",
                "summary": "auto",
                "generate_summary": None,
                "context": "auto",
                "mode": "pro",
            }
        },
    ),
    (
        {"reasoning": {"generate_summary": "concise"}},
        {"reasoning": {**ALWAYS["reasoning"], "generate_summary": "concise", "summary": "concise"}},
    ),
    ({"text": {"verbosity": "low"}}, {"text": {"format": {"type": "text"}, "verbosity": "low"}}),
    ({"text": None}, {"text": ALWAYS["text"]}),
    (
        {"text": {"format": {"type": "json_object"}}},
        {"text": {"format": {"type": "json_object"}, "verbosity": "medium"}},
    ),
    (
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "schema": SCHEMA,
                    "description": None,
                    "strict": True,
                },
                "verbosity": "medium",
            }
        },
    ),
    (
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "schema": SCHEMA,
                    "description": "d",
                    "strict": False,
                }
            }
        },
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "schema": SCHEMA,
                    "description": "d",
                    "strict": False,
                },
                "verbosity": "medium",
            }
        },
    ),
]


@pytest.mark.parametrize(("body", "instead"), ECHOED)
def test_what_was_asked_is_shown_again(body, instead):
    assert shown(body=body) == {**ALWAYS, **body, **instead}


def test_a_schema_needs_no_name_here():
    body = {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    assert "name" not in json.loads(sheet(**body).body("queued"))["text"]["format"]


def test_how_it_ended():
    assert shown("incomplete", incomplete="max_output_tokens")["incomplete_details"] == {
        "reason": "max_output_tokens"
    }
    failed = shown("failed", error=WireError("server_error", "gone"))
    assert failed["error"] == {"code": "server_error", "message": "gone"}
    one = sheet()
    assert [json.loads(one.body("completed"))["completed_at"] for _ in range(3)] == [1001] * 3


@pytest.mark.parametrize(
    ("thought", "said", "share"), [(0, 0, 0), (0, 50, 0), (50, 50, 4), (100, 0, 8), (1, 3, 2)]
)
def test_reasoning_has_its_share_of_the_tokens(thought, said, share):
    usage = usage_of(Usage(10, None, 8), thought, said)
    assert usage.output_tokens_details.reasoning_tokens == share
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (10, 8, 18)
    assert usage.input_tokens_details.cached_tokens == 0


def test_halves_of_a_letter_are_replaced():
    one = Sheet(read_ask(b'{"model":"m","input":"Hi"}'), "resp_KEY", clock())
    one._ask.model = "m\ud83d"
    assert json.loads(one.body("queued"))["model"] == "m\ufffd"
