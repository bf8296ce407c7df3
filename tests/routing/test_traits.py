"""Rows: which traits of a text light which part of the table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.routing import grams, traits

NO_SENSE = np.zeros(1 << traits.SENSE_BITS, np.uint8)


def sense(**groups):
    """Words as groups 1, 2, ... in the order they are named."""
    table = NO_SENSE.copy()
    for number, words in enumerate(groups.values(), 1):
        for word in words:
            found = grams.read(word).grams
            table[traits.gram_key(found[len(found[0]) - 1])[0]] = number
    return table


def rows(text, table=NO_SENSE):
    return [set(field.tolist()) for field in traits.fields(grams.read(text), table)]


def measured(text):
    """Which bucket each measure falls into."""
    found = sorted(traits.shape(grams.read(text)).tolist())
    start, out = traits.SHAPES + len(traits.MARKS), []
    for edges in traits.MEASURES:
        here = [row - start for row in found if start <= row < start + len(edges) + 1]
        assert len(here) == 1, "every measure has one bucket"
        out += here
        start += len(edges) + 1
    return out


def test_the_shape_fits_its_part_of_the_table():
    assert (
        len(traits.MARKS) + sum(len(edges) + 1 for edges in traits.MEASURES) <= traits.SENSES - traits.SHAPES
    )
    assert 2 * traits.GROUPS + len(traits.AMOUNTS) * traits.GROUPS <= traits.ROWS - traits.SENSES


def test_an_empty_text_has_a_shape_only():
    body, head, tail, shape, senses = rows("")
    assert (body, head, tail, senses) == (set(), set(), set(), set())
    assert len(shape) == len(traits.MEASURES)


def test_place_matters_to_the_ends_and_not_to_the_body():
    one, other = rows("write poem"), rows("poem write")
    assert len(one[0] & other[0]) == 2
    assert not one[1] >= other[1]
    long = "write " + "x y z " * 20
    assert rows(long)[1] & rows("write")[1]
    assert not rows(long)[2] & rows("write")[2]


def test_how_often_does_not_count():
    assert rows("one two one two one")[0] == rows("two one two one")[0]


LAST, OPTIONS, QUESTIONS, FOREIGN, VERSE, IDIOMS = -1, 9, 10, 8, 13, 14
MEASURED = [
    ("", LAST, 0),
    ("why?", LAST, 1),
    ("为什么？ ", LAST, 1),
    ("so.", LAST, 2),
    ("as follows:", LAST, 3),
    ("no mark", LAST, 4),
    ("A. one\nB. two\nC. three", OPTIONS, 3),
    ("A、一 B、二 C、三 D、四", OPTIONS, 4),
    ("a b c d", OPTIONS, 0),
    ("ends with a", OPTIONS, 0),
    ("what? why? who?", QUESTIONS, 3),
    ("напиши стихи", FOREIGN, 3),
    ("été à la mer", FOREIGN, 0),
    ("全是汉字", FOREIGN, 0),
    ("床前明月光，疑是地上霜。", VERSE, 4),
    ("守株待兔、画蛇添足", IDIOMS, 2),
]


@pytest.mark.parametrize(("text", "measure", "bucket"), MEASURED)
def test_measures(text, measure, bucket):
    assert measured(text)[measure] == bucket


def test_marks_are_found():
    fence = traits.SHAPES + traits.MARKS.index("```")
    assert fence in rows("```py\n```")[3]
    assert fence not in rows("``")[3]


def test_groups_are_found_by_place_and_amount():
    table = sense(verbs=["write", "make up"], poets=["李白"])
    start = traits.SENSES
    head, tail, amount = start, start + traits.GROUPS, start + 2 * traits.GROUPS
    assert rows("please write", table)[4] == {head + 1, tail + 1, amount + 4}
    assert rows("make up something", table)[4] == {head + 1, tail + 1, amount + 4}
    assert rows("make it up", table)[4] == set()
    assert rows("write " + "x " * 40 + "李白", table)[4] == {head + 1, tail + 2, amount + 4, amount + 8}
    assert rows("write write write", table)[4] == {head + 1, tail + 1, amount + 5}
    assert amount + 4 + 3 in rows("write " * 9, table)[4]


def test_shares_make_fields_count_alike():
    fields = traits.fields(grams.read("one two three"), NO_SENSE)
    shares = traits.shares(fields)
    lengths = [len(field) * share**2 for field, share in zip(fields, shares, strict=True)]
    expected = [
        weight**2 if len(field) else 0 for field, weight in zip(fields, traits.FIELD_WEIGHTS, strict=True)
    ]
    assert lengths == pytest.approx(expected)


@given(st.text(max_size=400))
def test_rows_stay_in_the_table(text):
    table = NO_SENSE + np.uint8(traits.GROUPS - 1)
    for field in traits.fields(grams.read(text), table):
        assert len(set(field.tolist())) == len(field)
        assert all(0 <= row < traits.ROWS for row in field.tolist())
