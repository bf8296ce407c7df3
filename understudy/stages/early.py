r"""What of a call's arguments may leave before the call is whole.

    {"file_path": "a.py", "content": "import os\nimport sys ...
    '------ sent ------------------------------------' as it comes; whatever follows, this much of it will stand

The arguments are JSON text of one object, as a model writes it. Sent is what no later byte can make wrong: members that the
tool's schema names and whose value is plainly what it asks for, and of a plain string every character as it comes. With
the first thing that is not as it should be, or not simple enough to be sure of (a list, an enumeration, a pattern), that
ends: the rest waits until the whole call has been mended and validated. So does the closing brace, always: without it
nobody runs the call. And so does the quote that closes a string, until another member follows it: models forget to escape
quotes, and what looks like the end of a text may be the middle of it.

`rest` completes what was sent, so that both together mean what the mended arguments mean; or says that they cannot.
"""

import json
import re
from enum import Enum
from functools import lru_cache
from typing import Final, TypeGuard

import msgspec

_NOTES: Final = frozenset({"title", "description", "default", "examples", "$comment", "deprecated", "type"})
"""Keywords beside which a property's `type` is all there is to check."""
_ROOT: Final = _NOTES | {"$schema", "$id", "$defs", "properties", "required", "additionalProperties"}
"""Keywords of a tool's schema with which members can be judged one by one."""
_SIMPLE: Final = frozenset({"string", "boolean", "integer", "number"})

_PATIENCE: Final = 300
"""Characters in which a member must show what it is: a name, a colon, and a number if it is one."""
_OPENING: Final = re.compile(r"\s*\{")
_MEMBER: Final = re.compile(
    r"""(?P<before>"?\s*(?P<comma>,)?\s*)"(?P<key>[^"\\\x00-\x1f]{1,200})"\s*:\s*(?:
        (?P<string>") |
        (?P<number>-?(?:0|[1-9][0-9]{0,14})(?P<fraction>\.[0-9]{1,15})?)(?=\s*[,}]) |
        (?P<boolean>true|false)(?=\s*[,}])
    )""",
    re.VERBOSE,
)
_CHARACTERS: Final = re.compile(
    r"""(?:[^"\\\x00-\x1f\ud800-\udfff] | \\["\\/bfnrt] | \\u(?![dD][89a-fA-F])[0-9a-fA-F]{4} |
        \\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})+""",
    re.VERBOSE,
)


class _State(Enum):
    BETWEEN = "before a member"
    STRING = "inside a plain string"
    HELD = "nothing more may leave early"


