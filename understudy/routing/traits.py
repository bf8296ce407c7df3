"""What of a text speaks for one task or another, as rows of a table, in five fields.

- *body*: tokens, pairs and stems, wherever they stand.
- *head* and *tail*: grams of the first and the last tokens, since what is asked for stands there.
- *shape*: how long the text is, how many digits, symbols and line breaks it has, which marks occur in it.
- *sense*: groups of words that mean the same (verbs of translating, names of poets); see training/lexicon.txt.

Each field is a set: how often a row occurs does not count. `training` and the classifier use this same code.
"""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from understudy.routing.grams import BREAK, DIGIT, IDEOGRAPH, SYMBOL, WORD, Codes, Hashes, Reading, mixed

Rows = NDArray[np.intp]
Sense = NDArray[np.uint8]
"""The group of every gram, by the upper bits of its hash; 0 is no group."""

HASHED = 1 << 16
SHAPES, SENSES = HASHED, HASHED + 512
ROWS = SENSES + 512
"""Rows of the table: those of hashes, of the shape, of the groups."""
EDGE, ZONE = 12, 16
"""How many tokens the head and the tail have: for grams, and for groups."""
SENSE_BITS = 20
GROUPS = 64
"""More groups than that have no place in the table."""
AMOUNTS = (1, 2, 4, 8)
FIELD_WEIGHTS = (1.4, 1.0, 0.8, 0.7, 1.0)
"""How much the fields count beside each other; found by leaving sources out."""

MARKS = (
    *(
        "```",
        "def ",
        "#include",
        "();",
        "</",
        "print(",
        "\\frac",
        "\\(",
        "____",
        "^2",
        "http",
        "==",
        "->",
        "//",
        "| ",
        "**",
    ),
    *(
        "\n- ",
        "\n1.",
        "……",
        "$",
        "=",
        "°",
        "%",
        "¥",
        "√",
        "×",
        "÷",
        "'",
        "请",
        "吗",
        '"',
        "“",
        "《",
        "：",
        ":",
        "，",
        "。",
    ),
    *("；", "、", "！", "!"),
)
"""Strings that tell something by being there; the text is in lower case."""
MEASURES: tuple[tuple[float, ...], ...] = (
    (12, 25, 50, 100, 200, 400, 800, 1600),  # characters
    (3, 6, 12, 25, 50, 100, 200, 400, 800),  # tokens
    (1e-9, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4),  # share of digits
    (1, 2, 3, 5, 8, 15, 40),  # digits
    (1e-9, 0.003, 0.01, 0.02, 0.04, 0.08, 0.15),  # share of symbols
    (1e-9, 0.1, 0.3, 0.6, 0.8),  # share of ideographs
    (1, 2, 3, 5, 10, 20, 40),  # line breaks
    (1e-9, 0.005, 0.01, 0.02, 0.05),  # share of line breaks
    (1e-9, 0.1, 0.5),  # share of letters beyond Latin
    (1, 2, 3, 4, 5, 9),  # options A. B. C. D.
    (1, 2, 3),  # question marks
    (1, 2, 4, 10),  # equals signs
    (1e-9, 0.01, 0.03),  # share of opening brackets
    (0.2, 0.4, 0.6, 0.8),  # share of runs that are lines of verse
    (1, 2, 4),  # runs of four ideographs
    (1, 2, 3, 4),  # how it ends
)
ENDINGS = {"?": 1, "？": 1, ".": 2, "。": 2, ":": 3, "：": 3}
WORDY_END = 4
VERSE = (5, 7)
IDIOM = 4
LATIN = 0x24F
FULL_WIDTH_FROM = 0xFF00
OPTIONS = frozenset("abcd")
AFTER_OPTION = frozenset(".)、:：）．")
LONE = 64
"""How many single letters are looked at."""

_BODY_SALTS = np.array((3, 5, 7), np.uint64)
_END_SALTS = np.array((9, 11, 13, 15), np.uint64)
"""Odd numbers that send the same gram to another row in each field."""
_PLACES = tuple(
    SHAPES + len(MARKS) + sum(len(edges) + 1 for edges in MEASURES[:i]) for i in range(len(MEASURES))
)


def fields(reading: Reading, sense: Sense) -> tuple[Rows, Rows, Rows, Rows, Rows]:
    """Body, head, tail, shape and sense of a text."""
    return body(reading), *ends(reading), shape(reading), senses(reading, sense)


def shares(fields: tuple[Rows, ...]) -> list[float]:
    """What one row of each field counts: a field counts alike, however many rows it has."""
    return [
        weight * len(rows) ** -0.5 if len(rows) else 0.0
        for weight, rows in zip(FIELD_WEIGHTS, fields, strict=True)
    ]


