"""Tool calls written as text -> tool_use blocks, while the text streams. `callreader` finds them."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

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
from understudy.stages.callreader import Piece, Place, Reader
from understudy.stages.drafts import COMPLETE
from understudy.stages.syntax import Call, SchemaOf, Syntax

OWN_ID: Final = 8
"""Characters of an id that is not just 0."""


class _Block(Enum):
    NONE = "no text block is open"
    UNSAID = "in a text block the client has not been told of"
    SAID = "in a text block the client knows of"


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

    looks = True

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

    def passes(self, event: TextDelta | ThinkingDelta) -> bool:
        """Whether no call may begin in it, or be going on."""
        if type(event) is TextDelta:
            return self._block is _Block.SAID and self._reader.plain(event.text)
        return self._block is _Block.NONE

    def feed(self, event: Event) -> Sequence[Event]:
        """The event, calls taken out of its text."""
        match event:
            case TextDelta(text):
                return self._told(self._reader.feed(text))
            case BlockStart("text"):
                out = self._left(complete=True)
                self._block = _Block.UNSAID  # it is opened with its first text that is no call
                return out
            case BlockStop() if self._reader.place is Place.CANDIDATE:
                return ()
            case BlockStop() if self._block is not _Block.NONE:
                return self._left(complete=True)
            case MessageStop(reason):
                return [*self._left(complete=reason in COMPLETE), event]
            case Progress() | Logprobs():
                return (event,)
            case Failed():
                return [*self.close(), event]
            case _:
                return [*self._left(complete=True), event] if self._block is not _Block.NONE else (event,)

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
                BlockStart("tool_use", self._id(call), call.name),
                InputDelta(call.arguments),
                BlockStop(),
            )

    def _id(self, call: Call) -> str:
        """The model's own, where it is more than a number in a list: some models look for it in the next turn."""
        return call.id if len(call.id) >= OWN_ID else self._new_id()

    def _left(self, *, complete: bool) -> list[Event]:
        """The text block is over, and so is what was held back of it."""
        out = self._told(self._reader.end(complete=complete))
        self._stop(out)
        self._block = _Block.NONE
        return out
