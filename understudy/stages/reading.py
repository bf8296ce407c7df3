"""What a model wrote as the arguments of a call, read as JSON although it is not quite JSON.

The readings are tried in order, the strict ones first; the first that reads the whole text wins. Two rules hold for
all of them: nothing is made up (a value that was cut off stays cut off: half a shell command is another command),
and nothing that carries meaning is left out. Only the last reading guesses, with the kept library `json_repair`, and
its guess is thrown away unless both can be shown.

Every reading is linear in the text. The regular expressions match an unterminated string to its end, on purpose:
failing there would make each later quote start over.
"""

import json
import re
from collections.abc import Callable
from typing import Final, NoReturn, Self

import json_repair
import msgspec

GUESS_LIMIT: Final = 100_000  # characters given to the guessing parser, which is slow Python
KEPT: Final = 0.95  # share of the characters that a guess must hold on to


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


class CutOff(ValueError):
    """The text ends inside a string."""


def read(text: str) -> Reading:
    """Read `text`. Raises Unreadable."""
    bare = _unfenced(text)
    if not bare:
        return Reading({}, ("empty",))
    fence = ("code-fence",) if bare != text.strip() else ()
    for rule, reading in READINGS:
        try:
            value = reading(bare)
        except (
            ValueError,
            RecursionError,
        ):  # JSONDecodeError, too many digits, too deep: not by this reading
            continue
        return Reading(value, fence if rule == "json" else (*fence, rule))
    raise Unreadable(
        "the arguments are cut off"
        if _is_open(bare)
        else "the arguments are not JSON that can be read safely"
    )


def loads(text: str, *, strict: bool = True) -> object:
    """`json.loads` without NaN and infinities, and with floats that know their spelling. Raises ValueError."""
    return json.loads(text, strict=strict, parse_float=Spelt, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_FENCE: Final = re.compile(r"```[A-Za-z0-9]*[ \t]*\r?\n?(.*?)\r?\n?```", re.DOTALL)


def _unfenced(text: str) -> str:
    bare = text.strip().lstrip("\ufeff").strip()
    if bare.startswith("```") and (fenced := _FENCE.fullmatch(bare)):
        return fenced[1].strip()
    return bare


def _control_characters(text: str) -> object:
    """Raw line breaks and tabs inside strings: every weak model writes them into file contents."""
    return loads(text, strict=False)


# A string (to its end, or to the end of the text), a word and whether it is a key, a comma before a closing bracket.
_TOKEN: Final = re.compile(
    r""""[^"\\]*+(?:\\.[^"\\]*+)*+(?P<double>"|\\?\Z)"""
    r"""|'[^'\\]*+(?:\\.[^'\\]*+)*+(?P<single>'|\\?\Z)"""
    r"""|(?P<word>[A-Za-z_$][\w$-]*+)(?P<colon>\s*+:)?"""
    r"""|,\s*+(?=[}\]])""",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r'\\(?:u[0-9a-fA-F]{4}|.)|"', re.DOTALL)
_PYTHON: Final = {"True": "true", "False": "false", "None": "null"}


def _literal(text: str) -> object:
    """Python or JavaScript instead of JSON: single quotes, True, bare keys, a last comma, needless backslashes."""
    return loads(_as_json(text), strict=False)


def _as_json(text: str) -> str:
    return _TOKEN.sub(_token_as_json, text)


def _token_as_json(token: re.Match[str]) -> str:
    if word := token["word"]:
        return f'"{word}":' if token["colon"] else _PYTHON.get(word, word)
    if token[0].startswith(","):
        return ""
    if (token["double"] or token["single"]) not in ('"', "'"):
        return token[0]
    return f'"{_ESCAPE.sub(_escape_as_json, token[0][1:-1])}"'


def _escape_as_json(escape: re.Match[str]) -> str:
    r"""A JSON escape stays; `\'` and a bare `"` are put right; of any other, as in `\d`, the backslash is meant."""
    written = escape[0]
    if written == '"':
        return '\\"'
    if written == "\\'":
        return "'"
    return written if len(written) > 2 or written[1] in '"\\/bfnrt' else "\\" + written  # noqa: PLR2004 - \uXXXX


_STRUCTURE: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+("|\\?\Z)|[{}\[\]]', re.DOTALL)
_CLOSERS: Final = {"{": "}", "[": "]"}
_WHOLE_VALUE: Final = re.compile(r'(?:["}\]]|\b(?:true|false|null))\Z')


def _unclosed(text: str) -> str:
    """The closing brackets that are missing. Raises CutOff, or ValueError if they cross."""
    stack: list[str] = []
    for token in _STRUCTURE.finditer(text):
        if token[1] is not None:
            if token[1] != '"':
                raise CutOff("a string is cut off")
        elif token[0] in _CLOSERS:
            stack.append(_CLOSERS[token[0]])
        elif not stack or stack.pop() != token[0]:
            raise ValueError("brackets cross")
    return "".join(reversed(stack))


def _missing_brace(text: str) -> object:
    """Nothing is missing but the last brace, after a value that is whole.

    Not after 12, which may have been 120; and not inside a list, which may have been longer.
    """
    bare = _as_json(text).rstrip()
    if _unclosed(bare) != "}" or not _WHOLE_VALUE.search(bare):
        raise ValueError("more than the last brace is missing")
    return loads(bare + "}", strict=False)


_DECODER: Final = json.JSONDecoder(strict=False, parse_float=Spelt, parse_constant=_no_constant)


def _surrounded(text: str) -> object:
    """One object with prose before it, or with prose or surplus closing brackets after it."""
    start = text.find("{")
    if start < 0 or set('[]}"') & set(text[:start]):
        raise ValueError("no object stands alone in it")
    value, end = _DECODER.raw_decode(text, start)
    if set('{["') & set(text[end:]):
        raise ValueError("there is more than one value")
    return value


def _guess(text: str) -> object:
    """What `json_repair` makes of it: missing commas, quotes inside strings."""
    if len(text) > GUESS_LIMIT or text[-1] not in "]}" or text.count('"') % 2 or _is_open(text):
        raise ValueError("it may have been cut off: a guess would complete it")
    value, log = json_repair.repair_json(text, return_objects=True, skip_json_loads=True, logging=True)
    if any("missed the closing" in step["text"] for step in log):
        raise ValueError("it was cut off")
    if not isinstance(value, dict) or not _keeps(json.dumps(value, ensure_ascii=False), text):
        raise ValueError("the guess left something out, or made something up")
    return value


def _keeps(guess: str, text: str) -> bool:
    """Whether hardly a letter, digit or sign was lost, and no letter or digit was added."""
    words, signs = sum(map(str.isalnum, text)), len("".join(text.split()))
    kept = sum(map(str.isalnum, guess))
    return KEPT * words <= kept <= words and len("".join(guess.split())) >= KEPT * signs


def _is_open(text: str) -> bool:
    """Whether it ends inside a string or inside brackets."""
    try:
        return bool(_unclosed(_as_json(text)))
    except CutOff:
        return True
    except ValueError:
        return False


READINGS: Final[tuple[tuple[str, Callable[[str], object]], ...]] = (
    ("json", loads),
    ("control-characters", _control_characters),
    ("literal", _literal),
    ("missing-brace", _missing_brace),
    ("surrounded", _surrounded),
    ("guess", _guess),
)
