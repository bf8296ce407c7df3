"""An answer that was to be JSON, out of the code fence that models put around it.

    ```json
    {"amount": 123.45}
    ```

Used where the client asked for a schema: it parses the answer as it is. A fence is one only at the very beginning and the
very end; backticks inside the JSON stay.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final

from understudy.language.events import BlockStart, BlockStop, Event, MessageStop, TextDelta, ThinkingDelta

_OPENER: Final = re.compile(r"\s*```(?:json\s*|[ \t]*\n\s*)(?=[^\s`])")
_OPENING: Final = re.compile(r"\s*(?:`{0,2}|```(?:|j|js|jso|json)\s*)")
_CLOSING: Final = re.compile(r"\s*(?:`{1,3}\s*)?\Z")
_CLOSER: Final = re.compile(r"\s*```\s*")


class _State(Enum):
    OUTSIDE = "in no text"
    START = "at the beginning of a text"
    FENCED = "in a fence"
    PLAIN = "in a text without a fence"


class Unfence:
    """The stage."""

    looks = False

    def __init__(self) -> None:
        self._state = _State.OUTSIDE
        self._held = ""

    def passes(self, event: TextDelta | ThinkingDelta) -> bool:
        """Whether no fence is around it."""
        return type(event) is ThinkingDelta or self._state is _State.PLAIN

    def feed(self, event: Event) -> Sequence[Event]:
        """The event, its text without the fence."""
        match event:
            case BlockStart("text"):
                self._state = _State.START
                return (event,)
            case TextDelta(text) if self._state in (_State.START, _State.FENCED):
                return self._text(self._held + text)
            case BlockStop() | MessageStop():
                return [*self._ended(whole=True), event]
            case _:
                return (event,)

    def close(self) -> Sequence[Event]:
        """What was held back of an answer that was cut."""
        return self._ended(whole=False)

    def _text(self, text: str) -> list[Event]:
        if self._state is _State.START:
            opener = _OPENER.match(text)
            if opener is None and _OPENING.fullmatch(text):
                self._held = text
                return []
            self._state = _State.FENCED if opener else _State.PLAIN
            text = text[opener.end() :] if opener else text
        end = _CLOSING.search(text) if self._state is _State.FENCED else None
        said = end.start() if end else len(text)
        self._held = text[said:]
        return [TextDelta(text[:said])] if said else []

    def _ended(self, *, whole: bool) -> list[Event]:
        held, self._held = self._held, ""
        fence = whole and self._state is _State.FENCED and _CLOSER.fullmatch(held)
        self._state = _State.OUTSIDE
        return [TextDelta(held)] if held and not fence else []
