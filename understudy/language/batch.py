"""Batches: many questions handed in at once, to be answered when there is time.

A batch is in progress until each of its requests has an outcome. One that is to be ended before its time is canceling until
what is being answered has stopped.
"""

from typing import Literal

from msgspec import Struct

Outcome = Literal["succeeded", "errored", "canceled", "expired"]


class Entry(Struct, frozen=True):
    """One request of a new batch.

    Attributes:
        custom_id: the caller's own name for it, unique in the batch.
        model: what it asks for; "" where that cannot be read.
        params: its body, as the caller sent it; it is read when it is asked.
    """

    custom_id: str
    model: str
    params: bytes


class Batch(Struct, frozen=True):
    """A batch. Times are seconds since 1970, None for what has not happened; `succeeded` and on count outcomes.

    Attributes:
        archived_at: since when its results are gone.
        total: how many requests it has.
    """

    id: str
    created_at: float
    expires_at: float
    cancel_initiated_at: float | None
    ended_at: float | None
    archived_at: float | None
    total: int
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0

    @property
    def done(self) -> int:
        """Requests that have an outcome."""
        return self.succeeded + self.errored + self.canceled + self.expired


class Result(Struct, frozen=True):
    """What became of a request.

    Attributes:
        number: its place among all requests.
        payload: the message or the error in the caller's dialect; None where it was not answered.
    """

    number: int
    custom_id: str
    outcome: Outcome
    payload: bytes | None
