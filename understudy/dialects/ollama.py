"""Ollama's /api/chat: newline-delimited JSON in both directions.

Source: ollama/ollama `api/types.go` and `docs/api.md`. What sets this wire apart:

- The arguments of a tool call are a JSON object, not JSON text, and a call comes whole, in one line.
- There is no `tool_choice`. "none" can only be obeyed by not offering tools, a named tool by offering it alone; "any" is a
  wish that cannot be passed on. Both change the prompt's head, and so cost the cached prefix; there is no other way.
- A prompt too long for the window is cut in silence unless `truncate` is false; then llama-server refuses it and names both
  numbers. Without `shift: false` the oldest tokens are thrown out while the model writes.
- `prompt_eval_count` counts the whole prompt, the cached part included. Older versions leave it out when all was cached.
- Our side reads no clock: `created_at` is EPOCH unless an Encoder is told otherwise, and durations are 0.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from understudy.dialects import PLAIN, NewId, Quirks
from understudy.dialects import refusal as refusals
from understudy.dialects.ollama_parse import parse
from understudy.dialects.ollama_render import render
from understudy.dialects.ollama_wire import (
    BROKEN,
    CallFunction,
    ChatCall,
    ChatMessage,
    object_of,
    text_from,
)
from understudy.dialects.sse import LineReader
from understudy.dialects.words import clean
from understudy.language.errors import (
    EngineBlind,
    EngineError,
    EngineLost,
    EngineRefused,
    NoTarget,
    UnderstudyError,
)
from understudy.language.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    Event,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    State,
    StopReason,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.message import Message
from understudy.language.request import Request, Text, Thinking, ToolUse

EPOCH = "1970-01-01T00:00:00Z"
"""The `created_at` of an answer whose time nobody told us."""

_encode = msgspec.json.Encoder().encode


# Wire structs of an answer.


class _ErrorObject(Struct):
    message: str = ""


class _Line(Struct, omit_defaults=True):
    model: str | None = None
    created_at: str | None = None
    message: ChatMessage | None = None
    response: str | None = None
    done: bool = False
    done_reason: str | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    error: str | _ErrorObject | None = None
    status: int | None = None


class _ErrorBody(Struct):
    error: str


_line = msgspec.json.Decoder(_Line).decode
_NO_MESSAGE = ChatMessage()


# Decoder: an engine's answer

_NONSENSE = (
    "the engine sent a line that is not Ollama's JSON: check that the engine's kind is right for its url"
)
_LOST = "Ollama's answer broke off before its last line: ask again, and look into Ollama's log if it happens again"
_LOADED = "Ollama loaded or unloaded the model instead of answering: it saw no message in the request"
_NO_ANSWER = frozenset({"load", "unload"})
_UNSAID = 500
"""The status of an error inside a stream, where the line does not tell one."""


class Decoder:
    """Reads an answer of /api/chat, streamed or whole (which is one line)."""

    def __init__(self, new_id: NewId) -> None:
        self._lines = LineReader()
        self._new_id = new_id
        self._state = State.IDLE
        self._finish: StopReason = "end_turn"

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._state is State.DONE:
            return []
        out: list[Event] = []
        try:
            for line in self._lines.feed(data):
                out += self._read(line)
        except BROKEN:
            out += self._fail(EngineError(_NONSENSE))
        except EngineError as error:
            out += self._fail(error)
        return out

    def text(self, data: bytes) -> str:
        """See `dialects.Decoder`. The time stands in every line, so that no two lines are framed alike."""
        del data
        return ""

    def close(self) -> list[Event]:
        """The bytes are over: a last line without its line end still counts if it is whole."""
        out: list[Event] = []
        for line in self._lines.close():
            try:
                out += self._read(line)
            except BROKEN:
                break  # the line is cut, and so is the answer
        return out + self._fail(EngineLost(_LOST))

    def _read(self, data: bytes) -> list[Event]:
        line = _line(data)
        message = line.message or (ChatMessage(content=line.response) if line.response else _NO_MESSAGE)
        if self._state is State.TEXT and _only_text(line, message):
            return [TextDelta(message.content or "")]
        if self._state is State.DONE:
            return []
        if line.error is not None:
            return self._fail(refusal(line.status or _UNSAID, data))
        if line.done_reason in _NO_ANSWER and self._state is State.IDLE:
            return self._fail(EngineError(_LOADED))
        return [*self._begin(line), *self._pieces(message), *self._end(line)]

    def _begin(self, line: _Line) -> list[Event]:
        if self._state is not State.IDLE:
            return []
        self._state = State.OPEN
        return [MessageStart(self._new_id("msg_"), line.model or "")]

    def _pieces(self, message: ChatMessage) -> list[Event]:
        out: list[Event] = []
        if message.thinking:
            out += [*self._open("thinking", State.THINKING), ThinkingDelta(message.thinking)]
        if message.content:
            out += [*self._open("text", State.TEXT), TextDelta(message.content)]
        for call in message.tool_calls or ():
            self._finish = "tool_use"
            start = BlockStart("tool_use", call.id or self._new_id("call_"), call.function.name)
            out += [*self._shut(), start, InputDelta(text_from(call.function.arguments)), BlockStop()]
        return out

    def _open(self, kind: BlockKind, state: State) -> list[Event]:
        if self._state is state:
            return []
        shut = self._shut()
        self._state = state
        return [*shut, BlockStart(kind)]

    def _shut(self) -> list[Event]:
        if self._state is State.OPEN:
            return []
        self._state = State.OPEN
        return [BlockStop()]

    def _end(self, line: _Line) -> list[Event]:
        if not line.done:
            return []
        shut, self._state = self._shut(), State.DONE
        reason: StopReason = "max_tokens" if line.done_reason == "length" else self._finish
        return [*shut, MessageStop(reason, usage=_usage(line))]

    def _fail(self, error: UnderstudyError) -> list[Event]:
        if self._state is State.DONE:
            return []
        self._state = State.DONE
        return [Failed(error)]


def _only_text(line: _Line, message: ChatMessage) -> bool:
    """Nearly every line of nearly every answer."""
    return bool(message.content) and not (line.done or line.error or message.thinking or message.tool_calls)


def _usage(line: _Line) -> Usage:
    return Usage(line.prompt_eval_count or 0, line.prompt_eval_cached_count, line.eval_count or 0)


# Encoder: our answer, streamed


class Encoder:
    """Writes an answer as Ollama's ndjson. A tool call is held until it is whole: its arguments are one object.

    Attributes:
        ping: an empty piece of text. ndjson knows no comments, and clients parse every line, blank ones too.
    """

    def __init__(self, model: str, created_at: str = EPOCH) -> None:
        self._model, self._created_at = model, created_at
        self._head = b'{"model":%s,"created_at":%s,"message":' % (_encode(model), _encode(created_at))
        self._call = BlockStart("text")
        self._pieces: list[str] = []
        self._calls = 0
        self.ping = self._part(ChatMessage("assistant", ""))

    def encode(self, events: Iterable[Event]) -> bytes:
        """The lines of these events."""
        return _one_line_each(b"".join([self._one(event) for event in events]))

    def more(self, text: str) -> bytes:
        """More text."""
        return _one_line_each(self._part(ChatMessage("assistant", clean(text))))

    def _one(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self.more(text)
            case ThinkingDelta(text):
                return self._part(ChatMessage("assistant", "", thinking=clean(text)))
            case BlockStart():
                self._call, self._pieces = event, []
            case InputDelta(json):
                self._pieces.append(json)
            case BlockStop() if self._call.kind == "tool_use":
                return self._tool_call()
            case MessageStop():
                return self._last(event)
            case Failed(error):
                return error_body(error) + b"\n"
        return b""

    def _part(self, message: ChatMessage) -> bytes:
        return b'%s%s,"done":false}\n' % (self._head, _encode(message))

    def _tool_call(self) -> bytes:
        call = _wire_call(self._calls, self._call.id, self._call.name, "".join(self._pieces))
        self._calls += 1
        return self._part(ChatMessage("assistant", "", tool_calls=[call]))

    def _last(self, stop: MessageStop) -> bytes:
        last = _last_line(self._model, self._created_at, stop.stop_reason, stop.usage)
        last.message = ChatMessage("assistant", "")
        return _encode(last) + b"\n"


_ODD_LINE_ENDS = {b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029", b"\xc2\x85": b"\\u0085"}
"""Line ends to Python's splitlines, and so to the official client, though not to JSON. Go escapes the first two."""


