"""Counts what passes, and changes nothing."""

from collections.abc import Callable, Sequence
from typing import Final

from understudy.language.events import (
    BlockStart,
    Event,
    Failed,
    InputDelta,
    MessageStop,
    TextDelta,
    ThinkingDelta,
    Usage,
)

_TEXT: Final = (TextDelta, ThinkingDelta)


class Meter:
    """The stage. Put last, it measures what the client gets.

    Args:
        clock: gives seconds, and never goes back.

    Attributes:
        first_event: seconds from the meter's making to the first event of any kind; None until then.
        first_token: seconds to the first content: text, thinking, or a call; None until then.
        chunks: how many deltas of content passed.
        size: bytes (UTF-8) of that content.
        calls: how many tool calls began.
        usage: what the engine counted; zeros until the answer is complete.
        outcome: "" while the answer goes on; then its stop reason, or the name of the error that cut it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self.first_event: float | None = None
        self.first_token: float | None = None
        self.chunks = 0
        self.size = 0
        self.calls = 0
        self.usage = Usage()
        self.outcome = ""

    def feed(self, event: Event) -> Sequence[Event]:
        """The event itself, counted."""
        if isinstance(event, _TEXT) and self.first_token is not None:
            self._content(event.text)
            return (event,)
        now = self._clock() - self._began
        if self.first_event is None:
            self.first_event = now
        self._note(event, now)
        return (event,)

    def close(self) -> Sequence[Event]:
        """Nothing was held back."""
        return ()

    def _note(self, event: Event, now: float) -> None:
        match event:
            case TextDelta(content) | ThinkingDelta(content) | InputDelta(content):
                self._token(now)
                self._content(content)
            case BlockStart("tool_use"):
                self._token(now)
                self.calls += 1
            case MessageStop(reason, _, usage):
                self.outcome, self.usage = reason, usage
            case Failed(error):
                self.outcome = type(error).__name__
            case _:
                pass  # says nothing that is counted

    def _token(self, now: float) -> None:
        if self.first_token is None:
            self.first_token = now

    def _content(self, text: str) -> None:
        self.chunks += 1
        self.size += len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
