"""A regular expression as a tree: what it is made of, how much it unrolls to, and how it is written.

What is written are literals, bracket classes of literal ranges, groups, `|` and counted repetitions: what every dialect
of regular expressions, and every converter to a grammar, reads alike.
"""

from collections.abc import Container
from typing import Final, TypeAlias

from msgspec import Struct

Range: TypeAlias = tuple[int, int]


class Chars(Struct, frozen=True):
    """One character out of sorted, disjoint ranges of code points."""

    ranges: tuple[Range, ...]


class Sequence(Struct, frozen=True):
    """One after the other; an empty one is the empty text."""

    parts: "tuple[Node, ...]"


class Either(Struct, frozen=True):
    """One of them."""

    branches: "tuple[Node, ...]"


class Repeated(Struct, frozen=True):
    """`least` to `most` times; `most` is None for without end."""

    part: "Node"
    least: int
    most: int | None


Node: TypeAlias = Chars | Sequence | Either | Repeated


# --- sets of characters ----------------------------------------------------------------------------------------------

LAST: Final = 0x10FFFF


def chars(*ranges: Range) -> Chars:
    """The union, sorted and without overlaps."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return Chars(tuple(merged))


def others(chars: Chars) -> Chars:
    """Every other character."""
    found: list[Range] = []
    start = 0
    for low, high in chars.ranges:
        if start < low:
            found.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        found.append((start, LAST))
    return Chars(tuple(span for low, high in found if (span := _outside_surrogates(low, high))[0] <= span[1]))


def _outside_surrogates(low: int, high: int) -> Range:
    """Halves of surrogate pairs are in no string, and cannot be written at the end of a range."""
    first, last = 0xD800, 0xDFFF
    return (last + 1 if first <= low <= last else low), (first - 1 if first <= high <= last else high)


def listed(text: str) -> Chars:
    """The characters of a text."""
    return chars(*((ord(char), ord(char)) for char in text))


ANY: Final = Chars(((0, LAST),))
_PLAIN_CHARS: Final = chars((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E), (0xA0, 0xD7FF), (0xE000, LAST))
EMPTY: Final = Sequence(())


# --- putting together ---


def joined(parts: list[Node]) -> Node:
    """One after the other."""
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, Sequence) else (part,)
    return flat[0] if len(flat) == 1 else Sequence(tuple(flat))


def alternatives(branches: list[Node]) -> Node:
    """An empty branch makes the others optional: converters trip over `(a|)`."""
    full = tuple(dict.fromkeys(branch for branch in branches if branch != EMPTY))
    if not full:
        return EMPTY
    tree = full[0] if len(full) == 1 else Either(full)
    return tree if len(full) == len(set(branches)) else repeated(tree, 0, 1)


def repeated(part: Node, least: int, most: int | None) -> Node:
    """A repetition, if it is one."""
    if part == EMPTY or most == 0:
        return EMPTY
    return part if (least, most) == (1, 1) else Repeated(part, least, most)


# --- measuring and writing -------------------------------------------------------------------------------------------


def weight(node: Node) -> int:
    """The characters it unrolls to."""
    if isinstance(node, Repeated):
        return weight(node.part) * max(node.least, node.most or 1)
    return 1 if isinstance(node, Chars) else sum(map(weight, _parts(node)))


def is_plain(node: Node) -> bool:
    """Whether JSON writes each of its characters as itself."""
    if isinstance(node, Chars):
        return chars(*node.ranges, *_PLAIN_CHARS.ranges) == _PLAIN_CHARS
    return is_plain(node.part) if isinstance(node, Repeated) else all(map(is_plain, _parts(node)))


def _parts(node: Sequence | Either) -> "tuple[Node, ...]":
    return node.parts if isinstance(node, Sequence) else node.branches


_COUNTS: Final[dict[tuple[int, int | None], str]] = {(0, None): "*", (1, None): "+", (0, 1): "?"}


def written(node: Node) -> str:
    """The pattern."""
    if isinstance(node, Chars):
        return _written_set(node.ranges)
    if isinstance(node, Repeated):
        one = written(node.part) if isinstance(node.part, Chars) else f"({written(node.part)})"
        return one + _written_count(node.least, node.most)
    if isinstance(node, Either):
        return "|".join(map(written, node.branches))
    return "".join(f"({written(part)})" if isinstance(part, Either) else written(part) for part in node.parts)


def _written_count(least: int, most: int | None) -> str:
    if (least, most) in _COUNTS:
        return _COUNTS[least, most]
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _written_set(ranges: tuple[Range, ...]) -> str:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        char = chr(ranges[0][0])
        return f"\\{char}" if char in _SPECIAL else _written_char(ranges[0][0], bare=_PRINTED)
    if ranges == ANY.ranges:
        return r"[\s\S]"
    negated = ranges[-1][1] == LAST
    shown = others(Chars(ranges)).ranges if negated else ranges
    return f"[{'^' * negated}{''.join(map(_written_range, shown))}]"


def _written_range(span: Range) -> str:
    low, high = span
    if low == high:
        return _written_char(low, bare="_ :/@,.=%#!;<>")
    return f"{_written_char(low, bare='')}-{_written_char(high, bare='')}"


_SPECIAL: Final = r"\^$.|?*+()[]{}"
_PRINTED: Final = frozenset(map(chr, range(0x20, 0x7F)))


def _written_char(code: int, *, bare: Container[str]) -> str:
    r"""The character itself where it has no second meaning in any dialect; else as in `\x2d`."""
    char = chr(code)
    if char.isascii():
        return char if char.isalnum() or char in bare else f"\\x{code:02x}"
    return char if char.isprintable() or code > 0xFFFF else f"\\u{code:04x}"  # noqa: PLR2004 - the last of four digits
