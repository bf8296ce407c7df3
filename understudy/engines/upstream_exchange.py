r"""One HTTP/1.1 question and its answer on one connection: the bytes of the hot path, and nothing else.

An `Exchange` is the asyncio protocol of a connection for as long as one request lasts; between requests the pool of
`upstream.py` parks the connection under another protocol. So no state is carried from one answer to the next.

    HEAD --headers--> BODY --last byte--> ENDED
     |  \--HEAD, 204, 304------------------^
     +-------------------+--lost, garbage, late, left early--> FAILED

What keeps it cheap: llhttp (through httptools) appends body bytes straight to a list, one Python call runs for each
arrival from the socket, and hands all that has arrived to whoever `pour`s, within that same call: no task is woken for
a piece of an answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import Enum
from typing import Protocol, cast

import httptools
import msgspec

from understudy.language.errors import EngineError, EngineLost, EngineTimeout

HEAD_LIMIT = 64 * 1024
"""Bytes of a response's head, interim (1xx) heads included, before it is refused."""

LAG_LIMIT = 256 * 1024
"""Bytes that may wait for a slow reader before the socket is left unread, so that the engine feels it."""

READ_LIMIT = 64 * 1024 * 1024
"""Bytes that `Response.read` gathers unless it is told otherwise."""

OURS = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection"))
"""Fields that frame the message. They are written by us; a caller's copy of them is dropped."""


class Question(msgspec.Struct, frozen=True):
    """A request to an engine, as it was asked for.

    Attributes:
        method: such as "POST".
        url: http:// or https://.
        headers: fields of the caller.
        spans: the body, in the pieces in which it is written.
        head_timeout: seconds to the response's head, or None.
        read_timeout: seconds of silence inside the body, or None.
    """

    method: str
    url: str
    headers: Sequence[tuple[bytes, bytes]]
    spans: Sequence[bytes]
    head_timeout: float | None
    read_timeout: float | None

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The caller's fields, less what frames the message, and the length of the body where there may be one."""
        fields = [field for field in self.headers if field[0].lower() not in OURS]
        length = sum(map(len, self.spans))
        if length or self.method not in {"GET", "HEAD"}:
            fields.append((b"Content-Length", b"%d" % length))
        return fields


class Headers:
    """A response's header fields, in the order and the spelling in which they came.

    Attributes:
        raw: pairs of name and value; a name may occur more than once.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw

    def get(self, name: bytes) -> bytes | None:
        """The first value under this name, in any case of letters, or None."""
        wanted = name.lower()
        for key, value in self.raw:
            if key.lower() == wanted:
                return value
        return None


Take = Callable[[bytes], bool]
"""Is given body bytes as they arrive, and says whether it takes more now."""


class Body(Protocol):
    """Where the bytes of an answer's body come from."""

    def step(self) -> Awaitable[bytes]:
        """All the bytes that came since the last step; StopAsyncIteration after the last."""
        ...

    def pour(self, take: Take) -> Awaitable[bool]:
        """See `Response.pour`."""
        ...


