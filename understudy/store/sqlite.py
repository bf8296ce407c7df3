"""A SQLite file of ours: durable, nobody else's while we run, and touched by one thread only.

What was committed is on the disk: WAL, and `synchronous=FULL`, so that the end of a transaction waits for the disk. The file
is locked until we close it or die (`locking_mode=EXCLUSIVE`; the kernel lets go for a process that was killed): two gateways
on one file would do the same work twice. https://www.sqlite.org/wal.html#noshm. A file that is `shared` is not: several may
write there, each in its turn.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeVar

from understudy.language.errors import UnderstudyError

APPLICATION = 0x756E6472
"""`application_id` of our files ("undr"): a database of another program is not written into."""
PATIENCE = 2.0
"""Seconds to wait for a lock: a gateway that is just ending lets go within them."""
WAL_KEPT = 16 * 1024 * 1024
"""Bytes of the log that stay on the disk after a large transaction."""
FIRST = ("PRAGMA auto_vacuum = INCREMENTAL",)
ALONE = "PRAGMA locking_mode = EXCLUSIVE"
SETTINGS = (
    "PRAGMA synchronous = FULL",
    f"PRAGMA journal_size_limit = {WAL_KEPT}",
    "PRAGMA foreign_keys = ON",
)
REASONS = {
    "SQLITE_BUSY": "is in use, most likely by another understudy: stop that one, or give this one a file of its own",
    "SQLITE_NOTADB": "is no database: move it away",
    "SQLITE_CORRUPT": "is damaged: move it away, or put a copy in its place",
    "SQLITE_READONLY": "cannot be written: give us the right to write it",
    "SQLITE_CANTOPEN": "cannot be opened: give us the right to write in its folder",
    "SQLITE_FULL": "cannot grow, the disk is full: make room",
    "SQLITE_IOERR": "cannot be read or written, the disk fails: look at the disk",
}
"""What SQLite's result codes (https://www.sqlite.org/rescode.html) mean, and what to do."""

Schema = Sequence[Sequence[str]]
"""The statements that lead from each version of a file's tables to the next."""


class StoreError(UnderstudyError):
    """A file of ours that cannot be used; the message has its path and what to do."""


class Closing(Protocol):
    """Something made over an open file."""

    def close(self) -> None:
        """Let go of the file."""
        ...


Kept = TypeVar("Kept", bound=Closing)
Given = ParamSpec("Given")
Found = TypeVar("Found")


class Keeper(Generic[Kept]):
    """Keeps one file open in one thread, so that the event loop never waits for the disk.

    Args:
        path: the file; it is opened, and made where there is none, when it is first used.
        make: opens it; runs in that thread, as everything else does.
    """

    def __init__(self, path: Path, make: Callable[[Path], Kept]) -> None:
        self.path = path
        self._make = make
        self._kept: Kept | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def do(
        self, work: Callable[Concatenate[Kept, Given], Found], *args: Given.args, **kwargs: Given.kwargs
    ) -> Found:
        """Do something with the file. What was handed over is done, in its turn, even if nobody waits for it any more.

        Raises:
            StoreError: the file cannot be used.
        """
        return await asyncio.shield(asyncio.wrap_future(self.post(work, *args, **kwargs)))

    def post(
        self, work: Callable[Concatenate[Kept, Given], Found], *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[Found]:
        """Hand something over that nobody waits for: it is done in its turn, even if the caller is cancelled."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "store")
        return self._thread.submit(lambda: self._done(work, *args, **kwargs))

    async def open(self) -> None:
        """Open it now. Raises StoreError."""
        await self.do(lambda _: None)

    async def aclose(self) -> None:
        """Close it, after all that was handed over."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.wrap_future(thread.submit(self._close))
            thread.shutdown()

    def _done(
        self, work: Callable[Concatenate[Kept, Given], Found], *args: Given.args, **kwargs: Given.kwargs
    ) -> Found:
        if self._kept is None:
            self._kept = self._make(self.path)
        try:
            return work(self._kept, *args, **kwargs)
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = None


def opened(path: Path, schema: Schema, *, shared: bool = False) -> sqlite3.Connection:
    """The file, ours, with its tables as the newest version has them.

    Args:
        path: where it is.
        schema: its tables.
        shared: whether others may have it open, too.

    Raises:
        StoreError: it cannot be used.
    """
    try:
        _made(path)
        db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    try:
        _set_up(db, path, schema, () if shared else (ALONE,))
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.Error):
            raise unusable(path, error) from error
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None, None, None]:
    """All of it or nothing; when it ends without an error, it is on the disk."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # some errors have rolled back already
            db.execute("ROLLBACK")
        raise


def unusable(path: Path, error: sqlite3.Error) -> StoreError:
    """What went wrong, in words."""
    code = getattr(error, "sqlite_errorname", "")
    for name, words in REASONS.items():
        if code == name or code.startswith(f"{name}_"):
            return StoreError(f"{path} {words} ({error})")
    return StoreError(f"{path} cannot be used: {error}")


def _made(path: Path) -> None:
    """An empty file that only its owner can read, and whose name is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = path.exists()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if not known:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _set_up(db: sqlite3.Connection, path: Path, schema: Schema, first: Sequence[str]) -> None:
    for setting in (*first, *SETTINGS):
        db.execute(setting)
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if tables and application != APPLICATION:
        raise StoreError(f"{path} is a database of another program: name another file")
    if version > len(schema):
        raise StoreError(f"{path} was written by a newer understudy: run that one, or name another file")
    if not tables:
        for setting in FIRST:
            db.execute(setting)
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"{path} lies on a file system without write-ahead logs: name a file on another one")
    for number, statements in enumerate(schema[version:], version + 1):
        with transaction(db):
            for statement in (
                *statements,
                f"PRAGMA application_id = {APPLICATION}",
                f"PRAGMA user_version = {number}",
            ):
                db.execute(statement)
