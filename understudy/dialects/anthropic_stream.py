"""An answer in Anthropic's dialect, read: bytes of a stream -> events, whichever gateway wrote it.

Gateways leave out what they please and add what they like: every field is optional that an answer can do without. What
they must not do is lose text in silence, or pass a cut answer off as a finished one.
"""

import msgspec
from msgspec import Raw, Struct

from understudy.dialects import NewId, sse
from understudy.dialects.anthropic_web import citation, served
from understudy.dialects.anthropic_wire import ErrorDetail, WireServed, WireServerToolUse
from understudy.dialects.refusal import refusal
from understudy.language.errors import EngineError, EngineLost, UnderstudyError
from understudy.language.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    CitationDelta,
    Event,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Served,
    SignatureDelta,
    State,
    StopReason,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.jsontext import BROKEN


class ReadWritten(Struct):
    """How much of what was written into the cache is kept for how long."""

    ephemeral_1h_input_tokens: int | None = None


class ReadUsage(Struct):
    """Whatever of usage was sent."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation: ReadWritten | None = None


class ReadMessage(Struct):
    """`message` of message_start."""

    id: str | None = None
    model: str | None = None
    usage: ReadUsage | None = None


class ReadStart(Struct, tag="message_start"):
    """An answer begins."""

    message: ReadMessage | None = None


class StartText(Struct, tag="text"):
    """A text block begins."""

    text: str | None = None


class StartThinking(Struct, tag="thinking"):
    """A thinking block begins."""

    thinking: str | None = None
    signature: str | None = None


class StartToolUse(Struct, tag="tool_use"):
    """A call begins; some servers put its whole input here."""

    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"{}")


class ReadBlockStart(Struct, tag="content_block_start"):
    """A block begins."""

    content_block: StartText | StartThinking | StartToolUse | WireServed
    index: int = 0


class MoreText(Struct, tag="text_delta"):
    """More text."""

    text: str


class MoreThinking(Struct, tag="thinking_delta"):
    """More reasoning."""

    thinking: str


class MoreSignature(Struct, tag="signature_delta"):
    """The signature."""

    signature: str


class MoreInput(Struct, tag="input_json_delta"):
    """More of a call's input."""

    partial_json: str


class MoreCitations(Struct, tag="citations_delta"):
    """What the text relies on."""

    citation: Raw


class ReadDelta(Struct, tag="content_block_delta"):
    """A block goes on."""

    delta: MoreText | MoreThinking | MoreSignature | MoreInput | MoreCitations
    index: int = 0


class ReadBlockStop(Struct, tag="content_block_stop"):
    """A block ends."""

    index: int = 0


class ReadEnding(Struct):
    """`delta` of message_delta."""

    stop_reason: str | None = None
    stop_sequence: str | None = None


class ReadMessageDelta(Struct, tag="message_delta"):
    """How the answer ends, and its usage."""

    delta: ReadEnding | None = None
    usage: ReadUsage | None = None


class ReadMessageStop(Struct, tag="message_stop"):
    """The answer is complete."""


class ReadPing(Struct, tag="ping"):
    """Nothing."""


class ReadError(Struct, tag="error"):
    """The answer is cut."""

    error: ErrorDetail


Record = (
    ReadDelta
    | ReadBlockStart
    | ReadBlockStop
    | ReadStart
    | ReadMessageDelta
    | ReadMessageStop
    | ReadPing
    | ReadError
)
RECORDS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)
BLOCKS = frozenset({"text", "thinking", "tool_use"})
"""Those that must be read; what else cannot is left out."""
DELTAS = frozenset({"text_delta", "thinking_delta", "signature_delta", "input_json_delta"})


class OddPart(Struct):
    """Only what a part is."""

    type: str = ""


class Odd(Struct):
    """A record that is none of the above: what of it tells whether it matters."""

    type: str = ""
    index: int = -1
    content_block: OddPart | None = None
    delta: OddPart | None = None
    error: Raw = Raw(b"null")


