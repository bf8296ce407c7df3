"""The meter counts and changes nothing."""

import pytest
from anyevents import ANY, run
from hypothesis import given

from understudy.language.errors import EngineTimeout
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
    Usage,
)
from understudy.stages.meter import Meter

START, TEXT, THINKING, CALL = (
    MessageStart("m"),
    BlockStart("text"),
    BlockStart("thinking"),
    BlockStart("tool_use", "e", "Bash"),
)


def clock():
    """Seconds that pass with each look: 10, 11, 12..."""
    return iter(range(10, 10**6)).__next__


def metered(*events):
    meter = Meter(clock())
    assert run(meter, events) == list(events)
    return meter


def test_an_answer():
    meter = metered(
        Progress(1, 2, 0),
        START,
        THINKING,
        ThinkingDelta("hm"),
        BlockStop(),
        TEXT,
        TextDelta("é格"),
        TextDelta("x"),
        BlockStop(),
        CALL,
        InputDelta("{}"),
        BlockStop(),
        MessageStop("tool_use", None, Usage(5, 3, 2)),
    )
    assert meter.first_event == 1
    assert meter.first_token == 4
    assert (meter.chunks, meter.size, meter.calls) == (4, 2 + 5 + 1 + 2, 1)
    assert (meter.usage, meter.outcome) == (Usage(5, 3, 2), "tool_use")


FIRST = [
    ((START, TEXT, TextDelta("a")), 3),
    ((START, CALL), 2),
    ((START, THINKING, BlockStop(), TEXT, BlockStop(), MessageStop("end_turn")), None),
]


@pytest.mark.parametrize(("events", "first"), FIRST)
def test_first_token(events, first):
    assert metered(*events).first_token == first


def test_nothing_yet():
    meter = metered()
    assert (meter.first_event, meter.first_token, meter.outcome, meter.usage) == (None, None, "", Usage())


def test_a_failure():
    assert metered(START, Failed(EngineTimeout("slow"))).outcome == "EngineTimeout"


def test_half_a_character_is_counted():
    assert metered(START, TEXT, TextDelta("a"), TextDelta("\ud800")).size == 4


@given(ANY)
def test_changes_nothing(events):
    assert metered(*events).chunks == sum(
        isinstance(e, TextDelta | ThinkingDelta | InputDelta) for e in events
    )
