"""Whole answers, endings and tokens: each check is seen failing."""

import pytest
from conform.broken import (
    SCENE,
    Broken,
    broken,
    calling,
    covers,
    headed,
    is_found,
    made,
    refusal,
    saying,
    telling,
    using,
)

from understudy.conform.checks import answers


def cut_at(words, stop, sequence=None):
    """What a question with stop sequences is answered with."""

    def change(body, message):
        if "stop_sequences" not in body:
            return message
        content = [{"type": "text", "text": words}]
        return message | {"content": content, "stop_reason": stop, "stop_sequence": sequence}

    return change


def ending(stop, when):
    return lambda _body, message: message | {"stop_reason": stop} if when(message) else message


def lacking(name):
    def change(_body, message):
        del message[name]
        return message

    return change


def unnamed(_body, message):
    del message["usage"]["cache_read_input_tokens"]
    return message


def silent(events):
    return [e | {"usage": {}} if e["type"] == "message_delta" else e for e in events]


def cold(_body, message):
    """What came from the cache is not told."""
    return message | {"usage": message["usage"] | {"cache_read_input_tokens": 0}}


ROWS = [
    broken("whole.shape", "a stream for", question=lambda body: body | {"stream": True}),
    broken("whole.shape", "content-type: text/html", reply=headed(content_type="text/html")),
    broken("whole.shape", "stop_reason: None", message=telling(stop_reason=None)),
    broken("whole.shape", "role: user", message=telling(role="user")),
    broken("whole.shape", "id: ", message=telling(id="")),
    broken("whole.ids", "two answers with the id 'msg_1'", message=telling(id="msg_1")),
    broken(
        "ends.max-tokens",
        "stop_reason 'end_turn'",
        message=ending("end_turn", lambda m: m["stop_reason"] == "max_tokens"),
    ),
    broken("ends.max-tokens", "9 tokens of answer", message=using(output_tokens=9)),
    broken("ends.stop-sequence", "text 'Hello'", message=cut_at("Hello", "end_turn")),
    broken("ends.stop-sequence", "stop_reason 'end_turn'", message=cut_at("H", "end_turn")),
    broken("ends.stop-sequence", "stop_sequence None", message=cut_at("H", "stop_sequence")),
    broken(
        "ends.known",
        "'model_context_window_exceeded'",
        message=telling(stop_reason="model_context_window_exceeded"),
    ),
    broken(
        "ends.tool-use",
        "stop_reason 'end_turn' after a call",
        message=ending("end_turn", lambda m: m["stop_reason"] == "tool_use"),
    ),
    broken("usage.told", "0 of answer", message=using(output_tokens=0)),
    broken("usage.told", "0 tokens of prompt", message=using(input_tokens=0, cache_read_input_tokens=0)),
    broken("usage.names", "message_start has no cache_read_input_tokens", message=unnamed),
    broken("usage.names", "message_delta has no output_tokens", records=silent),
    broken(
        "usage.grows", "4000 more characters, and 0", message=using(input_tokens=9, cache_read_input_tokens=0)
    ),
    broken("usage.stable", "the same prompt had", message=cold),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, answers.CHECKS)


@pytest.mark.parametrize(
    ("name", "hooks"),
    [
        ("ends.max-tokens", {"message": saying(" ")}),
        ("ends.stop-sequence", {"message": cut_at("Hm", "max_tokens")}),
        ("ends.stop-sequence", {"message": cut_at("", "end_turn")}),
        ("ends.tool-use", {"message": saying("No.")}),
        ("ends.tool-use", {"message": telling(stop_reason="max_tokens")}),
        ("usage.grows", {"message": using(input_tokens=0, cache_read_input_tokens=0)}),
    ],
)
def test_what_the_model_did_not_do_decides_nothing(name, hooks):
    assert made(name, Broken(**hooks)).status == "undecided"


def test_a_call_that_was_cut_off_need_not_stop_with_tool_use():
    cut = Broken(message=lambda body, m: m | {"stop_reason": "max_tokens"} if body.get("tools") else m)
    assert made("ends.tool-use", cut).status == "undecided"
    assert made("ends.tool-use", Broken(message=calling(id="toolu_1"))).status == "pass"


def test_every_check_of_a_server_that_refuses_all_fails_or_decides_nothing():
    for check in answers.CHECKS:
        assert made(check.id, lambda _ask: refusal("no"), SCENE).status == "fail"
