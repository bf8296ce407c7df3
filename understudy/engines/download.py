"""One big file over plain HTTP, so that nothing fetched is ever fetched twice.

    target.gguf                        exists only when it is whole and its checksum was right
    target.gguf.<first 12 of sha256>.part   what is there so far, locked (flock) by whoever writes it

The `.part` outlives broken connections, Ctrl-C, kill -9 and a full disk; the next call reads it back into the checksum
and asks for the rest with a Range. The name carries the checksum, so a new version of the file never continues an old
one. The kernel drops the lock with the process, so no lock is ever stale.

The hub's own client resumes inside one call only (its temporary name is new in every process); that is why this exists.
"""

import contextlib
import errno
import fcntl
import glob
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from understudy.language.errors import UnderstudyError

if TYPE_CHECKING:
    from io import FileIO

    import httpx

TRIES = 5  # attempts in a row without a new byte, before it is given up
SPARE = 256 * 1024 * 1024  # bytes left free on the disk: a full disk breaks more than the download
READ_BACK = 4 * 1024 * 1024
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0  # a connection that says nothing for so long is broken
LONGEST_PAUSE = 30.0
OK, PARTIAL, BAD_RANGE, TOO_MANY, SERVER_ERROR = 200, 206, 416, 429, 500
MB, GB = 1_000_000, 1_000_000_000


class HubError(UnderstudyError):
    """A model could not be had from the hub. The message says what to do.

    HubError          502  the hub answered with something unusable
      - HubUnreachable 503  no network, or the hub is down: the caller may go on without it
      - HubDenied      403  gated or private, or the token is wrong
      - HubNotFound    404  no such repository, file or quant
      - HubBusy        503  another process is downloading the same file
      - HubCorrupt     502  the bytes are not the ones the hub promised
      - HubDisk        507  no room, or the directory cannot be written
    """

    status: ClassVar[int] = 502


class HubUnreachable(HubError):
    """No answer from the hub, or the connection broke again and again."""

    status = 503
    retryable = True


class HubDenied(HubError):
    """The hub wants a token, another token, or a licence to be accepted on its page."""

    status = 403
    kind = "permission_error"


class HubNotFound(HubError):
    """The hub has no such repository, file or quant."""

    status = 404
    kind = "not_found_error"


class HubBusy(HubError):
    """Another process is downloading this very file."""

    status = 503
    kind = "overloaded_error"
    retryable = True


class HubCorrupt(HubError):
    """Size or checksum differ from what the hub promised; the bytes were thrown away."""


class HubDisk(HubError):
    """The disk is full, or the directory cannot be written. What was fetched so far is kept."""

    status = 507


class Remote(msgspec.Struct, frozen=True):
    """A file to fetch.

    Attributes:
        name: what messages call it.
        url: where it is; redirects are followed, the token is not sent to another host.
        size: bytes, exact.
        sha256: of the whole file, 64 hexadecimal digits.
    """

    name: str
    url: str
    size: int
    sha256: str


