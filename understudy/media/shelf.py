"""Texts that cost something to make, by what they were made from: kept within a bound, and made once however many want them.

An agent sends its whole history with every turn. A text that were made anew would cost its time again, and where it came
out in other words it would break the engine's cached prefix: so whatever is looked up counts as used.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from sys import getsizeof

ENTRY_COST = 256
"""Bytes of an entry beside its text."""

Make = Callable[[], Coroutine[object, object, str]]


def content_key(data: str) -> str:
    """What equal contents have in common, and no others."""
    return hashlib.sha256(data.encode(errors="surrogatepass")).hexdigest()


class Shelf:
    """Texts by key.

    Args:
        limit: bytes of text that are kept; the least recently used are forgotten first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._making: dict[str, _Making] = {}

    def get(self, key: str) -> str | None:
        """The text that is kept under this key."""
        text = self._kept.get(key)
        if text is not None:
            self._kept.move_to_end(key)
        return text

    async def obtain(self, key: str, make: Make) -> str:
        """The text kept under this key, or made now; who wants it while it is being made waits for the same.

        Raises:
            Exception: what making it failed with; nothing is kept then.
        """
        if (text := self.get(key)) is not None:
            return text
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = _Making(make())
        try:
            text = await making.wait()
        finally:
            if self._making.get(key) is making and making.over:
                del self._making[key]
        return self._keep(key, text)

    def _keep(self, key: str, text: str) -> str:
        size = getsizeof(text) + ENTRY_COST
        if key in self._kept or size > self._limit:
            return text
        self._kept[key] = text
        self._used += size
        while self._used > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self._used -= getsizeof(oldest) + ENTRY_COST
        return text


class _Making:
    """A text that is being made, as long as anybody waits for it.

    Attributes:
        over: whether it is done, or given up: whoever comes now must begin anew.
    """

    def __init__(self, work: Coroutine[object, object, str]) -> None:
        self._work = asyncio.ensure_future(work)
        self._waiting = 0
        self.over = False

    async def wait(self) -> str:
        self._waiting += 1
        try:
            await asyncio.wait((self._work,))
        finally:
            self._waiting -= 1
            self.over = self._work.done() or not self._waiting
            if not self._waiting:
                self._work.cancel()  # also where it is done: an error that nobody waits for is nobody's concern
        return self._work.result()
