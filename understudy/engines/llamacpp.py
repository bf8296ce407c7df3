"""llama.cpp of our own: a child process, spoken to like any llama-server, with sessions pinned to its slots.

A child that dies is started again with the next request.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from msgspec import Struct

from understudy.config import Limits
from understudy.dialects import NewId
from understudy.engines import KINDS, Facts, Kind
from understudy.engines.child import LlamaChild
from understudy.engines.endtoken import WithoutEnd
from understudy.engines.remote import RemoteEngine
from understudy.engines.upstream import Upstream
from understudy.engines.worker import WorkerSettings
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import EngineBusy, EngineLost, EngineRefused
from understudy.language.events import Listener
from understudy.language.request import Request, ThinkingWish, ToolChoice, change
from understudy.language.target import Model
from understudy.request.grammar import answer_grammar
from understudy.stages.toolsyntax import syntaxes_for

EMBEDDED: Kind = change(
    KINDS["llama-server"],
    ports=(),
    quirks=change(KINDS["llama-server"].quirks, raw_text=True, constrain="named", grammar=""),
)
REHEARSAL_NOTICE = (
    "rehearsal model: random weights, the text is noise. No engine and no model were found. "
    "Start an engine (ollama serve), or pass a model: understudy serve --model FILE.gguf"
)
ENDED = "the embedded engine has ended: understudy is stopping"
DYING_SECONDS = 0.5
"""How long a child whose connections broke may take to be known as dead."""
_T = TypeVar("_T")


def _nobody(_share: float) -> None:
    """Nobody watches the model load."""


class Lease(Struct, frozen=True):
    """One request's slot: the one it will be given, None where that cannot be foreseen; `pin` is asked for."""

    slot: int | None
    pin: int | None


class SlotTable:
    """Which session's prompt lies in which slot.

    llama.cpp gives a request that asks for no slot the one that was idle longest, and keeps what lay there in memory.
    The table foresees that choice, so that the session can ask for the same slot next time: but only while nobody else
    had it since, because a slot that is asked for is overwritten without being kept. (Measured, two slots and four
    conversations: 0.93 of the prompts reused with this, 0.63 without.)
    """

    def __init__(self, slots: int) -> None:
        self._owners: list[str | None] = [None] * slots
        self._busy = [0] * slots
        self._released = [0] * slots
        self._clock = 0

    def take(self, session: str) -> Lease:
        """A slot for a request that begins now."""
        own = self._owners.index(session) if session in self._owners else None
        idle = [slot for slot, busy in enumerate(self._busy) if not busy]
        if own is not None and (own in idle or not idle):
            return self._leased(own, session, pin=own)
        if not idle:
            return Lease(None, None)
        oldest = min(reversed(idle), key=self._released.__getitem__)  # of new slots it takes the last
        return self._leased(oldest, session, pin=None)

    def release(self, lease: Lease) -> None:
        """That request has ended."""
        self._clock += 1
        if lease.slot is None:  # it took a slot nobody foresaw: what the others hold is no longer known
            self._owners = [None] * len(self._owners)
        else:
            self._busy[lease.slot] -= 1
            self._released[lease.slot] = self._clock

    def _leased(self, slot: int, session: str, pin: int | None) -> Lease:
        self._owners[slot] = session
        self._busy[slot] += 1
        return Lease(slot, pin)


