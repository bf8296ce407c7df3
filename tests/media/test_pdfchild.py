"""The child that reads PDFs: what it makes of honest files and of others, and that it is held to its limits."""

import signal
import subprocess
import sys

import msgspec
import pytest
from media.tinypdf import (
    CHINESE,
    b64,
    bomb,
    document,
    encrypted,
    endless,
    mapped,
    packed,
    pdf,
    ring,
    scan,
    shown,
    stream,
)

from understudy.media.pdfchild import read
from understudy.media.pdftext import Reading, Task

TASK = Task(pages=500, length=200_000, seconds=20.0, memory=10**9)
HELLO = pdf("Hello, world.\nSecond line.", "The end.")
PAGES = ("Hello, world.\nSecond line.", "The end.")
MANY = pdf(*[f"This is page {number}." for number in range(1000)])


def of(data, **limits):
    """What is read of these bytes, in this process: without the limits that are the system's."""
    return read(b64(data).encode(), msgspec.structs.replace(TASK, **limits))


READ = {
    "two pages": (HELLO, Reading("whole", 2, PAGES)),
    "chinese, a font of the system": (
        pdf("你好，世界。\n代码审查", font=CHINESE),
        Reading("whole", 1, ("你好，世界。\n代码审查",)),
    ),
    "chinese, as browsers print": (mapped("你好 wörld ✓"), Reading("whole", 1, ("你好 wörld ✓",))),
    "a scan": (scan(2), Reading("whole", 2, ("", ""))),
    "an empty page": (pdf("One.", ""), Reading("whole", 2, ("One.", ""))),
    "a page that is broken": (
        document(
            [packed(shown("One.")), stream(b"\xff" * 50, b"/Filter /NoSuchDecode"), packed(shown("Three."))]
        ),
        Reading("whole", 3, ("One.", None, "Three.")),
    ),
    "rubbish before and after": (b"rubbish\n" * 20 + HELLO + b"\nrubbish", Reading("whole", 2, PAGES)),
    "no index": (HELLO[: HELLO.index(b"xref\n0")], Reading("broken")),
    "cut in half": (HELLO[: len(HELLO) // 2], Reading("broken")),
    "a ring of pages": (ring(), Reading("broken")),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), Reading("broken")),
    "words": (b"not a PDF", Reading("broken")),
    "nothing": (b"", Reading("broken")),
}


@pytest.mark.parametrize(("data", "found"), READ.values(), ids=READ)
def test_what_is_read(data, found):
    assert of(data) == found


def test_what_is_no_base64_is_no_pdf():
    assert read(b"%PDF-1.7 {}", TASK) == Reading("broken")


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_a_locked_document_is_known_as_one(algorithm):
    assert of(encrypted(HELLO, "secret", algorithm)) == Reading("encrypted")


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_a_document_that_anybody_may_open_is_opened(algorithm):
    assert of(encrypted(HELLO, "", algorithm)) == Reading("whole", 2, PAGES)


def test_a_thousand_pages_are_read():
    found = of(MANY, pages=1000)
    assert (found.ended, found.total, len(found.pages)) == ("whole", 1000, 1000)
    assert (found.pages[0], found.pages[-1]) == ("This is page 0.", "This is page 999.")


def test_pages_over_the_limit_are_not_read():
    found = of(MANY, pages=3)
    assert found == Reading("pages", 1000, ("This is page 0.", "This is page 1.", "This is page 2."))
    assert of(HELLO, pages=2).ended == "whole"


CUTS = [  # bytes: why it ended, the pages
    (38, "whole", ("Hello, world.\nSecond line.", "The end.")),
    (34, "whole", ("Hello, world.\nSecond line.", "The end.")),
    (33, "length", ("Hello, world.\nSecond line.", "The end")),
    (26, "length", ("Hello, world.\nSecond line.", "")),
    (5, "length", ("Hello",)),
    (0, "length", ("",)),
]


@pytest.mark.parametrize(("length", "ended", "pages"), CUTS)
def test_text_over_the_limit_is_cut(length, ended, pages):
    assert of(HELLO, length=length) == Reading(ended, 2, pages)


@pytest.mark.parametrize("length", range(1, 20))
def test_a_character_is_never_cut(length):
    (text,) = of(pdf("你好，世界。", font=CHINESE), length=length).pages
    assert text == "你好，世界。"[: length // 3]


# -- the process


def child(data, *, code="from understudy.media.pdfchild import main; main()", **limits):
    task = msgspec.structs.replace(TASK, **limits)
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=msgspec.json.encode(task) + b"\n" + b64(data).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )


def said(done):
    assert done.returncode == 0, done.stderr[-2000:]
    return msgspec.json.decode(done.stdout, type=Reading)


def test_the_process_says_what_it_read():
    assert said(child(HELLO)) == Reading("whole", 2, PAGES)


def test_a_bomb_goes_off_inside():
    """pypdf unpacks no stream beyond 75 MB; what does not fit into the memory that is allowed is not read either."""
    assert said(child(bomb())) == Reading("whole", 1, (None,))
    assert said(child(endless(20), memory=120_000_000, seconds=60.0)) == Reading("memory", 1)


def test_a_file_that_does_not_fit_is_not_read():
    assert said(child(bytes(50_000_000), memory=100_000_000)) == Reading("memory")


BUSY = """
import sys, msgspec
from understudy.media.pdfchild import confine
from understudy.media.pdftext import Task
confine(msgspec.json.decode(sys.stdin.buffer.readline(), type=Task))
"""


def test_the_system_ends_what_does_not_end_by_itself():
    done = child(HELLO, code=BUSY + "while True: pass", seconds=0.5)
    assert -done.returncode == signal.SIGXCPU


def test_memory_has_an_end():
    done = child(HELLO, code=BUSY + "bytearray(10**9)", memory=500_000_000)
    assert b"MemoryError" in done.stderr


def test_no_file_is_written(tmp_path):
    place = tmp_path / "file"
    done = child(HELLO, code=BUSY + f"open({str(place)!r}, 'w', buffering=1).write('x' * 9 + chr(10))")
    assert b"File too large" in done.stderr
    assert not place.read_bytes()


# -- time


def test_what_takes_too_long_is_left_off():
    slow = document([packed(shown("One.")), *_content(endless(20))])
    assert said(child(slow, seconds=1.0)) == Reading("time", 2, ("One.",))


def _content(data):
    """The content stream of a document's only page."""
    return [data[data.index(b"5 0 obj\n") + 8 : data.index(b"\nendobj", data.index(b"5 0 obj"))]]


SWALLOWS = """
import signal
from understudy.media.pdfchild import TimeUp, _until
caught = 0
try:
    with _until(0.05):
        while True:
            try:
                for _ in iter(int, 1): int()
            except TimeUp:
                caught += 1
                if caught == 3: raise
except TimeUp:
    print(caught, signal.getitimer(signal.ITIMER_REAL))
"""


def test_time_that_is_over_stays_over():
    """Whoever swallows it once is told again; after that there is peace."""
    assert child(HELLO, code=SWALLOWS).stdout == b"3 (0.0, 0.0)\n"
