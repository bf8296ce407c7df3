"""Answers that come as messages with headers -> thinking, text and calls.

    <|channel|>analysis<|message|>hm<|end|>
    <|start|>assistant<|channel|>commentary to=functions.Read <|constrain|>json<|message|>{"file_path": "a"}<|call|>
    <|start|>assistant<|channel|>final<|message|>Done.<|return|>

The format of gpt-oss (https://github.com/openai/harmony); Muse writes its headers as ` to=self<|message|>`, and its calls
as tags in a message to the tool. The prompt has written `<|start|>assistant` already. An answer that does not begin with
a header has none: it passes. Where servers leave the tokens out, `headers` puts them in again.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

from understudy.language.events import (
    BlockKind,
    BlockStart,
    BlockStop,
    Event,
    InputDelta,
    Logprobs,
    MessageStart,
    Progress,
    TextDelta,
    ThinkingDelta,
)
from understudy.stages.headers import Headers
from understudy.stages.markers import Markers
from understudy.stages.namedcalls import Named
from understudy.stages.syntax import NAME, Lazy, Syntax, models

BEGUN: Final = "<|start|>assistant"
"""What the prompt has written of an answer."""
LONGEST: Final = 256
"""Characters of a header."""

_MESSAGE: Final = "<|message|>"
_PART: Final = re.compile(r"\s+|to=[^\s<]*|<\|start\|>assistant|<\|(?:channel|constrain)\|>[\w.-]*|json|code")
_PARTS: Final = Markers((BEGUN, "<|channel|>", "<|constrain|>", _MESSAGE, "to=", "json", "code"))
_FIRST: Final = Markers(("<|start|>", "<|channel|>"))
_ENDS: Final = Markers(
    ("<|end|>", "<|return|>", "<|call|>", "<|eom|>", "<|eot|>", "<|start|>", "<|channel|>"),
)
_STAYS: Final = frozenset({"<|start|>", "<|channel|>"})
_RECIPIENT: Final = re.compile(r"to=([^\s<]+)")
_TAGGED: Final = "<atem:"

_NAMES: Final = models(r"gpt-?oss|muse")
_SIGNS: Final = ("<|channel|>", "<atem:function_calls>")


@lru_cache(maxsize=64)
def used(model_name: str, template: str) -> bool:
    """Whether a model's answers come so."""
    return bool(_NAMES.search(model_name)) or any(sign in template for sign in _SIGNS)


class _State(Enum):
    START = "nothing has come yet"
    BETWEEN = "between two messages"
    HEADER = "in a header"
    THOUGHT = "in reasoning"
    TEXT = "in visible text"
    CALL = "in the arguments of a call"
    PLAIN = "in an answer without headers"


