"""A runner with everything it needs but clocks and chance: time stands still until a test moves it.

Nothing looks by itself: `look` makes the runner look, and returns when it has.
"""

import asyncio
import collections
import contextlib
import itertools
import time

import msgspec
from web.driver import Puppet, say

from understudy.auth import Caller
from understudy.batching import runner as module
from understudy.batching.runner import Runner
from understudy.border import Border
from understudy.config import MODELS, Batches, Budget, Documents, Images, Limits, Privacy, WebSettings
from understudy.dialects import dialect
from understudy.engines.pool import Pool
from understudy.gateway import Gateway, Receipt
from understudy.language.batch import Entry
from understudy.language.events import told
from understudy.language.routes import Routing
from understudy.ledger import Ledger
from understudy.media.readable import Media
from understudy.online.access import Access
from understudy.router import Router
from understudy.store.audit import Audit
from understudy.store.batches import BatchFile
from understudy.store.ledger import LedgerFile
from understudy.store.sessions import Homes, Sessions
from understudy.store.sqlite import Keeper

DEADLINE = 10.0


def params(text="Hi", *, model="coder", **more):
    return msgspec.json.encode(
        {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}
    )


def entry(custom_id, text=None, *, model="coder", **more):
    return Entry(custom_id, model, params(text or custom_id, model=model, **more))


def entries(*names, **more):
    return [entry(name, **more) for name in names]


class Desk(Puppet):
    """An engine that answers each question by its text, when it is let.

    Attributes:
        held: whether an answer waits until `let` names its question.
        slow: whether it takes until `gone` to let go of an answer that is left.
        faults: what is raised instead of the next answers to a question.
        asked_about: the questions in the order in which they came.
        answered: those that were answered.
        open_about: those it is at.
    """

    def __init__(self, *, held=False, faults=(), **facts):
        super().__init__(**facts)
        self.held = held
        self.slow = False
        self.gone = asyncio.Event()
        self.faults = {text: list(errors) for text, errors in dict(faults).items()}
        self.asked_about = []
        self.answered = []
        self.open_about = []
        self._gates = collections.defaultdict(asyncio.Event)

    def let(self, *texts):
        for text in texts:
            self._gates[text].set()

    async def answer(self, request, session, listener):
        text = request.turns[-1].blocks[0].text
        self.asked_about.append(text)
        self.open_about.append(text)
        self.asked.set()
        self.requests.append(request)
        self.sessions.append(session)
        try:
            if self.held:
                await self._gates[text].wait()
            if self.faults.get(text):
                raise self.faults[text].pop(0)
            await told(listener, say(f"about {text}"))
            self.answered.append(text)
        finally:
            if self.slow:
                await self.gone.wait()
            self.open_about.remove(text)


class Watched(Runner):
    """A runner that can be waited for."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.looks = 0
        self._looked = asyncio.Event()

    async def _rest(self):
        self.looks += 1
        self._looked.set()
        await super()._rest()

    async def look(self):
        """It has looked from beginning to end since now."""
        for _ in range(2):  # a look may be under way
            before = self.looks
            self.wake()
            while self.looks == before:
                self._looked.clear()
                await self._looked.wait()


class Rig:
    """The runner and its surroundings.

    Attributes:
        now: the time, for both clocks.
        slept: what the runner waited for.
    """

    def __init__(self, path, engines, **settings):
        self.now = 1000.0
        self.slept = []
        self.awake = asyncio.Event()
        self.path = path
        self.pool = Pool(engines)
        ids = itertools.count(1)
        new_id = lambda prefix: f"{prefix}{next(ids)}"  # noqa: E731
        media = Media(self.pool, Images(), Documents(), new_id, time.monotonic)
        router = Router(Routing(), MODELS, Homes())
        self.ledger = Ledger(Keeper(path.parent / "ledger.db", LedgerFile), Budget())
        self.gateway = Gateway(
            self.pool,
            router,
            Sessions(10**6),
            new_id,
            Limits(),
            border=Border(Privacy(), Audit(path.parent / "audit.jsonl"), str, b"secret"),
            ledger=self.ledger,
            media=media,
            access=Access(WebSettings(), "", str, str),
        )
        self.runner = Watched(
            self.gateway,
            Keeper(path, BatchFile),
            Batches(**({"file": str(path), "quiet_seconds": 0.0} | settings)),
            lambda prefix: f"{prefix}{next(ids)}",
            clock=lambda: self.now,
            monotonic=lambda: self.now,
            sleep=self.sleep,
        )

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.awake.clear()
        await self.awake.wait()

    @contextlib.asynccontextmanager
    async def running(self):
        async with asyncio.timeout(DEADLINE):
            await self.runner.open()
            await self.pool.start()
            task = asyncio.ensure_future(self.runner.run())
            try:
                await self.runner.look()
                yield self
            finally:
                task.cancel()
                await asyncio.wait((task,))
                await self.runner.aclose()
                await self.ledger.aclose()
        assert task.cancelled(), task.exception()

    async def hand_in(self, *rows, caller=""):
        return await self.runner.accept(caller, rows)

    async def batch(self, batch_id, caller=""):
        return await self.runner.keeper.do(BatchFile.get, caller, batch_id)

    async def ended(self, batch):
        """The batch, once it has ended. Each look at it goes through the runner's own thread."""
        while (found := await self.batch(batch.id)).ended_at is None:
            pass
        return found

    async def until(self, condition):
        while not condition():
            await (
                self.runner.keeper.open()
            )  # a turn of the thread: nothing runs in between that was due before

    async def results(self, batch):
        rows = await self.runner.keeper.do(BatchFile.results, batch.id, 0, 10**6)
        return {row.custom_id: row for row in rows}

    async def outcomes(self, batch):
        return {name: row.outcome for name, row in (await self.results(batch)).items()}

    def person(self, text="a person asks", model="coder"):
        """An answer that is no batch's, as a task."""
        request = dialect("anthropic").parse(params(text, model=model))
        return asyncio.ensure_future(self.gateway.whole(request, Caller(), Receipt()))


@contextlib.asynccontextmanager
async def rig(path, *engines, **settings):
    """It runs; LOOK_SECONDS never pass in a test."""
    before, module.LOOK_SECONDS = module.LOOK_SECONDS, 3600.0
    try:
        async with Rig(path, engines, **settings).running() as built:
            yield built
    finally:
        module.LOOK_SECONDS = before
