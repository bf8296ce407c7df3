"""Calls inside reasoning."""

import itertools

import pytest
from anyevents import ANY, REASONS, run
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
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from understudy.stages.drafts import COMPLETE, Drafts
from understudy.stages.jsoncalls import HERMES, JSON
from understudy.stages.tidy import Tidy

START, THINK, TEXT, STOP = MessageStart("msg_e", "m"), BlockStart("thinking"), BlockStart("text"), BlockStop()
END = MessageStop("end_turn")
CALL = '<tool_call>{"name": "Bash", "arguments": {}}</tool_call>'
OPEN = '<tool_call>{"name": "Bash", "arguments": {}}'
NATIVE = [BlockStart("tool_use", "e", "Bash"), InputDelta("{}"), STOP]


def stage():
    return Drafts((HERMES, JSON), {"Bash"}.__contains__, {}.get)


def thought(text, cuts=()):
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [THINK, *(ThinkingDelta(text[a:b]) for a, b in itertools.pairwise(edges)), STOP]


def staged(*events, cuts=()):
    return merged(run(stage(), [START, *events]))[1:]


def meant(before, call):
    return [THINK, *([ThinkingDelta(before)] if before else []), STOP, TEXT, TextDelta(call), STOP]


AFTER = {
    "text": [TEXT, TextDelta("No."), STOP],
    "a call": NATIVE,
    "more thinking": thought("hm"),
}


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("text", [f"hm {CALL} so", CALL, f"{CALL}{CALL}", f"hm {OPEN}", "hm"])
def test_a_call_that_something_follows_was_a_draft(after, text):
    for cuts in ((), range(99)):
        assert staged(*thought(text, cuts), *AFTER[after], END) == [*thought(text), *AFTER[after], END]


@pytest.mark.parametrize(("text", "before", "call"), [
    (f"hm {CALL}", "hm ", CALL),
    (CALL, "", CALL),
    (f"hm {CALL}\n{CALL}\n", "hm ", f"{CALL}\n{CALL}\n"),
    (f"hm {CALL}\nIt is noon.", "hm ", f"{CALL}\nIt is noon."),
    (f"hm {OPEN}", "hm ", OPEN),
])  # fmt: skip
def test_a_call_that_nothing_follows_was_meant(text, before, call):
    for cuts in ((), range(99), *([cut] for cut in range(1, len(text)))):
        assert staged(*thought(text, cuts), Progress(1, 2, 0), END) == [
            *meant(before, call)[: 2 if before else 1],
            Progress(1, 2, 0),
            *meant(before, call)[2 if before else 1 :],
            END,
        ]
        assert staged(*thought(text, cuts)[:-1], END) == [*meant(before, call), END]


TALK = [
    "a <tool_call> tag",
    "<tool_call>x</tool_call>",
    '<tool_call>{"name": "Read"}</tool_call>',
    "a <tool_",
    '{"name": "Bash"}',
]


@pytest.mark.parametrize("text", TALK)
def test_talk_is_none(text):
    for cuts in ((), range(99)):
        assert staged(*thought(text, cuts), END) == [*thought(text), END]


@pytest.mark.parametrize("reason", REASONS)
def test_reasoning_that_was_cut_has_no_calls(reason):
    out = staged(*thought(f"hm {CALL}"), MessageStop(reason))
    assert (out[:-1] == thought(f"hm {CALL}")) == (reason not in COMPLETE)


@pytest.mark.parametrize("text", [f"hm {CALL} so", f"hm {OPEN}", "hm <tool_"])
def test_of_a_failed_answer_nothing_is_lost(text):
    failed = Failed(EngineLost("gone"))
    assert staged(*thought(text)[:-1]) == thought(text)[:-1]
    assert staged(*thought(text)[:-1], failed) == [*thought(text)[:-1], failed]
    waited = staged(*thought(text), failed)
    assert waited == [*thought(text), failed]
    assert staged(*thought(text)) in (thought(text), thought(text)[:-1])


def test_a_stop_ends_the_reasoning():
    assert staged(THINK, ThinkingDelta("hm"), END) == [*thought("hm"), END]


def test_a_signature_ends_what_was_held():
    events = [THINK, ThinkingDelta(CALL), SignatureDelta("s"), STOP]
    assert staged(*events, TEXT, STOP, END) == [*events, TEXT, STOP, END]


def test_reasoning_streams():
    one = stage()
    fed = [
        list(one.feed(event))
        for event in (START, THINK, *map(ThinkingDelta, ("a", "b <", "c", CALL, "d")), STOP)
    ]
    assert fed == [
        [START], [THINK], [ThinkingDelta("a")], [ThinkingDelta("b ")], [ThinkingDelta("<c")], [], [], [],
    ]  # fmt: skip


def test_what_passes():
    one = stage()
    assert one.passes(TextDelta("<tool_call>"))
    for event in (THINK, ThinkingDelta("a")):
        one.feed(event)
    assert one.passes(ThinkingDelta("b"))
    assert not one.passes(ThinkingDelta("b <"))
    assert not one.passes(TextDelta("b"))
    one.feed(ThinkingDelta(CALL))
    assert not one.passes(ThinkingDelta("b"))


PARTS = st.lists(
    st.sampled_from([CALL, OPEN, "<tool_call>", "</tool_call>", "a", "\n", "`", "```", "<", "}"]), max_size=8
)
CUTS = st.lists(st.integers(0, 500), max_size=8)


@given(PARTS.map("".join), CUTS, st.sampled_from(REASONS), st.sampled_from([[], *AFTER.values()]))
def test_cuts_do_not_matter(text, cuts, reason, after):
    whole = staged(*thought(text), *after, MessageStop(reason))
    assert staged(*thought(text, cuts), *after, MessageStop(reason)) == whole
    said = "".join(event.text for event in whole if isinstance(event, TextDelta | ThinkingDelta))
    assert said == text + "".join(
        event.text for event in after if isinstance(event, TextDelta | ThinkingDelta)
    )


@given(ANY)
def test_tidy_can_end_anything(events):
    legal(run(Tidy(ids()), run(stage(), events)))
