"""Checks of calls: every one is valid and comes as a call, and the choices that a client makes are obeyed."""

import re
from collections.abc import Sequence
from typing import Final

from understudy.conform.answer import Answer, heard
from understudy.conform.asks import BELL, ROOM, TOOLS, ask, forced
from understudy.conform.exchange import Ask, Check, Fault, Json, Plan, Scene, Talk, Undecided, put
from understudy.conform.judging import called, no_call, short

TRIES: Final = 3
ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
"""What the API takes back as the id of a call."""
LEAKS: Final = (
    "<tool_call",
    "<function=",
    "<function_call",
    "[TOOL_CALLS]",
    "<|tool",
    "<|python_tag|>",
    "<invoke",
)
"""How models begin a call in their text."""
WORDS: Final = (
    "Ring the red bell twice. Use the tool ring_bell.",
    "Call the tool ring_bell with colour red and times 2. Do not answer in words.",
    "ring_bell(colour=red, times=2), now, please.",
)
BOTH: Final = (
    "Do two things at the same time: ring the red bell once, and ring the blue bell once. Make two calls."
)


def _samples(scene: Scene) -> Talk[list[Answer]]:
    """Answers that should have calls in them: forced ones, and one that the words ask for."""
    out = []
    for asked in (
        forced(scene),
        forced(scene, "ring_bell"),
        forced(scene, "light_lamp"),
        _worded(scene, 0),
        _twins(scene),
    ):
        reply = yield from put(asked)
        try:
            out.append(heard(reply))
        except Fault:
            continue
    return out


def _worded(scene: Scene, number: int) -> Ask:
    return ask(scene, WORDS[number], tools=TOOLS, max_tokens=ROOM)


def _twins(scene: Scene, **choice: object) -> Ask:
    wish: Json = {"tool_choice": {"type": "any", **choice}, "thinking": {"type": "disabled"}}
    return ask(scene, BOTH, tools=[BELL], max_tokens=ROOM, **wish)


def _some_calls(answers: Sequence[Answer]) -> None:
    if not any(answer.calls for answer in answers):
        raise Undecided("the model made no call")


def _valid(scene: Scene) -> Plan:
    answers = yield from _samples(scene)
    finished = [answer for answer in answers if answer.stop_reason != "max_tokens"]
    for answer in finished:
        called(answer, TOOLS)
    _some_calls(finished)
    return f"{sum(len(answer.calls) for answer in finished)} calls"


def _whole_inputs(scene: Scene) -> Plan:
    answers = yield from _samples(scene)
    finished = [answer for answer in answers if answer.stop_reason != "max_tokens"]
    for answer in finished:
        for part in answer.calls:
            if part.input is None:
                raise Fault(
                    f"the deltas of a call of {part.name}: {short(part.raw) or 'none'}", "one JSON object"
                )
    _some_calls(finished)
    return ""


def _own_ids(scene: Scene) -> Plan:
    answers = yield from _samples(scene)
    ids = [part.id for answer in answers for part in answer.calls]
    for identity in ids:
        if not ID.fullmatch(identity):
            raise Fault(f"a call with the id {identity!r}", "an id of letters, digits, _ and -")
        if ids.count(identity) > 1:
            raise Fault(f"two calls with the id {identity!r}", "an id of its own for every call")
    _some_calls(answers)
    return ""


def _worded_calls(scene: Scene) -> Plan:
    """Calls in the text of an answer are looked for in every answer that has none of its own."""
    for number in range(TRIES):
        answer = heard((yield from put(_worded(scene, number))))
        if called(answer, TOOLS) or (answer.calls and answer.stop_reason == "max_tokens"):
            return f"at try {number + 1}"
        if any(mark in answer.text for mark in LEAKS):
            raise Fault(f"a call as text: {short(answer.text)!r}", "a tool_use block")
    raise Undecided(f"the model made no call in {TRIES} tries")


