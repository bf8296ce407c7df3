"""Files of ours: what is promised of them, what is said when they cannot be used, and the one thread."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from understudy.store import sqlite
from understudy.store.sqlite import APPLICATION, Keeper, StoreError, opened, transaction, unusable

ONE = ("CREATE TABLE a (x INTEGER)",)
TWO = ("CREATE TABLE b (y INTEGER)", "INSERT INTO b SELECT x FROM a")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some" / "where" / "our.db"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(sqlite, "PATIENCE", 0.01)


def pragma(db, name):
    return db.execute(f"PRAGMA {name}").fetchone()[0]


# -- the file -------------------------------------------------------------------------------------------------------


def test_what_is_committed_is_on_the_disk(path):
    db = opened(path, [ONE])
    assert pragma(db, "journal_mode") == "wal"
    assert pragma(db, "synchronous") == 2  # FULL
    assert pragma(db, "foreign_keys") == 1
    assert pragma(db, "auto_vacuum") == 2  # incremental
    db.close()


def test_only_its_owner_may_read_it(path):
    db = opened(path, [ONE])
    with transaction(db):
        db.execute("INSERT INTO a VALUES (1)")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    db.close()


def test_rows_stay(path):
    db = opened(path, [ONE])
    with transaction(db):
        db.execute("INSERT INTO a VALUES (1)")
    db.close()
    db = opened(path, [ONE])
    assert db.execute("SELECT x FROM a").fetchall() == [(1,)]
    db.close()


def test_a_newer_version_takes_what_an_older_one_wrote(path):
    db = opened(path, [ONE])
    db.execute("INSERT INTO a VALUES (7)")
    db.close()
    db = opened(path, [ONE, TWO])
    assert db.execute("SELECT y FROM b").fetchall() == [(7,)]
    assert pragma(db, "user_version") == 2
    assert pragma(db, "application_id") == APPLICATION
    db.close()


def test_a_step_that_fails_leaves_the_older_version(path):
    opened(path, [ONE]).close()
    with pytest.raises(StoreError, match="cannot be used: no such table: missing"):
        opened(path, [ONE, ("CREATE TABLE b (y INTEGER)", "INSERT INTO missing VALUES (1)")])
    db = opened(path, [ONE])
    assert pragma(db, "user_version") == 1
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    db.close()


def foreign(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x INTEGER)")
    db.commit()
    db.close()


def newer(path):
    opened(path, [ONE, TWO]).close()


def cut(path):
    db = opened(path, [ONE])
    db.execute("INSERT INTO a VALUES (1)")
    db.close()
    path.write_bytes(path.read_bytes()[:5000])


BAD = {
    "garbage": (
        lambda path: path.write_bytes(b"no database, but long enough to be one. " * 99),
        "is no database: move",
    ),
    "cut": (cut, "is damaged: move it away"),
    "a folder": (lambda path: path.mkdir(), "cannot be written: Is a directory"),
    "another program's": (foreign, "is a database of another program: name another file"),
    "a newer one's": (newer, "was written by a newer understudy"),
}


@pytest.mark.parametrize(("spoil", "words"), BAD.values(), ids=BAD)
def test_files_that_cannot_be_used(path, spoil, words):
    path.parent.mkdir(parents=True)
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    for _ in range(2):  # the first look must not leave a lock behind
        with pytest.raises(StoreError) as raised:
            opened(path, [ONE])
        assert words in raised.value.message
        assert str(path) in raised.value.message
    assert before == (path.read_bytes() if path.is_file() else b"")


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written: "):
        opened(tmp_path / "file" / "our.db", [ONE])


def test_a_file_of_the_system(tmp_path):
    with pytest.raises(StoreError, match="cannot"):
        opened(type(tmp_path)("/proc/our.db"), [ONE])


def test_a_file_that_cannot_be_connected_to(path, monkeypatch):
    def refuse(*_, **__):
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorname = "SQLITE_CANTOPEN"
        raise error

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(StoreError, match="cannot be opened: give us the right to write in its folder"):
        opened(path, [ONE])


def test_a_file_system_without_write_ahead_logs(path, monkeypatch):
    monkeypatch.setattr(sqlite, "SETTINGS", ())
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **more: real(":memory:", **more))
    with pytest.raises(StoreError, match="lies on a file system without write-ahead logs"):
        opened(path, [ONE])


def test_it_is_ours_alone_while_it_is_open(path):
    db = opened(path, [ONE])
    with pytest.raises(StoreError, match="is in use, most likely by another understudy"):
        opened(path, [ONE])
    db.close()
    opened(path, [ONE]).close()


def test_a_shared_one_takes_turns(path):
    one, other = opened(path, [ONE], shared=True), opened(path, [ONE], shared=True)
    for db in (one, other, one):
        with transaction(db):
            db.execute("INSERT INTO a VALUES (1)")
    assert other.execute("SELECT count(*) FROM a").fetchone() == (3,)
    one.close()
    other.close()


HOLD = """
import sys, pathlib
from understudy.store.sqlite import opened
db = opened(pathlib.Path(sys.argv[1]), [["CREATE TABLE a (x INTEGER)"]])
db.execute("INSERT INTO a VALUES (5)")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_killed_process_lets_go_and_loses_nothing(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="is in use"):
            opened(path, [ONE])
        other.kill()
    db = opened(path, [ONE])
    assert db.execute("SELECT x FROM a").fetchall() == [(5,)]
    db.close()


