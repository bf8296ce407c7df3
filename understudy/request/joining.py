"""Two schemas that both hold, said as one: what `allOf`, the neighbours of `$ref` and those of `anyOf` come to.

Where one schema cannot say what both say, it says less, and the loss is noted. Halves of a pair whose meaning depends on
each other (`properties` and `additionalProperties`, `prefixItems` and `items`) never mix in a way that forbids more.
"""

from collections.abc import Callable, Mapping
from typing import Final, cast

from understudy.request.keywords import (
    WORDS,
    Lose,
    Node,
    constrains,
    finite,
    fits,
    is_number,
    kinds,
    overlap,
    pointer,
    same_value,
)

MANY: Final = 10_000  # comparisons of enumerated values: two enumerations of a thousand are not intersected
_POSITIONS: Final = frozenset({"items", "prefixItems"})
_DROP: Final = object()


def join(out: Node, other: Node, path: str, lose: Lose) -> None:
    """Make `out` say what both say; where that cannot be said in one schema, say less and note it.

    Args:
        out: changed in place.
        other: stays as it is; parts of it become parts of `out`.
        path: where `other` stands.
        lose: notes what is lost.
    """
    if "$ref" in out or "$ref" in other:
        _join_reference(out, other, path, lose)
        return
    if _left_over(out, other) or _left_over(other, out):
        lose(path, "additionalProperties", "it speaks of the names that the other schema leaves over")
    if _POSITIONS & out.keys() and _POSITIONS & other.keys():
        # `items` means "after the prefix": halves of two pairs do not mix
        if any(out.get(key, _DROP) != other.get(key, _DROP) for key in _POSITIONS):
            lose(path, "items", "two schemas for the same elements")
        other = {key: value for key, value in other.items() if key not in _POSITIONS}
    for key, value in other.items():
        if key not in out:
            out[key] = value
        elif key == "properties":
            _join_properties(cast("dict[str, Node]", out[key]), cast("dict[str, Node]", value), path, lose)
        elif not same_value(out[key], value):
            _join_keyword(out, key, value, path, lose)


def apart(ours: Node, theirs: Node) -> bool:
    """Whether no value can be of both, as far as a glance tells: other types, or a telling property."""
    if not overlap(kinds(ours), kinds(theirs)) or _differ(ours, theirs):
        return True
    if kinds(ours) != frozenset({"object"}) or kinds(theirs) != frozenset({"object"}):
        return False
    mine, yours = _required_properties(ours), _required_properties(theirs)
    return any(_differ(schema, yours[name]) for name, schema in mine.items() if name in yours)


def copied(node: Node) -> Node:
    """A copy whose properties can be joined with others without changing the original."""
    out = dict(node)
    if isinstance(properties := node.get("properties"), dict):
        out["properties"] = {
            name: copied(child) if isinstance(child, dict) else child for name, child in properties.items()
        }
    return out


def _join_reference(out: Node, other: Node, path: str, lose: Lose) -> None:
    """A recursive `$ref` stands alone: engines ignore its neighbours. The plain constraints are the surer half."""
    if not constrains(other):
        out.update({key: value for key, value in other.items() if key not in out})
    elif not constrains(out):
        out.update({**other, **out})
    elif not same_value(out.get("$ref"), other.get("$ref")) or len(out.keys() - WORDS) > 1:
        lose(path, "$ref", "it leads back to where it stands, and has neighbours")
        kept = other if "$ref" in out else {}
        out.pop("$ref", None)
        out.update({key: value for key, value in kept.items() if key not in out and key != "$ref"})


def _join_keyword(out: Node, key: str, value: object, path: str, lose: Lose) -> None:
    joined = _JOINS[key](out[key], value) if key in _JOINS else _DROP
    if joined is not _DROP:
        out[key] = joined
    elif key not in WORDS:
        lose(path, key, "two of them hold, and one schema has room for one")


def _join_properties(ours: dict[str, Node], theirs: dict[str, Node], path: str, lose: Lose) -> None:
    for name, schema in theirs.items():
        if name in ours:
            ours[name] = copied(ours[name])
            join(ours[name], schema, pointer(path, "properties", name), lose)
        else:
            ours[name] = schema


def _left_over(strict: Node, other: Node) -> bool:
    """Whether `other` names properties that `strict` would have judged by its `additionalProperties`."""
    if strict.get("additionalProperties", True) in (True, {}):
        return False
    named, known = other.get("properties"), strict.get("properties", {})
    return isinstance(named, dict) and isinstance(known, dict) and not named.keys() <= known.keys()


def _required_properties(node: Node) -> Mapping[str, Node]:
    named, required = node.get("properties"), node.get("required")
    if not isinstance(named, dict) or not isinstance(required, list):
        return {}
    return {name: named[name] for name in required if isinstance(named.get(name), dict)}


def _differ(ours: Node, theirs: Node) -> bool:
    """Whether both list their values, and share none."""
    mine, yours = finite(ours), finite(theirs)
    if mine is None or yours is None or len(mine) * len(yours) > MANY:
        return False
    return not any(same_value(one, other) for one in mine for other in yours)


def _both_types(ours: object, theirs: object) -> object:
    """The types both admit; an integer is a number."""
    left, right = (cast("list[str]", told if isinstance(told, list) else [told]) for told in (ours, theirs))
    kept = [kind for kind in left if fits(kind, right)]
    kept += [kind for kind in right if kind not in kept and fits(kind, left)]
    if not kept:
        return _DROP
    return kept[0] if len(kept) == 1 else kept


def _both_values(ours: object, theirs: object) -> object:
    left, right = cast("list[object]", ours), cast("list[object]", theirs)
    if len(left) * len(right) > MANY:
        return _DROP
    return [value for value in left if any(same_value(value, other) for other in right)] or _DROP


def _both_required(ours: object, theirs: object) -> object:
    return list(dict.fromkeys([*cast("list[str]", ours), *cast("list[str]", theirs)]))


def _larger(ours: object, theirs: object) -> object:
    return max(ours, theirs) if is_number(ours) and is_number(theirs) else _DROP


def _smaller(ours: object, theirs: object) -> object:
    return min(ours, theirs) if is_number(ours) and is_number(theirs) else _DROP


_JOINS: Final[dict[str, Callable[[object, object], object]]] = {
    "type": _both_types,
    "enum": _both_values,
    "required": _both_required,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), _larger),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), _smaller),
}
