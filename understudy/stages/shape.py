"""What a tool's schema says about a value, cautiously: it may be ill-formed."""

from collections.abc import Iterator
from typing import Final, TypeAlias

Node: TypeAlias = dict[str, object]

PARTS: Final = 32  # schemas that speak about one value: a `$ref` chain or a heap of `allOf`


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
        yield from list_of(part.get("allOf"))
        for key in ("anyOf", "oneOf"):
            branches = [branch for branch in list_of(part.get(key)) if dict_of(branch).get("type") != "null"]
            if len(branches) == 1:
                yield branches[0]

    def properties(self, schema: object) -> Node:
        """The properties `schema` names, with their schemas."""
        merged: Node = {}
        for part in self.parts(schema):
            merged = {**dict_of(part.get("properties")), **merged}
        return merged

    def required(self, schema: object) -> set[str]:
        """The properties that must be there."""
        return {
            name
            for part in self.parts(schema)
            for name in list_of(part.get("required"))
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
        branches = list_of(part.get("anyOf")) or list_of(part.get("oneOf"))
        if not branches or depth > 2:  # noqa: PLR2004 - deeper unions say "anything"
            return None
        told = [self.kinds(branch, depth + 1) for branch in branches[:PARTS]]
        whole = [kinds for kinds in told if kinds is not None]
        return frozenset().union(*whole) if len(whole) == len(branches) else None

    def narrowed(self, schema: object, value: object) -> object:
        """The one branch of a union that admits the value's type; `schema` itself where there is none, or more."""
        for key in ("anyOf", "oneOf"):
            branches = list_of(dict_of(schema).get(key))
            like = [branch for branch in branches[:PARTS] if admits(self.kinds(branch), value)]
            if len(like) == 1:
                return like[0]
        return schema

    def choices(self, schema: object) -> list[object]:
        """The values of the enumeration; empty if there is none."""
        for part in self.parts(schema):
            if "enum" in part:
                return list_of(part["enum"])
            if "const" in part:
                return [part["const"]]
        return []

    def items(self, schema: object, index: int) -> object:
        """The schema of a list's element."""
        for part in self.parts(schema):
            prefix = list_of(part.get("prefixItems"))
            if index < len(prefix):
                return prefix[index]
            if "items" in part:
                return part["items"]
        return {}


def list_of(value: object) -> list[object]:
    """A list as it is; an empty one for anything else."""
    return value if isinstance(value, list) else []


def dict_of(value: object) -> Node:
    """An object as it is; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _declared(part: Node) -> frozenset[str] | None:
    told = part.get("type")
    if isinstance(told, str):
        return frozenset({told})
    return frozenset(kind for kind in list_of(told) if isinstance(kind, str)) or None


def _enumerated(part: Node) -> frozenset[str] | None:
    if "const" in part:
        return frozenset({kind_of(part["const"])})
    return frozenset(map(kind_of, list_of(part.get("enum")))) or None


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


def admits(kinds: frozenset[str] | None, value: object) -> bool:
    """Whether one of these types, or any if there are none, is the value's."""
    kind = kind_of(value)
    return kinds is None or kind in kinds or (kind == "integer" and "number" in kinds)


def _resolve(root: Node, ref: str) -> object:
    """A JSON pointer into the schema itself; anything else leads nowhere, and nothing is fetched."""
    here: object = root
    for raw in ref.split("/")[1:] if ref == "#" or ref.startswith("#/") else [ref]:
        here = dict_of(here).get(raw.replace("~1", "/").replace("~0", "~"))
    return here
