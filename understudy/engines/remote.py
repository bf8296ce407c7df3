"""An engine that is reached over HTTP: one class, the differences are a row of KINDS."""

import asyncio
from contextlib import suppress
from enum import Enum
from functools import lru_cache

from understudy.config import Limits
from understudy.dialects import Decoder, NewId, Quirks, dialect, openai_embeddings
from understudy.engines import KINDS, Facts, Kind
from understudy.engines.inventory import COUNTS, LISTS
from understudy.engines.upstream import Response, Upstream
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import (
    BadRequest,
    EngineError,
    EngineLost,
    EngineRefused,
    NoTarget,
    PromptTooLong,
    UnderstudyError,
)
from understudy.language.events import Event, Failed, Listener, MessageStop, Progress, Slow
from understudy.language.message import joined
from understudy.language.request import Request, change
from understudy.language.target import Model
from understudy.request.schema import TASTES, Loss, cut_request

LIMITS = Limits()
REFUSAL_LIMIT = 64 * 1024
"""Bytes of an error answer that are read: its sentence, not a web page."""
LINGER = 0.25
"""Seconds that the end of a response may come after the end of its answer: then the connection can be kept."""


class RemoteEngine:
    """Sends a request in the engine's dialect and reads the answer's events.

    Args:
        facts: what it is; `facts.kind` names the row of KINDS.
        upstream: the HTTP client, shared.
        new_id: for ids the engine does not give.
        limits: deadlines.
        key: sent as a Bearer token; as x-api-key to an engine of Anthropic's dialect.
        only: serve only these models; empty for all.
        context: the window in tokens where the settings name one; 0 asks the engine.
    """

    def __init__(
        self,
        facts: Facts,
        upstream: Upstream,
        new_id: NewId,
        *,
        limits: Limits = LIMITS,
        key: str = "",
        only: tuple[str, ...] = (),
        context: int = 0,
        kind: Kind | None = None,
    ) -> None:
        self.facts = facts
        self.limits = limits
        self._kind = kind or KINDS[facts.kind]
        self._dialect = dialect(self._kind.dialect)
        self._upstream = upstream
        self._new_id = new_id
        self._only = only
        self._context = context
        self._headers = _headers(key, self._kind.dialect)
        self._models: dict[str, Model] = {}

    async def start(self) -> None:
        """Nothing: the engine is somebody else's process."""

    async def models(self) -> tuple[Model, ...]:
        """What it serves, narrowed by the settings.

        Raises:
            EngineError: it cannot be asked, or answers nonsense.
        """
        found = await LISTS[self._kind.inventory](self._fetch)
        models = tuple(m for m in found if not self._only or {m.id, _short(m.id)} & {*self._only})
        if self._context:
            models = tuple(change(m, context=self._context) for m in models)
        self._models = {m.id: m for m in models}
        return models

    async def answer(self, request: Request, session: str, listener: Listener) -> None:
        """See `Engine.answer`. Cancelled, it closes the connection: that frees the engine."""
        del session  # a process of somebody else's keeps its own slots
        body = self.render(request)
        reading = _Reading(self._dialect.decoder(self._new_id), listener)
        async with self._upstream.request(
            "POST",
            self.facts.url + self._path(request),
            headers=self._headers,
            body=body,
            head_timeout=self.limits.first_byte_seconds,
            read_timeout=self.limits.idle_seconds,
        ) as response:
            if response.status != 200:  # noqa: PLR2004 - OK
                raise await self._refusal(response)
            await reading.read(response)

    def _path(self, request: Request) -> str:
        """Where such a question is asked.

        Raises:
            EngineRefused: nowhere.
        """
        if request.prompt is None:
            return self._kind.chat
        if not self._kind.complete:
            raise EngineRefused(f"{self.facts.name} holds conversations and does not go on with raw text")
        return self._kind.complete

    def render(self, request: Request) -> bytes:
        """The body for this engine and model: schemas its grammar takes, nothing the model cannot do."""
        if not self.facts.local and request.raw and request.dialect == self._kind.dialect:
            return request.raw  # the Claude API gets the client's own bytes
        quirks = self.facts.quirks
        model = self._models.get(request.model, Model(request.model))
        if model.lacks:
            quirks = _without(quirks, model.lacks)
        if quirks.grammar:
            request, _ = cut_request(request, TASTES[quirks.grammar])
        if self._kind.dialect == "ollama" and model.context:  # or it would cut the prompt without a word
            request = change(request, options={**request.options, "num_ctx": model.context})
        return self._dialect.render(request, quirks)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """See `Engine.embed`."""
        if not self._kind.embed:
            raise EngineRefused(f"{self.facts.name} makes no vectors of texts")
        seconds = self.limits.first_byte_seconds
        body = await self._fetch("POST", self._kind.embed, openai_embeddings.render(request), seconds)
        return openai_embeddings.read(body, len(request.inputs))

    def losses(self, request: Request) -> tuple[tuple[str, Loss], ...]:
        """What this engine is not told of the request's schemas: the tool's name, empty for the answer's own, and what."""
        taste = self.facts.quirks.grammar
        return cut_request(request, TASTES[taste])[1] if taste else ()

    async def count(self, request: Request) -> int | None:
        """Asked of the engine with the very body it would get; None where it has no way to count."""
        counter = COUNTS.get(self._kind.count)
        if counter is None or request.prompt is not None:
            return None
        try:
            return await counter(self._fetch, self.render(request))
        except PromptTooLong as error:
            return error.tokens or None  # 0: it does not say how long
        except (NoTarget, EngineRefused, BadRequest):
            return None  # an older version without the endpoint: the caller estimates, and says so

    async def aclose(self) -> None:
        """Nothing of its own: the client is shared."""

    async def _fetch(self, method: str, path: str, body: bytes, seconds: float = 0.0) -> bytes:
        seconds = seconds or self.limits.health_seconds
        async with self._upstream.request(
            method,
            self.facts.url + path,
            headers=self._headers,
            body=body,
            head_timeout=seconds,
            read_timeout=seconds,
        ) as response:
            if response.status != 200:  # noqa: PLR2004 - OK
                raise await self._refusal(response)
            return await response.read()

    async def _refusal(self, response: Response) -> UnderstudyError:
        try:
            body = await response.read(limit=REFUSAL_LIMIT)
        except EngineError as error:
            body = str(error).encode()  # the status still says what happened
        return self._dialect.refusal(response.status, body, _seconds(response.headers.get(b"retry-after")))


