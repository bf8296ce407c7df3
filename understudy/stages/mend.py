"""The arguments of one tool call, mended against the tool's own schema.

    name       -> likeness: exact, or the one tool that is nearly called so
    arguments  -> reading: JSON, or nearly JSON, without completing what was cut off
    value      -> fitting: unwrap, rename, convert, prune; the validator is asked after each
    result     -> written out, read again, and validated once more: nothing invalid is ever let through

Arguments that are valid as they stand come back byte for byte, because the engine's prefix cache holds those very
bytes. Whatever else comes back names the rules that were used.

Schemas are JSON Schema 2020-12 unless they name another draft; `format` is an annotation there and is not checked.
Some cannot be compiled: a regular expression of another dialect, a `$ref` that leads nowhere or to the network (where
nothing is ever fetched). Such a tool is still served. Its calls are validated with what is left, in this order:
without patterns; by the types and names of the top level. What is no schema at all takes any object.
`Toolbox.loose()` says which.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import jsonschema_rs
import msgspec

from understudy.stages.fitting import STEPS
from understudy.stages.lenient import DOUBTFUL
from understudy.stages.likeness import tool as like_tool
from understudy.stages.packing import is_packed
from understudy.stages.reading import Unreadable, read
from understudy.stages.shape import Node, Shape

KEPT_SCHEMAS: Final = 512  # compiled validators kept; a Claude Code session brings 12 to 60 tools
LARGE: Final = (
    256 * 1024
)  # bytes of a schema that is compiled anew for each call: 512 of these are too much to keep
BACKTRACKS: Final = 100_000  # steps of a schema's regular expression before its string counts as wrong
SHOWN: Final = 12  # offered tools that an explanation names
NAMED: Final = 100  # characters of a name that it repeats
EXPLAINED: Final = 300  # characters of the validator's sentence

_KINDS: Final = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
_NOT_SCHEMAS: Final = frozenset({"const", "enum", "default", "examples"})


class Mended(msgspec.Struct, frozen=True):
    """A call that is valid for an offered tool.

    Attributes:
        name: an offered tool.
        arguments: JSON, valid for its schema.
        rules: what was put right, in order; empty if nothing was: then `arguments` is the input itself.
    """

    name: str
    arguments: str
    rules: tuple[str, ...]


class Unmendable(msgspec.Struct, frozen=True):
    """A call nobody may run.

    Attributes:
        name: as the model gave it.
        reason: a sentence for the model, without the values it wrote.
    """

    name: str
    reason: str


class Toolbox:
    """The offered tools of one request. Building it costs a dict; schemas are compiled when first called."""

    def __init__(self, tools: Sequence[tuple[str, bytes]]) -> None:
        self._schemas = dict(tools)

    def mend(self, name: str, arguments: str) -> Mended | Unmendable:
        """Mend one call: `name` and `arguments` as the model wrote them. Never raises."""
        found = (name, "") if name in self._schemas else like_tool(name, self._schemas)
        if found is None:
            return Unmendable(name, self._no_such_tool(name))
        real, rule = found
        checker = _checker(self._schemas[real])
        rules = (rule,) if rule else ()
        if checker.admits_text(arguments) and not _is_packed(arguments, checker, real):
            return Mended(real, arguments, rules)
        try:
            return _mended(real, arguments, checker, rules)
        except (Unreadable, _Unfit) as why:
            return Unmendable(name, f"{real}: {why}")

    def schema(self, name: str) -> bytes:
        """The schema of the tool of exactly that name; empty where there is none."""
        return self._schemas.get(name, b"")

    def loose(self, name: str) -> str:
        """How the named tool's calls are validated if its schema cannot be compiled; empty if it can."""
        return _checker(self._schemas[name]).loose if name in self._schemas else ""

    def _no_such_tool(self, name: str) -> str:
        offered = ", ".join(list(self._schemas)[:SHOWN])
        more = ", ..." if len(self._schemas) > SHOWN else ""
        return f"there is no tool called {name[:NAMED]!r}; there are: {offered}{more}"


class _Unfit(ValueError):
    """The arguments could be read but not be made valid."""


def _mended(name: str, arguments: str, checker: "_Checker", rules: tuple[str, ...]) -> Mended:
    reading = read(arguments)
    value, shape = reading.value, Shape(checker.root, name)
    packed = checker.takes_anything and is_packed(value, shape)
    text: str | None = None
    steps = (*(() if packed else (_as_read,)), *STEPS)
    for step in steps if DOUBTFUL.isdisjoint(reading.rules) else steps[:-1]:  # the last one throws away
        try:
            value = step(value, shape)
        except RecursionError:
            raise _Unfit("the arguments are nested too deeply") from None
        text = _written(value)
        if text is not None and checker.admits_text(text):
            return Mended(name, text, (*rules, *reading.rules, *shape.rules))
    raise _Unfit(checker.complaint(text))


