"""The runner of batches: takes waiting requests from the disk, asks the gateway, and writes down what became of them.

The requests of a batch go in their order, lane by lane (a lane: one batch, one model), so that those which share a prefix
follow each other. Each is asked by a hand, and a hand's requests are one session to the gateway: they keep to one engine and
one of its slots. An engine that is down or busy is waited for; only expiry ends that. Until a result is on the disk its
request counts as not asked: a crash, a stop, or a person who needs the engine cost time, never an answer.
"""

import asyncio
import math
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from understudy.auth import Caller
from understudy.batching.room import Room
from understudy.config import Batches
from understudy.dialects import NewId, dialect
from understudy.gateway import Gateway
from understudy.language.batch import Batch, Entry, Outcome
from understudy.language.errors import BadRequest, Bug, EngineBusy, KeptHere, NoTarget, UnderstudyError
from understudy.language.request import Request, change
from understudy.observe import metrics
from understudy.observe.log import logger
from understudy.relay import Receipt
from understudy.store.batches import BatchFile, Lane, Work
from understudy.store.sqlite import Keeper, StoreError

LOOK_SECONDS = 1.0
"""Between two looks at the engines while requests wait."""
IDLE_SECONDS = 3600.0
"""The longest rest: the clock may have been set meanwhile."""
LANES = 64
"""Looked at together: a batch may name a hundred thousand models."""
STORE_SECONDS = 5.0
"""Before the disk is tried again."""
LONGEST_PAUSE = 300.0
"""Seconds between two tries of an engine that fails."""

_ANTHROPIC = dialect("anthropic")


class Pace:
    """How a lane goes: when it may go on, which engine answered each of its hands, and how often a request lost its own."""

    def __init__(self) -> None:
        self.failures = 0
        self.not_before = -math.inf
        self.homes: dict[int, str] = {}
        self.tries: dict[int, int] = {}


class Run:
    """One request being asked.

    Attributes:
        engine: the one that is to answer, or answers; "" for none.
        stage: on its way to an engine, answered by it, giving way, or back.
    """

    def __init__(self, lane: Lane, work: Work, hand: int, engine: str) -> None:
        self.lane = lane
        self.work = work
        self.hand = hand
        self.engine = engine
        self.stage: Literal["coming", "flying", "leaving", "over"] = "coming"

    def moved(self, engine: str) -> None:
        """An engine takes it, or lets it go; another may take it then."""
        if self.stage == "coming":
            self.stage, self.engine = "flying", engine
        elif self.stage == "flying":
            self.stage = "coming"


