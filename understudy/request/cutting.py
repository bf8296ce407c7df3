"""The first half of a cut: a schema in plain keywords, without references and without what no grammar holds.

What is kept means what it meant in the original, by the specification alone; how an engine reads it is the business of
`shaping`. One law governs: **it only ever widens**. Hence the places where dropping is not harmless:

- `additionalProperties` speaks of the names that `properties` and `patternProperties` leave over; where the latter goes,
  anything may follow. The same holds for `items` after `prefixItems`.
- `not`, `if`, `contains`, `unevaluated...` turn a wider part into a narrower whole. They go entirely.
- `oneOf` becomes `anyOf`: exactly one of wider branches would be narrower.
- A keyword that may have named properties (`if`, a branch, a reference) takes the engine's right to close the object
  with it.

Some of what no grammar holds can be said in what it does hold, and is: `allOf`, the neighbours of `$ref`, lists under
`items` of older drafts, `propertyNames` with an enumeration (a record of zod).

References are inlined. One that leads back to where it stands stays a `$ref` into `$defs`, if the engine takes that.
The document is then cut once more with the knowledge which targets are such; at most RUNS times.

Drafts: 2020-12 unless `$schema` names another; up to draft-07 the neighbours of `$ref` are ignored, as they must be.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from understudy.request.joining import apart, join
from understudy.request.keywords import (
    TYPES,
    WORDS,
    Loss,
    Node,
    constrains,
    finite,
    is_names,
    is_number,
    is_types,
    pointer,
    resolve,
    tell,
)
from understudy.request.patterns import Untranslatable, translate
from understudy.request.references import References, Way
from understudy.request.tastes import GrammarTaste

DEPTH: Final = 48  # schemas inside each other; real tools stay below 12, and every level costs Python frames
RUNS: Final = 4
LARGEST_BOUND: Final = (
    10**15 - 1
)  # beyond it llama.cpp's digits run out, and JavaScript clients disagree about integers
UNROLLED: Final = 1_000  # characters a pattern's repetitions may come to: llama.cpp refuses 2,000 rules

_DROP: Final = object()
_UNHELD: Final = "no grammar holds it"
_MISREAD_COUNT: Final = "the grammar misreads it: a string of limited length could hold no quote"
_ILL_FORMED: Final = "its value is not what the specification asks for"
_MAY_NAME_PROPERTIES: Final = frozenset(
    {"$dynamicRef", "$recursiveRef", "if", "then", "else", "dependencies", "dependentSchemas"}
)
_UNKEPT: Final = _MAY_NAME_PROPERTIES | {
    "not",
    "contains",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "patternProperties",
    "dependentRequired",
    "unevaluatedItems",
    "unevaluatedProperties",
    "format",
}


def plain(root: Node, taste: GrammarTaste, *, nested_ids: bool) -> tuple[Node, list[Loss]]:
    """The document in plain keywords, and what was lost.

    Args:
        root: the document.
        taste: what the engine takes.
        nested_ids: there are `$id`s below the root: references start elsewhere there, and none is followed.
    """
    recursive: frozenset[int] = frozenset()
    left = RUNS
    while True:
        knife = _Knife(root, taste, recursive, nested_ids=nested_ids)
        node = knife.document()
        left -= 1
        if not left or not taste.recursion or knife.references.met <= recursive:
            return node, knife.losses
        recursive |= knife.references.met


class _Knife:
    """One run: the document, what was lost, and how much work is left.

    Attributes:
        losses: in the order of the document.
        references: where they lead.
    """

    def __init__(
        self, root: Node, taste: GrammarTaste, recursive: frozenset[int], *, nested_ids: bool
    ) -> None:
        named = root.get("$schema")
        draft = named if isinstance(named, str) else "2020-12"
        self.root = root
        self.taste = taste
        self.losses: list[Loss] = []
        self.ref_alone = "draft-0" in draft  # up to draft-07 `$ref` hides its neighbours
        self.has_const = "draft-04" not in draft and "draft-03" not in draft
        self.has_tuples = "2020-12" in draft
        self.references = References(
            root, recursive, followed=not nested_ids, shared_names=taste.shared_names
        )

    def document(self) -> Node:
        """The root, with the definitions that are still referred to."""
        out = self.node(self.root, "", 0)
        definitions: Node = {}
        while self.references.waiting:
            target, name = self.references.waiting.pop(0)
            self.references.define(target)
            definitions[name] = self.node(target, f"/$defs/{name}", 1)
        if definitions:
            out["$defs"] = definitions
        return out

    def lose(self, where: str, what: str, why: str) -> None:
        """Note a loss."""
        self.losses.append(Loss(where, what, why))

    def drop(self, at: "_Place", why: str = _UNHELD) -> object:
        """A keyword goes."""
        self.lose(at.path, at.key, why)
        return _DROP

    def node(self, schema: object, path: str, depth: int) -> Node:
        """One schema, cut. A dict of its own, which the caller may change."""
        if schema is True:
            return {}
        if not isinstance(schema, dict) or depth > DEPTH:
            why = "it admits nothing" if schema is False else "it is no schema, or nested too deeply"
            self.lose(path, "", why)
            return {}
        if self.ref_alone and "$ref" in schema:
            return self._target(schema, path, depth, alone=True)
        out = self._keywords(schema, path, depth)
        if "$ref" in schema:
            alone = not constrains(out) and "allOf" not in schema
            join(out, self._target(schema, path, depth, alone=alone), f"{path}/$ref", self.lose)
        return self._all_of(out, schema, path, depth)

    def part(self, schema: object, path: str, depth: int) -> Node:
        """The schema of a part of the value."""
        with self.references.inside():
            return self.node(schema, path, depth + 1)

    def _keywords(self, schema: Node, path: str, depth: int) -> Node:
        out: Node = {}
        told: list[str] = []
        schema = schema if self.has_tuples else _with_tuples(schema)
        for key in schema:
            before = len(self.losses)
            kept = _RULES[key](self, schema, _Place(key, path, depth)) if key in _RULES else _DROP
            if kept is not _DROP:
                out[key] = kept
            elif len(self.losses) > before and self.losses[-1].what == key:
                told.append(key)
        self._one_of(out, schema, path, depth)
        self._objects(out, schema, path, depth)
        for key in told if self.taste.words else ():
            tell(out, key, schema[key])
        return out

    def _one_of(self, out: Node, schema: Node, path: str, depth: int) -> None:
        if "oneOf" not in schema:
            return
        at = _Place("oneOf", path, depth)
        kept = self.branches(schema["oneOf"], at)
        if not kept or "anyOf" in out:
            self.drop(at, _ILL_FORMED if not kept else "no grammar holds it beside `anyOf`")
            return
        out["anyOf"] = kept
        told_apart = len(kept) < 64 and all(apart(one, two) for i, one in enumerate(kept) for two in kept[:i])  # noqa: PLR2004
        if not told_apart:
            self.drop(at, "it became anyOf: no grammar counts to exactly one")

    def branches(self, value: object, at: "_Place") -> list[Node]:
        """The branches of an `anyOf`, without those that admit nothing; empty if there is no list."""
        if not isinstance(value, list):
            return []
        return [
            self.node(each, pointer(at.path, at.key, i), at.depth + 1)
            for i, each in enumerate(value)
            if each is not False
        ]

    def _objects(self, out: Node, schema: Node, path: str, depth: int) -> None:
        """What may follow the named properties, now that all keywords have been seen."""
        self._record(out, schema, path, depth)
        gone = {key for key in schema if key in _MAY_NAME_PROPERTIES}
        if "$ref" in schema and not isinstance(resolve(self.root, schema["$ref"]), dict):
            gone.add("$ref")
        if "patternProperties" in schema:
            self._by_pattern(out, schema["patternProperties"], path, depth)
        elif gone and "properties" in out:
            out.setdefault("additionalProperties", True)

    def _by_pattern(self, out: Node, patterns: object, path: str, depth: int) -> None:
        """Without the patterns any name may be one that they meant: its value is one of theirs, or of the others."""
        others = out.get("additionalProperties", True)
        values = list(patterns.items()) if isinstance(patterns, dict) else []
        if others is True or not values:
            out["additionalProperties"] = True
            return
        at = pointer(path, "patternProperties")
        kept: list[object] = [
            self.part(value, pointer(at, name), depth) for name, value in values if value is not False
        ]
        kept += [others] if others is not False else []
        if kept:
            out["additionalProperties"] = kept[0] if len(kept) == 1 else {"anyOf": kept}

    def _record(self, out: Node, schema: Node, path: str, depth: int) -> None:
        """`propertyNames` with an enumeration names all properties there are."""
        names = _only_names(schema.get("propertyNames"))
        known, others = out.get("properties", {}), out.get("additionalProperties", True)
        if not names or "patternProperties" in schema or not isinstance(known, dict) or others is False:
            return
        self.losses[:] = [loss for loss in self.losses if (loss.where, loss.what) != (path, "propertyNames")]
        value, at = schema.get("additionalProperties", True), f"{path}/additionalProperties"
        out["properties"] = {
            name: known[name] if name in known else self.part(value, at, depth) for name in names
        }
        out["additionalProperties"] = False

    def _all_of(self, out: Node, schema: Node, path: str, depth: int) -> Node:
        if "allOf" not in schema:
            return out
        branches = schema["allOf"]
        if not isinstance(branches, list):
            self.drop(_Place("allOf", path, depth), _ILL_FORMED)
            return out
        for i, branch in enumerate(branches):
            here = pointer(path, "allOf", i)
            join(out, self.node(branch, here, depth + 1), here, self.lose)
        return out

    def _target(self, schema: Node, path: str, depth: int, *, alone: bool) -> Node:
        """What `$ref` points at, inlined; a `$ref` where it leads back; `{}` where it leads nowhere."""
        at, ref = _Place("$ref", path, depth), schema["$ref"]
        way, target = self.references.lead(ref, alone=alone)
        if way is Way.KEPT:
            return self.references.kept(target, str(ref))
        if way is Way.INLINE:
            with self.references.inlining(target):
                return self.node(target, f"{path}/$ref", depth + 1)
        if way is not Way.ANYTHING:
            self.drop(at, way.value)
        return self._bare(target) if way is Way.BACK else {}

    def _bare(self, target: Node) -> Node:
        kind = target.get("type")
        told = isinstance(kind, str) and kind in TYPES and not (self.ref_alone and "$ref" in target)
        return {"type": kind} if told else {}


def _only_names(schema: object) -> list[str]:
    """The names, if the schema does nothing but list them."""
    if not isinstance(schema, dict) or schema.keys() - {"type", "enum", "const"}:
        return []
    listed = finite(schema)
    return (
        list(dict.fromkeys(listed)) if is_names(listed) and schema.get("type", "string") == "string" else []
    )


class _Place(msgspec.Struct, frozen=True):
    """Where a keyword stands: the pointer of its schema, and how deep that is."""

    key: str
    path: str
    depth: int

    @property
    def pointer(self) -> str:
        return f"{self.path}/{self.key}"


# --- rules: a keyword's value, kept or dropped ------------------------------------------------------------------------

_Rule: TypeAlias = Callable[[_Knife, Node, _Place], object]


def _verbatim(fits: Callable[[object], bool]) -> _Rule:
    """Keep the value as it is if it has the form the specification gives it: an ill-formed one means nothing."""

    def rule(knife: _Knife, schema: Node, at: _Place) -> object:
        return schema[at.key] if fits(schema[at.key]) else knife.drop(at, _ILL_FORMED)

    return rule


def _gone(knife: _Knife, schema: Node, at: _Place) -> object:
    says_nothing = at.key in ("minProperties", "minContains") and schema[at.key] == 0
    return _DROP if says_nothing else knife.drop(at)


def _format(knife: _Knife, _schema: Node, at: _Place) -> object:
    return knife.drop(at, "a remark; engines that enforce it forbid valid strings")


def _count(most: Callable[[GrammarTaste], int]) -> _Rule:
    def rule(knife: _Knife, schema: Node, at: _Place) -> object:
        value = schema[at.key]
        if not is_number(value) or value < 0 or value != int(value):
            return knife.drop(at, _ILL_FORMED)
        if value == 0 and at.key.startswith("min"):
            return _DROP  # says nothing
        limit = most(knife.taste)
        if value <= limit:
            return int(value)
        return knife.drop(at, "more than the grammar can count to" if limit else _MISREAD_COUNT)

    return rule


def _bound(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    if not is_number(value):
        return knife.drop(at, _ILL_FORMED)
    limit = LARGEST_BOUND - at.key.startswith("exclusive")  # the next whole number may stand in for it
    return value if abs(value) <= limit else knife.drop(at, "a number too large for the grammar's digits")


def _multiple(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    fits = knife.taste.multiples and type(value) is int and 0 < value <= UNROLLED
    return value if fits else knife.drop(at)


def _pattern(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    if not isinstance(value, str):
        return knife.drop(at, _ILL_FORMED)
    if not knife.taste.pattern:
        return knife.drop(at)
    try:
        made = translate(value, on_json_text=knife.taste.pattern == "text", most=UNROLLED)
    except Untranslatable as why:
        return knife.drop(at, str(why))
    if made.left_out:
        knife.lose(at.path, at.key, made.left_out)
    return made.text or _DROP


def _const(knife: _Knife, schema: Node, at: _Place) -> object:
    return schema[at.key] if knife.has_const else _DROP


def _unique(knife: _Knife, schema: Node, at: _Place) -> object:
    return _DROP if schema[at.key] is False else knife.drop(at)


def _properties(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    if not isinstance(value, dict):
        return knife.drop(at, _ILL_FORMED)
    return {name: knife.part(child, pointer(at.pointer, name), at.depth) for name, child in value.items()}


def _schema_or_bool(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    return value if isinstance(value, bool) else knife.part(value, at.pointer, at.depth)


def _items(knife: _Knife, schema: Node, at: _Place) -> object:
    return (
        knife.drop(at, _ILL_FORMED)
        if isinstance(schema[at.key], list)
        else _schema_or_bool(knife, schema, at)
    )


def _prefix(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    if not isinstance(value, list) or not value:
        return knife.drop(at, _ILL_FORMED)
    return [knife.part(each, pointer(at.pointer, i), at.depth) for i, each in enumerate(value)]


def _word(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    fits = at.key not in ("title", "description") or isinstance(value, str)
    return value if knife.taste.words and fits else _DROP


def _any_of(knife: _Knife, schema: Node, at: _Place) -> object:
    return knife.branches(schema[at.key], at) or knife.drop(at, _ILL_FORMED)


def _with_tuples(schema: Node) -> Node:
    """The list under `items` of older drafts as `prefixItems`, which they do not know."""
    kept = {key: value for key, value in schema.items() if key not in ("prefixItems", "additionalItems")}
    if not isinstance(schema.get("items"), list):
        return kept
    kept["prefixItems"] = kept.pop("items")
    return {**kept, "items": schema["additionalItems"]} if "additionalItems" in schema else kept


_RULES: Final[dict[str, _Rule]] = {
    **dict.fromkeys(_UNKEPT, _gone),
    **dict.fromkeys(WORDS, _word),
    "format": _format,
    "type": _verbatim(is_types),
    "enum": _verbatim(lambda value: isinstance(value, list) and bool(value)),
    "const": _const,
    "required": _verbatim(is_names),
    "properties": _properties,
    "additionalProperties": _schema_or_bool,
    "items": _items,
    "prefixItems": _prefix,
    "anyOf": _any_of,
    "pattern": _pattern,
    "uniqueItems": _unique,
    "multipleOf": _multiple,
    **dict.fromkeys(("minLength", "maxLength"), _count(lambda taste: taste.lengths)),
    **dict.fromkeys(("minItems", "maxItems"), _count(lambda taste: taste.items)),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _bound),
}