class Early:
    """The arguments of one call, as they come.

    Args:
        schema: of the tool's input, as the client sent it.

    Attributes:
        sent: how many characters of the arguments have left.
    """

    def __init__(self, schema: bytes) -> None:
        self.sent = 0
        self._kinds = _plain_kinds(schema)
        self._state = _State.BETWEEN if self._kinds else _State.HELD
        self._text = ""  # what waits to be understood
        self._whole: dict[str, object] = {}  # members that have left
        self._open = ""  # the member whose string is being sent
        self._said: list[str] = []  # that string, as JSON text

    def feed(self, text: str) -> str:
        """More of the arguments; gives what may leave now."""
        if self._state is _State.HELD:
            return ""
        self._text += text
        out = ""
        before = None
        while self._text and before != (before := (self._state, len(self._text))):
            out += self._string() if self._state is _State.STRING else self._member()
        self.sent += len(out)
        return out

    def rest(self, written: str, arguments: str) -> str | None:
        """What is missing of a call of which something has left.

        Args:
            written: everything the model wrote.
            arguments: the same, mended; `written` itself where there was nothing to mend.

        Returns:
            The rest; None where the mended arguments contradict what has left.
        """
        if arguments == written:
            return written[self.sent :]
        value, sent = msgspec.json.decode(arguments), written[: self.sent]
        text = self._completed(value) if _is_object(value) else None
        return text if text is not None and _means(sent + text, value) else None

    def _completed(self, value: dict[str, object]) -> str | None:
        out, left = "", {key: child for key, child in value.items() if key not in self._whole}
        if self._open:
            begun, whole = json.loads(f'"{"".join(self._said)}"'), left.pop(self._open, None)
            if not isinstance(whole, str) or not whole.startswith(begun):
                return None
            out = json.dumps(whole[len(begun) :], ensure_ascii=False)[1:]
        for key, child in left.items():
            out += f", {json.dumps(key, ensure_ascii=False)}: {json.dumps(child, ensure_ascii=False)}"
        return out + "}"

    def _member(self) -> str:
        """A member's name and the beginning of its value, or all of it; "" while that is not clear."""
        first = not self._whole and not self._open
        lead = _OPENING.match(self._text) if first else None
        start = lead.end() if lead else 0
        found = _MEMBER.match(self._text, start)
        if found is None or (first and lead is None):
            if len(self._text) > _PATIENCE:
                self._hold()
            return ""
        if not self._fits(found, first=first):
            self._hold()
            return ""
        self._take(found)
        out, self._text = self._text[: found.end()], self._text[found.end() :]
        return out

    def _fits(self, found: re.Match[str], *, first: bool) -> bool:
        """Whether it stands in its place, is new, and has a value as the schema asks for it."""
        key, closes = found["key"], found["before"].startswith('"')
        placed = (found["comma"] is None) == first and closes == bool(self._open)
        return (
            placed and key != self._open and key not in self._whole and _is(found, self._kinds.get(key, ""))
        )

    def _take(self, found: re.Match[str]) -> None:
        if self._open:
            self._whole[self._open] = json.loads(f'"{"".join(self._said)}"')
            self._open, self._said = "", []
        key = found["key"]
        if found["string"]:
            self._open, self._state = key, _State.STRING
        else:
            self._whole[key] = json.loads(found["number"] or found["boolean"])

    def _string(self) -> str:
        """Characters of the string that is open; it ends with a quote, which waits for the next member."""
        found = _CHARACTERS.match(self._text)
        out = found[0] if found else ""
        self._said.append(out)
        self._text = self._text[len(out) :]
        if self._text.startswith('"'):
            self._state = _State.BETWEEN
        elif len(self._text) >= _ESCAPE or self._text[:1] not in ("", "\\"):
            self._hold()
        return out

    def _hold(self) -> None:
        self._state, self._text = _State.HELD, ""


_ESCAPE: Final = len("\\ud83d\\ude42")
"""Characters after which what begins with a backslash must have been an escape."""


def _is(found: re.Match[str], kind: str) -> bool:
    """Whether a member's value is of that JSON type."""
    match kind:
        case "string" | "boolean":
            return found[kind] is not None
        case "number":
            return found["number"] is not None
        case "integer":
            return found["number"] is not None and found["fraction"] is None
        case _:
            return False


def _means(text: str, value: object) -> bool:
    """Whether a text is JSON of this very value: to Python, 1, 1.0 and True would be equal."""
    try:
        return json.dumps(msgspec.json.decode(text), sort_keys=True) == json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return False


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


@lru_cache(maxsize=512)
def _plain_kinds(schema: bytes) -> dict[str, str]:
    """The properties whose values can be judged by their type alone; none where they depend on each other."""
    try:
        root = msgspec.json.decode(schema)
    except (ValueError, RecursionError):
        return {}
    if not _is_object(root) or not root.keys() <= _ROOT or root.get("type", "object") != "object":
        return {}
    properties = root.get("properties")
    plain: dict[str, str] = {}
    for key, child in properties.items() if _is_object(properties) else ():
        kind = child.get("type") if _is_object(child) and child.keys() <= _NOTES else None
        if isinstance(kind, str) and kind in _SIMPLE:
            plain[key] = kind
    return plain
