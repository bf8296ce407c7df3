r"""Scripts: answers written by hand, for the scripted engine and the fake servers. Pure: text in, answers out.

A script is JSON lines; blank lines and lines that begin with # are skipped. One key of a line says what it does:

    {"cycle": true}                        before the first answer: answers without `when` take turns
    {"needs": ["cwd"]}                     before the first answer: variables that must be given; {cwd} stands for one
    {"answer": "greeting", "when": {...}}  opens an answer; lines before any answer are one answer of their own
    {"text": "Hello"}                      says something, as one delta; also {"thinking": "..."}
    {"repeat": 100, "text": "word "}       100 deltas
    {"call": {"name": "Write", "input": {"file_path": "a"}}}    or "raw": "{\"file" for broken JSON
    {"chunk": 7}                           characters per delta from here on; 0 for whole texts
    {"delay": 0.5}                         seconds
    {"progress": {"processed": 512, "total": 2048, "cached": 0}}
    {"usage": {"input_tokens": 9, "cached_tokens": 4, "output_tokens": 3}}    each of them optional
    {"stop": "max_tokens"}                 also {"stop": "stop_sequence", "sequence": "###"}
    {"fault": "reset"}                     the connection breaks here
    {"fault": "cut"}                       the bytes end here, properly, but the answer is not finished
    {"fault": "hang"}                      nothing more comes
    {"fault": "garbage"}                   a record that cannot be read; the answer goes on
    {"fault": "error", "status": 503, "message": "..."}    an HTTP error before the first event, else one in the stream
    {"fault": "split_utf8"}                the next character that is not ASCII comes in two pieces

`when` matches a request if all that it names is so: {"turn": 3}, the number of assistant turns in it; {"contains": "..."},
in the user's text since the last assistant turn; {"tool_result": "..."}, in a tool's result since then; {"model": "..."};
{"offers": "Write"}, a tool it offers. The first answer that matches is given, else the last one without `when`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from understudy.language.errors import UnderstudyError
from understudy.language.events import Progress, StopReason
from understudy.language.request import Request, Text, ToolResult, Turn, text_of

FaultKind = Literal["reset", "cut", "hang", "garbage", "error", "split_utf8"]
ENDING: frozenset[FaultKind] = frozenset({"reset", "cut", "hang", "error"})
"""Faults after which there is nothing more."""

_Natural = Annotated[int, Meta(ge=0)]
_Seconds = Annotated[float, Meta(ge=0)]


class ScriptError(UnderstudyError):
    """A script that cannot be played; the message has the file and the line."""


# Steps of an answer


class Say(Struct, frozen=True):
    """Text, one delta for each piece."""

    kind: Literal["text", "thinking"]
    pieces: tuple[str, ...]


class Call(Struct, frozen=True):
    """A tool call; its input is JSON text, broken where the script wants it so."""

    name: str
    pieces: tuple[str, ...]


class Pause(Struct, frozen=True):
    """Silence, in seconds."""

    seconds: float


class Fault(Struct, frozen=True):
    """Something goes wrong here; `status` and `message` belong to "error"."""

    kind: FaultKind
    status: int = 500
    message: str = "the script says so"


Step = Say | Call | Pause | Progress | Fault


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens that the script tells; None leaves them to be counted."""

    input_tokens: _Natural | None = None
    cached_tokens: _Natural | None = None
    output_tokens: _Natural | None = None


