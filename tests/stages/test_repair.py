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
    "some of them": (ToolChoice(allowed=("Read", "Write")), True, ["Read"], "tool_use"),
    "none of them": (ToolChoice("any", allowed=("Write",)), True, [], "tool_use"),
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


# -- calls that begin to leave before they are whole ------------------------------------------------------------------


def streamed(*events, choice=AUTO):
    """The stage, and what it made of events that come one by one, each asked what may leave after it."""
    stage = Repair(TOOLBOX, choice, iter(["toolu_1", "toolu_2", "toolu_3"]).__next__, streams=True)
    out = []
    for event in [START, *events]:
        out += [*stage.feed(event), *stage.begun()]
    return stage, out


def test_a_call_begins_to_leave_before_it_is_whole():
    stage, out = streamed(*call("Bash", '{"comm', 'and": "l', "s -", 'l"', "}")[:-1])
    assert out == [
        START,
        BlockStart("tool_use", "toolu_1", "Bash"),
        *map(InputDelta, ['{"command": "l', "s -", "l"]),
    ]
    assert stage.feed(BlockStop()) == [InputDelta('"}'), BlockStop()]
    assert stage.outcomes == [Outcome("Bash", "clean")]
    assert stage.sent == {"e1": ToolUse("toolu_1", "Bash", '{"command": "ls -l"}')}
    assert stage.begun() == []


def test_a_call_that_went_wrong_late_is_completed():
    stage, out = streamed(*call("Bash", '{"command": "ls"', ', "timeout": "5"'), stop("tool_use"))
    assert collect([*out, *stage.close()]).blocks == (
        ToolUse("toolu_1", "Bash", '{"command": "ls", "timeout": "5"}'),
    )
    assert [o.outcome for o in stage.outcomes] == ["repaired"]
    assert stage.sent["e1"].input == '{"command": "ls", "timeout": "5"}'


NOT_EARLY = {
    "no such tool": ("bash", AUTO),
    "not the one that was named": ("Bash", ToolChoice("tool", "Read")),
    "none is allowed": ("Bash", ToolChoice("none")),
}


@pytest.mark.parametrize("case", NOT_EARLY)
def test_what_may_not_leave_does_not_begin_to(case):
    name, choice = NOT_EARLY[case]
    _, out = streamed(*call(name, '{"command": "ls')[:-1], choice=choice)
    assert out == [START]


def test_a_second_call_does_not_begin_where_one_is_allowed():
    _stage, out = streamed(*call("Bash", LS), *call("Bash", LS)[:-1], choice=ToolChoice(parallel=False))
    assert [e for e in out if isinstance(e, BlockStart)] == [BlockStart("tool_use", "toolu_1", "Bash")]


TORN = [*call("Bash", '{"command": "rm ', "-rf /"), stop("tool_use")]


@pytest.mark.parametrize(
    "more", [[], call("Read", "{}", engine_id="e2"), [BlockStart("text"), TextDelta("hm"), BlockStop()]]
)
def test_a_torn_call_lets_nothing_follow_and_fails_the_answer(more):
    stage, out = streamed(*TORN[:-1], *more, Progress(1, 2, 0), TORN[-1], TextDelta("late"))
    assert [e for e in out if not isinstance(e, InputDelta)] == [
        START,
        BlockStart("tool_use", "toolu_1", "Bash"),
        Progress(1, 2, 0),
    ]
    (last,) = stage.close()
    assert isinstance(last, Failed)
    assert "Bash cannot be run" in last.error.message
    assert not stage.passes(TextDelta("more"))


def test_a_call_that_max_tokens_tore_says_so():
    stage, _ = streamed(*TORN[:-1], stop("max_tokens"))
    assert stage.wanted() == ()
    (last,) = stage.close()
    assert "max_tokens was reached" in last.error.message


