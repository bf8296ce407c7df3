"""The second half of a cut: a schema in plain keywords, written so that an engine reads it as it is meant.

Engines read less than the specification says (see `tastes`). What they would misread is said otherwise where that is
possible: neighbours of `anyOf` move into its branches, a schema without a type says what else it admits, a name that is
required is named. What cannot be said goes, and is noted. As before, the result only ever widens.

The root is an object: it is what a call is given, and what a format asks for.
"""

import math
from typing import Final, cast

import msgspec

from understudy.request.joining import copied, join
from understudy.request.keywords import (
    EVERY_TYPE,
    OF_TYPE,
    WORDS,
    Lose,
    Node,
    constrains,
    fits,
    is_number,
    kind_of,
    kinds,
    overlap,
    pointer,
    tell,
)
from understudy.request.tastes import GrammarTaste

SPREAD: Final = 64 * 1024  # bytes that the neighbours of all `anyOf` may come to inside the branches
_BOUNDS: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_EMPTY_RANGE: Final = "nothing lies between the two"


def shaped(root: Node, taste: GrammarTaste, lose: Lose) -> Node:
    """The document as the engine reads it. `root` stays as it is."""
    shaper = _Shaper(taste, lose)
    found = root.get("$defs")
    definitions: Node = found if isinstance(found, dict) else {}
    out = shaper.node({key: value for key, value in root.items() if key != "$defs"}, "")
    kept: Node = {}
    while waiting := [name for name in definitions if name in shaper.reached and name not in kept]:
        for name in waiting:
            kept[name] = shaper.node(cast("Node", definitions[name]), f"/$defs/{name}")
    if kept:
        out["$defs"] = {name: kept[name] for name in definitions if name in kept}
    return out


