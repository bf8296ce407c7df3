"""Calls taken out of text, as a stage."""

import itertools

import pytest
from anyevents import ANY, REASONS, lawful, run
from harness import ids, legal, merged
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.errors import EngineLost
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
)
from understudy.language.message import collect
from understudy.language.request import Text, ToolUse
from understudy.stages.jsoncalls import HERMES
from understudy.stages.namedcalls import KIMI_K2
from understudy.stages.tagrows import QWEN_XML
from understudy.stages.tidy import Tidy
from understudy.stages.toolcalls import ToolCalls

OFFERED = {"Bash", "Read"}
BOTH = (HERMES, QWEN_XML)
H = '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>'
X = "<tool_call>\n<function=Bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
BARE = "<function=Read>\n<parameter=path>\na\n</parameter>\n</function>"
LS = ("Bash", '{"command": "ls"}')
READ = ("Read", '{"path": "a"}')


def schema_of(name):
    return b'{"properties": {"command": {"type": "string"}, "path": {"type": "string"}}}'


def fed(*texts):
    """What the client gets at each piece."""
    stage = ToolCalls(BOTH, OFFERED.__contains__, schema_of, lambda: "call_1")
    for event in (MessageStart("m"), BlockStart("text")):
        stage.feed(event)
    return [list(stage.feed(TextDelta(text))) for text in texts]


def test_text_is_not_held_back():
    assert fed("a", "b < c", " <", "b>", "<tool_call", " x") == [
        [BlockStart("text"), TextDelta("a")],
        [TextDelta("b < c")],
        [TextDelta(" ")],
        [TextDelta("<b>")],
        [],
        [TextDelta("<tool_call x")],
    ]


def test_a_false_start_is_given_back_at_once():
    assert fed("<tool_call>", " is") == [[], [BlockStart("text"), TextDelta("<tool_call> is")]]
    assert fed("<function=Wri", "te>") == [
        [],
        [BlockStart("text"), TextDelta("<function=Write>")],
    ]


def test_a_call_is_given_at_its_end():
    call = [BlockStart("tool_use", "call_1", "Bash"), InputDelta(LS[1]), BlockStop()]
    assert fed("a", H[:-1], H[-1:], "b") == [
        [BlockStart("text"), TextDelta("a")],
        [],
        [BlockStop(), *call],
        [BlockStart("text"), TextDelta("b")],
    ]
    assert fed(X.removesuffix("\n</tool_call>")) == [call]


def test_plain_text_passes_as_it_is():
    stage = ToolCalls(BOTH, OFFERED.__contains__, schema_of, lambda: "call_1")
    for event in (BlockStart("text"), TextDelta("a")):
        stage.feed(event)
    delta = TextDelta("b")
    assert stage.passes(delta)
    assert not stage.passes(TextDelta("a <"))
    assert not stage.passes(ThinkingDelta("b"))


def staged(events):
    return run(
        ToolCalls(BOTH, OFFERED.__contains__, schema_of, iter(["call_1", "call_2", "call_3"]).__next__),
        events,
    )


NATIVE = [BlockStart("tool_use", "e", "Bash"), InputDelta(f'{{"command": "{BARE}"}}'), BlockStop()]


def test_native_blocks_pass():
    events = [
        MessageStart("m"), Progress(1, 2, 0), BlockStart("thinking"), BlockStop(), *NATIVE,
        BlockStart("text"), TextDelta("a"), BlockStop(), MessageStop("end_turn"),
    ]  # fmt: skip
    assert staged(events) == events


def test_an_empty_text_block_leaves_none():
    start, end = MessageStart("m"), MessageStop("end_turn")
    assert staged([start, BlockStart("text"), BlockStop(), end]) == [start, end]


CALL = [BlockStart("tool_use", "call_1", "Bash"), InputDelta('{"command": "ls"}'), BlockStop()]
OPEN_CALL = H.removesuffix("\n</tool_call>")


