"""Vocabulary of the tiny models: bytes, common words, and the pieces of a script.

A scripted model says one piece after the other: the piece it said last decides what comes next. So a piece that
occurs twice must be followed by the same, and text that comes back in the next prompt must be cut into the same
pieces again (else the engine's prefix cache misses). llama.cpp cuts user-defined tokens out of a prompt longest
first; `cut()` does the same here, and `split_turns()` joins neighbours until both hold. Each join leaves fewer
pieces, so that ends; in the worst case a turn is its marker with one piece before and one after.

The *marker* of a turn is its first visible line (what follows `</think>`). Finding the marker in a prompt is how
the model knows which turns are over, so it has to survive the chat template: no white space at its ends.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

THINK_END = "</think>"
# What may stand before an answer; its last token must stay a plain newline, for that is where a turn begins.
GENERATION_PROMPTS = ("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n\n</think>\n\n")
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_WORDS = """
the of and to in a is that for it as was with be by on not this are or from at which but have an had they
you were their one all we can her has there been if more when will would who so no file files code use user
tool tools call calls run command read write edit line lines path name value string number list type test
tests error message output input result function parameters description required object property schema
should must only your any other each example using content context task model system project directory
search then also before after first new make do does what how may need
"""
COMMON_WORDS = tuple(_WORDS.split())
_SHORTEST = 2
_ANY_MARKER = "\0"  # which one of them follows is known by the turn


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens in the order of their ids: bytes, beginnings of common words, specials, then user-defined pieces."""

    tokens: tuple[str, ...]
    merges: tuple[str, ...]
    pieces: tuple[str, ...]

    @property
    def everything(self) -> tuple[str, ...]:
        """Every token's text, specials and pieces last."""
        return (*self.tokens, *SPECIALS, *self.pieces)

    def special(self, name: str) -> int:
        """Id of one of `SPECIALS`."""
        return len(self.tokens) + SPECIALS.index(name)

    def piece(self, text: str) -> int:
        """Id of a user-defined piece."""
        return len(self.tokens) + len(SPECIALS) + self.pieces.index(text)

    def byte(self, char: str) -> int:
        """Id of the token of one ASCII character."""
        return self.tokens.index(_byte_letters()[ord(char)])

    def word(self, word: str) -> int:
        """Id of the token of a common word with the blank before it."""
        return self.tokens.index(_byte_letters()[0x20] + word)


def vocabulary(pieces: Sequence[str] = ()) -> Vocabulary:
    """Byte-level vocabulary in which the common words of English prompts are one token each."""
    letters = _byte_letters()
    tokens = dict.fromkeys(letters)
    merges: dict[str, None] = {}
    for word in COMMON_WORDS:
        for stop in range(len(word)):  # a prefix tree: no two merges compete
            left = letters[0x20] + word[:stop]
            tokens[left + word[stop]] = None
            merges[f"{left} {word[stop]}"] = None
    return Vocabulary(tuple(tokens), tuple(merges), tuple(pieces))


def marker_of(turn: str) -> str:
    """First visible line of a turn, without white space at its ends. ValueError when nothing is visible."""
    visible = turn.rpartition(THINK_END)[2].strip()
    if not visible:
        raise ValueError(f"a scripted turn must say something visible: {turn[:60]!r}")
    return visible.partition("\n")[0].strip()


def split_turns(turns: Sequence[str], markers: Sequence[str]) -> list[list[str]]:
    """Pieces of every turn: a piece has one successor, or is followed by markers; cut again, a turn gives its pieces.

    Raises ValueError where markers cannot tell the turns apart.
    """
    _check_markers(turns, markers)
    split = [_units(turn, marker) for turn, marker in zip(turns, markers, strict=True)]
    fixed = frozenset(markers)
    while (fault := _first_fault(split, fixed)) is not None:
        turn, place = fault
        start = _join_at(split[turn], place, fixed)
        split[turn][start : start + 2] = ["".join(split[turn][start : start + 2])]
    return split


