"""Answers that go on when their client has left: one task each, and everybody who wants to may read along."""

import asyncio
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from understudy.dialects import Encoder, Exchange
from understudy.language.errors import Refused, UnderstudyError
from understudy.language.events import Event, Failed, Listener, MessageStop, TextDelta, told
from understudy.observe import metrics
from understudy.observe.log import logger
from understudy.relay import Receipt
from understudy.web.asgi import bug

AT_ONCE = 64
"""Answers that are worked on at the same time."""
REMEMBERED = 64
"""Answers that have ended and can still be read along from their beginning."""

Key = tuple[str, str]
"""The caller's key, and the answer's id."""


class Work:
    """One answer; the gateway tells it, as a `Listener`.

    Args:
        exchange: whose answer it is.
        answer: where it comes from.
        ended: is awaited when nothing more will come.
        receipt: what becomes of it.
        request_id: under which the log has it.

    Attributes:
        over: whether it has ended.
    """

    def __init__(
        self,
        exchange: Exchange,
        answer: Callable[[Listener], Awaitable[None]],
        ended: Callable[[], Awaitable[None]],
        receipt: Receipt,
        request_id: str,
    ) -> None:
        self.exchange = exchange
        self.receipt = receipt
        self.over = False
        self._writer = self.reader()
        self._ended = ended
        self._request_id = request_id
        self._batches: list[list[Event]] = []
        self._news = asyncio.Event()
        self._task = asyncio.ensure_future(self._run(answer))

    def reader(self) -> Encoder:
        """Writes the answer for one who reads along."""
        request = self.exchange.parse(b"")
        return self.exchange.encoder(request, request.model)

    async def follow(self, listener: Listener) -> None:
        """Tell every batch from the first on, those to come included."""
        place = 0
        while place < len(self._batches) or not self.over:
            if place < len(self._batches):
                await told(listener, self._batches[place])
                place += 1
            else:
                await self._news.wait()

    async def cancel(self) -> None:
        """End it; the engine is free at once."""
        if not self._task.cancelling():  # once: what it has become must still be kept
            self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self, answer: Callable[[Listener], Awaitable[None]]) -> None:
        metrics.IN_FLIGHT.inc()
        try:
            await answer(self)
        except UnderstudyError as error:
            self.tell([Failed(error)])
        except asyncio.CancelledError:
            self.exchange.cancelled()
        except Exception as error:  # noqa: BLE001 - the last line of defence: nobody awaits this task
            frames = "".join(traceback.format_tb(error.__traceback__))  # no message: it may quote a prompt
            logger().error("bug", kind=type(error).__name__, request_id=self._request_id, frames=frames)
            self.tell([Failed(bug(error, self._request_id))])
        finally:
            metrics.IN_FLIGHT.dec()
            await self._ended()
            self._end()

    def more(self, text: str) -> None:
        """See `Listener`."""
        self.tell([TextDelta(text)])

    def tell(self, batch: list[Event]) -> None:
        """See `Listener`."""
        self._writer.encode(batch)
        self._batches.append(batch)
        self._wake()

    def _end(self) -> None:
        """Whoever reads along is told, even if the answer itself says nothing of it; and so is the log."""
        last = self._batches[-1][-1] if self._batches else None
        match last:
            case MessageStop(reason):
                outcome: str = reason
            case Failed(error):
                outcome = error.kind
            case _:
                outcome = "cancelled"
                self._batches.append([Failed(UnderstudyError("the response was cancelled"))])
        self.over = True
        self._wake()
        metrics.REQUESTS.labels(self.exchange.name, "background", outcome).inc()
        usage, target = self.receipt.usage, str(self.receipt.target or "")
        logger().info(
            "answered",
            request_id=self._request_id,
            outcome=outcome,
            target=target,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
        )

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Background:
    """All answers in the background."""

    def __init__(self) -> None:
        self._works: OrderedDict[Key, Work] = OrderedDict()

    async def start(self, key: Key, make: Callable[[], Work]) -> Work:
        """Begin an answer.

        Raises:
            Refused: there are too many.
        """
        going = sum([not work.over for work in self._works.values()])
        if going >= AT_ONCE:
            raise Refused(f"{going} answers are worked on in the background: come again when one has ended")
        work = self._works[key] = make()
        for old in [name for name, one in self._works.items() if one.over][:-REMEMBERED]:
            del self._works[old]
        await asyncio.sleep(0)  # it has begun: a task that is cancelled before would end without a word
        return work

    def find(self, key: Key) -> Work | None:
        """The answer, if it is worked on or has ended a short while ago."""
        return self._works.get(key)

    def forget(self, key: Key) -> None:
        """Nobody may read it any more."""
        self._works.pop(key, None)

    async def aclose(self) -> None:
        """End all of them."""
        for work in list(self._works.values()):
            await work.cancel()
