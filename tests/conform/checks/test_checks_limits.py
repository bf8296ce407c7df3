"""Counts and refusals: each check is seen failing."""

import json

import pytest
from conform.broken import SCENE, Broken, broken, covers, headed, is_found, made, refusal, using
from msgspec.structs import replace

from understudy.conform.answer import error_of
from understudy.conform.checks import limits
from understudy.conform.exchange import COUNT, Reply
from understudy.conform.ideal import Ideal

MIB = 1024 * 1024


def counting(change):
    """Counts that become others."""

    def reply(ask, found):
        if ask.path != COUNT or found.status != 200:
            return found
        count = change(json.loads(found.body)["input_tokens"])
        return replace(found, body=json.dumps({"input_tokens": count}).encode())

    return reply


def toolless(body):
    body.pop("tools", None)
    return body


def talkless(body):
    """Calls are nothing."""
    for turn in body["messages"]:
        turn["content"] = [block for block in turn["content"] if block["type"] != "tool_use"]
    return body


def worded(words, then=None):
    """What a 400 whose message has these words becomes."""

    def change(_ask, reply):
        return (then or refusal("no")) if words in error_of(reply)[1] else reply

    return change


def detailed(_ask, reply):
    body = b'{"detail": "not valid"}'
    return replace(reply, body=body) if reply.status == 400 else reply


def streamed_error(_ask, reply):
    if "too long" not in error_of(reply)[1]:
        return reply
    error = {"type": "error", "error": {"type": "api_error", "message": "does not fit"}}
    return Reply(
        200, {"content-type": "text/event-stream"}, f"event: error\ndata: {json.dumps(error)}\n\n".encode()
    )


def absent(ask, reply):
    return refusal("no such path", 404) if ask.path == COUNT else reply


def cut_off(server):
    """A server that takes the last part of every prompt, and tells nobody."""

    def answer(ask):
        body = json.loads(ask.body)
        for turn in body["messages"]:
            turn["content"] = [block | {"text": block["text"][-1000:]} for block in turn["content"]]
        return server(replace(ask, body=json.dumps(body).encode()))

    return answer


ROWS = [
    broken(
        "count.there", "status 500: oops", reply=lambda a, r: refusal("oops", 500) if a.path == COUNT else r
    ),
    broken("count.there", "status 200", reply=counting(lambda _: 0)),
    broken("count.at-once", "counts of 7 to 7", reply=counting(lambda _: 7)),
    broken("count.everything", "4000 characters in a tool", question=toolless),
    broken("count.everything", "4000 characters in a call", question=talkless),
    broken("count.agrees", "tokens counted", reply=counting(lambda count: 2 * count)),
    broken("errors.shape", 'status 400 with the body {"detail"', reply=detailed),
    broken("errors.shape", "status 500: no", reply=worded("not valid JSON", refusal("no", 500))),
    broken("errors.fields", "no messages: 'no'", reply=worded("messages: Field")),
    broken("errors.fields", "no max_tokens: status 422", reply=worded("max_tokens: Field", refusal("", 422))),
    broken("errors.fields", "a role that there is not: status 500", reply=worded(".role", refusal("", 500))),
    broken("errors.final", "without x-should-retry", reply=headed(x_should_retry=None)),
    broken("errors.too-long", "status 400: no", reply=worded("too long")),
    broken("errors.too-long", "status 200, and then an error event", reply=streamed_error),
    broken(
        "errors.too-long-numbers",
        "status 400: prompt is too long",
        reply=worded("too long", refusal("prompt is too long")),
    ),
    broken(
        "errors.too-long-numbers",
        "9 tokens > 10 maximum",
        reply=worded("too long", refusal("prompt is too long: 9 tokens > 10 maximum")),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, limits.CHECKS)


@pytest.mark.parametrize("check", [check for check in limits.CHECKS if check.group == "count"])
def test_a_server_without_counts_is_not_blamed(check):
    assert made(check.id, Broken(reply=absent)).status == "skipped"


def test_a_prompt_that_is_cut_without_a_word_is_found():
    result = made("errors.too-long", cut_off(Ideal()))
    assert (result.status, "was cut without a word" in result.seen) == ("fail", True)


def test_an_unknown_window_is_searched_for():
    scene = replace(SCENE, window=0)
    found = made("errors.too-long-numbers", Ideal(100_000), scene)
    assert (found.status, found.note.endswith(" > 100000")) == ("pass", True)
    unknown = made("errors.too-long", Ideal(10**9), replace(scene, max_bytes=MIB))
    assert (unknown.status, "--max-prompt-bytes allows no more" in unknown.note) == ("undecided", True)


def test_what_decides_nothing():
    assert made("errors.final", Broken(reply=worded("not valid", refusal("", 422)))).status == "undecided"
    assert (
        made("count.agrees", Broken(message=using(input_tokens=0, cache_read_input_tokens=0))).status
        == "undecided"
    )
    small = Broken(reply=worded("too long", refusal("too large", 413, "request_too_large")))
    assert made("errors.too-long-numbers", small).status == "undecided"
    assert made("errors.too-long", small).status == "pass"