def test_an_answer_that_fails_in_a_torn_call_fails_once():
    stage, out = streamed(*TORN[:-1], Failed(EngineLost("gone")))
    assert isinstance(out[-1], Failed)
    assert stage.close() == ()


# -- calls that the engine is asked for again -------------------------------------------------------------------------


def test_a_call_that_was_given_up_is_wanted_again():
    stage, out = streamed(*call("Fly", "{}"), *call("Read", "{}", engine_id="e2"), stop("tool_use"))
    assert out[-1] == BlockStop(), "the last event waits"
    (lost,) = stage.wanted()
    assert lost.start.name == "Fly"
    events = stage.again(lost, "Bash", LS, 5)
    assert events == [BlockStart("tool_use", "toolu_2", "Bash"), InputDelta(LS), BlockStop()]
    assert [o.outcome for o in stage.outcomes] == ["retried", "clean"]
    assert stage.wanted() == ()
    assert stage.close() == (MessageStop("tool_use", None, Usage(3, 2, 6)),)


def test_a_torn_call_can_be_completed_by_another_try():
    stage, _ = streamed(*TORN)
    (lost,) = stage.wanted()
    assert stage.again(lost, "Bash", '{"command":"rm -rf /here"}', 5) == [
        InputDelta('here"}'),
        BlockStop(),
    ]
    assert stage.close() == (MessageStop("tool_use", None, Usage(3, 2, 6)),)


NO_BETTER = [("Bash", "{}"), ("Fly", "{}"), ("Bash", '{"command": "another"}'), ("Read", "{}")]


@pytest.mark.parametrize(("name", "arguments"), NO_BETTER)
def test_a_try_that_is_no_better_leaves_a_torn_call_torn(name, arguments):
    stage, _ = streamed(*TORN)
    (lost,) = stage.wanted()
    assert stage.again(lost, name, arguments, 5) == []
    assert stage.wanted() == (lost,)
    assert isinstance(stage.close()[0], Failed)


def test_a_try_must_be_allowed_too():
    choice = ToolChoice(parallel=False)
    stage, _ = streamed(
        *call("Bash", "{}"), *call("Read", "{}", engine_id="e2"), stop("tool_use"), choice=choice
    )
    (lost,) = stage.wanted()
    assert stage.again(lost, "Bash", LS, 5) == []
    assert stage.close() == (MessageStop("tool_use", None, Usage(3, 2, 6)),)


def test_nothing_is_wanted_of_an_answer_that_max_tokens_cut():
    stage, out = streamed(*call("Bash", '{"comma'), stop("max_tokens"))
    assert out == [START, stop("max_tokens")]
    assert stage.wanted() == ()


@given(
    ANY,
    st.sampled_from(["auto", "any", "none", "tool"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_what_leaves_is_valid_and_allowed(events, mode, parallel, tools, streams, again):  # noqa: PLR0917
    count = ids()
    choice = ToolChoice(mode, "Bash", parallel)
    stage = Repair(TOOLBOX, choice, lambda: count("toolu_"), tools=tools, streams=streams)
    made = []
    for event in events:
        made += [*stage.feed(event), *stage.begun()]
    for lost in stage.wanted() if again else ():
        made += stage.again(lost, "Bash", '{"command": "a"}', 1)
    out = legal(run(Tidy(ids()), [*made, *stage.close()]))
    if isinstance(out[-1], MessageStop):
        for block in collect(out).blocks:
            if isinstance(block, ToolUse):
                assert TOOLBOX.mend(block.name, block.input).rules == ()
    starts = [event for event in out if isinstance(event, BlockStart) and event.kind == "tool_use"]
    assert not starts or (tools and mode != "none")
    assert parallel or len(starts) <= 1
    names = {"Bash"} if mode == "tool" else {"Bash", "Read"}
    for start in starts:
        assert start.id in dict(stage.ids) or isinstance(out[-1], Failed)
        assert start.name in names
    for sent in stage.sent.values():
        assert TOOLBOX.mend(sent.name, sent.input).rules == ()
