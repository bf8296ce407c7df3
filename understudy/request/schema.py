"""A tool's JSON Schema, cut down to what an engine's grammar takes.

Engines turn a tool's schema into a grammar before they sample, and one keyword that the grammar's author did not
foresee costs the whole request: "failed to parse grammar", a crash, or, worst, an answer without any constraint
(ggml-org/llama.cpp#27580, lmstudio-bug-tracker#2220). So the engine gets a smaller schema; the original stays with
us, and what comes back is validated against the original.

One law governs the cut: **it only ever widens**. An instance that the original admits is admitted by the cut; what
the grammar no longer holds back, the validator catches. Hence the three places where dropping is not harmless:

- `oneOf` means "exactly one". If any branch was widened, it becomes `anyOf`.
- `additionalProperties` speaks of the names that `properties` and `patternProperties` leave over; it goes with the
  latter. The same holds for `items` after `prefixItems`.
- `not`, `if`, `contains`, `unevaluated...` turn a wider part into a narrower whole. They go entirely.

Whatever changes the meaning is listed in `Cut.dropped`; a cut with an empty list means the same as the original.
Titles, defaults, examples and comments go without a mention: a grammar has no use for them.

Drafts: 2020-12 unless `$schema` names another; up to draft-07 the neighbours of `$ref` are ignored, as they must be.
Time is linear in the schema, with a ceiling on the text that inlining `$ref` may add.
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias, TypeGuard, cast
from urllib.parse import unquote

import msgspec

Node: TypeAlias = dict[str, object]

ANY_OBJECT: Final = b'{"type":"object"}'
DEPTH: Final = 48  # schemas inside each other; real tools stay below 12, and every level costs Python frames
INLINED: Final = (
    1 << 20
)  # bytes of `$ref` targets; a chain of 30 pairs would otherwise unfold into 2**30 schemas
NAME: Final = 80  # characters of a property's name in a pointer: a name of a megabyte is not worth repeating
SAFE_NUMBER: Final = 2**53  # beyond it C++ engines and JavaScript clients disagree about integers

_DROP: Final = object()
_TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
# Constraints no grammar takes, or that cannot be kept without risk of narrowing.
_UNKEPT: Final = frozenset(
    {"$dynamicRef", "$recursiveRef", "not", "if", "then", "else", "contains", "minContains", "maxContains"}
    | {
        "propertyNames",
        "patternProperties",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "format",
    }
    | {"unevaluatedItems", "unevaluatedProperties", "additionalItems", "multipleOf"}
)
# One pass over literals and bracket classes, each with an optional small repetition, anchored at both ends. Groups,
# alternation, dots, escapes and lookarounds differ between regex dialects; two of them have crashed servers.
_PLAIN_PATTERN: Final = re.compile(
    r"\^(?:(?:[A-Za-z0-9_ :/@,=%#~!&;<>'-]|\[[A-Za-z0-9_ :/@,.=%#~!&;<>-]+\])(?:[*+?]|\{\d{1,2}(?:,\d{0,2})?\})?)+\$"
)


class GrammarTaste(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine's schema-to-grammar converter takes.

    Attributes:
        cuts: false leaves every schema as it is, byte for byte.
        patterns: plain, fully anchored regular expressions (no escapes, groups or lookarounds).
        ranges: `minimum` and its kin.
        repeat: the largest count in minLength, maxLength, minItems and maxItems; grammars unroll them.
        tuples: `prefixItems`.
        counts: `minProperties` and `maxProperties`.
        words: `description`, which the model reads where the schema is part of the prompt.
    """

    cuts: bool = True
    patterns: bool = False
    ranges: bool = False
    repeat: int = 0
    tuples: bool = False
    counts: bool = False
    words: bool = True


# llama.cpp refuses repetitions beyond 2,000 and slows down long before; its ollama relative lags behind it. vLLM refuses
# uniqueItems, contains, multipleOf, patternProperties and propertyNames before xgrammar sees them.
TASTES: Final[dict[str, GrammarTaste]] = {
    "llama.cpp": GrammarTaste(patterns=True, ranges=True, repeat=256, tuples=True),
    "vllm": GrammarTaste(patterns=True, ranges=True, repeat=1024, tuples=True),
    "ollama": GrammarTaste(ranges=True, repeat=256),
    "none": GrammarTaste(cuts=False),
}


