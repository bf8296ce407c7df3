"""What a model wrote as the arguments of a call, read as JSON although it is not quite JSON.

JSON is read as JSON. What is not is given to `lenient`, which knows one reading or none. Two rules hold: nothing is made
up (a value that was cut off stays cut off: half a shell command is another command), and nothing that carries meaning is
left out.
"""

import json
import re
from typing import Final, NoReturn, Self

import msgspec

from understudy.stages.lenient import CutOff, nearly

_NOTHING: Final = frozenset({"", "None", "()", "undefined"})


class Reading(msgspec.Struct, frozen=True):
    """A value, and the names of the rules it took to read it (none: it was JSON)."""

    value: object
    rules: tuple[str, ...]


class Spelt(float):
    """A float that remembers how it was written: version 3.10 is not 3.1 once it becomes text again."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read `text`; raises ValueError where no float holds it."""
        self = super().__new__(cls, text)
        if self in (float("inf"), float("-inf")):
            raise ValueError("a number is too large")
        self.text = text
        return self


class Unreadable(ValueError):
    """No reading took the text; the message says why, in words for the model that wrote it."""


def read(text: str) -> Reading:
    """Read `text`. Raises Unreadable."""
    bare = _unfenced(text)
    if bare in _NOTHING:
        return Reading({}, ("empty",))
    fence = ("code-fence",) if bare != text.strip() else ()
    try:
        return Reading(loads(bare), fence)
    except (ValueError, RecursionError):  # JSONDecodeError, too many digits, too deep
        pass
    try:
        value, rules = nearly(_unescaped(bare), loads)
    except CutOff:
        raise Unreadable("the arguments are cut off") from None
    except (ValueError, RecursionError):
        raise Unreadable("the arguments are not JSON that can be read safely") from None
    escaped = ("escaped",) if _ESCAPED.match(bare) else ()
    return Reading(value, (*fence, *escaped, *rules))


def loads(text: str, *, strict: bool = True) -> object:
    """`json.loads` without NaN and infinities, and with floats that know their spelling. Raises ValueError."""
    return json.loads(text, strict=strict, parse_float=Spelt, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_FENCE: Final = re.compile(r"(?:```[A-Za-z0-9]*[ \t]*(?:\r?\n)?)?(.*?)(?:\r?\n?```)?", re.DOTALL)


def _unfenced(text: str) -> str:
    """Without a code fence, or what there is of one, and without the mark of a file's beginning."""
    bare = text.strip().strip("\ufeff\u200b").strip()
    fenced = _FENCE.fullmatch(bare) if "```" in bare else None
    return fenced[1].strip() if fenced else bare


_ESCAPED: Final = re.compile(r"[{\[]\s*+(?=\\[nrt\"])(?:\\[nrt]\s*+)*+(?P<quote>\\\")?")
_WHITE: Final = {"n": "\n", "r": "\r", "t": "\t"}


def _unescaped(text: str) -> str:
    r"""Text that is the inside of a JSON string, without its quotes: `{\"command\": ...`, or `{\n  "command": ...`.

    In the second, only white space is escaped, or quotes are escaped as JSON asks for. Raises ValueError.
    """
    found = _ESCAPED.match(text)
    if found is None:
        return text
    if found["quote"]:
        return str(json.loads(f'"{text}"', strict=False))
    return re.sub(r"(?<!\\)\\([nrt])", lambda escape: _WHITE[escape[1]], text)
