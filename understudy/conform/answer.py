"""An answer, whichever way it came: blocks, how it ended, what it cost. Pure.

answer = heard(reply)      # raises Fault where the reply is no answer
answer.calls, answer.text, answer.usage.prompt
"""

from typing import Final

import msgspec
from msgspec import Struct

from understudy.conform import stream
from understudy.conform.exchange import Fault, Reply
from understudy.conform.values import Object, at, number, obj, rows, text

OK: Final = 200
QUOTED: Final = 200
"""Characters of a server's words that are shown."""


class Usage(Struct, frozen=True):
    """Tokens; None for what was not told.

    Attributes:
        given: the names that were there at all, null or not.
    """

    fresh: int | None = None
    cached: int | None = None
    created: int | None = None
    output: int | None = None
    given: frozenset[str] = frozenset()

    @property
    def prompt(self) -> int:
        """The whole prompt: what was read, what came from the cache, what was put there."""
        return (self.fresh or 0) + (self.cached or 0) + (self.created or 0)


class Part(Struct, frozen=True):
    """A block of an answer.

    Attributes:
        text: of a text or thinking block.
        input: of a call; None where it is no JSON object.
        raw: how the input was written.
    """

    kind: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: Object | None = None
    raw: str = ""


class Answer(Struct, frozen=True):
    """A whole answer. `streamed` is the stream it was read from."""

    id: str
    model: str
    parts: tuple[Part, ...]
    stop_reason: str | None
    stop_sequence: str | None
    usage: Usage
    first_usage: Usage
    streamed: stream.Stream | None = None

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join(part.text for part in self.parts if part.kind == "text")

    @property
    def calls(self) -> tuple[Part, ...]:
        """Its tool calls."""
        return tuple(part for part in self.parts if part.kind == "tool_use")

    @property
    def thinks(self) -> bool:
        """Whether it has a thinking block."""
        return any(part.kind in ("thinking", "redacted_thinking") for part in self.parts)


def told(reply: Reply) -> str:
    """A reply in a few words: its trouble, or its status and what it says."""
    if reply.trouble:
        return reply.trouble
    return f"status {reply.status}: {error_of(reply)[1] or _beginning(reply.body)}".removesuffix(": ")


def error_of(reply: Reply) -> tuple[str, str]:
    """Type and message of an error, whichever shape it has; "" for what is not there."""
    body = decoded(reply.body)
    error = at(body, "error")
    if isinstance(error, str):
        return "", error[:QUOTED]
    message = text(error, "message") or text(body, "message") or text(body, "detail") or ""
    return text(error, "type") or "", message[:QUOTED]


def decoded(body: bytes) -> object:
    """Its JSON, None where it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def heard(reply: Reply) -> Answer:
    """The answer in a reply.

    Raises:
        Fault: it is none.
    """
    if reply.trouble or reply.status != OK:
        raise Fault(told(reply), "status 200 and an answer")
    body = decoded(reply.body)
    return _whole(obj(body)) if isinstance(body, dict) else _streamed(reply)


def _whole(body: Object) -> Answer:
    if text(body, "type") != "message" or not isinstance(at(body, "content"), list):
        raise Fault(f"a body that is no message: {_beginning(msgspec.json.encode(body))}", "a message")
    usage = _usage(at(body, "usage"))
    return Answer(
        text(body, "id") or "",
        text(body, "model") or "",
        tuple(_part(obj(block)) for block in rows(at(body, "content"))),
        text(body, "stop_reason"),
        text(body, "stop_sequence"),
        usage,
        usage,
    )


def _part(block: Object) -> Part:
    kind = text(block, "type") or ""
    found = at(block, "input")
    raw = msgspec.json.encode(found).decode() if found is not None else ""
    return Part(
        kind,
        text(block, "text") or text(block, "thinking") or "",
        text(block, "id") or "",
        text(block, "name") or "",
        obj(found) if isinstance(found, dict) else None,
        raw,
    )


def _streamed(reply: Reply) -> Answer:
    read = stream.read(reply.body)
    if read.error is not None:
        raise Fault(f"an error event in the stream: {text(read.error, 'message') or read.error}", "an answer")
    if not read.begun and not read.blocks:
        raise Fault(f"neither a message nor a stream of events: {_beginning(reply.body)}", "an answer")
    first = _usage(at(read.message, "usage"))
    usage, reason, sequence = first, None, None
    for ending in read.endings:
        usage = _newer(usage, _usage(at(ending, "usage")))
        reason = text(ending, "delta", "stop_reason") or reason
        sequence = text(ending, "delta", "stop_sequence") or sequence
    parts = tuple(_said(block) for block in read.blocks)
    identity, model = text(read.message, "id") or "", text(read.message, "model") or ""
    return Answer(identity, model, parts, reason, sequence, usage, first, read)


def _said(block: stream.Said) -> Part:
    pieces = "".join(block.pieces)
    if block.kind != "tool_use":
        return Part(block.kind, pieces)
    found = decoded(pieces.encode())
    call, name = text(block.start, "id") or "", text(block.start, "name") or ""
    return Part("tool_use", "", call, name, obj(found) if isinstance(found, dict) else None, pieces)


_NAMES: Final = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
)


def _usage(found: object) -> Usage:
    fresh, cached, created, output = (number(found, name) for name in _NAMES)
    return Usage(fresh, cached, created, output, frozenset(obj(found)))


def _newer(old: Usage, new: Usage) -> Usage:
    """What message_delta says overrides message_start: so does Claude Code read it."""

    def either(first: int | None, second: int | None) -> int | None:
        return first if second is None else second

    return Usage(
        either(old.fresh, new.fresh),
        either(old.cached, new.cached),
        either(old.created, new.created),
        either(old.output, new.output),
        old.given | new.given,
    )


def _beginning(body: bytes) -> str:
    return body[:QUOTED].decode(errors="replace").strip() or "nothing"