class Response:
    """An answer whose head has arrived. Iterate it once: each step gives all the body bytes that came since the last.

    Attributes:
        status: HTTP status, never 1xx.
        headers: the head's fields (trailers are not kept).
    """

    __slots__ = ("_body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: Body) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._body.step()

    def pour(self, take: Take) -> Awaitable[bool]:
        """Give the body to `take`, piece by piece, in the moment in which each arrives; may be called again.

        Gives True when the body is complete, False when `take` wants no more now: what comes meanwhile is kept, and the
        engine feels it when that is much. What `take` raises is raised here.

        Raises:
            EngineLost, EngineTimeout, EngineError: as iterating raises.
        """
        return self._body.pour(take)

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """The rest of the body, in one piece.

        Args:
            limit: the most bytes to gather.

        Raises:
            EngineError: the body is over the limit; or as iterating raises: EngineLost, EngineTimeout.
        """
        parts, size = [], 0
        async for part in self:
            size += len(part)
            if size > limit:
                raise EngineError(f"the engine's answer is over {limit} bytes")
            parts.append(part)
        return b"".join(parts)


class State(Enum):
    """How far an exchange has come."""

    HEAD = "head"
    BODY = "body"
    ENDED = "ended"
    FAILED = "failed"


# A member of an Enum is looked up through its class each time; the hot path reads these instead.
_HEAD, _BODY, _ENDED, _FAILED = State.HEAD, State.BODY, State.ENDED, State.FAILED


class _Stop(Exception):
    """Raised inside a parser callback: no further byte belongs to this answer."""


class Exchange(asyncio.Protocol):
    """The protocol of a connection during one request. The caller awaits `head`, then `step` or `pour` until it ends.

    Args:
        loop: the running loop.
        origin: "http://host:port", for messages.
        bodiless: whether the request's method is HEAD, whose answer never has a body.
        read_timeout: seconds of silence, while somebody waits for body bytes, before EngineTimeout; None: for ever.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, origin: str, *, bodiless: bool, read_timeout: float | None
    ) -> None:
        self._loop = loop
        self._origin = origin
        self._bodiless = bodiless
        self._read_timeout = read_timeout
        self._transport: asyncio.Transport | None = None
        self._state = _HEAD
        self._failure: EngineError | None = None
        self._parts: list[bytes] = []
        self._waiter: asyncio.Future[bool] | None = None
        self._take: Take | None = None
        self._since = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._held = 0
        self._paused = False
        self._until_close = False
        self._keep = False
        self.heard = 0
        """Bytes of the response's head that have arrived (or of the arrival that completed it)."""
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        # llhttp's callbacks are looked up once, here: body bytes go into the list without a Python frame.
        self.on_body = self._parts.append
        self._parser = httptools.HttpResponseParser(self)

    # --- the caller's side

    def send(self, spans: Sequence[bytes]) -> None:
        """Writes the request's bytes, unjoined."""
        if self._transport is not None and self._state is _HEAD:
            self._transport.writelines(spans)

    async def head(self, timeout: float | None) -> None:  # noqa: ASYNC109 - one timer, no scope to unwind
        """Waits for the final response head; then `status` and `fields` are set.

        Args:
            timeout: seconds from now, or None.

        Raises:
            EngineLost: the connection broke first. EngineTimeout: too late. EngineError: not HTTP, or a head too large.
        """
        timer = None if timeout is None else self._loop.call_later(timeout, self._late, timeout)
        try:
            while self._state is _HEAD:
                self._waiter = self._loop.create_future()
                await self._waiter
        finally:
            if timer is not None:
                timer.cancel()
        if self._failure is not None:
            raise self._failure

    async def step(self) -> bytes:
        """All body bytes that have arrived since the last step; waits for some if there are none.

        Raises:
            StopAsyncIteration: the body is complete. EngineLost, EngineTimeout, EngineError: it never will be.
        """
        while not self._parts:
            if self._state is not _BODY:
                raise self._failure or StopAsyncIteration
            await self._news()
        return self._arrived()

    async def pour(self, take: Take) -> bool:
        """See `Response.pour`."""
        while not self._parts or take(self._arrived()):
            if self._state is not _BODY:
                if self._failure is not None:
                    raise self._failure
                return True
            self._take = take
            if not await self._news():
                return False
        return False

    async def _news(self) -> bool:
        """Wait for body bytes, or for what is to be said instead of them; False if somebody has had enough of them."""
        self._waiter = self._loop.create_future()
        if self._read_timeout is not None:
            self._watch(self._read_timeout)
        try:
            return await self._waiter
        finally:
            self._waiter = self._take = None  # a slow reader is no silent engine

    def _arrived(self) -> bytes:
        """The body bytes that wait, in one piece."""
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._held = 0
        if self._paused:
            self._resume()
        return data

    def release(self) -> asyncio.Transport | None:
        """Ends the exchange: the connection, if another request may use it; else None, and it is closed at once.

        Leaving early is how a generation is cancelled: engines stop when the connection breaks, so it is aborted.
        """
        transport = self._transport
        if self._watchdog is not None:
            self._watchdog.cancel()
        if transport is None:
            return None
        if (
            self._state is _ENDED
            and self._keep
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        ):
            if self._paused:
                self._resume()
            return transport
        self._fail(EngineLost(f"the answer of {self._origin} was left before its end"))
        transport.abort()
        return None

    # --- the connection's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop for a fresh connection, by the pool for a kept one."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser and whoever takes, or wakes the reader. The one function that runs for every arrival."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stopped(error)
        if self._take is not None and self._parts:
            self._give(self._take)
            return
        self._held += len(data)
        if self._state is _HEAD or self._held > LAG_LIMIT:
            self._weigh()
        if self._waiter is not None:
            self._wake()

    def _give(self, take: Take) -> None:
        """Give what has arrived; whoever pours is woken when that was enough, or the last."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return  # it has just been cancelled: nobody is there to take
        try:
            more = take(self._arrived())
        except Exception as error:  # noqa: BLE001 - raised where the taker waits
            self._take = None
            waiter.set_exception(error)
            return
        if more and self._state is _BODY:
            self._since = self._loop.time()
        else:
            self._take = None
            waiter.set_result(more)

    def connection_lost(self, exc: Exception | None) -> None:
        """A clean end for a body that lasts until the connection closes; for any other answer a loss."""
        self._keep = False
        if exc is None and self._state is _BODY and self._until_close:
            self._state = _ENDED
            self._wake()
        elif self._state is _BODY:
            self._fail(EngineLost(f"{self._origin} broke off in the middle of its answer"))
        else:
            self._fail(EngineLost(f"{self._origin} closed the connection before it answered"))

    # --- the parser's side (on_body is set in __init__)

    def on_message_begin(self) -> None:
        """Bytes after the end of the answer must not be read as part of it."""
        if self._state is not _HEAD:
            raise _Stop

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a field of the head; a trailer is dropped."""
        if self._state is _HEAD:
            self.fields.append((name, value))
            self.heard += len(name) + len(value) + 4
            if self.heard > HEAD_LIMIT:
                raise _Stop

    def on_headers_complete(self) -> None:
        """Decides where the body ends. 1xx: this head was not the last (RFC 9110, 15.2)."""
        self.status = self._parser.get_status_code()
        if self.status < 200:  # noqa: PLR2004 - 1xx
            self.fields.clear()
            return
        self._keep = self._parser.should_keep_alive()
        if self._bodiless:
            # llhttp does not know that the question was HEAD and would wait for a body. Nothing after this head can
            # be told from one, so the connection is not kept.
            self._state, self._keep = _ENDED, False
            raise _Stop
        self._state = _BODY
        self._until_close = not _has_length(self.fields)

    def on_message_complete(self) -> None:
        """The last byte of the body, or of a 1xx head."""
        if self._state is _BODY:
            self._state = _ENDED

    # --- inside

    def _stopped(self, error: Exception) -> None:
        if self._state is _ENDED:
            self._keep = False  # bytes that nobody asked for
        elif self._state is _HEAD and self.heard > HEAD_LIMIT:
            self._weigh()
        elif isinstance(error, httptools.HttpParserUpgrade):
            self._fail(EngineError(f"{self._origin} wants to change the protocol, which was not asked for"))
        else:
            self._fail(
                EngineError(
                    f"{self._origin} does not speak HTTP/1.1 as expected ({error}). "
                    "Is another program listening on that port?"
                )
            )

    def _weigh(self) -> None:
        """Something has grown: a head without end, framing without a body, or the heap before a slow reader."""
        if self._state is _HEAD:
            self.heard = max(self.heard, self._held)
            if self.heard > HEAD_LIMIT:
                self._fail(EngineError(f"{self._origin} sent a response head of over {HEAD_LIMIT} bytes"))
        elif self._state is _BODY and not self._parts:
            self._fail(EngineError(f"{self._origin} sent over {LAG_LIMIT} bytes of framing without any body"))
        elif self._state is _BODY and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _watch(self, timeout: float) -> None:
        """Notes when the wait began. One timer serves all waits: it looks at the note when it fires, and sleeps on."""
        self._since = self._loop.time()
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(timeout, self._look, timeout)

    def _look(self, timeout: float) -> None:
        self._watchdog = None
        if self._waiter is None or self._state is not _BODY:
            return  # nobody waits
        left = self._since + timeout - self._loop.time()
        if left > 0:
            self._watchdog = self._loop.call_later(left, self._look, timeout)
        else:
            self._fail(
                EngineTimeout(f"{self._origin} sent nothing for {timeout:g} s in the middle of its answer")
            )

    def _late(self, timeout: float) -> None:
        if self._state is _HEAD:
            self._fail(EngineTimeout(f"{self._origin} did not begin to answer within {timeout:g} s"))

    def _fail(self, error: EngineError) -> None:
        if self._state is _HEAD or self._state is _BODY:
            self._state = _FAILED
            self._failure = error
            if self._transport is not None:
                self._transport.abort()
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(True)


def _has_length(fields: list[tuple[bytes, bytes]]) -> bool:
    """Whether the head says where the body ends (RFC 9112, 6.3): a length, or chunked as the last coding."""
    length, codings = False, b""
    for name, value in fields:
        lowered = name.lower()
        if lowered == b"content-length":
            length = True
        elif lowered == b"transfer-encoding":
            codings = value
    return codings.lower().rstrip().endswith(b"chunked") if codings else length
