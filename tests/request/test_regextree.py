"""Trees of regular expressions: sets of characters, weights, and how they are written."""

import pytest

from understudy.request.regextree import (
    ANY,
    EMPTY,
    LAST,
    Chars,
    Either,
    Repeated,
    Sequence,
    alternatives,
    chars,
    is_plain,
    joined,
    listed,
    others,
    repeated,
    weight,
    written,
)

A, B = listed("a"), listed("b")


def test_sets_are_sorted_and_joined():
    assert chars((5, 9), (1, 2), (3, 6)) == Chars(((1, 9),))
    assert listed("cab") == Chars(((0x61, 0x63),))


def test_others_leaves_surrogates_alone():
    assert others(chars((5, 9))) == Chars(((0, 4), (10, LAST)))
    assert others(chars((0, 0xD7FF))) == Chars(((0xE000, LAST),))
    assert others(chars((0xE000, LAST))) == Chars(((0, 0xD7FF),))
    assert others(chars((0, 0xD7FF), (0xE000, LAST))) == Chars(())
    assert others(ANY) == Chars(())


def test_putting_together():
    assert joined([A]) == A
    assert joined([Sequence((A, B)), A]) == Sequence((A, B, A))
    assert alternatives([A, EMPTY]) == Repeated(A, 0, 1)
    assert alternatives([EMPTY]) == EMPTY
    assert alternatives([A, B, A]) == Either((A, B))
    assert repeated(A, 1, 1) == A
    assert repeated(A, 0, 0) == EMPTY
    assert repeated(EMPTY, 3, None) == EMPTY


WRITTEN = [
    (A, "a"),
    (listed("."), r"\."),
    (listed(" "), " "),
    (listed("\n"), r"\x0a"),
    (listed("\u00a0"), r"\u00a0"),
    (listed("é"), "é"),
    (chars((0x61, 0x7A), (0x2D, 0x2D)), r"[\x2da-z]"),
    (ANY, r"[\s\S]"),
    (others(A), "[^a]"),
    (Sequence((A, Either((A, B)))), "a(a|b)"),
    (Either((A, Sequence((A, B)))), "a|ab"),
    (Repeated(Sequence((A, B)), 2, None), "(ab){2,}"),
    (Repeated(A, 2, 2), "a{2}"),
    (Repeated(A, 2, 5), "a{2,5}"),
    (Repeated(A, 0, None), "a*"),
    (EMPTY, ""),
]


@pytest.mark.parametrize(("tree", "text"), WRITTEN, ids=[text for _, text in WRITTEN])
def test_written(tree, text):
    assert written(tree) == text


def test_weight_is_what_it_unrolls_to():
    assert weight(Sequence((A, Repeated(Either((A, B)), 1, 10)))) == 21
    assert weight(Repeated(A, 5, None)) == 5
    assert weight(Repeated(A, 0, None)) == 1


def test_plain_is_what_json_writes_as_itself():
    assert is_plain(Sequence((A, Repeated(Either((B, listed("é"))), 0, None))))
    for char in '"\\\n\x7f':
        assert not is_plain(Sequence((A, listed(char))))
    assert not is_plain(others(A))
