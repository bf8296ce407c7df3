r"""Regular expressions of JSON Schema, written so that every grammar reads them as they are meant.

JSON Schema speaks ECMA-262 and means "found somewhere in the string". The converters of engines speak less, each
another part of it: one copies `\d` into its grammar and then refuses the grammar (ggml-org/llama.cpp#27580), one takes
every pattern for anchored, one forgets lookaheads without a word. So a pattern is read into a tree here, and written
again with nothing but literals, bracket classes of literal ranges, groups, `|` and counted repetitions, anchored at
both ends: `^\d{4}$` becomes `^[0-9]{4}$`.

Most converters (llama.cpp, xgrammar) lay the pattern over the JSON text between the quotes, not over the string's value.
There only characters may occur that JSON writes as themselves; a pattern that admits a quote, a backslash or a line
break cannot be kept: the grammar would write broken JSON, or make a valid string impossible.

What is written never matches less than what was read. Lookarounds and word boundaries, which only ever forbid, are left
out, and `Translation.left_out` says so.
"""

import re
from typing import Final, NoReturn

from msgspec import Struct

from understudy.request.regextree import (
    ANY,
    EMPTY,
    LAST,
    Chars,
    Node,
    Range,
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

LONGEST: Final = 1_000  # characters of a pattern; nothing longer was written by hand
DEEPEST: Final = 30  # groups inside each other


class Translation(Struct, frozen=True):
    """A pattern that any of our engines reads.

    Attributes:
        text: the pattern; empty where the original admits every string.
        left_out: what it no longer says, in words; empty if it admits the same strings.
    """

    text: str
    left_out: str = ""


class Untranslatable(ValueError):
    """The pattern cannot be kept; the message says why."""


def translate(pattern: str, *, on_json_text: bool, most: int) -> Translation:
    """Write `pattern` anew. Raises Untranslatable.

    Args:
        pattern: as the schema has it.
        on_json_text: the engine lays it over the JSON text of the string, not over its value.
        most: characters that counted repetitions may unroll to.
    """
    if len(pattern) > LONGEST:
        raise Untranslatable("it is too long")
    reader = _Reader(pattern)
    try:
        tree = reader.whole()
    except RecursionError:
        raise Untranslatable("it is nested too deeply") from None
    if tree is None:
        return Translation("", reader.left_out)
    if weight(tree) > most:
        raise Untranslatable("its repetitions unroll to too much")
    if on_json_text and not is_plain(tree):
        raise Untranslatable("it admits characters that JSON writes with a backslash")
    plain = not reader.left_out and _PLAIN.fullmatch(pattern) is not None
    return Translation(pattern if plain else f"^{written(Sequence((tree,)))}$", reader.left_out)


_DIGIT: Final = chars((0x30, 0x39))
_WORD: Final = chars((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Final = chars(
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
    (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
_NAMED: Final = {
    "d": _DIGIT,
    "w": _WORD,
    "s": _SPACE,
    "D": others(_DIGIT),
    "W": others(_WORD),
    "S": others(_SPACE),
}
_CONTROLS: Final = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D, "0": 0x00}
_DOT: Final = others(listed("\n"))  # the validator's; ECMA-262 leaves out three more line ends

# Patterns that stay byte for byte: literals and bracket classes which are the same in every dialect.
_PLAIN: Final = re.compile(
    r"\^(?:(?:[A-Za-z0-9_ :/@,=%#~!&;<>'-]|\[(?:[A-Za-z0-9_ :/@,.=%#!;<>]|[A-Za-z0-9]-[A-Za-z0-9])+-?\])"
    r"(?:[*+?]|\{\d{1,3}(?:,(?:\d{1,3})?)?\})?)+\$"
)


# --- reading ---------------------------------------------------------------------------------------------------------

_QUANTIFIER: Final = re.compile(r"([*+?]|\{(\d{1,6})(?:(,)(\d{1,6})?)?\})\??")
_NUMBERED: Final = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|c([A-Za-z])")
_GROUP: Final = re.compile(r"\((?:\?(?::|P?<[A-Za-z_]\w*>))?")
_LOOKAROUND: Final = re.compile(r"\(\?<?[=!]")


class _Reader:
    """A recursive descent over the pattern.

    Attributes:
        left_out: the assertions that were met and are not kept.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.left_out = ""

    def whole(self) -> Node | None:
        """The tree, anchored at both ends; None if every string matches."""
        branches: list[Node] = []
        everything = False
        while True:
            opened = self._taken("^")
            body = self._sequence()
            closed = self._taken("$")
            everything |= body == EMPTY and not (opened and closed)
            anything = Repeated(ANY, 0, None)
            before, after = () if opened else (anything,), () if closed else (anything,)
            branches.append(joined([*before, body, *after]))
            if self.at == len(self.text):
                return None if everything else alternatives(branches)
            if not self._taken("|"):
                self._refuse("an anchor or a bracket where none may stand")

    def _taken(self, char: str) -> bool:
        there = self.text.startswith(char, self.at)
        self.at += there
        return there

    def _refuse(self, why: str) -> NoReturn:
        raise Untranslatable(f"it has {why}")

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)$^":
            parts.append(self._quantified(self._atom()))
        return joined(parts)

    def _quantified(self, part: Node) -> Node:
        found = _QUANTIFIER.match(self.text, self.at)
        if found is None:
            return part
        self.at = found.end()
        sign = found[1]
        least = {"*": 0, "?": 0, "+": 1}.get(sign, int(found[2] or 0))
        most = {"*": None, "+": None, "?": 1}.get(sign, None if found[3] else least)
        if sign.startswith("{") and found[4]:
            most = int(found[4])
        if most is not None and most < least:
            self._refuse("a repetition that ends before it begins")
        return repeated(part, least, most)

    def _atom(self) -> Node:
        char = self.text[self.at]
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()
        if char in "*+?{}]":
            self._refuse(f"a {char} where none may stand")
        self.at += 1
        return _DOT if char == "." else listed(char)

    def _group(self) -> Node:
        look = _LOOKAROUND.match(self.text, self.at)
        opened = look or _GROUP.match(self.text, self.at)
        self.depth += 1
        if opened is None or self.text.startswith("?", opened.end()) or self.depth > DEEPEST:
            self._refuse("a group of an unknown kind, or too many inside each other")
        self.at = opened.end()
        tree = self._inside(look is not None)
        self.depth -= 1
        if look:
            self.left_out = "a lookaround is left out"
            return EMPTY
        return tree

    def _inside(self, look: bool) -> Node:  # noqa: FBT001 - of a private method, and read once
        """The alternatives up to the closing parenthesis. Anchors mean something there only inside a lookaround."""
        branches = []
        while True:
            while look and (self._taken("^") or self._taken("$")):
                pass
            branches.append(self._sequence())
            if self._taken(")"):
                return alternatives(branches)
            if not self._taken("|") and not (look and self.text.startswith(("^", "$"), self.at)):
                self._refuse("an anchor inside a group, or a group without end")

    def _escape(self) -> Node:
        """Outside a bracket class."""
        char = self.text[self.at + 1 : self.at + 2]
        if char in ("b", "B"):
            self.at += 2
            self.left_out = "a word boundary is left out"
            return EMPTY
        return self._escaped_set()

    def _escaped_set(self) -> Chars:
        self.at += 1
        char = self.text[self.at : self.at + 1]
        if char in _NAMED:
            self.at += 1
            return _NAMED[char]
        return chars((code := self._escaped_code(), code))

    def _escaped_code(self) -> int:
        """The code point of an escape whose backslash has been read."""
        if found := _NUMBERED.match(self.text, self.at):
            self.at = found.end()
            code = ord(found[4].upper()) & 0x1F if found[4] else int(found[1] or found[2] or found[3], 16)
            if code > LAST or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - halves of surrogate pairs
                self._refuse("half a character")
            return code
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char in _CONTROLS and not (char == "0" and self.text[self.at : self.at + 1].isdigit()):
            return _CONTROLS[char]
        if not char or char.isalnum():
            self._refuse(f"the escape \\{char}")
        return ord(char)

    def _class(self) -> Chars:
        self.at += 1
        negated = self._taken("^")
        ranges: list[Range] = []
        while not self._taken("]"):
            low = self._member()
            if isinstance(low, Chars):
                ranges += low.ranges
                continue
            high = low
            if self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._end_of_range()
            if high < low:
                self._refuse("a range that ends before it begins")
            ranges.append((low, high))
        if not ranges:
            self._refuse("an empty class")
        return others(chars(*ranges)) if negated else chars(*ranges)

    def _member(self) -> int | Chars:
        """One character of a class, or a set of them."""
        if self.at >= len(self.text):
            self._refuse("a class without end")
        char = self.text[self.at]
        if char == "\\":
            found = self._escaped_set()
            return (
                found
                if len(found.ranges) > 1 or found.ranges[0][0] != found.ranges[0][1]
                else found.ranges[0][0]
            )
        self.at += 1
        return ord(char)

    def _end_of_range(self) -> int:
        high = self._member()
        return self._refuse("a range that ends in a set") if isinstance(high, Chars) else high
