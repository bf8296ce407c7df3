"""What several checks ask of a reply. Pure: each function gives what it found, or raises the verdict."""

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import jsonschema_rs

from understudy.conform.answer import OK, Answer, Part, decoded, error_of, heard, told
from understudy.conform.exchange import (
    Ask,
    Check,
    Fault,
    Json,
    Level,
    Plan,
    Reply,
    Scene,
    Talk,
    Undecided,
    put,
)
from understudy.conform.stream import Facet, Stream
from understudy.conform.values import Object, obj, text

SHOWN: Final = 160
STOPS: Final = frozenset({"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"})
"""https://docs.anthropic.com/en/api/messages; model_context_window_exceeded is left out: docs/claude-code.md, row 6.26."""
TOO_LONG: Final = re.compile(r"prompt is too long: (\d+) tokens > (\d+) maximum")

OVERFLOW: Final = re.compile(
    "prompt is too long|input is too long for requested model|maximum context length|exceeds the available context size",
    re.IGNORECASE,
)
"""The sentences by which Claude Code knows that it must compact (docs/claude-code.md, row 6.10)."""
BROKEN: Final[tuple[Facet, ...]] = ("order", "indices", "blocks")
"""Faults of a stream that cost Claude Code something whatever was asked."""


# ---- answers ----


def answered(
    name: str,
    needs: tuple[str, ...],
    says: str,
    costs: str,
    *asks: Callable[[Scene], Ask],
    level: Level = "must",
) -> Check:
    """A check that is passed when each of these questions gets an answer."""

    def plan(scene: Scene) -> Plan:
        for make in asks:
            heard((yield from put(make(scene))))
        return ""

    return Check(name, needs, says, costs, plan, level)


def streamed(reply: Reply) -> Stream:
    """The stream in a reply.

    Raises:
        Verdict: it is none.
    """
    answer = heard(reply)
    if answer.streamed is None:
        raise Undecided("the answer did not come as a stream")
    return answer.streamed


def sound(reply: Reply) -> Answer:
    """An answer; where it came as a stream, one without any fault that costs Claude Code something.

    Raises:
        Fault: it is none, or its stream is broken.
    """
    answer = heard(reply)
    faults = answer.streamed.faults if answer.streamed else {}
    for facet in BROKEN:
        if facet in faults:
            raise Fault(faults[facet], "a stream that obeys the grammar")
    return answer


# ---- other dialects ----


def posted(path: str, content: Json) -> Ask:
    """A question of a client that has nothing to say of itself; a field that is None is left out."""
    body = json.dumps({name: value for name, value in content.items() if value is not None}).encode()
    return Ask(body, (("content-type", "application/json"), ("accept", "application/json")), path)


def body_of(reply: Reply) -> Object:
    """The JSON object of an answer, in whatever dialect.

    Raises:
        Fault: it is none.
    """
    if reply.trouble or reply.status != OK:
        raise Fault(told(reply), "status 200 and an answer")
    found = decoded(reply.body)
    if not isinstance(found, dict):
        raise Fault(
            f"a body that is no JSON object: {short(reply.body.decode(errors='replace'))}", "an object"
        )
    return obj(found)


# ---- calls ----


def called(answer: Answer, tools: Iterable[Json]) -> tuple[Part, ...]:
    """The calls of an answer, all of them valid.

    Raises:
        Fault: one of them names no offered tool, or its input does not fit that tool's schema.
    """
    offered = {str(tool["name"]): tool["input_schema"] for tool in tools if "input_schema" in tool}
    for part in answer.calls:
        if part.name not in offered:
            raise Fault(f"a call of {part.name!r}, which was not offered", f"one of {', '.join(offered)}")
        if part.input is None:
            raise Fault(f"a call of {part.name} whose input is no object: {short(part.raw)}", "a JSON object")
        if wrong := unfit(part.input, offered[part.name]):
            raise Fault(
                f"{part.name} called with {short(part.raw)}: {wrong}", "an input that its schema admits"
            )
    return answer.calls


def unfit(value: object, schema: object) -> str:
    """Why a schema does not admit this value; "" if it does."""
    error = next(iter(_validator(json.dumps(schema)).iter_errors(value)), None)
    return "" if error is None else error.message[:SHOWN]


@lru_cache(maxsize=64)
def _validator(schema: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads(schema), offline=True, validate_formats=False)


def no_call(answer: Answer) -> Undecided | Fault:
    """What a missing call means where one was forced: a model that was still thinking has not disobeyed."""
    ended = f"stop_reason {answer.stop_reason}, text {short(answer.text)!r}"
    if answer.thinks and answer.stop_reason == "max_tokens":
        return Undecided(f"max_tokens ended the answer while the model was thinking ({ended})")
    return Fault(f"no call: {ended}", "a tool_use block")


# ---- tokens ----


def prompt_of(reply: Reply) -> int:
    """Tokens of a prompt, as its answer tells them.

    Raises:
        Verdict: there is no answer, or it does not tell.
    """
    tokens = heard(reply).usage.prompt
    if not tokens:
        raise Undecided("the server does not tell how many tokens a prompt has")
    return tokens


def growth(before: Ask, after: Ask) -> Talk[int]:
    """How many tokens `after` has more than `before`: what the model is not shown has no tokens."""
    old = prompt_of((yield from put(before)))
    return prompt_of((yield from put(after))) - old


# ---- refusals ----


def refused(reply: Reply, status: int, kind: str) -> str:
    """The message of an error of this status and type, in the API's shape.

    Raises:
        Fault: it is something else.
    """
    if reply.trouble or reply.status != status:
        raise Fault(told(reply), f"status {status}")
    found = decoded(reply.body)
    shape = text(found, "type"), text(found, "error", "type")
    message = text(found, "error", "message")
    if shape != ("error", kind) or not message:
        raise Fault(
            f"status {status} with the body {short(reply.body.decode(errors='replace'))}",
            f'{{"type": "error", "error": {{"type": "{kind}", "message": ...}}}}',
        )
    return message


def overflow(reply: Reply) -> bool:
    """Whether a reply says, so that Claude Code understands it, that the prompt does not fit."""
    return reply.status == 413 or (reply.status == 400 and bool(OVERFLOW.search(error_of(reply)[1])))  # noqa: PLR2004


def short(words: str) -> str:
    """The beginning of something long."""
    words = " ".join(words.split())
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."
