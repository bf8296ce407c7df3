"""An engine in name only: it answers as vLLM does, from bytes that were written before. `python -m bench.engine CHUNKS`.

It prints its port, and ends when its standard input closes. What it does for a request is as little as can be, so that
it is never what the others wait for.
"""

import asyncio
import json
import sys

import uvloop

from bench.body import MODEL, PACED

TICK = 0.001
"""Seconds between two chunks of a paced answer: each is a packet of its own, and is read before the next."""
WORD = " word"


def _chunk(delta: dict, reason: str | None = None) -> bytes:
    record = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
    }
    return b"data: " + json.dumps(record, separators=(",", ":")).encode() + b"\n\n"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def pieces(chunks: int) -> list[bytes]:
    """A streamed answer, each record framed as its own HTTP chunk."""
    usage = {"prompt_tokens": 26_000, "completion_tokens": chunks, "total_tokens": 26_000 + chunks}
    last = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "choices": [],
        "usage": usage,
    }
    records = [
        _chunk({"role": "assistant", "content": ""}),
        *(_chunk({"content": f"{WORD}{i % 10}"}) for i in range(chunks)),
        _chunk({}, "stop"),
        b"data: " + json.dumps(last, separators=(",", ":")).encode() + b"\n\n",
        b"data: [DONE]\n\n",
    ]
    return [_framed(record) for record in records]


HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"


def plain(body: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer in one piece."""
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


class Book:
    """All that is ever said."""

    def __init__(self, chunks: int) -> None:
        self.burst = HEAD + b"".join(pieces(chunks)) + END
        self.paced = pieces(10 * chunks)
        text = "".join(f"{WORD}{i % 10}" for i in range(chunks))
        usage = {"prompt_tokens": 26_000, "completion_tokens": chunks}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        self.whole = plain(json.dumps({"model": MODEL, "choices": [choice], "usage": usage}).encode())
        rows = [{"id": name, "object": "model", "max_model_len": 131_072} for name in (MODEL, PACED)]
        self.models = plain(json.dumps({"object": "list", "data": rows}).encode())


class Connection(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._parts: list[bytes] = []
        self._missing = -1  # bytes of the body still to come; -1: in the head

    def connection_made(self, transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        if self._missing < 0:
            self._begin()
        else:
            self._missing -= len(data)
        if self._missing == 0:
            request, self._missing, self._parts = b"".join(self._parts), -1, []
            self._answer(request)

    def _begin(self) -> None:
        data = b"".join(self._parts)
        self._parts = [data]
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = data[:end].lower()
        _, found, rest = head.partition(b"content-length:")
        self._missing = (int(rest.partition(b"\r\n")[0]) if found else 0) - (len(data) - end - 4)

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET"):
            self._transport.write(self._book.models)
        elif b"/tokenize HTTP" in request[:40]:
            self._transport.write(plain(b'{"error":"not here"}', b"404 Not Found"))
        elif b'"stream":true' not in request and b'"stream": true' not in request:
            self._transport.write(self._book.whole)
        elif PACED.encode() in request:
            self._transport.write(HEAD)
            self._pace(iter(self._book.paced))
        else:
            self._transport.write(self._book.burst)

    def _pace(self, left) -> None:
        piece = next(left, None)
        if self._transport.is_closing():
            return
        if piece is None:
            self._transport.write(END)
            return
        self._transport.write(piece)
        asyncio.get_running_loop().call_later(TICK, self._pace, left)


async def _serve(chunks: int) -> None:
    loop = asyncio.get_running_loop()
    book = Book(chunks)
    server = await loop.create_server(lambda: Connection(book), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
