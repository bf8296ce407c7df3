"""A raw socket server that answers as a script says: each connection is played by a coroutine function."""

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from understudy.engines.upstream import Upstream

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1;ext=1\r\n,\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
)
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\nX-Twice: a\r\nX-Twice: b\r\n\r\nhello, world"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello, world"
HTTP10 = b"HTTP/1.0 200 OK\r\n\r\nhello, world"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + LENGTH
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GZIP = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello, world"

WHOLE = {  # name: wire, status, body, whether the connection may be used again
    "chunked": (CHUNKED, 200, b"hello, world", True),
    "length": (LENGTH, 200, b"hello, world", True),
    "until close": (UNTIL_CLOSE, 200, b"hello, world", False),
    "http 1.0": (HTTP10, 200, b"hello, world", False),
    "another coding": (GZIP, 200, b"hello, world", False),
    "100 and 103": (CONTINUE, 200, b"hello, world", True),
    "204": (NO_CONTENT, 204, b"", True),
    "304": (NOT_MODIFIED, 304, b"", True),
    "empty": (EMPTY, 200, b"", True),
    "connection: close": (OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 200, b"ok", False),
}

GARBAGE = {  # name: wire that is no HTTP/1.1 response
    "text": b"hello\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "tls alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "101": b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
}


class Peer:
    """The engine's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number

    async def request(self) -> bytes:
        """One request with its body; b"" once the client has hung up."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            if b"content-length: " not in lower:
                return head
            length = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
            return head + await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def gone(self) -> None:
        """Returns when the client has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def send(self, data: bytes) -> None:
        self.writer.write(data)


class Server:
    """Where the server listens and what it has seen."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.requests: list[bytes] = []


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Plays the script for every connection, and closes the connection after it. The script's errors come out here."""
    seen, errors = Server(), []
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        writers.append(writer)
        peer = Peer(reader, writer, seen.connections)
        read = peer.request

        async def noted() -> bytes:
            request = await read()
            if request:
                seen.requests.append(request)
            return request

        peer.request = noted  # type: ignore[method-assign]
        try:
            await script(peer)
        except ConnectionError:
            pass
        except Exception as error:  # noqa: BLE001 - handed to the test
            errors.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    seen.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield seen
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)
    assert not errors, errors


def always(wire: bytes, *, close: bool = False) -> Script:
    """Answers every request of every connection with these bytes."""

    async def script(peer: Peer) -> None:
        while await peer.request():
            peer.send(wire)
            if close:
                return

    return script


def both_loops(test):
    """Runs an async test on asyncio's loop and on uvloop, with an `upstream` made and closed inside, if it asks for one."""
    parameters = dict(inspect.signature(test).parameters)
    wants = parameters.pop("upstream", None) is not None

    async def within(arguments) -> None:
        if not wants:
            await test(**arguments)
            return
        upstream = Upstream()
        try:
            await test(upstream, **arguments)
        finally:
            await upstream.aclose()

    def synchronous(run, **arguments) -> None:
        run(within(arguments))

    run = inspect.Parameter("run", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    synchronous.__signature__ = inspect.Signature([run, *parameters.values()])  # what pytest reads
    synchronous.__name__, synchronous.__doc__ = test.__name__, test.__doc__
    return pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])(synchronous)