class _Hiccup(Exception):
    """The server asked for patience, or answered something that another attempt may cure."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class _Part:
    """The bytes had so far: an open, locked, unbuffered file, and the checksum of what is in it."""

    def __init__(self, path: Path, file: "FileIO") -> None:
        self.path = path
        self.file = file
        self.done = 0
        self.digest = hashlib.sha256()

    def read_back(self, on_progress: Callable[[int], None]) -> None:
        self.file.seek(0)
        while chunk := self.file.read(READ_BACK):
            self.digest.update(chunk)
            self.done += len(chunk)
            on_progress(self.done)

    def add(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:  # an unbuffered write may be short, as on a disk that is nearly full
            written = self.file.write(view)
            self.digest.update(view[:written])
            self.done += written
            view = view[written:]

    def restart(self) -> None:
        self.file.truncate(0)
        self.done = 0
        self.digest = hashlib.sha256()


def gigabytes(count: int) -> str:
    """A number of bytes for people: `18.6 GB`, `0.4 MB`."""
    return f"{count / GB:.1f} GB" if count * 10 >= GB else f"{count / MB:.1f} MB"


def complete(item: Remote, target: Path) -> bool:
    """Whether the file is there. Only a checked file gets this name, so its size is proof enough."""
    return target.is_file() and target.stat().st_size == item.size


def part_path(item: Remote, target: Path) -> Path:
    """Where the unfinished file is kept."""
    return target.with_name(f"{target.name}.{item.sha256[:12]}.part")


def check_room(items: list[tuple[Remote, Path]], directory: Path) -> None:
    """Refuse before the first byte what the disk cannot hold.

    Raises:
        HubDisk: with the size needed and the space free.
    """
    missing = sum(_missing(item, target) for item, target in items)
    place = next(p for p in (directory.absolute(), *directory.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    if missing and free < missing + SPARE:
        raise HubDisk(
            f"The download needs {gigabytes(missing)} more in {directory}, and {gigabytes(SPARE)} to spare, but only "
            f"{gigabytes(free)} are free. Free some space, choose another models directory, or a smaller model."
        )


def _missing(item: Remote, target: Path) -> int:
    if complete(item, target):
        return 0
    part = part_path(item, target)
    return max(0, item.size - (part.stat().st_size if part.exists() else 0))


def download(
    item: Remote,
    target: Path,
    *,
    token: str | None = None,
    on_progress: Callable[[int], None] = lambda _done: None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch one file, going on where an earlier call, or an earlier process, stopped.

    Args:
        item: what to fetch.
        target: the name it gets once it is whole and checked; another file of that name is replaced.
        token: sent as a bearer token to the host of the address only.
        on_progress: called with the bytes had so far, often; bytes read back from disk count too.
        pause: waits so many seconds between attempts.

    Returns:
        `target`.

    Raises:
        HubError: any of its kinds; unless it is HubCorrupt, a `.part` file stays for the next call.
    """
    if complete(item, target):
        on_progress(item.size)
        return target
    path = part_path(item, target)
    with _disk_errors(item, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, item) as file:
            if complete(item, target):  # another process finished it while we opened the file
                path.unlink()
                return target
            _drop_older_parts(item, target)
            part = _Part(path, file)
            part.read_back(on_progress)
            _fill(item, part, token, on_progress, pause)
            _check(item, part)
            os.fsync(file.fileno())
            path.replace(target)
    return target


