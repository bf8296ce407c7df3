"""The stand-in for the Claude API: it takes what the real one takes, and refuses what that refuses, in its words."""

import json

import pytest

from understudy.engines.play_claude import UNSIGNED, objection, signature, signed
from understudy.language.events import BlockStart, BlockStop, SignatureDelta, TextDelta, ThinkingDelta
from understudy.request.handover import SIGNED


def body(*messages):
    return json.dumps(
        {"messages": [{"role": role, "content": content} for role, content in messages]}
    ).encode()


def use(identity="toolu_1", given=None):
    return {"type": "tool_use", "id": identity, "name": "R", "input": {} if given is None else given}


def result(identity="toolu_1"):
    return {"type": "tool_result", "tool_use_id": identity, "content": "r"}


def thought(text="t", sign=None):
    return {"type": "thinking", "thinking": text, "signature": signature(text) if sign is None else sign}


TAKEN = [
    body(("user", "hi")),
    body(("user", "hi"), ("assistant", [thought(), use()]), ("user", [result()])),
    body(("user", "hi"), ("assistant", [use()]), ("system", "note"), ("user", [result(), {"type": "text"}])),
    body(("user", "hi"), ("assistant", [use()])),
    b"{}",
    b"no json",
    b'{"messages": 7}',
]


@pytest.mark.parametrize("sent", TAKEN)
def test_what_is_taken(sent):
    assert objection(sent) == ""


REFUSED = [
    ([thought(sign="")], [], f"messages.1.content.0: {UNSIGNED}"),
    ([thought(sign=signature("other"))], [], f"messages.1.content.0: {UNSIGNED}"),
    ([use("a:b")], [result("a:b")], "messages.1.content.0.tool_use.id: String should match pattern"),
    ([use(), use()], [result()], "messages.1.content.1: `tool_use` ids must be unique"),
    (
        [use(given="ls")],
        [result()],
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    ([use()], [result("b")], "messages.2: unexpected `tool_use_id` found in `tool_result` blocks: b."),
    ([use()], [{"type": "text"}], "messages.2: `tool_use` ids were found without `tool_result` blocks"),
]


@pytest.mark.parametrize(("assistant", "user", "words"), REFUSED)
def test_what_is_refused(assistant, user, words):
    assert objection(body(("user", "hi"), ("assistant", assistant), ("user", user))).startswith(words)


def test_its_thinking_is_signed_and_nothing_else():
    beats = [BlockStart("thinking"), ThinkingDelta("a"), ThinkingDelta("b"), BlockStop()]
    plain = [BlockStart("text"), TextDelta("x"), BlockStop()]
    assert signed([*beats, *plain]) == [*beats[:3], SignatureDelta(signature("ab")), BlockStop(), *plain]
    assert len(signature("ab")) >= SIGNED
