"""Ollama's /api/generate, toward clients: one prompt, one answer. It is also understudy's simplest way to be asked.

    {"prompt": "...", "task_type": "code", "model": "...", "temperature": 0.2, "maxTokens": 200}

is enough, and all but the prompt may be left out: one `curl` or one `fetch`. Whoever asks so wants one JSON object, and gets
it unless `stream` is true; Ollama's own clients expect a stream where they do not say, and ask `STREAMING` for it.

A prompt is one turn of a conversation. With `raw` or `suffix` it is text to go on with, and no template is put around it.
"""

import msgspec

from understudy.dialects.ollama_lines import LineEncoder, error_body, whole
from understudy.dialects.ollama_parse import format_of, pictures, sampling, unreadable, wish
from understudy.dialects.ollama_wire import ABSENT, AskGenerate, ChatMessage, Line
from understudy.language.errors import BadField, BadRequest, UnderstudyError
from understudy.language.jsontext import BROKEN
from understudy.language.message import Message
from understudy.language.request import Block, Prompt, Request, Sampling, Text, Turn, change

GENERAL = "general"
"""What it was taken for where nobody said, and nobody looked."""
AUTO = "auto"
"""The model of a client that does not care."""

_ask = msgspec.json.Decoder(AskGenerate).decode
_encode = msgspec.json.Encoder().encode


def parse(body: bytes, *, stream: bool) -> Request:
    """What a client asks; without a prompt it asks nothing.

    Args:
        body: JSON, as the client sent it.
        stream: whether it reads a stream where it does not say.

    Raises:
        BadRequest: it cannot be read; the message names the field.
    """
    try:
        ask = _ask(body)
        found, unknown = sampling(ask)
    except BROKEN as error:
        raise unreadable("generate", body, error) from None
    request = Request(
        ask.model or AUTO,
        (),
        sampling=_simple(ask, found),
        thinking=wish(ask.think),
        format=format_of(ask.format),
        stream=stream if ask.stream is None else ask.stream,
        task=ask.task_type or "",
        raw=body,
        dropped=(*unknown, *_not_carried(ask)),
    )
    return _asking(request, ask) if ask.prompt else request


def _simple(ask: AskGenerate, found: Sampling) -> Sampling:
    """The simple form's own words win over `options`.

    Raises:
        BadField: there is no such limit.
    """
    if ask.max_tokens is not None and ask.max_tokens < 1:
        raise BadField("maxTokens", "maxTokens: must be 1 or more")
    return change(
        found,
        temperature=found.temperature if ask.temperature is None else ask.temperature,
        max_tokens=found.max_tokens if ask.max_tokens is None else ask.max_tokens,
    )


def _asking(request: Request, ask: AskGenerate) -> Request:
    if ask.raw or ask.suffix:
        if ask.raw and (ask.system or _not_carried(ask)):
            raise BadRequest("raw mode does not support template, system, or context")
        dropped = (*request.dropped, *(("images",) if ask.images else ()))
        return change(request, prompt=Prompt(ask.prompt or "", ask.suffix or ""), dropped=dropped)
    blocks: tuple[Block, ...] = (*pictures(ask.images, "images"), Text(ask.prompt or ""))
    return change(
        request,
        turns=(Turn("user", blocks),),
        system=(Text(ask.system),) if ask.system else (),
    )


def _not_carried(ask: AskGenerate) -> tuple[str, ...]:
    """A template is the engine's business, and a context only the engine's own that made it."""
    context = ask.context is not ABSENT and bytes(ask.context) not in (b"null", b"[]")
    return (*(("template",) if ask.template else ()), *(("context",) if context else ()))


class Generated:
    """See `ollama_lines.Form`."""

    def __init__(self, task: str) -> None:
        self._task = task or GENERAL

    def piece(self, message: ChatMessage) -> bytes:
        """`response`, and `thinking` where there is some. A call has no place here; no tools are offered."""
        thinking = b',"thinking":' + _encode(message.thinking) if message.thinking else b""
        return b'"response":' + _encode(message.content) + thinking

    def fill(self, line: Line, message: ChatMessage) -> None:
        """The same in the last line, and what it was taken for."""
        line.response, line.thinking, line.task = message.content, message.thinking, self._task

    def named(self, asked: str, answering: str) -> str:
        """Who answered, where the client left the choice to us."""
        return answering if asked == AUTO and answering else asked


class OllamaGenerate:
    """See `dialects.ClientDialect`.

    Args:
        streams: whether clients read a stream where they do not say.
    """

    name = "ollama_generate"
    stream_type = "application/x-ndjson"

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams

    def parse(self, body: bytes) -> Request:
        """What a client asks."""
        return parse(body, stream=self._streams)

    def encoder(self, request: Request, model: str) -> LineEncoder:
        """A writer of one streamed answer."""
        return LineEncoder(Generated(request.task), request, model)

    def whole(self, message: Message, request: Request, model: str) -> bytes:
        """A non-streaming answer."""
        return whole(Generated(request.task), message, request, model)

    def error(self, error: UnderstudyError, request_id: str) -> bytes:  # noqa: ARG002 - has no place on this wire
        """An error's body."""
        return error_body(error)


DIALECT = OllamaGenerate(streams=False)
STREAMING = OllamaGenerate(streams=True)
"""For Ollama's own clients."""
