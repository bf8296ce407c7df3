"""A call is mended, or it leaves no trace."""

import json

import pytest
from anyevents import ANY, REASONS, run
from harness import ids, legal
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
    Usage,
)
from understudy.language.message import collect
from understudy.language.request import ToolChoice, ToolUse
from understudy.stages.mend import Toolbox
from understudy.stages.repair import Outcome, Repair
from understudy.stages.tidy import Tidy

BASH = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
TOOLBOX = Toolbox([("Bash", json.dumps(BASH).encode()), ("Read", b'{"type": "object"}')])
AUTO = ToolChoice()
START = MessageStart("msg_e", "m")
LS = '{"command": "ls"}'


def call(name, *pieces, engine_id="e1"):
    return [BlockStart("tool_use", engine_id, name), *map(InputDelta, pieces), BlockStop()]


def test_what_passes():
    stage = Repair(TOOLBOX, AUTO, lambda: "toolu_1")
    assert stage.passes(TextDelta("a"))
    stage.feed(BlockStart("tool_use", "e1", "Bash"))
    assert not stage.passes(TextDelta("a"))


def stop(reason):
    return MessageStop(reason, None, Usage(3, 2, 1))


def repaired(*events, choice=AUTO, tools=True):
    """The stage, and what it made of an answer of these events."""
    stage = Repair(TOOLBOX, choice, iter(["toolu_1", "toolu_2", "toolu_3"]).__next__, tools=tools)
    return stage, legal(run(stage, [START, *events]))


def test_a_clean_call_keeps_its_bytes():
    stage, out = repaired(*call("Bash", '{"comm', 'and" :"ls"}'), stop("tool_use"))
    assert out == [
        START,
        BlockStart("tool_use", "toolu_1", "Bash"),
        InputDelta('{"command" :"ls"}'),
        BlockStop(),
        stop("tool_use"),
    ]
    assert stage.outcomes == [Outcome("Bash", "clean")]
    assert stage.ids == [("toolu_1", "e1")]
    assert stage.sent == {"e1": ToolUse("toolu_1", "Bash", '{"command" :"ls"}')}


MENDED = {
    "arguments": ("Bash", "{'command': 'ls'}", '{"command":"ls"}'),
    "name": ("bash", LS, LS),
    "nothing": ("Read", "", "{}"),
}


@pytest.mark.parametrize("case", MENDED)
def test_a_call_is_mended(case):
    name, written, sent = MENDED[case]
    stage, out = repaired(*call(name, written), stop("end_turn"))
    (block,) = collect(out).blocks
    assert isinstance(block, ToolUse)
    assert (block.name.casefold(), block.input) == (name.casefold(), sent)
    (outcome,) = stage.outcomes
    assert outcome.outcome == "repaired"
    assert outcome.rules
    assert stage.sent["e1"] == block


GIVEN_UP = [
    ("Bash", '{"command": "rm -rf /tm'),
    ("Bash", "{}"),
    ("Bash", '{"command": 5.5e999}'),
    ("Fly", "{}"),
    ("", "{}"),
]


@pytest.mark.parametrize(("name", "written"), GIVEN_UP)
@pytest.mark.parametrize("reason", REASONS)
def test_what_cannot_be_mended_leaves_no_trace(name, written, reason):
    stage, out = repaired(BlockStart("text"), TextDelta("a"), BlockStop(), *call(name, written), stop(reason))
    ended = "max_tokens" if reason == "max_tokens" else "tool_use"
    assert out == [START, BlockStart("text"), TextDelta("a"), BlockStop(), stop(ended)]
    (outcome,) = stage.outcomes
    assert (outcome.name, outcome.outcome) == (name, "given up")
    assert outcome.reason
    assert stage.ids == []
    assert stage.sent == {}


def test_the_stop_sequence_goes_with_its_reason():
    _, out = repaired(*call("Fly", "{}"), MessageStop("stop_sequence", "END", Usage(1)))
    assert out[-1] == MessageStop("tool_use", None, Usage(1))