def test_a_full_disk(path):
    db = opened(path, [ONE])
    db.execute("PRAGMA max_page_count = 3")
    with pytest.raises(sqlite3.Error) as raised, transaction(db):
        db.execute("INSERT INTO a VALUES (zeroblob(100000))")
    assert "the disk is full: make room" in unusable(path, raised.value).message
    assert db.execute("SELECT count(*) FROM a").fetchone() == (0,)
    db.close()


NAMES = [
    ("SQLITE_BUSY", "in use"),
    ("SQLITE_BUSY_RECOVERY", "in use"),
    ("SQLITE_IOERR_WRITE", "the disk fails"),
    ("SQLITE_READONLY_DIRECTORY", "cannot be written"),
    ("SQLITE_CANTOPEN", "cannot be opened"),
    ("SQLITE_CORRUPT_VTAB", "damaged"),
    ("SQLITE_TOOBIG", "cannot be used: words"),
    ("SQLITE_FULLY", "cannot be used: words"),
    ("", "cannot be used: words"),
]


@pytest.mark.parametrize(("name", "words"), NAMES)
def test_every_code_has_words(tmp_path, name, words):
    error = sqlite3.OperationalError("words")
    if name:
        error.sqlite_errorname = name
    assert words in unusable(tmp_path / "x", error).message


def test_all_of_a_transaction_or_nothing(path):
    db = opened(path, [ONE])

    def adds_two():
        with transaction(db):
            db.execute("INSERT INTO a VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        adds_two()
    assert db.execute("SELECT count(*) FROM a").fetchone() == (0,)
    assert not db.in_transaction
    db.close()


# -- the thread -----------------------------------------------------------------------------------------------------


class Diary:
    """Notes what is done with it."""

    made = 0

    def __init__(self, path):
        type(self).made += 1
        if path.name == "bad":
            raise StoreError("no")
        self.threads = set()
        self.done = []
        self.closed = False

    def note(self, what, *, gate=None):
        self.threads.add(threading.get_ident())
        if gate:
            assert gate.wait(10)
        self.done.append(what)
        return len(self.done)

    def fail(self, error):
        raise error

    def close(self):
        self.closed = True


@pytest.fixture
async def keeper(tmp_path):
    Diary.made = 0
    one = Keeper(tmp_path / "x", Diary)
    yield one
    await one.aclose()


async def test_nothing_is_opened_before_it_is_used(keeper):
    assert Diary.made == 0
    await keeper.open()
    await keeper.open()
    assert Diary.made == 1


async def test_one_thread_does_everything_in_its_turn(keeper):
    numbers = await asyncio.gather(*(keeper.do(Diary.note, n) for n in range(50)))
    assert numbers == list(range(1, 51))
    diary = keeper._kept
    assert diary.done == list(range(50))
    assert len(diary.threads) == 1
    assert threading.get_ident() not in diary.threads


async def test_what_was_handed_over_is_done_even_if_nobody_waits(keeper):
    gate = threading.Event()
    await keeper.open()
    first = asyncio.ensure_future(keeper.do(Diary.note, "first", gate=gate))
    second = asyncio.ensure_future(keeper.do(Diary.note, "second"))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.wait((first, second))
    gate.set()
    assert await keeper.do(Diary.note, "third") == 3
    assert keeper._kept.done == ["first", "second", "third"]


async def test_it_closes_after_the_last(keeper):
    gate = threading.Event()
    await keeper.open()
    diary = keeper._kept
    last = asyncio.ensure_future(keeper.do(Diary.note, "last", gate=gate))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(keeper.aclose())
    await asyncio.sleep(0)
    assert not diary.closed
    gate.set()
    await closing
    assert (await last, diary.done, diary.closed) == (1, ["last"], True)
    await keeper.aclose()
    assert await keeper.do(Diary.note, "again") == 1  # opened anew
    assert Diary.made == 2


async def test_errors_are_told_in_words(keeper):
    with pytest.raises(StoreError, match="cannot be used: nope"):
        await keeper.do(Diary.fail, sqlite3.OperationalError("nope"))
    with pytest.raises(ZeroDivisionError):
        await keeper.do(Diary.fail, ZeroDivisionError())
    assert await keeper.do(Diary.note, "still here") == 1


async def test_a_file_that_cannot_be_opened_is_tried_again(tmp_path):
    bad = Keeper(tmp_path / "bad", Diary)
    Diary.made = 0
    for _ in range(2):
        with pytest.raises(StoreError, match="no"):
            await bad.open()
    assert Diary.made == 2
    await bad.aclose()
