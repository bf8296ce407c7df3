"""The ledger on the disk: how many tokens were answered, by whom, for whom, and what they cost or would have cost.

One row for each day, key, task and target. Several gateways may write into one file, each in its turn; the sums that a
budget goes by come back with every entry, theirs included.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from understudy.store.sqlite import Schema, opened, transaction

SCHEMA: Schema = (
    (
        """
        CREATE TABLE served (
            day TEXT NOT NULL,
            key TEXT NOT NULL,
            task TEXT NOT NULL,
            target TEXT NOT NULL,
            outside INTEGER NOT NULL,
            instead TEXT NOT NULL,
            answers INTEGER NOT NULL,
            input INTEGER NOT NULL,
            cached INTEGER NOT NULL,
            output INTEGER NOT NULL,
            dollars REAL NOT NULL,
            PRIMARY KEY (day, key, task, target, outside, instead)
        ) WITHOUT ROWID
        """,
    ),
)
_ADD = """
    INSERT INTO served VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET answers = answers + excluded.answers, input = input + excluded.input,
        cached = cached + excluded.cached, output = output + excluded.output, dollars = dollars + excluded.dollars
"""
_SPENT = """
    SELECT coalesce(sum(dollars), 0.0), coalesce(sum(input + output), 0) FROM served WHERE outside AND day BETWEEN ? AND ?
"""
_ROWS = "SELECT * FROM served WHERE day >= ? ORDER BY day, key, task, target, instead"


class Row(Struct, frozen=True, array_like=True):
    """Answers that have all but their numbers in common.

    Attributes:
        day: as in "2026-11-24", UTC.
        key: the caller's, by its short name.
        task: what was asked for; "" where nobody looked.
        target: who answered.
        outside: whether that was outside the house: then the dollars are spent, else they are saved.
        instead: the model by whose price they count; "" for none.
        answers: how many.
        input: tokens of their prompts, the cached ones included.
        cached: how many of these came from the cache.
        output: tokens of the answers.
        dollars: what they cost, or would have cost.
    """

    day: str
    key: str
    task: str
    target: str
    outside: bool
    instead: str
    answers: int
    input: int
    cached: int
    output: int
    dollars: float

    @property
    def name(self) -> tuple[str, str, str, str, bool, str]:
        """What they have in common."""
        return self.day, self.key, self.task, self.target, self.outside, self.instead

    def plus(self, more: "Row") -> "Row":
        """Both together."""
        return Row(
            *self.name,
            self.answers + more.answers,
            self.input + more.input,
            self.cached + more.cached,
            self.output + more.output,
            self.dollars + more.dollars,
        )


class Spent(Struct, frozen=True):
    """What went outside the house on a day, and in its month until then."""

    day: str = ""
    day_dollars: float = 0.0
    day_tokens: int = 0
    month_dollars: float = 0.0
    month_tokens: int = 0

    def on(self, day: str) -> "Spent":
        """The same as it stands on another day: what is over no longer counts."""
        if day == self.day:
            return self
        if day[:7] != self.day[:7]:
            return Spent(day)
        return Spent(day, 0.0, 0, self.month_dollars, self.month_tokens)

    def plus(self, dollars: float, tokens: int) -> "Spent":
        """With one more answer."""
        return Spent(
            self.day,
            self.day_dollars + dollars,
            self.day_tokens + tokens,
            self.month_dollars + dollars,
            self.month_tokens + tokens,
        )


class LedgerFile:
    """The file.

    Raises:
        StoreError: it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._db = opened(path, SCHEMA, shared=True)

    def close(self) -> None:
        """Let go of it."""
        self._db.close()

    def add(self, rows: Iterable[Row], day: str) -> Spent:
        """More answers, all of them or none; what has been spent by that day."""
        with transaction(self._db):
            self._db.executemany(_ADD, map(astuple, rows))
        return self.spent(day)

    def spent(self, day: str) -> Spent:
        """What has been spent on that day, and in its month until then."""
        today = self._db.execute(_SPENT, (day, day)).fetchone()
        month = self._db.execute(_SPENT, (f"{day[:7]}-01", day)).fetchone()
        return Spent(day, *today, *month)

    def rows(self, since: str) -> list[Row]:
        """All from that day on."""
        found = self._db.execute(_ROWS, (since,)).fetchall()
        return [msgspec.convert(row, Row, strict=False) for row in found]