TWO = [*call("Bash", LS), *call("Read", "{}", engine_id="e2")]
POLICY = {
    "both": (ToolChoice(), True, ["Bash", "Read"], "tool_use"),
    "any": (ToolChoice("any"), True, ["Bash", "Read"], "tool_use"),
    "one at a time": (ToolChoice(parallel=False), True, ["Bash"], "tool_use"),
    "one by name": (ToolChoice("tool", "Read"), True, ["Read"], "tool_use"),
    "one by name, one at a time": (ToolChoice("tool", "Read", parallel=False), True, ["Read"], "tool_use"),
    "none": (ToolChoice("none"), True, [], "end_turn"),
    "no tools": (ToolChoice(), False, [], "end_turn"),
    "another": (ToolChoice("tool", "Write"), True, [], "tool_use"),
}


@pytest.mark.parametrize("case", POLICY)
def test_what_the_request_forbids_is_dropped(case):
    choice, tools, names, reason = POLICY[case]
    stage, out = repaired(*TWO, stop("tool_use"), choice=choice, tools=tools)
    message = collect(out)
    assert [block.name for block in message.blocks] == names
    assert message.stop_reason == reason
    dropped = [outcome for outcome in stage.outcomes if outcome.outcome == "dropped"]
    assert len(dropped) == 2 - len(names)
    assert all(outcome.reason for outcome in dropped)
    assert [client for client, _ in stage.ids] == [f"toolu_{i + 1}" for i in range(len(names))]


@pytest.mark.parametrize("reason", REASONS)
def test_calls_end_no_turn(reason):
    _, out = repaired(*call("Bash", LS), stop(reason))
    assert out[-1] == stop("tool_use" if reason == "end_turn" else reason)


@pytest.mark.parametrize("reason", REASONS)
def test_without_calls_the_reason_stays(reason):
    _, out = repaired(stop(reason))
    assert out == [START, stop(reason)]


def test_a_call_is_held_until_it_is_whole():
    stage = Repair(TOOLBOX, AUTO, iter(["toolu_1"]).__next__)
    events = [*call("Bash", '{"command"', ': "ls"}')[:-1], Progress(1, 2, 0)]
    assert run_without_close(stage, events) == [Progress(1, 2, 0)]
    assert stage.feed(BlockStop()) == [BlockStart("tool_use", "toolu_1", "Bash"), InputDelta(LS), BlockStop()]


def run_without_close(stage, events):
    return [out for event in events for out in stage.feed(event)]


@pytest.mark.parametrize("end", [[Failed(EngineLost("gone"))], []])
def test_a_cut_call_is_none(end):
    stage = Repair(TOOLBOX, AUTO, ids())
    assert run(stage, [START, *call("Bash", LS)[:-1], *end]) == [START, *end]
    assert (stage.outcomes, stage.ids, stage.sent) == ([], [], {})


FOLLOWS = [[BlockStart("text"), TextDelta("a")], [TextDelta("a")], [stop("end_turn")], call("Read", "{}")]


@pytest.mark.parametrize("after", FOLLOWS)
def test_whatever_follows_ends_a_call(after):
    stage = Repair(TOOLBOX, AUTO, iter(["toolu_1", "toolu_2"]).__next__)
    out = run_without_close(stage, [START, *call("Bash", LS)[:-1], *after])
    assert out[1:4] == [BlockStart("tool_use", "toolu_1", "Bash"), InputDelta(LS), BlockStop()]
    assert len(out) == len(after) + 4


@given(ANY, st.sampled_from(["auto", "any", "none", "tool"]), st.booleans(), st.booleans())
def test_what_leaves_is_valid_and_allowed(events, mode, parallel, tools):
    count = ids()
    stage = Repair(TOOLBOX, ToolChoice(mode, "Bash", parallel), lambda: count("toolu_"), tools=tools)
    out = legal(run(Tidy(ids()), run(stage, events)))
    starts = [event for event in out if isinstance(event, BlockStart) and event.kind == "tool_use"]
    assert not starts or (tools and mode != "none")
    assert parallel or len(starts) <= 1
    names = {"Bash"} if mode == "tool" else {"Bash", "Read"}
    for start in starts:
        assert start.id in dict(stage.ids)
        assert start.name in names
    for sent in stage.sent.values():
        assert TOOLBOX.mend(sent.name, sent.input).rules == ()
