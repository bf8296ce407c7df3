"""One handler for every chat dialect: parse, ask the gateway, encode; pings while it is silent; Esc frees the engine."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, asynccontextmanager

from starlette.types import Receive, Scope, Send

from understudy.dialects import ClientDialect, Encoder
from understudy.gateway import Gateway, Receipt
from understudy.language.errors import UnderstudyError
from understudy.language.events import Event, Failed, MessageStop
from understudy.language.request import Request
from understudy.observe import metrics
from understudy.web.asgi import ClientGone, Visit, bug, read_body, respond

JSON = b"application/json"

LOGGED = 200
"""Characters of a model's name in the log: it is the client's, and may be anything."""
NOW = float("inf")
"""When something was said last, while it is being said."""


class ChatEndpoint:
    """A plain ASGI application for `POST` of one dialect's chat request.

    Args:
        dialect: the client's language.
        gateway: who answers.
        body_limit: bytes.
        ping_seconds: the longest silence a client has to bear.
    """

    def __init__(
        self, dialect: ClientDialect, gateway: Gateway, body_limit: int, ping_seconds: float
    ) -> None:
        self._dialect = dialect
        self._gateway = gateway
        self._body_limit = body_limit
        self._ping_seconds = ping_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        visit: Visit = scope["understudy"]
        request = self._dialect.parse(await read_body(scope, receive, self._body_limit))
        receipt = Receipt()
        name = request.model[:LOGGED]
        visit.log |= {"dialect": self._dialect.name, "model": name, "stream": request.stream}
        metrics.IN_FLIGHT.inc()
        began = time.perf_counter()
        outcome = "cut"
        try:
            work = self._stream if request.stream else self._whole
            outcome = await _while_connected(receive, work(request, visit, receipt, send))
        except UnderstudyError as error:
            outcome = error.kind
            raise
        except ClientGone:
            outcome = "client left"
            raise
        finally:
            metrics.IN_FLIGHT.dec()
            metrics.REQUESTS.labels(
                self._dialect.name, "stream" if request.stream else "whole", outcome
            ).inc()
            visit.log |= _told(receipt, outcome)
            metrics.ANSWER.observe(time.perf_counter() - began)

    async def _whole(self, request: Request, visit: Visit, receipt: Receipt, send: Send) -> str:
        message = await self._gateway.whole(request, visit.caller, receipt)
        body = self._dialect.whole(message, request, request.model)
        await respond(send, 200, JSON, body, receipt.headers())
        return message.stop_reason

    async def _stream(self, request: Request, visit: Visit, receipt: Receipt, send: Send) -> str:
        encoder = self._dialect.encoder(request, request.model)
        outlet = Outlet(self._dialect, encoder, receipt, send, visit.request_id)
        batches = self._gateway.answer(request, visit.caller, receipt)
        async with outlet.pinging(self._ping_seconds):
            return await outlet.pour(batches)


class Outlet:
    """The streamed response: its headers go out with the first byte there is to say."""

    def __init__(
        self, dialect: ClientDialect, encoder: Encoder, receipt: Receipt, send: Send, request_id: str
    ) -> None:
        self._dialect = dialect
        self._encoder = encoder
        self._receipt = receipt
        self._send = send
        self._request_id = request_id
        self._ping = asyncio.Lock()
        self._started = False
        self._over = False
        self._last = time.monotonic()

    async def pour(self, batches: AsyncGenerator[list[Event], None]) -> str:
        """Write the whole answer; gives how it ended.

        Raises:
            UnderstudyError: nothing was written yet: the error gets a status of its own.
        """
        outcome = ""
        try:
            async with aclosing(batches):
                async for batch in batches:
                    outcome = outcome or _ending(batch)
                    self._over = bool(outcome)  # no ping may follow the last event
                    if data := self._encoder.encode(batch):
                        await self.write(data)
        except UnderstudyError as error:
            if not self._started:
                raise
            outcome = await self._fail(error)
        except Exception as error:
            if self._started:
                await self._fail(bug(error, self._request_id))
                await self._end()
            raise  # the door logs it
        await self._end()
        return outcome or "cut"

    async def _fail(self, error: UnderstudyError) -> str:
        """Something was written before, if only a ping: too late for a status."""
        self._over = True
        if data := self._encoder.encode([Failed(error)]):
            await self.write(data)
        return error.kind

    async def _end(self) -> None:
        self._over = True
        await self._send({"type": "http.response.body", "body": b""})

    async def write(self, data: bytes) -> None:
        """The next piece of the answer."""
        if self._ping.locked():  # one is on its way, and nothing overtakes it
            async with self._ping:
                pass
        self._last = NOW  # nobody is silent while a slow client reads: it gets no pile of pings
        if not self._started:
            await self._begin()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._last = time.monotonic()

    async def _begin(self) -> None:
        self._started = True
        headers = [
            (b"content-type", self._dialect.stream_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            *self._receipt.headers(),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    @asynccontextmanager
    async def pinging(self, seconds: float) -> AsyncGenerator[None, None]:
        """Break every silence: clients give up on it (Claude Code after 300 s), and a slow prefill is silent for longer.

        A timer and no task: most answers never need a ping.
        """
        loop = asyncio.get_running_loop()
        ping: asyncio.Future[None] | None = None
        timer = loop.call_later(seconds, lambda: look())  # noqa: PLW0108 - it is defined below

        def look() -> None:
            nonlocal ping, timer
            silent = max(0.0, time.monotonic() - self._last)
            if silent >= seconds and not self._over:
                silent = 0.0
                if ping is None or ping.done():
                    ping = asyncio.ensure_future(self._send_ping())
            timer = loop.call_later(seconds - silent, look)

        try:
            yield
        finally:
            timer.cancel()
            if ping is not None:
                ping.cancel()
                await asyncio.wait((ping,))
                if not ping.cancelled():
                    ping.result()

    async def _send_ping(self) -> None:
        async with self._ping:
            if not self._started:
                await self._begin()
            await self._send({"type": "http.response.body", "body": self._encoder.ping, "more_body": True})
        self._last = time.monotonic()


def _ending(batch: list[Event]) -> str:
    """How the answer ended, if this batch ends it."""
    last = batch[-1]
    if isinstance(last, MessageStop):
        return last.stop_reason
    return last.error.kind if isinstance(last, Failed) else ""


def _told(receipt: Receipt, outcome: str) -> dict[str, object]:
    usage = receipt.usage
    return {
        "outcome": outcome,
        "target": str(receipt.target or ""),
        "prefix": receipt.prefix,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }


async def _while_connected(receive: Receive, work: Coroutine[None, None, str]) -> str:
    """Do the work, and stop at once when the client leaves: a model must not compute for nobody.

    Raises:
        ClientGone: the client left first.
        UnderstudyError: whatever the work raises.
    """
    me, gone = asyncio.current_task(), False

    def left(watch: asyncio.Future[None]) -> None:
        nonlocal gone
        if working and me is not None and not watch.cancelled():
            gone = True
            me.cancel()

    working = True
    watch = asyncio.ensure_future(_disconnect(receive))
    watch.add_done_callback(left)
    try:
        return await work
    except asyncio.CancelledError:
        if gone and me is not None and me.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        working = False
        watch.cancel()  # not awaited: it holds nothing, and the loop's next turn ends it


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
