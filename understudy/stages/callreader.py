"""Text in pieces -> text and calls, however it is cut.

    START      nothing has been said yet: what may only begin an answer counts here, too
    PROSE      text passes; only what may be the beginning of an opener is held back
    TICKS      a run of backticks, maybe still growing
    CODE       between backticks: whatever is here is talked about, not called
    CANDIDATE  after an opener: held until it is a call or cannot be one
    TAIL       after a call: what still belongs to it

What turns out not to be a call goes back as text, and is searched again after its opener. Nothing is lost: the text and
the raw spans of the calls, put together, are what came in.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from understudy.stages.markers import Markers
from understudy.stages.syntax import Call, SchemaOf, Syntax

HEAD: Final = 256
"""Characters in which a candidate must show that it may be a call."""

FREE_TRIES: Final = 8
GROWTH: Final = 1.25
"""A text full of closing tags is not parsed at each: after the free tries it must have grown by this factor."""

PATIENCE: Final = 4_000_000
"""Characters that may be parsed in vain for one answer. After them it is text: the model repeats itself."""

PASSED_OVER: Final = 64
"""What a closing tag costs of the patience that is not parsed at."""

FENCE: Final = 3
"""A run of so many backticks opens code of several lines; a shorter one ends with its line."""


class Made(Struct, frozen=True):
    """Calls, and the text they were written as. No calls: a tail of the ones before."""

    calls: tuple[Call, ...]
    raw: str


Piece = str | Made


_NOTHING: Final = Markers(())


class _Marks(Struct, frozen=True):
    """What to look for with some syntaxes; made once, for it takes as long as a hundred tokens do.

    Attributes:
        anywhere: the rows of each opener.
        first: the rows of each opener that only counts where nothing has been said.
        openers, starts: the same, to be found.
        turning: where prose may end.
        waking: what it cannot end without.
    """

    anywhere: dict[str, tuple[Syntax, ...]]
    first: dict[str, tuple[Syntax, ...]]
    openers: Markers
    starts: Markers
    turning: re.Pattern[str]
    waking: re.Pattern[str]


@lru_cache(maxsize=64)
def _marks(syntaxes: tuple[Syntax, ...]) -> _Marks:
    anywhere = _by_opener((opener, row) for row in syntaxes for opener in row.openers)
    first = _by_opener((opener, row) for row in syntaxes for opener in row.starts)
    openers = Markers(anywhere)
    return _Marks(
        anywhere,
        first,
        openers,
        Markers(first),
        re.compile(f"{openers.pattern}|``*"),  # not `+, which has no first letter of its own: see `markers`
        re.compile(f"{openers.signs}|`"),
    )


@lru_cache(maxsize=256)
def _closers(rows: tuple[Syntax, ...]) -> Markers:
    return Markers(closer for row in rows for closer in row.closers)


def _by_opener(pairs: Iterable[tuple[str, Syntax]]) -> dict[str, tuple[Syntax, ...]]:
    found: dict[str, tuple[Syntax, ...]] = {}
    for opener, row in pairs:
        found[opener] = (*found.get(opener, ()), row)
    return found


class Place(Enum):
    """Where in the text the reader is."""

    START = "start"
    PROSE = "prose"
    TICKS = "backticks"
    CODE = "code"
    CANDIDATE = "candidate"
    TAIL = "tail"


class Reader:
    """Text in pieces -> text and calls.

    Args:
        syntaxes: rows to look for, the likeliest first; at least one.
        offered: whether a name is a tool's, or near enough to one's to be mended.
        schema_of: see `SchemaOf`.
        starts: whether openers count that only begin an answer.
    """

    def __init__(
        self,
        syntaxes: Sequence[Syntax],
        offered: Callable[[str], bool],
        schema_of: SchemaOf,
        *,
        starts: bool = True,
    ) -> None:
        self._offered = offered
        self._schema_of = schema_of
        self._marks = marks = _marks(tuple(syntaxes))
        self._openers, self._starts = marks.openers, marks.starts if starts else _NOTHING
        self._turning, self._waking = marks.turning, marks.waking
        self._steps: dict[Place, Callable[[str, list[Piece]], str]] = {
            Place.START: self._start,
            Place.PROSE: self._prose,
            Place.TICKS: self._ticks,
            Place.CODE: self._code,
            Place.CANDIDATE: self._candidate,
            Place.TAIL: self._tail,
        }
        self._tails: tuple[str, ...] = ()
        self._patience = PATIENCE
        self._start_over()

    def _start_over(self) -> None:
        self.place = Place.START
        self._held = ""
        self._run = 0  # backticks in the run that is being counted
        self._fence = 0  # backticks that opened the code; 0 in prose

    def plain(self, text: str) -> bool:
        """Whether the text can pass as it is, and nothing stands before it."""
        if self.place is Place.PROSE:
            return not self._held and self._waking.search(text) is None
        return self.place is Place.CODE and self._code_turn().search(text) is None

    def feed(self, text: str) -> list[Piece]:
        """What is clear by now."""
        out: list[Piece] = []
        while text:
            text = self._steps[self.place](text, out)
        return out

    def end(self, *, complete: bool) -> list[Piece]:
        """Everything that was held back. `complete`: the model ended its text; it was not cut."""
        out: list[Piece] = []
        while self.place is Place.CANDIDATE:
            text = self._rest(out, complete=complete)
            while text:
                text = self._steps[self.place](text, out)
        _say(self._held, out)
        self._start_over()
        return out

    def _rest(self, out: list[Piece], *, complete: bool) -> str:
        """What is left of a candidate after its calls, or after its opener."""
        text = "".join(self._pieces)
        return self._parsed(text, out, over=True) if complete else self._refused(text, out)

    # Each step says what it can of the text, and gives back what is left for the next place.

    def _start(self, text: str, out: list[Piece]) -> str:
        text, self._held = self._held + text, ""
        words = text.lstrip()
        blanks = len(text) - len(words)
        opener = self._starts.match(words) if self._patience > 0 else None
        if opener is None and blanks <= HEAD and (not words or self._starts.begins(words)):
            self._held = text
            return ""
        if opener is None or blanks > HEAD:
            self.place = Place.PROSE
            return text
        _say(text[:blanks], out)
        self._suspect(opener[0], self._marks.first, "")
        return words

    def _prose(self, text: str, out: list[Piece]) -> str:
        text, self._held = self._held + text, ""
        if self._waking.search(text) is None:
            _say(text, out)
            return ""
        turn = self._turning.search(text)
        if turn is None or self._openers.begins(text[turn.start() :]):  # backticks may become an opener
            keep = turn.start() if turn else len(text) - self._openers.unfinished(text)
            _say(text[:keep], out)
            self._held = text[keep:]
            return ""
        _say(text[: turn.start()], out)
        if turn[0] not in self._marks.anywhere:
            self.place = Place.TICKS
        elif self._patience > 0:
            self._suspect(turn[0], self._marks.anywhere, turn[0])
        else:
            return self._passed(turn[0], text[turn.start() :], out)
        return text[turn.start() :]

    def _passed(self, opener: str, text: str, out: list[Piece]) -> str:
        """This opener is text. A fence opens code all the same."""
        if opener.startswith("`"):
            self.place = Place.TICKS
            return text
        self.place = Place.PROSE
        _say(opener, out)
        return text[len(opener) :]

    def _ticks(self, text: str, out: list[Piece]) -> str:
        rest = text.lstrip("`")
        self._run += len(text) - len(rest)
        _say(text[: len(text) - len(rest)], out)
        if rest:
            run, self._run = self._run, 0
            if not self._fence:
                self._fence = run
            elif run == self._fence or run > self._fence >= FENCE:
                self._fence = 0
            self.place = Place.CODE if self._fence else Place.PROSE
        return rest

    def _code(self, text: str, out: list[Piece]) -> str:
        turn = self._code_turn().search(text)
        if turn is None:
            _say(text, out)
            return ""
        if turn[0] == "\n":
            self.place, self._fence = Place.PROSE, 0
        else:
            self.place = Place.TICKS
        _say(text[: turn.start()], out)
        return text[turn.start() :]

    def _code_turn(self) -> re.Pattern[str]:
        return _FENCE_TURN if self._fence >= FENCE else _SPAN_TURN

    def _suspect(self, opener: str, rows: Mapping[str, tuple[Syntax, ...]], said: str) -> None:
        """`said`: the part of the opener that is text if this is no call; the rest is searched again."""
        self.place = Place.CANDIDATE
        self._rows = rows[opener]
        self._closers = _closers(self._rows)
        self._opener = said
        self._pieces: list[str] = []
        self._size = 0
        self._edge = ""  # the end of what was searched for closers, where one may have begun
        self._tries = 0
        self._next = 0  # the size from which another try is made

    def _candidate(self, text: str, out: list[Piece]) -> str:
        known = self._size
        self._pieces.append(text)
        self._size += len(text)
        if known < HEAD and not self._still_likely():
            return self._refused("".join(self._pieces), out)
        window, shift = self._edge + text, known - len(self._edge)
        closer = self._closers.search(window)
        while closer:
            if self._due(shift + closer.end()):
                whole = "".join(self._pieces)
                rest = self._parsed(whole, out, upto=shift + closer.end())
                if self.place is not Place.CANDIDATE:
                    return rest
            closer = self._closers.search(window, closer.end())
        self._edge = window[len(window) - self._closers.unfinished(window) :]
        return ""

    def _still_likely(self) -> bool:
        head = "".join(self._pieces)[:HEAD]
        self._rows = tuple(row for row in self._rows if self._likely(row, head))
        return bool(self._rows)

    def _likely(self, row: Syntax, head: str) -> bool:
        if not row.likely(head):
            return False
        named = row.head.match(head)
        return named is None or named.lastindex is None or self._offered(named[named.lastindex].strip())

    def _due(self, size: int) -> bool:
        """Whether to try at this closing tag."""
        self._tries += 1
        if self._patience <= 0 or (self._tries > FREE_TRIES and size < self._next):
            self._patience -= PASSED_OVER
            return False
        self._next = int(size * GROWTH)
        return True

    def _parsed(self, text: str, out: list[Piece], *, upto: int | None = None, over: bool = False) -> str:
        """Text after the calls it begins with; with `over`, after its opener if there are none."""
        for row in self._rows:
            found = row.parse(text[:upto], self._schema_of, over=over)
            if found and all(self._offered(call.name) for call in found.calls):
                out.append(Made(found.calls, text[: found.end]))
                self.place, self._tails = Place.TAIL, row.tails
                return text[found.end :]
        self._patience -= len(text) if upto is None else upto
        return self._refused(text, out) if over else ""

    def _refused(self, text: str, out: list[Piece]) -> str:
        """No call: its opener is text, and after it we begin again."""
        return self._passed(self._opener, text, out)

    def _tail(self, text: str, out: list[Piece]) -> str:
        text, self._held = self._held + text, ""
        begun = text.lstrip()
        blanks = len(text) - len(begun)
        for tail in self._tails if blanks <= HEAD else ():
            if begun.startswith(tail):
                end = blanks + len(tail)
                out.append(Made((), text[:end]))
                return text[end:]
        if blanks <= HEAD and any(tail.startswith(begun) for tail in self._tails):
            self._held = text
            return ""
        self.place = Place.START
        return text


_FENCE_TURN: Final = re.compile("`+")
_SPAN_TURN: Final = re.compile("`+|\n")


def _say(text: str, out: list[Piece]) -> None:
    """Text is told in as few pieces as can be: each becomes an event."""
    if text and out and isinstance(last := out[-1], str):
        out[-1] = last + text
    elif text:
        out.append(text)
