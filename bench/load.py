"""The load: a bounded number of requests over a few kept connections, every answer checked. `python -m bench.load`.

Its orders are one JSON object on standard input (see `Order`), its report is one on standard output.
"""

import asyncio
import sys
import time

import msgspec
import uvloop
from msgspec import Struct

from bench.body import SESSIONS, TURNS, heads, question, short_question

PATIENCE = 120.0
"""Seconds for one order before it is given up."""
WORD = b" word"
"""What each chunk has in it, in either dialect."""


class Order(Struct):
    """What to ask: `kind` is "stream", "whole" or "paced"; `chunks` must be in each answer."""

    port: int
    kind: str
    requests: int
    connections: int
    chunks: int


class Done(Struct):
    """What came of it: `arrivals` counts the pieces in which answers reached us."""

    requests: int
    chunks: int
    arrivals: int
    seconds: float


class Asker(asyncio.Protocol):
    """One connection, that asks again when it has its answer."""

    def __init__(self, order: Order, questions, done: asyncio.Future) -> None:
        self._order = order
        self._questions = questions  # shared: what is left to ask
        self._parts: list[bytes] = []
        self._length = 0  # of the answer's bytes, head and all; 0: chunked, or not known yet
        self._size = 0
        self.done = done
        self.chunks = self.arrivals = self.answered = 0

    def connection_made(self, transport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        question = next(self._questions, None)
        if question is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._parts, self._length, self._size = [], 0, 0
        self._transport.write(question)

    def data_received(self, data: bytes) -> None:
        self.arrivals += 1
        self._parts.append(data)
        self._size += len(data)
        if len(self._parts) == 1 and self._order.kind == "whole":
            self._length = _length(data)
        over = self._size == self._length if self._length else data.endswith(b"0\r\n\r\n")
        if over:
            self._check(b"".join(self._parts))

    def _check(self, answer: bytes) -> None:
        found = answer.count(WORD)
        if not answer.startswith(b"HTTP/1.1 200") or found != self._order.chunks:
            self._give_up(f"{found} of {self._order.chunks} chunks in: {answer[:400]!r}")
            return
        self.chunks += found
        self.answered += 1
        self._ask()

    def connection_lost(self, exc) -> None:
        self._give_up(f"a connection was lost: {exc}")

    def _give_up(self, problem: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(problem))
            self._transport.abort()


def _length(data: bytes) -> int:
    end = data.index(b"\r\n\r\n")
    _, found, rest = data[:end].lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) + end + 4 if found else 0


def _questions(order: Order):
    """The requests, made before the first is sent: each conversation goes on turn by turn, and then begins again."""
    if order.kind == "paced":
        bodies = [short_question(i) for i in range(SESSIONS)]
    else:
        stream = order.kind == "stream"
        bodies = [question(i, turn, stream=stream) for turn in range(TURNS) for i in range(SESSIONS)]
    ready = [heads(i % SESSIONS, len(body)) + body for i, body in enumerate(bodies)]
    return (ready[i % len(ready)] for i in range(order.requests))


async def _carry_out(order: Order) -> Done:
    loop = asyncio.get_running_loop()
    questions = _questions(order)
    askers = [Asker(order, questions, loop.create_future()) for _ in range(order.connections)]
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE):
        for asker in askers:
            await loop.create_connection(lambda asker=asker: asker, "127.0.0.1", order.port)
        await asyncio.gather(*(asker.done for asker in askers))
    return Done(
        sum(asker.answered for asker in askers),
        sum(asker.chunks for asker in askers),
        sum(asker.arrivals for asker in askers),
        time.perf_counter() - began,
    )


if __name__ == "__main__":
    done = uvloop.run(_carry_out(msgspec.json.decode(sys.stdin.buffer.read(), type=Order)))
    sys.stdout.buffer.write(msgspec.json.encode(done))
