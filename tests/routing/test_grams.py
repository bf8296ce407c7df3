"""Reading a text: where its tokens are, that equal ones hash alike, and that no text breaks it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.routing import grams


def tokens(text):
    reading = grams.read(text)
    return [reading.text[start:end] for start, end in zip(reading.starts, reading.ends, strict=True)]


TOKENS = {
    "": [],
    "  \n\t": [],
    "Fix the bug.": ["fix", "the", "bug"],
    "snake_case don't": ["snake_case", "don", "t"],
    "用java写个程序": ["用", "java", "写", "个", "程", "序"],
    "ひらカナ漢字": list("ひらカナ漢字"),
    "한국어 텍스트": ["한국어", "텍스트"],
    "привет мир": ["привет", "мир"],
    "a1 22": ["a1", "22"],
    "😀x😀": ["x"],
    "ＡＢ１": ["ａｂ１"],
    "\ud800lone": ["lone"],
    "\x00\x01bin\x80": ["bin"],
}


@pytest.mark.parametrize(("text", "expected"), TOKENS.items(), ids=repr)
def test_tokens(text, expected):
    assert tokens(text) == expected


ALIKE = [
    ("Fix it", "fix  IT!"),
    ("in 1999", "in 2024"),
    ("ＡＢＣ", "abc"),
    ("写 诗", "写诗"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_equal_words_have_equal_hashes_wherever_they_stand(one, other):
    first, second = grams.read(one), grams.read("zzz " + other)
    assert first.grams[0].tolist() == second.grams[0][1:].tolist()
    assert first.grams[1].tolist() == second.grams[1][1:].tolist()


@pytest.mark.parametrize(
    ("one", "other"), [("ab", "ba"), ("in 1", "in 22"), ("a b", "ab"), ("好", "号"), ("ab", "b")]
)
def test_other_words_have_other_hashes(one, other):
    assert grams.read(one).grams[0].tolist() != grams.read(other).grams[0].tolist()


def test_grams_know_their_order():
    there, back = grams.read("one two three four"), grams.read("four three two one")
    assert [len(hashes) for hashes in there.grams] == [4, 3, 2, 1]
    assert set(there.grams[0]) == set(back.grams[0])
    assert not set(there.grams[1]) & set(back.grams[1])


def test_stems_are_shared():
    stems = grams.read("translate translation trans 文字").stems
    assert len(stems) == 2
    assert stems[0] == stems[1]


def test_characters_are_counted_by_kind():
    reading = grams.read("a1{\n好😀")
    assert reading.kinds == (1, 1, 1, 1, 1, 1)


def test_runs_of_ideographs():
    assert grams.read("床前明月光，疑是地上霜。ok 好").runs == [5, 5, 1]
    assert grams.read("none").runs == []


def test_of_a_long_text_the_ends_are_read():
    text = "begin " + "x" * 10_000_000 + " end"
    reading = grams.read(text)
    assert len(reading.text) == grams.HEAD_CHARS + 2 + grams.TAIL_CHARS
    assert (reading.text[:5], reading.text[-3:]) == ("begin", "end")
    assert grams.cut("short") == "short"


def test_a_text_that_grows_in_lower_case_fits():
    reading = grams.read("İ" * 5000)
    assert len(reading.codes) < 2 * grams.ROOM
    assert len(reading.starts) >= 1


@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text_is_read(text):
    reading = grams.read(text)
    assert (reading.starts < reading.ends).all()
    assert (reading.ends[:-1] <= reading.starts[1:]).all()
    assert sum(reading.kinds) == len(reading.codes) == len(reading.text)


@given(st.text(alphabet="ab 1好😀", max_size=40), st.text(alphabet="ab 1好😀", max_size=40))
def test_hashes_tell_texts_apart(one, other):
    same = [tokens(one.replace("1", "0")) == tokens(other.replace("1", "0"))]
    alike = np.array_equal(grams.read(one).grams[0], grams.read(other).grams[0])
    assert [alike] == same
