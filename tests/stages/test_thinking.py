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
from understudy.stages.reasoning import STRAYS, TAGS, WRAPPINGS
from understudy.stages.thinking import EDGE, ThinkingTags
from understudy.stages.tidy import Tidy

START, TEXT, STOP, END = MessageStart("msg_e", "m"), BlockStart("text"), BlockStop(), MessageStop("end_turn")


def stage(*, opened=False):
    return ThinkingTags(begun="<think>\n" if opened else "")


def told(text, *, opened=False, cuts=(), **settings):
    """(kind, text) of the blocks of an answer that says `text`."""
    one = ThinkingTags(**settings) if settings else stage(opened=opened)
    out = legal(run(one, lawful(text, cuts)))
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
    "opened, another's closer": ("hm[/THINK]Hi", True, [("thinking", "hm[/THINK]Hi")]),
    "opened, a part of the opener": ("<thi", True, [("thinking", "<thi")]),
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
    thought = ("thinking", f"{tag.opener}\nhm" if tag.spoken else "hm")
    for cuts in ((), range(99)):
        assert told(f"{tag.opener}\nhm\n{tag.closer}\nHi", cuts=cuts) == [thought, ("text", "Hi")]
        assert told(f"hm{tag.closer}\nHi", begun=tag.opener + "\n", cuts=cuts) == [thought, ("text", "Hi")]
        assert told(f"{tag.closer}Hi", cuts=cuts) == [("text", "Hi")]


@pytest.mark.parametrize("tag", [tag for tag in TAGS if tag.again], ids=lambda tag: tag.opener)
def test_tokens_of_the_models_own_count_later_once_one_was_seen(tag):
    one = f"{tag.opener}a{tag.closer}"
    again = f"{one}Hi <b>{tag.opener}\nb{tag.closer}\n{tag.closer}you{tag.closer}"
    for cuts in ((), range(200), *([cut] for cut in range(1, len(again)))):
        assert told(again, cuts=cuts) == [
            ("thinking", "a"),
            ("text", "Hi <b>"),
            ("thinking", "b"),
            ("text", "you"),
        ]
        assert told(f"Hi {one}", cuts=cuts) == [("text", f"Hi {one}")]


def test_text_that_ends_in_what_may_be_a_token_is_said():
    assert told("<mm:think>a</mm:think>Hi <mm:") == [("thinking", "a"), ("text", "Hi <mm:")]


@pytest.mark.parametrize("tag", [tag for tag in TAGS if tag.ends], ids=lambda tag: tag.opener)
def test_what_follows_reasoning_may_end_it(tag):
    for end in tag.ends:
        wrapped = end in {row.opener for row in WRAPPINGS}
        for text in (f"{tag.opener}hm{end}Hi", f"{tag.opener}{end}Hi"):
            for cuts in ((), range(200)):
                assert told(text, cuts=cuts)[-1] == ("text", "Hi" if wrapped else f"{end}Hi")


@pytest.mark.parametrize("row", WRAPPINGS, ids=lambda row: row.opener)
def test_what_stands_around_visible_text_is_left_out(row):
    text = f"<think>hm</think>\n{row.opener}Hi <b>\n{row.closer}"
    for cuts in ((), range(200), *([cut] for cut in range(1, len(text)))):
        said = "Hi <b>" if row.after else "Hi <b>\n"
        assert told(text, cuts=cuts) == [("thinking", "hm"), ("text", said)]
        assert told(text.removesuffix(row.closer), cuts=cuts)[1][1].rstrip("\n") == "Hi <b>"
    alone = told(f"{row.opener}Hi{row.closer}")
    assert alone == [("text", f"{row.opener}Hi{row.closer}" if row.after else "Hi")]


def test_the_lines_of_a_wrapping_are_its_own():
    text = "<think>a</think>\n<answer>\nHi\n\nyou\n</answer>\n"
    for cuts in ((), range(200), *([cut] for cut in range(1, len(text)))):
        assert told(text, cuts=cuts) == [("thinking", "a"), ("text", "Hi\n\nyou")]


@pytest.mark.parametrize("stray", STRAYS)
def test_strays_are_left_out(stray):
    text = f"{stray}<|open|>response<|sep|>Hi<|close|>response<|sep|>{stray}"
    for cuts in ((), range(200)):
        assert told(text, cuts=cuts) == [("text", "Hi")]


BEGUN = {  # what the prompt has written, and what it makes of "hm</think>Hi"
    "": [("text", "hm</think>Hi")],
    "<think>": [("thinking", "hm"), ("text", "Hi")],
    "<think>I ": [("thinking", "I hm"), ("text", "Hi")],
    "<think>\n\n</think>\n\n": [("text", "hm</think>Hi")],
    "</think>": [("text", "hm</think>Hi")],
    ">>>": [("text", ">>>hm</think>Hi")],
}


@pytest.mark.parametrize("begun", BEGUN)
def test_what_the_prompt_has_written_is_read_too(begun):
    for cuts in ((), range(200)):
        assert told("hm</think>Hi", begun=begun, cuts=cuts) == BEGUN[begun]
    assert told("", begun=begun) == []
    assert run(ThinkingTags(begun=begun), [START, TEXT, TextDelta(""), STOP, END]) == [START, END]


def test_an_engine_that_tells_reasoning_apart_has_no_use_for_it():
    events = [START, *NATIVE, TEXT, TextDelta("Hi"), STOP, END]
    assert run(ThinkingTags(begun="<think>"), events) == events


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


def test_what_passes():
    one = ThinkingTags()
    assert one.passes(ThinkingDelta("a"))
    assert not one.passes(TextDelta("a"))
    run_each(one, START, TEXT, TextDelta("<thi"))
    assert not one.passes(ThinkingDelta("a"))
    run_each(one, TextDelta("s"))
    assert one.passes(TextDelta("<think>"))
    again = ThinkingTags()
    run_each(again, START, TEXT, TextDelta("<mm:think>a</mm:think>b"))
    assert not again.passes(TextDelta("c"))


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
    out = merged(run(stage(opened=opened), [START, TEXT, TextDelta(text), *end]))
    assert out == [START, *expected, *end]


def test_thinking_that_the_limit_cuts():
    events = lawful("<think>hm", [], reason="max_tokens")
    assert run(ThinkingTags(), events)[-2:] == [STOP, MessageStop("max_tokens")]


CALL = [BlockStart("tool_use", "e", "Bash"), InputDelta("{}"), STOP]
NATIVE = [BlockStart("thinking"), ThinkingDelta("a </think> b"), STOP]


def test_blocks_the_engine_made_pass():
    events = [START, Progress(1, 2, 0), *NATIVE, TEXT, TextDelta("Hi"), STOP, *CALL, END]
    assert run(stage(opened=True), events) == events


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
    legal(run(Tidy(ids()), run(stage(opened=opened), events)))
