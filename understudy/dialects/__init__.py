"""Wire languages: each file translates one between bytes and the canonical language, and does nothing else.

A dialect has two sides. Toward clients it parses questions and writes answers (parse, Encoder, whole, error); toward engines
it writes questions and reads answers (render, Decoder, refusal). Three dialects have both, in the same order in every file;
"responses" has clients only. Decoders and encoders are feed/close objects that do no I/O. Everybody else reaches a dialect
through the functions at the end of this file.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Literal, Protocol, cast

from msgspec import Struct

from understudy.language.batch import Batch, Entry, Result
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
        grammar: the row of `request.tastes.TASTES` to which schemas, of tools and answers, are cut; "" for untouched.
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

    @property
    def ping(self) -> bytes:
        """What keeps a silent stream alive, to be sent between any two encoded pieces."""
        ...

    def encode(self, events: Iterable[Event]) -> bytes:
        """The bytes of these events; empty when they say nothing in this dialect."""
        ...

    def more(self, text: str) -> bytes:
        """The bytes of more text of the text block that is open: `encode([TextDelta(text)])`, said shortly."""
        ...


class Speaker(Protocol):
    """Whoever answers clients in a dialect, if only to say what went wrong."""

    @property
    def name(self) -> str:
        """What the dialect is called."""
        ...

    def error(self, error: UnderstudyError, request_id: str) -> bytes:
        """An error's body in this dialect (its status is `error.status`)."""
        ...


class ClientDialect(Speaker, Protocol):
    """The side toward clients."""

    @property
    def stream_type(self) -> str:
        """Content-Type of a stream."""
        ...

    def parse(self, body: bytes) -> Request:
        """What a client asks. Raises BadRequest naming the field."""
        ...

    def encoder(self, request: Request, model: str) -> Encoder:
        """Writes one streamed answer for the client that sent `request`; `model` is the name to show."""
        ...

    def whole(self, message: Message, request: Request, model: str) -> bytes:
        """A non-streaming answer."""
        ...


class SeveralEncoder(Encoder, Protocol):
    """Writes several answers to one question into one stream, one after the other."""

    def another(self) -> None:
        """The next answer begins."""
        ...


class SeveralDialect(ClientDialect, Protocol):
    """A dialect in which one question may have several answers (`Request.n`); its encoders are `SeveralEncoder`s."""

    def several(self, messages: Sequence[Message], request: Request, model: str) -> bytes:
        """A non-streaming answer with all of them."""
        ...


class EngineDialect(Protocol):
    """The side toward engines."""

    @property
    def name(self) -> str:
        """What the dialect is called."""
        ...

    def render(self, request: Request, quirks: Quirks = PLAIN) -> bytes:
        """The body for an engine; always asks for a stream."""
        ...

    def decoder(self, new_id: NewId) -> Decoder:
        """Reads one streamed answer of an engine."""
        ...

    def refusal(self, status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
        """What an engine's answer with an error status means: classified by status first, by text only then."""
        ...


class Dialect(ClientDialect, EngineDialect, Protocol):
    """A wire language with both sides."""


class CountingDialect(ClientDialect, Protocol):
    """A dialect with a request that only counts tokens."""

    def parse_count(self, body: bytes) -> Request:
        """What a client wants counted. Raises BadRequest naming the field."""
        ...


class Told(Struct, frozen=True):
    """An answer as it is kept.

    Attributes:
        status: how it ended, in the dialect's word.
        body: as the client is shown it.
        items: what it said, one JSON text for each item: later questions go on from there.
    """

    status: str
    body: bytes
    items: tuple[bytes, ...]


class Exchange(ClientDialect, Protocol):
    """One question and its answer in a dialect that keeps both: a dialect for this pair alone."""

    @property
    def told(self) -> Told | None:
        """The answer; None until it has ended."""
        ...

    @property
    def asked(self) -> tuple[bytes, ...]:
        """What the question itself said, one JSON text for each item."""
        ...

    def pending(self) -> bytes:
        """The body of an answer that has not ended yet."""
        ...

    def cancelled(self) -> Told:
        """The answer, ended because nobody wants it any more."""
        ...


class Asked(Protocol):
    """A question that may go on from earlier ones: what has to be looked up before it can be read to its end."""

    @property
    def stream(self) -> bool:
        """Whether the client reads a stream."""
        ...

    @property
    def store(self) -> bool:
        """Whether the answer is to be kept."""
        ...

    @property
    def background(self) -> bool:
        """Whether the answer goes on when the client has left."""
        ...

    @property
    def previous(self) -> str:
        """The id of the answer that this one goes on from; "" where it is a beginning."""
        ...

    @property
    def conversation(self) -> str:
        """The id of the conversation whose newest answer this one goes on from; "" where there is none."""
        ...

    @property
    def references(self) -> tuple[str, ...]:
        """Ids of kept items that the question refers to instead of repeating them."""
        ...

    def exchange(
        self, history: Sequence[bytes], found: Mapping[str, bytes], answer_id: str, clock: Callable[[], float]
    ) -> Exchange:
        """The question, read to its end.

        Args:
            history: the items of the answers before, oldest first.
            found: the items that `references` name.
            answer_id: what the answer will be called.
            clock: seconds since 1970.

        Raises:
            BadRequest: naming the field.
        """
        ...


class KeepingDialect(Speaker, Protocol):
    """A dialect whose answers are kept by id, so that later questions need not repeat them."""

    def read(self, body: bytes) -> Asked:
        """What a client asks, as far as it can be read by itself. Raises BadRequest naming the field."""
        ...

    def listed(self, answer_id: str, asked: Sequence[bytes]) -> list[bytes]:
        """What the question of that answer said, as it is shown: every item with an id."""
        ...


class BatchDialect(Protocol):
    """How a dialect hands in many requests at once."""

    results_type: str
    """Content-Type of results."""

    def parse(self, body: bytes) -> list[Entry]:
        """The requests of a new batch. Raises BadRequest naming the field."""
        ...

    def batch(self, batch: Batch, results_url: str) -> bytes:
        """A batch, as it stands; its results are at that address once it has ended."""
        ...

    def page(self, batches: Sequence[Batch], results_urls: Sequence[str], *, more: bool) -> bytes:
        """Batches, the newest first, and whether there are more."""
        ...

    def deleted(self, batch_id: str) -> bytes:
        """The answer when a batch is gone."""
        ...

    def result(self, result: Result) -> bytes:
        """One result, to be written after others."""
        ...


@cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(f"understudy.dialects.{name}")


def dialect(name: str) -> Dialect:
    """The dialect with both sides of that name: "anthropic", "openai" or "ollama"."""
    return cast("Dialect", _module(name).DIALECT)


def speaker(name: str) -> Speaker:
    """Who can tell clients of the dialect of that name, any there is, what went wrong."""
    return cast("Speaker", _module(name).DIALECT)


def counting_dialect(name: str) -> CountingDialect:
    """The dialect of that name; "anthropic" is one that counts."""
    return cast("CountingDialect", _module(name).DIALECT)


def client_dialect(name: str) -> ClientDialect:
    """The side toward clients of the dialect of that name."""
    return cast("ClientDialect", _module(name).DIALECT)


def keeping_dialect(name: str) -> KeepingDialect:
    """The dialect of that name; "responses" is one that keeps."""
    return cast("KeepingDialect", _module(name).DIALECT)


def batch_dialect(name: str) -> BatchDialect:
    """How the dialect of that name does batches; "anthropic" does."""
    return cast("BatchDialect", _module(f"{name}_batches").BATCHES)
