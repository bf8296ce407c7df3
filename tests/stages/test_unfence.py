"""JSON out of its fence."""

import pytest
from anyevents import ANY, lawful, run
from harness import ids, legal, merged
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.events import (
    BlockStart,
    BlockStop,
    MessageStart,
    MessageStop,
    TextDelta,
    ThinkingDelta,
)
from understudy.language.message import collect
from understudy.stages.tidy import Tidy
from understudy.stages.unfence import Unfence


def told(text, cuts=()):
    out = legal(run(Tidy(ids()), run(Unfence(), lawful(text, cuts))))
    return "".join(block.text for block in collect(out).blocks)


CASES = {
    '```json\n{"a": 1}\n```': '{"a": 1}',
    '```\n{"a": 1}\n```\n': '{"a": 1}',
    '```json{"a": 1}```': '{"a": 1}',
    "\n```json\n\n[1,\n2]\n\n```": "[1,\n2]",
    '{"a": 1}': '{"a": 1}',
    '{"a": "```"}': '{"a": "```"}',
    '```json\n{"a": "```\n```"}\n```': '{"a": "```\n```"}',
    '```json\n{"a": 1}': '{"a": 1}',
    '```json\n{"a": 1}\n': '{"a": 1}\n',
    '```json\n{"a": 1}\n``': '{"a": 1}\n``',
    "```json\n1\n``` so": "1\n``` so",
    "```py\nx\n```": "```py\nx\n```",
    "`a`": "`a`",
    "```": "```",
    "": "",
    "````json\n1\n````": "````json\n1\n````",
}


@pytest.mark.parametrize("text", CASES)
def test_texts(text):
    for cuts in ((), range(len(text)), *([cut] for cut in range(1, len(text)))):
        assert told(text, cuts) == CASES[text], cuts


def test_a_cut_answer_loses_nothing_of_the_json():
    events = [MessageStart("m"), BlockStart("text"), TextDelta('```json\n{"a": 1}\n``')]
    assert merged(run(Unfence(), events))[2:] == [TextDelta('{"a": 1}\n``')]


def test_what_passes():
    stage = Unfence()
    assert stage.passes(ThinkingDelta("```"))
    assert not stage.passes(TextDelta("a"))
    for event in (BlockStart("text"), TextDelta("a")):
        stage.feed(event)
    assert stage.passes(TextDelta("```"))


def test_other_blocks_are_left_alone():
    events = [BlockStart("thinking"), ThinkingDelta("```json\n1"), BlockStop(), MessageStop("end_turn")]
    assert run(Unfence(), events) == events


PARTS = st.lists(st.sampled_from(["```", "`", "json", "\n", " ", "{", "}", "a"]), max_size=10).map("".join)


@given(PARTS, st.lists(st.integers(0, 60), max_size=8))
def test_cuts_do_not_matter(text, cuts):
    assert told(text, cuts) == told(text)


@given(ANY)
def test_tidy_can_end_anything(events):
    legal(run(Tidy(ids()), run(Unfence(), events)))