class _Shaper:
    def __init__(self, taste: GrammarTaste, lose: Lose) -> None:
        self.taste = taste
        self.lose = lose
        self.reached: set[str] = set()  # definitions that something still refers to
        self._left = SPREAD

    def node(self, node: Node, path: str) -> Node:
        """One schema; the root has the empty path."""
        if "$ref" in node:
            self.reached.add(str(node["$ref"]).rpartition("/")[2])
            return node
        out = dict(node)
        self._union(out, path)
        if not path and not out.keys() & {"type", "anyOf", "enum", "const"}:
            out["type"] = "object"
        if self.taste.implies and not out.keys() & {"type", "anyOf", "enum", "const"}:
            _split_by_type(out)
        if isinstance(branches := out.get("anyOf"), list):
            out["anyOf"] = [self.node(branch, pointer(path, "anyOf", i)) for i, branch in enumerate(branches)]
        self._values(out, path)
        self._numbers(out, path)
        self._string(out, path)
        self._array(out, path)
        self._object(out, path)
        if self.taste.spells_any and not constrains(out):
            out["type"] = list(EVERY_TYPE)
        return out

    def _drop(self, out: Node, path: str, keyword: str, why: str) -> None:
        self.lose(path, keyword, why)
        value = out.pop(keyword)
        if self.taste.words:
            tell(out, keyword, value)

    # --- anyOf ---

    def _union(self, out: Node, path: str) -> None:
        """Neighbours of `anyOf` move into its branches, if the engine would not read them."""
        near = {key: value for key, value in out.items() if key not in WORDS and key != "anyOf"}
        branches = out.get("anyOf")
        if not near or not isinstance(branches, list) or (self.taste.neighbours and not _refers(out)):
            return
        possible = [branch for branch in branches if overlap(kinds(near), kinds(branch))]
        self._left -= len(msgspec.json.encode(near)) * len(possible)
        if not possible or self._left < 0 or (not path and "properties" in near):
            # chat templates look for the properties of a tool at the root
            self.lose(path, "anyOf", "no grammar holds it beside other keywords here")
            del out["anyOf"]
            if "properties" in out:
                out.setdefault("additionalProperties", True)
            return
        for key in near:
            del out[key]
        joined = [self._joined(near, branch, pointer(path, "anyOf", i)) for i, branch in enumerate(possible)]
        out["anyOf"] = [branch for i, branch in enumerate(joined) if branch not in joined[:i]]

    def _joined(self, near: Node, branch: Node, path: str) -> Node:
        both = copied(near)
        join(both, branch, path, self.lose)
        return both

    # --- values, numbers, strings ---

    def _values(self, out: Node, path: str) -> None:
        """Values of another type than the one declared are impossible, and an engine may call that an error."""
        declared = out.get("type")
        if declared is None:
            return
        among = cast("list[str]", declared) if isinstance(declared, list) else [cast("str", declared)]
        if "const" in out and not fits(kind_of(out["const"]), among):
            self._drop(out, path, "const", "the value is not of the type")
        if isinstance(values := out.get("enum"), list):
            possible = [value for value in values if fits(kind_of(value), among)]
            if not possible:
                self._drop(out, path, "enum", "none of the values is of the type")
            elif len(possible) < len(values):
                out["enum"] = possible

    def _numbers(self, out: Node, path: str) -> None:
        bounds = [key for key in _BOUNDS if key in out]
        if not bounds:
            return
        admitted = kinds(out) or {"number"}
        whole = "number" not in admitted
        if ("integer" if whole else "number") not in self.taste.ranges:
            for key in bounds:
                self._drop(out, path, key, "the grammar has bounds for whole numbers only, or for none")
            return
        if whole:
            _round_inwards(out)
        else:
            self._round_outwards(out, path)
        if _is_empty(out, whole=whole):
            for key in [key for key in _BOUNDS if key in out]:
                self._drop(out, path, key, _EMPTY_RANGE)

    def _round_outwards(self, out: Node, path: str) -> None:
        for key in _BOUNDS:
            value = out.get(key)
            if not is_number(value) or value == int(value):
                continue
            self._drop(
                out, path, key, "the grammar misreads fractional bounds: the next whole number stands in"
            )
            low = key in ("minimum", "exclusiveMinimum")
            plain = "minimum" if low else "maximum"
            rounded = math.floor(value) if low else math.ceil(value)
            near = out.get(plain)
            if not is_number(near) or (near < rounded if low else near > rounded):
                out[plain] = rounded

    def _string(self, out: Node, path: str) -> None:
        for key in ("minLength", "maxLength"):
            if key in out and "pattern" in out and self.taste.pattern == "text":
                self._drop(out, path, key, "the grammar has room for a pattern or a length, not both")
        self._counts(out, path, "minLength", "maxLength")

    def _counts(self, out: Node, path: str, least: str, most: str) -> None:
        low, high = out.get(least), out.get(most)
        if is_number(low) and is_number(high) and low > high:
            self._drop(out, path, least, _EMPTY_RANGE)
            self._drop(out, path, most, _EMPTY_RANGE)

    # --- arrays ---

    def _array(self, out: Node, path: str) -> None:
        _within_most(out)
        self._tuple(out, path)
        self._counts(out, path, "minItems", "maxItems")
        prefix = out.get("prefixItems")
        if isinstance(prefix, list):
            if out.get("items") is False and cast("int", out.get("minItems", 0)) > len(prefix):
                self._drop(out, path, "minItems", "there are not so many elements")
            out["prefixItems"] = [
                self.node(each, pointer(path, "prefixItems", i)) for i, each in enumerate(prefix)
            ]
            if self.taste.tuples == "open" and self.taste.closes:
                out.setdefault("items", {})
        elif self.taste.implies and isinstance(out.get("items"), bool):
            _without_boolean(out)
        elif self.taste.implies and out.keys() & {"minItems", "maxItems"}:
            out.setdefault("items", {})
        if isinstance(each := out.get("items"), dict):
            out["items"] = self.node(each, f"{path}/items")

    def _tuple(self, out: Node, path: str) -> None:
        prefix = out.get("prefixItems")
        if not isinstance(prefix, list) or self.taste.tuples == "open":
            return
        length, least, most = len(prefix), out.get("minItems", 0), out.get("maxItems", math.inf)
        closed = out.get("items") is False or (is_number(most) and most <= length)
        if self.taste.tuples == "exact" and closed and least == length:
            out.pop("items", None)
            out["maxItems"] = length
            return
        self.lose(
            path, "prefixItems", "the grammar has no list whose elements differ, unless its length is fixed"
        )
        rest = out.pop("items", True)
        del out["prefixItems"]
        if rest is False:
            out["maxItems"] = min(length, cast("int", most))
        if closed or isinstance(rest, dict):
            branches = [*prefix, *([rest] if isinstance(rest, dict) and not closed else [])]
            out["items"] = {"anyOf": [each for i, each in enumerate(branches) if each not in branches[:i]]}

    # --- objects ---

    def _object(self, out: Node, path: str) -> None:
        if self.taste.closes:
            self._name_required(out, path)
        properties, others = out.get("properties"), out.get("additionalProperties")
        if isinstance(properties, dict):
            if self.taste.awkward and others not in (None, False) and _any_in(self.taste.awkward, properties):
                self.lose(
                    path, "properties", "the grammar cannot tell other names from one with such a character"
                )
                for key in ("properties", "additionalProperties", "required"):
                    out.pop(key, None)
                return
            out["properties"] = {
                name: self.node(child, pointer(path, "properties", name))
                for name, child in properties.items()
            }
        if isinstance(others, dict):
            made = self.node(others, f"{path}/additionalProperties")
            out["additionalProperties"] = made if constrains(others) else True

    def _name_required(self, out: Node, path: str) -> None:
        """Engines require only what is named."""
        required, known = out.get("required"), out.get("properties")
        if not isinstance(required, list):
            return
        named = known if isinstance(known, dict) else {}
        others = out.get("additionalProperties", True)
        missing = [name for name in required if name not in named]
        if not missing:
            return
        if others is False:
            self.lose(path, "required", "a name that no property may have")
            out["required"] = [name for name in required if name in named]
            return
        value = others if isinstance(others, dict) else {}
        out["properties"] = {**named, **dict.fromkeys(missing, value)}
        if not isinstance(known, dict):
            out.setdefault("additionalProperties", True)