class Cut(msgspec.Struct, frozen=True):
    """A schema an engine takes, and what it no longer says.

    Attributes:
        schema: JSON; the input itself where nothing had to go.
        dropped: JSON pointers into the original: the keyword that went, or the schema that became `{}`.
    """

    schema: bytes
    dropped: tuple[str, ...]


def cut(schema: bytes, dialect: GrammarTaste) -> Cut:
    """Cut `schema` down to what `dialect` takes, widening only. Never raises: what is no schema becomes "an object".

    Args:
        schema: a tool's input schema, JSON.
        dialect: a row of `TASTES`, or one's own.
    """
    if not dialect.cuts:
        return Cut(schema, ())
    try:
        root = msgspec.json.decode(schema)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested deeper than the interpreter goes
        return Cut(ANY_OBJECT, ("",))
    if not isinstance(root, dict):
        return Cut(ANY_OBJECT, ("",))
    knife = _Knife(root, dialect, nested_ids=schema.count(b'"$id"') > ("$id" in root))
    try:
        small = knife.node(root, "", 0)
        return Cut(schema if small == root else msgspec.json.encode(small), tuple(knife.dropped))
    except RecursionError:  # an `enum` value nested as deep as the interpreter goes
        return Cut(ANY_OBJECT, ("",))


class _Knife:
    """One cut: the document, what was dropped, and how much work is left."""

    def __init__(self, root: Node, taste: GrammarTaste, *, nested_ids: bool) -> None:
        named = root.get("$schema")
        draft = named if isinstance(named, str) else "2020-12"
        self.root = root
        self.taste = taste
        self.dropped: list[str] = []
        self.ref_alone = "draft-0" in draft  # up to draft-07 `$ref` hides its neighbours
        self.has_const = "draft-04" not in draft and "draft-03" not in draft
        self.has_tuples = "2020-12" in draft
        self._nested_ids = nested_ids  # a `$ref` below a nested `$id` starts elsewhere: none is followed
        self._left = INLINED
        self._open: set[int] = {id(root)}  # targets being inlined now, by identity: two spellings, one target

    def drop(self, path: str, keyword: str = "") -> object:
        self.dropped.append(f"{path}/{_escape(keyword)}" if keyword else path)
        return _DROP

    def node(self, schema: object, path: str, depth: int) -> Node:
        """One schema, cut. A dict of its own, which the caller may change."""
        if schema is True:
            return {}
        if not isinstance(schema, dict) or depth > DEPTH:
            self.drop(path)
            return {}
        if self.ref_alone and "$ref" in schema:
            return self._target(schema["$ref"], path, depth)
        out = self._keywords(schema, path, depth)
        if "$ref" in schema:
            self._merge(out, self._target(schema["$ref"], path, depth), f"{path}/$ref")
        return self._all_of(out, schema, path, depth)

    def _keywords(self, schema: Node, path: str, depth: int) -> Node:
        out: Node = {}
        for key, value in schema.items():
            if key in _UNKEPT:
                self.drop(path, key)
            elif (rule := _RULES.get(key)) is not None:
                kept = rule(self, schema, _Place(key, path, depth))
                if kept is not _DROP:
                    out[key] = kept
            elif key == "oneOf":
                self._one_of(out, value, f"{path}/oneOf", depth)
        return out

    def _one_of(self, out: Node, branches: object, path: str, depth: int) -> None:
        """Kept as it is only while no branch was widened: exactly one of wider branches would be narrower."""
        before = len(self.dropped)
        kept = self.branches(branches, path, depth)
        key = "oneOf" if len(self.dropped) == before else "anyOf"
        if not kept or key in out:
            self.drop(path)
            return
        if key == "anyOf":
            self.drop(path)
        out[key] = kept

    def branches(self, value: object, path: str, depth: int) -> list[object]:
        """The branches of an `anyOf`, without those that admit nothing; empty if there is no list."""
        if not isinstance(value, list):
            return []
        return [
            self.node(each, f"{path}/{i}", depth + 1) for i, each in enumerate(value) if each is not False
        ]

    def _all_of(self, out: Node, schema: Node, path: str, depth: int) -> Node:
        if "allOf" not in schema:
            return out
        branches = schema["allOf"]
        if not isinstance(branches, list):
            self.drop(path, "allOf")
            return out
        for i, branch in enumerate(branches):
            here = f"{path}/allOf/{i}"
            self._merge(out, self.node(branch, here, depth + 1), here)
        return out

    def _target(self, ref: object, path: str, depth: int) -> Node:
        """What `$ref` points at, inlined; its bare type where it points at itself, `{}` where it leads nowhere."""
        target = None if self._nested_ids else _resolve(self.root, ref)
        if target is True:
            return {}
        if not isinstance(target, dict) or not self._affords(target):
            self.drop(path, "$ref")
            return {}
        if id(target) in self._open:
            self.drop(path, "$ref")
            kind = target.get("type")
            told = isinstance(kind, str) and kind in _TYPES and not (self.ref_alone and "$ref" in target)
            return {"type": kind} if told else {}
        self._open.add(id(target))
        try:
            return self.node(target, f"{path}/$ref", depth + 1)
        finally:
            self._open.discard(id(target))

    def _affords(self, target: Node) -> bool:
        if self._left > 0:
            self._left -= len(msgspec.json.encode(target))
        return self._left > 0

    def _merge(self, out: Node, other: Node, path: str) -> None:
        """Make `out` say what both say; where that cannot be said in one schema, say less and note it."""
        if _left_over(out, other) or _left_over(other, out):
            self.drop(path, "additionalProperties")
        if _POSITIONS & out.keys() and _POSITIONS & other.keys():
            # `items` means "after the prefix": halves of two pairs do not mix
            if any(out.get(key, _DROP) != other.get(key, _DROP) for key in _POSITIONS):
                self.drop(path, "items")
            other = {key: value for key, value in other.items() if key not in _POSITIONS}
        for key, value in other.items():
            if key not in out:
                out[key] = value
            elif key == "properties":
                self._merge_properties(
                    cast("dict[str, Node]", out[key]), cast("dict[str, Node]", value), path
                )
            elif not _same(out[key], value):
                self._merge_keyword(out, key, value, path)

    def _merge_keyword(self, out: Node, key: str, value: object, path: str) -> None:
        joined = _MERGES[key](out[key], value) if key in _MERGES else _DROP
        if joined is _DROP:
            if key != "description":
                self.drop(path, key)
        else:
            out[key] = joined

    def _merge_properties(self, ours: dict[str, Node], theirs: dict[str, Node], path: str) -> None:
        for name, schema in theirs.items():
            if name in ours:
                self._merge(ours[name], schema, f"{path}/properties/{_escape(name)}")
            else:
                ours[name] = schema


