"""PDFs through child processes: read once, within limits, and a sentence in every case."""

import asyncio
import os
import sys
from contextlib import suppress

import psutil
import pytest
from media.tinypdf import CHINESE, b64, encrypted, endless, pdf, scan

from understudy.config import Documents
from understudy.media import pdfs
from understudy.media.pdfs import Pdfs
from understudy.media.pdftext import NO_READER, UNREADABLE, Reading
from understudy.observe.metrics import REGISTRY

HELLO = b64(pdf("Hello, world."))
SHOWN = "[A PDF of 1 page. Its text:]\n\n[Page 1]\nHello, world."


def outcomes(outcome):
    return REGISTRY.get_sample_value("understudy_documents_total", {"outcome": outcome}) or 0


def readers():
    """Children that read, and have not ended."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "understudy.media.pdfchild" in child.cmdline():
                found.append(child)
    return found


async def begun():
    async with asyncio.timeout(10):
        while not readers():  # noqa: ASYNC110 - processes send no events
            await asyncio.sleep(0.01)


async def test_a_pdf_is_read_once():
    before = outcomes("whole"), outcomes("known")
    library = Pdfs(Documents())
    assert [await library.text(HELLO) for _ in range(3)] == [SHOWN] * 3
    assert (outcomes("whole"), outcomes("known")) == (before[0] + 1, before[1] + 2)


async def test_equal_ones_at_the_same_time_are_read_once():
    before = outcomes("whole")
    library = Pdfs(Documents())
    assert await asyncio.gather(*(library.text(HELLO) for _ in range(5))) == [SHOWN] * 5
    assert outcomes("whole") == before + 1


IN_PLACE = {
    "chinese": (pdf("你好，世界。", font=CHINESE), "你好，世界。"),
    "a scan": (scan(3), "A PDF of 3 pages, left out: it holds no text"),
    "locked": (encrypted(pdf("x"), "secret"), "it is encrypted"),
    "rubbish": (b"rubbish", UNREADABLE),
}


@pytest.mark.parametrize(("data", "said"), IN_PLACE.values(), ids=IN_PLACE)
async def test_there_is_always_something_in_its_place(data, said):
    assert said in await Pdfs(Documents()).text(b64(data))


async def test_settings_are_its_limits():
    library = Pdfs(Documents(pages=1, text="5"))
    two = b64(pdf("One.", "Two."))
    assert await library.text(two) == (
        "[A PDF of 2 pages. Its text:]\n\n[Page 1]\nOne.\n\n[It has 2 pages; no more than 1 are read.]"
    )
    assert "Hello\n\n[Cut on page 1 of 1" in await library.text(HELLO)


async def test_what_takes_too_long_is_kept_too():
    """Or every turn of the conversation would take that long once more."""
    before = outcomes("time")
    library = Pdfs(Documents(timeout_seconds=0.5))
    slow = b64(endless(20))
    said = "[A PDF, left out: reading it took more than 0.5 s.]"
    assert [await library.text(slow) for _ in range(2)] == [said] * 2
    assert outcomes("time") == before + 1


SLEEPER = "import sys, time; sys.stdin.buffer.readline(); time.sleep(60)"


async def test_a_child_that_keeps_to_no_time_is_ended(monkeypatch):
    monkeypatch.setattr(pdfs, "CHILD", (sys.executable, "-c", SLEEPER, "understudy.media.pdfchild"))
    monkeypatch.setattr(pdfs, "GRACE", 0.2)
    said = await Pdfs(Documents(timeout_seconds=0.2)).text(HELLO)
    assert said == "[A PDF, left out: reading it took more than 0.2 s.]"
    assert readers() == []


ENDS = {  # what a child does: what is said, whether that is kept
    "its processor time is over": ("import os; os.kill(os.getpid(), 24)", "took more than 60 s", True),
    "the system needs its memory": (
        "import os; os.kill(os.getpid(), 9)",
        "more memory than is allowed",
        True,
    ),
    "it crashes": ("import os; os.abort()", "more memory than is allowed", True),
    "it is not installed": ("import no_such_module", NO_READER, False),
}


@pytest.mark.parametrize(("code", "said", "kept"), ENDS.values(), ids=ENDS)
async def test_however_a_child_ends_something_is_said(code, said, kept, monkeypatch):
    library = Pdfs(Documents())
    with monkeypatch.context() as patched:
        patched.setattr(pdfs, "CHILD", (sys.executable, "-c", code))
        assert said in await library.text(HELLO)
    again = await library.text(HELLO)
    assert (said in again) if kept else (again == SHOWN)


async def test_no_process_can_be_started(monkeypatch):
    before = outcomes("failed")
    library = Pdfs(Documents())
    with monkeypatch.context() as patched:
        patched.setattr(pdfs, "CHILD", ("/no/such/python",))
        assert await library.text(HELLO) == NO_READER
    assert outcomes("failed") == before + 1
    assert await library.text(HELLO) == SHOWN


async def test_who_leaves_ends_the_child():
    reading = asyncio.ensure_future(Pdfs(Documents()).text(b64(endless(20))))
    await begun()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    async with asyncio.timeout(5):
        while readers():  # noqa: ASYNC110 - processes send no events
            await asyncio.sleep(0.01)


async def test_no_more_than_two_are_read_at_a_time(monkeypatch):
    gate, now, most = asyncio.Event(), 0, []

    async def reading(data, task):
        nonlocal now
        now += 1
        most.append(now)
        await gate.wait()
        now -= 1
        return Reading("broken")

    monkeypatch.setattr(pdfs, "_child", reading)
    library = Pdfs(Documents())
    wanted = [asyncio.ensure_future(library.text(b64(pdf(f"{n}")))) for n in range(5)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert most == [1, 2]
    gate.set()
    await asyncio.gather(*wanted)
    assert len(most) == 5
    assert max(most) == 2


SHOWS_ENVIRONMENT = """
import json, os, sys
print(json.dumps({"ended": "whole", "total": 1, "pages": [" ".join(sorted(os.environ))]}))
"""


async def test_no_key_is_in_its_environment(monkeypatch):
    monkeypatch.setitem(os.environ, "UNDERSTUDY_MASTER_KEY", "secret")
    monkeypatch.setitem(os.environ, "PYTHONPATH", "")
    monkeypatch.setattr(pdfs, "CHILD", (sys.executable, "-c", SHOWS_ENVIRONMENT))
    said = await Pdfs(Documents()).text(HELLO)
    assert "PYTHONPATH" in said
    assert "UNDERSTUDY" not in said
    assert "HOME" not in said.replace("PYTHONHOME", "")


async def test_nothing_of_a_document_is_in_a_log(caplog, capfd):
    library = Pdfs(Documents())
    for data in (pdf("Hello, world."), b"rubbish", encrypted(pdf("x"), "secret")):
        await library.text(b64(data))
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
