"""One handler for every chat dialect: parse, ask the gateway, encode; Esc frees the engine."""

import asyncio
import time
from collections.abc import Coroutine
from functools import partial

from starlette.types import Receive, Scope, Send

from understudy.dialects import Dialect
from understudy.gateway import Gateway
from understudy.language.errors import UnderstudyError
from understudy.language.request import Request
from understudy.observe import metrics
from understudy.relay import Receipt
from understudy.web.asgi import SEND, ClientGone, Tagged, Visit, read_body, respond
from understudy.web.outlet import Outlet

JSON = b"application/json"

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

    def __init__(self, dialect: Dialect, gateway: Gateway, body_limit: int, ping_seconds: float) -> None:
        self._dialect = dialect
        self._gateway = gateway
        self._body_limit = body_limit
        self._ping_seconds = ping_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        del send  # the door's own tells what follows the start from the start
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
            outcome = await _while_connected(receive, work(request, visit, receipt, scope[SEND]))
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

    async def _whole(self, request: Request, visit: Visit, receipt: Receipt, send: Tagged) -> str:
        message = await self._gateway.whole(request, visit.caller, receipt)
        body = self._dialect.whole(message, request, request.model)
        await respond(send, 200, JSON, body, receipt.headers())
        return message.stop_reason

    async def _stream(self, request: Request, visit: Visit, receipt: Receipt, send: Tagged) -> str:
        encoder = self._dialect.encoder(request, request.model)
        outlet = Outlet(self._dialect, encoder, receipt, send, visit.request_id)
        async with outlet.pinging(self._ping_seconds):
            return await outlet.pour(partial(self._gateway.answer, request, visit.caller, receipt))


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
