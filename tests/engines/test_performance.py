"""What an answer becomes: events that obey the grammar, whatever the script says."""

import math

import pytest
from harness import legal
from hypothesis import given
from hypothesis import strategies as st

from understudy.engines.performance import perform, tokens_of
from understudy.engines.script import ENDING, Answer, Call, Fault, Pause, Say, Told, parse
from understudy.language.events import (
    BlockStart,
    BlockStop,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.request import Request, Text, Turn
from understudy.tokens import size_of

ASKED = Request("m", (Turn("user", (Text("hello"),)),), raw=b"{}")


def played(text: str, **options):
    return perform(parse(text).answers[0], ASKED, input_tokens=9, **options)


def names(beats) -> list[str]:
    return [beat.kind if isinstance(beat, BlockStart) else type(beat).__name__ for beat in beats]


def test_a_whole_answer():
    beats = played(
        '{"progress": {"processed": 1, "total": 2}}\n{"thinking": "Hm"}\n{"text": "a"}\n{"delay": 1}\n{"text": "b"}\n'
        '{"call": {"name": "W", "input": {}}}\n{"call": {"name": "R", "input": {}}}'
    )
    start, first, second = beats[1], beats[10], beats[13]
    assert isinstance(start, MessageStart)
    assert isinstance(first, BlockStart)
    assert isinstance(second, BlockStart)
    assert first.id != second.id
    assert beats == [
        Progress(1, 2, 0),
        MessageStart(start.id, "m", Usage(9)),
        BlockStart("thinking"),
        ThinkingDelta("Hm"),
        BlockStop(),
        BlockStart("text"),
        TextDelta("a"),
        Pause(1),
        TextDelta("b"),
        BlockStop(),
        BlockStart("tool_use", first.id, "W"),
        InputDelta("{}"),
        BlockStop(),
        BlockStart("tool_use", second.id, "R"),
        InputDelta("{}"),
        BlockStop(),
        MessageStop("tool_use", None, Usage(9, None, 5)),
    ]


ENDS = [
    ('{"text": "a"}', MessageStop("end_turn", None, Usage(9, None, 1))),
    ('{"call": {"name": "W"}}', MessageStop("tool_use", None, Usage(9, None, 1))),
    (
        '{"repeat": 7, "text": "a"}\n{"stop": "max_tokens"}',
        MessageStop("max_tokens", None, Usage(9, None, 7)),
    ),
    ('{"stop": "stop_sequence", "sequence": "#"}', MessageStop("stop_sequence", "#", Usage(9, None, 0))),
    (
        '{"usage": {"input_tokens": 100, "cached_tokens": 90, "output_tokens": 3}}',
        MessageStop("end_turn", None, Usage(100, 90, 3)),
    ),
]


@pytest.mark.parametrize(("text", "end"), ENDS)
def test_the_end_says_why_and_how_much(text, end):
    beats = played(text)
    assert beats[-1] == end
    start = beats[0]
    assert isinstance(start, MessageStart)
    assert start.usage == Usage(end.usage.input_tokens, end.usage.cached_tokens)


@pytest.mark.parametrize("kind", sorted(ENDING))
def test_nothing_follows_a_fault_that_ends(kind):
    assert names(played(f'{{"text": "a"}}\n{{"fault": "{kind}"}}')) == [
        "MessageStart",
        "text",
        "TextDelta",
        "Fault",
    ]
    assert names(played(f'{{"fault": "{kind}"}}')) == ["Fault"]


def test_ids_are_the_same_for_the_same_request_only():
    call = '{"call": {"name": "W"}}'
    later = Request("m", (*ASKED.turns, Turn("assistant", ()), *ASKED.turns), raw=b"{}")
    answer = parse(call).answers[0]
    first, again = played(call), played(call)
    elsewhere = perform(answer, Request("m", ASKED.turns, raw=b"{} "), input_tokens=9)
    other = perform(answer, later, input_tokens=9)
    assert first == again
    assert len({beats[1].id for beats in (first, other, elsewhere)}) == 3
    assert len({beats[0].id for beats in (first, other, elsewhere)}) == 3
    assert played(call, call_prefix="call_")[1].id.startswith("call_")


@pytest.mark.parametrize("length", range(390, 396))
def test_four_bytes_are_a_token(length):
    request = Request("m", (Turn("user", (Text("x" * length),)),))
    assert tokens_of(request) == math.ceil(size_of(request) / 4)


PIECES = st.lists(st.text(min_size=1), max_size=3).map(tuple)
STEPS = st.lists(
    st.one_of(
        st.builds(Say, st.sampled_from(["text", "thinking"]), PIECES),
        st.builds(Call, st.text(min_size=1), PIECES),
        st.builds(Pause, st.just(0.0)),
        st.builds(Progress, *[st.integers(0, 9)] * 3),
        st.just(Fault("split_utf8")),
    )
).map(tuple)


@given(STEPS)
def test_every_script_obeys_the_grammar(steps):
    beats = perform(Answer("a", steps, usage=Told()), ASKED, input_tokens=1)
    legal(beat for beat in beats if not isinstance(beat, Pause | Fault))
