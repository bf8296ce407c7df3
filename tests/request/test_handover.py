"""A conversation that goes on at the Claude API: what it would refuse is changed, everything else is the same object."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.request import (
    Request,
    Text,
    Thinking,
    ThinkingWish,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
)
from understudy.request.handover import VALID, Edits, applied, edits, marks

REAL = "Er8BCk" + "x" * 200
"""A signature as long as the API's."""


def talk(*turns, thinking="unset"):
    roles = ("user", "assistant")
    made = tuple(Turn(roles[number % 2], blocks) for number, blocks in enumerate(turns))
    return Request("m", made, thinking=ThinkingWish(thinking))


def blocks(request, refused=()):
    return [turn.blocks for turn in applied(request, edits(request, refused)).turns]


def test_what_the_api_takes_is_not_touched():
    request = talk(
        (Text("hi"),),
        (Thinking("hm", REAL), Text("a"), ToolUse("toolu_1", "Read", '{"a": 1}')),
        (ToolResult("toolu_1", (Text("x"),)),),
    )
    assert edits(request) == Edits({})
    assert applied(request, edits(request)) == request


@pytest.mark.parametrize("signature", ["", "abc", "x" * 63])
def test_thinking_that_is_not_signed_is_dropped_and_never_told(signature):
    request = talk((Text("hi"),), (Thinking("secret thoughts", signature), Text("a")), (Text("go on"),))
    assert blocks(request) == [(Text("hi"),), (Text("a"),), (Text("go on"),)]


def test_a_turn_of_which_nothing_is_left_is_left_out():
    request = talk((Text("hi"),), (Thinking("t"),), (Text("go on"),))
    assert blocks(request) == [(Text("hi"),), (Text("go on"),)]


def test_a_turn_that_was_empty_stays():
    assert blocks(talk((Text("hi"),), ())) == [(Text("hi"),), ()]


def test_signed_thinking_that_was_refused_once_is_dropped_from_then_on():
    sealed = Unknown("redacted_thinking", '{"type":"redacted_thinking","data":"abc"}')
    request = talk(
        (Text("hi"),), (Thinking("hm", REAL), sealed, Unknown("other", "{}"), Text("a")), (Text("x"),)
    )
    refused = marks(request)
    assert len(refused) == 2
    assert blocks(request, refused)[1] == (Unknown("other", "{}"), Text("a"))
    assert blocks(request)[1] == request.turns[1].blocks


IDS = ["call_ü", "functions.Read:0", "a b", "", "call/1", "toolu_1\n"]


@pytest.mark.parametrize("old", IDS)
def test_an_id_the_api_does_not_take_is_made_anew_the_same_every_time(old):
    request = talk((Text("hi"),), (ToolUse(old, "Read", "{}"),), (ToolResult(old),))
    (call,), (result,) = blocks(request)[1:]
    assert VALID.fullmatch(call.id)
    assert result.tool_use_id == call.id
    assert blocks(request)[1] == (call,)


def test_an_id_that_occurs_twice_is_told_apart():
    request = talk(
        (Text("hi"),),
        (ToolUse("c1", "Read", "{}"),),
        (ToolResult("c1"),),
        (ToolUse("c1", "Read", "{}"), ToolUse("c1", "Read", "{}")),
        (ToolResult("c1"), ToolResult("c1"), ToolResult("c1")),
    )
    found = blocks(request)
    first, (second, third) = found[1][0], found[3]
    assert first.id == "c1"
    assert len({first.id, second.id, third.id}) == 3
    assert [result.tool_use_id for result in found[4]] == [second.id, third.id, third.id]


def test_a_result_without_a_call_is_left_to_the_api():
    request = talk((ToolResult("nobody's"),))
    assert blocks(request) == [(ToolResult("nobody's"),)]


INPUTS = [  # as the client sent it: as the API gets it
    ('{"a":1}', '{"a":1}'),
    (' {"a":1}', ' {"a":1}'),
    ('"{\\"a\\": 1}"', '{"a": 1}'),
    ('"{broken"', '{"input":"{broken"}'),
    ('"ls"', '{"input":"ls"}'),
    ('""', "{}"),
    ("", "{}"),
    ("null", "{}"),
    ("[1]", '{"input":[1]}'),
    ("7", '{"input":7}'),
    ("ls -l", '{"input":"ls -l"}'),
]


@pytest.mark.parametrize(("sent", "got"), INPUTS)
def test_an_input_is_an_object(sent, got):
    assert blocks(talk((Text("hi"),), (ToolUse("c", "Bash", sent),)))[1][0].input == got


LOOPS = [  # the last assistant turn, the last user turn, the wish: is thinking switched off?
    ((ToolUse("c", "R", "{}"),), (ToolResult("c"),), "enabled", True),
    ((Thinking("t"), ToolUse("c", "R", "{}")), (ToolResult("c"),), "enabled", True),
    ((Thinking("t"),), (ToolResult("c"),), "enabled", True),
    ((Thinking("t", REAL), ToolUse("c", "R", "{}")), (ToolResult("c"),), "enabled", False),
    ((Unknown("redacted_thinking", "{}"), ToolUse("c", "R", "{}")), (ToolResult("c"),), "enabled", False),
    ((ToolUse("c", "R", "{}"),), (ToolResult("c"),), "adaptive", False),
    ((ToolUse("c", "R", "{}"),), (Text("go on"),), "enabled", False),
]


@pytest.mark.parametrize(("assistant", "user", "wish", "off"), LOOPS)
def test_thinking_is_off_in_a_tool_loop_that_has_lost_its_own(assistant, user, wish, off):
    request = talk((Text("hi"),), assistant, user, thinking=wish)
    assert edits(request).unthinking is off
    assert applied(request, edits(request)).thinking.mode == ("disabled" if off else wish)


@pytest.mark.parametrize("turns", [(), ((ToolResult("c"),),)])
def test_a_conversation_without_an_answer_is_in_no_loop(turns):
    assert not edits(talk(*turns, thinking="enabled")).unthinking


ANY_BLOCK = st.one_of(
    st.builds(Text, st.text()),
    st.builds(Thinking, st.text(), st.sampled_from(["", "short", REAL])),
    st.builds(
        ToolUse, st.sampled_from(["a", "b", "ü", ""]), st.just("R"), st.sampled_from(["{}", "[]", '"x"', "{"])
    ),
    st.builds(ToolResult, st.sampled_from(["a", "b", "ü", ""])),
)


@given(st.lists(st.lists(ANY_BLOCK, max_size=4).map(tuple), max_size=6))
def test_nothing_that_would_be_refused_is_left(turns):
    request = talk(*turns)
    once = applied(request, edits(request))
    calls = [block for turn in once.turns for block in turn.blocks if isinstance(block, ToolUse)]
    assert all(VALID.fullmatch(call.id) for call in calls)
    assert len({call.id for call in calls}) == len(calls)
    assert not [
        b for turn in once.turns for b in turn.blocks if isinstance(b, Thinking) and b.signature != REAL
    ]
    assert edits(once).blocks == {}