class LlamaCpp:
    """The embedded engine.

    Args:
        name: of the engine.
        model: the name its model is served under.
        settings: how to load it.
        upstream: the HTTP client.
        new_id: for ids the engine does not give.
        limits: deadlines.
        on_progress: told how much of the model is loaded, 0 to 1.
        rehearsal: random weights: it may hold a conversation but never a tool.
        grammar: constrain tool calls to their schemas while they are written.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        settings: WorkerSettings,
        upstream: Upstream,
        new_id: NewId,
        *,
        limits: Limits,
        on_progress: Callable[[float], None] = _nobody,
        rehearsal: bool = False,
        grammar: bool = True,
    ) -> None:
        quirks = change(EMBEDDED.quirks, tools=not rehearsal, images=bool(settings.mmproj))
        self._kind = change(EMBEDDED, quirks=quirks)
        self.facts = Facts(
            name,
            "llamacpp",
            quirks=quirks,
            notice=REHEARSAL_NOTICE if rehearsal else "",
            slots=settings.slots,
        )
        self._model = model
        self._settings = settings
        self._upstream = upstream
        self._new_id = new_id
        self._limits = limits
        self._on_progress = on_progress
        self._launching: asyncio.Future[RemoteEngine] | None = None
        self._closed = False
        self._child: LlamaChild | None = None
        self._guidance = False
        self._grammar = grammar and not rehearsal
        self._remote: RemoteEngine | None = None
        self._slots = SlotTable(settings.slots)

    async def start(self) -> None:
        """Start the child and wait until its model is loaded.

        Raises:
            EngineError: it cannot be loaded; the message says why.
        """
        await self._living()

    async def _launch(self) -> RemoteEngine:
        child = LlamaChild(self._settings, on_progress=self._on_progress)
        await child.start()
        facts = change(self.facts, url=child.url)
        self._child, self._guidance = child, child.guidance
        self._remote = RemoteEngine(
            facts, self._upstream, self._new_id, limits=self._limits, key=child.key, kind=self._kind
        )
        self._slots = SlotTable(self._settings.slots)
        return self._remote

    async def models(self) -> tuple[Model, ...]:
        """Its one model, with the window of one slot.

        Raises:
            EngineError: the child has died and cannot be started again.
        """
        found = await self._asked(RemoteEngine.models)
        return tuple(change(self._model, context=m.context, template=m.template) for m in found[:1])

    async def answer(self, request: Request, session: str, listener: Listener) -> None:
        """See `Engine.answer`. A child that dies before it says anything is started and asked once more."""
        try:
            await self._answer(request, session, listener)
        except (EngineBusy, EngineLost):
            if not await self._has_died():
                raise
            await self._answer(request, session, listener)

    async def _answer(self, request: Request, session: str, listener: Listener) -> None:
        remote = await self._living()
        slots = self._slots
        lease = slots.take(session)
        try:
            await remote.answer(self._constrained(request, lease), session, WithoutEnd(listener))
        finally:
            slots.release(lease)

    def _constrained(self, request: Request, lease: Lease) -> Request:
        """The request with its slot, and a grammar instead of `tool_choice` and `response_format`.

        llama.cpp's own tool grammar loses an answer that does not fit it, and replays calls in other bytes than the
        model wrote; so it gives us raw text, and the grammar is ours. A call that must come leaves no room to think.
        """
        options: dict[str, int | bool | str] = dict(request.options)
        if lease.pin is not None:
            options["id_slot"] = lease.pin
        forced = request.format is not None or request.tool_choice.mode in ("any", "tool")
        if self._guidance and self._grammar:
            syntax = syntaxes_for(self._model.id, self._model.template)[0].name
            grammar = answer_grammar(request, syntax)
            if grammar is not None:
                options["grammar"] = grammar
        return change(
            request,
            options=options,
            format=None,
            tool_choice=ToolChoice("none" if request.tool_choice.mode == "none" else "auto"),
            thinking=ThinkingWish("disabled") if forced else request.thinking,
        )

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Its model is one that talks."""
        raise EngineRefused(
            f"{request.model} writes text and makes no vectors: start an engine with an embedding model, for example "
            "`ollama pull nomic-embed-text`"
        )

    async def count(self, request: Request) -> int | None:
        """Counted by llama.cpp, template and tools included."""
        return await self._asked(lambda remote: remote.count(request))

    async def aclose(self) -> None:
        """End the child, also one that is still loading; nothing starts it again."""
        self._closed = True
        if self._launching is not None:
            self._launching.cancel()
            await asyncio.wait((self._launching,))
        if self._child is not None:
            await self._child.stop()

    async def _asked(self, ask: Callable[[RemoteEngine], Awaitable[_T]]) -> _T:
        """Asked once more where the child turns out to be dead."""
        try:
            return await ask(await self._living())
        except (EngineBusy, EngineLost):
            if not await self._has_died():
                raise
        return await ask(await self._living())

    async def _has_died(self) -> bool:
        """Whether the child has died just now: its connections break a moment before its end is known."""
        if self._child is None or self._closed:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(DYING_SECONDS):
                await self._child.wait_died()
        return self._child.died

    async def _living(self) -> RemoteEngine:
        """The child, started again if it died. Whoever waits for it may leave without stopping it for the others.

        Raises:
            EngineBusy: we are closing.
            EngineError: it cannot be started.
        """
        if self._closed:
            raise EngineBusy(ENDED)
        if self._remote is not None and self._child is not None and not self._child.died:
            return self._remote
        if self._launching is None or self._launching.done():
            self._launching = asyncio.ensure_future(self._launch())
        launching = self._launching
        await asyncio.wait((launching,))
        if launching.cancelled():
            raise EngineBusy(ENDED)
        return launching.result()