def body(reading: Reading) -> Rows:
    """Tokens, pairs and stems, each row once."""
    parts = (*reading.grams[:2], reading.stems)
    salts = np.repeat(_BODY_SALTS, [len(part) for part in parts])
    rows = _rows(np.concatenate(parts), salts)
    rows.sort(kind="stable")  # of 16 bits: a radix sort
    new = np.empty(len(rows), np.bool_)
    new[:1] = True
    np.not_equal(rows[1:], rows[:-1], out=new[1:])
    return rows[new].astype(np.intp)


def ends(reading: Reading) -> tuple[Rows, Rows]:
    """Head and tail: grams of the first and of the last tokens; those at the very edge count once more."""
    grams = reading.grams[:3]
    first = [hashes[: EDGE - i] for i, hashes in enumerate(grams)]
    last = [hashes[-(EDGE - i) :] for i, hashes in enumerate(grams)]
    opening, closing = [hashes[:1] for hashes in grams], [hashes[-1:] for hashes in grams]
    groups = (first, opening, last, closing)
    lengths = [sum(map(len, group)) for group in groups]
    salts = np.repeat(_END_SALTS, lengths)
    rows = _rows(np.concatenate([part for group in groups for part in group]), salts).tolist()
    border = lengths[0] + lengths[1]
    return _once(rows[:border]), _once(rows[border:])


def shape(reading: Reading) -> Rows:
    """What can be counted, and the marks that occur."""
    rows = [SHAPES + i for i, mark in enumerate(MARKS) if mark in reading.text]
    for place, edges, value in zip(_PLACES, MEASURES, _measures(reading), strict=True):
        rows.append(place + bisect_right(edges, value))
    return np.array(rows, np.intp)


def senses(reading: Reading, sense: Sense) -> Rows:
    """Which groups of words occur: in the head, in the tail, and how many of their words anywhere."""
    groups = sense[gram_key(np.concatenate(reading.grams))]
    last = max(len(reading.starts) - ZONE, 0)
    heads: set[int] = set()
    tails: set[int] = set()
    start = 0
    for hashes in reading.grams:
        end = start + len(hashes)
        heads.update(groups[start : min(start + ZONE, end)].tolist())
        tails.update(groups[start + last : end].tolist())
        start = end
    amounts = np.bincount(groups, minlength=GROUPS).tolist()
    rows = [SENSES + group for group in heads if group]
    rows += [SENSES + GROUPS + group for group in tails if group]
    for group, amount in enumerate(amounts):
        if group and amount:
            rows.append(SENSES + 2 * GROUPS + len(AMOUNTS) * group + bisect_right(AMOUNTS, amount) - 1)
    return np.array(rows, np.intp)


def gram_key(hashes: Hashes) -> NDArray[np.uint64]:
    """Where a gram stands in `Sense`."""
    return hashes >> np.uint64(64 - SENSE_BITS)


def _measures(reading: Reading) -> tuple[float, ...]:
    length, tokens, kinds = max(len(reading.codes), 1), len(reading.starts), reading.kinds
    text = reading.text
    widths = reading.runs
    return (
        len(text),
        tokens,
        kinds[DIGIT] / length,
        kinds[DIGIT],
        kinds[SYMBOL] / length,
        kinds[IDEOGRAPH] / length,
        kinds[BREAK],
        kinds[BREAK] / length,
        _foreign(reading.codes, kinds) / length,
        _options(reading),
        text.count("?") + text.count("？"),
        text.count("="),
        text.count("(") / length,
        sum(width in VERSE for width in widths) / max(len(widths), 1),
        widths.count(IDIOM),
        _ending(text),
    )


def _foreign(codes: Codes, kinds: tuple[int, ...]) -> int:
    """Letters that are neither Latin nor ideographs: Cyrillic, Arabic, Thai, Hangul."""
    beyond = int(np.count_nonzero((codes > LATIN) & (codes < FULL_WIDTH_FROM))) - kinds[IDEOGRAPH]
    return min(max(beyond, 0), kinds[WORD])


def _options(reading: Reading) -> int:
    """How many answers to choose from are listed: a single letter from A to D, then a mark."""
    lone = reading.starts[reading.ends - reading.starts == 1][:LONE].tolist()
    text = reading.text
    return sum(text[i] in OPTIONS and text[i + 1 : i + 2] in AFTER_OPTION for i in lone)


def _ending(text: str) -> int:
    last = text.rstrip()[-1:]
    return WORDY_END if last.isalnum() else ENDINGS.get(last, 0)


def _rows(hashes: Hashes, salts: Hashes) -> NDArray[np.uint16]:
    return (mixed(hashes * salts) >> np.uint64(48)).astype(np.uint16)


def _once(rows: list[int]) -> Rows:
    return np.array(sorted(set(rows)), np.intp)
