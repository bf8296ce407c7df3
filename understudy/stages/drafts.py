"""Calls inside reasoning: meant, or only thought about?

Models forget to close their reasoning before they call, and servers that take the reasoning out leave the call in it. But
models also draft a call and then think better of it. What follows tells: a call that is followed by visible text, or by
another call, was a draft; one that nothing follows was meant. So the reasoning is held from the first whole call on, and
goes on either as reasoning or as text, in which `toolcalls` finds the call.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    Logprobs,
    MessageStop,
    Progress,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from understudy.stages.callreader import Piece, Place, Reader
from understudy.stages.syntax import SchemaOf, Syntax

COMPLETE: Final = frozenset({"end_turn", "stop_sequence", "tool_use"})
"""Stop reasons of an answer that the model ended itself; of a call in any other, something may be missing."""


class _State(Enum):
    OUTSIDE = "not in reasoning"
    INSIDE = "in reasoning"
    WAITING = "after reasoning with a call in it"


class Drafts:
    """The stage.

    Args:
        syntaxes: rows to look for, the likeliest first.
        offered: whether a name is a tool's, or near enough to one's to be mended.
        schema_of: see `SchemaOf`.
    """

    looks = False

    def __init__(
        self, syntaxes: Sequence[Syntax], offered: Callable[[str], bool], schema_of: SchemaOf
    ) -> None:
        self._reader = Reader(syntaxes, offered, schema_of, starts=False)
        self._state = _State.OUTSIDE
        self._held: list[str] = []  # from the first whole call on

    def passes(self, event: TextDelta | ThinkingDelta) -> bool:
        """Whether no call may begin in it, or be held."""
        if self._state is _State.OUTSIDE:
            return True
        return type(event) is ThinkingDelta and not self._held and self._reader.plain(event.text)

    def feed(self, event: Event) -> Sequence[Event]:
        """The event; reasoning from a call on when it is clear what that is."""
        if self._state is _State.OUTSIDE:
            return self._passed(event)
        match event:
            case ThinkingDelta(text) if self._state is _State.INSIDE:
                return self._thought(self._reader.feed(text))
            case Progress() | Logprobs():
                return (event,)
            case BlockStop() if self._state is _State.INSIDE and self._undecided():
                self._state = _State.WAITING
                return ()
            case MessageStop(reason) if reason in COMPLETE:
                return [*self._meant(), event]
            case SignatureDelta() if self._state is _State.INSIDE:
                return [*self._drafted(), event]
            case _:
                return self._left(event)

    def close(self) -> Sequence[Event]:
        """What was held back of an answer that was cut. Its block stays open."""
        return self._drafted()

    def _passed(self, event: Event) -> Sequence[Event]:
        if type(event) is BlockStart and event.kind == "thinking":
            self._state = _State.INSIDE
        return (event,)

    def _undecided(self) -> bool:
        return bool(self._held) or self._reader.place is Place.CANDIDATE

    def _thought(self, pieces: Sequence[Piece]) -> list[Event]:
        out: list[Event] = []
        for piece in pieces:
            if self._held or not isinstance(piece, str):
                self._held.append(piece if isinstance(piece, str) else piece.raw)
            else:
                out.append(ThinkingDelta(piece))
        return out

    def _left(self, event: Event) -> list[Event]:
        """Something else comes: what was held was a draft."""
        out = self._drafted()
        if self._state is _State.WAITING:
            out.append(BlockStop())
        self._state = _State.OUTSIDE
        return [*out, *self._passed(event)]

    def _drafted(self) -> list[Event]:
        out = self._thought(self._reader.end(complete=False))
        held, self._held = "".join(self._held), []
        return [*out, ThinkingDelta(held)] if held else out

    def _meant(self) -> list[Event]:
        """Nothing follows: the call was forgotten inside the reasoning."""
        out = self._thought(self._reader.end(complete=True))
        held, self._held = "".join(self._held), []
        self._state = _State.OUTSIDE
        out.append(BlockStop())
        if held:
            out += (BlockStart("text"), TextDelta(held), BlockStop())
        return out