def _one_line_each(data: bytes) -> bytes:
    if not data.isascii():
        for odd, escaped in _ODD_LINE_ENDS.items():
            data = data.replace(odd, escaped)
    return data


def _wire_call(index: int, key: str, name: str, json: str) -> ChatCall:
    return ChatCall(CallFunction(clean(name), object_of(json), index), clean(key))


def _last_line(model: str, created_at: str, reason: StopReason, usage: Usage) -> _Line:
    """A finished answer's last line, but for its message. Durations are there, for clients that want them, and 0."""
    return _Line(
        model=model,
        created_at=created_at,
        done=True,
        done_reason="length" if reason == "max_tokens" else "stop",
        total_duration=0,
        load_duration=0,
        prompt_eval_count=usage.input_tokens,
        prompt_eval_cached_count=usage.cached_tokens,
        prompt_eval_duration=0,
        eval_count=usage.output_tokens,
        eval_duration=0,
    )


# whole: our answer in one piece


def whole(message: Message, model: str, created_at: str = EPOCH) -> bytes:
    """A non-streaming answer: the one line of it."""
    calls = [block for block in message.blocks if isinstance(block, ToolUse)]
    last = _last_line(model, created_at, message.stop_reason, message.usage)
    last.message = ChatMessage(
        "assistant",
        clean("".join(block.text for block in message.blocks if isinstance(block, Text))),
        thinking=clean("".join(block.text for block in message.blocks if isinstance(block, Thinking)))
        or None,
        tool_calls=[_wire_call(n, call.id, call.name, call.input) for n, call in enumerate(calls)] or None,
    )
    return _encode(last)


