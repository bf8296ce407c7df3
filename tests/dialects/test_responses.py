"""One exchange of /v1/responses, and how errors look."""

import json

import httpx
import openai
import pytest
from dialects.respond import SHELL, asking, written
from openai.types.responses import Response

from understudy.dialects import keeping_dialect, speaker
from understudy.dialects.responses import CODES, DIALECT
from understudy.language import errors
from understudy.language.events import MessageStart, MessageStop, Usage
from understudy.language.message import Message, replay
from understudy.language.request import Request, Text, Thinking, ToolUse, Turn

MESSAGE = Message(
    "msg_e",
    "m",
    (
        Thinking("hm", "signed"),
        Text("I say “ü”."),
        ToolUse("toolu_1", "run", '{"command": "ls"}'),
        ToolUse("toolu_2", "patch", '{"input": "*** Begin"}'),
    ),
    "tool_use",
    None,
    Usage(10, 4, 8),
)
TOOLS = [SHELL, {"type": "custom", "name": "patch"}]


def test_it_is_found_by_its_name():
    assert keeping_dialect("responses") is DIALECT
    assert speaker("responses").name == "responses"


# ---- a question in two steps ----


def test_what_has_to_be_looked_up():
    body = {
        "model": "m",
        "stream": True,
        "previous_response_id": "resp_1",
        "input": [
            {"type": "item_reference", "id": "msg_1"},
            {"role": "user", "content": '"item_reference"'},
            {"type": "item_reference", "id": "msg_2"},
        ],
    }
    asked = DIALECT.read(json.dumps(body).encode())
    assert (asked.stream, asked.store, asked.background) == (True, True, False)
    assert (asked.previous, asked.conversation) == ("resp_1", "")
    assert asked.references == ("msg_1", "msg_2")
    plain = DIALECT.read(b'{"model":"m","input":"Hi","store":false,"conversation":{"id":"conv_1"}}')
    assert (plain.stream, plain.store, plain.conversation, plain.references) == (False, False, "conv_1", ())
    assert DIALECT.read(b'{"model":"m","input":"Hi","background":true}').background


def test_a_question_is_read_with_what_was_before():
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    found = {"msg_1": b'{"role":"user","content":"c"}'}
    exchange = asking(history, found, input=[{"type": "item_reference", "id": "msg_1"}])
    assert exchange.parse(b"") == Request(
        "m", (Turn("user", (Text("a"),)), Turn("assistant", (Text("b"),)), Turn("user", (Text("c"),)))
    )
    assert exchange.name == "responses"
    assert exchange.stream_type == "text/event-stream"


def test_a_reference_to_nothing():
    for reference in ({"type": "item_reference", "id": "msg_1"}, {"type": "item_reference"}):
        with pytest.raises(errors.NoTarget):
            asking(input=[reference])
    with pytest.raises(errors.BadField):
        DIALECT.read(b'{"model":"m","input":["item_reference"]}')


def test_what_the_question_said():
    exchange = asking(
        input=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": [{"type": "input_text", "text": "c"}], "status": "in_progress"},
            {"type": "function_call", "id": "fc_9", "call_id": "c", "name": "run", "arguments": "{}"},
            {"type": "function_call_output", "id": None, "call_id": "c", "output": "ok"},
            {"type": "novelty"},
        ]
    )
    assert [json.loads(item) for item in DIALECT.listed("resp_KEY", exchange.asked)] == [
        {
            "id": "msg_KEY-i0",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "a"}],
            "status": "completed",
        },
        {
            "id": "msg_KEY-i1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "b"}],
            "status": "completed",
        },
        {
            "id": "msg_KEY-i2",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "c"}],
            "status": "in_progress",
        },
        {"id": "fc_9", "type": "function_call", "call_id": "c", "name": "run", "arguments": "{}"},
        {"id": "fc_KEY-i4", "type": "function_call_output", "call_id": "c", "output": "ok"},
        {"id": "item_KEY-i5", "type": "novelty"},
    ]


def test_what_is_kept_reads_as_it_was_asked():
    items = [{"role": "user", "content": "a"}, {"role": "developer", "content": "b"}]
    exchange = asking(input=items)
    for kept in (exchange.asked, DIALECT.listed("resp_KEY", exchange.asked)):
        again = asking([json.loads(item) for item in kept], input=None, conversation="c")
        assert again.parse(b"").turns == exchange.parse(b"").turns


# ---- its answer ----


