"""/v1/messages/batches: handed in, looked at, fetched, canceled and deleted with the key that handed them in.

To every other key a batch does not exist. Results are sent as they are read from the disk; where they end before the last
one, the response breaks, so that nobody takes a part for the whole.
"""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from understudy.batching.runner import Runner
from understudy.dialects import batch_dialect
from understudy.language.batch import Batch
from understudy.language.errors import BadRequest, NoTarget
from understudy.store.batches import BatchFile
from understudy.web.asgi import Visit, headers_of, read_body, respond
from understudy.web.chat import JSON
from understudy.web.paging import limit_of, query_of

PATH = "/v1/messages/batches"
MOST_BYTES = 256 * 1024 * 1024
"""The API's own limit; `server.body_limit` is usually below it."""
AT_ONCE = 100
"""Results in one piece of the answer."""


class BatchEndpoints:
    """Each method is a plain ASGI application.

    Args:
        runner: what does the work; None where batches are off.
        body_limit: bytes.
    """

    def __init__(self, runner: Runner | None, body_limit: int) -> None:
        self._maybe_runner = runner
        self._body_limit = min(body_limit, MOST_BYTES)
        self._dialect = batch_dialect("anthropic")

    def table(self) -> list[tuple[str, str, ASGIApp]]:
        """Method, path and endpoint."""
        one = PATH + "/{batch_id}"
        return [
            ("POST", PATH, self.create),
            ("GET", PATH, self.page),
            ("GET", one, self.retrieve),
            ("DELETE", one, self.delete),
            ("POST", one + "/cancel", self.cancel),
            ("GET", one + "/results", self.results),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/messages/batches`: once it is answered, the batch is on the disk."""
        runner, visit = self._runner(), _visit(scope)
        body = await read_body(scope, receive, self._body_limit)
        entries = await asyncio.to_thread(
            self._dialect.parse, body
        )  # a quarter of a second for 100,000 requests
        batch = await runner.accept(visit.caller.key, entries)
        visit.log |= {"batch": batch.id, "requests": batch.total}
        await self._show(scope, send, batch)

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/messages/batches`, with `limit`, `after_id` and `before_id`; the newest come first."""
        del receive
        query = query_of(scope)
        batches, more = await self._runner().keeper.do(
            BatchFile.page,
            _visit(scope).caller.key,
            limit_of(query),
            query.get("after_id", ""),
            query.get("before_id", ""),
        )
        urls = [_results_url(scope, batch) for batch in batches]
        await respond(send, 200, JSON, self._dialect.page(batches, urls, more=more))

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/messages/batches/{id}`."""
        del receive
        await self._show(scope, send, await self._found(scope))

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/messages/batches/{id}/cancel`; one that has ended is shown as it is."""
        await read_body(scope, receive, self._body_limit)
        batch = await self._runner().cancel(_visit(scope).caller.key, _batch_id(scope))
        await self._show(scope, send, _existing(batch, scope))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`DELETE /v1/messages/batches/{id}`."""
        del receive
        batch_id = _batch_id(scope)
        batch = await self._runner().keeper.do(BatchFile.delete, _visit(scope).caller.key, batch_id)
        if _existing(batch, scope).ended_at is None:
            raise BadRequest(f"Message Batch {batch_id} has not ended: cancel it, then delete it")
        await respond(send, 200, JSON, self._dialect.deleted(batch_id))

    async def results(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/messages/batches/{id}/results`: a line of JSON for each request."""
        del receive
        batch = await self._found(scope)
        if batch.ended_at is None:
            raise NoTarget(f"Message Batch {batch.id} has no results yet: it is being answered")
        if batch.archived_at is not None:
            raise NoTarget(f"Message Batch {batch.id} has no results any more: it is archived")
        headers = [(b"content-type", self._dialect.results_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._pour(batch, send)
        await send({"type": "http.response.body", "body": b""})

    async def _pour(self, batch: Batch, send: Send) -> None:
        last, written = 0, 0
        while written < batch.total:
            rows = await self._runner().keeper.do(BatchFile.results, batch.id, last, AT_ONCE)
            if not rows:
                raise NoTarget(f"Message Batch {batch.id} was deleted while its results were read")
            body = b"".join([self._dialect.result(row) for row in rows])
            await send({"type": "http.response.body", "body": body, "more_body": True})
            last, written = rows[-1].number, written + len(rows)

    async def _found(self, scope: Scope) -> Batch:
        caller, batch_id = _visit(scope).caller.key, _batch_id(scope)
        return _existing(await self._runner().keeper.do(BatchFile.get, caller, batch_id), scope)

    async def _show(self, scope: Scope, send: Send, batch: Batch) -> None:
        """The batch. Its counts tell nothing until it has ended, as the API has it; how far it is stands in a header."""
        progress = (b"x-understudy-progress", f"{batch.done}/{batch.total}".encode())
        await respond(send, 200, JSON, self._dialect.batch(batch, _results_url(scope, batch)), [progress])

    def _runner(self) -> Runner:
        if self._maybe_runner is None:
            raise NoTarget("Message Batches are off here: batches.on = false")
        return self._maybe_runner


def _visit(scope: Scope) -> Visit:
    visit: Visit = scope["understudy"]
    return visit


def _batch_id(scope: Scope) -> str:
    batch_id: str = scope["path_params"]["batch_id"]
    return batch_id


def _existing(batch: Batch | None, scope: Scope) -> Batch:
    if batch is None:
        raise NoTarget(f"Message Batch {_batch_id(scope)[:100]!r} not found")
    return batch


def _results_url(scope: Scope, batch: Batch) -> str:
    """As the caller reaches us; clients send their key there, so that https outside must not become http."""
    headers = headers_of(scope)
    secure = headers.get(b"x-forwarded-proto", scope["scheme"].encode()) == b"https"
    host = headers.get(b"host", b"").decode("latin-1")
    return f"{'https' if secure else 'http'}://{host}{PATH}/{batch.id}/results"
