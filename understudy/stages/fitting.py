"""Arguments that are JSON but not what the tool asked for, bent until they fit its schema.

A walk along value and schema together. A value is touched only where the schema says it cannot stay: a type that is
not among those it admits, a property it does not have. Whether the result is right is not decided here; the caller
asks the tool's validator after every step.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from understudy.stages.likeness import folded, renamed
from understudy.stages.reading import Spelt, loads

Node: TypeAlias = dict[str, object]

PARTS: Final = 32  # schemas that speak about one value: a `$ref` chain or a heap of `allOf`
WRAPPINGS: Final = 3  # how often arguments were seen packed into each other, and one more
DIGITS: Final = 15  # more, and JavaScript reads another number

_NO: Final = object()  # this conversion does not apply
_WRAPPERS: Final = ("arguments", "parameters", "input", "args", "params", "kwargs", "tool_input", "function")
_BESIDE_WRAPPER: Final = frozenset({"name", "type", "id", "call_id", "tool", "tool_name"})
_ATOMS: Final = frozenset({"string", "integer", "number", "boolean"})


class Shape:
    """A tool's schema while one value is fitted to it, and the names of the rules that were used.

    Attributes:
        root: the decoded schema.
        tool: the tool's name.
        rules: filled by the steps, in the order of use.
    """

    def __init__(self, root: Node, tool: str) -> None:
        self.root = root
        self.tool = tool
        self.rules: list[str] = []

    def used(self, rule: str) -> None:
        """Note that a rule changed something."""
        if rule not in self.rules:
            self.rules.append(rule)

    def parts(self, schema: object) -> list[Node]:
        """The schemas that all hold for one value: itself, its `$ref`, its `allOf`, and the one branch that is not null."""
        found: list[Node] = []
        waiting = [schema]
        while waiting and len(found) < PARTS:
            part = waiting.pop()
            if isinstance(part, dict) and not any(part is other for other in found):
                found.append(part)
                waiting += self._behind(part)
        return found

    def _behind(self, part: Node) -> Iterator[object]:
        if isinstance(ref := part.get("$ref"), str):
            yield _resolve(self.root, ref)
        yield from _list(part.get("allOf"))
        for key in ("anyOf", "oneOf"):
            branches = [branch for branch in _list(part.get(key)) if _dict(branch).get("type") != "null"]
            if len(branches) == 1:
                yield branches[0]

    def properties(self, schema: object) -> Node:
        """The properties `schema` names, with their schemas."""
        merged: Node = {}
        for part in self.parts(schema):
            merged = {**_dict(part.get("properties")), **merged}
        return merged

    def required(self, schema: object) -> set[str]:
        """The properties that must be there."""
        return {
            name
            for part in self.parts(schema)
            for name in _list(part.get("required"))
            if isinstance(name, str)
        }

    def is_closed(self, schema: object) -> bool:
        """Whether a property that is not named is an error."""
        parts = self.parts(schema)
        shut = any(part.get("additionalProperties") is False for part in parts)
        return shut and not any("patternProperties" in part for part in parts)

    def kinds(self, schema: object, depth: int = 0) -> frozenset[str] | None:
        """The JSON types `schema` admits; None for all."""
        kinds: frozenset[str] | None = None
        for part in self.parts(schema):
            for told in (_declared(part), _enumerated(part), self._branched(part, depth)):
                if told is not None:
                    kinds = told if kinds is None else _common(kinds, told)
        return kinds

    def _branched(self, part: Node, depth: int) -> frozenset[str] | None:
        branches = _list(part.get("anyOf")) or _list(part.get("oneOf"))
        if not branches or depth > 2:  # noqa: PLR2004 - deeper unions say "anything"
            return None
        told = [self.kinds(branch, depth + 1) for branch in branches[:PARTS]]
        whole = [kinds for kinds in told if kinds is not None]
        return frozenset().union(*whole) if len(whole) == len(branches) else None

    def choices(self, schema: object) -> list[object]:
        """The values of the enumeration; empty if there is none."""
        for part in self.parts(schema):
            if "enum" in part:
                return _list(part["enum"])
            if "const" in part:
                return [part["const"]]
        return []

    def items(self, schema: object, index: int) -> object:
        """The schema of a list's element."""
        for part in self.parts(schema):
            prefix = _list(part.get("prefixItems"))
            if index < len(prefix):
                return prefix[index]
            if "items" in part:
                return part["items"]
        return {}


