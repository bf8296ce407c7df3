"""`understudy savings`: what answers from here would have cost at Claude, and what was spent outside the house."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args

import click
import msgspec
from msgspec import Struct

from understudy.cli.console import say, stdout, table
from understudy.config import ledger_file, load
from understudy.language.price import dollars
from understudy.routing.prices import AS_OF

if TYPE_CHECKING:
    from rich.table import Table

    from understudy.store.ledger import Row

By = Literal["day", "task", "key", "target"]
BYS: tuple[By, ...] = get_args(By)
EXAMPLES = """\b
Examples:
  understudy savings
  understudy savings --days 7 --by task
  understudy savings --by key --json | jq .
"""


class Sum(Struct):
    """A line: what goes by one name, in tokens and dollars."""

    name: str
    here: int = 0
    here_tokens: int = 0
    saved: float = 0.0
    outside: int = 0
    outside_tokens: int = 0
    spent: float = 0.0

    def add(self, row: "Row") -> None:
        """One row of the ledger more."""
        if row.outside:
            self.outside += row.answers
            self.outside_tokens += row.input + row.output
            self.spent += row.dollars
        else:
            self.here += row.answers
            self.here_tokens += row.input + row.output
            self.saved += row.dollars


@click.command(epilog=EXAMPLES)
@click.option(
    "--days", type=click.IntRange(1), default=30, show_default=True, help="Today and the days before."
)
@click.option("--by", type=click.Choice(BYS), default="day", show_default=True, help="What a line is of.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def savings(days: int, by: By, *, as_json: bool) -> None:
    """Show what was saved by answering here, and what was spent.

    The ledger is read, whether a gateway runs or not. Days are those of UTC.
    """
    rows = _rows(days)
    lines = sums(rows, by)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(lines), indent=2))
        return
    if not lines:
        say("nothing was answered in that time")
        return
    _show(by, lines)
    compared = (
        ", ".join(sorted({row.instead for row in rows if row.instead and not row.outside})) or "nothing"
    )
    say(f"compared with {compared}; prices of {AS_OF}, but for those of [budget] prices", "dim")


def sums(rows: "Iterable[Row]", by: By) -> list[Sum]:
    """The rows added up by what a line is of, in the order of their names."""
    found: dict[str, Sum] = {}
    for row in rows:
        name = str(getattr(row, by)) or "none"
        found.setdefault(name, Sum(name)).add(row)
    return [found[name] for name in sorted(found)]


def _rows(days: int) -> "list[Row]":
    from understudy.store.ledger import LedgerFile

    path = ledger_file(load().config)
    if not path.exists():
        return []
    file = LedgerFile(path)
    try:
        first = datetime.now(UTC).date() - timedelta(days=days - 1)
        return file.rows(first.isoformat())
    finally:
        file.close()


def _show(by: str, lines: list[Sum]) -> None:
    names = ("HERE", "TOKENS", "SAVED", "OUTSIDE", "TOKENS", "SPENT")
    shown = table(by.upper(), *names, right=names)
    total = Sum("all")
    for line in lines:
        _line(shown, line)
        for field in line.__struct_fields__[1:]:
            setattr(total, field, getattr(total, field) + getattr(line, field))
    if len(lines) > 1:
        _line(shown, total)
    stdout().print(shown)


def _line(shown: "Table", line: Sum) -> None:
    shown.add_row(
        line.name,
        f"{line.here:,}",
        f"{line.here_tokens:,}",
        dollars(line.saved),
        f"{line.outside:,}",
        f"{line.outside_tokens:,}",
        dollars(line.spent),
    )