class Runner:
    """See the module.

    Args:
        gateway: who answers.
        keeper: the file.
        settings: `[batches]` of the settings.
        new_id: makes ids from their prefix.
        clock: seconds since 1970.
        monotonic: a clock that never goes back.
        sleep: waits.
    """

    def __init__(
        self,
        gateway: Gateway,
        keeper: Keeper[BatchFile],
        settings: Batches,
        new_id: NewId,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.keeper = keeper
        self._gateway = gateway
        self._settings = settings
        self._new_id = new_id
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._room = Room(gateway.pool, settings.quiet_seconds, monotonic)
        self._keep_seconds = settings.keep_days * 86400
        self._lanes: dict[Lane, Pace] = {}
        self._runs: dict[asyncio.Task[None], Run] = {}
        self._news = asyncio.Event()
        self._changed = False
        self._deadline = math.inf
        gateway.pool.on_move = self._moved

    @property
    def answering(self) -> int:
        """How many requests an engine is answering now."""
        return sum(run.stage in ("flying", "leaving") for run in self._runs.values())

    async def open(self) -> None:
        """Open the file, if there is one or the settings name one; the usual one is made with the first batch.

        Raises:
            StoreError: it cannot be used.
        """
        if self._settings.file or self.keeper.path.exists():
            await self.keeper.open()
            self._changed = True

    async def accept(self, caller: str, entries: Sequence[Entry]) -> Batch:
        """Take a new batch: it is on the disk when this returns."""
        now = self._clock()
        expires_at = now + self._settings.expire_hours * 3600
        batch = await self.keeper.do(
            BatchFile.add, self._new_id("msgbatch_"), caller, entries, now, expires_at
        )
        self._look_again()
        return batch

    async def cancel(self, caller: str, batch_id: str) -> Batch | None:
        """End a batch before its time; what is being asked is stopped."""
        batch = await self.keeper.do(BatchFile.cancel, caller, batch_id, self._clock())
        self._look_again()
        return batch

    async def run(self) -> None:
        """Work until cancelled; what is being asked then stays waiting."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._settle()
                    self._give_way()
                    await self._fill(group)
                except StoreError as error:
                    logger().error("batches wait for the disk", detail=error.message)
                    self._changed = True
                    await self._sleep(STORE_SECONDS)
                await self._rest()

    async def aclose(self) -> None:
        """Close the file."""
        await self.keeper.aclose()

    # -- when something changes ---------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look now."""
        self._news.set()

    def _look_again(self) -> None:
        """At the file, too."""
        self._changed = True
        self.wake()

    def _moved(self, engine: str) -> None:
        """An answer began or ended at that engine, a batch's or somebody else's."""
        task = asyncio.current_task()
        run = self._runs.get(task) if task else None
        if run is None:
            self._room.others_asked(engine)
        else:
            run.moved(engine)
        if self._lanes and (run or self._room.crowd(engine) or self._room.free(engine)):
            self.wake()

    async def _rest(self) -> None:
        seconds = LOOK_SECONDS
        if not self._lanes:
            seconds = min(max(self._deadline - self._clock(), LOOK_SECONDS), IDLE_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    # -- one look -----------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """End what was canceled or has expired, drop what is old, and see where requests wait."""
        now = self._clock()
        if not self._changed and now < self._deadline:
            return
        self._changed = False
        do = self.keeper.do
        for batch_id, outcome in await do(BatchFile.overdue, now):
            await self._stop(batch_id)
            closed = await do(BatchFile.close_batch, batch_id, outcome, now)
            metrics.BATCH_REQUESTS.labels(outcome).inc(closed)
        await do(BatchFile.archive, now - self._keep_seconds, now)
        deadline = await do(BatchFile.next_deadline, self._keep_seconds)
        self._deadline = math.inf if deadline is None else deadline
        self._lanes = {lane: self._lanes.get(lane) or Pace() for lane in await do(BatchFile.lanes, LANES)}
        metrics.BATCH_WAITING.set(await do(BatchFile.waiting))

    async def _stop(self, batch_id: str) -> None:
        tasks = [task for task, run in self._runs.items() if run.lane.batch == batch_id]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _give_way(self) -> None:
        """Where people wait for an engine, the newest requests of batches leave it: they have the least to lose."""
        for engine in {run.engine for run in self._runs.values() if run.stage == "flying"}:
            there = [(task, run) for task, run in self._runs.items() if run.engine == engine]
            leaving = sum(run.stage == "leaving" for _, run in there)
            flying = [(task, run) for task, run in there if run.stage == "flying"]
            for task, run in flying[::-1][: max(0, self._room.crowd(engine) - leaving)]:
                run.stage = "leaving"
                task.cancel()
                metrics.BATCH_AGAIN.labels("gave way").inc()

    async def _fill(self, group: asyncio.TaskGroup) -> None:
        """Ask as much as there is room for, but come to an end however fast an engine is: others want to be heard, too."""
        for lane, pace in list(self._lanes.items()):
            for _ in range(self._settings.concurrency):
                if not await self._begin(lane, pace, group):
                    break
                if self._changed:
                    return
            else:
                self.wake()

    async def _begin(self, lane: Lane, pace: Pace, group: asyncio.TaskGroup) -> bool:
        """Ask the lane's next request, if there is one and room for it."""
        if self._way(lane, pace) is None:
            return False
        asked = {run.work.number for run in self._runs.values()}
        work = await self.keeper.do(BatchFile.next, lane, asked)
        if work is None:
            if all(run.lane != lane for run in self._runs.values()):
                del self._lanes[lane]
                self._look_again()  # there may be more lanes than are looked at
            return False
        way = self._way(lane, pace)
        if way is None:  # somebody came meanwhile
            return False
        run = Run(lane, work, *way)
        task = group.create_task(self._ask(run, pace))
        self._runs[task] = run
        task.add_done_callback(self._over)
        return True

    def _over(self, task: asyncio.Task[None]) -> None:
        del self._runs[task]
        self.wake()

    def _way(self, lane: Lane, pace: Pace) -> tuple[int, str] | None:
        """Which hand may ask the lane's next request, and the engine that will answer it; None to wait."""
        if len(self._runs) >= self._settings.concurrency or self._monotonic() < pace.not_before:
            return None
        engines = self._engines(lane)
        if not engines:
            return None
        busy = {run.hand for run in self._runs.values() if run.lane == lane and run.stage != "over"}
        for hand in range(self._settings.concurrency):
            home = pace.homes.get(hand, "")
            engine = home if home in engines else engines[0]
            if hand not in busy and (not engine or self._room.free(engine, self._coming(engine))):
                return hand, engine
        return None

    def _engines(self, lane: Lane) -> list[str]:
        """The engines that may answer the lane, the best first; none to wait, "" where only a refusal is to be had."""
        try:
            targets = self._gateway.answerers(lane.model)
        except EngineBusy:
            return []
        except (NoTarget, KeptHere):
            standing = self._gateway.pool.snapshot()
            unknown = any(row.state not in {"up", "held"} and not row.models for row in standing)
            return [] if unknown else [""]
        return list(dict.fromkeys(target.engine for target in targets))

    def _coming(self, engine: str) -> int:
        return sum(run.stage == "coming" and run.engine == engine for run in self._runs.values())

    # -- one request --------------------------------------------------------------------------------------------

    async def _ask(self, run: Run, pace: Pace) -> None:
        """One request, until its result is on the disk or it is put off."""
        receipt = Receipt()
        try:
            outcome, payload = await self._answered(run, pace, receipt)
        except UnderstudyError as error:
            self._put_off(pace, error)
            return
        finally:
            run.stage = "over"
            if receipt.target is not None:
                pace.homes[run.hand] = receipt.target.engine
        pace.failures = 0
        pace.tries.pop(run.work.number, None)
        await self._write_down(run, outcome, payload)

    async def _answered(self, run: Run, pace: Pace, receipt: Receipt) -> tuple[Outcome, bytes]:
        """What became of it, and the message or the error.

        Raises:
            UnderstudyError: nothing yet; it may be asked again.
        """
        request_id = self._new_id("req_")
        caller = Caller(run.lane.caller, f"{run.lane.batch}/{run.hand}", request_class="batch")
        try:
            request = _read(run.work.params)
            message = await self._gateway.whole(request, caller, receipt)
            answer = _ANTHROPIC.whole(message, request, request.model)
        except UnderstudyError as error:
            if error.retryable and not self._tired(pace, run.work.number, error):
                raise
            fault = _bug(error, request_id) if isinstance(error, Bug) else error
        except Exception as error:  # noqa: BLE001 - one request's bug is not the others'
            fault = _bug(error, request_id)
        else:
            _log(run, receipt, request_id, message.stop_reason)
            return "succeeded", answer
        _log(run, receipt, request_id, fault.kind)
        return "errored", _ANTHROPIC.error(fault, request_id)

    def _tired(self, pace: Pace, number: int, error: UnderstudyError) -> bool:
        """Whether this request has lost its engine too often: it may be what ends it. A busy engine never worked on it."""
        if isinstance(error, EngineBusy):
            return False
        pace.tries[number] = pace.tries.get(number, 0) + 1
        return pace.tries[number] >= self._settings.tries

    def _put_off(self, pace: Pace, error: UnderstudyError) -> None:
        """The lane waits, longer from time to time; what failed together counts once."""
        now = self._monotonic()
        if now >= pace.not_before:
            seconds = min(2.0**pace.failures, LONGEST_PAUSE)
            pace.failures = min(pace.failures + 1, 16)
            pace.not_before = now + max(seconds, error.retry_after or 0.0)
        metrics.BATCH_AGAIN.labels(type(error).__name__).inc()

    async def _write_down(self, run: Run, outcome: Outcome, payload: bytes) -> None:
        """Once it is on the disk it is never asked again; while the disk fails, the answer is kept for it."""
        while True:
            try:
                await self.keeper.do(BatchFile.finish, run.work.number, outcome, payload, self._clock())
            except StoreError as error:
                logger().error("a batch's result waits for the disk", detail=error.message)
                await self._sleep(STORE_SECONDS)
            else:
                break
        metrics.BATCH_REQUESTS.labels(outcome).inc()
        metrics.BATCH_WAITING.dec()


def _read(params: bytes) -> Request:
    """The question. Raises BadRequest."""
    request = change(_ANTHROPIC.parse(params), dialect=_ANTHROPIC.name)
    if request.stream:
        raise BadRequest("stream: a request of a batch cannot be streamed; leave it out")
    return request


def _bug(error: Exception, request_id: str) -> Bug:
    """A fault of ours, logged; nothing is told that may quote a prompt."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger().error("bug", kind=type(error).__name__, request_id=request_id, frames=frames)
    return Bug(f"{type(error).__name__} in understudy; its log has more under {request_id}")


def _log(run: Run, receipt: Receipt, request_id: str, outcome: str) -> None:
    """One line a request, as for those that come one by one."""
    logger().info(
        "batch request",
        batch=run.lane.batch,
        request_id=request_id,
        outcome=outcome,
        target=str(receipt.target or ""),
        seconds=round(time.perf_counter() - receipt.began, 3),
        prefix=receipt.prefix,
        input_tokens=receipt.usage.input_tokens,
        cached_tokens=receipt.usage.cached_tokens,
        output_tokens=receipt.usage.output_tokens,
    )
