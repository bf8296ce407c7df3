"""The ledger's file: rows add up, sums are those of a day and its month, and several may write."""

import pytest

from understudy.store.ledger import LedgerFile, Row, Spent


def row(day="2026-11-24", *, dollars=1.0, outside=True, key="k", tokens=(100, 60, 10)):
    return Row(day, key, "code", "claude/opus", outside, "opus", 1, *tokens, dollars)


def add(file, *rows):
    return file.add(rows, rows[-1].day)


@pytest.fixture
def file(tmp_path):
    made = LedgerFile(tmp_path / "ledger.db")
    yield made
    made.close()


def test_what_has_all_in_common_is_one_row(file):
    both = row(), row(dollars=0.5, tokens=(7, 0, 3))
    add(file, *both, row(key="other"))
    assert both[0].plus(both[1]) == file.rows("2026-11-24")[0]
    assert file.rows("2026-11-24")[0] == Row(
        "2026-11-24", "k", "code", "claude/opus", True, "opus", 2, 107, 60, 13, 1.5
    )
    assert [(one.key, one.answers) for one in file.rows("2026-01-01")] == [("k", 2), ("other", 1)]


def test_rows_begin_with_a_day(file):
    for day in ("2026-10-31", "2026-11-01", "2026-11-02"):
        add(file, row(day))
    assert [one.day for one in file.rows("2026-11-01")] == ["2026-11-01", "2026-11-02"]


def test_sums_are_those_of_the_day_and_of_its_month_until_then(file):
    for day, dollars in (("2026-10-31", 8), ("2026-11-01", 4), ("2026-11-24", 2), ("2026-11-25", 1)):
        spent = add(file, row(day, dollars=dollars))
    assert spent == Spent("2026-11-25", 1.0, 110, 7.0, 330)
    assert file.spent("2026-11-24") == Spent("2026-11-24", 2.0, 110, 6.0, 220)
    assert file.spent("2026-12-01") == Spent("2026-12-01", 0.0, 0, 0.0, 0)


def test_what_was_saved_is_not_spent(file):
    assert add(file, row(outside=False, dollars=9)) == Spent("2026-11-24", 0.0, 0, 0.0, 0)
    assert file.rows("2026-11-24")[0].outside is False


def test_it_outlasts_a_gateway_and_is_shared(tmp_path):
    one, other = LedgerFile(tmp_path / "l.db"), LedgerFile(tmp_path / "l.db")
    add(one, row())
    assert add(other, row()).day_dollars == 2.0
    one.close()
    other.close()
    again = LedgerFile(tmp_path / "l.db")
    assert again.spent("2026-11-24").month_dollars == 2.0
    again.close()


SPENT = Spent("2026-11-24", 1.0, 10, 5.0, 50)
DAYS = [
    ("2026-11-24", SPENT),
    ("2026-11-25", Spent("2026-11-25", 0.0, 0, 5.0, 50)),
    ("2026-12-01", Spent("2026-12-01")),
    ("2027-11-24", Spent("2027-11-24")),
]


@pytest.mark.parametrize(("day", "left"), DAYS)
def test_what_is_over_no_longer_counts(day, left):
    assert SPENT.on(day) == left


def test_one_more_answer():
    assert SPENT.plus(0.5, 3) == Spent("2026-11-24", 1.5, 13, 5.5, 53)
