"""Arguments that are JSON but not what the tool asked for, bent until they fit its schema.

A walk along value and schema together. A value is touched only where the schema says it cannot stay: a type that is
not among those it admits, a property it does not have. Whether the result is right is not decided here; the caller
asks the tool's validator after every step.
"""

import re
from collections.abc import Callable
from typing import Final

from understudy.stages.conversions import CONVERSIONS, NO
from understudy.stages.likeness import folded, renamed
from understudy.stages.packing import unwrap
from understudy.stages.shape import Node, Shape, admits

# --- the steps, in order; each takes the whole arguments ------------------------------------------------------------


def rename(value: object, shape: Shape) -> object:
    """Properties under nearly their names."""
    return _walk(value, shape.root, shape, _renamed_object)


def _renamed_object(value: Node, schema: object, shape: Shape) -> Node:
    known = shape.properties(schema)
    unknown = [name for name in value if name not in known]
    empty = {
        name for name in value if name in known and value[name] in (None, "")
    }  # beside it: what was meant for it
    absent = [name for name in known if name not in value or name in empty]
    required = [name for name in shape.required(schema) if name not in value or name in empty]
    if not unknown or not (required or shape.is_closed(schema)):
        return value
    renames = renamed(unknown, absent if shape.is_closed(schema) else required, required)
    if not renames:
        return value
    shape.used("property-name")
    meant = set(renames.values())
    return {renames.get(name, name): child for name, child in value.items() if name not in meant}


def convert(value: object, shape: Shape) -> object:
    """Values of nearly the type, or of nearly the spelling, that the schema names."""
    return _converted(value, shape.root, shape)


def _converted(value: object, schema: object, shape: Shape) -> object:
    value = _as_choice(_as_kind(value, schema, shape), schema, shape)
    schema = shape.narrowed(schema, value)
    if isinstance(value, list):
        return [_converted(child, shape.items(schema, i), shape) for i, child in enumerate(value)]
    if not isinstance(value, dict):
        return value
    known, required = shape.properties(schema), shape.required(schema)
    fitted: Node = {}
    for name, child in value.items():
        if name in known and name not in required and _is_nothing(child, shape.kinds(known[name])):
            shape.used("null-dropped")
        else:
            fitted[name] = _converted(child, known.get(name, {}), shape)
    return fitted


def _is_nothing(value: object, kinds: frozenset[str] | None) -> bool:
    """Whether a value says that there is none, where the schema has no such value."""
    if kinds is None or admits(kinds, value):
        return False
    return value is None or (
        isinstance(value, str) and value.strip().casefold() in _NOTHING and "null" not in kinds
    )


_NOTHING: Final = frozenset({"", "null", "none", "undefined"})


def _as_kind(value: object, schema: object, shape: Shape) -> object:
    kinds = shape.kinds(schema)
    if kinds is None or admits(kinds, value):
        return value
    for rule, inner in (
        ("list-of-one-value", _only_element(value)),
        ("filled-in-schema", _told_value(value, kinds)),
    ):
        if inner is not NO:
            shape.used(rule)
            return _as_kind(inner, schema, shape)
    for rule, kind, conversion in CONVERSIONS:
        if kind in kinds and (converted := conversion(value)) is not NO:
            shape.used(rule)
            return converted
    return _as_only_member(value, schema, shape) if kinds == frozenset({"object"}) else value


def _only_element(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else NO


def _told_value(value: object, kinds: frozenset[str]) -> object:
    """For "ls", {"type": "string", "value": "ls"}: the schema of a property, filled in."""
    told = isinstance(value, dict) and "object" not in kinds and "value" in value
    return value["value"] if isinstance(value, dict) and told and _ABOUT_A_VALUE.issuperset(value) else NO


_ABOUT_A_VALUE: Final = frozenset({"value", "type", "title", "description"})


def _as_only_member(value: object, schema: object, shape: Shape) -> object:
    """For {"label": "A"}, the text alone, where an object needs nothing else."""
    required, known = shape.required(schema), shape.properties(schema)
    if not isinstance(value, str) or value.lstrip()[:1] in ("", "[", "{") or len(required) != 1:
        return value
    (name,) = required
    if shape.kinds(known.get(name)) != frozenset({"string"}):
        return value
    shape.used("only-member")
    return {name: value}


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
    kept = {name: child for name, child in value.items() if name in known or not _NAME.fullmatch(name)}
    if len(kept) < len(value):
        shape.used("unknown-property-dropped")
    return kept


_NAME: Final = re.compile(
    r"[\w$@-][\w$@ .:/-]{0,63}"
)  # what is none may be a piece of a text with quotes in it


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
