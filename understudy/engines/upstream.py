"""The HTTP/1.1 client of the hot path: requests to engines, kept connections, one clear error for each mishap.

Plain http, on loopback or the local network, is spoken by our own `Exchange`: a general client costs several times what
the rest of the gateway costs. https goes through a kept client (`upstream_tls.py`, imported when first used); callers
see no difference.

A kept connection may be closed by the engine in the moment in which it is used again: llama.cpp's server did so for 17
of 60. A request that fails on a kept connection before any byte of its response is sent once more, on a fresh one.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec

from understudy.engines.upstream_exchange import Exchange, Headers, Question, Response
from understudy.language.errors import Bug, EngineAway, EngineError, EngineLost

if TYPE_CHECKING:
    from understudy.engines.upstream_tls import KeptClient

__all__ = ["Headers", "Response", "Upstream"]


class Upstream:
    """Sends requests to engines and owns the idle connections. One for each event loop.

    Args:
        connect_timeout: seconds for a new connection, name resolution included.
        idle_limit: connections kept for each origin while nothing is asked.
        idle_seconds: how long one is kept; below the 5 s after which llama.cpp's server hangs up.
        verify: trust for https: an SSLContext, or None for the usual certificate authorities.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 5.0,
        idle_limit: int = 32,
        idle_seconds: float = 4.0,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._idle_limit = idle_limit
        self._idle_seconds = idle_seconds
        self._verify = verify
        self._idle: dict[str, list[_Parked]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._kept: KeptClient | None = None
        self._closed = False

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes | Sequence[bytes] = b"",
        head_timeout: float | None = None,
        read_timeout: float | None = None,
    ) -> AbstractAsyncContextManager[Response]:
        """One request. Entering the context sends it and waits for the response's head.

        Leaving the context after the body's end keeps the connection; leaving it earlier, by any way, closes the
        connection at once, which makes the engine stop generating. Redirects are not followed, content is not decoded.

        Args:
            method: such as "POST".
            url: http:// or https://, with the path and query.
            headers: further fields. Host, Content-Length, Transfer-Encoding and Connection are ours and dropped here.
            body: bytes, or spans that are written one after the other without being joined.
            head_timeout: seconds from the request to the response's head; None: as long as it takes.
            read_timeout: seconds of silence inside the body; None: as long as it takes.

        Raises:
            EngineAway: no connection. EngineLost: it broke. EngineTimeout: too late. EngineError: what came was no
                HTTP, or the URL is none. Bug: a line break in a header, or use after `aclose`.
        """
        if self._closed:
            raise Bug("the upstream client is closed: ask before aclose()")
        self._adopt(asyncio.get_running_loop())
        spans = (body,) if isinstance(body, bytes) else body
        question = Question(method, url, headers, spans, head_timeout, read_timeout)
        if url.startswith("https://"):
            return self._client().request(question)
        return _Call(self, _place(url), question)

    async def aclose(self) -> None:
        """Closes what is idle. An answer still being read goes on; its connection is closed when it is left."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for shelf in self._idle.values():
            while shelf:
                shelf.pop().transport.abort()
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.aclose()
        await asyncio.sleep(0)  # lets the aborted transports close their sockets

    # --- for _Call

    async def connect(self, exchange: Exchange, place: "_Place") -> None:
        """Opens a connection whose protocol is the exchange.

        Raises:
            EngineAway: refused, unresolvable, unreachable or too slow.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                await loop.create_connection(lambda: exchange, place.host, place.port)
        except TimeoutError as error:
            raise _unreachable(place.origin, f"no answer within {self._connect_timeout:g} s") from error
        except (OSError, UnicodeError) as error:
            raise _unreachable(place.origin, _why(error)) from error

    def take(self, origin: str) -> asyncio.Transport | None:
        """The connection used last, if one is idle and still fresh."""
        shelf = self._idle.get(origin)
        oldest = asyncio.get_running_loop().time() - self._idle_seconds
        while shelf:
            parked = shelf.pop()
            if parked.since > oldest and not parked.transport.is_closing():
                return parked.transport
            parked.transport.abort()
        return None

    def park(self, origin: str, transport: asyncio.Transport) -> None:
        """Keeps a connection for the next request, if there is room."""
        shelf = self._idle.setdefault(origin, [])
        if self._closed or len(shelf) >= self._idle_limit:
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        transport.set_protocol(_Parked(transport, shelf, loop.time()))
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._idle_seconds, self._sweep, loop)

    # --- inside

    def _adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connections belong to the loop that opened them: under another loop they are forgotten."""
        if loop is not self._loop:
            self._idle, self._sweeper, self._kept, self._loop = {}, None, None, loop

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        oldest = loop.time() - self._idle_seconds
        for shelf in self._idle.values():
            while shelf and shelf[0].since <= oldest:
                shelf.pop(0).transport.abort()
        left = [shelf[0].since for shelf in self._idle.values() if shelf]
        self._sweeper = loop.call_at(min(left) + self._idle_seconds, self._sweep, loop) if left else None

    def _client(self) -> "KeptClient":
        if self._kept is None:
            from understudy.engines.upstream_tls import KeptClient  # noqa: PLC0415 - a local gateway never needs it

            self._kept = KeptClient(self._connect_timeout, self._idle_limit, self._idle_seconds, self._verify)
        return self._kept


class _Call:
    """The context of one request: takes or opens a connection, and gives it back or closes it."""

    __slots__ = ("_exchange", "_place", "_question", "_spans", "_upstream")

    def __init__(self, upstream: Upstream, place: "_Place", question: Question) -> None:
        self._upstream = upstream
        self._place = place
        self._question = question
        self._spans = (_head(place, question), *question.spans)
        self._exchange = self._fresh()

    async def __aenter__(self) -> Response:
        kept = self._upstream.take(self._place.origin)
        if kept is not None:
            kept.set_protocol(self._exchange)
            self._exchange.connection_made(kept)
            try:
                return await self._answer()
            except EngineLost:
                if self._exchange.heard:
                    raise
            self._exchange = self._fresh()
        await self._upstream.connect(self._exchange, self._place)
        return await self._answer()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        transport = self._exchange.release()
        if transport is not None:
            self._upstream.park(self._place.origin, transport)

    def _fresh(self) -> Exchange:
        return Exchange(
            asyncio.get_running_loop(),
            self._place.origin,
            bodiless=self._question.method == "HEAD",
            read_timeout=self._question.read_timeout,
        )

    async def _answer(self) -> Response:
        exchange = self._exchange
        try:
            exchange.send(self._spans)
            await exchange.head(self._question.head_timeout)
        except BaseException:  # cancelled as well: nobody is left to read the answer
            exchange.release()
            raise
        return Response(exchange.status, Headers(exchange.fields), exchange)


class _Parked(asyncio.Protocol):
    """The protocol of an idle connection, which leaves its shelf when the engine closes it or speaks unasked."""

    def __init__(self, transport: asyncio.Transport, shelf: list["_Parked"], since: float) -> None:
        self.transport = transport
        self.since = since
        self._shelf = shelf
        shelf.append(self)

    def data_received(self, _data: bytes) -> None:
        self.transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        if self in self._shelf:
            self._shelf.remove(self)


class _Place(msgspec.Struct, frozen=True):
    """A plain URL, taken apart."""

    origin: str
    host: str
    port: int
    authority: bytes
    path: bytes


@lru_cache(maxsize=256)
def _place(url: str) -> _Place:
    """Takes a URL apart, once for each of the few that a gateway asks."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError as error:
        raise EngineError(f"{url!r} is no URL: {error}") from error
    if parts.scheme != "http" or not host or "@" in parts.netloc:
        raise EngineError(f"{url!r} is no URL of an engine: write http://host:port or https://host")
    shown = f"[{host}]" if ":" in host else ascii_host
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path = quote(target, safe="/?:@!$&'()*+,;=-._~%[]").encode("ascii")
    authority = (shown if port == 80 else f"{shown}:{port}").encode("ascii")  # noqa: PLR2004 - http's own port
    return _Place(f"http://{shown}:{port}", ascii_host, port, authority, path)


def _head(place: _Place, question: Question) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (question.method.encode("ascii"), place.path), b"Host: " + place.authority]
    lines += [name + b": " + value for name, value in question.fields()]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    ends = len(lines) + 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise Bug(
            "a header for the engine holds a line break or a zero byte: it would become another request"
        )
    return head


def _why(error: OSError | UnicodeError) -> str:
    """A failed connection's reason in words. Several addresses tried: their reasons come as one text."""
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved ({error.strerror})"
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return "connection refused"
    return str((isinstance(error, OSError) and error.strerror) or error)


def _unreachable(origin: str, reason: str) -> EngineAway:
    return EngineAway(f"cannot reach {origin}: {reason}. Is the engine running?")
