"""Whatever comes in, what leaves obeys the grammar."""

import pytest
from anyevents import ANY, run
from harness import ids, legal
from hypothesis import given

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
from understudy.language.message import collect, replay
from understudy.language.web import Citation, ServerToolUse
from understudy.stages.tidy import Tidy

START = MessageStart("msg_e", "m", Usage(3))
TEXT, THINKING, CALL = BlockStart("text"), BlockStart("thinking"), BlockStart("tool_use", "e", "Bash")
STOP, END, USED = BlockStop(), MessageStop("end_turn"), MessageStop("tool_use")
BUSY = Failed(EngineBusy("no room"))
A, B, BLANK = TextDelta("a"), TextDelta("b"), TextDelta(" \n")
THOUGHT, SIGNED, INPUT = ThinkingDelta("hm"), SignatureDelta("s"), InputDelta("{}")
PROGRESS = Progress(1, 2, 0)
SERVED = Served(ServerToolUse("s", "web_search", "{}"))
CITED = CitationDelta(Citation("https://a.example", "A"))

CASES = {
    "lawful": ([START, TEXT, A, B, STOP, END], [START, TEXT, A, B, STOP, END]),
    "nothing said": ([START, END], [START, END]),
    "no start": ([TEXT, A, STOP, END], [MessageStart("msg_1"), TEXT, A, STOP, END]),
    "nothing but an end": ([END], [MessageStart("msg_1"), END]),
    "a second start": ([START, TEXT, START, A, STOP, START, END], [START, TEXT, A, STOP, END]),
    "no stop of a block": ([START, TEXT, A, END], [START, TEXT, A, STOP, END]),
    "a block begins in a block": (
        [START, THINKING, THOUGHT, TEXT, A, CALL, INPUT, END],
        [START, THINKING, THOUGHT, STOP, TEXT, A, STOP, CALL, INPUT, STOP, USED],
    ),
    "no block": (
        [START, A, THOUGHT, B, END],
        [START, TEXT, A, STOP, THINKING, THOUGHT, STOP, TEXT, B, STOP, END],
    ),
    "text in thinking": (
        [START, THINKING, THOUGHT, A, STOP, END],
        [START, THINKING, THOUGHT, STOP, TEXT, A, STOP, END],
    ),
    "thinking in text": (
        [START, TEXT, A, THOUGHT, END],
        [START, TEXT, A, STOP, THINKING, THOUGHT, STOP, END],
    ),
    "text in a call": ([START, CALL, INPUT, A, END], [START, CALL, INPUT, STOP, TEXT, A, STOP, USED]),
    "a tool that is run elsewhere": (
        [START, TEXT, A, SERVED, B, END],
        [START, TEXT, A, STOP, SERVED, TEXT, B, STOP, END],
    ),
    "what a text relies on": (
        [START, CITED, TEXT, CITED, A, CITED, STOP, CITED, END],
        [START, TEXT, A, CITED, STOP, END],
    ),
    "input of no call": ([START, INPUT, TEXT, A, INPUT, B, END], [START, TEXT, A, B, STOP, END]),
    "stops of nothing": ([START, STOP, TEXT, A, STOP, STOP, END], [START, TEXT, A, STOP, END]),
    "empty deltas": (
        [
            START,
            TEXT,
            TextDelta(""),
            A,
            TextDelta(""),
            STOP,
            THINKING,
            ThinkingDelta(""),
            SignatureDelta(""),
            STOP,
            END,
        ],
        [START, TEXT, A, STOP, END],
    ),
    "a call without input": ([START, CALL, STOP, USED], [START, CALL, STOP, USED]),
    "empty input": ([START, CALL, InputDelta(""), STOP, USED], [START, CALL, STOP, USED]),
    "a signature alone": ([START, THINKING, SIGNED, STOP, END], [START, THINKING, SIGNED, STOP, END]),
    "blanks alone": (
        [START, TEXT, BLANK, STOP, CALL, STOP, TEXT, BLANK, BLANK, END],
        [START, CALL, STOP, USED],
    ),
    "blanks before text": (
        [START, TEXT, BLANK, TextDelta(" "), A, BLANK, STOP, END],
        [START, TEXT, TextDelta(" \n a"), BLANK, STOP, END],
    ),
    "blanks of another block": (
        [START, TEXT, BLANK, STOP, TEXT, A, STOP, END],
        [START, TEXT, A, STOP, END],
    ),
    "blanks, then thinking": ([START, TEXT, BLANK, THOUGHT, END], [START, THINKING, THOUGHT, STOP, END]),
    "calls end no turn": ([START, CALL, STOP, END], [START, CALL, STOP, USED]),
    "calls cut by the limit": (
        [START, CALL, STOP, MessageStop("max_tokens")],
        [START, CALL, STOP, MessageStop("max_tokens")],
    ),
    "to be asked again": ([START, USED], [START, USED]),
    "nothing after the end": ([START, END, TEXT, A, END, BUSY, PROGRESS], [START, END]),
    "a failure closes nothing": ([START, TEXT, A, BUSY, STOP, END], [START, TEXT, A, BUSY]),
    "a failure at once": ([BUSY, START], [BUSY]),
    "a failure after blanks": ([START, TEXT, BLANK, BUSY], [START, BUSY]),
    "progress": (
        [PROGRESS, START, PROGRESS, TEXT, PROGRESS, A, PROGRESS, STOP, END],
        [PROGRESS, START, PROGRESS, PROGRESS, TEXT, A, PROGRESS, STOP, END],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_tidied(case):
    events, expected = CASES[case]
    assert legal(run(Tidy(ids()), events)) == expected


@pytest.mark.parametrize(
    "events", [[], [START], [START, TEXT, A], [START, TEXT, A, STOP], [START, CALL, INPUT]]
)
def test_what_ends_without_an_end_failed(events):
    out = legal(run(Tidy(ids()), events))
    assert out[:-1] == events
    assert isinstance(out[-1], Failed)
    assert isinstance(out[-1].error, EngineLost)


def test_the_numbers_stay_when_the_reason_changes():
    out = run(Tidy(ids()), [START, CALL, STOP, MessageStop("end_turn", None, Usage(5, 3, 2))])
    assert out[-1] == MessageStop("tool_use", None, Usage(5, 3, 2))


@given(ANY)
def test_the_grammar_holds(events):
    out = legal(run(Tidy(ids()), events))
    if not isinstance(out[-1], Failed):
        assert list(replay(collect(out)))


@given(ANY)
def test_nothing_but_blanks_is_lost(events):
    tidy = Tidy(ids())
    out = run(tidy, events)
    end = next((i for i, event in enumerate(events) if isinstance(event, MessageStop | Failed)), len(events))
    for kind in (TextDelta, ThinkingDelta):
        said = "".join(event.text for event in events[:end] if isinstance(event, kind))
        assert "".join(said.split()) == "".join("".join(e.text for e in out if isinstance(e, kind)).split())


@given(ANY)
def test_tidy_is_tidied_into_itself(events):
    once = run(Tidy(ids()), events)
    assert run(Tidy(ids()), once) == once
