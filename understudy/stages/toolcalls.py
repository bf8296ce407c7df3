"""Tool calls written as text -> tool_use blocks, while the text streams.

    PROSE      text passes; only what may be the beginning of an opener is held back
    TICKS      a run of backticks, maybe still growing
    CODE       between backticks: whatever is here is talked about, not called
    CANDIDATE  after an opener: held until it is a call or cannot be one
    TAIL       after a call: what still belongs to it

What turns out not to be a call goes back as text, and is searched again after its opener. Nothing is lost: the text and
the raw spans of the calls, put together, are what came in, however it was cut.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    Failed,
    InputDelta,
    Logprobs,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
)
from understudy.stages.markers import Markers
from understudy.stages.toolsyntax import Call, SchemaOf, Syntax

HEAD: Final = 256
"""Characters in which a candidate must show that it may be a call."""

FREE_TRIES: Final = 8
GROWTH: Final = 1.25
"""A text full of closing tags is not parsed at each: after the free tries it must have grown by this factor."""

PATIENCE: Final = 16_000_000
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


class _Marks(Struct, frozen=True):
    """What to look for with some syntaxes; made once, for it takes as long as twenty tokens do."""

    by_opener: dict[str, tuple[Syntax, ...]]
    openers: Markers
    closers: Markers
    turning: re.Pattern[str]
    waking: re.Pattern[str]


@lru_cache(maxsize=64)
def _marks(syntaxes: tuple[Syntax, ...]) -> _Marks:
    by_opener = {
        opener: tuple(row for row in syntaxes if opener in row.openers)
        for row in syntaxes
        for opener in row.openers
    }
    return _Marks(
        by_opener,
        Markers(by_opener),
        Markers(closer for row in syntaxes for closer in row.closers),
        re.compile("`+|" + "|".join(map(re.escape, by_opener))),
        re.compile(f"[`{''.join({re.escape(opener[0]) for opener in by_opener})}]"),
    )


class Place(Enum):
    """Where in the text the reader is."""

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
    """

    def __init__(
        self, syntaxes: Sequence[Syntax], offered: Callable[[str], bool], schema_of: SchemaOf
    ) -> None:
        self._offered = offered
        self._schema_of = schema_of
        marks = _marks(tuple(syntaxes))
        self.wakes = marks.waking.search
        """Finds what may begin a call, or code, in text that stands in prose."""
        self._by_opener = marks.by_opener
        self._openers, self._closers = marks.openers, marks.closers
        self._turning = marks.turning
        self._steps: dict[Place, Callable[[str, list[Piece]], str]] = {
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
        self.place = Place.PROSE
        self._held = ""
        self._run = 0  # backticks in the run that is being counted
        self._fence = 0  # backticks that opened the code; 0 in prose

    def plain(self, text: str) -> bool:
        """Whether the text can pass as it is, and nothing stands before it."""
        return self.place is Place.PROSE and not self._held and self.wakes(text) is None

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
        if self._held:
            out.append(self._held)
        self._start_over()
        return out

    def _rest(self, out: list[Piece], *, complete: bool) -> str:
        """What is left of a candidate after its calls, or after its opener."""
        text = "".join(self._pieces)
        return self._parsed(text, out, over=True) if complete else self._refused(text, out)

    # Each step says what it can of the text, and gives back what is left for the next place.

    def _prose(self, text: str, out: list[Piece]) -> str:
        text, self._held = self._held + text, ""
        turn = self._turning.search(text)
        if turn is None:
            keep = len(text) - self._openers.unfinished(text)
            _say(text[:keep], out)
            self._held = text[keep:]
            return ""
        if turn[0][0] == "`":
            self.place = Place.TICKS
        elif self._patience > 0:
            self._suspect(turn[0])
        else:
            _say(text[: turn.end()], out)
            return text[turn.end() :]
        _say(text[: turn.start()], out)
        return text[turn.start() :]

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
        turn = (_FENCE_TURN if self._fence >= FENCE else _SPAN_TURN).search(text)
        if turn is None:
            _say(text, out)
            return ""
        if turn[0] == "\n":
            self.place, self._fence = Place.PROSE, 0
        else:
            self.place = Place.TICKS
        _say(text[: turn.start()], out)
        return text[turn.start() :]

    def _suspect(self, opener: str) -> None:
        self.place = Place.CANDIDATE
        self._opener = opener
        self._rows = self._by_opener[opener]
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
        letters = "".join(head.split())
        if not any(letters.startswith(known) or known.startswith(letters) for known in row.heads):
            return False
        named = row.head.match(head)
        return self._offered(named[1].strip()) if named else True

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
        out.append(self._opener)
        self.place = Place.PROSE
        return text[len(self._opener) :]

    def _tail(self, text: str, out: list[Piece]) -> str:
        text, self._held = self._held + text, ""
        begun = text.lstrip()
        blanks = len(text) - len(begun)
        for tail in self._tails if blanks <= HEAD else ():
            if begun.startswith(tail):
                end = blanks + len(tail)
                out.append(Made((), text[:end]))
                self.place = Place.PROSE
                return text[end:]
        if blanks <= HEAD and any(tail.startswith(begun) for tail in self._tails):
            self._held = text
            return ""
        self.place = Place.PROSE
        return text


_FENCE_TURN: Final = re.compile("`+")
_SPAN_TURN: Final = re.compile("`+|\n")


def _say(text: str, out: list[Piece]) -> None:
    if text:
        out.append(text)


class _Block(Enum):
    NONE = "no text block is open"
    UNSAID = "in a text block the client has not been told of"
    SAID = "in a text block the client knows of"


_COMPLETE: Final = frozenset({"end_turn", "stop_sequence", "tool_use"})
"""Stop reasons of an answer that the model ended itself; of a call in any other, something may be missing."""


class ToolCalls:
    """The stage. Calls that an engine parsed itself pass through untouched.

    A text block that ends inside a candidate is kept open until the next event: the message's stop reason says whether
    what is missing may be forgiven.

    Args:
        syntaxes: rows to look for, the likeliest first; at least one.
        offered: whether a name is a tool's, or near enough to one's to be mended.
        schema_of: see `SchemaOf`.
        new_id: makes an id for a call.
    """

    def __init__(
        self,
        syntaxes: Sequence[Syntax],
        offered: Callable[[str], bool],
        schema_of: SchemaOf,
        new_id: Callable[[], str],
    ) -> None:
        self._reader = Reader(syntaxes, offered, schema_of)
        self._new_id = new_id
        self._block = _Block.NONE

    def feed(self, event: Event) -> Sequence[Event]:
        """The event, calls taken out of its text."""
        if type(event) is TextDelta:
            if self._block is _Block.SAID and self._reader.plain(event.text):
                return (event,)
            return self._told(self._reader.feed(event.text))
        if self._block is _Block.NONE and type(event) is ThinkingDelta:
            return (event,)
        match event:
            case BlockStart("text"):
                out = self._left(complete=True)
                self._block = _Block.UNSAID  # it is opened with its first text that is no call
                return out
            case BlockStop() if self._reader.place is Place.CANDIDATE:
                return ()
            case BlockStop() if self._block is not _Block.NONE:
                return self._left(complete=True)
            case MessageStop(reason):
                return [*self._left(complete=reason in _COMPLETE), event]
            case Progress() | Logprobs():
                return (event,)
            case Failed():
                return [*self.close(), event]
            case _:
                return [*self._left(complete=True), event] if self._block is not _Block.NONE else (event,)

    def clear(self) -> bool:
        """In text the client knows of, with nothing held; text in which a call may begin is for `plain` to see."""
        return self._block is _Block.SAID and self._reader.plain("")

    def plain(self, text: str) -> bool:
        """Whether no call can begin in this text, with the way clear before it."""
        return self._reader.wakes(text) is None

    def close(self) -> Sequence[Event]:
        """What was held back of an answer that was cut. Its block stays open."""
        return self._told(self._reader.end(complete=False))

    def _told(self, pieces: Sequence[Piece]) -> list[Event]:
        out: list[Event] = []
        if self._block is _Block.NONE:
            self._block = _Block.UNSAID
        for piece in pieces:
            if isinstance(piece, str):
                self._say(piece, out)
            elif piece.calls:
                self._stop(out)
                self._call(piece.calls, out)
        return out

    def _say(self, text: str, out: list[Event]) -> None:
        if self._block is not _Block.SAID:
            out.append(BlockStart("text"))
            self._block = _Block.SAID
        out.append(TextDelta(text))

    def _stop(self, out: list[Event]) -> None:
        if self._block is _Block.SAID:
            out.append(BlockStop())
        self._block = _Block.UNSAID

    def _call(self, calls: Sequence[Call], out: list[Event]) -> None:
        for call in calls:
            out += (
                BlockStart("tool_use", self._new_id(), call.name),
                InputDelta(call.arguments),
                BlockStop(),
            )

    def _left(self, *, complete: bool) -> list[Event]:
        """The text block is over, and so is what was held back of it."""
        out = self._told(self._reader.end(complete=complete))
        self._stop(out)
        self._block = _Block.NONE
        return out
