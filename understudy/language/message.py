"""A whole answer, and the two ways between it and its events."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from msgspec import Struct

from understudy.language.errors import EngineLost, UnderstudyError
from understudy.language.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    CitationDelta,
    Event,
    Failed,
    InputDelta,
    Logprobs,
    MessageStart,
    MessageStop,
    Served,
    SignatureDelta,
    StopReason,
    TextDelta,
    ThinkingDelta,
    Usage,
    Verbatim,
)
from understudy.language.request import Text, Thinking, ToolUse
from understudy.language.web import Citation, OtherCitation, ServerToolUse, WebResult


class Cited(Text, frozen=True, gc=False, tag="cited"):
    """Text, and what it relies on: whoever has no place for that sees a text like any other."""

    citations: tuple[Citation | OtherCitation, ...] = ()


Part = Text | Cited | Thinking | ToolUse | ServerToolUse | WebResult


class Message(Struct, frozen=True):
    """A finished answer.

    `logprobs` are those of its text, in pieces (see `events.Logprobs`); `raw` the engine's own bytes, for a client that
    speaks its dialect, where they pass untouched.
    """

    id: str
    model: str
    blocks: tuple[Part, ...]
    stop_reason: StopReason
    stop_sequence: str | None = None
    usage: Usage = Usage()
    logprobs: tuple[str, ...] = ()
    raw: bytes = b""


class Collector:
    """Builds a message from its events.

    Attributes:
        message: the answer, once it is complete.
        error: why it never will be.
        blocks: those that are.
    """

    def __init__(self) -> None:
        self.message: Message | None = None
        self.error: UnderstudyError | None = None
        self.blocks: list[Part] = []
        self._start = MessageStart(id="")
        self._open: BlockStart | None = None
        self._pieces: list[str] = []
        self._signature = ""
        self._citations: list[Citation | OtherCitation] = []
        self._logprobs: list[str] = []
        self._raw: list[bytes] = []

    def feed(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case TextDelta(text) | ThinkingDelta(text):
                self._pieces.append(text)
            case InputDelta(json):
                self._pieces.append(json)
            case Logprobs(json):
                self._logprobs.append(json)
            case SignatureDelta(signature):
                self._signature += signature
            case CitationDelta(citation):
                self._citations.append(citation)
            case Served(block):
                self.blocks.append(block)
            case BlockStart():
                self._open, self._pieces, self._signature, self._citations = event, [], "", []
            case BlockStop():
                self._close_block()
            case MessageStart():
                self._start = event
            case MessageStop():
                self.message = self._finished(event)
            case Failed(error):
                self.error = error
            case Verbatim(data):
                self._raw.append(data)
            case _:
                pass  # Progress carries no part of the answer

    def tell(self, events: Iterable[Event]) -> None:
        """See `events.Listener`: a client that reads the whole answer only."""
        for event in events:
            self.feed(event)

    def more(self, text: str) -> None:
        """See `events.Listener`."""
        self._pieces.append(text)

    def finished(self) -> Message:
        """The answer.

        Raises:
            UnderstudyError: it failed, or (EngineLost) it is cut.
        """
        if self.error is not None:
            raise self.error
        if self.message is None:
            raise EngineLost("the engine's answer ended before it was complete")
        return self.message

    def _close_block(self) -> None:
        start, text = self._open, "".join(self._pieces)
        if start is None:
            return
        if start.kind == "text":
            self.blocks.append(Cited(text, tuple(self._citations)) if self._citations else Text(text))
        elif start.kind == "thinking":
            self.blocks.append(Thinking(text, self._signature))
        else:
            self.blocks.append(ToolUse(start.id, start.name, text))
        self._open = None

    def _finished(self, stop: MessageStop) -> Message:
        start = self._start
        return Message(
            start.id,
            start.model,
            tuple(self.blocks),
            stop.stop_reason,
            stop.stop_sequence,
            stop.usage,
            tuple(self._logprobs),
            b"".join(self._raw),
        )


def collect(events: Iterable[Event]) -> Message:
    """The message these events make.

    Raises:
        UnderstudyError: the answer failed, or (EngineLost) it is cut.
    """
    collector = Collector()
    for event in events:
        collector.feed(event)
    return collector.finished()


def joined(events: list[Event]) -> list[Event]:
    """The same events, neighbouring deltas of one kind as one: every later step costs by the event.

    What arrived in one piece may leave in one piece; nothing waits for more.
    """
    if len(events) == 1:
        return events
    out: list[Event] = []
    for kind, group in groupby(events, type):
        if kind is TextDelta or kind is ThinkingDelta:
            out.append(kind("".join([event.text for event in group if isinstance(event, kind)])))
        else:
            out += group
    return out


def replay(message: Message) -> Iterator[Event]:
    """The events that make this message: collect(replay(m)) == m."""
    if message.raw:
        yield Verbatim(message.raw)
    yield MessageStart(message.id, message.model, message.usage)
    logprobs = list(message.logprobs)
    for block in message.blocks:
        for event in _replay_block(block):
            yield event
            if isinstance(event, TextDelta):
                yield from map(Logprobs, logprobs)
                logprobs.clear()
    yield MessageStop(message.stop_reason, message.stop_sequence, message.usage)


def _replay_block(block: Part) -> Iterator[Event]:
    match block:
        case ServerToolUse() | WebResult():
            yield Served(block)
            return
        case Text(text):
            yield BlockStart("text")
            yield TextDelta(text)
            if isinstance(block, Cited):
                yield from map(CitationDelta, block.citations)
        case Thinking(text, signature):
            yield BlockStart("thinking")
            yield ThinkingDelta(text)
            if signature:
                yield SignatureDelta(signature)
        case ToolUse(id=call, name=name, input=json):
            yield BlockStart("tool_use", call, name)
            yield InputDelta(json)
    yield BlockStop()


__all__ = ["BlockKind", "Cited", "Collector", "Message", "Part", "collect", "joined", "replay"]