def test_whole_and_streamed_are_the_same():
    whole = asking(tools=TOOLS).whole(MESSAGE, None, "")
    events = written(asking(tools=TOOLS), list(replay(MESSAGE)))
    assert json.loads(whole) == events[-1]["response"]
    Response.model_validate_json(whole)


def test_an_answer_is_kept_as_it_was_said():
    exchange = asking(tools=TOOLS)
    assert exchange.told is None
    body = exchange.whole(MESSAGE, None, "")
    told = exchange.told
    assert (told.status, told.body) == ("completed", body)
    again = asking(
        [json.loads(item) for item in told.items],
        tools=TOOLS,
        input=[
            {"type": "function_call_output", "call_id": "toolu_1", "output": "a"},
            {"type": "custom_tool_call_output", "call_id": "toolu_2", "output": "b"},
        ],
    )
    said = again.parse(b"").turns[0].blocks
    assert said[:3] == MESSAGE.blocks[:3]  # the signature too, which the client has not been shown
    assert said[3] == ToolUse("toolu_2", "patch", '{"input":"*** Begin"}')
    assert b"signed" not in body


def test_what_is_packed_comes_back():
    exchange = asking(include=["reasoning.encrypted_content"], store=False, tools=TOOLS)
    output = json.loads(exchange.whole(MESSAGE, None, ""))["output"]
    assert (output[0]["summary"], output[0]["content"]) == ([], [])
    again = asking(input=output[:2], store=False)
    assert again.parse(b"").turns[0].blocks == MESSAGE.blocks[:2]


def test_several_may_read_along():
    exchange = asking(background=True)
    first = exchange.encoder(None, "")
    first.encode([MessageStart("e")])
    assert json.loads(exchange.pending())["status"] == "in_progress"
    assert written(exchange, list(replay(Message("e", "m", (Text("a"),), "end_turn"))))
    told = exchange.told
    first.encode([MessageStop("end_turn")])
    assert exchange.told is told


def test_an_answer_that_nobody_wants():
    exchange = asking(background=True)
    assert json.loads(exchange.pending())["status"] == "queued"
    assert exchange.cancelled().status == "cancelled"
    assert exchange.told == exchange.cancelled()
    ended = asking()
    ended.whole(Message("e", "m", (), "end_turn"), None, "")
    assert ended.cancelled().status == "completed"


# ---- errors ----

ERRORS = [
    (
        errors.BadField("input[0].role", "no", "invalid_value"),
        "invalid_request_error",
        "input[0].role",
        "invalid_value",
    ),
    (errors.BadField("", "no"), "invalid_request_error", None, None),
    (errors.BadRequest("no"), "invalid_request_error", None, None),
    (errors.PromptTooLong(5, 4), "invalid_request_error", None, "context_length_exceeded"),
    (errors.Unauthorized("no"), "invalid_request_error", None, "invalid_api_key"),
    (errors.Refused("no"), "rate_limit_error", None, "rate_limit_exceeded"),
    (errors.NoTarget("no"), "invalid_request_error", None, None),
    (errors.EngineRefused("no"), "invalid_request_error", None, None),
    (errors.EngineBusy("no"), "server_error", None, "server_is_overloaded"),
    (errors.EngineTimeout("no"), "server_error", None, None),
    (errors.Bug("no"), "server_error", None, None),
]
RAISED = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}


@pytest.mark.parametrize(("error", "kind", "param", "code"), ERRORS, ids=str)
def test_errors_as_the_sdk_reads_them(error, kind, param, code):
    body = DIALECT.error(error, "req_1")
    transport = httpx.MockTransport(
        lambda _: httpx.Response(error.status, content=body, headers={"content-type": "application/json"})
    )
    client = openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport), max_retries=0)
    with pytest.raises(RAISED.get(error.status, openai.InternalServerError)) as raised:
        client.responses.create(model="m", input="Hi")
    assert raised.value.body == {"message": error.message, "type": kind, "param": param, "code": code}
    assert (raised.value.param, raised.value.code) == (param, code)


def test_an_error_has_its_request():
    exchange = asking()
    assert json.loads(exchange.error(errors.Bug("x"), "req_1"))["request_id"] == "req_1"
    assert "request_id" not in json.loads(exchange.error(errors.Bug("x"), ""))
    assert json.loads(DIALECT.error(errors.Bug("\ud83d"), ""))["error"]["message"] == "\ufffd"


def test_every_error_has_its_words():
    assert CODES[-1][0] is errors.UnderstudyError