@contextlib.contextmanager
def _disk_errors(item: Remote, directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise HubDisk(
                f"The disk became full while {item.name} ({gigabytes(item.size)}) was downloaded to {directory}. What "
                "was fetched is kept: free some space and run the same command again, and it goes on from there."
            ) from error
        raise HubDisk(
            f"Cannot write {item.name} to {directory}: {error.strerror or error}. Make the directory writable, or "
            "choose another models directory."
        ) from error


@contextlib.contextmanager
def _locked(path: Path, item: Remote) -> Iterator["FileIO"]:
    """Open a .part file and own it; HubBusy when somebody else does."""
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(path.open("a+b", buffering=0))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HubBusy(
                    f"Another process is downloading {item.name} ({gigabytes(os.fstat(file.fileno()).st_size)} of "
                    f"{gigabytes(item.size)} so far). Wait for it, or end it and run this again: it goes on from there."
                ) from None
            if _still_named(path, file):
                break
            file.close()  # its owner finished and renamed it between our open and our lock
        yield file


def _still_named(path: Path, file: "FileIO") -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _drop_older_parts(item: Remote, target: Path) -> None:
    """Beginnings of earlier versions of this file will never be finished; they may be many gigabytes."""
    for old in target.parent.glob(f"{glob.escape(target.name)}.*.part"):
        if old != part_path(item, target):
            with contextlib.suppress(HubBusy), _locked(old, item):
                old.unlink()


def _fill(
    item: Remote,
    part: _Part,
    token: str | None,
    on_progress: Callable[[int], None],
    pause: Callable[[float], None],
) -> None:
    """Ask until every byte is there, or until TRIES attempts in a row brought nothing new."""
    import httpx  # noqa: PLC0415 - most runs download nothing, and it costs a tenth of a second

    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    best, failures = part.done, 0
    with httpx.Client(headers=headers, timeout=timeout, follow_redirects=True) as client:
        while part.done < item.size:
            reason, wait = "it ended early", 0.0
            try:
                _pull(client, item, part, on_progress)
            except httpx.RequestError as broken:
                reason = str(broken) or type(broken).__name__
            except _Hiccup as hiccup:
                reason, wait = str(hiccup), hiccup.wait
            if part.done >= item.size:
                return
            failures = 0 if part.done > best else failures + 1
            best = max(best, part.done)
            if failures >= TRIES:
                raise _given_up(item, part, reason)
            pause(max(wait, min(2.0**failures / 2, LONGEST_PAUSE)))


def _given_up(item: Remote, part: _Part, reason: str) -> HubUnreachable:
    return HubUnreachable(
        f"The download of {item.name} broke {TRIES} times at {gigabytes(part.done)} of {gigabytes(item.size)} "
        f"({reason}). What was fetched is kept: run the same command again, and it goes on from there."
    )


def _pull(client: "httpx.Client", item: Remote, part: _Part, on_progress: Callable[[int], None]) -> None:
    """One request: the rest of the file, as far as the connection lasts."""
    headers = {"Range": f"bytes={part.done}-"} if part.done else {}
    with client.stream("GET", item.url, headers=headers) as response:
        _refuse(response, item)
        if response.status_code == OK:
            part.restart()  # the server does not do ranges and sends the whole file
        elif not _continues(response, part):  # 416, or bytes from elsewhere
            part.restart()
            raise _Hiccup("the server sent another range than asked for")
        for chunk in response.iter_raw():
            part.add(chunk)
            on_progress(min(part.done, item.size))
            if part.done > item.size:
                _check(item, part)


def _continues(response: "httpx.Response", part: _Part) -> bool:
    given: str = response.headers.get("Content-Range", "")
    return given.startswith(f"bytes {part.done}-")


def _refuse(response: "httpx.Response", item: Remote) -> None:
    """Turn a status that brings no bytes into what it means."""
    status = response.status_code
    if status in {OK, PARTIAL, BAD_RANGE}:
        return
    if status in {401, 403} and not response.history:
        raise HubDenied(
            f"The hub refuses {item.name} ({status}). Accept the licence on the model's page, then set HF_TOKEN to a "
            "token that may read it."
        )
    if status in {404, 410}:
        raise HubNotFound(f"The hub no longer has {item.name} ({status}): choose another model or quant.")
    # After a redirect a refusal may only mean that the CDN's signed address ran out: the hub gives a new one.
    if status == TOO_MANY or status >= SERVER_ERROR or response.history:
        after = response.headers.get("Retry-After", "")
        raise _Hiccup(f"status {status}", min(float(after), LONGEST_PAUSE) if after.isdigit() else 0.0)
    raise HubError(f"The hub answered {status} for {item.name}. Check the endpoint, or name another mirror.")


def _check(item: Remote, part: _Part) -> None:
    if part.done == item.size and part.digest.hexdigest() == item.sha256:
        return
    part.path.unlink()
    raise HubCorrupt(
        f"{item.name} arrived damaged: {part.done} bytes with sha256 {part.digest.hexdigest()[:12]}..., but the hub "
        f"promised {item.size} bytes with {item.sha256[:12]}... The file was removed. Run the same command again; if it "
        "repeats, a proxy or mirror on the way changes the bytes: use another endpoint."
    )