# --- the steps, in order; each takes the whole arguments ------------------------------------------------------------


def unwrap(value: object, shape: Shape) -> object:
    """Arguments inside a string, inside a list of one, or inside {"name": ..., "arguments": ...} or {"Tool": ...}."""
    known = shape.properties(shape.root)
    for _ in range(WRAPPINGS):
        inner, rule = _unwrapped(value, shape.tool, known)
        if inner is _NO:
            break
        value = inner
        shape.used(rule)
    return value


def _unwrapped(value: object, tool: str, known: Node) -> tuple[object, str]:
    if value is None:
        return {}, "null-arguments"
    if isinstance(value, str):
        inner = _parsed(value) if value.strip() else {}
        return (inner if isinstance(inner, dict | list | str) else _NO), "text-arguments"
    if isinstance(value, list):
        alone = len(value) == 1 and isinstance(value[0], dict)
        return (value[0] if alone else _NO), "list-of-one"
    return (_inside_wrapper(value, tool, known) if isinstance(value, dict) else _NO), "wrapper"


def _inside_wrapper(value: Node, tool: str, known: Node) -> object:
    """Only if nothing but the wrapper is there, the schema has no such property, and no other tool is named."""
    wrappers = [
        key for key in value if key not in known and (key in _WRAPPERS or folded(key) == folded(tool))
    ]
    rest = [key for key in value if key not in wrappers]
    if len(wrappers) != 1 or not _BESIDE_WRAPPER.issuperset(rest) or known.keys() & rest:
        return _NO
    named = value.get("name", value.get("tool_name", value.get("tool", tool)))
    if not isinstance(named, str) or folded(named) != folded(tool):
        return _NO
    inner = value[wrappers[0]]
    if inner is None or inner == "":
        return {}
    return inner if isinstance(inner, dict) else _NO if not isinstance(inner, str) else _parsed(inner)


def rename(value: object, shape: Shape) -> object:
    """Properties under nearly their names."""
    return _walk(value, shape.root, shape, _renamed_object)


def _renamed_object(value: Node, schema: object, shape: Shape) -> Node:
    known = shape.properties(schema)
    unknown = [name for name in value if name not in known]
    required = [name for name in shape.required(schema) if name not in value]
    if not unknown or not (required or shape.is_closed(schema)):
        return value
    absent = [name for name in known if name not in value] if shape.is_closed(schema) else required
    renames = renamed(unknown, absent, required)
    if renames:
        shape.used("property-name")
    return {renames.get(name, name): child for name, child in value.items()}


def convert(value: object, shape: Shape) -> object:
    """Values of nearly the type, or of nearly the spelling, that the schema names."""
    return _converted(value, shape.root, shape)


def _converted(value: object, schema: object, shape: Shape) -> object:
    value = _as_choice(_as_kind(value, schema, shape), schema, shape)
    if isinstance(value, list):
        return [_converted(child, shape.items(schema, i), shape) for i, child in enumerate(value)]
    if not isinstance(value, dict):
        return value
    known, required = shape.properties(schema), shape.required(schema)
    fitted: Node = {}
    for name, child in value.items():
        if (
            child is None
            and name in known
            and name not in required
            and not _admits(shape.kinds(known[name]), None)
        ):
            shape.used("null-dropped")
        else:
            fitted[name] = _converted(child, known.get(name, {}), shape)
    return fitted


def _as_kind(value: object, schema: object, shape: Shape) -> object:
    kinds = shape.kinds(schema)
    if kinds is None or _admits(kinds, value):
        return value
    for rule, kind, conversion in CONVERSIONS:
        if kind in kinds and (converted := conversion(value)) is not _NO:
            shape.used(rule)
            return converted
    return value


def _as_choice(value: object, schema: object, shape: Shape) -> object:
    """One of an enumeration, written with other capitals or separators."""
    if not isinstance(value, str):
        return value
    choices = shape.choices(schema)
    if not choices or value in choices:
        return value
    like = [choice for choice in choices if isinstance(choice, str) and folded(choice) == folded(value) != ""]
    if len(like) != 1:
        return value
    shape.used("choice-spelling")
    return like[0]


def prune(value: object, shape: Shape) -> object:
    """Properties that a closed schema does not have. Last: what can be renamed is not thrown away."""
    return _walk(value, shape.root, shape, _pruned_object)


