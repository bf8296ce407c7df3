"""The child process that reads one PDF: `python -m understudy.media.pdfchild`.

One line of JSON on stdin is the `Task`, the PDF in base64 follows; a `Reading` in JSON leaves on stdout, and the process
ends. A process of its own because PDFs come from anywhere: one may be made to unpack into gigabytes, or to keep a reader
busy for hours. It holds itself to its limits, and where it cannot, the system ends it: nobody else notices. pypdf is
written in Python throughout: what is wrong in a file can raise errors in it, but not run code.
"""

import base64
import io
import math
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import msgspec
from pypdf import PageObject, PdfReader
from pypdf.errors import FileNotDecryptedError

from understudy.media.pdftext import Ended, Reading, Task

AGAIN = 0.2
"""Seconds until the time is over once more."""


class TimeUp(BaseException):
    """The time is over: no error, so that no `except Exception` keeps it."""


def main() -> None:
    """Read the task and the PDF, write what was read."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    confine(task)
    try:
        reading = read(sys.stdin.buffer.read(), task)
    except MemoryError:  # not even for the file itself is there enough
        reading = Reading("memory")
    sys.stdout.buffer.write(msgspec.json.encode(reading))


def confine(task: Task) -> None:
    """Hold this process to its limits, for good: memory, the processor's time, and that it writes no files."""
    seconds = math.ceil(task.seconds)
    limits = {
        resource.RLIMIT_CPU: (seconds + 1, seconds + 2),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
    }
    if sys.platform != "darwin":  # which knows this limit, and takes none that could be met
        limits[resource.RLIMIT_AS] = (task.memory, task.memory)
    for which, limit in limits.items():
        resource.setrlimit(which, limit)


def read(data: bytes, task: Task) -> Reading:
    """What there is to read in this PDF, which is in base64."""
    found = _Found()
    try:
        with _until(task.seconds):
            found.ended = _read(data, task, found)
    except TimeUp:
        found.ended = "time"
    except MemoryError:
        found.ended = "memory"
    except FileNotDecryptedError:
        found.ended = "encrypted"
    except Exception:  # noqa: BLE001 - whatever a broken file makes its reader stumble over
        found.ended = "broken"
    return Reading(found.ended, found.total, tuple(found.pages))


class _Found:
    """What has been read so far: all there is, when something comes in between."""

    def __init__(self) -> None:
        self.ended: Ended = "broken"
        self.total = 0
        self.pages: list[str | None] = []


@contextmanager
def _until(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the middle of whatever is going on, once the time is over.

    Again and again: one that is raised while the garbage collector calls back is swallowed by it.
    """

    def up(*_: object) -> NoReturn:
        raise TimeUp

    signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _read(data: bytes, task: Task, found: _Found) -> Ended:
    pages = PdfReader(io.BytesIO(base64.b64decode(data, validate=True))).pages
    found.total, left = len(pages), task.length
    for number in range(min(found.total, task.pages)):
        text = _text(pages, number)
        cut = None if text is None else text.encode("utf-8", "replace")[:left].decode("utf-8", "ignore")
        found.pages.append(cut)
        if cut != text:
            return "length"
        left -= len((cut or "").encode())
    return "whole" if found.total <= task.pages else "pages"


def _text(pages: Sequence[PageObject], number: int) -> str | None:
    """One page's text; None where the page is broken: the others may be whole."""
    try:
        return _clean(pages[number].extract_text())
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as above
        return None


def _clean(text: str) -> str:
    """Without what no text holds: NULs, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()


if __name__ == "__main__":
    main()
