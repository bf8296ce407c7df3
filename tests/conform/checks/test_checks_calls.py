"""Calls and choices: each check is seen failing."""

import pytest
from conform.broken import Broken, broken, calling, covers, is_found, made, refusal, saying, telling

from understudy.conform.checks import calls


def offered(body):
    return bool(body.get("tools"))


def chosen(**fields):
    return lambda body: fields.items() <= body.get("tool_choice", {}).items()


def choosing(**fields):
    """Tool choices that become others."""

    def change(body):
        if "tool_choice" in body:
            body["tool_choice"] = body["tool_choice"] | fields
        return body

    return change


def halved(events):
    """The second half of an input is lost."""
    deltas = [e for e in events if e.get("delta", {}).get("type") == "input_json_delta"]
    return [event for event in events if event not in deltas[1:]]


def no_deltas(events):
    return [e for e in events if e.get("delta", {}).get("type") != "input_json_delta"]


def second(**fields):
    """Messages whose second call has these fields."""

    def change(_body, message):
        message["content"][1:2] = [block | fields for block in message["content"][1:2]]
        return message

    return change


LEAK = '<tool_call>{"name": "ring_bell"}</tool_call>'
ROWS = [
    broken("calls.asked", "a call as text", message=saying(LEAK, when=offered)),
    broken("calls.asked", "which was not offered", message=calling(name="ring_gong")),
    broken("calls.valid", '"pink" is not one of', message=calling(input={"colour": "pink", "times": 1})),
    broken("calls.valid", "'ring_gong', which was not offered", message=calling(name="ring_gong")),
    broken("calls.valid", "whose input is no object", records=halved),
    broken("calls.whole-input", "the deltas of a call of ring_bell: {", records=halved),
    broken("calls.whole-input", "the deltas of a call of ring_bell: none", records=no_deltas),
    broken("calls.no-arguments", "an input of nothing", records=no_deltas),
    broken("calls.ids", "two calls with the id 'toolu_1'", message=calling(id="toolu_1")),
    broken("calls.ids", "a call with the id 'call:1'", message=calling(id="call:1")),
    broken("calls.ids", "a call with the id ''", message=calling(id="")),
    broken("calls.parallel", "'ring_gong', which was not offered", message=second(name="ring_gong")),
    broken("choice.any", "no call: stop_reason end_turn", message=saying("No.", when=chosen(type="any"))),
    broken("choice.named", "a call of ring_bell", question=choosing(type="any")),
    broken("choice.named", "no call: ", message=saying("No.", when=chosen(type="tool"))),
    broken("choice.none", "with tool_choice none", question=choosing(type="auto")),
    broken("choice.one-at-a-time", "2 calls", question=choosing(disable_parallel_tool_use=False)),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, calls.CHECKS)


@pytest.mark.parametrize(
    "name",
    [
        "calls.asked",
        "calls.valid",
        "calls.whole-input",
        "calls.no-arguments",
        "calls.ids",
        "calls.parallel",
        "choice.one-at-a-time",
    ],
)
def test_a_model_that_calls_nothing_decides_nothing(name):
    assert made(name, Broken(message=saying("Ding."))).status == "undecided"


def test_refusals_are_other_checks_business():
    assert made("calls.valid", lambda _ask: refusal("no")).status == "undecided"


def test_a_model_that_was_still_thinking_has_not_disobeyed():
    block = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    server = Broken(message=telling(content=[block], stop_reason="max_tokens"))
    assert made("choice.any", server).status == "undecided"
    assert made("choice.named", server).status == "undecided"


def test_a_call_that_was_cut_off_was_a_call():
    assert made("calls.asked", Broken(message=telling(stop_reason="max_tokens"))).note == "at try 1"


def test_words_are_tried_one_after_the_other():
    stubborn = Broken(message=saying("No.", when=lambda body: "now, please" not in str(body["messages"])))
    assert made("calls.asked", stubborn).note == "at try 3"