def _no_arguments(scene: Scene) -> Plan:
    answer = heard((yield from put(forced(scene, "list_rooms"))))
    found = [part for part in answer.calls if part.name == "list_rooms"]
    if not found:
        raise Undecided("the model did not call it")
    if found[0].input != {}:
        raise Fault(f"an input of {short(found[0].raw) or 'nothing'}", "the deltas of an empty object")
    return ""


# ---- choices ----


def _any(scene: Scene) -> Plan:
    answer = heard((yield from put(forced(scene))))
    if not answer.calls:
        raise no_call(answer)
    return ""


def _named(scene: Scene) -> Plan:
    """Two tools in turn: one alone may be hit by chance."""
    for name in ("light_lamp", "ring_bell"):
        answer = heard((yield from put(forced(scene, name))))
        if not answer.calls:
            raise no_call(answer)
        if answer.calls[0].name != name:
            raise Fault(f"a call of {answer.calls[0].name}", f"a call of {name}, which tool_choice names")
    return ""


def _none(scene: Scene) -> Plan:
    choice = {"type": "none"}
    for words in WORDS[:2]:
        asked = ask(
            scene, words, tools=TOOLS, tool_choice=choice, max_tokens=ROOM, thinking={"type": "disabled"}
        )
        answer = heard((yield from put(asked)))
        if answer.calls:
            raise Fault(f"a call of {answer.calls[0].name}, with tool_choice none", "words")
    return ""


def _parallel(scene: Scene) -> Plan:
    answer = heard((yield from put(_twins(scene))))
    if len(answer.calls) < 2:  # noqa: PLR2004
        raise Undecided("the model did not make two calls at once")
    called(answer, TOOLS)
    return f"{len(answer.calls)} calls"


def _one_at_a_time(scene: Scene) -> Plan:
    before = heard((yield from put(_twins(scene))))
    answer = heard((yield from put(_twins(scene, disable_parallel_tool_use=True))))
    if len(answer.calls) > 1:
        raise Fault(f"{len(answer.calls)} calls, with disable_parallel_tool_use", "one call")
    if len(before.calls) < 2:  # noqa: PLR2004
        raise Undecided("the model does not make two calls even where it may")
    return ""


RUNS_NOTHING: Final = "the client refuses the call, and the model must try again"
CHECKS: Final = (
    Check(
        "calls.asked",
        ("CC-6.30", "CC-8.13"),
        "a call that the words ask for comes as a call, not as text",
        "the call is shown on the screen, and nothing runs",
        _worded_calls,
    ),
    Check(
        "calls.valid",
        ("CC-3.8", "CC-5.5", "CC-5.6", "CC-8.12"),
        "every call names an offered tool, and fits its schema",
        RUNS_NOTHING,
        _valid,
    ),
    Check(
        "calls.whole-input",
        ("CC-6.17", "CC-8.9"),
        "the deltas of a call are one JSON object",
        RUNS_NOTHING,
        _whole_inputs,
    ),
    Check(
        "calls.no-arguments",
        ("CC-6.17",),
        "a call without arguments has an empty object",
        RUNS_NOTHING,
        _no_arguments,
        "should",
    ),
    Check(
        "calls.ids",
        ("CC-6.16",),
        "every call has an id of its own",
        "two calls become one, or none",
        _own_ids,
    ),
    Check(
        "calls.parallel",
        ("CC-8.11",),
        "several calls are blocks of their own",
        "all of them are lost",
        _parallel,
    ),
    Check(
        "choice.any", (), "tool_choice any is obeyed", "agents that rely on it go in circles", _any, "should"
    ),
    Check(
        "choice.named",
        (),
        "tool_choice that names a tool is obeyed",
        "agents that rely on it get another tool's call",
        _named,
        "should",
    ),
    Check(
        "choice.none",
        (),
        "tool_choice none is obeyed",
        "a call comes where only words can be used",
        _none,
        "should",
    ),
    Check(
        "choice.one-at-a-time",
        (),
        "disable_parallel_tool_use is obeyed",
        "calls run that must not run together",
        _one_at_a_time,
        "should",
    ),
)
