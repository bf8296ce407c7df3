"""Reasoning that a model writes into its text -> thinking blocks.

    <think>How many files? Let me look.</think>

    I'll list them.

Tags count only before the first visible text: an answer that talks about `<think>` keeps its words. A template may have
opened the tag already at the end of the prompt; then the text begins inside (`opened`). Once visible text has begun,
the stage passes everything through. An answer cut while thinking has thought that much.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from msgspec import Struct

from understudy.language.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    Event,
    Logprobs,
    MessageStart,
    Progress,
    TextDelta,
    ThinkingDelta,
)
from understudy.stages.markers import Markers


class Tag(Struct, frozen=True):
    """How one family of models marks its reasoning."""

    opener: str
    closer: str


TAGS: Final = (
    Tag("<think>", "</think>"),
    Tag("<thinking>", "</thinking>"),
    Tag("<reasoning>", "</reasoning>"),
    Tag("[THINK]", "[/THINK]"),
)

EDGE: Final = 64
"""Blanks looked past before a tag, in characters. More of them are content."""

_OPENERS: Final = {tag.opener: Markers([tag.closer]) for tag in TAGS}
_CLOSERS: Final = Markers(tag.closer for tag in TAGS)
_ANY: Final = Markers(end for tag in TAGS for end in (tag.opener, tag.closer))
_BLANKS_AND_TAG: Final = re.compile(
    rf"\s{{0,{EDGE}}}({'|'.join(re.escape(end) for tag in TAGS for end in (tag.opener, tag.closer))})"
)


class _State(Enum):
    OPENED = "the prompt ended inside an open tag, and nothing has come yet"
    START = "nothing visible has come yet"
    LEAD = "just inside thinking"
    INSIDE = "inside thinking"
    AFTER = "just after thinking"
    SHOWN = "visible text has begun"


class ThinkingTags:
    """The stage.

    Args:
        opened: the rendered prompt ended with an opening tag.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._state = _State.OPENED if opened else _State.START
        self._closers = _CLOSERS
        self._held = ""
        self._block: BlockKind | None = None  # that has been opened towards the client
        self._steps: dict[_State, Callable[[str, list[Event]], str]] = {
            _State.OPENED: self._start,
            _State.START: self._start,
            _State.LEAD: self._lead,
            _State.INSIDE: self._inside,
            _State.AFTER: self._after,
            _State.SHOWN: self._shown,
        }

    def feed(self, event: Event) -> Sequence[Event]:
        """The event, its text told apart."""
        if self._state is _State.SHOWN:
            return (event,)
        if type(event) is TextDelta:
            return self._text(event.text)
        if type(event) is ThinkingDelta and not self._held:
            return (event,)
        match event:
            case BlockStart("text"):
                return ()  # it is opened with its first visible character
            case BlockStart(kind):
                out = self._ended()
                self._block = kind
                return [*out, event]
            case BlockStop():
                return self._ended()
            case MessageStart() | Progress() | Logprobs():
                return (event,)
            case _:
                return [*self._flushed(), event]

    def clear(self) -> bool:
        """Once something is shown, tags are talk."""
        return self._state is _State.SHOWN

    def close(self) -> Sequence[Event]:
        """What was held back of an answer that was cut."""
        return self._flushed()

    def _text(self, text: str) -> list[Event]:
        out: list[Event] = []
        text, self._held = self._held + text, ""
        while text:
            text = self._steps[self._state](text, out)
        return out

    # Each step says what it can of the text, and gives back what is left for the next state.

    def _start(self, text: str, _out: list[Event]) -> str:
        if tag := _BLANKS_AND_TAG.match(text):
            opens = tag[1] in _OPENERS
            self._closers = _OPENERS.get(tag[1], _CLOSERS)
            self._state = _State.LEAD if opens else _State.AFTER
            return text[tag.end() :]
        words = text.lstrip()
        if len(text) - len(words) <= EDGE and _ANY.unfinished(words) == len(words):
            self._held = text
            return ""
        self._state = _State.LEAD if self._state is _State.OPENED else _State.SHOWN
        return text

    def _lead(self, text: str, _out: list[Event]) -> str:
        text = text.lstrip()
        if text:
            self._state = _State.INSIDE
        return text

    def _inside(self, text: str, out: list[Event]) -> str:
        if closer := self._closers.search(text):
            self._say("thinking", text[: _edge(text, closer.start())], out)
            self._stop(out)
            self._state = _State.AFTER
            return text[closer.end() :]
        said = _edge(text, len(text) - self._closers.unfinished(text))
        self._say("thinking", text[:said], out)
        self._held = text[said:]
        return ""

    def _after(self, text: str, _out: list[Event]) -> str:
        text = text.lstrip("\r\n")
        if text:
            self._state = _State.START
        return text

    def _shown(self, text: str, out: list[Event]) -> str:
        self._say("text", text, out)
        return ""

    def _say(self, kind: BlockKind, text: str, out: list[Event]) -> None:
        if not text:
            return
        if self._block != kind:
            self._stop(out)
            out.append(BlockStart(kind))
            self._block = kind
        out.append(TextDelta(text) if kind == "text" else ThinkingDelta(text))

    def _stop(self, out: list[Event]) -> None:
        if self._block:
            out.append(BlockStop())
            self._block = None

    def _flushed(self) -> list[Event]:
        """No more text of this block comes: what was held back is no tag."""
        out: list[Event] = []
        held, self._held = self._held, ""
        if self._state is _State.INSIDE or (self._state is _State.OPENED and not held.isspace()):
            self._say("thinking", held, out)
        elif self._state is _State.START:
            self._say("text", held, out)
            self._state = _State.SHOWN if held.strip() else _State.START
        return out

    def _ended(self) -> list[Event]:
        """The engine's block is over. Thinking ends with it; a tag in the next one counts again."""
        out = self._flushed()
        self._stop(out)
        self._state = _State.SHOWN if self._state is _State.SHOWN else _State.START
        return out


def _edge(text: str, end: int) -> int:
    """`end`, less the blanks before it."""
    return max(len(text[:end].rstrip()), end - EDGE)
