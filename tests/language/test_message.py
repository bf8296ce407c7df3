"""collect() and replay() are each other's inverse, and a cut answer is no answer."""

import pytest
from harness import legal
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.errors import EngineBusy, EngineLost
from understudy.language.events import (
    BlockStart,
    BlockStop,
    CitationDelta,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    Served,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.message import Cited, Collector, Message, collect, joined, replay
from understudy.language.request import Text, Thinking, ToolUse
from understudy.language.web import Citation, Missed, ServerToolUse, WebResult

USAGE = Usage(10, 4, 5)
START = MessageStart("msg_1", "m", Usage(10, 4))
CALL = ServerToolUse("s", "web_search", "{}")
RESULT = WebResult("s", "search", Missed("unavailable"))
PAGE = Citation("https://a.example", "A")

# name, events between start and stop, blocks
ANSWERS = [
    ("nothing", [], ()),
    ("text in pieces", [BlockStart("text"), TextDelta("a"), TextDelta("b"), BlockStop()], (Text("ab"),)),
    ("empty text", [BlockStart("text"), BlockStop()], (Text(""),)),
    (
        "signed thinking",
        [BlockStart("thinking"), ThinkingDelta("t"), SignatureDelta("a"), SignatureDelta("b"), BlockStop()],
        (Thinking("t", "ab"),),
    ),
    (
        "a call in pieces",
        [BlockStart("tool_use", "t", "T"), InputDelta('{"a"'), InputDelta(":1}"), BlockStop()],
        (ToolUse("t", "T", '{"a":1}'),),
    ),
    (
        "signatures do not leak into the next block",
        [BlockStart("thinking"), SignatureDelta("a"), BlockStop(), BlockStart("thinking"), BlockStop()],
        (Thinking("", "a"), Thinking("")),
    ),
    (
        "a tool that is run elsewhere",
        [Served(CALL), Served(RESULT), BlockStart("text"), BlockStop()],
        (CALL, RESULT, Text("")),
    ),
    (
        "what a text relies on",
        [
            BlockStart("text"),
            TextDelta("a"),
            CitationDelta(PAGE),
            BlockStop(),
            BlockStart("text"),
            BlockStop(),
        ],
        (Cited("a", (PAGE,)), Text("")),
    ),
    (
        "progress is no part of it",
        [Progress(1, 2, 0), BlockStart("text"), Progress(2, 2, 0), TextDelta("a"), BlockStop()],
        (Text("a"),),
    ),
]


@pytest.mark.parametrize(("name", "events", "blocks"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_collect(name, events, blocks):
    whole = legal([START, *events, MessageStop("stop_sequence", "x", USAGE)])
    assert collect(whole) == Message("msg_1", "m", blocks, "stop_sequence", "x", USAGE)


@pytest.mark.parametrize(("name", "events", "blocks"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_a_cut_answer_is_no_answer(name, events, blocks):
    for length in range(len(events) + 2):
        with pytest.raises(EngineLost, match="before it was complete"):
            collect([START, *events][:length])


def test_a_failure_is_raised():
    error = EngineBusy("full")
    with pytest.raises(EngineBusy) as caught:
        collect([START, Failed(error), MessageStop("end_turn")])
    assert caught.value is error


def test_the_message_is_there_when_it_is_complete():
    collector = Collector()
    for event in (START, BlockStart("text"), TextDelta("a"), BlockStop()):
        collector.feed(event)
        assert collector.message is None
    assert collector.blocks == [Text("a")]
    collector.feed(MessageStop("end_turn"))
    assert collector.message is not None


def test_a_stop_without_a_block_adds_nothing():
    collector = Collector()
    collector.feed(BlockStop())
    assert collector.blocks == []


def test_the_last_usage_counts():
    assert collect([START, MessageStop("end_turn", None, USAGE)]).usage == USAGE


BLOCKS = st.lists(
    st.one_of(
        st.builds(Text, st.text()),
        st.builds(Thinking, st.text(), st.text()),
        st.builds(ToolUse, st.text(), st.text(), st.text()),
        st.builds(ServerToolUse, st.text(), st.text(), st.text()),
        st.just(RESULT),
        st.builds(Cited, st.text(), st.lists(st.just(PAGE), min_size=1, max_size=2).map(tuple)),
    ),
    max_size=5,
).map(tuple)
USAGES = st.builds(Usage, st.integers(0), st.none() | st.integers(0), st.integers(0))


@given(
    st.builds(
        Message,
        st.text(),
        st.text(),
        BLOCKS,
        st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"]),
        st.none() | st.text(),
        USAGES,
    )
)
def test_replay_is_the_way_back(message):
    assert collect(legal(replay(message))) == message


JOINED = [
    ("nothing", [], []),
    ("one", [TextDelta("a")], [TextDelta("a")]),
    ("text", [TextDelta("a"), TextDelta("b"), TextDelta("")], [TextDelta("ab")]),
    ("kinds stay apart", [ThinkingDelta("a"), TextDelta("b")], [ThinkingDelta("a"), TextDelta("b")]),
    ("blocks stay apart", [*[BlockStart("text"), TextDelta("a"), BlockStop()] * 2], None),
    ("input is left alone", [InputDelta("{"), InputDelta("}")], None),
]


@pytest.mark.parametrize(("name", "events", "expected"), JOINED, ids=[row[0] for row in JOINED])
def test_neighbouring_deltas_are_joined(name, events, expected):
    assert joined(events) == (events if expected is None else expected)


@pytest.mark.parametrize(("name", "events", "blocks"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_joined_they_say_the_same(name, events, blocks):
    assert collect(joined([START, *events, MessageStop("end_turn", usage=USAGE)])).blocks == blocks
