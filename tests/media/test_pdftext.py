"""Whatever became of a PDF, a model is told."""

import pytest

from understudy.media.pdftext import UNREADABLE, Reading, Task, words

TASK = Task(pages=3, length=100, seconds=2.5, memory=10**9)
SAID = {
    "two pages": (
        Reading("whole", 2, ("One.", "Two.")),
        "[A PDF of 2 pages. Its text:]\n\n[Page 1]\nOne.\n\n[Page 2]\nTwo.",
    ),
    "one page": (Reading("whole", 1, ("One.",)), "[A PDF of 1 page. Its text:]\n\n[Page 1]\nOne."),
    "a page of pictures": (
        Reading("whole", 2, ("One.", "")),
        "[A PDF of 2 pages. Its text:]\n\n[Page 1]\nOne.\n\n[Page 2: no text.]",
    ),
    "a broken page": (
        Reading("whole", 2, (None, "Two.")),
        "[A PDF of 2 pages. Its text:]\n\n[Page 1: it is damaged.]\n\n[Page 2]\nTwo.",
    ),
    "too many pages": (
        Reading("pages", 9, ("One.",)),
        "[A PDF of 9 pages. Its text:]\n\n[Page 1]\nOne.\n\n[It has 9 pages; no more than 3 are read.]",
    ),
    "too much text": (
        Reading("length", 9, ("One.", "Tw")),
        (
            "[A PDF of 9 pages. Its text:]\n\n[Page 1]\nOne.\n\n[Page 2]\nTw\n\n"
            "[Cut on page 2 of 9: no more of a document is shown.]"
        ),
    ),
    "too slow": (
        Reading("time", 9, ("One.",)),
        (
            "[A PDF of 9 pages. Its text:]\n\n[Page 1]\nOne.\n\n"
            "[Left off after page 1 of 9: reading took more than 2.5 s.]"
        ),
    ),
    "too large": (
        Reading("memory", 9, ("One.",)),
        (
            "[A PDF of 9 pages. Its text:]\n\n[Page 1]\nOne.\n\n"
            "[Left off after page 1 of 9: the next takes more memory than is allowed.]"
        ),
    ),
    "too slow from the start": (
        Reading("time", 9),
        "[A PDF, left out: reading it took more than 2.5 s.]",
    ),
    "too large from the start": (
        Reading("memory"),
        "[A PDF, left out: reading it took more memory than is allowed.]",
    ),
    "locked": (
        Reading("encrypted"),
        "[A PDF, left out: it is encrypted. Ask for its password to be taken away, or for its text.]",
    ),
    "broken": (Reading("broken"), UNREADABLE),
    "broken on every page": (Reading("whole", 2, (None, None)), UNREADABLE),
    "without a page": (Reading("whole"), UNREADABLE),
    "a scan": (
        Reading("whole", 2, ("", "")),
        (
            "[A PDF of 2 pages, left out: it holds no text, only pictures of its pages (a scan?)."
            " Ask for the pages as pictures, or for their text.]"
        ),
    ),
    "a scan with a broken page": (
        Reading("whole", 2, ("", None)),
        (
            "[A PDF of 2 pages, left out: it holds no text, only pictures of its pages (a scan?)."
            " Ask for the pages as pictures, or for their text.]"
        ),
    ),
}


@pytest.mark.parametrize(("reading", "said"), SAID.values(), ids=SAID)
def test_what_is_said(reading, said):
    assert words(reading, TASK) == said


def test_a_text_with_braces_is_a_text():
    assert "{total} {" in words(Reading("whole", 1, ("{total} {",)), TASK)
