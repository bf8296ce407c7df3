"""What is spent and what is saved: the budget stops when it is spent, begins anew with the day, and outlasts a restart."""

import asyncio
from datetime import UTC, datetime

import pytest

from understudy import ledger as module
from understudy.config import Budget
from understudy.language.events import Usage
from understudy.language.price import Price
from understudy.language.target import Model, Target
from understudy.ledger import Ledger
from understudy.observe.metrics import SAVED, SPENT
from understudy.store.ledger import LedgerFile
from understudy.store.sqlite import Keeper, StoreError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
OPUS = Target("claude", Model("claude-opus-5-5"))
LOCAL = Target("ollama", Model("qwen"))
MILLION = Usage(1_000_000, 0, 0)  # four dollars of Opus


class Clock:
    now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    def made(**settings):
        return Ledger(Keeper(tmp_path / "ledger.db", LedgerFile), Budget(**settings), clock)

    return made


def spend(ledger, usage=MILLION, target=OPUS):
    ledger.enter(target, usage, asked="auto", key="k", task="code", outside=True)


LIMITS = [  # the settings, and what is said when four dollars or a million tokens are spent
    ({}, ""),
    ({"day_dollars": 4.01}, ""),
    ({"day_dollars": 4}, "today's budget of $4.00 is spent until midnight UTC"),
    ({"month_dollars": 4}, "the month's budget of $4.00 is spent"),
    ({"day_tokens": 1_000_001}, ""),
    ({"day_tokens": 1_000_000}, "today's budget of 1,000,000 tokens is spent until midnight UTC"),
    ({"month_tokens": 1_000_000}, "the month's budget of 1,000,000 tokens is spent"),
]


@pytest.mark.parametrize(("settings", "said"), LIMITS)
async def test_a_budget_is_spent(make, settings, said):
    ledger = make(**settings)
    assert ledger.left() == ""
    spend(ledger)
    assert ledger.left() == said
    await ledger.aclose()


async def test_it_begins_anew_with_the_day_and_with_the_month(make, clock):
    ledger = make(day_dollars=4, month_dollars=8)
    spend(ledger)
    assert ledger.left().startswith("today's")
    clock.now += DAY
    assert ledger.left() == ""
    spend(ledger)
    clock.now += DAY
    assert ledger.left().startswith("the month's")
    clock.now += 6 * DAY  # December
    assert ledger.left() == ""
    await ledger.aclose()


async def test_it_outlasts_a_restart(make):
    ledger = make(day_dollars=4)
    await ledger.open()
    spend(ledger)
    await ledger.aclose()
    again = make(day_dollars=4)
    await again.open()
    assert again.left() == "today's budget of $4.00 is spent until midnight UTC"
    await again.aclose()


async def test_what_another_gateway_spends_is_seen_with_the_next_answer(make):
    one, other = make(day_dollars=8), make(day_dollars=8)
    spend(one)
    await one.rows(1)
    spend(other)
    assert other.left() == ""
    await other.rows(1)  # behind the entry in the file's thread
    await asyncio.sleep(0)
    assert other.left() == "today's budget of $8.00 is spent until midnight UTC"
    await one.aclose()
    await other.aclose()


async def test_what_is_under_way_counts(make):
    ledger = make(day_dollars=4, day_tokens=10**9)
    with ledger.hold(OPUS, 1_000_000):
        assert ledger.left() != ""
    assert ledger.left() == ""
    with ledger.hold(Target("x", Model("who-knows")), 300_000):
        assert ledger.left() != ""  # as dear as the dearest


SAVINGS = [  # what the client asked for: whose price counts, dollars
    ("claude-opus-5-5", "claude-opus-5-5", 4.0),
    ("auto", "claude-sonnet-5-5", 2.0),
    ("mine", "mine", 1.0),
]


