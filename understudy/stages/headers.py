"""The tokens of message headers, put back where a server left special tokens out of the text.

    analysisWe look.assistantcommentary to=functions.Read json{"file_path": "a"}

What is left of a header is its words; a call's arguments begin with a bracket. Only for text that is known to be the
model's own: in any other, these are words.
"""

import re
from enum import Enum
from typing import Final

from understudy.stages.markers import Markers

_NAME: Final = r"[\w.:-]+?"
_CALL: Final = re.compile(
    rf"\s*(?P<role>to={_NAME})?(?P<channel>analysis|commentary)\s*(?P<to>to={_NAME})?\s*(?:json|code)?\s*(?=\{{)"
)
_CALL_BEGUN: Final = re.compile(
    r"\s*(?:t|to|to=[\w.:-]*)?(?:(?:analysis|commentary)\s*(?:t|to|to=[\w.:-]*)?\s*[jsoncde]{0,4}\s*)?"
)
_TEXT: Final = re.compile("analysis|commentary|final")
_WORDS: Final = Markers(("analysis", "commentary", "final"))
_NEXT: Final = Markers(f"assistant{word}" for word in ("analysis", "commentary", "final", " to=functions."))
_ROLE: Final = "assistant"


class _State(Enum):
    START = "nothing has come yet"
    HEADER = "in a header without tokens"
    MESSAGE = "in a message"
    PLAIN = "in text that has its tokens"


class Headers:
    """Text in pieces; the same with its tokens."""

    def __init__(self) -> None:
        self._state = _State.START
        self._held = ""

    def plain(self) -> bool:
        """Whether the text has its tokens."""
        return self._state is _State.PLAIN

    def feed(self, text: str) -> str:
        """The text, as far as it is clear."""
        if self._state is _State.PLAIN:
            return text
        text, self._held = self._held + text, ""
        out: list[str] = []
        while text:
            text = self._message(text, out) if self._state is _State.MESSAGE else self._header(text, out)
        return "".join(out)

    def end(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return held

    def _header(self, text: str, out: list[str]) -> str:
        call = _CALL.match(text)
        if call and (call["role"] or call["to"]):
            recipient = call["role"] or call["to"]
            out.append(f" {recipient}<|channel|>{call['channel']}<|message|>")
            self._state = _State.MESSAGE
            return text[call.end() :]
        if _CALL_BEGUN.fullmatch(text) or _WORDS.begins(text):
            self._held = text
            return ""
        words = _TEXT.match(text)
        self._state = _State.MESSAGE if words or self._state is _State.HEADER else _State.PLAIN
        if words is None:
            out.append(text)
            return ""
        out.append(f"<|channel|>{words[0]}<|message|>")
        return text[words.end() :]

    def _message(self, text: str, out: list[str]) -> str:
        end = _NEXT.search(text)
        said = end.start() if end else len(text) - _NEXT.unfinished(text)
        out.append(text[:said])
        if end is None:
            self._held = text[said:]
            return ""
        out.append(f"<|end|><|start|>{_ROLE}")
        self._state = _State.HEADER
        return text[said + len(_ROLE) :]