def _is_packed(arguments: str, checker: "_Checker", name: str) -> bool:
    """Whether arguments that are valid are so only because their schema takes anything."""
    return checker.takes_anything and is_packed(msgspec.json.decode(arguments), Shape(checker.root, name))


def _as_read(value: object, _shape: Shape) -> object:
    return value


def _written(value: object) -> str | None:
    """JSON; None for what JSON or UTF-8 cannot hold: half a surrogate pair, a number of 5,000 digits."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (ValueError, RecursionError):
        return None
    return text


class _Checker:
    """A compiled schema.

    Attributes:
        root: the decoded schema; empty if it is none.
        loose: why less than the schema is checked; empty if all of it is.
        takes_anything: no property is required, and any may be added: a wrapper around the arguments is valid, too.
    """

    def __init__(self, root: Node, validator: jsonschema_rs.Validator, loose: str) -> None:
        self.root = root
        self.loose = loose
        shape = Shape(root, "")
        self.takes_anything = not shape.required(root) and not shape.is_closed(root)
        self._validator = validator

    def admits_text(self, text: str) -> bool:
        """Whether `text` is a JSON object that the schema admits."""
        try:
            value = msgspec.json.decode(text)
            return isinstance(value, dict) and self._validator.is_valid(value)
        except (ValueError, RecursionError):  # not JSON, half a surrogate pair, too deep, too large a number
            return False

    def complaint(self, text: str | None) -> str:
        """What is wrong with arguments that were read and not admitted, in the validator's words, without values."""
        try:
            value = msgspec.json.decode(text) if text is not None else None
            if text is not None and not isinstance(value, dict):
                return "the arguments are not an object"
            wrong = next(iter(self._validator.iter_errors(value)), None) if isinstance(value, dict) else None
        except (ValueError, RecursionError):
            wrong = None
        if wrong is None:
            return "the arguments hold a character, a number or a depth that JSON cannot carry"
        where = "/".join(map(str, wrong.instance_path)) or "the arguments"
        return f"{where}: {wrong.message}"[:EXPLAINED]


def _checker(schema: bytes) -> _Checker:
    """The checker of a schema: the same bytes are compiled once, whoever sends them, unless they are very large."""
    return _kept(schema) if len(schema) <= LARGE else _built(schema)


@lru_cache(maxsize=KEPT_SCHEMAS)
def _kept(schema: bytes) -> _Checker:
    return _built(schema)


def _built(schema: bytes) -> _Checker:
    try:
        decoded = msgspec.json.decode(schema)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        return _Checker(
            {}, _compiled(_top_level({})), "the schema is not a JSON object: any object is accepted"
        )
    for loose, weaken in LADDER:
        try:
            return _Checker(decoded, _compiled(weaken(decoded)), loose)
        except (ValueError, RecursionError):
            continue
    bare = "the schema cannot be compiled: only the types and names of its top level are checked"
    return _Checker(decoded, _compiled(_top_level(decoded)), bare)


def _compiled(schema: Node) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        schema,
        offline=True,
        validate_formats=False,
        mask="the value",
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS),
    )


def _as_it_is(schema: Node) -> Node:
    return schema


def _without_patterns(schema: Node) -> Node:
    """Without regular expressions, and without the keywords that a wider part would make narrower."""
    hidden = _HIDDEN | {"additionalProperties"} if "patternProperties" in schema else _HIDDEN
    kept = {key: value for key, value in schema.items() if key not in hidden}
    return {key: value if key in _NOT_SCHEMAS else _inside(key, value) for key, value in kept.items()}


_HIDDEN: Final = frozenset(
    {"$schema", "pattern", "patternProperties", "not", "if", "then", "else", "oneOf"}
    | {"contains", "minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"}
)
_MAPS: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})


def _inside(key: str, value: object) -> object:
    if isinstance(value, list):
        return [_without_patterns(child) if isinstance(child, dict) else child for child in value]
    if not isinstance(value, dict):
        return value
    if key in _MAPS:
        return {name: _inside("", child) for name, child in value.items()}
    return _without_patterns(value)


def _top_level(schema: Node) -> Node:
    """The types of the top level's properties, and which must be there."""
    named, required = schema.get("properties"), schema.get("required")
    properties: Node = {}
    for name, child in named.items() if isinstance(named, dict) else ():
        told = child.get("type") if isinstance(child, dict) else None
        properties[name] = {"type": told} if isinstance(told, str) and told in _KINDS else {}
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    return {"type": "object", "properties": properties, "required": list(dict.fromkeys(names))}


_Weaken: TypeAlias = Callable[[Node], Node]
LADDER: Final[tuple[tuple[str, _Weaken], ...]] = (
    ("", _as_it_is),
    ("a pattern or the draft is unknown here: patterns are not checked", _without_patterns),
)
