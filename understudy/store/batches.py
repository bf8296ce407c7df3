"""Message Batches on the disk: nothing accepted is lost, nothing answered is answered again.

A request is waiting until it has an outcome, and gets one once: `finish` and `close_batch` touch waiting requests only. That
a request is being asked is not written down, so that after a crash it is waiting as before. With the last outcome its batch
has ended, in the same transaction. What was asked is dropped when it has been answered.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from msgspec import Struct

from understudy.language.batch import Batch, Entry, Outcome, Result
from understudy.language.errors import BadRequest
from understudy.store.sqlite import Schema, opened, transaction

SCHEMA: Schema = (
    (
        """
        CREATE TABLE batch (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            caller TEXT NOT NULL,
            created_at REAL NOT NULL,
            expires_at REAL NOT NULL,
            cancel_initiated_at REAL,
            ended_at REAL,
            archived_at REAL,
            total INTEGER NOT NULL,
            succeeded INTEGER NOT NULL DEFAULT 0,
            errored INTEGER NOT NULL DEFAULT 0,
            canceled INTEGER NOT NULL DEFAULT 0,
            expired INTEGER NOT NULL DEFAULT 0
        )
        """,
        "CREATE INDEX batch_caller ON batch (caller)",
        """
        CREATE TABLE request (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            batch INTEGER NOT NULL REFERENCES batch (number) ON DELETE CASCADE,
            custom_id TEXT NOT NULL,
            model TEXT NOT NULL,
            params BLOB,
            outcome TEXT,
            payload BLOB,
            UNIQUE (batch, custom_id)
        )
        """,
        "CREATE INDEX request_batch ON request (batch)",
        "CREATE INDEX request_waiting ON request (batch, model) WHERE outcome IS NULL",
    ),
)
"""Every index ends in the row's number, which is the order of requests: https://www.sqlite.org/queryplanner.html."""

_BATCH = """
    SELECT id, created_at, expires_at, cancel_initiated_at, ended_at, archived_at,
        total, succeeded, errored, canceled, expired FROM batch
"""
_COUNT = {
    "succeeded": "UPDATE batch SET succeeded = succeeded + ? WHERE id = ?",
    "errored": "UPDATE batch SET errored = errored + ? WHERE id = ?",
    "canceled": "UPDATE batch SET canceled = canceled + ? WHERE id = ?",
    "expired": "UPDATE batch SET expired = expired + ? WHERE id = ?",
}


class Lane(Struct, frozen=True):
    """The waiting requests of one batch for one model; they are asked in their order."""

    batch: str
    caller: str
    model: str


class Work(Struct, frozen=True):
    """A waiting request."""

    number: int
    params: bytes


