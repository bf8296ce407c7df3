"""What clients are answered in OpenAI's dialect; the official SDK is the judge."""

import json

import httpx
import openai
import pytest
from harness import feed, feed3, ids, merged, story, wires

from understudy.dialects import Quirks, dialect
from understudy.dialects.openai import DIALECT, Encoder, whole
from understudy.dialects.openai_decode import Decoder
from understudy.dialects.openai_ends import CODES, FINISH, error_body
from understudy.language import errors
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    Logprobs,
    MessageStart,
    MessageStop,
    Progress,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.message import Message, collect, replay
from understudy.language.request import Prompt, Request, Sampling, Text, Thinking, ToolUse, change

ASK = DIALECT.parse(
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}'
)
PLAIN_ASK = Request("m", ())
MESSAGE = Message(
    "msg_1",
    "m",
    (
        Thinking("hm"),
        Text("I say “ü”."),
        ToolUse("call_a", "Read", '{"p": 1}'),
        ToolUse("call_b", "Now", "{}"),
    ),
    "tool_use",
    None,
    Usage(10, 4, 3),
)
WIRES = wires("openai") + wires("openai", "json")


def make():
    return Decoder(ids())


def encoded(events, request=ASK, model="shown"):
    return Encoder(request, model).encode(events)


def records(data):
    return [
        json.loads(r.removeprefix("data: ")) for r in data.decode().split("\n\n") if r and r != "data: [DONE]"
    ]


def client(content, status=200, content_type="text/event-stream"):
    """The official SDK in front of one prepared answer."""

    def answer(request):
        return httpx.Response(
            status, content=content, headers={"content-type": content_type, "x-request-id": "r1"}
        )

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://engine/v1", http_client=transport, max_retries=0)


def streamed(sdk):
    """What the SDK's own accumulator makes of a stream."""
    with sdk.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "hi"}], stream_options={"include_usage": True}
    ) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


def judged(completion, message):
    said = completion.choices[0].message
    texts = "".join(b.text for b in message.blocks if isinstance(b, Text))
    assert (said.content or "") == texts
    uses = [(b.id, b.name, b.input) for b in message.blocks if isinstance(b, ToolUse)]
    assert [(c.id, c.function.name, c.function.arguments) for c in said.tool_calls or []] == uses
    assert completion.choices[0].finish_reason == FINISH[message.stop_reason]
    assert completion.usage.prompt_tokens == message.usage.input_tokens
    assert completion.usage.completion_tokens == message.usage.output_tokens
    assert completion.model == "shown"


def finished():
    for wire in WIRES:
        events = feed(make, [wire.read_bytes()])
        # The SDK refuses to parse an answer that was cut by max_tokens or a filter: that is its client's to know.
        if isinstance(events[-1], MessageStop) and events[-1].stop_reason not in ("max_tokens", "refusal"):
            yield pytest.param(events, id=wire.stem)


FINISHED = list(finished())


@pytest.mark.parametrize("events", FINISHED)
def test_the_official_client_reads_every_wire_again(events):
    judged(streamed(client(encoded(events))), collect(events))


@pytest.mark.parametrize("events", FINISHED)
def test_the_official_client_reads_every_wire_as_a_whole(events):
    message = collect(events)
    sdk = client(DIALECT.whole(message, ASK, "shown"), content_type="application/json")
    judged(sdk.chat.completions.create(model="m", messages=[]), message)


@pytest.mark.parametrize("wire", WIRES, ids=lambda w: w.stem)
def test_what_is_encoded_decodes_to_the_same(wire):
    events = [e for e in feed(make, [wire.read_bytes()]) if not isinstance(e, Progress)]
    again = story(feed3(make, encoded(events)))
    if isinstance(events[-1], Failed):
        assert again[-1]["event"] == "Failed"
        return
    expected = [e for e in story(events) if e["event"] != "MessageStart"]
    assert [e for e in again if e["event"] != "MessageStart"] == expected


@pytest.mark.parametrize("text", ["Hi", '"\n\\', "你好 🙂", "\u2028"])
def test_more_text_is_written_as_its_event_would_be(text):
    assert Encoder(ASK, "m").more(text) == Encoder(ASK, "m").encode([TextDelta(text)])


ODDS = '[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]'