# error: ours to a client; refusal: an engine's to us


def error_body(error: UnderstudyError) -> bytes:
    """An error as Ollama writes it, before an answer and in the middle of one."""
    return _encode(_ErrorBody(clean(error.message)))


_HINTS = {
    "does not support tools": "choose a model that `ollama show` gives the capability tools, or take its tools away",
    "does not support thinking": "choose a model that `ollama show` gives the capability thinking, or switch thinking off",
    "does not support": "`ollama show` lists what the model is capable of",
}
"""What to do about Ollama's refusals of a capability (`server/routes.go`), by their words."""


def refusal(status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
    """What an error answer of Ollama, or an error line inside an answer, means."""
    found, words = refusals.refusal(status, body, retry_after), refusals.said(body)
    if isinstance(found, NoTarget):
        return NoTarget(f"{found.message}: `ollama pull` it, or name one of `ollama list`")
    if isinstance(found, EngineRefused) and not isinstance(found, EngineBlind):
        hint = next((hint for phrase, hint in _HINTS.items() if phrase in words), "")
        return EngineRefused(f"{words}: {hint}") if hint else found
    return found


class Ollama:
    """The dialect of Ollama's /api/chat."""

    name = "ollama"
    stream_type = "application/x-ndjson"

    def parse(self, body: bytes) -> Request:
        """See `ollama_parse`."""
        return parse(body)

    def render(self, request: Request, quirks: Quirks = PLAIN) -> bytes:
        """See `ollama_render`."""
        return render(request, quirks)

    def decoder(self, new_id: NewId) -> Decoder:
        """A reader of one answer."""
        return Decoder(new_id)

    def encoder(self, request: Request, model: str) -> Encoder:  # noqa: ARG002 - every dialect is given it
        """A writer of one streamed answer."""
        return Encoder(model)

    def whole(self, message: Message, request: Request, model: str) -> bytes:  # noqa: ARG002 - every dialect is given it
        """A non-streaming answer."""
        return whole(message, model)

    def error(self, error: UnderstudyError, request_id: str) -> bytes:  # noqa: ARG002 - has no place on this wire
        """An error's body."""
        return error_body(error)

    def refusal(self, status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
        """What an engine's error answer means."""
        return refusal(status, body, retry_after)


DIALECT = Ollama()
