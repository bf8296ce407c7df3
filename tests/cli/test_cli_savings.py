"""What is shown of the ledger: by day, task, key or target, as a table or as JSON."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from understudy.cli import cli
from understudy.store.ledger import LedgerFile, Row

TODAY = datetime.now(UTC).date()
ROWS = [  # days ago, key, task, target, outside, instead, dollars
    (0, "k1", "code", "ollama/qwen", False, "claude-sonnet-5-5", 1.5),
    (0, "", "", "claude/opus", True, "opus", 4.0),
    (6, "k1", "code", "ollama/qwen", False, "claude-opus-5-5", 2.25),
    (7, "k2", "math", "ollama/qwen", False, "claude-opus-5-5", 8.0),
]


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@pytest.fixture
def kept(tmp_path):
    file = LedgerFile(tmp_path / "understudy" / "ledger.db")
    for ago, key, task, target, outside, instead, dollars in ROWS:
        day = (TODAY - timedelta(days=ago)).isoformat()
        file.add([Row(day, key, task, target, outside, instead, 1, 1000, 0, 10, dollars)], day)
    yield file
    file.close()


def run(*args):
    return CliRunner().invoke(cli, ["savings", *args])


def cells(done):
    return [line.split() for line in done.stdout.splitlines()]


def test_a_table_by_day_while_a_gateway_has_the_file(kept):
    done = run("--days", "7")
    before = (TODAY - timedelta(days=6)).isoformat()
    assert cells(done) == [
        ["DAY", "HERE", "TOKENS", "SAVED", "OUTSIDE", "TOKENS", "SPENT"],
        [before, "1", "1,010", "$2.25", "0", "0", "$0.00"],
        [TODAY.isoformat(), "1", "1,010", "$1.50", "1", "1,010", "$4.00"],
        ["all", "2", "2,020", "$3.75", "1", "1,010", "$4.00"],
    ]
    assert done.stderr.startswith("compared with claude-opus-5-5, claude-sonnet-5-5; prices of 20")


BYS = {
    "task": ["code", "math", "none"],
    "key": ["k1", "k2", "none"],
    "target": ["claude/opus", "ollama/qwen"],
}


@pytest.mark.parametrize("by", BYS)
def test_by_something_else(kept, by):
    rows = json.loads(run("--by", by, "--json").stdout)
    assert [row["name"] for row in rows] == BYS[by]
    assert sum(row["saved"] for row in rows) == 11.75


def test_one_line_is_its_own_sum(kept):
    assert len(cells(run("--days", "1"))) == 2


def test_nothing_was_answered():
    done = run()
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "nothing was answered in that time\n"


def test_nothing_is_compared(tmp_path):
    file = LedgerFile(tmp_path / "understudy" / "ledger.db")
    day = TODAY.isoformat()
    file.add([Row(day, "", "", "claude/opus", True, "opus", 1, 1, 0, 1, 1.0)], day)
    file.close()
    assert "compared with nothing" in run().stderr