_RECORD = msgspec.json.Decoder(Record)
_ODD = msgspec.json.Decoder(Odd)
_STATES: dict[BlockKind, State] = {"text": State.TEXT, "thinking": State.THINKING, "tool_use": State.TOOL_USE}
_IN_BLOCK = frozenset(_STATES.values())
_REASONS: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "pause_turn": "pause_turn",
    "refusal": "refusal",
}
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""What an error inside a stream would have been as a status; all others are 500."""
_NO_INPUT = frozenset({b"", b"null", b'""', b"{}"})


class Decoder:
    """Reads a stream, whichever gateway wrote it.

    A `message_delta` with a stop reason is the model's own word that it is done; some gateways leave `message_stop` out
    after it. Without either the answer is cut. Records that are no JSON, or of an unknown type, are skipped.
    """

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._reader = sse.SseReader()
        self._state = State.IDLE
        self._index = -1
        self._closed: set[int] = set()
        self._skipped: set[int] = set()  # blocks of unknown kinds
        self._served: WireServerToolUse | None = None
        self._input = ""  # of the open call, until a delta brings a better one
        self._called = False
        self._usage = ReadUsage()
        self._ending: ReadEnding | None = None
        self._out: list[Event] = []

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._state is State.DONE:
            return []
        try:
            for record in self._reader.feed(data):
                self._record(record)
        except EngineError as error:
            self._fail(error)
        return self._taken()

    def text(self, data: bytes) -> str:
        """See `dialects.Decoder`. An event is two lines here: it is read as a whole."""
        del data
        return ""

    def close(self) -> list[Event]:
        """What is still to be said: Failed, if the answer is not complete."""
        if self._state is State.DONE:
            return []
        if self._ending is not None:
            self._finish()
        elif self._state is State.IDLE:
            self._fail(
                EngineLost("the engine's answer has no events of the Messages API; is its kind set right?")
            )
        else:
            self._fail(EngineLost("the engine's answer ended before it was complete; try again"))
        return self._taken()

    def _taken(self) -> list[Event]:
        out, self._out = self._out, []
        return out

    def _record(self, data: bytes) -> None:
        if self._state is State.DONE:
            return
        try:
            record = _RECORD.decode(data)
        except BROKEN:
            self._odd(data)
            return
        match record:
            case ReadDelta():
                self._delta(record)
            case ReadBlockStart(block, index):
                self._open(block, index)
            case ReadBlockStop(index):
                if index == self._index:
                    self._close()
            case ReadStart(message):
                self._start(message)
            case ReadMessageDelta(delta, usage):
                self._count(usage)
                if delta and delta.stop_reason:
                    self._ending = delta
            case ReadMessageStop():
                self._finish()
            case ReadError():
                self._fail(refusal(_STATUS.get(record.error.type, 500), data))
            case _:
                pass  # a ping

    def _odd(self, data: bytes) -> None:
        """A record that is none of ours: skipped, unless it must mean something."""
        try:
            odd = _ODD.decode(data)
        except BROKEN:
            return  # `[DONE]`, or nonsense
        if bytes(odd.error) != b"null":
            self._fail(refusal(500, data))
        elif odd.type == "content_block_start" and odd.content_block and odd.content_block.type not in BLOCKS:
            self._close()
            self._skipped.add(odd.index)
        elif odd.type == "content_block_delta" and odd.delta and odd.delta.type not in DELTAS:
            pass  # a citation, or something newer: the text does not depend on it
        elif odd.type in RECORDS:
            self._fail(
                EngineError(f"the engine sent a {odd.type} that cannot be read; its version may not fit")
            )

    def _start(self, message: ReadMessage | None) -> None:
        found = message or ReadMessage()
        self._count(found.usage)
        if self._state is State.IDLE:
            self._state = State.OPEN
            self._out.append(MessageStart(found.id or self._new_id("msg_"), found.model or "", self._total()))

    def _open(self, block: StartText | StartThinking | StartToolUse | WireServed, index: int) -> None:
        """A block begins. What a server wrongly puts into its start is taken from there."""
        self._close()
        if self._state is State.IDLE:
            self._start(None)
        self._index = index
        match block:
            case StartText(text):
                self._begin(BlockStart("text"), TextDelta(text) if text else None)
            case StartThinking(thinking, signature):
                self._begin(BlockStart("thinking"), ThinkingDelta(thinking) if thinking else None)
                if signature:
                    self._out.append(SignatureDelta(signature))
            case StartToolUse(call, name, raw):
                self._called = True
                self._input = "{}" if bytes(raw) in _NO_INPUT else bytes(raw).decode()
                self._begin(BlockStart("tool_use", call or self._new_id("toolu_"), name or ""), None)
            case WireServerToolUse(input=raw):
                self._served, self._input = block, "" if bytes(raw) in _NO_INPUT else bytes(raw).decode()
            case _:
                self._serve(block)

    def _serve(self, block: WireServed) -> None:
        """What whoever answers did himself. What is none of the web stays his."""
        if (found := served(block)) is not None:
            self._out.append(Served(found))

    def _begin(self, start: BlockStart, first: Event | None) -> None:
        self._state = _STATES[start.kind]
        self._out.append(start)
        if first is not None:
            self._out.append(first)

    def _delta(self, record: ReadDelta) -> None:
        delta = record.delta
        if record.index != self._index:
            self._stray(record)
            return
        match delta:
            case MoreText(text):
                if text:
                    self._be("text")
                    self._out.append(TextDelta(text))
            case MoreThinking(text):
                if text:
                    self._be("thinking")
                    self._out.append(ThinkingDelta(text))
            case MoreSignature(signature):
                if signature and self._state is State.THINKING:
                    self._out.append(SignatureDelta(signature))
            case MoreInput(json):
                self._more_input(json)
            case MoreCitations(raw):
                if self._state is State.TEXT:
                    self._out.append(CitationDelta(citation(raw)))

    def _be(self, kind: BlockKind) -> None:
        """Some gateways write reasoning and text into one block: it is cut in two."""
        if self._state is not _STATES[kind]:
            index = self._index
            self._close()
            self._index = index
            self._begin(BlockStart(kind), None)

    def _more_input(self, json: str) -> None:
        if not json:
            return
        if self._served is not None:
            self._input += json
            return
        if self._state is not State.TOOL_USE:
            self._fail(
                EngineError("the engine sent a tool's input outside of a call; its version may not fit")
            )
            return
        self._input = ""
        self._out.append(InputDelta(json))

    def _stray(self, record: ReadDelta) -> None:
        """A delta for a block that is not open. A late signature or citation is worth nothing; more would be mixed up."""
        late = isinstance(record.delta, MoreSignature | MoreCitations) and record.index in self._closed
        if not (late or record.index in self._skipped):
            self._fail(
                EngineError("the engine's blocks overlap and cannot be told apart; its version may not fit")
            )

    def _close(self) -> None:
        if self._served is not None:
            called, self._served = self._served, None
            called.input = Raw((self._input or "{}").encode())
            self._serve(called)
            self._closed.add(self._index)
            self._index = -1
        if self._state not in _IN_BLOCK:
            return
        if self._state is State.TOOL_USE and self._input:
            self._out.append(InputDelta(self._input))
        self._out.append(BlockStop())
        self._closed.add(self._index)
        self._index, self._state = -1, State.OPEN

    def _finish(self) -> None:
        self._close()
        if self._state is State.IDLE:
            self._start(None)
        self._state = State.DONE
        self._out.append(stopped(self._ending or ReadEnding(), self._total(), called=self._called))

    def _fail(self, error: UnderstudyError) -> None:
        self._state = State.DONE
        self._out.append(Failed(error))

    def _count(self, usage: ReadUsage | None) -> None:
        """The newest number wins, but for a 0 that only means that nobody counted again."""
        if usage is None:
            return
        old = self._usage
        self._usage = ReadUsage(
            usage.input_tokens or old.input_tokens,
            usage.cache_creation_input_tokens or old.cache_creation_input_tokens,
            usage.cache_read_input_tokens
            if usage.cache_read_input_tokens is not None
            else old.cache_read_input_tokens,
            usage.output_tokens or old.output_tokens,
            usage.cache_creation or old.cache_creation,
        )

    def _total(self) -> Usage:
        return total(self._usage)


def stopped(ending: ReadEnding, usage: Usage, *, called: bool) -> MessageStop:
    """How an answer ends; `called` whether a tool was, which tells where nothing else does."""
    usual: StopReason = "tool_use" if called else "end_turn"
    reason = _REASONS.get(ending.stop_reason or "", usual)
    return MessageStop(reason, ending.stop_sequence if reason == "stop_sequence" else None, usage)


def total(usage: ReadUsage) -> Usage:
    """The prompt's tokens as one number, whatever they cost."""
    cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens or 0
    kept = usage.cache_creation or ReadWritten()
    return Usage(
        (usage.input_tokens or 0) + (cached or 0) + written,
        cached,
        usage.output_tokens or 0,
        written,
        min(kept.ephemeral_1h_input_tokens or 0, written),
    )
