"""Ollama's /api/chat: newline-delimited JSON in both directions.

    ollama_wire      the structs of both roles, of /api/generate too
    ollama_parse     a client's body -> Request
    ollama_render    Request -> an engine's body
    ollama_decode    an engine's answer -> events
    ollama_lines     events -> a client's lines, errors
    ollama_generate  /api/generate, toward clients
    here             what is /api/chat's own, and DIALECT

Source: ollama/ollama `api/types.go` and `docs/api.md`. What sets this wire apart:

- The arguments of a tool call are a JSON object, not JSON text, and a call comes whole, in one line.
- There is no `tool_choice`. "none" can only be obeyed by not offering tools, a named tool by offering it alone; "any" is a
  wish that cannot be passed on. Both change the prompt's head, and so cost the cached prefix; there is no other way.
- A prompt too long for the window is cut in silence unless `truncate` is false; then llama-server refuses it and names both
  numbers. Without `shift: false` the oldest tokens are thrown out while the model writes.
- Without messages the model is only to be loaded, or unloaded; the answer's `done_reason` says so.
"""

import msgspec

from understudy.dialects import PLAIN, NewId, Quirks
from understudy.dialects.ollama_decode import Decoder, refusal
from understudy.dialects.ollama_lines import LineEncoder, error_body, whole
from understudy.dialects.ollama_parse import parse
from understudy.dialects.ollama_render import render
from understudy.dialects.ollama_wire import ChatMessage, Line
from understudy.language.errors import UnderstudyError
from understudy.language.message import Message
from understudy.language.request import Request

_encode = msgspec.json.Encoder().encode


class Chat:
    """See `ollama_lines.Form`."""

    def piece(self, message: ChatMessage) -> bytes:
        """`message`."""
        return b'"message":' + _encode(message)

    def fill(self, line: Line, message: ChatMessage) -> None:
        """The same in the last line."""
        line.message = message

    def named(self, asked: str, answering: str) -> str:  # noqa: ARG002 - /api/generate's is another
        """As it was asked for."""
        return asked


CHAT = Chat()


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

    def encoder(self, request: Request, model: str) -> LineEncoder:
        """A writer of one streamed answer."""
        return LineEncoder(CHAT, request, model)

    def whole(self, message: Message, request: Request, model: str) -> bytes:
        """A non-streaming answer."""
        return whole(CHAT, message, request, model)

    def error(self, error: UnderstudyError, request_id: str) -> bytes:  # noqa: ARG002 - has no place on this wire
        """An error's body."""
        return error_body(error)

    def refusal(self, status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
        """What an engine's error answer means."""
        return refusal(status, body, retry_after)


DIALECT = Ollama()
