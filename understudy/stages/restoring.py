"""Placeholders in an answer -> the private values that they stand for (`routing.redact`); the first of all stages.

The pieces in which an answer comes are cut anywhere. In the arguments of a call a value is written as JSON needs it.
"""

from collections.abc import Sequence
from typing import Protocol

from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    InputDelta,
    MessageStop,
    TextDelta,
    ThinkingDelta,
)

Delta = type[TextDelta | ThinkingDelta | InputDelta]


class Restorer(Protocol):
    """Text that comes in pieces, with its values put back. See `routing.redact.Restorer`."""

    def feed(self, text: str) -> str:
        """What is certain so far."""
        ...

    def close(self) -> str:
        """What was held back."""
        ...


class Restorers(Protocol):
    """Makes one for each block."""

    def __call__(self, *, in_json: bool) -> Restorer:
        """One for text, or for JSON."""
        ...


class Restoring:
    """The stage.

    Args:
        restorer: makes what puts values back.
    """

    looks = False

    def __init__(self, restorer: Restorers) -> None:
        self._make = restorer
        self._restorer = restorer(in_json=False)
        self._delta: Delta = TextDelta

    def passes(self, event: TextDelta | ThinkingDelta) -> bool:
        """Nothing does: a placeholder may begin anywhere."""
        del event
        return False

    def feed(self, event: Event) -> Sequence[Event]:
        """The event, with values in the place of placeholders."""
        match event:
            case BlockStart():
                self._restorer = self._make(in_json=event.kind == "tool_use")
            case TextDelta(text) | ThinkingDelta(text) | InputDelta(text):
                self._delta = type(event)
                restored = self._restorer.feed(text)
                return (self._delta(restored),) if restored else ()
            case BlockStop() | MessageStop():
                return (*self.close(), event)
            case _:
                pass
        return (event,)

    def close(self) -> Sequence[Event]:
        """What was held back of an answer that was cut."""
        held = self._restorer.close()
        return (self._delta(held),) if held else ()
