"""Reasoning that a model writes into its text -> thinking blocks.

    <think>How many files? Let me look.</think>

    I'll list them.

Tags count only before the first visible text: an answer that talks about `<think>` keeps its words. Only the tokens that
some models have of their own count later, too, once one of them was seen. What the prompt has written of the answer
(`begun`) is read as if the model had written it. What stands around visible text is left out. Once visible text has
begun, the stage passes everything through. An answer cut while thinking has thought that much.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
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
from understudy.stages.reasoning import STRAYS, TAGS, WRAPPINGS, Tag, Wrapping

EDGE: Final = 64
"""Blanks looked past before a tag, in characters. More of them are content."""


class _Marks(Struct, frozen=True):
    """What to look for with some tags; made once."""

    tags: dict[str, Tag]
    wrappings: dict[str, Wrapping]
    any: Markers
    edge: re.Pattern[str]
    again: Markers
    ends: dict[str, Markers]


@lru_cache(maxsize=16)
def _marks(tags: tuple[Tag, ...]) -> _Marks:
    wrappings = {wrapping.opener: wrapping for wrapping in WRAPPINGS}
    known = {end: None for tag in tags for end in (tag.opener, tag.closer)}
    known |= dict.fromkeys((*wrappings, *STRAYS))
    either = "|".join(map(re.escape, known))
    return _Marks(
        {tag.opener: tag for tag in tags},
        wrappings,
        Markers(known),
        re.compile(rf"\s{{0,{EDGE}}}({either})"),
        Markers(end for tag in tags if tag.again for end in (tag.opener, tag.closer)),
        {
            **{tag.opener: Markers((tag.closer, *tag.ends)) for tag in tags},
            **{row.opener: Markers(_closers(row)) for row in WRAPPINGS},
        },
    )


def _closers(wrapping: Wrapping) -> tuple[str, ...]:
    """Where the tags stand on lines of their own, the line breaks are theirs."""
    ends = (wrapping.closer, "\n" + wrapping.closer) if wrapping.after else (wrapping.closer,)
    return tuple(filter(None, ends))


class _State(Enum):
    START = "nothing visible has come yet"
    LEAD = "just inside thinking"
    INSIDE = "inside thinking"
    AFTER = "just after thinking, or after what stands around visible text"
    OPENING = "at the first line of wrapped text"
    WRAPPED = "inside what stands around visible text"
    SHOWN = "visible text has begun"


class ThinkingTags:
    """The stage.

    Args:
        tags: those that count.
        begun: what the prompt has written of the answer already.
    """

    looks = False

    def __init__(self, tags: tuple[Tag, ...] = TAGS, *, begun: str = "") -> None:
        self._marks = _marks(tags)
        self._begun = begun
        self._state = _State.START
        self._tag = tags[0]
        self._ends = self._marks.any
        self._thought = False
        self._again = False
        self._held = ""
        self._block: BlockKind | None = None  # that has been opened towards the client
        self._steps: dict[_State, Callable[[str, list[Event]], str]] = {
            _State.START: self._start,
            _State.LEAD: self._lead,
            _State.INSIDE: self._inside,
            _State.AFTER: self._after,
            _State.OPENING: self._opening,
            _State.WRAPPED: self._wrapped,
            _State.SHOWN: self._shown,
        }

    def passes(self, event: TextDelta | ThinkingDelta) -> bool:
        """Whether visible text has begun, or the engine itself tells reasoning apart."""
        if type(event) is TextDelta:
            return self._state is _State.SHOWN and not self._again
        return not self._held

    def feed(self, event: Event) -> Sequence[Event]:
        """The event, its text told apart."""
        if self._state is _State.SHOWN and not self._again:
            return (event,)
        match event:
            case TextDelta(text):
                return self._text(text)
            case ThinkingDelta() if not self._held:
                return (event,)
            case BlockStart("text"):
                return ()  # it is opened with its first visible character
            case BlockStart(kind):
                self._begun = ""  # the engine tells reasoning apart itself
                out = self._ended()
                self._block = kind
                return [*out, event]
            case BlockStop():
                return self._ended()
            case MessageStart() | Progress() | Logprobs():
                return (event,)
            case _:
                return [*self._flushed(), event]

    def close(self) -> Sequence[Event]:
        """What was held back of an answer that was cut."""
        return self._flushed()

    def _text(self, text: str) -> list[Event]:
        out: list[Event] = []
        if text:
            text, self._held, self._begun = self._begun + self._held + text, "", ""
        while text:
            text = self._steps[self._state](text, out)
        return out

    # Each step says what it can of the text, and gives back what is left for the next state.

    def _start(self, text: str, out: list[Event]) -> str:
        if found := self._marks.edge.match(text):
            if self._entered(found[1], out):
                return text[found.end() :]
        elif self._may_be_tag(text):
            self._held = text
            return ""
        self._state = _State.SHOWN
        return text

    def _may_be_tag(self, text: str) -> bool:
        words = text.lstrip()
        return len(text) - len(words) <= EDGE and self._marks.any.unfinished(words) == len(words)

    def _entered(self, mark: str, out: list[Event]) -> bool:
        """Whether the mark says something here, and what comes next."""
        if tag := self._marks.tags.get(mark):
            self._think(tag, out)
        elif wrapping := self._marks.wrappings.get(mark):
            if wrapping.after and not self._thought:
                return False
            self._state = _State.OPENING if wrapping.after else _State.WRAPPED
            self._ends = self._marks.ends[mark]
        else:
            self._state = _State.AFTER
        return True

    def _think(self, tag: Tag, out: list[Event]) -> None:
        self._state = _State.LEAD
        self._tag = tag
        self._ends = self._marks.ends[tag.opener]
        self._thought = True
        self._again |= tag.again
        if tag.spoken:
            self._say("thinking", tag.opener + "\n", out)

    def _lead(self, text: str, _out: list[Event]) -> str:
        text = text.lstrip()
        if text and self._tag.opener.startswith(text[: len(self._tag.opener)]) and not self._tag.spoken:
            repeated = text.startswith(self._tag.opener)
            self._held = "" if repeated else text
            return text[len(self._tag.opener) :] if repeated else ""
        if text:
            self._state = _State.INSIDE
        return text

    def _inside(self, text: str, out: list[Event]) -> str:
        if end := self._ends.search(text):
            self._say("thinking", text[: _edge(text, end.start())], out)
            self._stop(out)
            self._state = _State.AFTER
            return text[end.end() if end[0] == self._tag.closer else end.start() :]
        said = _edge(text, len(text) - self._ends.unfinished(text))
        self._say("thinking", text[:said], out)
        self._held = text[said:]
        return ""

    def _after(self, text: str, _out: list[Event]) -> str:
        text = text.lstrip("\r\n")
        if text:
            self._state = _State.START
        return text

    def _opening(self, text: str, _out: list[Event]) -> str:
        self._state = _State.WRAPPED
        return text.removeprefix("\n")

    def _wrapped(self, text: str, out: list[Event]) -> str:
        if end := self._ends.search(text):
            self._say("text", text[: end.start()], out)
            self._state = _State.AFTER
            return text[end.end() :]
        said = len(text) - self._ends.unfinished(text)
        self._say("text", text[:said], out)
        self._held = text[said:]
        return ""

    def _shown(self, text: str, out: list[Event]) -> str:
        mark = self._marks.again.search(text) if self._again else None
        if mark:
            self._say("text", text[: mark.start()], out)
            self._entered(mark[0], out)
            return text[mark.end() :]
        said = len(text) - (self._marks.again.unfinished(text) if self._again else 0)
        self._say("text", text[:said], out)
        self._held = text[said:]
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
        if self._state in (_State.LEAD, _State.INSIDE):
            self._say("thinking", held, out)
        else:
            self._say("text", held, out)
            if self._state is _State.START and held.strip():
                self._state = _State.SHOWN
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