def test_log_probabilities_come_with_their_text():
    said = [
        MessageStart("m"),
        BlockStart("text"),
        TextDelta("a"),
        Logprobs(ODDS),
        TextDelta("b"),
        BlockStop(),
    ]
    got = records(encoded([*said, MessageStop("end_turn")]))
    texts = [
        (c["choices"][0]["delta"].get("content"), c["choices"][0].get("logprobs"))
        for c in got
        if c["choices"]
    ]
    assert texts == [
        ("", None),
        ("a", {"content": json.loads(ODDS), "refusal": None}),
        ("b", None),
        (None, None),
    ]
    message = collect([*said, MessageStop("end_turn")])
    whole = client(DIALECT.whole(message, ASK, "m"), content_type="application/json")
    found = whole.chat.completions.create(model="m", messages=[]).choices[0].logprobs
    assert [token.logprob for token in found.content] == [-0.5]
    assert collect(replay(message)).logprobs == message.logprobs


def test_an_engines_log_probabilities_are_read():
    record = {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": json.loads(ODDS)}, "index": 0}]}
    last = {"choices": [{"delta": {}, "finish_reason": "stop", "logprobs": None, "index": 0}]}
    wire = (
        b"".join(b"data: %b\n\n" % json.dumps(r).encode() for r in (record, record, last))
        + b"data: [DONE]\n\n"
    )
    events = feed3(make, wire)
    assert [json.loads(e.json) for e in events if isinstance(e, Logprobs)] == 2 * [json.loads(ODDS)]


def test_text_to_go_on_with_is_asked_and_read():
    ask = Request("m", (), prompt=Prompt("def f", "pass"), sampling=Sampling(5, top_logprobs=2))
    body = json.loads(DIALECT.render(ask))
    assert (body["prompt"], body["suffix"], body["max_tokens"]) == ("def f", "pass", 5)
    assert not {"messages", "tools", "logprobs"} & set(body)
    records = [{"choices": [{"text": piece, "index": 0}]} for piece in ("a", "b")]
    records += [{"choices": [{"text": "", "index": 0, "finish_reason": "length"}]}]
    wire = b"".join(b"data: %b\n\n" % json.dumps(r).encode() for r in records) + b"data: [DONE]\n\n"
    message = collect(feed3(make, wire))
    assert (message.blocks, message.stop_reason) == ((Text("ab"),), "max_tokens")


def test_several_answers_are_one_stream():
    encoder = Encoder(change(ASK, n=2), "m")
    first = encoder.encode(replay(MESSAGE))
    assert b"[DONE]" not in first
    assert b'"usage"' not in first
    encoder.another()
    got = records(first + encoder.encode(replay(MESSAGE)))
    assert {c["id"] for c in got} == {"chatcmpl-1"}
    calls = [
        (c["index"], d["index"]) for r in got for c in r["choices"] for d in c["delta"].get("tool_calls", ())
    ]
    assert sorted(set(calls)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert got[-1]["usage"]["completion_tokens"] == 6


def test_a_whole_message_goes_there_and_back():
    for data in (encoded(replay(MESSAGE)), whole((MESSAGE,), ASK, "m")):
        assert collect(feed(make, [data])).blocks == MESSAGE.blocks


def test_the_records_of_a_stream():
    got = records(encoded([*replay(MESSAGE)]))
    assert {r["id"] for r in got} == {"chatcmpl-1"}
    assert {r["object"] for r in got} == {"chat.completion.chunk"}
    deltas = [r["choices"][0]["delta"] for r in got if r["choices"]]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "I say “ü”."},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "Read", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"p": 1}'}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "call_b", "type": "function", "function": {"name": "Now", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert got[-1]["choices"] == []
    assert got[-1]["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


def test_usage_comes_only_when_asked_for():
    data = encoded(replay(MESSAGE), PLAIN_ASK)
    assert b"usage" not in data
    assert data.endswith(b"data: [DONE]\n\n")


def test_progress_comes_only_when_asked_for():
    step = [Progress(5, 9, 2)]
    assert encoded(step) == b""
    ask = Request("m", (), raw=DIALECT.render(PLAIN_ASK, Quirks(prompt_progress=True)))
    assert feed(make, [encoded(step, ask)])[0] == step[0]


def test_what_has_no_form_says_nothing():
    assert encoded([BlockStart("text"), SignatureDelta("s"), BlockStop(), BlockStart("thinking")]) == b""


@pytest.mark.parametrize(("reason", "finish"), FINISH.items())
def test_finish_reasons(reason, finish):
    last = records(encoded([MessageStart("msg_1"), MessageStop(reason)]))[-2]
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": finish}]
    assert (
        json.loads(DIALECT.whole(Message("msg_1", "m", (), reason), ASK, "m"))["choices"][0]["finish_reason"]
        == finish
    )


def test_a_stop_string_is_told():
    stop = MessageStop("stop_sequence", "END")
    assert feed(make, [encoded([MessageStart("msg_1"), stop])])[-1] == stop
    body = DIALECT.whole(Message("msg_1", "m", (Text("x"),), "stop_sequence", "END"), ASK, "m")
    assert feed(make, [body])[-1].stop_sequence == "END"


def test_a_failure_ends_the_stream_without_done():
    data = encoded(
        [MessageStart("msg_1"), BlockStart("text"), TextDelta("x"), Failed(errors.EngineLost("gone"))]
    )
    assert b"[DONE]" not in data
    with pytest.raises(openai.APIError, match="gone"):
        streamed(client(data))


def test_content_is_null_beside_calls_alone():
    for blocks, content in (((ToolUse("a", "f", "{}"),), None), ((), "")):
        body = DIALECT.whole(Message("msg_1", "m", blocks, "end_turn"), ASK, "m")
        assert json.loads(body)["choices"][0]["message"]["content"] == content


SDK_ERRORS = [
    (errors.BadRequest("stop: no"), openai.BadRequestError, None),
    (errors.PromptTooLong(9, 8), openai.BadRequestError, "context_length_exceeded"),
    (errors.Unauthorized("no key"), openai.AuthenticationError, "invalid_api_key"),
    (errors.NoTarget("no model"), openai.NotFoundError, "model_not_found"),
    (errors.Refused("slow down"), openai.RateLimitError, "rate_limit_exceeded"),
    (errors.EngineBusy("busy"), openai.InternalServerError, None),
    (errors.Bug("ours"), openai.InternalServerError, None),
]


@pytest.mark.parametrize(("error", "expected", "code"), SDK_ERRORS)
def test_the_official_client_understands_errors(error, expected, code):
    sdk = client(DIALECT.error(error, "r1"), error.status, "application/json")
    with pytest.raises(expected) as caught:
        sdk.chat.completions.create(model="m", messages=[])
    assert error.message in caught.value.message
    assert caught.value.code == code
    assert caught.value.type == error.kind


def test_each_code_is_tested():
    assert {code for _, code in CODES} == {code for _, _, code in SDK_ERRORS if code}


def test_the_request_id_is_told_where_there_is_one():
    assert json.loads(error_body(errors.Bug("ours"), "r1"))["request_id"] == "r1"
    assert "request_id" not in json.loads(error_body(errors.Bug("ours")))


OVERFLOWS = [
    (400, {"error": {"message": "This model's maximum context length is 8192 tokens. However, your request has 9001 input tokens. Please reduce the length of the input messages. (parameter=input_tokens, value=9001)", "type": "BadRequestError", "param": "input_tokens", "code": 400}}, 8192),  # noqa: E501
    (400, {"object": "error", "message": "The input (61709 tokens) is longer than the model's context length (40960 tokens).", "type": "BadRequestError", "param": None, "code": 400}, 40960),  # noqa: E501
    (400, {"error": {"code": 400, "message": "request (40012 tokens) exceeds the available context size (32768 tokens), try increasing it", "type": "exceed_context_size_error", "n_prompt_tokens": 40012, "n_ctx": 32768}}, 32768),  # noqa: E501
    (400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096)."}, 4096),  # noqa: E501
    (400, {"error": {"message": "This model's maximum context length is 4097 tokens. However, your messages resulted in 4294 tokens. Please reduce the length of the messages.", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}, 4097),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "maximum"), OVERFLOWS)
def test_a_full_window_in_every_engines_words(status, body, maximum):
    error = DIALECT.refusal(status, json.dumps(body).encode())
    assert isinstance(error, errors.PromptTooLong), error
    assert error.maximum == maximum


def test_our_own_errors_are_read_back():
    for error, expected in (
        (errors.PromptTooLong(9, 8), errors.PromptTooLong),
        (errors.NoTarget("x"), errors.NoTarget),
    ):
        assert type(DIALECT.refusal(error.status, DIALECT.error(error, "r1"))) is expected


def test_the_dialect_is_found_by_its_name():
    assert dialect("openai") is DIALECT
    assert (DIALECT.name, DIALECT.stream_type) == ("openai", "text/event-stream")
    assert isinstance(DIALECT.encoder(ASK, "m"), Encoder)
    assert isinstance(DIALECT.decoder(ids()), Decoder)


def test_a_ping_may_stand_between_any_two_records():
    encoder = Encoder(ASK, "m")
    data = encoder.ping + encoder.ping.join(encoder.encode([event]) for event in replay(MESSAGE))
    assert story(merged(feed(make, [data]))) == story(feed(make, [encoded(replay(MESSAGE), model="m")]))


def test_deltas_of_each_kind():
    got = records(encoded([BlockStart("tool_use", "a", "f"), InputDelta("{"), ThinkingDelta("t")]))
    assert [next(iter(r["choices"][0]["delta"])) for r in got] == [
        "tool_calls",
        "tool_calls",
        "reasoning_content",
    ]
