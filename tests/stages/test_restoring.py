"""Placeholders become values again, however the answer is cut, and JSON stays JSON."""

from functools import partial
from itertools import pairwise

import pytest
from harness import merged
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.events import (
    BlockStart,
    BlockStop,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
)
from understudy.routing.redact import Restorer
from understudy.stages.restoring import Restoring

NAME, VALUE = "PRIVATE_EMAIL_1f0c9a2e", 'a"b@c.io'
VALUES = {NAME: VALUE}


def run(*events):
    stage = Restoring(partial(Restorer, VALUES))
    return merged([out for event in events for out in stage.feed(event)] + [*stage.close()])


KINDS = [
    ("text", TextDelta, VALUE),
    ("thinking", ThinkingDelta, VALUE),
    ("tool_use", InputDelta, 'a\\"b@c.io'),
]


@pytest.mark.parametrize(("kind", "delta", "value"), KINDS)
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_wherever_it_is_cut(kind, delta, value, cuts):
    text = f"to {NAME}, {NAME[:9]} {NAME}"
    edges = sorted({0, *cuts, len(text)})
    pieces = [delta(text[a:b]) for a, b in pairwise(edges)]
    out = run(MessageStart("m"), BlockStart(kind), *pieces, BlockStop(), MessageStop("end_turn"))
    assert out == [
        MessageStart("m"),
        BlockStart(kind),
        delta(f"to {value}, {NAME[:9]} {value}"),
        BlockStop(),
        MessageStop("end_turn"),
    ]


def test_what_only_began_is_told_at_the_end():
    assert run(BlockStart("text"), TextDelta("a PRIV"), BlockStop()) == [
        BlockStart("text"),
        TextDelta("a PRIV"),
        BlockStop(),
    ]
    assert run(BlockStart("thinking"), ThinkingDelta("PRIV")) == [
        BlockStart("thinking"),
        ThinkingDelta("PRIV"),
    ]


def test_nothing_else_is_touched_and_no_text_goes_past():
    assert run(Progress(1, 2, 3)) == [Progress(1, 2, 3)]
    assert not Restoring(partial(Restorer, VALUES)).passes(TextDelta("x"))
