"""Schemas as tools have them, with instances that they admit: what the laws of the cut are tested on.

    @given(pairs())
    def test(pair):
        schema, instance = pair      # the instance is valid for the schema

The instance is made along the schema and then checked by the validator; what does not pass is thrown away. Everything is
thrown with `Dice`: hypothesis's, which shrink, or those of `random`, which are quick.
"""

import json
import random

import jsonschema_rs
from hypothesis import assume
from hypothesis import strategies as st

NAMES = ["a", "b", "c", "file_path", "content-type", "x y", 'quo"te', "é"]
TEXTS = [
    "",
    "a",
    "ab",
    "abc",
    "12",
    "2024-05-06",
    'say "hi"\n',
    "back\\slash",
    "über",
    "a/b.c",
    "x" * 40,
    "😀",
]
WHOLE = [0, 1, -1, 2, 5, 10, 99, 1_000_000, -70]
NUMBERS = [*WHOLE, 0.5, -1.5, 2.2, 1e-7, 3.0, 0.1234567890123456, 99.999]
SPELT_ALIKE = [*WHOLE, 0.5, -1.5, 2.2, 3.0, 99.999]
PATTERNS = {
    r"^\d+$": ["1", "42", "007"],
    r"^\w+$": ["ab_1", "Z"],
    r"^\s*$": ["", " ", "\t\n"],
    r"^[a-z]{2,5}$": ["ab", "abcde"],
    r"^\d{4}-\d{2}-\d{2}$": ["2024-05-06"],
    r"^(?=.*\d).+$": ["a1", "1"],
    r"^(?!no)[a-z]+$": ["yes", "maybe"],
    "^https?://": ["http://a.b", "https://x\n"],
    "b": ["abc", "b", 'b"', "a\nb"],
    "^a|b$": ["ax", "xb"],
    r"^a\.b\-c\/d$": ["a.b-c/d"],
    r"^[^/\\]+$": ["a b", 'quo"te', "line\nbreak"],
    "^.*$": ["", 'any "thing"', "\\"],
    r"^(cat|dog|)$": ["cat", "dog", ""],
    r'^"\w"$': ['"a"'],
    r"^[+\-]?\d+(?:\.\d+)?$": ["-1.5", "+3", "12"],
    r"^#(?:[0-9a-fA-F]{3}){1,2}$": ["#fff", "#A0b1C2"],
    r"^[\w.-]+@[\w-]+\.\w{2,}$": ["a.b@c-d.org"],
    r"^\bword\b$": ["word"],
    r"^[à-ü]+$": ["é", "êë"],
    r"^[\]\^\-\[ab]+$": ["a]", "^-", "["],
    "": ["", "x"],
}
BOUNDS = [0, 1, -5, 10, 100, 2.5, -0.5, 1.25, 10**6, 2**60, 10**15 - 1]
BRANCHES = ("anyOf", "oneOf", "allOf")


class Dice:
    """Throws: `below(n)` gives 0 to n-1."""

    def __init__(self, below):
        self.below = below

    def one(self, options):
        return options[self.below(len(options))]

    def chance(self, of=2):
        return self.below(of) == 0

    def some(self, options, most):
        return list(dict.fromkeys(self.one(options) for _ in range(self.below(most + 1))))

    def value(self, depth=0):
        kind = self.below(6 if depth < 2 else 4)
        if kind == 4:
            return [self.value(depth + 1) for _ in range(self.below(3))]
        if kind == 5:
            return {name: self.value(depth + 1) for name in self.some(NAMES, 2)}
        return [None, self.chance(), self.one(SPELT_ALIKE), self.one(TEXTS)][kind]

    def picked(self, makers, chance=3):
        """Some of the keywords, each made by its maker."""
        return {key: make() for key, make in makers.items() if self.chance(chance)}


def words(dice):
    makers = {
        "description": lambda: dice.one(["what it is", "é", ""]),
        "title": lambda: "T",
        "default": dice.value,
        "examples": lambda: [dice.value()],
    }
    return dice.picked(makers, 5)


def string(dice):
    makers = {
        "minLength": lambda: dice.below(4),
        "maxLength": lambda: dice.one([0, 3, 40, 200, 5_000]),
        "pattern": lambda: dice.one(list(PATTERNS)),
        "format": lambda: dice.one(["uri", "email", "date", "date-time", "time", "uuid", "ipv4", "made-up"]),
    }
    return {"type": "string", **dice.picked(makers, 4), **words(dice)}


