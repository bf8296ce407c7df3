"""The fake engines' HTTP server: small, quick, and able to do what a well-behaved server cannot.

A reply is made in one step and without waiting; what the server adds is time: pauses, connections that break, clients that
leave. A reply without pauses is one write of bytes that were framed before, so that the fake costs a benchmark little.
"""

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import cast

import httptools
from msgspec import Struct

from understudy.engines.script import Pause

Sleep = Callable[[float], Awaitable[None]]

REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 500: b"Internal Server Error"}
SERVER = b"understudy-play"
"""`Server` of every reply: a fake says that it is one."""


class Asked(Struct, frozen=True):
    """One request as it came; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Reset(Struct, frozen=True):
    """The connection breaks here (TCP RST)."""


class Hang(Struct, frozen=True):
    """Nothing more comes; the connection stays until the client leaves."""


Part = bytes | Pause | Reset | Hang


class Reply(Struct, frozen=True):
    """Bytes for the wire, framed, with the times and mishaps between them; `at_once` is the same in the fewest writes."""

    parts: tuple[Part, ...]
    at_once: tuple[Part, ...]


def whole(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    """The bytes of an answer that has a length."""
    head = b"HTTP/1.1 %d %b\r\nserver: %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    reason = REASONS.get(status, b"Error")
    return head % (status, reason, SERVER, content_type.encode(), len(body)) + body


def streamed(pieces: Iterable[Part], content_type: str) -> tuple[Part, ...]:
    """A chunked answer: every piece of bytes is one chunk. The head goes with the first of them, as engines do it."""
    head = b"HTTP/1.1 200 OK\r\nserver: %b\r\ncontent-type: %b\r\ncache-control: no-cache\r\n"
    opening = head % (SERVER, content_type.encode()) + b"transfer-encoding: chunked\r\n\r\n"
    out: list[Part] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            out.append(opening + b"%x\r\n%b\r\n" % (len(piece), piece))
            opening = b""
        else:
            out.append(piece)
    if not (out and isinstance(out[-1], Reset | Hang)):
        out.append(opening + b"0\r\n\r\n")
    return tuple(out)


def reply(parts: tuple[Part, ...]) -> Reply:
    """The reply of these parts."""
    return Reply(parts, joined(parts))


def joined(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The same with neighbouring bytes in one piece, for one write."""
    out: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += part
        else:
            out.append(part)
    return tuple(out)


class Server:
    """Listens, and gives each request to `handler`.

    Args:
        handler: makes the reply.
        pace: seconds between two writes, 0 for one turn of the loop; None writes at once whatever needs no pause.
        keep: how many requests are remembered.
        sleep: waits.
    """

    def __init__(
        self,
        handler: Callable[[Asked], Reply],
        *,
        pace: float | None = None,
        keep: int = 256,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.handler = handler
        self.pace = pace
        self.sleep = sleep
        self.requests: deque[Asked] = deque(maxlen=keep)
        self.cancelled: deque[Asked] = deque(maxlen=max(keep, 1))
        self.in_flight = 0
        self.connections: set[Connection] = set()
        self.changed = asyncio.Event()
        self._listening: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, where 0 asked for any."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Connection(self), host, port)
        address: tuple[str, int] = self._listening.sockets[0].getsockname()
        return address[1]

    async def aclose(self) -> None:
        """Stop listening and end whatever is still going on."""
        if self._listening is not None:
            self._listening.close()
        for connection in tuple(self.connections):
            connection.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the aborted transports close their sockets

    # --- for Connection

    def begin(self, playing: "asyncio.Task[None]") -> None:
        """An answer takes time; the task is awaited when the server closes."""
        self._tasks.add(playing)
        self.in_flight += 1
        self.note()
        playing.add_done_callback(self._ended)

    def note(self) -> None:
        """Something happened that a test may wait for."""
        self.changed.set()

    def _ended(self, playing: "asyncio.Task[None]") -> None:
        self._tasks.discard(playing)
        self.in_flight -= 1
        self.note()


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._playing: asyncio.Task[None] | None = None
        self._asked: Asked | None = None
        self._waiting: deque[tuple[Asked, bool]] = deque()
        self._writable = asyncio.Event()
        self._writable.set()
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """What it sends."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.drop()

    def pause_writing(self) -> None:
        """It reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has left: whoever still works for it stops at once."""
        del exc
        self._server.connections.discard(self)
        self._transport = None
        self._writable.set()
        if self._playing is not None and self._asked is not None:
            self._server.cancelled.append(self._asked)
            self._playing.cancel()
            self._server.note()

    # --- httptools

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url, self._headers, self._body = b"", {}, []

    def on_url(self, url: bytes) -> None:
        """Its path, or a piece of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """A client with a long body may wait for leave to send it."""
        if self._transport is not None and self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        method, path = self._parser.get_method().decode(), self._url.decode("latin-1").partition("?")[0]
        asked = Asked(method, path, self._headers, b"".join(self._body))
        self._waiting.append((asked, self._parser.should_keep_alive()))
        if self._playing is None:
            self._next()

    # --- inside

    def drop(self) -> None:
        """Break the connection; nobody is told that the client left, for it did not."""
        self._playing_ends()
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> None:
        """Answers what has come and waits."""
        while self._waiting and self._transport is not None and self._playing is None:
            asked, keep_alive = self._waiting.popleft()
            self._server.requests.append(asked)
            self._server.note()
            made = self._server.handler(asked)
            parts = made.parts if self._server.pace is not None else made.at_once
            if len(parts) == 1 and isinstance(parts[0], bytes):
                self._transport.write(parts[0])
                self._after(keep_alive=keep_alive)
                continue
            self._asked = asked
            loop = asyncio.get_running_loop()
            self._playing = loop.create_task(self._play(parts, keep_alive=keep_alive))
            self._server.begin(self._playing)

    async def _play(self, parts: tuple[Part, ...], *, keep_alive: bool) -> None:
        transport, server = self._transport, self._server
        if transport is None:
            return
        transport.set_write_buffer_limits(high=0)
        for part in parts:
            match part:
                case bytes():
                    transport.write(part)
                    await self._writable.wait()
                    if server.pace is not None:
                        await server.sleep(server.pace)
                case Pause(seconds):
                    await server.sleep(seconds)
                case Reset():
                    self._reset(transport)
                    return
                case Hang():
                    await asyncio.Event().wait()
        self._playing_ends()
        self._after(keep_alive=keep_alive)
        self._next()

    def _after(self, *, keep_alive: bool) -> None:
        if not keep_alive and self._transport is not None:
            self._transport.close()

    def _playing_ends(self) -> None:
        self._playing = self._asked = None

    def _reset(self, transport: asyncio.Transport) -> None:
        """Linger 0: closing sends RST, as the kernel does for a process that dies with unread data."""
        self._playing_ends()
        shape = "hh" if os.name == "nt" else "ii"
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(shape, 1, 0))
        transport.abort()
