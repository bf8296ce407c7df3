"""A streamed answer, judged by the grammar of the API's streams: bytes -> what was said, and the first fault of each kind.

Written apart from `understudy.dialects`, and without a word of it: a kit that judges our gateway must not share its
mistakes. It reads on after a fault, so that each is named once and hides no other. The grammar is that of
https://docs.anthropic.com/en/docs/build-with-claude/streaming, the framing that of
https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from understudy.conform.values import Object, at, number, obj, text

Facet = Literal[
    "records", "event-lines", "order", "indices", "blocks", "starts", "fields", "deltas", "signature", "empty"
]
DELTAS: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "input_json_delta": "tool_use",
    "citations_delta": "text",
}
"""Which kind of block a delta belongs to; kinds that are not here are new, and nobody's fault."""
FIELDS: Final = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "tool_use": ("id", "name", "input"),
}
SAID: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
SHOWN: Final = 120


@dataclass
class Said:
    """A block as the stream wrote it."""

    kind: str
    start: Object
    pieces: list[str] = field(default_factory=list)
    signatures: int = 0
    closed: bool = False


@dataclass
class Stream:
    """What was read.

    Attributes:
        blocks: in the order of their starts.
        message: of message_start.
        endings: every message_delta.
        error: of an `error` event, if one came.
        faults: the first fault of each kind, in words.
        begun: whether there was a message_start.
        stopped: whether there was a message_stop.
    """

    blocks: list[Said] = field(default_factory=list)
    message: Object = field(default_factory=dict)
    endings: list[Object] = field(default_factory=list)
    error: Object | None = None
    faults: dict[Facet, str] = field(default_factory=dict)
    begun: bool = False
    stopped: bool = False


def records(body: bytes) -> Iterator[tuple[str, str]]:
    """Event name and data of each record; one without its blank line is not complete, and is left out."""
    lines = body.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    name, data = "", []
    for line in lines[:-1]:
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []


def read(body: bytes) -> Stream:
    """The stream, from its first byte to its last."""
    reader = _Reader()
    for name, data in records(body):
        reader.record(name, data)
    if body and not body.replace(b"\r\n", b"\n").endswith(b"\n\n"):
        reader.fault("records", "the last event is cut: its blank line is missing")
    return reader.closed()


class _Reader:
    def __init__(self) -> None:
        self._out = Stream()
        self._by_index: dict[int, Said] = {}
        self._done = False

    def fault(self, facet: Facet, words: str) -> None:
        self._out.faults.setdefault(facet, words)

    def record(self, name: str, data: str) -> None:
        try:
            event = obj(msgspec.json.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.fault("records", f"a record is no JSON: {data[:SHOWN]}")
            return
        kind = text(event, "type") or ""
        if name != kind:
            told = f"event: {name}" if name else "no event: line"
            self.fault("event-lines", f"a record of type {kind!r} has {told}")
        if self._done and kind != "ping":
            self.fault("order", f"{kind} comes after message_stop")
        self._take(kind, event)

    def _take(self, kind: str, event: Object) -> None:
        match kind:
            case "message_start":
                self._start(event)
            case "content_block_start":
                self._open(event)
            case "content_block_delta":
                self._delta(event)
            case "content_block_stop":
                self._close(event)
            case "message_delta":
                self._inside(kind)
                self._all_closed(kind)
                self._out.endings.append(event)
            case "message_stop":
                self._stop()
            case "error":
                self._out.error = obj(at(event, "error"))
            case _:
                pass  # a ping, or an event of next year

    def _inside(self, kind: str) -> None:
        if not self._out.begun:
            self.fault("order", f"{kind} comes before message_start")
        elif self._out.endings and kind.startswith("content_block"):
            self.fault("order", f"{kind} comes after message_delta")

    def _start(self, event: Object) -> None:
        if self._out.begun:
            self.fault("order", "a second message_start")
            return
        self._out.begun = True
        self._out.message = obj(at(event, "message"))

    def _open(self, event: Object) -> None:
        self._inside("content_block_start")
        index, expected = number(event, "index"), len(self._out.blocks)
        if index != expected:
            self.fault("indices", f"block {expected} is numbered {at(event, 'index')}")
        if (open_now := self._open_index()) is not None:
            self.fault("blocks", f"block {index} starts before block {open_now} has its content_block_stop")
        start = obj(at(event, "content_block"))
        block = Said(text(start, "type") or "", start)
        self._out.blocks.append(block)
        self._by_index[expected if index is None else index] = block
        self._look_at_start(block)

    def _look_at_start(self, block: Said) -> None:
        for name in FIELDS.get(block.kind, ()):
            value = at(block.start, name)
            if value is None:
                self.fault("fields", f"content_block_start of a {block.kind} block has no {name!r}")
            elif name not in ("id", "name") and value not in ("", {}):
                self.fault(
                    "starts", f"content_block_start of a {block.kind} block has its {name} in it already"
                )

    def _open_index(self) -> int | None:
        return next((index for index, block in self._by_index.items() if not block.closed), None)

    def _delta(self, event: Object) -> None:
        self._inside("content_block_delta")
        index, delta = number(event, "index"), obj(at(event, "delta"))
        kind = text(delta, "type") or ""
        block = self._by_index.get(-1 if index is None else index)
        if block is None:
            self.fault("indices", f"a delta for block {at(event, 'index')}, which has not started")
            return
        if block.closed:
            self.fault("blocks", f"a delta for block {index} after its content_block_stop")
        if DELTAS.get(kind, block.kind) != block.kind:
            self.fault("deltas", f"a {kind} in a {block.kind} block")
        elif kind == "signature_delta":
            block.signatures += 1
        if kind in SAID:
            block.pieces.append(text(delta, SAID[kind]) or "")

    def _close(self, event: Object) -> None:
        self._inside("content_block_stop")
        index = number(event, "index")
        block = self._by_index.get(-1 if index is None else index)
        if block is None:
            self.fault(
                "indices", f"a content_block_stop for block {at(event, 'index')}, which has not started"
            )
            return
        if block.closed:
            self.fault("blocks", f"a second content_block_stop for block {index}")
        block.closed = True
        if block.kind == "thinking" and block.signatures != 1:
            self.fault("signature", f"a thinking block has {block.signatures} signature_deltas")
        if block.kind in ("text", "thinking") and not "".join(block.pieces) and not block.signatures:
            self.fault("empty", f"a {block.kind} block has nothing in it")

    def _all_closed(self, kind: str) -> None:
        if (index := self._open_index()) is not None:
            self.fault("blocks", f"{kind} comes before block {index} has its content_block_stop")

    def _stop(self) -> None:
        self._inside("message_stop")
        self._all_closed("message_stop")
        if self._out.begun and not self._out.endings:
            self.fault("order", "message_stop comes without a message_delta before it")
        self._done = self._out.stopped = True

    def closed(self) -> Stream:
        out = self._out
        if not out.begun and out.error is None:
            self.fault("order", "there is no message_start")
        elif out.error is None and not out.stopped:
            self.fault("order", "the stream ends without message_stop")
        if out.error is None and (index := self._open_index()) is not None:
            self.fault("blocks", f"block {index} has no content_block_stop")
        return out