def number(dice):
    keys = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    makers = {key: lambda: dice.one(BOUNDS) for key in keys} | {"multipleOf": lambda: dice.one([1, 5, 0.5])}
    return {"type": dice.one(["integer", "number"]), **dice.picked(makers, 4), **words(dice)}


def values(dice):
    listed = [dice.one(TEXTS) if dice.chance() else dice.value() for _ in range(1 + dice.below(4))]
    unique = [value for i, value in enumerate(listed) if value not in listed[:i]]
    return dice.one([{"enum": unique}, {"enum": unique, "type": "string"}, {"const": unique[0]}])


FIXED = [
    {"type": "boolean"},
    {"type": "null"},
    {"type": "object"},
    {"type": "array"},
    True,
    {},
    {"description": "only words"},
    {"type": ["string", "null"]},
    {"type": ["integer", "string"], "minimum": 1},
    {"minLength": 2},
    {"minimum": 3, "minLength": 2},
    {"$ref": "#/$defs/leaf"},
    {"$ref": "#/$defs/tree"},
    {"$ref": "#/$defs/tree", "description": "d"},
    {"$ref": "#"},
    {"$ref": "#/$defs/odd~1name"},
    {"$ref": "#/$defs/tree", "required": ["a"]},
]


def schema(dice, depth=0):
    """One schema; fewer branches the deeper it stands."""
    if depth >= 3 or dice.chance():
        return dice.one(
            [
                string,
                number,
                values,
                lambda dice: dict(each) if (each := dice.one(FIXED)) is not True else True,
            ]
        )(dice)
    return dice.one([objects, arrays, union, objects, conditional])(dice, depth + 1)


def objects(dice, depth):
    makers = {
        "properties": lambda: {name: schema(dice, depth) for name in dice.some(NAMES, 4)},
        "required": lambda: dice.some(NAMES, 2),
        "additionalProperties": lambda: dice.one([True, False, False, schema(dice, depth)]),
        "patternProperties": lambda: {name: schema(dice, depth) for name in dice.some(["^x-", "a", "^é"], 2)},
        "propertyNames": lambda: dice.one([{"enum": ["a", "b"]}, {"pattern": "^a"}, {"type": "string"}]),
        "minProperties": lambda: dice.below(3),
        "dependentRequired": lambda: {"a": ["b"]},
    }
    made = {"properties": makers["properties"](), **dice.picked(makers, 4), **words(dice)}
    return {"type": "object", **made} if not dice.chance(5) else made


def arrays(dice, depth):
    makers = {
        "items": lambda: dice.one([True, False, schema(dice, depth), schema(dice, depth)]),
        "prefixItems": lambda: [schema(dice, depth) for _ in range(1 + dice.below(2))],
        "minItems": lambda: dice.below(4),
        "maxItems": lambda: dice.one([0, 1, 2, 3, 5, 9_999]),
        "uniqueItems": dice.chance,
        "contains": lambda: schema(dice, depth),
    }
    return {"type": "array", **dice.picked(makers), **words(dice)}


def union(dice, depth):
    beside = dice.one([dict, dict, words, lambda dice: {"type": "object"}, lambda dice: objects(dice, depth)])
    near = beside() if beside is dict else beside(dice)
    listed = [
        {"required": ["a"]} if dice.chance(5) else schema(dice, depth) for _ in range(1 + dice.below(3))
    ]
    return {**near, dice.one(BRANCHES): listed}


def conditional(dice, depth):
    base = objects(dice, depth)
    if dice.chance():
        return {**base, "not": schema(dice, depth)}
    return {**base, "if": schema(dice, depth), "then": schema(dice, depth)}


