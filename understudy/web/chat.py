"""One handler for every chat dialect: parse, ask the gateway, encode; Esc frees the engine."""

import asyncio
import time
from collections.abc import Coroutine
from functools import partial
from typing import cast

from starlette.types import Receive, Scope, Send

from understudy.auth import Caller
from understudy.dialects import ClientDialect, SeveralDialect, SeveralEncoder
from understudy.gateway import Gateway
from understudy.language.errors import EngineLost, UnderstudyError
from understudy.language.request import Request, change
from understudy.observe import metrics
from understudy.relay import Receipt
from understudy.web.asgi import SEND, ClientGone, Visit, read_body, respond
from understudy.web.choices import InTurn, all_whole
from understudy.web.flights import Flight, Sender
from understudy.web.outlet import Outlet

JSON = b"application/json"

Place = tuple[str, str, str, int]
"""A key, a session, its agent, and how long their question is: enough to look for the same question there."""

LOGGED = 200
"""Characters of a model's name in the log: it is the client's, and may be anything."""


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
        self._flights: dict[Place, Flight] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        del send  # the door's own tells what follows the start from the start
        await self.answer(scope, receive, scope[SEND])

    async def answer(self, scope: Scope, receive: Receive, sender: Sender) -> None:
        """One request, whose answer is written to `sender`."""
        visit: Visit = scope["understudy"]
        body = await read_body(scope, receive, self._body_limit)
        request = change(self._dialect.parse(body), asked_at=time.time(), dialect=self._dialect.name)
        visit.log |= {
            "dialect": self._dialect.name,
            "model": request.model[:LOGGED],
            "stream": request.stream,
        }
        place = _place(body, visit.caller)
        flight = self._flights.get(place) if place else None
        if flight is not None and flight.body == body:
            await self._counted(request, visit, Receipt(), flight.join(sender), receive=receive)
        elif place and flight is None:
            await self._fly(place, Flight(body, sender), request, visit, receive)
        else:
            receipt = Receipt()
            work = self._answered(request, visit, receipt, sender)
            await self._counted(request, visit, receipt, work, receive=receive)

    async def _fly(
        self, place: Place, flight: Flight, request: Request, visit: Visit, receive: Receive
    ) -> None:
        """An answer that others may join while it lasts."""
        self._flights[place] = flight
        receipt = Receipt()
        error: Exception | None = EngineLost("whoever asked first was cut off; ask again")
        try:
            work = self._answered(request, visit, receipt, flight)
            await self._counted(request, visit, receipt, work, receive=receive, flight=flight)
            error = None
        except Exception as failure:
            error = failure
            raise
        finally:
            del self._flights[place]
            await flight.land(error)

    async def _counted(
        self,
        request: Request,
        visit: Visit,
        receipt: Receipt,
        work: Coroutine[None, None, str],
        *,
        receive: Receive,
        flight: Flight | None = None,
    ) -> None:
        """Do the work while somebody is there to read it, and say in log and metrics how it ended."""
        metrics.IN_FLIGHT.inc()
        outcome = "cut"
        try:
            outcome = await _while_connected(receive, work, flight)
        except UnderstudyError as error:
            outcome = error.kind
            raise
        except ClientGone:
            outcome = "client left"
            raise
        finally:
            metrics.IN_FLIGHT.dec()
            mode = "stream" if request.stream else "whole"
            metrics.REQUESTS.labels(self._dialect.name, mode, outcome).inc()
            visit.log |= _told(receipt, outcome)
            metrics.ANSWER.observe(time.perf_counter() - receipt.began)

    def _answered(
        self, request: Request, visit: Visit, receipt: Receipt, send: Sender
    ) -> Coroutine[None, None, str]:
        work = self._stream if request.stream else self._whole
        return work(request, visit, receipt, send)

    async def _whole(self, request: Request, visit: Visit, receipt: Receipt, send: Sender) -> str:
        messages = await all_whole(self._gateway, request, visit.caller, receipt)
        if request.n > 1:
            body = cast("SeveralDialect", self._dialect).several(messages, request, request.model)
        else:
            taken_for = change(request, task=request.task or receipt.task)
            body = self._dialect.whole(messages[0], taken_for, request.model)
        await respond(send, 200, JSON, body, receipt.headers())
        return messages[0].stop_reason

    async def _stream(self, request: Request, visit: Visit, receipt: Receipt, send: Sender) -> str:
        encoder = self._dialect.encoder(request, request.model)
        outlet = Outlet(self._dialect, encoder, receipt, send, visit.request_id)
        asked = self._gateway, request, visit.caller, receipt
        async with outlet.pinging(self._ping_seconds):
            if request.n > 1:
                several = cast("SeveralEncoder", encoder)
                return await outlet.pour(InTurn(*asked, outlet=outlet, encoder=several).answer)
            return await outlet.pour(partial(Gateway.answer, *asked))


def _place(body: bytes, caller: Caller) -> Place | None:
    """Where a request that was sent twice is looked for; None where no client says which conversation it belongs to."""
    return (caller.key, caller.session, caller.agent, len(body)) if caller.session else None


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


async def _while_connected(
    receive: Receive, work: Coroutine[None, None, str], flight: Flight | None = None
) -> str:
    """Do the work, and stop at once when the client leaves, unless others joined: a model must not compute for nobody.

    Raises:
        ClientGone: the client left first.
        UnderstudyError: whatever the work raises.
    """
    me, gone = asyncio.current_task(), False

    def left(watch: asyncio.Future[None]) -> None:
        if working and not watch.cancelled() and not (flight is not None and flight.leave()):
            stop()

    def stop() -> None:
        nonlocal gone
        if working and not gone and me is not None:
            gone = True
            me.cancel()

    working = True
    if flight is not None:
        flight.on_empty = stop
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
