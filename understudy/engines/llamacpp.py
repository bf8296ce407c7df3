"""llama.cpp of our own: a child process, spoken to like any llama-server, with sessions pinned to its slots.

A child that dies is started again with the next request. While there are no more sessions than slots, each keeps its own;
beyond that llama.cpp's own choice is better: it takes the slot that was idle longest and keeps the evicted conversation in
memory (`cache_ram`), which a pinned request would overwrite.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from understudy.config import Limits
from understudy.dialects import NewId
from understudy.engines import KINDS, Facts, Kind
from understudy.engines.child import LlamaChild
from understudy.engines.remote import RemoteEngine
from understudy.engines.upstream import Upstream
from understudy.engines.worker import WorkerSettings
from understudy.language.events import Event
from understudy.language.request import Request, change
from understudy.language.target import Model

EMBEDDED: Kind = change(
    KINDS["llama-server"],
    ports=(),
    quirks=change(KINDS["llama-server"].quirks, raw_text=True, grammar=""),
)
REHEARSAL_NOTICE = (
    "rehearsal model: random weights, the text is noise. No engine and no model were found. "
    "Start an engine (ollama serve), or pass a model: understudy serve --model FILE.gguf"
)


def _nobody(_share: float) -> None:
    """Nobody watches the model load."""


class SlotTable:
    """Which session holds which slot."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._held: OrderedDict[str, int] = OrderedDict()
        self._crowded = False

    def slot(self, session: str) -> int | None:
        """The slot to pin this session to; None leaves the choice to llama.cpp."""
        if self._crowded:
            return None
        if session not in self._held:
            if len(self._held) == self._slots:
                self._crowded = True
                return None
            self._held[session] = len(self._held)
        return self._held[session]


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
        self._starting = asyncio.Lock()
        self._child: LlamaChild | None = None
        self._remote: RemoteEngine | None = None
        self._slots = SlotTable(settings.slots)

    async def start(self) -> None:
        """Start the child and wait until its model is loaded.

        Raises:
            EngineError: it cannot be loaded; the message says why.
        """
        async with self._starting:
            if self._remote is None:
                await self._launch()

    async def _launch(self) -> RemoteEngine:
        child = LlamaChild(self._settings, on_progress=self._on_progress)
        await child.start()
        facts = change(self.facts, url=child.url)
        self._child = child
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
        remote = await self._living()
        found = await remote.models()
        return tuple(change(self._model, context=m.context, template=m.template) for m in found[:1])

    async def answer(self, request: Request, session: str) -> AsyncGenerator[list[Event], None]:
        """See `Engine.answer`."""
        remote = await self._living()
        slot = self._slots.slot(session)
        if slot is not None:
            request = change(request, options={**request.options, "id_slot": slot})
        async with aclosing(remote.answer(request, session)) as batches:
            async for batch in batches:
                yield batch

    async def count(self, request: Request) -> int | None:
        """Counted by llama.cpp, template and tools included."""
        return await (await self._living()).count(request)

    async def aclose(self) -> None:
        """End the child."""
        if self._child is not None:
            await self._child.stop()

    async def _living(self) -> RemoteEngine:
        """The child, started again if it died.

        Raises:
            EngineBusy: it is still loading.
        """
        async with self._starting:
            if self._child is not None and self._child.died:
                self._child, self._remote = None, None
            if self._remote is None:
                return await self._launch()
            return self._remote