class When(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests an answer is for: those for which all that is set is so."""

    turn: _Natural | None = None
    contains: str = ""
    tool_result: str = ""
    model: str = ""
    offers: str = ""

    def matches(self, request: Request) -> bool:
        """Whether the request is one of these."""
        news = _news(request)
        return (
            (self.turn is None or self.turn == answered(request))
            and (not self.contains or any(self.contains in text_of(turn.blocks) for turn in news))
            and (not self.tool_result or any(self.tool_result in text for text in _results(news)))
            and (not self.model or self.model == request.model)
            and (not self.offers or any(tool.name == self.offers for tool in request.tools))
        )


class Answer(Struct, frozen=True):
    """One answer: what is said, in order, and how it ends."""

    name: str
    steps: tuple[Step, ...] = ()
    when: When | None = None
    stop: StopReason | None = None
    stop_sequence: str | None = None
    usage: Told = Told()


class Script(Struct, frozen=True):
    """Answers. `cycle`: those without `when` take turns, else the last of them is given."""

    answers: tuple[Answer, ...]
    cycle: bool = False
    source: str = "<script>"

    @property
    def plain(self) -> tuple[Answer, ...]:
        """The answers for requests that nothing was written for."""
        return tuple(answer for answer in self.answers if answer.when is None)

    def choose(self, request: Request, served: int) -> Answer:
        """The answer to this request; `served` counts the earlier ones that got an answer without `when`.

        Raises:
            ScriptError: there is none.
        """
        for answer in self.answers:
            if answer.when is not None and answer.when.matches(request):
                return answer
        plain = self.plain
        if not plain:
            raise ScriptError(
                f"{self.source}: no answer matches this request (turn {answered(request)}): "
                "add an answer without `when`"
            )
        return plain[served % len(plain)] if self.cycle else plain[-1]


def answered(request: Request) -> int:
    """How many assistant turns a request has."""
    return sum(turn.role == "assistant" for turn in request.turns)


def _news(request: Request) -> list[Turn]:
    """The user's turns since the last assistant turn; reminders may stand between or behind them."""
    news: list[Turn] = []
    for turn in reversed(request.turns):
        if turn.role == "assistant":
            break
        news.append(turn)
    return news


def _results(turns: list[Turn]) -> Iterator[str]:
    for turn in turns:
        for block in turn.blocks:
            if isinstance(block, ToolResult):
                yield "\n\n".join(part.text for part in block.content if isinstance(part, Text))


# Reading: text -> script


class _Call(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1)]
    input: Raw = Raw(b"{}")
    raw: str | None = None


class _Progress(Struct, forbid_unknown_fields=True):
    processed: _Natural
    total: _Natural
    cached: _Natural = 0


class _Line(Struct, forbid_unknown_fields=True):
    answer: str | None = None
    when: When | None = None
    text: str | None = None
    thinking: str | None = None
    repeat: Annotated[int, Meta(ge=1)] | None = None
    call: _Call | None = None
    delay: _Seconds | None = None
    progress: _Progress | None = None
    chunk: _Natural | None = None
    stop: StopReason | None = None
    sequence: str | None = None
    usage: Told | None = None
    fault: FaultKind | None = None
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    message: str | None = None
    cycle: bool | None = None
    needs: tuple[str, ...] | None = None


_HEADERS = ("cycle", "needs")
_VERBS = (
    *("answer", "text", "thinking", "call", "delay", "progress", "chunk", "stop", "usage", "fault"),
    *_HEADERS,
)
_COMPANIONS = {
    "when": ("answer",),
    "repeat": ("text", "thinking"),
    "sequence": ("stop",),
    "status": ("fault",),
    "message": ("fault",),
}
"""Keys that stand beside a verb only."""

_line = msgspec.json.Decoder(_Line).decode
_VARIABLE = re.compile(r"\{(\w+)\}")


def parse(text: str, variables: Mapping[str, str] | None = None, source: str = "<script>") -> Script:
    """The script of this text.

    Args:
        text: JSON lines, see above.
        variables: what stands for {name}; other braces are left alone.
        source: the file's name, for errors.

    Raises:
        ScriptError: it cannot be played; the message has the line.
    """
    reader = _Reader(variables or {})
    number = 0
    try:
        for number, line in enumerate(text.split("\n"), 1):  # noqa: B007 - the error names it
            if line.strip() and not line.lstrip().startswith("#"):
                reader.read(line)
        number += 1
        return reader.script(source)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError, ValueError) as error:
        raise ScriptError(f"{source}:{number}: {error}") from error


