"""Answers that are being written, by what was asked: who asks the same again meanwhile joins in, instead of queueing twice.

A client that lost patience, or its connection, sends its request once more while the engine still works on the first. On
local hardware the second would wait behind the first, lose patience in its turn, and be sent a third time (seen in the
field: 200 after 1,298 s, to nobody). So the second becomes a reader of the first: it gets all that has been written, and
then whatever follows. The answer goes on as long as anybody is there to read it.

Only requests of one session are the same: an agent never asks the same thing twice on purpose, other programs may.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import Message


class Sender(Protocol):
    """Writes a response: the start, which is tagged for its client, and what follows it."""

    def __call__(self, message: Message, /) -> Awaitable[None]:
        """Write the start, or a whole answer."""
        ...

    def plain(self, message: Message, /) -> Awaitable[None]:
        """Write what follows."""
        ...


class Flight:
    """One answer on its way. To whoever writes it, it is a `Sender`.

    Args:
        body: what was asked.
        first: who asked first.

    Attributes:
        body: as above; b"" once the answer is over.
        on_empty: called when nobody reads any more.
    """

    def __init__(self, body: bytes, first: Sender) -> None:
        self.body = body
        self.on_empty: Callable[[], object] = lambda: None
        self._first = first
        self._first_reads: asyncio.Future[None] | None = None  # once it is one of several
        self._written: list[Message] = []
        self._readers: set[asyncio.Event] = set()
        self._over = False
        self._error: Exception | None = None

    def __call__(self, message: Message) -> Awaitable[None]:
        """Write the start, or a whole answer."""
        self._written.append(message)
        return self._first(message) if self._first_reads is None else self._shared()

    def plain(self, message: Message) -> Awaitable[None]:
        """Write what follows. Nearly always the first client is alone, and this is all there is to it."""
        self._written.append(message)
        return self._first.plain(message) if self._first_reads is None else self._shared()

    async def join(self, sender: Sender) -> str:
        """Read along, from the beginning; gives how that ended.

        Raises:
            Exception: what the answer failed with before it began.
        """
        if self._first_reads is None:  # from here on nobody waits for anybody else
            self._first_reads = asyncio.ensure_future(self._read(self._first, len(self._written)))
        await self._read(sender, 0)
        if self._error is not None and not self._written:
            raise self._error
        return "joined"

    def leave(self) -> bool:
        """The first client has gone; whether somebody else still reads."""
        if self._first_reads is None:
            return False
        others = len(self._readers) - (not self._first_reads.done())
        self._first_reads.cancel()
        return others > 0

    async def land(self, error: Exception | None = None) -> None:
        """The answer is over (with `error`: there will be none); the first client reads it to its end."""
        self._over, self._error = True, error
        self.body = (
            b""  # an answer outlives its end until the collector comes by; a body is the largest part of it
        )
        self._wake()
        if self._first_reads is not None:
            await asyncio.wait((self._first_reads,))

    async def _read(self, sender: Sender, at: int) -> None:
        news = asyncio.Event()
        self._readers.add(news)
        try:
            while at < len(self._written) or not self._over:
                if at == len(self._written):
                    news.clear()
                    await news.wait()
                    continue
                message, at = self._written[at], at + 1
                await (sender if message["type"] == "http.response.start" else sender.plain)(message)
        finally:
            self._readers.discard(news)
            if not self._readers and not self._over:
                self.on_empty()

    async def _shared(self) -> None:
        """What is written for several has been written when it is there to be read."""
        self._wake()

    def _wake(self) -> None:
        for news in self._readers:
            news.set()
