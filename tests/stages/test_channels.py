"""Answers that come as messages with headers."""

import pytest
from anyevents import ANY, lawful, run
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
from understudy.language.request import Text, Thinking, ToolUse
from understudy.stages.channels import BEGUN, Channels, used
from understudy.stages.tidy import Tidy

START, TEXT, STOP, END = MessageStart("msg_e", "m"), BlockStart("text"), BlockStop(), MessageStop("end_turn")


def stage(begun=""):
    return Channels(iter([f"call_{n}" for n in range(1, 99)]).__next__, begun=begun)


def told(text, *, begun="", cuts=(), reason="end_turn"):
    """The blocks of an answer that says `text`."""
    events = run(stage(begun), lawful(text, cuts, reason))
    return list(collect(legal(run(Tidy(ids()), events))).blocks)


def call(name, arguments, number=1):
    return ToolUse(f"call_{number}", name, arguments)


A, F = "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"
S, TO = "<|start|>assistant", "<|channel|>commentary to=functions."
ARGS = '{"a": 1}'
CASES = {
    "text without headers": ("Hi <b>", "", [Text("Hi <b>")]),
    "text without headers, begun": ("Hi", BEGUN, [Text("Hi")]),
    "text that begins like a header": ("<|chan", "", [Text("<|chan")]),
    "begun, text that begins like one": (" to", BEGUN, [Text(" to")]),
    "nothing": ("", BEGUN, []),
    "final": (f"{F}Hi", "", [Text("Hi")]),
    "analysis, final": (f"{A}hm<|end|>{S}{F}Hi<|return|>", "", [Thinking("hm"), Text("Hi")]),
    "begun": (f"{A}hm<|end|>{S}{F}Hi<|return|>", BEGUN, [Thinking("hm"), Text("Hi")]),
    "the header once more": (f"{S}{A}hm<|end|>{S}{F}Hi", BEGUN, [Thinking("hm"), Text("Hi")]),
    "lines between": (f"{A}hm<|end|>\n{S}{F}Hi<|end|>\n", "", [Thinking("hm"), Text("Hi")]),
    "no end": (f"{A}hm{S}{F}Hi", "", [Thinking("hm"), Text("Hi")]),
    "no end, no start": (f"{A}hm{F}Hi", "", [Thinking("hm"), Text("Hi")]),
    "a form is told": ("<|channel|>final <|constrain|>json<|message|>{}", "", [Text("{}")]),
    "words for the user": (
        f"<|channel|>commentary<|message|>Wait.<|end|>{S}{F}Hi",
        "",
        [Text("Wait."), Text("Hi")],
    ),
    "a call": (f"{TO}f <|constrain|>json<|message|>{ARGS}<|call|>", "", [call("f", ARGS)]),
    "in the role": (f" to=functions.f<|channel|>analysis<|message|>{ARGS}", BEGUN, [call("f", ARGS)]),
    "in the role, form": (
        f" to=functions.f<|channel|>commentary json<|message|>{ARGS}",
        BEGUN,
        [call("f", ARGS)],
    ),
    "after thinking": (
        f"{A}hm<|end|>{S} to=functions.f<|channel|>analysis<|message|>{ARGS}",
        BEGUN,
        [Thinking("hm"), call("f", ARGS)],
    ),
    "two calls": (
        f"{TO}f<|message|>{ARGS}<|call|>{S}{TO}g<|message|>{{}}<|call|>",
        "",
        [call("f", ARGS), call("g", "{}", 2)],
    ),
    "a tool of another kind": (
        "<|channel|>commentary to=python <|constrain|>code<|message|>print(1)",
        "",
        [call("python", "print(1)")],
    ),
    "arguments on lines": (f"{TO}f<|message|>\n{ARGS}\n<|call|>", "", [call("f", ARGS)]),
    "markup in text": (f"{F}<b>a</b> < 3<|return|>", "", [Text("<b>a</b> < 3")]),
    "a marker's beginning at the end": (f"{F}Hi <|en", "", [Text("Hi <|en")]),
    "in thinking": (f"{A}hm <|en", "", [Thinking("hm <|en")]),
    "a header that never ends": (
        "<|channel|>analysis and so on",
        "",
        [Text("<|channel|>analysis and so on")],
    ),
    "a later one": (
        f"{F}Hi<|end|><|channel|>what is this",
        "",
        [Text("Hi"), Text("<|channel|>what is this")],
    ),
    "words after an end": (f"{F}Hi<|end|>there", "", [Text("Hi"), Text("there")]),
    "a long header": (
        "<|channel|>" + "x" * 300 + "<|message|>Hi",
        "",
        [Text("<|channel|>" + "x" * 300 + "<|message|>Hi")],
    ),
    "to itself": (
        f" to=self<|message|>hm<|eom|>{S} to=user<|message|>Hi<|eot|>",
        BEGUN,
        [Thinking("hm"), Text("Hi")],
    ),
    "nobody told": ("<|message|>Hi", BEGUN, [Text("Hi")]),
    "a call in tags": (
        " to=f<|message|><atem:function_calls>x<|eom|>",
        BEGUN,
        [Text("<atem:function_calls>x")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_blocks(case):
    text, begun, blocks = CASES[case]
    for cuts in ((), range(len(text)), *([cut] for cut in range(1, len(text)))):
        assert told(text, begun=begun, cuts=cuts) == blocks, cuts


def test_what_is_said_streams():
    one = stage()
    fed = [
        list(one.feed(event))
        for event in (START, TEXT, *map(TextDelta, (f"{A}h", "m", "<|end|>", f"{F}H", "i ", "<", "b>")))
    ]
    assert fed == [
        [START],
        [],
        [BlockStart("thinking"), ThinkingDelta("h")],
        [ThinkingDelta("m")],
        [STOP],
        [TEXT, TextDelta("H")],
        [TextDelta("i ")],
        [],
        [TextDelta("<b>")],
    ]
    assert one.passes(TextDelta("more"))
    assert not one.passes(TextDelta("<|end|>"))


def test_what_passes():
    one = stage()
    assert one.passes(ThinkingDelta("a"))
    assert not one.passes(TextDelta("a"))
    run(one, [START, TEXT, TextDelta("Hi")])
    assert one.passes(TextDelta("<|channel|>"))
    delta = TextDelta("a")
    assert one.feed(delta) == (delta,)


def test_text_whose_tokens_were_left_out_never_passes():
    one = stage(BEGUN)
    for event in (START, TEXT, TextDelta("finalHi")):
        one.feed(event)
    assert not one.passes(TextDelta("a"))
    assert told("finalHi assistant", begun=BEGUN, cuts=range(20)) == [Text("Hi assistant")]
    assert told("analysishm.assistantfinalHi", begun=BEGUN, cuts=range(40)) == [Thinking("hm."), Text("Hi")]
    tokens = stage(BEGUN)
    for event in (START, TEXT, TextDelta(f"{F}Hi")):
        tokens.feed(event)
    assert tokens.passes(TextDelta("a"))


NATIVE = [
    BlockStart("thinking"), ThinkingDelta("a"), STOP, BlockStart("tool_use", "e", "f"), InputDelta("{}"), STOP,
]  # fmt: skip


def test_an_engine_that_reads_the_messages_itself():
    events = [START, Progress(1, 2, 0), *NATIVE, TEXT, TextDelta("Hi"), STOP, END]
    assert run(stage(BEGUN), events) == events


CUT = {
    "in thinking": (f"{A}hm <|", [BlockStart("thinking"), ThinkingDelta("hm <|")]),
    "in text": (f"{F}Hi <|", [TEXT, TextDelta("Hi <|")]),
    "in a header": ("<|channel|>fin", [TEXT, TextDelta("<|channel|>fin")]),
    "in a call": ('<|channel|>commentary to=functions.f<|message|>{"a', []),
}


@pytest.mark.parametrize("case", CUT)
def test_a_cut_answer(case):
    text, expected = CUT[case]
    assert merged(run(stage(), [START, TEXT, TextDelta(text)])) == [START, *expected]
    failed = merged(run(stage(), [START, TEXT, TextDelta(text), Failed(EngineLost("gone"))]))
    assert [event for event in failed if not isinstance(event, BlockStop)][1:-1] == expected + (
        [BlockStart("tool_use", "call_1", "f"), InputDelta('{"a')] if case == "in a call" else []
    )


@pytest.mark.parametrize(
    ("model", "template", "found"),
    [
        ("gpt-oss:20b", "", True),
        ("m", "<|channel|>", True),
        ("muse-glimmer", "", True),
        ("m", "<think>", False),
    ],
)
def test_which_models(model, template, found):
    assert used(model, template) == found


PARTS = st.lists(
    st.sampled_from(
        [
            A,
            F,
            S,
            "<|end|>",
            "<|call|>",
            "<|message|>",
            " to=functions.f",
            "<|channel|>",
            "<|",
            "{}",
            "a",
            "\n",
            "<",
        ]
    ),
    max_size=10,
).map("".join)


@given(PARTS, st.lists(st.integers(0, 300), max_size=10), st.booleans())
def test_cuts_do_not_matter(text, cuts, begun):
    begun = BEGUN if begun else ""
    assert told(text, begun=begun, cuts=cuts) == told(text, begun=begun)


@given(ANY, st.booleans())
def test_tidy_can_end_anything(events, begun):
    legal(run(Tidy(ids()), run(stage(BEGUN if begun else ""), events)))
