"""Reasoning written into text."""

import itertools

import pytest
from anyevents import ANY, lawful, run
from harness import ids, legal, merged
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.errors import EngineLost
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
)
from understudy.language.message import collect
from understudy.language.request import Text
from understudy.stages.thinking import EDGE, TAGS, ThinkingTags
from understudy.stages.tidy import Tidy

START, TEXT, STOP, END = MessageStart("msg_e", "m"), BlockStart("text"), BlockStop(), MessageStop("end_turn")


def told(text, *, opened=False, cuts=()):
    """(kind, text) of the blocks of an answer that says `text`."""
    out = legal(run(ThinkingTags(opened=opened), lawful(text, cuts)))
    return [("text" if isinstance(block, Text) else "thinking", block.text) for block in collect(out).blocks]


# text, opened -> blocks
CASES = {
    "no tags": ("Hello <b>you</b>", False, [("text", "Hello <b>you</b>")]),
    "nothing": ("", False, []),
    "thinking, then text": ("<think>hm</think>Hi", False, [("thinking", "hm"), ("text", "Hi")]),
    "as Qwen writes it": ("<think>\nhm\n</think>\n\nHi\n", False, [("thinking", "hm"), ("text", "Hi\n")]),
    "blanks before it": ("\n <think>hm</think>Hi", False, [("thinking", "hm"), ("text", "Hi")]),
    "thinking only": ("<think>hm</think>\n\n", False, [("thinking", "hm")]),
    "empty thinking": ("<think>\n\n</think>\n\nHi", False, [("text", "Hi")]),
    "indented text": ("<think>hm</think>\n    code", False, [("thinking", "hm"), ("text", "    code")]),
    "twice": ("<think>a</think>\n<think>b</think>\nHi", False, [("thinking", "a"), ("thinking", "b"), ("text", "Hi")]),
    "again after blanks": ("<think>a</think>\n \n<think>b</think>", False, [("thinking", "a"), ("thinking", "b")]),
    "lines inside": ("<think>a\n\nb  c</think>d", False, [("thinking", "a\n\nb  c"), ("text", "d")]),
    "another's tag": ("<think>[THINK] </thinking></think>d", False, [("thinking", "[THINK] </thinking>"), ("text", "d")]),
    "false starts inside": ("<think>a </thin b </think>c", False, [("thinking", "a </thin b"), ("text", "c")]),
    "false start": ("<thin air", False, [("text", "<thin air")]),
    "false start after blanks": ("\n\n<thin", False, [("text", "\n\n<thin")]),
    "blanks only": (" \n", False, [("text", " \n")]),
    "later it is text": ("See: <think>hm</think>", False, [("text", "See: <think>hm</think>")]),
    "later still": ("<think>a</think>b <think>c</think>", False, [("thinking", "a"), ("text", "b <think>c</think>")]),
    "quoted": ("`<think>` is a tag", False, [("text", "`<think>` is a tag")]),
    "not closed": ("<think>hm\n", False, [("thinking", "hm\n")]),
    "cut in the closer": ("<think>hm</thi", False, [("thinking", "hm</thi")]),
    "stray closer": ("</think>\n\nHi", False, [("text", "Hi")]),
    "stray closer later": ("Hi</think>", False, [("text", "Hi</think>")]),
    "opened": ("hm\n</think>\n\nHi", True, [("thinking", "hm"), ("text", "Hi")]),
    "opened and closed at once": ("</think>Hi", True, [("text", "Hi")]),
    "opened, closed after a line": ("\n</think>\n\nHi", True, [("text", "Hi")]),
    "opened twice": ("<think>\nhm</think>Hi", True, [("thinking", "hm"), ("text", "Hi")]),
    "opened, never closed": ("hm", True, [("thinking", "hm")]),
    "opened, nothing": ("", True, []),
    "opened, blanks": ("\n \n", True, []),
    "opened, false start": ("<thin", True, [("thinking", "<thin")]),
    "opened, another's closer": ("hm[/THINK]Hi", True, [("thinking", "hm"), ("text", "Hi")]),
    "many blanks before": (" " * (EDGE + 1) + "<think>", False, [("text", " " * (EDGE + 1) + "<think>")]),
    "many blanks inside": ("<think>a" + " " * (EDGE + 9) + "</think>", False, [("thinking", "a" + " " * 9)]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_blocks(case):
    text, opened, blocks = CASES[case]
    assert told(text, opened=opened) == blocks
    assert told(text, opened=opened, cuts=range(1, len(text))) == blocks, "letter by letter"
    for cut in range(1, len(text)):
        assert told(text, opened=opened, cuts=[cut]) == blocks, cut


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag.opener)
def test_every_tag(tag):
    assert told(f"{tag.opener}hm{tag.closer}\nHi") == [("thinking", "hm"), ("text", "Hi")]
    assert told(f"hm{tag.closer}\nHi", opened=True) == [("thinking", "hm"), ("text", "Hi")]


def test_thinking_streams():
    stage = ThinkingTags()
    assert run_each(stage, START, TEXT, TextDelta("<think>a"), TextDelta("b "), TextDelta("c</")) == [
        [START],
        [],
        [BlockStart("thinking"), ThinkingDelta("a")],
        [ThinkingDelta("b")],
        [ThinkingDelta(" c")],
    ]


def run_each(stage, *events):
    return [list(stage.feed(event)) for event in events]


def test_visible_text_passes_as_it_is():
    stage = ThinkingTags()
    run_each(stage, START, TEXT, TextDelta("a"))
    delta = TextDelta("<think>")
    (same,) = stage.feed(delta)
    assert same is delta


CUT = {
    "in thinking": ("<think>hm </th", False, [BlockStart("thinking"), ThinkingDelta("hm </th")]),
    "in an opener": ("<thi", False, [TEXT, TextDelta("<thi")]),
    "in opened thinking": ("hm", True, [BlockStart("thinking"), ThinkingDelta("hm")]),
    "in text": ("Hi", False, [TEXT, TextDelta("Hi")]),
}


@pytest.mark.parametrize("case", CUT)
@pytest.mark.parametrize("end", [[Failed(EngineLost("gone"))], []])
def test_cut_answers_keep_what_was_said_and_stay_open(case, end):
    text, opened, expected = CUT[case]
    out = merged(run(ThinkingTags(opened=opened), [START, TEXT, TextDelta(text), *end]))
    assert out == [START, *expected, *end]


def test_thinking_that_the_limit_cuts():
    events = lawful("<think>hm", [], reason="max_tokens")
    assert run(ThinkingTags(), events)[-2:] == [STOP, MessageStop("max_tokens")]


CALL = [BlockStart("tool_use", "e", "Bash"), InputDelta("{}"), STOP]
NATIVE = [BlockStart("thinking"), ThinkingDelta("a </think> b"), STOP]


def test_blocks_the_engine_made_pass():
    events = [START, Progress(1, 2, 0), *NATIVE, TEXT, TextDelta("Hi"), STOP, *CALL, END]
    assert run(ThinkingTags(opened=True), events) == events


def test_thinking_ends_with_its_block():
    events = [START, TEXT, TextDelta("<think>a"), STOP, *CALL, TEXT, TextDelta("</think>\nb"), STOP, END]
    thought = [BlockStart("thinking"), ThinkingDelta("a"), STOP]
    assert run(ThinkingTags(), events) == [START, *thought, *CALL, TEXT, TextDelta("b"), STOP, END]


def test_a_false_start_that_ended_its_block_was_visible():
    events = [START, TEXT, TextDelta("<thi"), STOP, TEXT, TextDelta("<think>a"), STOP, END]
    assert run(ThinkingTags(), events) == events


PARTS = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<thinking>", "[/THINK]", "<thi", "</", "a", " ", "\n", " " * 40, "b"]
    ),
    max_size=12,
).map("".join)


@given(PARTS, st.lists(st.integers(0, 400), max_size=12), st.booleans())
def test_cuts_do_not_matter(text, cuts, opened):
    assert told(text, opened=opened, cuts=cuts) == told(text, opened=opened)


@given(PARTS, st.booleans())
def test_only_tags_and_blanks_are_lost(text, opened):
    left = "".join("".join(part for _, part in told(text, opened=opened)).split())
    rest = "".join(text.split())
    for tag in itertools.chain.from_iterable((tag.opener, tag.closer) for tag in TAGS):
        left, rest = left.replace(tag, ""), rest.replace(tag, "")
    assert left == rest


@given(ANY, st.booleans())
def test_tidy_can_end_anything(events, opened):
    legal(run(Tidy(ids()), run(ThinkingTags(opened=opened), events)))