@pytest.mark.parametrize("reason", REASONS)
def test_the_stop_reason_says_whether_a_call_without_its_end_is_one(reason):
    forgiven = reason in {"end_turn", "stop_sequence", "tool_use"}
    middle = CALL if forgiven else [BlockStart("text"), TextDelta(OPEN_CALL), BlockStop()]
    assert merged(staged(lawful(OPEN_CALL, [], reason))) == [
        MessageStart("msg_e", "m"),
        *middle,
        MessageStop(reason),
    ]


@pytest.mark.parametrize("after", [NATIVE, [BlockStart("text"), BlockStop()]])
def test_a_block_that_follows_ends_a_call(after):
    events = [
        MessageStart("m"),
        BlockStart("text"),
        TextDelta(OPEN_CALL),
        BlockStop(),
        Progress(1, 2, 0),
        *after,
    ]
    out = staged([*events, MessageStop("end_turn")])
    assert out == [
        MessageStart("m"),
        Progress(1, 2, 0),
        *CALL,
        *(after if after is NATIVE else []),
        MessageStop("end_turn"),
    ]


@pytest.mark.parametrize("end", [[Failed(EngineLost("gone"))], []])
def test_a_failure_gives_the_text_back_and_closes_nothing(end):
    out = merged(staged([MessageStart("m"), BlockStart("text"), TextDelta("a" + OPEN_CALL), *end]))
    assert out == [MessageStart("m"), BlockStart("text"), TextDelta("a" + OPEN_CALL), *end]


def test_backticks_end_with_their_block():
    events = [
        BlockStart("text"),
        TextDelta("```"),
        BlockStop(),
        BlockStart("text"),
        TextDelta(H),
        BlockStop(),
    ]
    out = staged([MessageStart("m"), *events, MessageStop("end_turn")])
    assert out[4:] == [*CALL, MessageStop("end_turn")]


def test_what_still_belongs_to_a_call_is_not_said():
    out = staged(lawful(f"{BARE}\n</tool_call>Done.", []))
    assert [event.text for event in merged(out) if isinstance(event, TextDelta)] == ["Done."]


def test_several_calls_have_their_own_ids():
    out = staged(lawful(H + BARE, []))
    assert [(e.id, e.name) for e in out if isinstance(e, BlockStart)] == [
        ("call_1", "Bash"),
        ("call_2", "Read"),
    ]


KIMI = "<|tool_call_begin|>{}<|tool_call_argument_begin|>{{}}<|tool_call_end|>"


@pytest.mark.parametrize(("own", "told"), [("functions.Bash:0", "functions.Bash:0"), ("Bash:0", "call_0")])
def test_a_call_keeps_the_models_own_id(own, told):
    stage = ToolCalls((KIMI_K2,), OFFERED.__contains__, schema_of, lambda: "call_0")
    out = run(stage, lawful(KIMI.format(own), []))
    assert [(event.id, event.name) for event in out if isinstance(event, BlockStart)] == [(told, "Bash")]


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            H, X, BARE, H[:-12], X[:-12], "<tool_call>", "</tool_call>", "<function=Bash>", "<function=No>", "</function>",
            "<parameter=command>", "</parameter>", '{"name": "Bash"', ', "arguments": {', "}", "}}", '"', "\\", "`", "```",
            "\n", " ", "<", "</", "tool_call", "text", "<function name=", "[", "]",
        ]
    ),
    max_size=14,
).map("".join)  # fmt: skip
CUTS = st.lists(st.integers(0, 3000), max_size=12)


@given(FRAGMENTS, CUTS, st.sampled_from(REASONS))
def test_the_message_is_the_same_however_it_is_cut(text, cuts, reason):
    messages = [collect(legal(staged_freely(lawful(text, some, reason)))) for some in (cuts, ())]
    assert messages[0] == messages[1]
    assert all(isinstance(block, Text | ToolUse) for block in messages[0].blocks)


def staged_freely(events):
    count = itertools.count()
    return run(ToolCalls(BOTH, OFFERED.__contains__, schema_of, lambda: f"call_{next(count)}"), events)


@given(ANY)
def test_tidy_can_end_anything(events):
    legal(run(Tidy(ids()), staged_freely(events)))
