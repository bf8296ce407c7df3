"""The engines as one: who is up, what they serve, how much they have to do."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from understudy.engines import Engine
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import EngineBusy, EngineError, EngineLost, UnderstudyError
from understudy.language.events import Listener
from understudy.language.request import Request
from understudy.language.target import EngineState, Model, Standing, Target

LOOK_SECONDS = 15.0
"""Between two looks at an engine that is up."""
RETRY_SECONDS = 2.0
"""Between two looks at one that is not."""


class Member:
    """One engine, and what is known of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.state: EngineState = "starting"
        self.models: tuple[Model, ...] = ()
        self.in_flight = 0
        self.in_use = Counter[str]()
        self.detail = ""

    def standing(self) -> Standing:
        """As it is now."""
        facts = self.engine.facts
        return Standing(
            facts.name,
            facts.kind,
            self.state,
            self.models,
            self.in_flight,
            self.detail,
            facts.notice,
            tuple(+self.in_use),
        )

    def work(self, model: Model, answers: int) -> None:
        """So many answers of that model more, or less."""
        self.in_flight += answers
        self.in_use[model.id] += answers

    async def look(self) -> None:
        """Ask what it serves; an engine that cannot say is down."""
        try:
            self.models = await self.engine.models()
        except UnderstudyError as error:
            self.state, self.detail = "down", error.message
        else:
            self.state, self.detail = "up", "" if self.models else "it serves no model"


def _unwatched(_engine: str) -> None:
    """Nobody wants to know."""


class Pool:
    """All engines. `watch` runs beside the server and keeps the standing fresh.

    Attributes:
        on_move: told the engine's name when an answer begins or ends, in the task whose answer it is.
    """

    def __init__(self, engines: Iterable[Engine]) -> None:
        self._members = {engine.facts.name: Member(engine) for engine in engines}
        self._look_now = asyncio.Event()
        self.on_move: Callable[[str], None] = _unwatched

    def snapshot(self) -> tuple[Standing, ...]:
        """Every engine in order of preference."""
        return tuple(member.standing() for member in self._members.values())

    def engine(self, name: str) -> Engine:
        """The engine of that name."""
        return self._members[name].engine

    def in_flight(self, name: str) -> int:
        """Answers that engine is working on for us."""
        return self._members[name].in_flight

    @property
    def names(self) -> Sequence[str]:
        """Engine names in order of preference."""
        return tuple(self._members)

    async def start(self, on_failure: Callable[[str, UnderstudyError], None] | None = None) -> None:
        """Start every engine and look at it once."""
        for member in self._members.values():
            try:
                await member.engine.start()
            except UnderstudyError as error:
                member.state, member.detail = "down", error.message
                if on_failure is not None:
                    on_failure(member.engine.facts.name, error)
        await self.look()

    async def look(self, members: Iterable[Member] | None = None) -> None:
        """Look at engines, all at once; at all of them where none are named."""
        await asyncio.gather(*(member.look() for member in members or self._members.values()))

    async def watch(self) -> None:
        """Look again and again: soon at those that are down, at all now and then, and when one just failed.

        Ends by cancellation.
        """
        since = 0.0
        while True:
            down = [member for member in self._members.values() if member.state != "up"]
            patience = RETRY_SECONDS if down else LOOK_SECONDS
            try:
                async with asyncio.timeout(patience):  # wait_for of Python 3.11 may lose a cancellation
                    await self._look_now.wait()
            except TimeoutError:
                since += patience
            else:
                since = LOOK_SECONDS
            self._look_now.clear()  # before the look: what fails while it lasts is looked at again
            if since >= LOOK_SECONDS:
                since, down = 0.0, []
            await self.look(down)

    async def answer(self, target: Target, request: Request, session: str, listener: Listener) -> None:
        """The target's answer, counted while it lasts; an engine that cannot be reached is looked at soon."""
        member = self._members[target.engine]
        member.work(target.model, 1)
        try:
            self.on_move(target.engine)
            await member.engine.answer(request, session, listener)
        except (EngineBusy, EngineLost):
            self.look_soon()
            raise
        finally:
            member.work(target.model, -1)
            self.on_move(target.engine)

    async def embed(self, target: Target, request: EmbeddingRequest) -> Embeddings:
        """The target's answer. See `Engine.embed`."""
        member = self._members[target.engine]
        member.work(target.model, 1)
        try:
            return await member.engine.embed(request)
        except (EngineBusy, EngineLost):
            self.look_soon()
            raise
        finally:
            member.work(target.model, -1)

    def look_soon(self) -> None:
        """An answer broke off: `watch` looks at all engines now."""
        self._look_now.set()

    async def count(self, target: Target, request: Request) -> int | None:
        """The target's own count of the prompt; None where it has none, or cannot be asked now."""
        try:
            return await self._members[target.engine].engine.count(request)
        except EngineError:
            return None

    async def aclose(self) -> None:
        """Let go of all engines."""
        for member in self._members.values():
            await member.engine.aclose()