class BatchFile:
    """The file of batches, open.

    Args:
        path: where it is.

    Raises:
        StoreError: it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._db = opened(path, SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # -- what callers do ----------------------------------------------------------------------------------------

    def add(
        self, batch_id: str, caller: str, entries: Iterable[Entry], created_at: float, expires_at: float
    ) -> Batch:
        """Accept a batch: when this returns, it is on the disk."""
        with transaction(self._db):
            number = self._db.execute(
                "INSERT INTO batch (id, caller, created_at, expires_at, total) VALUES (?, ?, ?, ?, 0)",
                (batch_id, caller, created_at, expires_at),
            ).lastrowid
            added = self._db.executemany(
                "INSERT INTO request (batch, custom_id, model, params) VALUES (?, ?, ?, ?)",
                ((number, entry.custom_id, entry.model, entry.params) for entry in entries),
            ).rowcount
            self._db.execute("UPDATE batch SET total = ? WHERE number = ?", (added, number))
        return Batch(batch_id, created_at, expires_at, None, None, None, added)

    def get(self, caller: str, batch_id: str) -> Batch | None:
        """The caller's batch of that id."""
        row = self._db.execute(_BATCH + "WHERE id = ? AND caller = ?", (batch_id, caller)).fetchone()
        return None if row is None else Batch(*row)

    def page(self, caller: str, limit: int, after_id: str, before_id: str) -> tuple[list[Batch], bool]:
        """The caller's batches, the newest first, and whether there are more that way.

        Args:
            caller: whose.
            limit: how many at most.
            after_id: those made before this one, "" for the newest.
            before_id: those made after this one, the nearest of them; "" for all.

        Raises:
            BadRequest: the caller has no batch of such an id.
        """
        below = self._number("after_id", caller, after_id)
        above = self._number("before_id", caller, before_id)
        rows = self._db.execute(
            _BATCH
            + "WHERE caller = ? AND (? IS NULL OR number < ?) AND (? IS NULL OR number > ?) ORDER BY number "
            + ("ASC LIMIT ?" if before_id else "DESC LIMIT ?"),
            (caller, below, below, above, above, limit + 1),
        ).fetchall()
        found = [Batch(*row) for row in rows[:limit]]
        return found[::-1] if before_id else found, len(rows) > limit

    def cancel(self, caller: str, batch_id: str, now: float) -> Batch | None:
        """Note that the caller wants the batch to end; one that has ended stays as it is."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE batch SET cancel_initiated_at = ?"
                " WHERE id = ? AND caller = ? AND ended_at IS NULL AND cancel_initiated_at IS NULL",
                (now, batch_id, caller),
            )
        return self.get(caller, batch_id)

    def delete(self, caller: str, batch_id: str) -> Batch | None:
        """Drop the batch and its results, if it has ended; gives it as it was."""
        with transaction(self._db):
            batch = self.get(caller, batch_id)
            if batch is not None and batch.ended_at is not None:
                self._db.execute("DELETE FROM batch WHERE id = ?", (batch_id,))
        self._shrink()
        return batch

    def results(self, batch_id: str, after: int, limit: int) -> list[Result]:
        """Results in the order of their requests, from the one behind that number."""
        rows = self._db.execute(
            "SELECT number, custom_id, outcome, payload FROM request"
            " WHERE batch = (SELECT number FROM batch WHERE id = ?) AND number > ? AND outcome IS NOT NULL"
            " ORDER BY number LIMIT ?",
            (batch_id, after, limit),
        )
        return [Result(*row) for row in rows]

    # -- what the runner does -----------------------------------------------------------------------------------

    def lanes(self, limit: int) -> list[Lane]:
        """Where requests wait, the oldest batch first; of one batch, the model it asked for first."""
        rows = self._db.execute(
            "SELECT b.id, b.caller, r.model FROM batch b JOIN request r ON r.batch = b.number"
            " WHERE b.ended_at IS NULL AND r.outcome IS NULL"
            " GROUP BY b.number, r.model ORDER BY b.number, min(r.number) LIMIT ?",
            (limit,),
        )
        return [Lane(*row) for row in rows]

    def waiting(self) -> int:
        """How many requests have no outcome yet."""
        (found,) = self._db.execute("SELECT count(*) FROM request WHERE outcome IS NULL").fetchone()
        return int(found)

    def next(self, lane: Lane, asked: Collection[int]) -> Work | None:
        """The lane's first waiting request that is not being asked already."""
        rows = self._db.execute(
            "SELECT number FROM request WHERE batch = (SELECT number FROM batch WHERE id = ?) AND model = ?"
            " AND outcome IS NULL ORDER BY number LIMIT ?",
            (lane.batch, lane.model, len(asked) + 1),
        ).fetchall()
        number = next((number for (number,) in rows if number not in asked), None)
        if number is None:
            return None
        return Work(
            *self._db.execute("SELECT number, params FROM request WHERE number = ?", (number,)).fetchone()
        )

    def finish(self, number: int, outcome: Outcome, payload: bytes, now: float) -> bool:
        """Give a waiting request its outcome; False for one that has one, which stays."""
        with transaction(self._db):
            changed = self._db.execute(
                "UPDATE request SET outcome = ?, payload = ?, params = NULL WHERE number = ? AND outcome IS NULL",
                (outcome, payload, number),
            ).rowcount
            if changed:
                (batch_id,) = self._db.execute(
                    "SELECT id FROM batch WHERE number = (SELECT batch FROM request WHERE number = ?)",
                    (number,),
                ).fetchone()
                self._count(batch_id, outcome, 1, now)
        return bool(changed)

    def overdue(self, now: float) -> list[tuple[str, Outcome]]:
        """Batches whose waiting requests are to be closed, and as what."""
        rows = self._db.execute(
            "SELECT id, CASE WHEN cancel_initiated_at IS NULL THEN 'expired' ELSE 'canceled' END FROM batch"
            " WHERE ended_at IS NULL AND (cancel_initiated_at IS NOT NULL OR expires_at <= ?) ORDER BY number",
            (now,),
        )
        return rows.fetchall()

    def close_batch(self, batch_id: str, outcome: Outcome, now: float) -> int:
        """End a batch: every request that still waits gets this outcome; gives how many did."""
        with transaction(self._db):
            closed = self._db.execute(
                "UPDATE request SET outcome = ?, params = NULL"
                " WHERE batch = (SELECT number FROM batch WHERE id = ?) AND outcome IS NULL",
                (outcome, batch_id),
            ).rowcount
            self._count(batch_id, outcome, closed, now)
        self._shrink()
        return closed

    def archive(self, created_before: float, now: float) -> None:
        """Drop the results of old batches; the batches stay."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE batch SET archived_at = ?"
                " WHERE ended_at IS NOT NULL AND archived_at IS NULL AND created_at <= ?",
                (now, created_before),
            )
            self._db.execute(
                "DELETE FROM request WHERE batch IN (SELECT number FROM batch WHERE archived_at IS NOT NULL)"
            )
        self._shrink()

    def next_deadline(self, keep: float) -> float | None:
        """When the next batch expires, or has been kept for `keep` seconds and is to be archived."""
        (found,) = self._db.execute(
            "SELECT min(CASE WHEN ended_at IS NULL THEN expires_at ELSE created_at + ? END)"
            " FROM batch WHERE archived_at IS NULL",
            (keep,),
        ).fetchone()
        return None if found is None else float(found)

    # -- inside -------------------------------------------------------------------------------------------------

    def _number(self, field: str, caller: str, batch_id: str) -> int | None:
        if not batch_id:
            return None
        row = self._db.execute(
            "SELECT number FROM batch WHERE id = ? AND caller = ?", (batch_id, caller)
        ).fetchone()
        if row is None:
            raise BadRequest(f"{field}: there is no Message Batch {batch_id[:100]!r} here")
        return int(row[0])

    def _count(self, batch_id: str, outcome: Outcome, number: int, now: float) -> None:
        """Count outcomes, and end the batch with the last one."""
        self._db.execute(_COUNT[outcome], (number, batch_id))
        self._db.execute(
            "UPDATE batch SET ended_at = ?"
            " WHERE id = ? AND ended_at IS NULL AND total = succeeded + errored + canceled + expired",
            (now, batch_id),
        )

    def _shrink(self) -> None:
        """Give pages that nothing lies on back to the disk. `execute` would take one step, which is one page."""
        self._db.executescript("PRAGMA incremental_vacuum")
