"""The lines of an answer in Ollama's dialects, written: what /api/chat and /api/generate have in common.

Our side reads no clock: `created_at` is when the question was asked, and durations are 0. A tool call is held until it is
whole: its arguments are one object.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from understudy.dialects.ollama_wire import (
    CallFunction,
    ChatCall,
    ChatMessage,
    Line,
    object_of,
)
from understudy.dialects.words import clean
from understudy.language.errors import UnderstudyError
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    Failed,
    InputDelta,
    Logprobs,
    MessageStart,
    MessageStop,
    StopReason,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.jsontext import BROKEN
from understudy.language.message import Message
from understudy.language.request import Request, Text, Thinking, ToolUse

_encode = msgspec.json.Encoder().encode

ZERO = re.compile(r"0+(\.0+)?(ns|us|µs|ms|s|m|h)?")
"""A `keep_alive` that lasts no time at all (Go's `time.ParseDuration`)."""


class _ErrorBody(Struct):
    error: str


class _Wishes(Struct):
    keep_alive: int | float | str | None = None


class Form(Protocol):
    """How one of the two puts a message into a line."""

    def piece(self, message: ChatMessage) -> bytes:
        """The member of a line that says it, as JSON."""
        ...

    def fill(self, line: Line, message: ChatMessage) -> None:
        """Put it into the last line."""
        ...

    def named(self, asked: str, answering: str) -> str:
        """The model's name to show."""
        ...


class LineEncoder:
    """Writes an answer as Ollama's ndjson. See `dialects.Encoder`.

    Args:
        form: how a line says something.
        request: the client's question.
        model: the name to show.
    """

    def __init__(self, form: Form, request: Request, model: str) -> None:
        self._form = form
        self._request = request
        self._model = model
        self._head = self._opening()
        self._call = BlockStart("text")
        self._pieces: list[str] = []
        self._calls = 0

    @property
    def ping(self) -> bytes:
        """An empty piece of text. ndjson knows no comments, and clients parse every line, blank ones too."""
        return self._part(ChatMessage("assistant", ""))

    def encode(self, events: Iterable[Event]) -> bytes:
        """The lines of these events."""
        out: list[bytes] = []
        said = ""
        for event in events:
            if said:  # text waits for the probabilities that belong to it: they have one line together
                odds = event.json if isinstance(event, Logprobs) else ""
                out.append(self._part(ChatMessage("assistant", clean(said)), odds))
                said = ""
            if isinstance(event, TextDelta):
                said = event.text
            else:
                out.append(self._one(event))
        return one_line_each(b"".join([*out, self.more(said)] if said else out))

    def more(self, text: str) -> bytes:
        """More text."""
        return one_line_each(self._part(ChatMessage("assistant", clean(text))))

    def _opening(self) -> bytes:
        return b'{"model":%s,"created_at":%s,' % (
            _encode(clean(self._model)),
            _encode(time_of(self._request.asked_at)),
        )

    def _one(self, event: Event) -> bytes:
        match event:
            case ThinkingDelta(text):
                return self._part(ChatMessage("assistant", "", thinking=clean(text)))
            case BlockStart():
                self._call, self._pieces = event, []
            case InputDelta(json):
                self._pieces.append(json)
            case BlockStop() if self._call.kind == "tool_use":
                return self._tool_call()
            case MessageStart(model=answering):
                self._model = self._form.named(self._model, answering)
                self._head = self._opening()
            case MessageStop():
                return self._last(event)
            case Failed(error):
                return error_body(error) + b"\n"
        return b""

    def _part(self, message: ChatMessage, logprobs: str = "") -> bytes:
        odds = b',"logprobs":' + logprobs.encode() if logprobs else b""
        return b'%s%s%s,"done":false}\n' % (self._head, self._form.piece(message), odds)

    def _tool_call(self) -> bytes:
        call = wire_call(self._calls, self._call.id, self._call.name, "".join(self._pieces))
        self._calls += 1
        return self._part(ChatMessage("assistant", "", tool_calls=[call]))

    def _last(self, stop: MessageStop) -> bytes:
        last = last_line(self._request, self._model, stop.stop_reason, stop.usage)
        self._form.fill(last, ChatMessage("assistant", ""))
        return _encode(last) + b"\n"


def whole(form: Form, message: Message, request: Request, model: str) -> bytes:
    """A non-streaming answer: the one line of it."""
    calls = [block for block in message.blocks if isinstance(block, ToolUse)]
    last = last_line(request, form.named(model, message.model), message.stop_reason, message.usage)
    said = ChatMessage(
        "assistant",
        clean("".join(block.text for block in message.blocks if isinstance(block, Text))),
        thinking=clean("".join(block.text for block in message.blocks if isinstance(block, Thinking)))
        or None,
        tool_calls=[wire_call(n, call.id, call.name, call.input) for n, call in enumerate(calls)] or None,
    )
    form.fill(last, said)
    if message.logprobs:
        tokens = [token for piece in message.logprobs for token in msgspec.json.decode(piece, type=list[Raw])]
        last.logprobs = Raw(_encode(tokens))
    return _encode(last)


def last_line(request: Request, model: str, reason: StopReason, usage: Usage) -> Line:
    """A finished answer's last line, but for what it says. Durations are there, for clients that want them, and 0."""
    line = Line(model=clean(model), created_at=time_of(request.asked_at), done=True)
    if request.asks_nothing:
        line.done_reason = "unload" if _unloads(request) else "load"
        return line
    line.done_reason = "length" if reason == "max_tokens" else "stop"
    line.total_duration = line.load_duration = line.prompt_eval_duration = line.eval_duration = 0
    line.prompt_eval_count, line.prompt_eval_cached_count = usage.input_tokens, usage.cached_tokens
    line.eval_count = usage.output_tokens
    return line


def _unloads(request: Request) -> bool:
    try:
        wish = msgspec.json.decode(request.raw, type=_Wishes).keep_alive
    except BROKEN:  # not in our words
        return False
    return ZERO.fullmatch(wish) is not None if isinstance(wish, str) else wish == 0 and wish is not None


def time_of(seconds: float) -> str:
    """RFC 3339, as Go writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_ODD_LINE_ENDS = {b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029", b"\xc2\x85": b"\\u0085"}
"""Line ends to Python's splitlines, and so to the official client, though not to JSON. Go escapes the first two."""


def one_line_each(data: bytes) -> bytes:
    """The lines with nothing in them that somebody takes for a line's end."""
    if not data.isascii():
        for odd, escaped in _ODD_LINE_ENDS.items():
            data = data.replace(odd, escaped)
    return data


def wire_call(index: int, key: str, name: str, json: str) -> ChatCall:
    """A call, whole."""
    return ChatCall(CallFunction(clean(name), object_of(json), index), clean(key))


def error_body(error: UnderstudyError) -> bytes:
    """An error as Ollama writes it, before an answer and in the middle of one."""
    return _encode(_ErrorBody(clean(error.message)))
