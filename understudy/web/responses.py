"""`/v1/responses`: questions whose answers are kept, and the kept answers.

A question is read with what was kept before it, and then answered like any other chat (`ChatEndpoint`), in its own
`Exchange`. Its answer is kept before the client sees the end of it: the next question may come at once.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct
from starlette.types import Message, Receive, Scope, Send

from understudy.dialects import Asked, Encoder, Exchange, keeping_dialect
from understudy.gateway import Gateway
from understudy.language.errors import BadField, BadRequest, NoTarget
from understudy.language.events import Event
from understudy.relay import Receipt
from understudy.store.responses import GONE_ON_FROM, Record, Responses, history
from understudy.web.asgi import SEND, Visit, read_body, respond
from understudy.web.background import Background, Key, Work
from understudy.web.chat import JSON, LOGGED, ChatEndpoint
from understudy.web.flights import Sender
from understudy.web.outlet import Outlet

PAGE = 20
PAGE_LIMIT = 100
NUMBER = re.compile(r"[0-9]{1,9}")
ITEM_ID = re.compile(r"[a-z]+_(?P<key>[A-Za-z0-9]+)-i?[0-9]+")
"""Ids of items that we made: the answer's own is in them."""


class Deleted(Struct, frozen=True):
    """`DELETE /v1/responses/{id}`."""

    id: str
    deleted: bool = True
    object: str = "response"


class ItemPage(Struct, frozen=True):
    """`GET /v1/responses/{id}/input_items`."""

    data: Sequence[Raw]
    first_id: str
    last_id: str
    has_more: bool
    object: str = "list"


class ItemId(Struct, frozen=True):
    """An item, as far as its id."""

    id: str


