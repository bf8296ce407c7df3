"""JSON Schema's keywords: which type each speaks of, what its value looks like, and what is lost when one must go."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias, TypeGuard
from urllib.parse import unquote

from msgspec import Struct

Node: TypeAlias = dict[str, object]

NAME: Final = 80  # characters of a property's name in a pointer: a name of a megabyte is not worth repeating
TOLD: Final = 120  # characters of a dropped value that a description repeats

EVERY_TYPE: Final = ("object", "array", "string", "number", "boolean", "null")
TYPES: Final = frozenset((*EVERY_TYPE, "integer"))
OF_TYPE: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "additionalProperties", "required"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"pattern", "minLength", "maxLength"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}
WORDS: Final = frozenset({"title", "description", "default", "examples"})
"""What a model reads and no grammar does."""


class Loss(Struct, frozen=True):
    """Something a cut schema no longer says.

    Attributes:
        where: JSON pointer to the schema that said it; steps through `$ref` and `allOf` are part of it.
        what: the keyword; empty for the whole schema.
        why: in words.
    """

    where: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.where or '/'}: {self.what or 'the schema'}: {self.why}"


Lose: TypeAlias = Callable[[str, str, str], None]
"""Notes a loss: where, what, why."""


def constrains(node: Node) -> bool:
    """Whether it says more than words."""
    return not node.keys() <= WORDS


def tell(node: Node, keyword: str, value: object) -> None:
    """Put what the grammar cannot hold into the description: the model can still obey it."""
    shown = f"({keyword}: {str(value).lower() if isinstance(value, bool) else value})"
    if isinstance(value, str | int | float) and len(shown) <= TOLD:
        node["description"] = f"{node['description']} {shown}" if node.get("description") else shown


def kinds(node: Node) -> frozenset[str] | None:
    """The types it admits, as far as `type`, `enum` and `const` tell; None for all."""
    told = node.get("type")
    declared = frozenset([told] if isinstance(told, str) else told) if isinstance(told, str | list) else None
    listed = frozenset(map(kind_of, values)) if (values := finite(node)) is not None else None
    if declared is None or listed is None:
        return declared if listed is None else listed
    return frozenset(kind for kind in listed if fits(kind, declared))


def fits(kind: str, among: Iterable[str]) -> bool:
    """Whether a value of this type is of one of those; an integer is a number."""
    return kind in among or (kind == "integer" and "number" in among)


def overlap(ours: frozenset[str] | None, theirs: frozenset[str] | None) -> bool:
    """Whether a value can be of both."""
    if ours is None or theirs is None:
        return True
    return any(fits(kind, theirs) for kind in ours) or any(fits(kind, ours) for kind in theirs)


def finite(node: Node) -> list[object] | None:
    """The values of `const` or `enum`; None where neither stands."""
    if "const" in node:
        return [node["const"]]
    listed = node.get("enum")
    return listed if isinstance(listed, list) else None


def kind_of(value: object) -> str:
    """The JSON type of a value; 5.0 is an integer (2020-12, 6.1.1)."""
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return _KINDS[type(value)]


_KINDS: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    str: "string",
    list: "array",
    dict: "object",
}


def same_value(ours: object, theirs: object) -> bool:
    """Equal as JSON: 1 is 1.0, and true is not 1."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same_value, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same_value(ours[key], theirs[key]) for key in ours)
    return ours == theirs


def is_number(value: object) -> TypeGuard[int | float]:
    """A finite JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_types(value: object) -> bool:
    """One type, or a list of them."""
    listed = value if isinstance(value, list) else [value]
    return bool(listed) and all(isinstance(kind, str) and kind in TYPES for kind in listed)


def is_names(value: object) -> TypeGuard[list[str]]:
    """A list of strings."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def pointer(path: str, *steps: object) -> str:
    """`path`, some steps further."""
    return path + "".join(f"/{str(step)[:NAME].replace('~', '~0').replace('/', '~1')}" for step in steps)


def resolve(root: Node, ref: object) -> object:
    """What a JSON pointer in a fragment names (RFC 6901); None for anything else: nothing is ever fetched."""
    if ref == "#":
        return root
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return None
    here: object = root
    for raw in unquote(ref[2:]).split("/"):
        step = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict):
            here = here.get(step)
        elif (
            isinstance(here, list)
            and step.isdecimal()
            and step.isascii()
            and len(step) <= len(str(len(here)))
        ):
            here = here[int(step)] if int(step) < len(here) else None
        else:
            return None
    return here
