"""OpenAI's Chat Completions (https://platform.openai.com/docs/api-reference/chat), spoken by nearly every engine.

    openai_wire     the structs of both roles
    openai_parse    a client's body -> Request
    openai_render   Request -> an engine's body
    openai_decode   an engine's answer -> events
    here            events -> a client's stream, whole answers, errors, and DIALECT

Beyond OpenAI's own fields the Encoder writes what vLLM and llama.cpp write (`reasoning_content`, `stop_reason`,
`prompt_progress` where it was asked for); official clients pass over these.
"""

from collections.abc import Callable, Iterable

import msgspec

from understudy.dialects import PLAIN, NewId, Quirks
from understudy.dialects import Decoder as DecoderProtocol
from understudy.dialects import Encoder as EncoderProtocol
from understudy.dialects.openai_decode import Decoder
from understudy.dialects.openai_parse import parse
from understudy.dialects.openai_render import render
from understudy.dialects.openai_wire import BROKEN, Wishes
from understudy.dialects.refusal import refusal
from understudy.language.errors import NoTarget, PromptTooLong, Refused, Unauthorized, UnderstudyError
from understudy.language.events import (
    BlockStart,
    Event,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    StopReason,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.message import Message
from understudy.language.request import Request, Text, Thinking, ToolUse

FINISH: dict[StopReason, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""`finish_reason` of each reason to stop."""

CODES: tuple[tuple[type[UnderstudyError], str], ...] = (
    (PromptTooLong, "context_length_exceeded"),
    (Unauthorized, "invalid_api_key"),
    (Refused, "rate_limit_exceeded"),
    (NoTarget, "model_not_found"),
)
"""`code` of the errors that have one."""

CREATED = 0
"""`created`: required, read by nobody, and there is no clock here."""

_WISHES = msgspec.json.Decoder(Wishes)
_json: Callable[[object], bytes] = msgspec.json.Encoder().encode


class Encoder:
    """Writes a stream of `chat.completion.chunk` records. See `dialects.Encoder`.

    Args:
        request: the client's question: its raw body says whether usage and progress are wanted.
        model: the name to show.
    """

    ping = b": ping\n\n"

    def __init__(self, request: Request, model: str) -> None:
        self._wishes = _wishes(request)
        self._model = model
        self._head = self._opening("chatcmpl-0")
        self._calls = 0

    def encode(self, events: Iterable[Event]) -> bytes:
        """The records of these events; empty when they say nothing in this dialect."""
        return b"".join([self._one(event) for event in events])

    def more(self, text: str) -> bytes:
        """More text."""
        return self._delta(b'{"content":%b}' % _json(text))

    def _one(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self.more(text)
            case InputDelta(json):
                call = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
                return self._delta(call % (self._calls - 1, _json(json)))
            case ThinkingDelta(text):
                return self._delta(b'{"reasoning_content":%b}' % _json(text))
            case BlockStart("tool_use", key, name):
                self._calls += 1
                call = b'{"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]}'
                return self._delta(call % (self._calls - 1, _json(key), _json(name)))
            case MessageStart(key):
                self._head = self._opening(_completion_id(key))
                return self._delta(b'{"role":"assistant","content":""}')
            case MessageStop():
                return self._last(event)
            case Failed(error):
                return b"data: %b\n\n" % error_body(
                    error
                )  # and no [DONE]: a cut answer is never a finished one
            case Progress():
                return self._progress(event)
            case _:  # ends of blocks and signatures have no form here
                return b""

    def _opening(self, key: str) -> bytes:
        opening = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":['
        return opening % (_json(key), CREATED, _json(self._model))

    def _delta(self, delta: bytes) -> bytes:
        return b'%b{"index":0,"delta":%b,"finish_reason":null}]}\n\n' % (self._head, delta)

    def _last(self, stop: MessageStop) -> bytes:
        mark = b',"stop_reason":%b' % _json(stop.stop_sequence) if stop.stop_sequence is not None else b""
        finish = (self._head, _json(FINISH[stop.stop_reason]), mark)
        out = b'%b{"index":0,"delta":{},"finish_reason":%b%b}]}\n\n' % finish
        options = self._wishes.stream_options
        if options is not None and options.include_usage:
            out += b'%b],"usage":%b}\n\n' % (self._head, _json(_usage(stop.usage)))
        return out + b"data: [DONE]\n\n"

    def _progress(self, event: Progress) -> bytes:
        if not self._wishes.return_progress:
            return b""
        told = {"total": event.total, "cache": event.cached, "processed": event.processed, "time_ms": 0}
        return b'%b],"prompt_progress":%b}\n\n' % (self._head, _json(told))


def _wishes(request: Request) -> Wishes:
    """From the client's own bytes; a request that came in another dialect has none."""
    try:
        return _WISHES.decode(request.raw)
    except BROKEN:
        return Wishes()


def _completion_id(key: str) -> str:
    return "chatcmpl-" + key.removeprefix("msg_").removeprefix("chatcmpl-")


def _usage(usage: Usage) -> dict[str, object]:
    told: dict[str, object] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens is not None:
        told["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    return told


def whole(message: Message, model: str) -> bytes:
    """The body of a non-streaming answer."""
    texts = [block.text for block in message.blocks if isinstance(block, Text)]
    thoughts = [block.text for block in message.blocks if isinstance(block, Thinking)]
    calls = [
        {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": block.input}}
        for block in message.blocks
        if isinstance(block, ToolUse)
    ]
    said: dict[str, object] = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    said |= {"reasoning_content": "".join(thoughts)} if thoughts else {}
    said |= {"tool_calls": calls} if calls else {}
    choice: dict[str, object] = {"index": 0, "message": said, "finish_reason": FINISH[message.stop_reason]}
    if message.stop_sequence is not None:
        choice["stop_reason"] = message.stop_sequence
    return _json(
        {
            "id": _completion_id(message.id),
            "object": "chat.completion",
            "created": CREATED,
            "model": model,
            "choices": [choice],
            "usage": _usage(message.usage),
        }
    )


def error_body(error: UnderstudyError, request_id: str = "") -> bytes:
    """An error, in a stream or as the whole answer."""
    code = next((code for kind, code in CODES if isinstance(error, kind)), None)
    said: dict[str, object] = {"message": error.message, "type": error.kind, "param": None, "code": code}
    told: dict[str, object] = {"error": said}
    return _json(told | {"request_id": request_id} if request_id else told)


class OpenAI:
    """See `dialects.Dialect`."""

    name = "openai"
    stream_type = "text/event-stream"

    def parse(self, body: bytes) -> Request:
        """What a client asks."""
        return parse(body)

    def render(self, request: Request, quirks: Quirks = PLAIN) -> bytes:
        """The body for an engine."""
        return render(request, quirks)

    def decoder(self, new_id: NewId) -> DecoderProtocol:
        """Reads an engine's answer."""
        return Decoder(new_id)

    def encoder(self, request: Request, model: str) -> EncoderProtocol:
        """Writes an answer's stream."""
        return Encoder(request, model)

    def whole(self, message: Message, request: Request, model: str) -> bytes:
        """A non-streaming answer."""
        del request  # its form does not depend on the question
        return whole(message, model)

    def error(self, error: UnderstudyError, request_id: str) -> bytes:
        """An error's body."""
        return error_body(error, request_id)

    def refusal(self, status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
        """What an engine's error answer means."""
        return refusal(status, body, retry_after)


DIALECT = OpenAI()
