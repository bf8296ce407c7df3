"""Checks of reasoning, of what Claude Code sends back of earlier answers, and of answers that a schema describes."""

from collections.abc import Callable
from typing import Final

from understudy.conform.answer import decoded, heard
from understudy.conform.asks import ROOM, TOOLS, ask, assistant, call, result, thinking, user
from understudy.conform.checks.body import BREAKS, LADDER, YES, wanting
from understudy.conform.exchange import Ask, Check, Fault, Json, Plan, Scene, Undecided, put
from understudy.conform.judging import answered, short, unfit


def _unparsed(scene: Scene) -> Ask:
    odd: Json = {"__unparsedToolInput": {"raw": '{"colour": "re', "len": 14}}
    turn = assistant({**call("toolu_u1", "ring_bell"), "input": odd})
    return ask(
        scene, user(YES), turn, user(result("toolu_u1", "InputValidationError", is_error=True)), tools=TOOLS
    )


def _stringly(scene: Scene) -> Ask:
    turn = assistant({**call("toolu_u2", "ring_bell"), "input": '{"colour": "red"}'})
    return ask(
        scene, user(YES), turn, user(result("toolu_u2", "InputValidationError", is_error=True)), tools=TOOLS
    )


def _thought(**more: object) -> Callable[[Scene], Ask]:
    def make(scene: Scene) -> Ask:
        block: Json = {"type": "thinking", "thinking": "The bell is red.", **more}
        turns = (user(YES), assistant(block, call("toolu_t1", "ring_bell", colour="red", times=1)))
        wish = {"type": "adaptive", "display": "omitted"}
        return ask(scene, *turns, user(result("toolu_t1", "it rang")), tools=TOOLS, thinking=wish)

    return make


def _not_asked(scene: Scene) -> Plan:
    asked = ask(scene, "Is 93 a prime number?", thinking={"type": "disabled"}, max_tokens=256)
    answer = heard((yield from put(asked)))
    if answer.thinks:
        raise Fault("a thinking block, though thinking is disabled", "an answer without reasoning")
    return ""


def _untagged(scene: Scene) -> Plan:
    answer = heard((yield from put(thinking(scene))))
    beginning = answer.text.lstrip()[:12].lower()
    if beginning.startswith(("<think", "<|channel|>", "[think]")):
        raise Fault(f"a text block that begins with {beginning!r}", "reasoning in a thinking block")
    return "" if answer.thinks else "the model did not think"


def _valid_json(scene: Scene) -> Plan:
    """The question for a session's title."""
    title = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    wish = {"effort": "high", "format": {"type": "json_schema", "schema": title}}
    asked = ask(scene, "<session>What does plot.py draw?</session>", output_config=wish, max_tokens=ROOM)
    answer = heard((yield from put(asked)))
    if answer.stop_reason == "max_tokens":
        raise Undecided(f"max_tokens ended the answer: {short(answer.text)!r}")
    found = decoded(answer.text.encode())
    if found is None or unfit(found, title):
        raise Fault(f"the text {short(answer.text)!r}", "JSON that fits the schema, and nothing around it")
    return ""


CHECKS: Final = (
    answered(
        "thinking.adaptive",
        ("CC-3.12", "CC-6.13"),
        "thinking may be adaptive, with a display",
        LADDER,
        wanting(thinking={"type": "adaptive", "display": "omitted"}),
        wanting(thinking={"type": "adaptive", "display": "updates"}),
    ),
    answered("thinking.budget", ("CC-3.13",), "thinking may have a budget", LADDER, thinking),
    Check(
        "thinking.disabled",
        ("CC-3.14",),
        "disabled thinking is off",
        "answers take many times as long",
        _not_asked,
        "should",
    ),
    Check(
        "thinking.tags",
        ("CC-8.18",),
        "reasoning comes in blocks of its own, not as text in marks",
        "reasoning is shown as the answer, and sent back as one",
        _untagged,
    ),
    answered(
        "thinking.replayed",
        ("CC-4.8",),
        "earlier thinking is taken back with an empty signature, and with none",
        BREAKS,
        _thought(signature=""),
        _thought(),
    ),
    answered(
        "replay.inputs",
        ("CC-4.9",),
        "inputs that are no objects are taken back",
        BREAKS,
        _unparsed,
        _stringly,
    ),
    Check(
        "format.schema",
        ("CC-1.3", "CC-3.16"),
        "an answer that was asked for with a schema is JSON that fits it",
        "sessions have no titles",
        _valid_json,
    ),
)
