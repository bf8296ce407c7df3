"""PDFs as text: a child process reads each once, within its limits, and what it read is kept."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from functools import partial

import msgspec

from understudy.config import Documents, bare_environment, size_bytes
from understudy.media.pdftext import NO_READER, Reading, Task, words
from understudy.media.shelf import Shelf, content_key
from understudy.observe import metrics

AT_ONCE = 2
"""PDFs that are read at the same time."""
GRACE = 5.0
"""Seconds that a child may take beyond its time: to start, and to say how far it came."""
CHILD = (sys.executable, "-P", "-m", "understudy.media.pdfchild")


class Pdfs:
    """Reads PDFs.

    Args:
        settings: `[documents]`.
    """

    def __init__(self, settings: Documents) -> None:
        self._task = Task(
            settings.pages,
            size_bytes(settings.text),
            settings.timeout_seconds,
            size_bytes(settings.memory),
        )
        self._shelf = Shelf(size_bytes(settings.cache))
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def text(self, data: str) -> str:
        """What a model is shown of the PDF in this base64; in every case something."""
        key = content_key(data)
        if (known := self._shelf.get(key)) is not None:
            metrics.DOCUMENTS.labels("known").inc()
            return known
        try:
            return await self._shelf.obtain(key, partial(self._read, data))
        except OSError:  # no process could be started: a fault of this machine, and of this moment
            metrics.DOCUMENTS.labels("failed").inc()
            return NO_READER

    async def _read(self, data: str) -> str:
        async with self._turns:
            reading = await _child(data, self._task)
        metrics.DOCUMENTS.labels(reading.ended).inc()
        return words(reading, self._task)


async def _child(data: str, task: Task) -> Reading:
    """What a child process reads. It gets nothing of our environment: keys are in there.

    Raises:
        OSError: it could not be started, or failed.
    """
    asked = msgspec.json.encode(task) + b"\n" + data.encode("ascii", "replace")
    process = await asyncio.create_subprocess_exec(
        *CHILD, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=bare_environment()
    )
    try:
        async with asyncio.timeout(task.seconds + GRACE):
            told, _ = await process.communicate(asked)
    except TimeoutError:
        return Reading("time")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _told(told, process.returncode)


def _told(told: bytes, status: int | None) -> Reading:
    """What it said. One that the system ended said nothing: its time was over, or there was no more memory.

    Raises:
        OSError: it failed for a reason of its own.
    """
    if status == 0:
        return msgspec.json.decode(told, type=Reading)
    if status is None or status > 0:
        raise OSError(f"the reader of PDFs ended with status {status}")
    return Reading("time" if -status == signal.SIGXCPU else "memory")
