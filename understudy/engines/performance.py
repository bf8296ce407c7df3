"""Performing: a script's answer -> the events of one answer, with silence and faults between them. Pure."""

import zlib
from typing import Literal

import msgspec

from understudy.engines.script import ENDING, Answer, Call, Fault, Pause, Say, Step, answered
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    InputDelta,
    MessageStart,
    MessageStop,
    StopReason,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.request import Request
from understudy.tokens import size_of

Beat = Event | Pause | Fault
"""What a performance is made of."""

BYTES_PER_TOKEN = 4
"""How a fake counts: so many bytes of text are a token."""


def tokens_of(request: Request) -> int:
    """How many tokens a fake says that a prompt has."""
    return -(-size_of(request) // BYTES_PER_TOKEN)


def perform(
    answer: Answer, request: Request, *, input_tokens: int, call_prefix: str = "toolu_", serial: int = 0
) -> list[Beat]:
    """The answer to this request: events that obey the grammar, silence and faults between them.

    The ids are the same for the same request, so that a performance can be kept, and differ between turns.

    Args:
        answer: what the script says.
        request: what was asked.
        input_tokens: the prompt's, where the script does not tell.
        call_prefix: how the ids of tool calls begin.
        serial: tells apart the answers to what was asked before, byte for byte; their ids differ then.
    """
    mark = f"{zlib.crc32(request.raw):08x}{answered(request)}" + (f"_{serial}" if serial else "")
    return _Performance(answer, request.model, mark, input_tokens, call_prefix).beats()


class _Performance:
    """Blocks are opened and closed as the steps need it."""

    def __init__(self, answer: Answer, model: str, mark: str, input_tokens: int, call_prefix: str) -> None:
        self._answer = answer
        self._out: list[Beat] = []
        self._mark, self._prefix = mark, call_prefix
        told = answer.usage
        prompt = input_tokens if told.input_tokens is None else told.input_tokens
        self._usage = Usage(prompt, told.cached_tokens)
        self._start: MessageStart | None = MessageStart(f"msg_{mark}", model, self._usage)
        self._open = ""
        self._calls = 0
        self._deltas = 0

    def beats(self) -> list[Beat]:
        for step in self._answer.steps:
            self._step(step)
            if isinstance(step, Fault) and step.kind in ENDING:
                return self._out
        self._begin()
        self._shut()
        self._out.append(self._stop())
        return self._out

    def _step(self, step: Step) -> None:
        match step:
            case Say(kind, pieces):
                self._say(kind, pieces)
            case Call(name, pieces):
                self._call(name, pieces)
            case _:
                self._out.append(step)

    def _say(self, kind: Literal["text", "thinking"], pieces: tuple[str, ...]) -> None:
        self._begin()
        if self._open != kind:
            self._shut()
            self._open = kind
            self._out.append(BlockStart(kind))
        delta = TextDelta if kind == "text" else ThinkingDelta
        self._out += [delta(piece) for piece in pieces]
        self._deltas += len(pieces)

    def _call(self, name: str, pieces: tuple[str, ...]) -> None:
        self._begin()
        self._shut()
        self._open = "tool_use"
        self._out.append(BlockStart("tool_use", f"{self._prefix}{self._mark}_{self._calls}", name))
        self._out += [InputDelta(piece) for piece in pieces]
        self._calls += 1
        self._deltas += len(pieces)

    def _begin(self) -> None:
        if self._start is not None:
            self._out.append(self._start)
            self._start = None

    def _shut(self) -> None:
        if self._open:
            self._out.append(BlockStop())
            self._open = ""

    def _stop(self) -> MessageStop:
        answer, told = self._answer, self._answer.usage.output_tokens
        output = self._deltas if told is None else told
        usage = msgspec.structs.replace(self._usage, output_tokens=output)
        reason: StopReason = answer.stop or ("tool_use" if self._calls else "end_turn")
        return MessageStop(reason, answer.stop_sequence, usage)
