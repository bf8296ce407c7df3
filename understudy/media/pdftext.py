"""What was read of a PDF, and how that is put to a model: in every case a sentence, never nothing."""

from typing import Literal

from msgspec import Struct

Ended = Literal["whole", "pages", "length", "time", "memory", "encrypted", "broken"]
"""Why reading ended: all was read, one of the limits was met, or there was nothing to read."""


class Task(Struct, frozen=True):
    """How much of a PDF is read, and with how much.

    Attributes:
        pages: at most so many.
        length: at most so many bytes of text.
        seconds: of time, on the clock and of the processor.
        memory: bytes of address space.
    """

    pages: int
    length: int
    seconds: float
    memory: int


class Reading(Struct, frozen=True):
    """What was read.

    Attributes:
        ended: why it ended.
        total: pages the document has; 0 where that could not be read.
        pages: the text of each page that was read; None for one that is broken.
    """

    ended: Ended
    total: int = 0
    pages: tuple[str | None, ...] = ()


UNREADABLE = "[A PDF, left out: it is damaged, or no PDF at all.]"
NO_READER = "[A PDF, left out: it could not be read now.]"
_NOTHING: dict[Ended, str] = {
    "encrypted": "[A PDF, left out: it is encrypted. Ask for its password to be taken away, or for its text.]",
    "broken": UNREADABLE,
    "time": "[A PDF, left out: reading it took more than {seconds:g} s.]",
    "memory": "[A PDF, left out: reading it took more memory than is allowed.]",
}
_SCAN = (
    "[A PDF of {pages}, left out: it holds no text, only pictures of its pages (a scan?)."
    " Ask for the pages as pictures, or for their text.]"
)
_REST: dict[Ended, str] = {
    "pages": "[It has {total} pages; no more than {limit} are read.]",
    "length": "[Cut on page {read} of {total}: no more of a document is shown.]",
    "time": "[Left off after page {read} of {total}: reading took more than {seconds:g} s.]",
    "memory": "[Left off after page {read} of {total}: the next takes more memory than is allowed.]",
}


def words(reading: Reading, task: Task) -> str:
    """What stands in the place of a PDF."""
    read = len(reading.pages)
    numbers = {"total": reading.total, "read": read, "limit": task.pages, "seconds": task.seconds}
    if not read and reading.ended in _NOTHING:
        return _NOTHING[reading.ended].format_map(numbers)
    if all(page is None for page in reading.pages):
        return UNREADABLE
    count = f"{reading.total} page{'' if reading.total == 1 else 's'}"
    if not any(reading.pages):
        return _SCAN.format(pages=count)
    parts = [f"[A PDF of {count}. Its text:]"]
    parts += [_page(number, text) for number, text in enumerate(reading.pages, 1)]
    if reading.ended in _REST:
        parts.append(_REST[reading.ended].format_map(numbers))
    return "\n\n".join(parts)


def _page(number: int, text: str | None) -> str:
    if text is None:
        return f"[Page {number}: it is damaged.]"
    return f"[Page {number}]\n{text}" if text else f"[Page {number}: no text.]"
