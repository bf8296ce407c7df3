"""An answer in Anthropic's dialect whose bytes pass untouched: every event comes behind the bytes that said it.

What our events have no place for (server tools, citations, blocks of next year) reaches the client all the same. Only whole
records are passed on, none before the answer has begun, and no error: how an answer fails is told by the client's encoder.
So a stream that is cut never looks finished; and one that lacks nothing but its last record gets it.
"""

import re

import msgspec
from msgspec import Raw, Struct

from understudy.dialects import NewId, sse
from understudy.dialects.anthropic_stream import Decoder, ReadEnding, ReadUsage, stopped, total
from understudy.language.errors import EngineError, EngineLost
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Verbatim,
)
from understudy.language.jsontext import BROKEN

LIMIT = 64 * 1024 * 1024
"""Bytes of an answer that is not streamed."""
BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n|\Z)){2}")
"""Two ends of a line. A CR at the end of the bytes waits: an LF may belong to it."""
STOP = sse.record(b"message_stop", b'{"type":"message_stop"}')


class StreamReader:
    """See `dialects.Decoder`; reads a stream."""

    def __init__(self, new_id: NewId) -> None:
        self._decoder = Decoder(new_id)
        self._records = Records()
        self._held: list[bytes] = []
        self._begun = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete, behind the bytes."""
        events: list[Event] = []
        try:
            records = self._records.feed(data)
        except EngineError as error:
            self._over = True
            return self._told([Failed(error)])
        for record in records:
            if self._over:
                break
            found = self._decoder.feed(record)
            events += found
            last = found[-1] if found else None
            self._over = isinstance(last, MessageStop | Failed)
            if not isinstance(last, Failed):
                self._held.append(record)
        return self._told(events)

    def text(self, data: bytes) -> str:
        """Nothing is said shortly here."""
        del data
        return ""

    def close(self) -> list[Event]:
        """The end: the record that says so, where only that is missing."""
        if self._over:
            return []
        events = self._decoder.close()
        if events and isinstance(events[-1], MessageStop):
            self._held.append(STOP)
        return self._told(events)

    def _told(self, events: list[Event]) -> list[Event]:
        """Bytes wait for the beginning of the answer: a ping alone must not keep another engine from being asked."""
        self._begun = self._begun or any(isinstance(event, MessageStart) for event in events)
        if not (self._begun and self._held):
            return events
        data, self._held = b"".join(self._held), []
        return [Verbatim(data), *events]


class Records:
    """Bytes -> the bytes of whole records, their blank line included."""

    def __init__(self) -> None:
        self._rest = b""
        self._seen = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The records that these bytes complete.

        Raises:
            EngineError: one is over the limit.
        """
        text = self._rest + data
        out, place, look = [], 0, max(self._seen - 3, 0)
        while found := BLANK_LINE.search(text, look):
            out.append(text[place : found.end()])
            place = look = found.end()
        self._rest, self._seen = text[place:], len(text) - place
        if self._seen > sse.RECORD_LIMIT:
            raise EngineError(f"the engine sent an event of over {sse.RECORD_LIMIT} bytes")
        return out


class _Block(Struct):
    """A content block; those of other types are passed over."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")


class _Answer(Struct, tag="message"):
    """A message, as far as it is metered and remembered."""

    content: list[_Block]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: ReadUsage | None = None


_read = msgspec.json.Decoder(_Answer).decode


class WholeReader:
    """See `dialects.Decoder`; reads an answer that comes in one piece of JSON."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """Nothing before the end; an answer that has none is refused."""
        self._size += len(data)
        if self._size > LIMIT:
            self._pieces = []
            return [Failed(EngineError(f"the engine's answer is over {LIMIT} bytes"))]
        self._pieces.append(data)
        return []

    def text(self, data: bytes) -> str:
        """Nothing is said shortly here."""
        del data
        return ""

    def close(self) -> list[Event]:
        """All of it."""
        data = b"".join(self._pieces)
        try:
            answer = _read(data)
        except msgspec.ValidationError as error:
            return [Failed(EngineError(f"the engine's answer is no message of the Messages API ({error})"))]
        except BROKEN:
            return [Failed(EngineLost("the engine's answer ended before it was complete; try again"))]
        return [Verbatim(data), *self._events(answer)]

    def _events(self, answer: _Answer) -> list[Event]:
        usage = total(answer.usage or ReadUsage())
        out: list[Event] = [MessageStart(answer.id or self._new_id("msg_"), answer.model, usage)]
        for block in answer.content:
            out += _told(block)
        called = any(block.type == "tool_use" for block in answer.content)
        return [*out, stopped(ReadEnding(answer.stop_reason, answer.stop_sequence), usage, called=called)]


def _told(block: _Block) -> list[Event]:
    match block.type:
        case "text":
            return [BlockStart("text"), TextDelta(block.text), BlockStop()]
        case "thinking":
            signed = [SignatureDelta(block.signature)] if block.signature else []
            return [BlockStart("thinking"), ThinkingDelta(block.thinking), *signed, BlockStop()]
        case "tool_use":
            start = BlockStart("tool_use", block.id, block.name)
            return [start, InputDelta(bytes(block.input).decode()), BlockStop()]
        case _:
            return []
