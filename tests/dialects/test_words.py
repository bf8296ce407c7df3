import pytest

from understudy.dialects.words import clean, in_words, outcome
from understudy.language.request import (
    Document,
    Image,
    Text,
    Thinking,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
    Unknown,
)

TOOLS = {"Fetch": Tool("Fetch", "Gets a page", b'{"type":"object"}')}


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (Text("hello"), "hello"),
        (Thinking("hm"), "hm"),
        (Image("image/png", "AAAA"), "[image omitted: this model cannot see images]"),
        (Document(text="words", title="Title"), "Title\n\nwords"),
        (Document(text="words"), "words"),
        (
            Document("application/pdf", "AAAA", title="a.pdf"),
            "[a.pdf omitted: application/pdf cannot be shown to this model]",
        ),
        (Document(url="http://x/y"), "[http://x/y omitted: it cannot be shown to this model]"),
        (Unknown("hologram", "{}"), "[hologram omitted: it cannot be shown to this model]"),
        (ToolReference("Gone"), "Tool Gone was found."),
        (ToolUse("1", "x", "{}"), ""),
        (ToolResult("1"), ""),
    ],
)
def test_a_block_in_words(block, words):
    assert in_words(block, TOOLS) == words


def test_a_tool_that_was_found_is_shown_whole():
    words = in_words(ToolReference("Fetch"), TOOLS)
    assert all(part in words for part in ("Fetch", "Gets a page", '{"type":"object"}'))


@pytest.mark.parametrize(
    ("text", "is_error", "marked"),
    [
        ("fine", False, "fine"),
        ("no such file", True, "Error: no such file"),
        ("Error: no such file", True, "Error: no such file"),
        ("", True, "Error: the tool failed and said nothing"),
        ("x" * 300 + "error", True, "Error: " + "x" * 300 + "error"),
    ],
)
def test_a_failure_is_said(text, is_error, marked):
    assert outcome(text, is_error=is_error) == marked


@pytest.mark.parametrize(
    ("text", "fit"), [("plain", "plain"), ("\ud83d\ude00", "\U0001f600"), ("a\ud800b", "a\ufffdb")]
)
def test_text_is_fit_for_utf_8(text, fit):
    assert clean(text) == fit
