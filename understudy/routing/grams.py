r"""A text as numbers: its words and their neighbours, hashed, all at once instead of one by one.

A *token* is a run of letters and digits, or one Chinese or Japanese character: those languages put no blanks between
words, and neither `\b` nor a blank tells where Latin letters end and Chinese ones begin ("用java写"). Every digit
counts as 0, so that numbers are alike; full-width forms count as the ASCII they stand for.

The hash of a token is a difference of two prefix sums (a polynomial in an odd number modulo 2**64, whose powers have
inverses), so numpy finds the hashes of all tokens of a text in a few steps. Only the beginning and the end of a long text
are read: what is asked for stands there, and the cost has a bound.
"""

from functools import cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]

HEAD_CHARS, TAIL_CHARS = 1600, 800
"""How much of a long text is read."""
ROOM = HEAD_CHARS + TAIL_CHARS + 8
STEM = 5
ORDERS = 4
"""Grams of one to four tokens: a Chinese idiom has four characters."""
OTHER, WORD, IDEOGRAPH, SYMBOL, BREAK, DIGIT = range(6)
"""Kinds of characters. DIGIT is only counted: a token takes it for WORD."""
IDEOGRAPHS = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
SYMBOLS = "{}[]()<>;=+*/\\|&^%$#@~`"
PLANE = 1 << 16
"""Characters beyond the basic plane (emoji, rare ideographs) count as one that is no letter."""
FULL_WIDTH, SHIFT = slice(0xFF01, 0xFF5F), 0xFEE0

_BASE = 0x9E3779B97F4A7C15
_MIX, _JOIN = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(29)


class Reading(Struct, frozen=True):
    """A text, read.

    Attributes:
        text: what was read of it, in lower case.
        kinds: how many characters there are of each kind.
        codes: its characters.
        starts: where its tokens begin.
        ends: where they end.
        grams: hashes of its tokens, of two neighbours, of three, of four; `grams[n][i]` begins with token i.
        stems: the first five letters of its longer words: "translate" and "translation" share them.
        runs: how long the unbroken runs of ideographs are: verse has fives and sevens, idioms fours.
    """

    text: str
    kinds: tuple[int, ...]
    codes: Codes
    starts: Places
    ends: Places
    grams: tuple[Hashes, ...]
    stems: Hashes
    runs: list[int]


def read(text: str) -> Reading:
    """The text as hashes."""
    text = cut(text).lower()
    codes = _codes(text)
    kinds = _alphabet()[0][codes]
    counts = np.bincount(kinds, minlength=6).tolist()
    ideographs = kinds == IDEOGRAPH
    starts, ends = _tokens((kinds == WORD) | (kinds == DIGIT), ideographs)
    sums = _sums(codes)
    longer = starts[ends - starts > STEM]
    return Reading(
        text=text,
        kinds=tuple(counts),
        codes=codes,
        starts=starts,
        ends=ends,
        grams=_grams(_spans(sums, starts, ends)),
        stems=_spans(sums, longer, longer + STEM),
        runs=_runs(ideographs) if counts[IDEOGRAPH] else [],
    )


def cut(text: str) -> str:
    """The beginning and the end of a text that is too long to be read whole."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n\n{text[-TAIL_CHARS:]}"


def mixed(hashes: Hashes) -> Hashes:
    """Hashes whose upper bits depend on all of their bits."""
    hashes = hashes * _MIX
    hashes ^= hashes >> _HALF
    return hashes * _MIX


def _codes(text: str) -> Codes:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.minimum(codes[: 2 * ROOM - 1], PLANE - 1)


def _tokens(words: NDArray[np.bool_], ideographs: NDArray[np.bool_]) -> tuple[Places, Places]:
    starts, ends = words.copy(), words.copy()
    starts[1:] &= ~words[:-1]
    ends[:-1] &= ~words[1:]
    return np.flatnonzero(starts | ideographs), np.flatnonzero(ends | ideographs) + 1


def _runs(marked: NDArray[np.bool_]) -> list[int]:
    bordered = np.zeros(len(marked) + 2, np.int8)
    bordered[1:-1] = marked
    edges = np.flatnonzero(np.diff(bordered))
    lengths: list[int] = (edges[1::2] - edges[::2]).tolist()
    return lengths


def _sums(codes: Codes) -> Hashes:
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(_alphabet()[1][codes] * _powers()[0][: len(codes)], out=sums[1:])
    return sums


def _spans(sums: Hashes, starts: Places, ends: Places) -> Hashes:
    return mixed((sums[ends] - sums[starts]) * _powers()[1][starts])


def _grams(tokens: Hashes) -> tuple[Hashes, ...]:
    grams = [tokens]
    for order in range(1, ORDERS):
        grams.append(mixed(grams[-1][:-1] * _JOIN + tokens[order:]))
    return tuple(grams)


@cache
def _powers() -> tuple[Hashes, Hashes]:
    """Powers of the base, and their inverses modulo 2**64."""
    return _series(_BASE), _series(pow(_BASE, -1, 1 << 64))


def _series(base: int) -> Hashes:
    factors = np.full(2 * ROOM, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


@cache
def _alphabet() -> tuple[NDArray[np.uint8], Hashes]:
    """The kind of every character, and what it is folded into."""
    kinds = np.array([WORD if chr(code).isalnum() else OTHER for code in range(PLANE)], np.uint8)
    folded = np.arange(PLANE, dtype=np.uint64)
    for first, last in IDEOGRAPHS:
        kinds[first : last + 1] = IDEOGRAPH
    for symbol in SYMBOLS:
        kinds[ord(symbol)] = SYMBOL
    kinds[ord("_")] = WORD
    kinds[ord("\n")] = BREAK
    folded[FULL_WIDTH] -= np.uint64(SHIFT)
    digits = [code for code in range(PLANE) if chr(code).isdigit()]
    kinds[digits] = DIGIT
    folded[digits] = ord("0")
    return kinds, folded