class _Reading:
    """One answer on its way from bytes to events.

    `_take` runs once for each arrival from the engine and waits for nothing: a client that is slow is left in `_slow`.
    """

    def __init__(self, decoder: Decoder, listener: Listener) -> None:
        self._decoder = decoder
        self._listener = listener
        self._phase = _Phase.WAITING
        self._failure: UnderstudyError | None = None
        self._slow: Slow = None

    async def read(self, response: Response) -> None:
        """The whole answer.

        Raises:
            UnderstudyError: it failed before anything was said.
        """
        lost = await self._poured(response)
        if self._phase is _Phase.OVER:
            await _rest(response)
        elif events := _closing(self._decoder, lost):
            self._say(events)
            await self._caught_up()
        if self._failure is not None:
            raise self._failure

    async def _poured(self, response: Response) -> EngineError | None:
        """Read until the answer is over, or its bytes are; what broke the connection, if anything did."""
        try:
            while not await response.pour(self._take):
                await self._caught_up()
                if self._phase is _Phase.OVER:
                    break
        except EngineError as error:
            return error
        return None

    async def _caught_up(self) -> None:
        slow, self._slow = self._slow, None
        if slow is not None:
            await slow

    def _take(self, data: bytes) -> bool:
        if text := self._decoder.text(data):
            self._slow = slow = self._listener.more(text)
            return slow is None
        events = joined(self._decoder.feed(data))
        return not events or self._say(events)

    def _say(self, events: list[Event]) -> bool:
        """Tell these events; whether more may be told at once."""
        last = events[-1]
        if self._phase is _Phase.WAITING:
            if isinstance(last, Failed):
                self._failure, self._phase = last.error, _Phase.OVER
                return False
            if not all(isinstance(event, Progress) for event in events):
                self._phase = _Phase.SPEAKING
        if isinstance(last, MessageStop | Failed):
            self._phase = _Phase.OVER
        self._slow = self._listener.tell(events)
        return self._slow is None and self._phase is not _Phase.OVER


class _Phase(Enum):
    WAITING = "nothing has been said"
    SPEAKING = "something has"
    OVER = "the last event has been told"


@lru_cache(maxsize=64)
def _without(quirks: Quirks, lacks: tuple[str, ...]) -> Quirks:
    """The quirks of an engine for a model that cannot do all that the engine can."""
    return change(
        quirks,
        tools=quirks.tools and "tools" not in lacks,
        images=quirks.images and "images" not in lacks,
        thinking_switch="" if "thinking" in lacks else quirks.thinking_switch,
    )


def _closing(decoder: Decoder, lost: EngineError | None) -> list[Event]:
    """The last events, when the bytes are over; a connection that broke is the decoder's to judge, or `Failed`."""
    events = decoder.close()
    if lost is not None and (not events or _is_plain_cut(events)):
        events = [*(e for e in events if not isinstance(e, Failed)), Failed(lost)]
    return events


async def _rest(response: Response) -> None:
    """Read what follows the answer, for a moment: some engines never end the response."""
    with suppress(TimeoutError, EngineError):
        async with asyncio.timeout(LINGER):
            async for _ in response:
                pass


def _is_plain_cut(events: list[Event]) -> bool:
    """Whether the decoder only knows that the bytes stopped: then the connection's own words are better."""
    last = events[-1]
    return isinstance(last, Failed) and type(last.error) is EngineLost


def _headers(key: str, spoken: str) -> tuple[tuple[bytes, bytes], ...]:
    """The Claude API wants its version, and takes a Bearer token for a login, not for a key."""
    fields = [(b"content-type", b"application/json"), (b"accept", b"text/event-stream, application/json")]
    secret = key.encode(errors="surrogateescape")
    if spoken == "anthropic":
        fields.append((b"anthropic-version", b"2023-06-01"))
    if secret:
        fields.append(
            (b"x-api-key", secret) if spoken == "anthropic" else (b"authorization", b"Bearer " + secret)
        )
    return tuple(fields)


def _short(model_id: str) -> str:
    """As Ollama's own command line names it."""
    return model_id.removesuffix(":latest")


def _seconds(value: bytes | None) -> float | None:
    """`Retry-After` in seconds; its date form is rare from engines and is left out."""
    text = (value or b"").strip()
    return float(text) if text.isdigit() else None
