"""Values that a model wrote as plain text, as JSON of the types that its tool's schema wants.

Several syntaxes write a call's arguments between tags, where nothing shows whether 42 is a number or a text: the schema
knows. What it does not know is JSON where it reads as JSON, and text otherwise; `mend` converts the rest.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from understudy.stages.shape import Shape

PYTHON: Final = ("python", "ipython", "code_interpreter")
"""Tools whose models may write code as it is, instead of arguments."""

_FRAME: Final = re.compile(r"\r?\n")
_KINDS: Final[dict[type, frozenset[str]]] = {
    type(None): frozenset({"null"}),
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"number"}),
    str: frozenset({"text in quotes"}),  # where a string may stand, the quotes are a part of it
    list: frozenset({"array"}),
    dict: frozenset({"object"}),
}


def quoted(text: str) -> str:
    """The text as JSON."""
    return json.dumps(text, ensure_ascii=False)


def members(given: Mapping[str, str]) -> str:
    """An object's JSON without its last brace; the values are JSON already."""
    return "{" + ", ".join(f"{quoted(key)}: {value}" for key, value in given.items())


def unframed(value: str) -> str:
    """Without the one line break on each side that is layout, not value."""
    if first := _FRAME.match(value):
        value = value[first.end() :]
    if value.endswith("\r\n"):
        return value[:-2]
    return value.removesuffix("\n")


def is_framed(value: str) -> bool:
    """Whether a line break stands on each side."""
    return value.startswith(("\n", "\r\n")) and value.endswith("\n") and bool(value.strip())


class Types:
    """What a tool's schema says of the types of its parameters.

    Args:
        schema: None for a tool that is not known by this very name: all its values are text.
    """

    def __init__(self, schema: bytes | None) -> None:
        self._known = schema is not None
        try:
            root = msgspec.json.decode(schema or b"{}")
        except (ValueError, RecursionError):
            root = {}
        self.shape = Shape(root if isinstance(root, dict) else {}, "")
        self.properties = self.shape.properties(self.shape.root)

    def knows(self, key: str) -> bool:
        """Whether the tool has such a parameter."""
        return key in self.properties

    def only_text(self) -> str | None:
        """The one parameter that code without a name may be meant for."""
        texts = [
            key
            for key, schema in self.properties.items()
            if "string" in (self.shape.kinds(schema) or frozenset())
        ]
        return texts[0] if len(texts) == 1 else None

    def written(self, key: str, value: str) -> str:
        """The value of a parameter as JSON text."""
        return self.fitted(self.properties.get(key), value)

    def fitted(self, schema: object, value: str) -> str:
        """The value as JSON text.

        A string is the text itself. Anything else is JSON, verbatim, where it is JSON.
        """
        kinds = self.shape.kinds(schema) if schema is not None else None
        found = kinds_of(value)
        as_json = bool(found) and self._known if kinds is None or "string" not in kinds else found & kinds
        return value.strip() if as_json else quoted(value)


def kinds_of(text: str) -> frozenset[str]:
    """The JSON types of the value that `text` is; none if it is not JSON."""
    try:
        return _KINDS[type(msgspec.json.decode(text))]
    except (ValueError, RecursionError):
        return frozenset()
