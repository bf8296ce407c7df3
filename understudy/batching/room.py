"""Room for batches: how much of each engine people leave over.

two slots or more    batches take all but one, which the next person finds free
one, or unknown      batches take it when nobody else has asked for a while: between two turns of an agent it stays free,
                     and keeps the agent's prefix
more than it has     somebody waits: a request of a batch gives way
"""

from collections.abc import Callable

from understudy.engines.pool import Pool


class Room:
    """What the pool's engines have to do, and who asked last.

    Args:
        pool: the engines.
        quiet_seconds: how long one with a single slot is left alone after others have asked it.
        monotonic: a clock that never goes back, in seconds.
    """

    def __init__(self, pool: Pool, quiet_seconds: float, monotonic: Callable[[], float]) -> None:
        self._pool = pool
        self._quiet_seconds = quiet_seconds
        self._monotonic = monotonic
        self._asked: dict[str, float] = {}

    def others_asked(self, engine: str) -> None:
        """An answer that is no batch's has begun or ended there now."""
        self._asked[engine] = self._monotonic()

    def free(self, engine: str, coming: int = 0) -> bool:
        """Whether one more request of a batch may go there, while `coming` more are on their way."""
        slots = self._slots(engine)
        if (
            slots == 1
            and self._monotonic() - self._asked.get(engine, -self._quiet_seconds) < self._quiet_seconds
        ):
            return False
        return self._pool.in_flight(engine) + coming < max(1, slots - 1)

    def crowd(self, engine: str) -> int:
        """How many answers it has to give beyond those it can give at once."""
        return max(0, self._pool.in_flight(engine) - self._slots(engine))

    def _slots(self, engine: str) -> int:
        """1 where it is not known."""
        return max(1, self._pool.engine(engine).facts.slots)
