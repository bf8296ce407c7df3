"""The grammar, applied: whatever comes in, what leaves obeys `language.events.GRAMMAR`. The last stage.

- A block opens with its first content: text that is nothing but blanks is never sent, for Claude Code leaves it out when
  it sends the turn back, and the engine's cached prefix would break there. Blanks before real text are kept.
- A block left open is closed when another begins or the message stops, but not when the answer fails: a cut block must
  not look complete.
- A delta finds its block: the open one, or one opened for it. Only input without a call is dropped: nobody could run it.
- There is one terminal event, and nothing after it.
"""

from collections.abc import Callable, Sequence
from typing import Final

from understudy.language.errors import EngineLost
from understudy.language.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    CitationDelta,
    Event,
    Failed,
    InputDelta,
    Logprobs,
    MessageStart,
    MessageStop,
    Progress,
    Served,
    SignatureDelta,
    State,
    TextDelta,
    ThinkingDelta,
    Verbatim,
)

_INSIDE: Final = (State.TEXT, State.THINKING, State.TOOL_USE)


class Tidy:
    """The stage.

    Args:
        new_id: makes ids from their prefix; asked where an engine began without saying so.
    """

    looks = False

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self._new_id = new_id
        self._state = State.IDLE
        self._blanks: list[str] = []  # of a text block that has nothing else yet
        self._odds: list[Event] = []  # log probabilities of these
        self._calls = 0

    def passes(self, event: TextDelta | ThinkingDelta) -> bool:
        """Whether it is more of the open block."""
        inside = State.TEXT if type(event) is TextDelta else State.THINKING
        return self._state is inside and event.text != ""

    def feed(self, event: Event) -> Sequence[Event]:
        """What of this event may be said here, and what must be said before it."""
        if isinstance(event, TextDelta | ThinkingDelta) and self.passes(event):
            return (event,)
        if self._state is State.DONE:
            return ()
        if isinstance(event, Progress):
            return (event,)
        if isinstance(event, Verbatim):
            return ()  # of an answer that went through stages the engine's bytes are not the truth
        if isinstance(event, Failed):
            self._state = State.DONE
            return (event,)
        out = self._begun(event)
        self._take(event, out)
        return out

    def close(self) -> Sequence[Event]:
        """An answer that ends without saying so is cut."""
        if self._state is State.DONE:
            return ()
        self._state = State.DONE
        return (Failed(EngineLost("the engine's answer ended before it was complete; ask again")),)

    def _begun(self, event: Event) -> list[Event]:
        """The message's start, made if the engine gave none."""
        if self._state is not State.IDLE:
            return []
        self._state = State.OPEN
        return [event if isinstance(event, MessageStart) else MessageStart(self._new_id("msg_"))]

    def _take(self, event: Event, out: list[Event]) -> None:
        match event:
            case TextDelta(text) if text:
                self._text(text, out)
            case ThinkingDelta(content) | SignatureDelta(content) if content:
                self._enter("thinking", out)
                out.append(event)
            case Logprobs() if self._state is State.TEXT:
                out.append(event)
            case Logprobs() if self._blanks:
                self._odds.append(event)
            case InputDelta(json) if json and self._state is State.TOOL_USE:
                out.append(event)
            case BlockStart(kind):
                self._leave(out)
                if kind == "tool_use":
                    self._calls += 1
                    self._state = State.TOOL_USE
                    out.append(event)
            case CitationDelta() if self._state is State.TEXT:
                out.append(event)
            case Served():
                self._leave(out)
                out.append(event)
            case BlockStop():
                self._leave(out)
            case MessageStop():
                self._leave(out)
                self._state = State.DONE
                out.append(self._consistent(event))
            case _:
                pass  # an empty delta, input of no call, a second start

    def _text(self, text: str, out: list[Event]) -> None:
        if self._state is not State.OPEN:
            self._leave(out)
        self._blanks.append(text)
        if not text.isspace():
            held = "".join(self._blanks)
            odds = list(self._odds)
            self._enter("text", out)
            out += [TextDelta(held), *odds]

    def _enter(self, kind: BlockKind, out: list[Event]) -> None:
        """Be inside a block of that kind."""
        state = State.TEXT if kind == "text" else State.THINKING
        if self._state is not state:
            self._leave(out)
            out.append(BlockStart(kind))
            self._state = state

    def _leave(self, out: list[Event]) -> None:
        self._blanks.clear()
        self._odds.clear()
        if self._state in _INSIDE:
            out.append(BlockStop())
            self._state = State.OPEN

    def _consistent(self, stop: MessageStop) -> MessageStop:
        """An answer with calls did not end its turn. The reason tool_use without a call stays: it asks for another try."""
        if self._calls and stop.stop_reason == "end_turn":
            return MessageStop("tool_use", None, stop.usage)
        return stop