class _Place(msgspec.Struct, frozen=True):
    """Where a keyword stands: the pointer of its schema, and how deep that is."""

    key: str
    path: str
    depth: int

    @property
    def pointer(self) -> str:
        return f"{self.path}/{self.key}"


def _verbatim(fits: Callable[[object], bool]) -> "_Rule":
    """Keep the value as it is if it has the form the specification gives it: an ill-formed one means nothing."""

    def rule(knife: _Knife, schema: Node, at: _Place) -> object:
        return schema[at.key] if fits(schema[at.key]) else knife.drop(at.path, at.key)

    return rule


def _count(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    fits = type(value) is int and 0 <= value <= knife.taste.repeat
    return value if fits else knife.drop(at.path, at.key)


def _count_of_properties(knife: _Knife, schema: Node, at: _Place) -> object:
    return schema[at.key] if knife.taste.counts else knife.drop(at.path, at.key)


def _bound(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    fits = knife.taste.ranges and _is_number(value) and abs(value) <= SAFE_NUMBER
    return value if fits else knife.drop(at.path, at.key)


def _pattern(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    fits = knife.taste.patterns and isinstance(value, str) and _PLAIN_PATTERN.fullmatch(value)
    return value if fits else knife.drop(at.path, at.key)


def _const(knife: _Knife, schema: Node, at: _Place) -> object:
    return schema[at.key] if knife.has_const else knife.drop(at.path, at.key)


def _unique(knife: _Knife, schema: Node, at: _Place) -> object:
    return _DROP if schema[at.key] is False else knife.drop(at.path, at.key)


def _properties(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    if not isinstance(value, dict):
        return knife.drop(at.path, at.key)
    return {
        name: knife.node(child, f"{at.pointer}/{_escape(name)}", at.depth + 1)
        for name, child in value.items()
    }


def _additional(knife: _Knife, schema: Node, at: _Place) -> object:
    if "patternProperties" in schema and schema[at.key] is not True:
        return knife.drop(at.path, at.key)
    return _schema_or_bool(knife, schema, at)


def _items(knife: _Knife, schema: Node, at: _Place) -> object:
    tuples_went = knife.has_tuples and not knife.taste.tuples and "prefixItems" in schema
    if tuples_went or isinstance(schema[at.key], list):
        return knife.drop(at.path, at.key)
    return _schema_or_bool(knife, schema, at)


def _schema_or_bool(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    return value if isinstance(value, bool) else knife.node(value, at.pointer, at.depth + 1)


def _prefix(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    if not (knife.taste.tuples and knife.has_tuples and isinstance(value, list)):
        return knife.drop(at.path, at.key)
    return [knife.node(each, f"{at.pointer}/{i}", at.depth + 1) for i, each in enumerate(value)]


def _words(knife: _Knife, schema: Node, at: _Place) -> object:
    value = schema[at.key]
    return value if knife.taste.words and isinstance(value, str) else _DROP


def _any_of(knife: _Knife, schema: Node, at: _Place) -> object:
    return knife.branches(schema[at.key], at.pointer, at.depth) or knife.drop(at.path, at.key)


def _is_type(value: object) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return bool(kinds) and all(isinstance(kind, str) and kind in _TYPES for kind in kinds)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


_Rule: TypeAlias = Callable[[_Knife, Node, _Place], object]

_RULES: Final[dict[str, _Rule]] = {
    "type": _verbatim(_is_type),
    "description": _words,
    "enum": _verbatim(lambda value: isinstance(value, list) and bool(value)),
    "const": _const,
    "required": _verbatim(_is_names),
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "prefixItems": _prefix,
    "anyOf": _any_of,
    "pattern": _pattern,
    "uniqueItems": _unique,
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _count),
    **dict.fromkeys(("minProperties", "maxProperties"), _count_of_properties),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _bound),
}

_POSITIONS: Final = frozenset({"items", "prefixItems"})


def _both_types(ours: object, theirs: object) -> object:
    """The types both admit; an integer is a number."""
    left, right = (kinds if isinstance(kinds, list) else [kinds] for kinds in (ours, theirs))
    kept = [kind for kind in left if kind in right or (kind == "integer" and "number" in right)]
    kept += [kind for kind in right if kind == "integer" and "number" in left and kind not in kept]
    if not kept:
        return _DROP
    return kept[0] if len(kept) == 1 else kept


def _both_required(ours: object, theirs: object) -> object:
    left, right = (names if isinstance(names, list) else [] for names in (ours, theirs))
    return list(dict.fromkeys([*left, *right]))


def _larger(ours: object, theirs: object) -> object:
    return max(ours, theirs) if _is_number(ours) and _is_number(theirs) else _DROP


def _smaller(ours: object, theirs: object) -> object:
    return min(ours, theirs) if _is_number(ours) and _is_number(theirs) else _DROP


_MERGES: Final[dict[str, Callable[[object, object], object]]] = {
    "type": _both_types,
    "required": _both_required,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), _larger),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), _smaller),
}


def _same(ours: object, theirs: object) -> bool:
    return ours is theirs or (type(ours) is type(theirs) and ours == theirs)


def _left_over(strict: Node, other: Node) -> bool:
    """Whether `other` names properties that `strict` would have judged by its `additionalProperties`."""
    if strict.get("additionalProperties", True) in (True, {}):
        return False
    named, known = other.get("properties"), strict.get("properties", {})
    return isinstance(named, dict) and isinstance(known, dict) and not named.keys() <= known.keys()


def _escape(name: str) -> str:
    return name[:NAME].replace("~", "~0").replace("/", "~1")


def _resolve(root: Node, ref: object) -> object:
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
            and len(step) < len(str(len(here))) + 1
        ):
            here = here[int(step)] if int(step) < len(here) else None
        else:
            return None
    return here