def cut(text: str, pieces: Sequence[str]) -> list[str]:
    """Cut pieces out of text as llama.cpp does: the longest piece first, everywhere; the rest stays between.

    Pieces of one length are taken as they stand; in which order llama.cpp takes them is nobody's promise.
    """
    parts: list[tuple[str, bool]] = [(text, False)]
    for piece in sorted(dict.fromkeys(pieces), key=lambda piece: len(piece.encode()), reverse=True):
        parts = [new for part in parts for new in _cut_one(part, piece)]
    return [part for part, _ in parts]


def _cut_one(part: tuple[str, bool], piece: str) -> list[tuple[str, bool]]:
    text, done = part
    if done or piece not in text:
        return [part]
    between = text.split(piece)
    joined = itertools.chain.from_iterable(((rest, False), (piece, True)) for rest in between)
    return [item for item in list(joined)[:-1] if item[0]]


def _check_markers(turns: Sequence[str], markers: Sequence[str]) -> None:
    for marker, turn in zip(markers, turns, strict=True):
        if marker not in turn or marker != marker.strip() or not marker:
            raise ValueError(f"the marker {marker!r} is not a part of its turn, or has blanks at its ends")
        inside = [other for other in turns if marker in other]
        if inside != [turn] or turn.count(marker) != 1:
            raise ValueError(
                f"{marker!r} begins more than one turn, or is repeated: give each a line of its own"
            )


def _units(turn: str, marker: str) -> list[str]:
    """The turn in units of a word or so, with the marker whole."""
    before, _, after = turn.rstrip().partition(marker)
    thought = _words(before)
    while thought and any(prompt.endswith(thought[-1]) for prompt in GENERATION_PROMPTS):
        if len(thought) == 1:
            raise ValueError(f"the text before {marker!r} is a part of the chat template: think something")
        thought[-2:] = ["".join(thought[-2:])]
    return [*thought, marker, *_words(after)]


def _words(text: str) -> list[str]:
    units = re.findall(r"\s*</?[\w=-]+>?|\s*[^\s\"{}<>]+|\s*[\"{}<>]+|\s+", text)
    joined: list[str] = []
    for unit in units:  # a piece of one letter would be found all over any prompt
        if joined and (len(joined[-1].strip()) < _SHORTEST or not unit.strip()):
            joined[-1] += unit
        else:
            joined.append(unit)
    return joined


def _first_fault(split: list[list[str]], fixed: frozenset[str]) -> tuple[int, int] | None:
    """A piece with two successors, else one that is cut differently when it comes back: (turn, place)."""
    successors: dict[str, str] = {}
    for turn, pieces in enumerate(split):
        for place, (piece, after) in enumerate(itertools.pairwise([*pieces, ""])):
            then = _ANY_MARKER if after in fixed else after
            if successors.setdefault(piece, then) != then:
                return _occurrence_with_successor(split, piece) if not after else (turn, place)
    everything = [piece for pieces in split for piece in pieces]
    orders = (everything, everything[::-1])  # of pieces that are as long as each other
    for turn, pieces in enumerate(split):
        for again in (cut("".join(pieces), order) for order in orders):
            if again != pieces:
                return turn, next(i for i, (a, b) in enumerate(zip(pieces, again, strict=False)) if a != b)
    return None


def _occurrence_with_successor(split: list[list[str]], piece: str) -> tuple[int, int]:
    """The last piece of a turn cannot be joined to the right: another occurrence is."""
    return next((turn, pieces.index(piece)) for turn, pieces in enumerate(split) if piece in pieces[:-1])


def _join_at(pieces: list[str], place: int, fixed: frozenset[str]) -> int:
    """Where the two pieces to be joined begin: to the right if possible, never with a marker."""
    for start in (place, place - 1):
        pair = pieces[start : start + 2] if start >= 0 else []
        if len(pair) == 2 and not fixed.intersection(pair):  # noqa: PLR2004 - a pair
            return start
    raise ValueError(f"cannot tell {pieces[place][:60]!r} from the same words in another turn: reword one")


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in a byte-level vocabulary: itself, if printable, else one from 256 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = itertools.count(0x100)
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(0x100)]
