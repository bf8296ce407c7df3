"""Wire languages: each file translates one between bytes and the canonical language, and does nothing else.

A dialect is six things, in the same order in every file: wire structs, parse, render, Decoder, Encoder, whole and error
(and, for engines, `refusal`: how its error answers read). Decoders and encoders are feed/close objects that do no I/O.
Everybody else reaches a dialect through `dialect(name)`.
"""

import importlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Literal, Protocol, cast

from msgspec import Struct

from understudy.language.errors import UnderstudyError
from understudy.language.events import Event
from understudy.language.message import Message
from understudy.language.request import Request

NewId = Callable[[str], str]
"""Makes a fresh id from its prefix: new_id("toolu_") -> "toolu_01Ab...". An argument, so that tests are exact."""


class Quirks(Struct, frozen=True):
    """How one kind of engine differs from its dialect's plain form. Rows of `engines.KINDS`, never `if kind ==`.

    Attributes:
        max_tokens_field: what the engine calls the limit on output tokens.
        extra_sampling: which fields beyond the dialect's standard ones it takes ("top_k", "repeat_penalty"...).
        usage_in_stream: ask for usage with `stream_options.include_usage`.
        prompt_progress: ask for `return_progress` (llama.cpp).
        raw_text: the engine gives the model's own text: it parses neither tool calls nor reasoning, our stages do, and an
            assistant turn goes back as the same raw text (`Turn.verbatim`). llama.cpp: `parse_tool_calls: false`.
        thinking_switch: how reasoning is turned on and off: "template" (`chat_template_kwargs.enable_thinking`),
            "think" (Ollama), "effort" (`reasoning_effort`), or "" (cannot).
        reasoning_field: the assistant field in which reasoning is sent back ("reasoning_content", "reasoning", "thinking"),
            "" to leave it out.
        named_tool_choice: takes `tool_choice` naming one tool; else that tool alone is offered, as required.
        constrain: how it is held to one valid call (see `understudy.retry`); "" cannot.
        grammar: the row of `request.schema.TASTES` its tool schemas are cut to; "" for untouched.
        tools: whether the model may be given tools at all (not the rehearsal model).
        images: whether image blocks reach the model.
        image_urls: whether it fetches a picture that is given by its address.
    """

    max_tokens_field: str = "max_tokens"
    extra_sampling: tuple[str, ...] = ()
    usage_in_stream: bool = True
    prompt_progress: bool = False
    raw_text: bool = False
    thinking_switch: Literal["template", "think", "effort", ""] = ""
    reasoning_field: str = ""
    named_tool_choice: bool = True
    constrain: Literal["named", "required", "format", ""] = "named"
    grammar: str = ""
    tools: bool = True
    images: bool = True
    image_urls: bool = True


PLAIN = Quirks()
"""No quirks."""


class Decoder(Protocol):
    """Engine bytes -> events. Never raises on what an engine sends: nonsense becomes `Failed`.

    After `Failed` or `MessageStop` it gives nothing more. However the bytes are cut, the events are the same, but for where
    deltas are split; and bytes that stop early end in `Failed`, never in `MessageStop`.
    """

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        ...

    def text(self, data: bytes) -> str:
        """The text, where these bytes are more of the text block that is open, and nothing else: `feed` said shortly.

        Else "", and nothing has been read. Only worth the look where it is quick.
        """
        ...

    def close(self) -> list[Event]:
        """The bytes are over: what is still to be said."""
        ...


class Encoder(Protocol):
    """Events -> client bytes of a stream."""

    ping: bytes
    """What keeps a silent stream alive, to be sent between any two encoded pieces."""

    def encode(self, events: Iterable[Event]) -> bytes:
        """The bytes of these events; empty when they say nothing in this dialect."""
        ...

    def more(self, text: str) -> bytes:
        """The bytes of more text of the text block that is open: `encode([TextDelta(text)])`, said shortly."""
        ...


class Dialect(Protocol):
    """One wire language."""

    name: str
    stream_type: str
    """Content-Type of a stream."""

    def parse(self, body: bytes) -> Request:
        """What a client asks. Raises BadRequest naming the field."""
        ...

    def render(self, request: Request, quirks: Quirks = PLAIN) -> bytes:
        """The body for an engine; always asks for a stream."""
        ...

    def decoder(self, new_id: NewId) -> Decoder:
        """Reads one streamed answer of an engine."""
        ...

    def encoder(self, request: Request, model: str) -> Encoder:
        """Writes one streamed answer for the client that sent `request`; `model` is the name to show."""
        ...

    def whole(self, message: Message, request: Request, model: str) -> bytes:
        """A non-streaming answer."""
        ...

    def error(self, error: UnderstudyError, request_id: str) -> bytes:
        """An error's body in this dialect (its status is `error.status`)."""
        ...

    def refusal(self, status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
        """What an engine's answer with an error status means: classified by status first, by text only then."""
        ...


class CountingDialect(Dialect, Protocol):
    """A dialect with a request that only counts tokens."""

    def parse_count(self, body: bytes) -> Request:
        """What a client wants counted. Raises BadRequest naming the field."""
        ...


@cache
def dialect(name: str) -> Dialect:
    """The dialect of that name: "anthropic", "openai" or "ollama"."""
    module = importlib.import_module(f"understudy.dialects.{name}")
    found: Dialect = module.DIALECT
    return found


def counting_dialect(name: str) -> CountingDialect:
    """The dialect of that name; "anthropic" is one that counts."""
    return cast("CountingDialect", dialect(name))
