"""OpenAI's Chat Completions (https://platform.openai.com/docs/api-reference/chat), spoken by nearly every engine.

    openai_wire     the structs of both roles
    openai_parse    a client's body -> Request
    openai_render   Request -> an engine's body
    openai_decode   an engine's answer -> events
    here            events -> a client's stream, whole answers, errors, and DIALECT

Beyond OpenAI's own fields the Encoder writes what vLLM and llama.cpp write (`reasoning_content`, `stop_reason`,
`prompt_progress` where it was asked for); official clients pass over these.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Raw

from understudy.dialects import PLAIN, NewId, Quirks
from understudy.dialects import Decoder as DecoderProtocol
from understudy.dialects import Encoder as EncoderProtocol
from understudy.dialects.openai_decode import Decoder
from understudy.dialects.openai_ends import FINISH, added, error_body, tokens
from understudy.dialects.openai_parse import parse
from understudy.dialects.openai_render import render
from understudy.dialects.openai_wire import Wishes
from understudy.dialects.refusal import refusal
from understudy.language.errors import (
    UnderstudyError,
)
from understudy.language.events import (
    BlockStart,
    Event,
    Failed,
    InputDelta,
    Logprobs,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.jsontext import BROKEN
from understudy.language.message import Message
from understudy.language.request import Request, Text, Thinking, ToolUse

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
        self._created = int(request.asked_at)
        self._left = request.n - 1  # answers to come after this one
        self._index = 0
        self._usage = Usage()
        self._head = b""
        self._calls = 0

    def encode(self, events: Iterable[Event]) -> bytes:
        """The records of these events; empty when they say nothing in this dialect."""
        out: list[bytes] = []
        said = ""
        for event in events:
            if said:  # text waits for the probabilities that belong to it: they have one record together
                odds = event.json if isinstance(event, Logprobs) else ""
                out.append(self._said(said, odds))
                said = ""
                if odds:
                    continue
            if isinstance(event, TextDelta):
                said = event.text
            else:
                out.append(self._one(event))
        return b"".join([*out, self.more(said)] if said else out)

    def another(self) -> None:
        """The next answer to the same question begins."""
        self._left -= 1
        self._index += 1
        self._calls = 0

    def more(self, text: str) -> bytes:
        """More text."""
        return self._delta(b'{"content":%b}' % _json(text))

    def _said(self, text: str, logprobs: str) -> bytes:
        if not logprobs:
            return self.more(text)
        return self._delta(
            b'{"content":%b}' % _json(text), b',"logprobs":{"content":%b,"refusal":null}' % logprobs.encode()
        )

    def _one(self, event: Event) -> bytes:
        match event:
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
                self._head = self._head or self._opening(_completion_id(key))
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
        return opening % (_json(key), self._created, _json(self._model))

    def _delta(self, delta: bytes, beside: bytes = b"") -> bytes:
        head = self._head or self._opening("chatcmpl-0")
        return b'%b{"index":%d,"delta":%b%b,"finish_reason":null}]}\n\n' % (head, self._index, delta, beside)

    def _last(self, stop: MessageStop) -> bytes:
        mark = b',"stop_reason":%b' % _json(stop.stop_sequence) if stop.stop_sequence is not None else b""
        finish = (self._head, self._index, _json(FINISH[stop.stop_reason]), mark)
        out = b'%b{"index":%d,"delta":{},"finish_reason":%b%b}]}\n\n' % finish
        self._usage = added(self._usage, stop.usage)
        if self._left:
            return out
        options = self._wishes.stream_options
        if options is not None and options.include_usage:
            out += b'%b],"usage":%b}\n\n' % (self._head, _json(tokens(self._usage)))
        return out + b"data: [DONE]\n\n"

    def _progress(self, event: Progress) -> bytes:
        if not self._wishes.return_progress:
            return b""
        told = {"total": event.total, "cache": event.cached, "processed": event.processed, "time_ms": 0}
        return b'%b],"prompt_progress":%b}\n\n' % (
            self._head or self._opening("chatcmpl-0"),
            _json(told),
        )


def _wishes(request: Request) -> Wishes:
    """From the client's own bytes; a request that came in another dialect has none."""
    try:
        return _WISHES.decode(request.raw)
    except BROKEN:
        return Wishes()


def whole(messages: Sequence[Message], request: Request, model: str) -> bytes:
    """The body of a non-streaming answer, or of several."""
    usage = Usage()
    for message in messages:
        usage = added(usage, message.usage)
    return _json(
        {
            "id": _completion_id(messages[0].id),
            "object": "chat.completion",
            "created": int(request.asked_at),
            "model": model,
            "choices": [_choice(index, message) for index, message in enumerate(messages)],
            "usage": tokens(usage),
        }
    )


def _choice(index: int, message: Message) -> dict[str, object]:
    texts = [block.text for block in message.blocks if isinstance(block, Text)]
    thoughts = [block.text for block in message.blocks if isinstance(block, Thinking)]
    calls = [
        {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": block.input}}
        for block in message.blocks
        if isinstance(block, ToolUse)
    ]
    said: dict[str, object] = {
        "role": "assistant",
        "content": "".join(texts) if texts or not calls else None,
        "refusal": None,
    }
    said |= {"reasoning_content": "".join(thoughts)} if thoughts else {}
    said |= {"tool_calls": calls} if calls else {}
    choice: dict[str, object] = {
        "index": index,
        "message": said,
        "logprobs": _logprobs(message),
        "finish_reason": FINISH[message.stop_reason],
    }
    if message.stop_sequence is not None:
        choice["stop_reason"] = message.stop_sequence
    return choice


def _logprobs(message: Message) -> object:
    """What the engine told of its tokens, in one list."""
    if not message.logprobs:
        return None
    tokens = [token for piece in message.logprobs for token in msgspec.json.decode(piece, type=list[Raw])]
    return {"content": tokens, "refusal": None}


def _completion_id(key: str) -> str:
    return "chatcmpl-" + key.removeprefix("msg_").removeprefix("chatcmpl-")


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
        return whole((message,), request, model)

    def several(self, messages: Sequence[Message], request: Request, model: str) -> bytes:
        """A non-streaming answer with several choices."""
        return whole(messages, request, model)

    def error(self, error: UnderstudyError, request_id: str) -> bytes:
        """An error's body."""
        return error_body(error, request_id)

    def refusal(self, status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
        """What an engine's error answer means."""
        return refusal(status, body, retry_after)


DIALECT = OpenAI()
