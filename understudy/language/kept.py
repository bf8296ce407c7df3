"""Results kept for the next time: an agent sends its whole history with every turn, and nearly all of it is known.

Two generations instead of a list of who was used last: a hit costs a look-up and nothing more. When the young generation
is full it becomes the old one, and the old one is forgotten: what is still in use is then made once more.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by key, within a bound.

    Args:
        limit: how much one generation holds, in the unit of `size` (bytes); twice that is kept at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value kept under this key."""
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: K, value: V, size: int) -> V:
        """Keep a value, and give it back; one that would take a good part of a generation is not kept."""
        if size > self._limit // 4:
            return value
        if self._used + size > self._limit:
            self._old, self._young, self._used = self._young, {}, 0
        self._used += size
        self._young[key] = value
        return value
