"""A streamed response: events written as they are told, pings in their silences, and an end in every case.

Nearly every write to a client is done the moment it is asked for, and then no task is woken for it. Only for a client
that reads slowly is there something to wait for: whoever tells us more waits for it (see `Listener`), down to the engine.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from types import coroutine

from starlette.types import Message

from understudy.dialects import ClientDialect, Encoder
from understudy.language.errors import UnderstudyError
from understudy.language.events import Event, Failed, Listener, MessageStop, Slow, told
from understudy.relay import Receipt
from understudy.web.asgi import bug
from understudy.web.flights import Sender

NOW = float("inf")
"""When something was said last, while it is being said: a slow client gets no pile of pings."""


class Outlet:
    """The response: its headers go out with the first byte there is to say."""

    def __init__(
        self, dialect: ClientDialect, encoder: Encoder, receipt: Receipt, send: Sender, request_id: str
    ) -> None:
        self._dialect = dialect
        self._encoder = encoder
        self._receipt = receipt
        self._start = send
        self._send = send.plain
        self._request_id = request_id
        self._started = False
        self._outcome = ""
        self._last = time.monotonic()
        self._ping: asyncio.Future[None] | None = None

    async def pour(self, answer: Callable[[Listener], Awaitable[None]]) -> str:
        """Write the whole answer; gives how it ended.

        Raises:
            UnderstudyError: nothing was written yet: the error gets a status of its own.
        """
        try:
            await answer(self)
        except UnderstudyError as error:
            if not self._started:
                raise
            await told(self, [Failed(error)])
        except Exception as error:
            if self._started:
                await told(self, [Failed(bug(error, self._request_id))])
                await self._end()
            raise  # the door logs it
        await self._end()
        return self._outcome

    def more(self, text: str) -> Slow:
        """See `Listener`."""
        data = self._encoder.more(text)
        return self._write(data) if self._ping is None else self.write(data)

    def tell(self, events: list[Event]) -> Slow:
        """See `Listener`."""
        if self._outcome:
            return None  # nothing is written after the last event
        self._outcome = _ending(events[-1])
        data = self._encoder.encode(events)
        return self.write(data) if data else None

    def write(self, data: bytes) -> Slow:
        """The next bytes."""
        if self._ping is not None and not self._ping.done():
            return self._write_after(self._ping, data)
        return self._write(data)

    def _write(self, data: bytes) -> Slow:
        """The next bytes; gives what is left of it where the client is slow."""
        piece: Message = {"type": "http.response.body", "body": data, "more_body": True}
        steps = (self._send(piece) if self._started else self._begin(piece)).__await__()
        try:
            first = next(steps)
        except StopIteration:
            self._last = time.monotonic()
            return None
        self._last = NOW
        return self._finish(_going_on(steps, first))

    async def _finish(self, write: Awaitable[None]) -> None:
        await write
        self._last = time.monotonic()

    async def _write_after(self, ping: asyncio.Future[None], data: bytes) -> None:
        """Nothing overtakes a ping that is on its way."""
        await asyncio.wait((ping,))
        if (slow := self._write(data)) is not None:
            await slow

    async def _begin(self, first: Message) -> None:
        self._started = True
        headers = [
            (b"content-type", self._dialect.stream_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            *self._receipt.headers(),
        ]
        await self._start({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send(first)

    async def _end(self) -> None:
        """An answer without an end of its own is cut."""
        self._outcome = self._outcome or "cut"
        if self._ping is not None:
            await asyncio.wait((self._ping,))
        await self._send({"type": "http.response.body", "body": b""})

    @asynccontextmanager
    async def pinging(self, seconds: float) -> AsyncGenerator[None, None]:
        """Break every silence: clients give up on it (Claude Code after 300 s), and a slow prefill is silent for longer.

        A timer and no task: most answers never need a ping.
        """
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, lambda: look())  # noqa: PLW0108 - it is defined below

        def look() -> None:
            nonlocal timer
            silent = max(0.0, time.monotonic() - self._last)
            if silent >= seconds and not self._outcome:
                silent = 0.0
                if (slow := self._write(self._encoder.ping)) is not None:
                    self._ping = asyncio.ensure_future(slow)
            timer = loop.call_later(seconds - silent, look)

        try:
            yield
        finally:
            timer.cancel()
            if self._ping is not None:
                self._ping.cancel()
                await asyncio.wait((self._ping,))
                if not self._ping.cancelled():
                    self._ping.result()


@coroutine
def _going_on(steps: Generator[object, None, None], first: object) -> Generator[object, None, None]:
    """What is left of an awaitable that was begun outside of any task: `first` is what it waits for."""
    yield first
    yield from steps


def _ending(event: Event) -> str:
    """How the answer ended, if this event ends it."""
    if isinstance(event, MessageStop):
        return event.stop_reason
    return event.error.kind if isinstance(event, Failed) else ""