class Channels:
    """The stage.

    Args:
        new_id: makes an id for a call.
        begun: what the prompt has written of the answer already.
    """

    looks = True

    def __init__(self, new_id: Callable[[], str], *, begun: str = "") -> None:
        self._new_id = new_id
        self._begun = begun
        self._tokens = Headers() if begun == BEGUN else None  # of an engine that gives the model's own text
        self._state = _State.START
        self._held = ""
        self._name = ""
        self._arguments: list[str] = []
        self._block: BlockKind | None = None
        self._steps: dict[_State, Callable[[str, list[Event]], str]] = {
            _State.START: self._start,
            _State.BETWEEN: self._between,
            _State.HEADER: self._header,
            _State.THOUGHT: self._body,
            _State.TEXT: self._body,
            _State.CALL: self._call,
            _State.PLAIN: self._plain,
        }

    def passes(self, event: TextDelta | ThinkingDelta) -> bool:
        """Whether it is in visible text that goes on, or the engine itself reads the messages."""
        if self._state is _State.PLAIN or type(event) is ThinkingDelta:
            return True
        if self._tokens and not self._tokens.plain():
            return False
        return (
            self._block == "text" and self._state is _State.TEXT and not self._held and "<" not in event.text
        )

    def feed(self, event: Event) -> Sequence[Event]:
        """The event, its text told apart."""
        if self._state is _State.PLAIN:
            return (event,)
        match event:
            case TextDelta(text):
                return self._text(text)
            case BlockStart("text") | MessageStart() | Progress() | Logprobs():
                return () if isinstance(event, BlockStart) else (event,)
            case BlockStop():
                return self._ended()
            case BlockStart(kind):
                self._begun = ""  # the engine reads the messages itself
                out = self._ended()
                self._block = kind
                return [*out, event]
            case ThinkingDelta() | InputDelta():
                return (event,)
            case _:
                return [*self._ended(), event]

    def close(self) -> Sequence[Event]:
        """What was held back of an answer that was cut; its block stays open. A call that was cut is none."""
        out: list[Event] = []
        self._drain(out)
        self._flush(out)
        return out

    def _text(self, text: str) -> list[Event]:
        out: list[Event] = []
        self._read(self._tokens.feed(text) if self._tokens else text, out)
        return out

    def _read(self, text: str, out: list[Event]) -> None:
        if text:
            text, self._held = self._held + text, ""
        while text:
            text = self._steps[self._state](text, out)

    def _drain(self, out: list[Event]) -> None:
        if self._tokens:
            self._read(self._tokens.end(), out)

    # Each step says what it can of the text, and gives back what is left for the next state.

    def _start(self, text: str, _out: list[Event]) -> str:
        """Whether there are headers at all: told by what follows the first one's beginning."""
        whole = self._begun + text
        if self._is_header(whole) and (self._begun or _FIRST.match(text) or _FIRST.begins(text)):
            if _MESSAGE not in whole:
                self._held = text
                return ""
            self._state = _State.HEADER
            return whole
        self._state = _State.PLAIN
        return text

    def _is_header(self, text: str) -> bool:
        """Whether the text may be the beginning of a message."""
        head, message, _ = text.partition(_MESSAGE)
        at = 0
        while part := _PART.match(head, at):
            at = part.end()
        whole = at == len(head) or (not message and _PARTS.begins(head[at:]))
        return whole and len(head) < LONGEST

    def _between(self, text: str, _out: list[Event]) -> str:
        """Blanks between messages are layout; words without a header are text."""
        words = text.lstrip()
        if not words or _FIRST.begins(words):
            self._held = text
            return ""
        self._state = _State.HEADER if _FIRST.match(words) else _State.TEXT
        return words if self._state is _State.HEADER else text

    def _header(self, text: str, out: list[Event]) -> str:
        head, message, rest = text.partition(_MESSAGE)
        if not self._is_header(text):
            self._state = _State.TEXT
            marker = _FIRST.match(text)
            self._say("text", text[: marker.end()] if marker else "", out)
            return text[marker.end() :] if marker else text
        if not message:
            self._held = text
            return ""
        self._stop(out)
        self._state = self._destination(head)
        return rest

    def _destination(self, header: str) -> _State:
        recipient = _RECIPIENT.search(header)
        name = recipient[1] if recipient else ""
        if name == "self" or (not name and "<|channel|>analysis" in header):
            return _State.THOUGHT
        if name in ("", "user"):
            return _State.TEXT
        self._name = name.removeprefix("functions.")
        return _State.CALL

    def _body(self, text: str, out: list[Event]) -> str:
        kind: BlockKind = "text" if self._state is _State.TEXT else "thinking"
        end = _ENDS.search(text)
        said = end.start() if end else len(text) - _ENDS.unfinished(text)
        self._say(kind, text[:said], out)
        if end is None:
            self._held = text[said:]
            return ""
        self._stop(out)
        return self._next(end[0], text[said:])

    def _call(self, text: str, out: list[Event]) -> str:
        end = _ENDS.search(text)
        taken = end.start() if end else len(text) - _ENDS.unfinished(text)
        self._arguments.append(text[:taken])
        if end is None:
            self._held = text[taken:]
            return ""
        self._made(out)
        return self._next(end[0], text[taken:])

    def _next(self, end: str, text: str) -> str:
        self._state = _State.BETWEEN
        return text if end in _STAYS else text[len(end) :]

    def _plain(self, text: str, out: list[Event]) -> str:
        self._say("text", text, out)
        return ""

    def _made(self, out: list[Event]) -> None:
        """A call; or text, where the call is written as tags."""
        arguments, self._arguments = "".join(self._arguments), []
        if arguments.lstrip().startswith(_TAGGED):
            self._say("text", arguments, out)
            self._stop(out)
            return
        out += (
            BlockStart("tool_use", self._new_id(), self._name),
            InputDelta(arguments.strip()),
            BlockStop(),
        )

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

    def _flush(self, out: list[Event]) -> None:
        """No more text comes: what was held back is no marker."""
        held, self._held = self._held, ""
        if self._state is _State.THOUGHT:
            self._say("thinking", held, out)
        elif self._state is not _State.CALL:
            self._say("text", held, out)

    def _ended(self) -> list[Event]:
        """The engine's text is over, and with it what was open."""
        out: list[Event] = []
        self._drain(out)
        if self._state is _State.CALL:
            self._arguments.append(self._held)
            self._held = ""
            self._made(out)
        self._flush(out)
        self._stop(out)
        self._state = _State.BETWEEN if self._state is not _State.START else _State.START
        return out


_HEAD: Final = (
    r"(?:<\|start\|>assistant\s*)?(?:<\|channel\|>(?:commentary|analysis)\s*)?\s*to=functions\.(?P<name>"
    + NAME
    + r")\s*(?:<\|channel\|>\w+\s*)?(?:<\|constrain\|>\w+\s*|json\s*)?<\|message\|>\s*"
)
HARMONY: Final = Syntax(
    name="harmony",
    models="gpt-oss",
    example='<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{"city": "Paris"}<|call|>',
    names=models(r"gpt-?oss"),
    signs=("<|channel|>",),
    openers=("<|channel|>commentary to=", "<|channel|>analysis to="),
    head=Lazy(_HEAD.replace("?P<name>", "")),
    closers=("}", "<|call|>"),
    tails=("<|call|>", "<|end|>", "<|start|>assistant"),
    parse=Named(Lazy(_HEAD)),
)