def document(dice):
    """A tool's input schema."""
    root = {
        "type": "object",
        "properties": {name: schema(dice) for name in dice.some(NAMES, 4)},
        "required": dice.some(NAMES, 2),
        **dice.picked({"additionalProperties": dice.chance}),
        **(union(dice, 1) if dice.chance(4) else {}),
    }
    tree = {"type": "object", "properties": {"a": schema(dice, 2), "next": {"$ref": "#/$defs/tree"}}}
    many = {
        "anyOf": [
            {"type": "null"},
            {"$ref": "#/$defs/tree"},
            {"type": "array", "items": {"$ref": "#/$defs/tree"}},
        ]
    }
    trees = [tree, many, {**tree, "required": ["next"]}, {"$ref": "#/$defs/tree"}]
    root["$defs"] = {"leaf": string(dice), "tree": dice.one(trees), "odd/name": {"type": "string"}}
    return root


def compiled(made):
    """A validator that reads `format` as the remark it is; None for what is no schema."""
    try:
        return jsonschema_rs.validator_for(made, offline=True, validate_formats=False)
    except ValueError:
        return None


def pair(dice, tries=6):
    """A schema and an object it admits; None where none was found."""
    root = document(dice)
    checker = compiled(root)
    for _ in range(tries if checker else 0):
        made = instance(dice, root, root, 0)
        if isinstance(made, dict) and checker.is_valid(made):
            return root, made
    return None


@st.composite
def documents(draw):
    return document(Dice(lambda n: draw(st.integers(0, n - 1))))


@st.composite
def pairs(draw):
    found = pair(Dice(lambda n: draw(st.integers(0, n - 1))))
    assume(found is not None)
    return found


def random_pairs(seed, count):
    """The quick way, for what is asked of engines."""
    rng = random.Random(seed)  # noqa: S311 - nothing is kept secret
    found = (pair(Dice(rng.randrange)) for _ in range(count * 10))
    return [each for each in found if each is not None][:count]


def instance(dice, made, root, depth):
    """Something that `made` may admit."""
    if not isinstance(made, dict) or depth > 6:
        return dice.one([None, 1, "a", {}, []])
    if "$ref" in made:
        name = json.loads(json.dumps(made["$ref"])).split("/")[-1].replace("~1", "/")
        return instance(dice, root if made["$ref"] == "#" else root["$defs"][name], root, depth + 1)
    if "const" in made:
        return made["const"]
    if "enum" in made:
        return dice.one(made["enum"])
    for key in BRANCHES:
        if key in made:
            rest = {name: value for name, value in made.items() if name != key}
            return instance(dice, _blended(rest, dice.one(made[key])), root, depth + 1)
    kind = made.get("type") or ("object" if made.keys() & {"properties", "required"} else None)
    kind = dice.one(kind) if isinstance(kind, list) else kind
    return _MAKERS[kind](dice, made, root, depth) if kind in _MAKERS else dice.value()


def _blended(base, branch):
    if not isinstance(branch, dict):
        return base
    both = {**base, **branch}
    if "properties" in base and "properties" in branch:
        both["properties"] = {**base["properties"], **branch["properties"]}
    if "required" in base and "required" in branch:
        both["required"] = [*base["required"], *branch["required"]]
    return both


def _object(dice, made, root, depth):
    required, others = made.get("required", ()), made.get("additionalProperties", True)
    out = {}
    for name, child in made.get("properties", {}).items():
        if name in required or dice.chance():
            out[name] = instance(dice, child, root, depth + 1)
    for name in required:
        if name not in out:
            out[name] = instance(dice, others, root, depth + 1)
    if others is not False and ("additionalProperties" in made or "properties" not in made) and dice.chance():
        out.setdefault(dice.one(["extra", "x-1", "a", "b"]), instance(dice, others, root, depth + 1))
    return out


def _array(dice, made, root, depth):
    prefix, items = made.get("prefixItems", []), made.get("items", True)
    least, most = made.get("minItems", 0), min(made.get("maxItems", 4), 4)
    wanted = least + dice.below(max(1, most - least + 1))
    return [instance(dice, prefix[i] if i < len(prefix) else items, root, depth + 1) for i in range(wanted)]


_MAKERS = {
    "object": _object,
    "array": _array,
    "string": lambda dice, made, root, depth: dice.one(PATTERNS.get(made.get("pattern"), TEXTS)),
    "integer": lambda dice, made, root, depth: dice.one([*WHOLE, *BOUNDS[:5]]),
    "number": lambda dice, made, root, depth: dice.one([*NUMBERS, *BOUNDS[:8]]),
    "boolean": lambda dice, made, root, depth: dice.chance(),
    "null": lambda dice, made, root, depth: None,
}