def _pruned_object(value: Node, schema: object, shape: Shape) -> Node:
    if not shape.is_closed(schema):
        return value
    known = shape.properties(schema)
    kept = {name: child for name, child in value.items() if name in known}
    if len(kept) < len(value):
        shape.used("unknown-property-dropped")
    return kept


STEPS: Final[tuple[Callable[[object, Shape], object], ...]] = (unwrap, rename, convert, prune)


def _walk(
    value: object, schema: object, shape: Shape, change: Callable[[Node, object, Shape], Node]
) -> object:
    """Apply `change` to every object in `value`, the outer ones first."""
    if isinstance(value, list):
        return [_walk(child, shape.items(schema, i), shape, change) for i, child in enumerate(value)]
    if not isinstance(value, dict):
        return value
    changed = change(value, schema, shape)
    known = shape.properties(schema)
    return {name: _walk(child, known.get(name, {}), shape, change) for name, child in changed.items()}


# --- conversions: value -> value, or _NO ----------------------------------------------------------------------------

_INTEGER: Final = re.compile(rf"[+-]?\d{{1,{DIGITS}}}(?:\.0*)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?", re.ASCII)


def _text_to_integer(value: object) -> object:
    fits = isinstance(value, str) and _INTEGER.fullmatch(value.strip())
    return int(fits[0].partition(".")[0]) if fits else _NO


def _text_to_number(value: object) -> object:
    fits = isinstance(value, str) and _NUMBER.fullmatch(value.strip())
    return float(fits[0]) if fits else _NO


def _text_to_boolean(value: object) -> object:
    return (
        {"true": True, "false": False}.get(value.strip().casefold(), _NO) if isinstance(value, str) else _NO
    )


def _number_to_boolean(value: object) -> object:
    return bool(value) if type(value) is int and value in (0, 1) else _NO


def _text_to_null(value: object) -> object:
    return None if isinstance(value, str) and value.strip().casefold() in ("null", "none") else _NO


def _number_to_text(value: object) -> object:
    if isinstance(value, Spelt):
        return value.text
    return str(value) if type(value) is int else _NO


def _boolean_to_text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else _NO


def _text_to_array(value: object) -> object:
    inner = _parsed(value) if isinstance(value, str) else _NO
    return inner if isinstance(inner, list) else _NO


def _text_to_object(value: object) -> object:
    inner = _parsed(value) if isinstance(value, str) else _NO
    return inner if isinstance(inner, dict) else _NO


def _one_to_array(value: object) -> object:
    """Not a text that begins like JSON: it was to be a list, and was cut off."""
    cut_off = isinstance(value, str) and value.lstrip()[:1] in ("[", "{")
    return _NO if value is None or cut_off else [value]


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


def _parsed(text: str) -> object:
    """JSON inside a string, or _NO. Not repaired: a string that only looks like JSON is a string."""
    try:
        return loads(text, strict=False)
    except (ValueError, RecursionError):
        return _NO


# --- what a schema says, cautiously: it may be ill-formed -------------------------------------------------------------


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> Node:
    return value if isinstance(value, dict) else {}


def _declared(part: Node) -> frozenset[str] | None:
    told = part.get("type")
    if isinstance(told, str):
        return frozenset({told})
    return frozenset(kind for kind in _list(told) if isinstance(kind, str)) or None


def _enumerated(part: Node) -> frozenset[str] | None:
    if "const" in part:
        return frozenset({kind_of(part["const"])})
    return frozenset(map(kind_of, _list(part.get("enum")))) or None


def _common(ours: frozenset[str], theirs: frozenset[str]) -> frozenset[str]:
    narrowed = (
        {"integer"}
        if "integer" in (ours if "number" in theirs else theirs if "number" in ours else ())
        else set()
    )
    return ours & theirs | narrowed


def kind_of(value: object) -> str:
    """The narrowest JSON type of a Python value; 5000.0 is an integer (2020-12, 6.1.1)."""
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


def _admits(kinds: frozenset[str] | None, value: object) -> bool:
    kind = kind_of(value)
    return kinds is None or kind in kinds or (kind == "integer" and "number" in kinds)


def _resolve(root: Node, ref: str) -> object:
    """A JSON pointer into the schema itself; anything else leads nowhere, and nothing is fetched."""
    here: object = root
    for raw in ref.split("/")[1:] if ref == "#" or ref.startswith("#/") else [ref]:
        here = _dict(here).get(raw.replace("~1", "/").replace("~0", "~"))
    return here
