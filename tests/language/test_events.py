"""The grammar: every event in every state, and whole answers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.errors import Bug, EngineLost
from understudy.language.events import (
    GRAMMAR,
    BlockStart,
    BlockStop,
    CitationDelta,
    Failed,
    Grammar,
    InputDelta,
    Logprobs,
    MessageStart,
    MessageStop,
    Progress,
    Served,
    SignatureDelta,
    State,
    TextDelta,
    ThinkingDelta,
    Verbatim,
    word,
)
from understudy.language.web import Citation, ServerToolUse

EVERY = [
    MessageStart("m"),
    BlockStart("text"),
    BlockStart("thinking"),
    BlockStart("tool_use", "t", "T"),
    TextDelta("a"),
    ThinkingDelta("a"),
    SignatureDelta("a"),
    InputDelta("{}"),
    Logprobs("[]"),
    CitationDelta(Citation("https://a.b", "A")),
    BlockStop(),
    Served(ServerToolUse("s", "web_search", "{}")),
    MessageStop("end_turn"),
    Failed(EngineLost("gone")),
    Progress(1, 2, 0),
    Verbatim(b"data: {}\n\n"),
]
TEXT, THINKING, TOOL = EVERY[1:4]
# state, the way there, what is allowed in it
STATES = [
    (State.IDLE, [], "MessageStart Progress Verbatim Failed"),
    (
        State.OPEN,
        [EVERY[0]],
        "BlockStart text,BlockStart thinking,BlockStart tool_use,Served,MessageStop,Progress,Verbatim,Failed",
    ),
    (State.TEXT, [EVERY[0], TEXT], "TextDelta Logprobs CitationDelta BlockStop Progress Verbatim Failed"),
    (State.THINKING, [EVERY[0], THINKING], "ThinkingDelta SignatureDelta BlockStop Progress Verbatim Failed"),
    (State.TOOL_USE, [EVERY[0], TOOL], "InputDelta BlockStop Progress Verbatim Failed"),
    (State.DONE, [EVERY[0], MessageStop("end_turn")], ""),
    (State.DONE, [Failed(EngineLost("gone"))], ""),
]


def at(way):
    grammar = Grammar()
    for event in way:
        grammar.step(event)
    return grammar


@pytest.mark.parametrize(("state", "way", "allowed"), STATES)
@pytest.mark.parametrize("event", EVERY, ids=word)
def test_what_may_stand_where(state, way, allowed, event):
    words = set(allowed.split("," if "," in allowed else None))
    grammar = at(way)
    assert grammar.state is state
    assert grammar.allows(event) == (word(event) in words)
    if word(event) in words:
        grammar.step(event)
        assert grammar.state is GRAMMAR[state][word(event)]
    else:
        with pytest.raises(Bug, match=f"{word(event)} may not stand {state.value}"):
            grammar.step(event)
        assert grammar.state is state


def test_the_table_is_whole():
    assert set(GRAMMAR) == set(State)
    words = set(itertools.chain.from_iterable(GRAMMAR.values()))
    assert words == {word(event) for event in EVERY}


def test_failure_is_possible_everywhere_but_after_the_end():
    for state, moves in GRAMMAR.items():
        assert moves.get("Failed") is (None if state is State.DONE else State.DONE)


@pytest.mark.parametrize("name", ["Progress", "Verbatim"])
def test_what_is_no_part_of_the_answer_changes_nothing(name):
    assert all(moves.get(name, state) is state for state, moves in GRAMMAR.items())


@given(st.lists(st.sampled_from(EVERY), max_size=20))
def test_blocks_never_overlap_and_nothing_follows_the_end(events):
    grammar, inside, done = Grammar(), False, False
    for event in events:
        if not grammar.allows(event):
            continue
        grammar.step(event)
        assert not done
        assert not (inside and isinstance(event, BlockStart | MessageStop))
        inside = isinstance(event, BlockStart) or (inside and not isinstance(event, BlockStop))
        done = isinstance(event, MessageStop | Failed)