class ResponsesEndpoints:
    """All endpoints of the Responses API, each a method that is a plain ASGI application.

    Args:
        gateway: who answers.
        store: keeps the answers.
        new_id: makes ids from their prefix.
        body_limit: bytes.
        ping_seconds: the longest silence a client has to bear.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        gateway: Gateway,
        store: Responses,
        new_id: Callable[[str], str],
        *,
        body_limit: int,
        ping_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._dialect = keeping_dialect("responses")
        self._gateway = gateway
        self._store = store
        self._new_id = new_id
        self._body_limit = body_limit
        self._ping_seconds = ping_seconds
        self._clock = clock
        self._background = Background()

    async def aclose(self) -> None:
        """End what goes on in the background."""
        await self._background.aclose()

    # -- questions ----------------------------------------------------------------------------------------------

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/responses`."""
        del send
        visit: Visit = scope["understudy"]
        body = await read_body(scope, receive, self._body_limit)
        talk = await self._talk(self._dialect.read(body), visit.caller.key)
        if dropped := talk.exchange.parse(b"").dropped:
            visit.log["dropped"] = [words[:LOGGED] for words in dropped]
        if talk.asked.background:
            await self._behind(talk, visit, scope[SEND])
        else:
            await self._in_front(talk, scope, _once_more(receive, talk.exchange))

    async def _talk(self, asked: Asked, owner: str) -> "Talk":
        """The question with all that was kept before it.

        Raises:
            BadRequest: it cannot be read, or goes on from what is not kept.
        """
        previous = asked.previous
        if asked.conversation:
            previous = await self._store.newest(owner, asked.conversation)
        before = await history(self._store, owner, previous)
        found = await self._found(owner, asked.references)
        answer = self._new_id("resp_")
        return Talk((owner, answer), previous, asked, asked.exchange(before, found, answer, self._clock))

    async def _in_front(self, talk: "Talk", scope: Scope, receive: Receive) -> None:
        """Answer, and keep the answer."""
        chat = ChatEndpoint(talk.exchange, self._gateway, self._body_limit, self._ping_seconds)
        sender: Sender = scope[SEND]
        try:
            await chat.answer(
                scope, receive, _Keeper(talk, self._store, sender) if talk.asked.store else sender
            )
        except NoTarget as error:
            raise BadField("model", error.message, "model_not_found") from error

    async def _behind(self, talk: "Talk", visit: Visit, sender: Sender) -> None:
        """Begin the answer, and tell the client that it has begun, or have it read along."""
        exchange, receipt = talk.exchange, Receipt()
        request, queued = exchange.parse(b""), exchange.pending()
        visit.log |= {"dialect": exchange.name, "model": request.model[:LOGGED], "background": True}
        answer = partial(self._gateway.answer, request, visit.caller, receipt)
        keep = partial(talk.keep, self._store)
        begin = partial(Work, exchange, answer, keep, receipt, visit.request_id)
        work = await self._background.start(talk.key, begin)
        if talk.asked.stream:
            await self._read_along(work, 0, visit, sender)
        else:
            await respond(sender, 200, JSON, queued)

    async def _found(self, owner: str, references: Iterable[str]) -> dict[str, bytes]:
        """The kept items that are referred to."""
        found: dict[str, bytes] = {}
        for name in references:
            made = ITEM_ID.fullmatch(name)
            record = await self._store.find(owner, f"resp_{made['key']}") if made else None
            items = (*record.said, *self._dialect.listed(record.id, record.asked)) if record else ()
            found |= [(name, raw) for raw in items if _id_of(raw) == name]
        return found

    async def _read_along(self, work: Work, after: int, visit: Visit, sender: Sender) -> None:
        """The stream of an answer from its beginning, but for the first `after` events."""
        reader = _Later(work.reader(), after)
        outlet = Outlet(work.exchange, reader, work.receipt, sender, visit.request_id)
        async with outlet.pinging(self._ping_seconds):
            visit.log["outcome"] = await outlet.pour(work.follow)

    # -- kept answers -------------------------------------------------------------------------------------------

    async def read(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/responses/{id}`; with `stream=true` the events of one that was made in the background."""
        del receive
        visit, key, query = _told(scope)
        work = self._background.find(key)
        if query.get("stream", "").lower() == "true":
            if work is None:
                await self._kept(key)
                raise BadField(
                    "stream",
                    "stream: only a response of the background can be streamed, and only for a while",
                )
            await self._read_along(work, _after(query), visit, scope[SEND])
        elif work is not None and not work.over:
            await respond(send, 200, JSON, work.exchange.pending())
        else:
            await respond(send, 200, JSON, (await self._kept(key)).body)

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`DELETE /v1/responses/{id}`."""
        del receive
        _, key, _ = _told(scope)
        if (work := self._background.find(key)) is not None:
            await work.cancel()
            self._background.forget(key)
        if not await self._store.drop(*key):
            raise _not_here(key)
        await respond(send, 200, JSON, msgspec.json.encode(Deleted(key[1])))

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/responses/{id}/cancel`."""
        await read_body(scope, receive, self._body_limit)
        _, key, _ = _told(scope)
        if (work := self._background.find(key)) is not None:
            await work.cancel()
        record = await self._kept(key)
        if not record.background:
            raise BadRequest("Cannot cancel a synchronous response: leave it, and it ends")
        await respond(send, 200, JSON, record.body)

    async def input_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/responses/{id}/input_items`, with `limit`, `order` and `after`."""
        del receive
        _, key, query = _told(scope)
        work = self._background.find(key)
        asked = work.exchange.asked if work is not None else (await self._kept(key)).asked
        page = paged(self._dialect.listed(key[1], asked), query)
        await respond(send, 200, JSON, msgspec.json.encode(page))

    async def _kept(self, key: Key) -> Record:
        record = await self._store.find(*key)
        if record is None:
            raise _not_here(key)
        return record


class Talk(Struct, frozen=True):
    """One question and its answer, and where they belong.

    Attributes:
        key: whose it is, and what the answer is called.
        previous: the answer that it goes on from.
        asked: the question, as the client put it.
        exchange: both of them.
    """

    key: Key
    previous: str
    asked: Asked
    exchange: Exchange

    async def keep(self, store: Responses) -> None:
        """Keep it, if it is an answer; what was made in the background is kept however it ended."""
        told, asked = self.exchange.told, self.asked
        if told is None or (told.status not in GONE_ON_FROM and not asked.background):
            return
        await store.keep(
            Record(
                *self.key,
                told.status,
                told.body,
                asked=self.exchange.asked,
                said=told.items,
                previous=self.previous,
                conversation=asked.conversation,
                background=asked.background,
            )
        )


class _Keeper:
    """A `Sender` that has the answer kept before the client sees its end: it may ask on at once."""

    def __init__(self, talk: Talk, store: Responses, sender: Sender) -> None:
        self._talk = talk
        self._store = store
        self._sender = sender
        self._kept = False

    def __call__(self, message: Message) -> Awaitable[None]:
        """The start, or a whole answer."""
        return self._write(self._sender, message)

    def plain(self, message: Message) -> Awaitable[None]:
        """No coroutine of its own: it stands in the way of every chunk."""
        return self._write(self._sender.plain, message)

    def _write(self, send: Send, message: Message) -> Awaitable[None]:
        if self._kept or self._talk.exchange.told is None:
            return send(message)
        self._kept = True
        return self._after_keeping(send, message)

    async def _after_keeping(self, send: Send, message: Message) -> None:
        await self._talk.keep(self._store)
        await send(message)


class _Later:
    """An Encoder that leaves out the first events: the client has them."""

    def __init__(self, encoder: Encoder, known: int) -> None:
        self._encoder = encoder
        self._known = known

    @property
    def ping(self) -> bytes:
        """See `dialects.Encoder`."""
        return self._news(self._encoder.ping)

    def encode(self, events: Iterable[Event]) -> bytes:
        """See `dialects.Encoder`."""
        return self._news(self._encoder.encode(events))

    def more(self, text: str) -> bytes:
        """See `dialects.Encoder`."""
        return self._news(self._encoder.more(text))

    def _news(self, data: bytes) -> bytes:
        while self._known and data:
            data = data.partition(b"\n\n")[2]
            self._known -= 1
        return data


def _once_more(receive: Receive, exchange: Exchange) -> Receive:
    """A `receive` whose body is at its end: it has been read. Who leaves with the whole answer has not left.

    Codex closes the connection with the last event in its hands; that is no answer for nobody.
    """
    over = False

    async def rest() -> Message:
        nonlocal over
        if not over:
            over = True
            return {"type": "http.request", "body": b""}
        message = await receive()
        if exchange.told is not None:
            await asyncio.Future()  # until the answer is over, and nobody waits for this any more
        return message

    return rest


def _told(scope: Scope) -> tuple[Visit, Key, dict[str, str]]:
    """The visit, the key of the answer that is meant, and the query."""
    visit: Visit = scope["understudy"]
    key = visit.caller.key, scope["path_params"]["response_id"]
    return visit, key, dict(parse_qsl(scope["query_string"].decode("latin-1")))


def _not_here(key: Key) -> NoTarget:
    return NoTarget(f"Response with id '{key[1][:LOGGED]}' not found.")


def _id_of(raw: bytes) -> str:
    return msgspec.json.decode(raw, type=ItemId).id


def _after(query: dict[str, str]) -> int:
    """How many events the client has.

    Raises:
        BadField: `starting_after` is no number.
    """
    text = query.get("starting_after")
    if text is None:
        return 0
    if not NUMBER.fullmatch(text):
        raise BadField("starting_after", f"starting_after: {text[:20]!r} is not a number", "invalid_value")
    return int(text) + 1


def paged(items: Sequence[bytes], query: dict[str, str]) -> ItemPage:
    """One page of a listing, newest first unless the `order` is "asc".

    Raises:
        BadField: a parameter that cannot be.
    """
    limit, order = query.get("limit", str(PAGE)), query.get("order", "desc")
    if not NUMBER.fullmatch(limit) or not 1 <= int(limit) <= PAGE_LIMIT:
        raise BadField(
            "limit", f"limit: {limit[:20]!r} is not a number from 1 to {PAGE_LIMIT}", "invalid_value"
        )
    if order not in ("asc", "desc"):
        raise BadField("order", f"order: {order[:20]!r} is neither asc nor desc", "invalid_value")
    rows = list(items if order == "asc" else reversed(items))
    names = [_id_of(row) for row in rows]
    start = names.index(query["after"]) + 1 if query.get("after") in names else 0
    page, shown = rows[start : start + int(limit)], names[start : start + int(limit)]
    return ItemPage(
        [Raw(row) for row in page],
        shown[0] if shown else "",
        shown[-1] if shown else "",
        has_more=start + len(page) < len(rows),
    )
