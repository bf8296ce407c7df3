"""The first half of a cut: plain keywords."""

import pytest

from understudy.request.cutting import DEPTH, LARGEST_BOUND, plain
from understudy.request.tastes import TASTES, GrammarTaste

LLAMA, GUIDANCE = TASTES["llama.cpp"], TASTES["llguidance"]
DRAFT_07 = "http://json-schema.org/draft-07/schema#"
DRAFT_04 = "http://json-schema.org/draft-04/schema#"


def cut(schema, taste=GUIDANCE, *, nested_ids=False):
    node, losses = plain(schema, taste, nested_ids=nested_ids)
    return node, {(loss.where, loss.what) for loss in losses}


def obj(**properties):
    return {"type": "object", "properties": properties}


NODE = obj(next={"$ref": "#/$defs/n"})
S = {"type": "string"}

# name, original, cut (for llguidance), lost
CASES = [
    ("plain", obj(a=S), obj(a=S), set()),
    ("$schema and the unknown", {"$schema": "x2020-12", "x-order": 1, "nullable": True}, {}, set()),
    ("a property called title", obj(title=S), obj(title=S), set()),
    ("pattern", obj(a={"pattern": r"^\d$"}), obj(a={"pattern": "^[0-9]$"}), set()),
    ("lookahead", {"pattern": "^(?=b)b$"}, {"pattern": "^b$"}, {("", "pattern")}),
    ("reference in a pattern", {"pattern": r"^(a)\1$"}, {}, {("", "pattern")}),
    ("a pattern for everything", {"pattern": ""}, {}, set()),
    ("a pattern that is none", {"pattern": 3}, {}, {("", "pattern")}),
    ("format", {"type": "string", "format": "uri"}, S, {("", "format")}),
    ("propertyNames", {"propertyNames": {"pattern": "x"}}, {}, {("", "propertyNames")}),
    ("not", {"not": {}}, {}, {("", "not")}),
    ("if", {"if": {}, "then": {}, "else": {}}, {}, {("", "if"), ("", "then"), ("", "else")}),
    ("if beside properties", {**obj(a=S), "if": {}}, {**obj(a=S), "additionalProperties": True}, {("", "if")}),
    ("dependentRequired", {"dependentRequired": {"a": ["b"]}}, {}, {("", "dependentRequired")}),
    ("minProperties", {"minProperties": 1}, {}, {("", "minProperties")}),
    ("minProperties of none", {"minProperties": 0, "minContains": 0}, {}, set()),
    ("counts", {"minLength": 1.0, "maxItems": 3}, {"minLength": 1, "maxItems": 3}, set()),
    ("a count of none", {"minLength": 0, "minItems": 0, "maxItems": 0}, {"maxItems": 0}, set()),
    ("large counts", {"maxLength": 10**6, "minItems": 10**6}, {}, {("", "maxLength"), ("", "minItems")}),
    ("counts that are none", {"minLength": -1, "maxItems": 1.5, "minItems": "1"}, {},
     {("", "minLength"), ("", "maxItems"), ("", "minItems")}),
    ("bounds", {"minimum": 0, "exclusiveMaximum": 9.5}, {"minimum": 0, "exclusiveMaximum": 9.5}, set()),
    ("large bounds", {"maximum": LARGEST_BOUND, "exclusiveMinimum": LARGEST_BOUND}, {"maximum": LARGEST_BOUND},
     {("", "exclusiveMinimum")}),
    ("bounds of draft-04", {"exclusiveMinimum": True}, {}, {("", "exclusiveMinimum")}),
    ("multipleOf", {"multipleOf": 5}, {"multipleOf": 5}, set()),
    ("multiples of a part", {"multipleOf": 0.5}, {}, {("", "multipleOf")}),
    ("uniqueItems", {"uniqueItems": True}, {}, {("", "uniqueItems")}),
    ("uniqueItems false", {"uniqueItems": False}, {}, set()),
    ("contains", {"contains": {}, "maxContains": 1}, {}, {("", "contains"), ("", "maxContains")}),
    ("const and enum", {"const": None, "enum": [1]}, {"const": None, "enum": [1]}, set()),
    ("const in draft-04", {"$schema": DRAFT_04, "const": 1}, {}, set()),
    ("anyOf", {"anyOf": [{"type": "null"}, False, True]}, {"anyOf": [{"type": "null"}, {}]}, set()),
    ("anyOf without branches", {"anyOf": [False]}, {}, {("", "anyOf")}),
    ("oneOf that differ", {"oneOf": [{"type": "null"}, S]}, {"anyOf": [{"type": "null"}, S]}, set()),
    ("oneOf that overlap", {"oneOf": [S, {}]}, {"anyOf": [S, {}]}, {("", "oneOf")}),
    ("oneOf beside anyOf", {"anyOf": [S], "oneOf": [S]}, {"anyOf": [S]}, {("", "oneOf")}),
    ("oneOf without branches", {"oneOf": []}, {}, {("", "oneOf")}),
    ("many oneOf", {"oneOf": [{"const": i} for i in range(70)]}, {"anyOf": [{"const": i} for i in range(70)]}, {("",
     "oneOf")}),
    ("additionalProperties", {"additionalProperties": {"format": "x"}}, {"additionalProperties": {}},
     {("/additionalProperties", "format")}),
    ("patternProperties", {"patternProperties": {"^x": S}, "additionalProperties": False}, {"additionalProperties": S},
     {("", "patternProperties")}),
    ("two patternProperties", {"patternProperties": {"^x": S, "^y": {"type": "null"}}, "additionalProperties": S},
     {"additionalProperties": {"anyOf": [S, {"type": "null"}, S]}}, {("", "patternProperties")}),
    ("open patternProperties", {"patternProperties": {"^x": S}}, {"additionalProperties": True}, {("",
     "patternProperties")}),
    ("impossible patternProperties", {"patternProperties": {"^x": False}, "additionalProperties": False},
     {"additionalProperties": False}, {("", "patternProperties")}),
    ("patternProperties that are none", {"patternProperties": 3, "additionalProperties": False},
     {"additionalProperties": True}, {("", "patternProperties")}),
    ("a record", {"propertyNames": {"enum": ["a", "b"]}, "additionalProperties": S},
     {"additionalProperties": False, "properties": {"a": S, "b": S}}, set()),
    ("a record with properties", {"propertyNames": {"const": "a", "type": "string"}, "properties": {"a": True, "c": S}},
     {"properties": {"a": {}}, "additionalProperties": False}, set()),
    ("a record of one more", {"propertyNames": {"enum": ["a"]}, "properties": {"c": S}},
     {"properties": {"a": {}}, "additionalProperties": False}, set()),
    ("no record", {"propertyNames": {"enum": ["a", 1]}, "additionalProperties": S}, {"additionalProperties": S},
     {("", "propertyNames")}),
    ("no record of strings", {"propertyNames": {"enum": ["a"], "type": "number"}}, {}, {("", "propertyNames")}),
    ("no record beside a closed object", {"propertyNames": {"enum": ["a"]}, "additionalProperties": False},
     {"additionalProperties": False}, {("", "propertyNames")}),
    ("properties that are none", {"properties": []}, {}, {("", "properties")}),
    ("false", obj(a=False), obj(a={}), {("/properties/a", "")}),
    ("no schema", obj(a=3), obj(a={}), {("/properties/a", "")}),
    ("tuples", {"prefixItems": [S], "items": False}, {"prefixItems": [S], "items": False}, set()),
    ("tuples that are none", {"prefixItems": [], "items": [S]}, {}, {("", "prefixItems"), ("", "items")}),
    ("old tuples", {"$schema": DRAFT_07, "items": [S], "additionalItems": False}, {"prefixItems": [S],
     "items": False}, set()),
    ("old open tuples", {"$schema": DRAFT_07, "items": [S]}, {"prefixItems": [S]}, set()),
    ("new words in old drafts", {"$schema": DRAFT_07, "prefixItems": [S], "items": S, "additionalItems": S},
     {"items": S},
     set()),
    ("ill-formed", {"type": "objekt", "enum": [], "required": True, "anyOf": 3, "allOf": 4}, {},
     {("", "type"), ("", "enum"), ("", "required"), ("", "anyOf"), ("", "allOf")}),
    ("allOf", {"allOf": [{"type": "object", "required": ["a"]}, obj(b={})], "title": "T"},
     {"type": "object", "required": ["a"], "properties": {"b": {}}}, set()),
    ("$ref", {"$defs": {"s": S}, **obj(a={"$ref": "#/$defs/s"})}, obj(a=S), set()),
    ("$ref with neighbours", {"$defs": {"s": S}, **obj(a={"$ref": "#/$defs/s", "maxLength": 3})},
     obj(a={"maxLength": 3, "type": "string"}), set()),
    ("$ref hides its neighbours", {"$schema": DRAFT_07, "definitions": {"s": S},
     **obj(a={"$ref": "#/definitions/s", "maxLength": 1})}, obj(a=S), set()),
    ("$ref to anything", {"$defs": {"t": True}, **obj(a={"$ref": "#/$defs/t"})}, obj(a={}), set()),
    ("$ref to nowhere", obj(a={"$ref": "#/x", **obj(b=S)}), obj(a={**obj(b=S), "additionalProperties": True}),
     {("/properties/a", "$ref")}),
    ("$dynamicRef", obj(a={"$dynamicRef": "#x"}), obj(a={}), {("/properties/a", "$dynamicRef")}),
    ("a tree", {"$defs": {"n": NODE}, **obj(a={"$ref": "#/$defs/n"})},
     {**obj(a={"$ref": "#/$defs/n"}), "$defs": {"n": NODE}}, set()),
    ("a tree at the root", {"$defs": {"n": NODE}, "$ref": "#/$defs/n"}, {**NODE, "$defs": {"n": NODE}}, set()),
    ("the whole in itself", obj(a={"$ref": "#"}), {**obj(a={"$ref": "#/$defs/root"}), "$defs": {"root":
     obj(a={"$ref": "#/$defs/root"})}}, set()),
    ("a tree with neighbours", {"$defs": {"n": NODE}, **obj(a={"$ref": "#/$defs/n", "required": ["next"]})},
     {**obj(a={**NODE, "required": ["next"]}), "$defs": {"n": NODE}}, set()),
    ("neighbours inside the tree", {"$defs": {"n": obj(next={"$ref": "#/$defs/n", "required": ["next"]})},
     "$ref": "#/$defs/n"}, obj(next={"required": ["next"], "type": "object"}), {("/$ref/properties/next", "$ref")}),
    ("a branch that is the whole", {"$defs": {"n": {"anyOf": [S, {"$ref": "#/$defs/n"}]}},
     **obj(a={"$ref": "#/$defs/n"})},
     obj(a={"anyOf": [S, {}]}), {("/properties/a/$ref/anyOf/1", "$ref")}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected", "lost"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_table(schema, expected, lost):
    assert cut(schema) == (expected, lost)


def test_without_recursion_a_tree_ends_in_its_type():
    taste = GrammarTaste()
    root = {"$defs": {"n": NODE, "bare": {"properties": NODE["properties"]}}, **obj(a={"$ref": "#/$defs/n"})}
    assert cut(root, taste) == (
        obj(a=obj(next={"type": "object"})),
        {("/properties/a/$ref/properties/next", "$ref")},
    )
    untyped = {"$defs": {"n": {"properties": {"a": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
    assert cut(untyped, taste)[0] == {"properties": {"a": {}}}
    hidden = {"$schema": DRAFT_07, "definitions": {"n": obj(a={"type": "null", "$ref": "#/definitions/n"})},
              **obj(b={"$ref": "#/definitions/n"})}  # fmt: skip
    assert cut(hidden, taste)[0] == obj(b=obj(a={"type": "object"}))


def test_intertwined_trees_are_all_known_in_the_end():
    a, b = obj(b={"$ref": "#/$defs/b"}), obj(a={"$ref": "#/$defs/a"}, b={"$ref": "#/$defs/b"})
    root = {"$defs": {"a": a, "b": b}, **obj(x={"$ref": "#/$defs/a"}, y={"$ref": "#/$defs/b"})}
    node, lost = cut(root)
    assert lost == set()
    assert node == {**obj(x={"$ref": "#/$defs/a"}, y={"$ref": "#/$defs/b"}), "$defs": {"a": a, "b": b}}


def test_words_are_kept_and_told_where_the_model_reads_them():
    schema = {
        "title": "T",
        "description": "d",
        "default": 1,
        "examples": [1],
        "$comment": "c",
        "format": "uri",
    }
    assert cut(schema, LLAMA)[0] == {
        "title": "T",
        "description": "d (format: uri)",
        "default": 1,
        "examples": [1],
    }
    assert cut(schema, GUIDANCE)[0] == {}
    assert cut({"title": 3, "description": [], "default": None}, LLAMA)[0] == {"default": None}


def test_a_row_without_patterns_or_lengths_says_so():
    bare = GrammarTaste(words=False)
    _, losses = plain({"pattern": "^a$", "minLength": 1, "multipleOf": 2}, bare, nested_ids=False)
    assert [(loss.what, loss.why) for loss in losses] == [
        ("pattern", "no grammar holds it"),
        ("minLength", "the grammar misreads it: a string of limited length could hold no quote"),
        ("multipleOf", "no grammar holds it"),
    ]


def test_below_an_id_nothing_is_followed():
    root = {"$defs": {"s": {"$id": "x", "type": "null"}}, **obj(a={"$ref": "#/$defs/s"})}
    assert cut(root, nested_ids=True) == (obj(a={}), {("/properties/a", "$ref")})


def test_depth_has_an_end():
    schema = S
    for _ in range(DEPTH + 5):
        schema = {"type": "array", "items": schema}
    _, lost = cut(schema)
    assert lost == {("/items" * (DEPTH + 1), "")}
