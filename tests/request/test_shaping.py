"""The second half of a cut: as the engine reads it."""

import copy

import pytest

from understudy.request.keywords import EVERY_TYPE
from understudy.request.shaping import SPREAD, shaped
from understudy.request.tastes import TASTES, GrammarTaste

S, NULL, ANY = {"type": "string"}, {"type": "null"}, {"type": list(EVERY_TYPE)}
REF = {"$ref": "#/$defs/n"}


def obj(**properties):
    return {"type": "object", "properties": properties}


def at(schema, row):
    """The schema of a property, and what was lost there."""
    taste = row if isinstance(row, GrammarTaste) else TASTES[row]
    root, lost = obj(x=schema), []
    before = copy.deepcopy(root)
    node = shaped(
        root, taste, lambda where, what, why: lost.append((where.removeprefix("/properties/x"), what))
    )
    assert root == before
    return node["properties"]["x"], lost


def union(*branches):
    return {"anyOf": list(branches)}


L, X, G = "llama.cpp", "xgrammar", "llguidance"
NO_NUMBERS = GrammarTaste()

# name, row, schema, shaped, lost
CASES = [
    ("anything", L, {"description": "d"}, {"description": "d", **ANY}, []),
    ("anything elsewhere", X, {}, {}, []),
    # what stands beside anyOf
    ("neighbours move in", X, {**obj(a=S), **union({"required": ["a"]}, {"required": ["b"]}), "title": "T"},
     {"title": "T", **union({**obj(a=S), "required": ["a"]}, {**obj(a=S, b={}), "required": ["b"]})}, []),
    ("neighbours stay", G, {**obj(a=S), **union({"required": ["a"]})}, {**obj(a=S), **union({"required": ["a"]})}, []),
    ("but not beside a tree", G, {**obj(a=S), **union(REF, NULL, obj(b=S))}, union(obj(a=S), obj(a=S, b=S)),
     [("/anyOf/0", "$ref")]),
    ("impossible branches go", X, {"type": "string", **union(NULL, {"pattern": "^a$"})}, union({**S,
     "pattern": "^a$"}), []),
    ("none is possible", X, {"type": "string", **union(NULL)}, S, [("", "anyOf")]),
    ("nor with properties", X, {**obj(a=S), **union(NULL)}, {**obj(a=S), "additionalProperties": True}, [("",
     "anyOf")]),
    ("equal branches are one", X, {"type": "string", **union({}, S)}, union(S), []),
    ("too much", X, {"type": "string", "pattern": "^" + "a" * (SPREAD // 3) + "$", **union(S, {}, {"minLength": 1},
     {"maxLength": 9})},
     {"type": "string", "pattern": "^" + "a" * (SPREAD // 3) + "$"}, [("", "anyOf")]),
    # implied types
    ("a type is spelled out", L, {"pattern": "^a$"},
     union({**S, "pattern": "^a$"}, {"type": ["object", "array", "number", "boolean", "null"]}), []),
    ("two types", L, {"minLength": 2, "properties": {"a": S}, "title": "T"},
     {"title": "T", **union(obj(a=S), {**S, "minLength": 2}, {"type": ["array", "number", "boolean", "null"]})}, []),
    ("four types", X, {"pattern": "^a$", "properties": {}, "items": S, "minimum": 1},
     union({"type": "object", "properties": {}}, {"type": "array", "items": S}, {**S, "pattern": "^a$"},
           {"type": "number", "description": "(minimum: 1)"}, {"type": ["boolean", "null"]}), [("/anyOf/3",
     "minimum")]),
    ("by the specification", G, {"minLength": 2}, {"minLength": 2}, []),
    ("values imply nothing", L, {"enum": ["a"], "minLength": 1}, {"enum": ["a"], "minLength": 1}, []),
    # values
    ("values of the type", L, {"type": "string", "enum": ["a", 1]}, {"type": "string", "enum": ["a"]}, []),
    ("all of the type", L, {"type": ["number", "null"], "enum": [1, None]}, {"type": ["number", "null"], "enum": [1,
     None]}, []),
    ("none of the type", L, {"type": "string", "enum": [1], "const": 2}, {"type": "string",
     "description": "(const: 2)"},
     [("", "const"), ("", "enum")]),
    ("const of the type", L, {"type": "integer", "const": 2.0}, {"type": "integer", "const": 2.0}, []),
    # numbers
    ("whole bounds", L, {"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, {"type": "integer", "minimum": 1,
     "exclusiveMaximum": 9}, []),
    ("bounds between", L, {"type": ["integer", "null"], "minimum": 1.5, "exclusiveMaximum": 8.5},
     {"type": ["integer", "null"], "minimum": 2, "maximum": 8}, []),
    ("two on each side", L, {"type": "integer", "minimum": 1, "exclusiveMinimum": 3, "maximum": 9,
     "exclusiveMaximum": 20},
     {"type": "integer", "minimum": 4, "maximum": 9}, []),
    ("bounds of fractions", L, {"type": "number", "minimum": 0}, {"type": "number", "description": "(minimum: 0)"},
     [("", "minimum")]),
    ("bounds of nothing", NO_NUMBERS, {"type": "integer", "maximum": 0}, {"type": "integer",
     "description": "(maximum: 0)"},
     [("", "maximum")]),
    ("rounded outwards", G, {"type": "number", "minimum": 1.25, "exclusiveMaximum": 2.25}, {"type": "number",
     "minimum": 1,
     "maximum": 3}, [("", "minimum"), ("", "exclusiveMaximum")]),
    ("rounded, and another", G, {"minimum": 1, "exclusiveMinimum": 1.5, "maximum": 3, "exclusiveMaximum": 9.5},
     {"minimum": 1,
     "maximum": 3}, [("", "exclusiveMinimum"), ("", "exclusiveMaximum")]),
    ("rounded, and nearer", G, {"minimum": -3, "exclusiveMinimum": 1.5, "maximum": 30, "exclusiveMaximum": 9.5},
     {"minimum": 1,
     "maximum": 10}, [("", "exclusiveMinimum"), ("", "exclusiveMaximum")]),
    ("nothing between", L, {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
     {"type": "integer", "description": "(exclusiveMinimum: 1) (exclusiveMaximum: 2)"},
     [("", "exclusiveMinimum"), ("", "exclusiveMaximum")]),
    ("turned round", L, {"type": "integer", "minimum": 2, "maximum": 1}, {"type": "integer",
     "description": "(minimum: 2) (maximum: 1)"}, [("", "minimum"), ("", "maximum")]),
    ("one number", G, {"type": "number", "minimum": 2, "maximum": 2}, {"type": "number", "minimum": 2, "maximum": 2},
     []),
    ("no number", G, {"type": "number", "minimum": 2, "exclusiveMaximum": 2}, {"type": "number"},
     [("", "minimum"), ("", "exclusiveMaximum")]),
    # strings
    ("a pattern or a length", L, {"type": "string", "pattern": "^a$", "maxLength": 3}, {"type": "string",
     "pattern": "^a$",
     "description": "(maxLength: 3)"}, [("", "maxLength")]),
    ("both", G, {"type": "string", "pattern": "^a$", "maxLength": 3}, {"type": "string", "pattern": "^a$",
     "maxLength": 3}, []),
    ("no length", G, {"type": "string", "minLength": 3, "maxLength": 2}, S, [("", "minLength"), ("", "maxLength")]),
    # arrays
    ("items", L, {"type": "array", "items": {}}, {"type": "array", "items": ANY}, []),
    ("any items", L, {"type": "array", "items": True}, {"type": "array", "items": ANY}, []),
    ("no items", X, {"type": "array", "items": False, "minItems": 2}, {"type": "array", "items": {}, "maxItems": 0},
     []),
    ("booleans are fine", G, {"type": "array", "items": False}, {"type": "array", "items": False}, []),
    ("counted", X, {"type": "array", "minItems": 1}, {"type": "array", "minItems": 1, "items": {}}, []),
    ("counted by the specification", G, {"type": "array", "minItems": 1}, {"type": "array", "minItems": 1}, []),
    ("no count", G, {"type": "array", "minItems": 2, "maxItems": 1}, {"type": "array"}, [("", "minItems"), ("",
     "maxItems")]),
    ("an exact tuple", L, {"type": "array", "prefixItems": [S, {}], "minItems": 2, "items": False},
     {"type": "array", "prefixItems": [S, ANY], "minItems": 2, "maxItems": 2}, []),
    ("another exact tuple", L, {"type": "array", "prefixItems": [S], "minItems": 1, "maxItems": 1},
     {"type": "array", "prefixItems": [S], "minItems": 1, "maxItems": 1}, []),
    ("a closed tuple", L, {"type": "array", "prefixItems": [S, NULL, S], "items": False},
     {"type": "array", "maxItems": 3, "items": union(S, NULL)}, [("", "prefixItems")]),
    ("a short closed tuple", L, {"type": "array", "prefixItems": [S, NULL], "maxItems": 1},
     {"type": "array", "maxItems": 1, "items": union(S)}, [("", "prefixItems")]),
    ("an open tuple", L, {"type": "array", "prefixItems": [S], "minItems": 1}, {"type": "array", "minItems": 1,
     "items": ANY},
     [("", "prefixItems")]),
    ("a tuple and more", L, {"type": "array", "prefixItems": [S], "items": NULL}, {"type": "array", "items": union(S,
     NULL)},
     [("", "prefixItems")]),
    ("a tuple that says it is open", X, {"type": "array", "prefixItems": [S]}, {"type": "array", "prefixItems": [S],
     "items": {}}, []),
    ("tuples by the specification", G, {"type": "array", "prefixItems": [S]}, {"type": "array", "prefixItems": [S]},
     []),
    ("a tuple longer than it may be", X, {"type": "array", "prefixItems": [S, NULL], "maxItems": 1},
     {"type": "array", "prefixItems": [S], "maxItems": 1, "items": {}}, []),
    ("a tuple of none", X, {"type": "array", "prefixItems": [S], "maxItems": 0}, {"type": "array", "maxItems": 0,
     "items": {}}, []),
    ("a tuple shorter than it must be", X, {"type": "array", "prefixItems": [S], "items": False, "minItems": 2},
     {"type": "array", "prefixItems": [S], "items": False, "description": "(minItems: 2)"}, [("", "minItems")]),
    # objects
    ("required is named", X, {**obj(a=S), "required": ["a", "z"]}, {**obj(a=S, z={}), "required": ["a", "z"]}, []),
    ("required alone", L, {"type": "object", "required": ["z"]}, {**obj(z=ANY), "required": ["z"],
     "additionalProperties": True}, []),
    ("required of the others", X, {"type": "object", "required": ["z"], "additionalProperties": S},
     {**obj(z=S), "required": ["z"], "additionalProperties": S}, []),
    ("required and forbidden", X, {**obj(a=S), "required": ["a", "z"], "additionalProperties": False},
     {**obj(a=S), "required": ["a"], "additionalProperties": False}, [("", "required")]),
    ("required by the specification", G, {"type": "object", "required": ["z"]}, {"type": "object",
     "required": ["z"]}, []),
    ("other properties", L, {"type": "object", "additionalProperties": {"items": S}},
     {"type": "object", "additionalProperties": union({"type": "array", "items": S},
      {"type": ["object", "string", "number", "boolean", "null"]})}, []),
    ("any other properties", L, {"type": "object", "additionalProperties": {}}, {"type": "object",
     "additionalProperties": True}, []),
    ("awkward names", L, {**obj(**{"a-b": S}), "required": ["a-b"], "additionalProperties": S}, {"type": "object"},
     [("", "properties")]),
    ("awkward names in a closed object", L, {**obj(**{"a-b": S}), "additionalProperties": False},
     {**obj(**{"a-b": S}), "additionalProperties": False}, []),
    ("names that are not awkward", L, {**obj(a_b=S), "additionalProperties": True}, {**obj(a_b=S),
     "additionalProperties": True}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "schema", "expected", "lost"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_table(row, schema, expected, lost):
    assert at(schema, row) == (expected, lost)


ROOTS = [
    ({}, {"type": "object"}, []),
    (
        {"properties": {"a": S}, "minLength": 2},
        {"properties": {"a": S}, "minLength": 2, "type": "object"},
        [],
    ),
    ({"enum": [{}]}, {"enum": [{}]}, []),
    (union(obj(a=S), obj(b=S)), union(obj(a=S), obj(b=S)), []),
    ({"type": "object", **union({"properties": {"a": S}})}, union(obj(a=S)), []),
    ({**obj(a=S), **union({"required": ["a"]})}, {**obj(a=S), "additionalProperties": True}, ["anyOf"]),
    (
        {**obj(a=S), **union({"required": ["a"]}), "additionalProperties": False},
        {**obj(a=S), "additionalProperties": False},
        ["anyOf"],
    ),
]


@pytest.mark.parametrize(("root", "expected", "lost"), ROOTS)
def test_the_root_is_an_object_with_its_properties_in_sight(root, expected, lost):
    losses = []
    assert shaped(root, TASTES["llama.cpp"], lambda where, what, why: losses.append(what)) == expected
    assert losses == lost


def test_definitions_that_nothing_refers_to_any_more_go():
    root = {**obj(a=REF), "$defs": {"n": obj(b={"$ref": "#/$defs/m"}), "m": {}, "o": S}}
    node = shaped(root, TASTES["llama.cpp"], lambda *_: None)
    assert node == {**obj(a=REF), "$defs": {"n": obj(b={"$ref": "#/$defs/m"}), "m": ANY}}
    assert shaped({"type": "object", "$defs": 3}, TASTES["xgrammar"], lambda *_: None) == {"type": "object"}
