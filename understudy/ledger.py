"""What is spent outside the house, and what answers from inside save: counted as they come, and kept.

    ledger.left()             "" while there is a budget; else why nothing more may be spent, in words
    with ledger.hold(...):    what an answer will cost at least, while nobody knows the rest
    ledger.enter(...)         an answer is over, or as much of it as there was

Days are those of UTC. Sums are kept in memory and on the disk: what is spent at once, what is saved within seconds, since a
write costs as much as an answer. A file that fails is said in the log, and stops nobody.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from understudy.config import Budget
from understudy.language.errors import UnderstudyError
from understudy.language.events import Usage
from understudy.language.price import Price, cost_at, dollars
from understudy.language.target import Target
from understudy.observe import metrics
from understudy.observe.log import logger
from understudy.routing.prices import DEAREST, cost, price
from understudy.store.ledger import LedgerFile, Row, Spent
from understudy.store.sqlite import Keeper

WRITE_SECONDS = 2.0
"""How long what was saved may wait for the disk."""
DAY_SECONDS = 86_400
DAY = "today's budget of {} is spent until midnight UTC"
MONTH = "the month's budget of {} is spent"


class Ledger:
    """Counts.

    Args:
        keeper: the file.
        settings: `[budget]`.
        clock: seconds since 1970.
    """

    def __init__(
        self, keeper: Keeper[LedgerFile], settings: Budget, clock: Callable[[], float] = time.time
    ) -> None:
        self._keeper = keeper
        self._settings = settings
        self._prices: Mapping[str, Price] = settings.prices
        self._clock = clock
        self._spent = Spent()
        self._held_dollars = 0.0
        self._held_tokens = 0
        self._unwritten: dict[tuple[object, ...], Row] = {}
        self._day = -1, ""
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Read what was spent before, where there is a file.

        Raises:
            StoreError: it cannot be used.
        """
        if self._settings.file or self._keeper.path.exists():
            self._spent = await self._keeper.do(LedgerFile.spent, self._today())

    async def aclose(self) -> None:
        """Everything is written down; the file is let go of."""
        self._write()
        await self._keeper.aclose()

    def left(self) -> str:
        """Why nothing more may be spent, in words; "" where it may."""
        limits, spent = self._settings, self._spent.on(self._today())
        money, tokens = self._held_dollars, self._held_tokens
        rows = (
            (limits.day_dollars, spent.day_dollars + money, dollars, DAY),
            (limits.month_dollars, spent.month_dollars + money, dollars, MONTH),
            (limits.day_tokens, spent.day_tokens + tokens, "{:,} tokens".format, DAY),
            (limits.month_tokens, spent.month_tokens + tokens, "{:,} tokens".format, MONTH),
        )
        return next(
            (words.format(say(limit)) for limit, used, say, words in rows if limit and used >= limit), ""
        )

    @contextmanager
    def hold(self, target: Target, prompt_tokens: int) -> Generator[None, None, None]:
        """While an answer from outside lasts, its prompt counts as spent."""
        row = price(target.model.id, self._prices) or DEAREST
        least = cost_at(row, Usage(prompt_tokens))
        self._held_dollars += least
        self._held_tokens += prompt_tokens
        try:
            yield
        finally:
            self._held_dollars -= least
            self._held_tokens -= prompt_tokens

    def enter(
        self, target: Target, usage: Usage, *, asked: str, key: str = "", task: str = "", outside: bool
    ) -> None:
        """An answer.

        Args:
            target: who gave it.
            usage: its tokens.
            asked: the model that the client named.
            key: the caller's, by its short name.
            task: what was asked for.
            outside: whether it came from outside the house.
        """
        if not (usage.input_tokens or usage.output_tokens):
            return
        instead, worth = self._price(target, asked, usage, outside=outside)
        today = self._today()
        if outside:
            metrics.SPENT.labels(task or "none").inc(worth)
            tokens = usage.input_tokens + usage.output_tokens
            self._spent = self._spent.on(today).plus(worth, tokens)
        self._keep(
            Row(
                *(today, key, task, str(target), outside, instead, 1),
                *(usage.input_tokens, usage.cached_tokens or 0, usage.output_tokens, worth),
            )
        )
        if outside:
            self._write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._write)

    async def rows(self, days: int) -> list[Row]:
        """What was counted in these last days, today among them.

        Raises:
            StoreError: the file cannot be used.
        """
        self._write()
        first = datetime.fromtimestamp(self._clock(), UTC) - timedelta(days=days - 1)
        return await self._keeper.do(LedgerFile.rows, first.date().isoformat())

    def _price(self, target: Target, asked: str, usage: Usage, *, outside: bool) -> tuple[str, float]:
        """By which model's price an answer counts, and what it comes to."""
        if outside:
            spent = cost(target.model.id, usage, self._prices)
            return target.model.id, cost_at(DEAREST, usage) if spent is None else spent
        for name in (asked, self._settings.compare):
            if (saved := cost(name, usage, self._prices)) is not None:
                return name, saved
        return "", 0.0

    def _keep(self, row: Row) -> None:
        known = self._unwritten.get(row.name)
        self._unwritten[row.name] = row if known is None else known.plus(row)

    def _write(self) -> None:
        """Hand over what is not on the disk yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._unwritten:
            return
        rows, self._unwritten = tuple(self._unwritten.values()), {}
        done = asyncio.wrap_future(self._keeper.post(LedgerFile.add, rows, self._today()))
        done.add_done_callback(partial(self._written, rows))

    def _written(self, rows: Iterable[Row], done: "asyncio.Future[Spent]") -> None:
        """What the file says now has other gateways' answers, too, but not yet those of ours that come behind these.

        Rows that could not be written are kept for the next time.
        """
        error = done.exception()
        if error is None:
            for row in rows:
                if not row.outside:
                    metrics.SAVED.labels(row.task or "none").inc(row.dollars)
            found = done.result()
            if found.day >= self._spent.day and found.month_tokens > self._spent.on(found.day).month_tokens:
                self._spent = found
        elif isinstance(error, UnderstudyError):
            for row in rows:
                self._keep(row)
            logger().error("ledger", problem=error.message)
        else:
            raise error

    def _today(self) -> str:
        day = int(self._clock() // DAY_SECONDS)
        if day != self._day[0]:
            self._day = day, datetime.fromtimestamp(day * DAY_SECONDS, UTC).date().isoformat()
        return self._day[1]