@pytest.mark.parametrize(("asked", "instead", "dollars"), SAVINGS)
async def test_answers_from_inside_save(make, asked, instead, dollars):
    ledger = make(day_dollars=0.1, prices={"mine": Price(1, 1)})
    before = SAVED.labels("none")._value.get()
    ledger.enter(LOCAL, MILLION, asked=asked, outside=False)
    assert ledger.left() == ""
    (row,) = await ledger.rows(1)
    assert (row.target, row.instead, row.dollars, row.outside) == ("ollama/qwen", instead, dollars, False)
    assert SAVED.labels("none")._value.get() == before + dollars
    await ledger.aclose()


async def test_nothing_is_saved_where_nothing_is_compared(make):
    ledger = make(compare="")
    ledger.enter(LOCAL, MILLION, asked="auto", outside=False)
    (row,) = await ledger.rows(1)
    assert (row.instead, row.dollars) == ("", 0.0)
    await ledger.aclose()


async def test_a_model_without_a_price_is_as_dear_as_the_dearest(make):
    ledger = make()
    before = SPENT.labels("code")._value.get()
    spend(ledger, target=Target("x", Model("who-knows")))
    assert SPENT.labels("code")._value.get() == before + 15
    await ledger.aclose()


async def test_an_answer_of_no_tokens_is_none(make):
    ledger = make()
    spend(ledger, Usage())
    assert await ledger.rows(1) == []
    await ledger.aclose()


async def test_rows_of_the_last_days(make, clock):
    ledger = make()
    for _ in range(3):
        spend(ledger)
        clock.now += DAY
    clock.now -= DAY
    assert [row.day for row in await ledger.rows(2)] == ["2026-11-25", "2026-11-26"]
    await ledger.aclose()


class Log:
    def __init__(self):
        self.lines = []

    def error(self, event, **more):
        self.lines.append((event, more))


async def test_a_file_that_fails_is_told_and_stops_nobody(tmp_path, clock, monkeypatch):
    log = Log()
    monkeypatch.setattr(module, "logger", lambda: log)
    (tmp_path / "ledger.db").write_text("no database")
    ledger = Ledger(Keeper(tmp_path / "ledger.db", LedgerFile), Budget(day_dollars=4), clock)
    with pytest.raises(StoreError):
        await ledger.open()
    spend(ledger)
    with pytest.raises(StoreError):
        await ledger.rows(1)
    await asyncio.sleep(0)
    assert ledger.left() != ""
    assert [event for event, _ in log.lines] == ["ledger"]
    await ledger.aclose()


async def test_a_bug_is_no_failure_of_the_file(make):
    done = asyncio.get_running_loop().create_future()
    done.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        make()._written((), done)


async def test_what_is_saved_is_written_together_and_soon(make, monkeypatch):
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.0)
    ledger, written = make(), asyncio.Event()
    before = ledger._written
    ledger._written = lambda rows, done: (before(rows, done), written.set())
    for _ in range(3):
        ledger.enter(LOCAL, MILLION, asked="auto", outside=False)
    assert [row.answers for row in ledger._unwritten.values()] == [3]
    await asyncio.wait_for(written.wait(), 5)
    assert not ledger._unwritten
    (row,) = await ledger.rows(1)
    assert (row.answers, row.input, row.dollars) == (3, 3_000_000, 6.0)
    await ledger.aclose()


async def test_what_is_not_written_yet_is_when_it_ends(make):
    ledger = make()
    ledger.enter(LOCAL, MILLION, asked="auto", outside=False)
    await ledger.aclose()
    again = make()
    assert [row.answers for row in await again.rows(1)] == [1]
    await again.aclose()


async def test_what_could_not_be_written_is_kept_for_the_next_time(make, monkeypatch):
    ledger = make()
    fails = [StoreError("the disk is full")]
    add = LedgerFile.add

    def now_and_then(file, rows, day):
        if fails:
            raise fails.pop()
        return add(file, rows, day)

    monkeypatch.setattr(LedgerFile, "add", now_and_then)
    spend(ledger)
    await ledger.rows(1)
    await asyncio.sleep(0)
    spend(ledger)
    (row,) = await ledger.rows(1)
    assert (row.answers, row.dollars) == (2, 8.0)
    await ledger.aclose()