def _refers(node: Node) -> bool:
    """Whether a recursive reference stands anywhere in it: nobody intersects those."""
    return b'"$ref"' in msgspec.json.encode(node)


def _split_by_type(out: Node) -> None:
    """Keywords that imply a type, without the type: a branch for each, and one for every other type."""
    spoken = [kind for kind, keys in OF_TYPE.items() if out.keys() & keys]
    if not spoken:
        return
    branches: list[Node] = [
        {"type": kind, **{key: out.pop(key) for key in list(out) if key in OF_TYPE[kind]}} for kind in spoken
    ]
    branches.append({"type": [kind for kind in EVERY_TYPE if kind not in spoken]})
    out["anyOf"] = branches


def _without_boolean(out: Node) -> None:
    """`items: true` is any list, `items: false` the empty one."""
    if out["items"] is False:
        out["maxItems"] = 0
        out.pop("minItems", None)
    out["items"] = {}


def _within_most(out: Node) -> None:
    """No longer a prefix than the list may be."""
    prefix, most = out.get("prefixItems"), out.get("maxItems")
    if isinstance(prefix, list) and is_number(most) and most < len(prefix):
        out["prefixItems"] = prefix[: int(most)]
        if not out["prefixItems"]:
            del out["prefixItems"]
            out["items"] = False


def _round_inwards(out: Node) -> None:
    """The bounds of a whole number, as whole numbers, one on each side."""
    for plain, exclusive, rounded, sign in (
        ("minimum", "exclusiveMinimum", math.ceil, 1),
        ("maximum", "exclusiveMaximum", math.floor, -1),
    ):
        inner, outer = out.get(plain), out.get(exclusive)
        if is_number(inner) and inner != int(inner):
            out[plain] = rounded(inner)
        if is_number(outer) and (outer != int(outer) or is_number(inner)):
            reached = int(outer) + sign if outer == int(outer) else rounded(outer)
            near = out.get(plain)
            out[plain] = max(near * sign, reached * sign) * sign if is_number(near) else reached
            del out[exclusive]


def _is_empty(out: Node, *, whole: bool) -> bool:
    """Whether no number lies within the bounds."""
    low, high = _edge(out, "minimum", "exclusiveMinimum", 1), _edge(out, "maximum", "exclusiveMaximum", -1)
    if low is None or high is None:
        return False
    bottom, top = low[0], -high[0]
    if whole:
        return bottom + low[1] > top - high[1]
    return bottom > top or (bottom == top and (low[1] or high[1]))


def _edge(out: Node, plain: str, exclusive: str, sign: int) -> tuple[float, bool] | None:
    """The innermost bound on one side, and whether it is itself outside."""
    bounds = ((plain, False), (exclusive, True))
    return max(
        ((value * sign, strict) for key, strict in bounds if is_number(value := out.get(key))), default=None
    )


def _any_in(awkward: str, names: Node) -> bool:
    return any(char in name for name in names for char in awkward)
