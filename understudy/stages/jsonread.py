"""Calls in JSON, as models write them: objects, rows of objects, lists of objects.

    {"name": "Read", "arguments": {"file_path": "a"}}                       in many words for "name" and "arguments"
    {"type": "function", "function": {"name": ..., "arguments": ...}}       wrapped
    {"Read": {"file_path": "a"}}                                            the name as the key (`keyed`)

Nothing is decoded for good: a call's arguments are a span of the text itself.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from understudy.stages.syntax import Call

DECODER: Final = json.JSONDecoder(strict=False)  # raw line breaks in strings: mending them is not for here

_NAMES: Final = ("name", "tool_name", "tool", "function", "tool_call", "function_call")
_ARGUMENTS: Final = ("arguments", "parameters", "input", "args")
_IDS: Final = ("id", "tool_call_id", "call_id")
_LISTS: Final = "tool_calls"
_PARTS: Final = frozenset({*_NAMES, *_ARGUMENTS, *_IDS, _LISTS, "type"})
_BLANKS: Final = re.compile(r"\s*")
_BETWEEN: Final = re.compile(r"\s*[,;]?\s*")
_BRACKETS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?P<end>"|\\?\Z)|[{}\[\]]', re.DOTALL)

HEAD: Final = re.compile(
    r"""\[?\s*\{\s*(?:["'](?:id|type|tool_call_id)["']\s*:\s*["'][^"'\n]*["']\s*,\s*)*"""
    r"""["'](?:name|tool_name)["']\s*:\s*["']([^"'\n]+)["']\s*,\s*["'](?:arguments|parameters|input|args)["']\s*:\s*"""
)
"""A call up to its arguments, in the order in which models write it: where what follows is no JSON, this still is."""
NAMED: Final = (
    r"""\[?\s*\{\s*(?:["'](?:id|type|tool_call_id)["']\s*:\s*["'][^"'\n]*["']\s*,\s*)*"""
    r"""["'](?:name|tool_name)["']\s*:\s*["']([^"'\n]*)["']"""
)
"""A call up to its name, as a regular expression: what `Syntax.head` finds."""


class NoCall(ValueError):
    """This is whole, and meant as something else."""


class Reading:
    """How the objects are to be read.

    Args:
        keyed: each object has one member, the name of a tool and its arguments.
        strict: nothing but the parts of a call may stand in an object: it may be meant as something else.
    """

    def __init__(self, *, keyed: bool = False, strict: bool = False) -> None:
        self._keyed = keyed
        self._strict = strict

    def calls(self, text: str, at: int) -> tuple[tuple[Call, ...], int]:
        """One call, several in a row, or a list of them, and where they end. Raises ValueError."""
        if listed := text[at : at + 1] == "[":
            at = skip(text, at + 1)
        calls: list[Call] = []
        end = at
        while text[at : at + 1] == "{":
            some, end = self._object(text, at)
            calls += some
            at = between(text, end)
        if not calls or (listed and text[at : at + 1] != "]"):
            raise ValueError("no calls, or more than calls")
        return tuple(calls), at + 1 if listed else end

    def _object(self, text: str, at: int) -> tuple[Sequence[Call], int]:
        found, end = members(text, at)
        if self._keyed:
            return [Call(key, text[span]) for key, span in found.items()], end
        if self._strict and not found.keys() <= _PARTS:
            raise NoCall("more than a call")
        if _LISTS in found:
            return self.calls(text, found[_LISTS].start)[0], end
        name_at = next((found[key] for key in _NAMES if key in found), None)
        if name_at is None:
            raise ValueError("a call without a name")
        if text[name_at.start] == "{":  # {"type": "function", "function": {"name": ..., "arguments": ...}}
            return self._object(text, name_at.start)[0], end
        arguments = next((text[found[key]] for key in _ARGUMENTS if key in found), "{}")
        return [Call(_text(text[name_at]), arguments, _id(text, found))], end


def _text(literal: str) -> str:
    value = DECODER.decode(literal)
    if not isinstance(value, str):
        raise ValueError("a name that is no text")  # noqa: TRY004 - all that is wrong with a text is a ValueError
    return value


def _id(text: str, found: dict[str, slice]) -> str:
    span = next((found[key] for key in _IDS if key in found), None)
    return "" if span is None else text[span].strip('"')


def members(text: str, at: int) -> tuple[dict[str, slice], int]:
    """Where in the text the values of the object at `at` stand, and where it ends. Raises ValueError."""
    found: dict[str, slice] = {}
    at = skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, colon = DECODER.raw_decode(text, at)
        colon = skip(text, colon)
        if not isinstance(key, str) or text[colon : colon + 1] != ":":
            raise ValueError("not an object")
        start = skip(text, colon + 1)
        _, end = DECODER.raw_decode(text, start)
        found[key] = slice(start, end)
        at = skip(text, end)
        if text[at : at + 1] == ",":
            at = skip(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError("not an object")
    return found, at + 1


def depth(text: str) -> int | None:
    """Brackets that were opened, less those closed; None if the text ends inside a string."""
    found = 0
    for token in _BRACKETS.finditer(text):
        if token["end"] is None:
            found += 1 if token[0] in "{[" else -1
        elif token["end"] != '"':
            return None
    return found


def value_end(text: str, at: int) -> int | None:
    """Where the JSON value at `at` ends; None if there is none, or not all of it."""
    try:
        return DECODER.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return None


def skip(text: str, at: int) -> int:
    """The place after the blanks."""
    return _after(_BLANKS, text, at)


def between(text: str, at: int) -> int:
    """The place after what stands between two calls."""
    return _after(_BETWEEN, text, at)


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
