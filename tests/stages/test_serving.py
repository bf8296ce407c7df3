"""Calls of tools that the gateway runs, taken out of what a model says."""

import pytest
from harness import legal
from hypothesis import given
from hypothesis import strategies as st

from understudy.language import errors
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
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.message import collect
from understudy.language.request import (
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolUse,
    Turn,
    change,
)
from understudy.language.web import Hit, Missed, ServerToolUse, WebResult, WebTool
from understudy.stages.serving import Serving

ASK = Request(
    "m",
    (Turn("user", (Text("q"),)),),
    tools=(Tool("web_search", kind="web_search_1", web=WebTool("search")), Tool("Read")),
    raw=b"{}",
)
START = MessageStart("m1", "coder")
HIT = Hit("https://a.example/x", "All about a, and more", "On a.")


def said(text):
    return [BlockStart("text"), TextDelta(text), BlockStop()]


def call(name="web_search", number=1):
    return [
        BlockStart("tool_use", f"toolu_{number}", name),
        InputDelta('{"query":'),
        InputDelta('"q"}'),
        BlockStop(),
    ]


def stop(reason="tool_use", tokens=5):
    return MessageStop(reason, None, Usage(10, 0, tokens))


def used(number=1):
    return ServerToolUse(f"srvtoolu_{number}", "web_search", '{"query":"q"}')


def hits(number=1):
    return WebResult(f"srvtoolu_{number}", "search", (HIT,))


def test_an_answer_without_calls_passes():
    serving = Serving(ASK)
    events = [START, *said("hello"), *call("Read"), stop()]
    assert serving.feed(events) == events
    assert serving.waiting == []
    assert serving.written == 5


def test_one_answer_in_two_rounds():
    serving = Serving(ASK)
    out = serving.feed([START, BlockStart("thinking"), ThinkingDelta("hm"), BlockStop(), *said("I look.")])
    out += serving.feed([*call(), stop()])
    assert out[-1] == Served(used())
    assert serving.waiting == [used()]
    out += serving.results([hits()], last=False)
    assert serving.waiting == []
    turn = Turn("assistant", (Thinking("hm"), Text("I look."), used(), hits()))
    assert serving.request == change(ASK, turns=(*ASK.turns, turn), raw=b"")
    out += serving.feed([MessageStart("m2"), Progress(1, 2, 0), *said("It is so."), stop("end_turn", 7)])
    message = collect(legal(out))
    assert message.blocks == (*turn.blocks, Text("It is so."))
    assert (message.id, message.stop_reason, message.usage) == ("m1", "end_turn", Usage(10, 0, 12))


def test_pages_that_a_text_names_are_cited():
    before = Turn("assistant", (used(0), WebResult("srvtoolu_0", "search", (Hit("https://b.example", "B"),))))
    sealed = WebResult("srvtoolu_0", "search", (Hit("https://c.example", "C", sealed="theirs"),))
    serving = Serving(change(ASK, turns=(*ASK.turns, before, Turn("assistant", (used(0), sealed)))))
    serving.feed([START, *call(), stop()])
    serving.results([hits()], last=False)
    serving.feed([MessageStart("m2"), BlockStart("text"), TextDelta("https://a.exam")])
    serving.more("ple/x, b.example, c.example")
    *citations, end = serving.feed([BlockStop()])
    assert end == BlockStop()
    assert [(event.citation.url, event.citation.sealed) for event in citations] == [
        ("https://b.example", "srvtoolu_0.0"),
        ("https://a.example/x", "srvtoolu_1.0"),
    ]
    assert serving.feed(said("nothing"))[-2:] == [TextDelta("nothing"), BlockStop()]


def test_citations_do_not_go_back_to_the_model():
    serving = Serving(ASK)
    serving.feed([START, *call(), stop()])
    serving.results([hits()], last=False)
    out = serving.feed([MessageStart("m2"), *said("https://a.example/x"), *call(number=2), stop()])
    assert any(isinstance(event, CitationDelta) for event in out)
    serving.results([hits(2)], last=False)
    assert type(serving.request.turns[-1].blocks[0]) is Text


@pytest.mark.parametrize(
    ("others", "last", "reason"),
    [(False, False, None), (False, True, "pause_turn"), (True, False, "tool_use"), (True, True, "tool_use")],
)
def test_how_a_round_ends(others, last, reason):
    serving = Serving(ASK)
    out = serving.feed([START, *call(), *(call("Read", 2) if others else []), stop()])
    out += serving.results([hits()], last=last)
    ends = [event for event in out if isinstance(event, MessageStop)]
    assert [event.stop_reason for event in ends] == ([reason] if reason else [])
    if reason:
        assert collect(legal(out)).usage.output_tokens == 5


def test_what_was_cut_is_not_run():
    serving = Serving(ASK)
    out = serving.feed([START, *call(), stop("max_tokens")])
    assert collect(legal(out)).stop_reason == "max_tokens"
    assert serving.waiting == []


def test_a_failed_answer_wants_nothing():
    serving = Serving(ASK)
    legal(serving.feed([START, *call(), Failed(errors.EngineLost("gone"))]))
    assert serving.waiting == []


@pytest.mark.parametrize(
    ("choice", "then"),
    [
        (ToolChoice("tool", "web_search", parallel=False), ToolChoice(parallel=False)),
        (ToolChoice("any", allowed=("a",)), ToolChoice(allowed=("a",))),
        (ToolChoice("none"), ToolChoice("none")),
    ],
)
def test_a_demand_is_met_once(choice, then):
    serving = Serving(change(ASK, tool_choice=choice))
    serving.feed([START, *call(), stop()])
    serving.results([hits()], last=False)
    assert serving.request.tool_choice == then


def test_rounds_share_the_tokens():
    serving = Serving(change(ASK, sampling=Sampling(max_tokens=12)))
    for left in (7, 2, 1):
        serving.feed([START, *call(), stop()])
        serving.results([WebResult("srvtoolu_1", "search", Missed("unavailable"))], last=False)
        assert serving.request.sampling.max_tokens == left


PIECES = st.sampled_from(["text", "search", "read", "think"])


@given(st.lists(st.lists(PIECES, max_size=4), min_size=1, max_size=4))
def test_whatever_is_said_the_answer_is_one_and_legal(rounds):
    serving, out, number = Serving(ASK), [], 0
    for pieces in rounds:
        events = [MessageStart("m")]
        for piece in pieces:
            number += 1
            events += {
                "text": said(f"words {number}"),
                "search": call(number=number),
                "read": call("Read", number),
                "think": [BlockStart("thinking"), ThinkingDelta("hm"), BlockStop()],
            }[piece]
        out += serving.feed([*events, stop()])
        if not serving.waiting:
            break
        waiting = list(serving.waiting)
        out += serving.results(
            [WebResult(one.id, "search", ()) for one in waiting], last=pieces is rounds[-1]
        )
        if isinstance(out[-1], MessageStop):
            break
    blocks = collect(legal(out)).blocks
    calls = [block.id for block in blocks if isinstance(block, ServerToolUse)]
    assert sorted(calls) == sorted(block.tool_use_id for block in blocks if isinstance(block, WebResult))
    assert not any(isinstance(block, ToolUse) and block.name == "web_search" for block in blocks)