class _Reader:
    """Takes lines; its errors are ValueErrors, for the line is parse()'s to name."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._answers: list[Answer] = []
        self._steps: list[Step] = []
        self._cycle = False
        self._chunk = 0

    def read(self, text: str) -> None:
        """One line.

        Raises:
            ValueError: it says nothing that can be played.
        """
        line = _line(_VARIABLE.sub(self._value, text).encode())
        verb = _verb(line)
        if verb in _HEADERS and self._answers:
            raise ValueError(f"{verb} must stand before the first answer")
        if verb == "needs":
            self._check(line.needs or ())
        elif verb == "cycle":
            self._cycle = bool(line.cycle)
        elif verb == "answer":
            self._answers.append(Answer(line.answer or "", when=line.when))
            self._chunk = 0
        elif verb == "chunk":
            self._chunk = line.chunk or 0
        else:
            self._add(line)

    def script(self, source: str) -> Script:
        """All that was read.

        Raises:
            ValueError: nothing was.
        """
        if not self._answers:
            raise ValueError('there is no answer: write {"text": "Hello"}')
        return Script(tuple(self._answers), self._cycle, source)

    def _value(self, found: re.Match[str]) -> str:
        """A variable inside a JSON string; braces that name no variable are the text's own."""
        value = self._variables.get(found[1])
        return found[0] if value is None else msgspec.json.encode(value).decode()[1:-1]

    def _check(self, names: tuple[str, ...]) -> None:
        missing = [name for name in names if name not in self._variables]
        if missing:
            raise ValueError(f"the script needs {missing[0]}: give it with --set {missing[0]}=VALUE")

    def _add(self, line: _Line) -> None:
        """To the answer that is open; a script may be one answer without a name."""
        if not self._answers:
            self._answers.append(Answer(""))
        answer = self._answers[-1]
        if answer.steps and isinstance(end := answer.steps[-1], Fault) and end.kind in ENDING:
            raise ValueError(f"nothing can follow a {end.kind}: open another answer")
        if line.stop is not None:
            answer = msgspec.structs.replace(answer, stop=line.stop, stop_sequence=line.sequence)
        elif line.usage is not None:
            answer = msgspec.structs.replace(answer, usage=line.usage)
        else:
            answer = msgspec.structs.replace(answer, steps=(*answer.steps, self._step(line)))
        self._answers[-1] = answer

    def _step(self, line: _Line) -> Step:
        if line.text is not None:
            return Say("text", self._pieces(line.text) * (line.repeat or 1))
        if line.thinking is not None:
            return Say("thinking", self._pieces(line.thinking) * (line.repeat or 1))
        if line.call is not None:
            json = line.call.raw if line.call.raw is not None else bytes(line.call.input).decode()
            return Call(line.call.name, self._pieces(json))
        if line.delay is not None:
            return Pause(line.delay)
        if line.progress is not None:
            return Progress(line.progress.processed, line.progress.total, line.progress.cached)
        return Fault(line.fault or "cut", line.status or 500, line.message or "the script says so")

    def _pieces(self, text: str) -> tuple[str, ...]:
        size = self._chunk or len(text)
        return tuple(text[start : start + size] for start in range(0, len(text), size or 1))


def _verb(line: _Line) -> str:
    """The one thing a line does.

    Raises:
        ValueError: none, or several.
    """
    verbs = [name for name in _VERBS if getattr(line, name) is not None]
    if len(verbs) != 1:
        found = " and ".join(verbs) or "nothing"
        raise ValueError(f"a line does one thing, this one does {found}: one of {', '.join(_VERBS)}")
    for name, beside in _COMPANIONS.items():
        if getattr(line, name) is not None and verbs[0] not in beside:
            raise ValueError(f"{name} belongs to {' or '.join(beside)}, not to {verbs[0]}")
    return verbs[0]
