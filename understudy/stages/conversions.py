"""Values of nearly the type that was asked for, as values of that type."""

import re
from collections.abc import Callable
from typing import Final

from understudy.stages.lenient import nearly
from understudy.stages.reading import Spelt, loads

DIGITS: Final = 15  # more, and JavaScript reads another number

NO: Final = object()  # this conversion does not apply

_INTEGER: Final = re.compile(rf"[+-]?\d{{1,{DIGITS}}}(?:\.0*)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?", re.ASCII)


def _text_to_integer(value: object) -> object:
    fits = isinstance(value, str) and _INTEGER.fullmatch(value.strip())
    return int(fits[0].partition(".")[0]) if fits else NO


def _text_to_number(value: object) -> object:
    fits = isinstance(value, str) and _NUMBER.fullmatch(value.strip())
    return float(fits[0]) if fits else NO


def _text_to_boolean(value: object) -> object:
    return _TRUTHS.get(value.strip().casefold(), NO) if isinstance(value, str) else NO


_TRUTHS: Final = {
    "true": True,
    "false": False,
    "yes": True,
    "no": False,
    "on": True,
    "off": False,
    "1": True,
    "0": False,
}


def _number_to_boolean(value: object) -> object:
    return bool(value) if type(value) is int and value in (0, 1) else NO


def _text_to_null(value: object) -> object:
    return None if isinstance(value, str) and value.strip().casefold() in ("null", "none") else NO


def _number_to_text(value: object) -> object:
    if isinstance(value, Spelt):
        return value.text
    return str(value) if type(value) is int else NO


def _boolean_to_text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else NO


def _text_to_array(value: object) -> object:
    inner = parsed(value) if isinstance(value, str) else NO
    return inner if isinstance(inner, list) else NO


def _text_to_object(value: object) -> object:
    inner = parsed(value) if isinstance(value, str) else NO
    return inner if isinstance(inner, dict) else NO


def _one_to_array(value: object) -> object:
    """Not a text that looks like several: words with commas, lines with marks, JSON that was cut off."""
    return NO if value is None or (isinstance(value, str) and _SEVERAL.match(value.strip())) else [value]


_SEVERAL: Final = re.compile(
    r"[\[{]|[\w./@-]+(?:\s*[,;|]\s*[\w./@-]+)++\Z|(?:[-*•]|\d+[.)])\s[^\n]*\n\s*(?:[-*•]|\d+[.)])\s"
)


CONVERSIONS: Final[tuple[tuple[str, str, Callable[[object], object]], ...]] = (
    ("text-to-integer", "integer", _text_to_integer),
    ("text-to-integer", "number", _text_to_integer),
    ("text-to-number", "number", _text_to_number),
    ("text-to-boolean", "boolean", _text_to_boolean),
    ("number-to-boolean", "boolean", _number_to_boolean),
    ("text-to-null", "null", _text_to_null),
    ("number-to-text", "string", _number_to_text),
    ("boolean-to-text", "string", _boolean_to_text),
    ("text-to-array", "array", _text_to_array),
    ("text-to-object", "object", _text_to_object),
    ("one-to-array", "array", _one_to_array),
)


def parsed(text: str) -> object:
    """JSON, or nearly JSON, inside a string; NO where there is more in it, or less."""
    try:
        return loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    if text.lstrip()[:1] not in ("[", "{"):
        return NO
    try:
        value, rules = nearly(text.strip(), loads)
    except (ValueError, RecursionError):
        return NO
    return NO if _MORE_IN_IT & {*rules} else value


_MORE_IN_IT: Final = frozenset({"surrounded", "said-twice", "missing-brace"})
