"""The cut: what goes, what stays, and the law that it only ever widens."""

import json
import time

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from understudy.request.schema import ANY_OBJECT, TASTES, Cut, GrammarTaste, cut

LLAMA = TASTES["llama.cpp"]
GRAMMARS = [name for name, taste in TASTES.items() if taste.cuts]


def small(schema, taste=LLAMA):
    result = cut(json.dumps(schema).encode(), taste)
    return json.loads(result.schema), set(result.dropped)


def obj(**properties):
    return {"type": "object", "properties": properties}


# name, original, cut, dropped
CASES = [
    ("plain", obj(a={"type": "string"}), obj(a={"type": "string"}), set()),
    ("$schema", {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}, {"type": "object"}, set()),
    (
        "annotations",
        {"title": "T", "description": "kept", "default": {}, "examples": [1], "$comment": "c", "type": "object"},
        {"description": "kept", "type": "object"},
        set(),
    ),
    ("a property called title", obj(title={"type": "string"}), obj(title={"type": "string"}), set()),
    ("\\d", obj(a={"pattern": r"^\d+$"}), obj(a={}), {"/properties/a/pattern"}),
    ("\\w", obj(a={"pattern": r"^\w+$"}), obj(a={}), {"/properties/a/pattern"}),
    ("\\s", obj(a={"pattern": r"^\s*$"}), obj(a={}), {"/properties/a/pattern"}),
    ("lookahead", obj(a={"pattern": "^(?=.*x).+$"}), obj(a={}), {"/properties/a/pattern"}),
    ("half anchored", obj(a={"pattern": "^ab"}), obj(a={}), {"/properties/a/pattern"}),
    ("alternation escapes the anchors", obj(a={"pattern": "^a|b$"}), obj(a={}), {"/properties/a/pattern"}),
    ("plain pattern", obj(a={"pattern": "^[a-z0-9-]{1,40}$"}), obj(a={"pattern": "^[a-z0-9-]{1,40}$"}), set()),
    ("format", obj(a={"type": "string", "format": "uri"}), obj(a={"type": "string"}), {"/properties/a/format"}),
    ("propertyNames", {"type": "object", "propertyNames": {"pattern": "x"}}, {"type": "object"}, {"/propertyNames"}),
    (
        "if then else",
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}},
        {},
        {"/if", "/then", "/else"},
    ),
    ("not", {"type": "object", "not": {"required": ["a"]}}, {"type": "object"}, {"/not"}),
    ("dependentSchemas", {"dependentSchemas": {"a": {"required": ["b"]}}}, {}, {"/dependentSchemas"}),
    ("dependentRequired", {"dependentRequired": {"a": ["b"]}}, {}, {"/dependentRequired"}),
    ("huge maxLength", obj(a={"maxLength": 100_000}), obj(a={}), {"/properties/a/maxLength"}),
    ("small maxLength", obj(a={"maxLength": 20}), obj(a={"maxLength": 20}), set()),
    ("huge minLength", obj(a={"minLength": 5000}), obj(a={}), {"/properties/a/minLength"}),
    ("huge maxItems", obj(a={"maxItems": 10**9}), obj(a={}), {"/properties/a/maxItems"}),
    ("ranges", obj(a={"minimum": 0, "exclusiveMaximum": 9.5}), obj(a={"minimum": 0, "exclusiveMaximum": 9.5}), set()),
    ("unsafe range", obj(a={"maximum": 2**60}), obj(a={}), {"/properties/a/maximum"}),
    ("draft-04 exclusiveMinimum", obj(a={"exclusiveMinimum": True}), obj(a={}), {"/properties/a/exclusiveMinimum"}),
    ("multipleOf", obj(a={"multipleOf": 5}), obj(a={}), {"/properties/a/multipleOf"}),
    ("uniqueItems", obj(a={"uniqueItems": True}), obj(a={}), {"/properties/a/uniqueItems"}),
    ("uniqueItems false", obj(a={"uniqueItems": False}), obj(a={}), set()),
    ("contains takes maxContains along", {"contains": {"pattern": "x"}, "maxContains": 1}, {}, {"/contains",
     "/maxContains"}),
    ("const and enum", obj(a={"const": None}, b={"enum": [1, "x"]}), obj(a={"const": None}, b={"enum": [1, "x"]}), set()),
    ("anyOf", {"anyOf": [{"type": "null"}, False, True]}, {"anyOf": [{"type": "null"}, {}]}, set()),
    ("oneOf kept", {"oneOf": [{"type": "null"}, {"type": "object"}]}, {"oneOf": [{"type": "null"},
     {"type": "object"}]}, set()),
    (
        "oneOf with a widened branch",
        {"oneOf": [{"type": "string", "format": "uri"}, {"type": "string"}]},
        {"anyOf": [{"type": "string"}, {"type": "string"}]},
        {"/oneOf", "/oneOf/0/format"},
    ),
    ("anyOf without branches", {"anyOf": [False]}, {}, {"/anyOf"}),
    (
        "patternProperties takes additionalProperties along",
        {"patternProperties": {"^x-": {}}, "additionalProperties": False},
        {},
        {"/patternProperties", "/additionalProperties"},
    ),
    ("additionalProperties", {"additionalProperties": {"format": "x", "type": "null"}},
     {"additionalProperties": {"type": "null"}},
     {"/additionalProperties/format"}),
    ("unevaluatedProperties", {"unevaluatedProperties": False}, {}, {"/unevaluatedProperties"}),
    ("false property", obj(a=False), obj(a={}), {"/properties/a"}),
    ("true property", obj(a=True), obj(a={}), set()),
    ("$ref", {"$defs": {"s": {"type": "string"}}, **obj(a={"$ref": "#/$defs/s"})}, obj(a={"type": "string"}), set()),
    (
        "$ref with neighbours",
        {"$defs": {"s": {"type": ["string", "null"], "maxLength": 9}}, **obj(a={"$ref": "#/$defs/s",
         "type": "string", "maxLength": 12})},
        obj(a={"type": "string", "maxLength": 9}),
        set(),
    ),
    (
        "$ref hides its neighbours in draft-07",
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"s": {"type": "string"}},
         **obj(a={"$ref": "#/definitions/s", "maxLength": 1})},
        obj(a={"type": "string"}),
        set(),
    ),
    ("$ref to the whole", obj(a={"$ref": "#"}), obj(a={"type": "object"}), {"/properties/a/$ref"}),
    (
        "recursive $ref",
        {"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
        obj(next={"type": "object"}),
        {"/$ref/properties/next/$ref"},
    ),
    ("$ref escapes", {"$defs": {"a/b~c": {"type": "null"}}, **obj(a={"$ref": "#/$defs/a~1b~0c"})},
     obj(a={"type": "null"}), set()),
    ("$ref into a list", {**obj(a={"$ref": "#/anyOf/1"}), "anyOf": [{}, {"type": "object"}]},
     {**obj(a={"type": "object"}), "anyOf": [{}, {"type": "object"}]}, set()),
    ("$ref to true", {"$defs": {"t": True}, **obj(a={"$ref": "#/$defs/t"})}, obj(a={}), set()),
    ("$ref through a value", {"title": "x", **obj(a={"$ref": "#/title/y"})}, obj(a={}), {"/properties/a/$ref"}),
    ("allOf of the same items", {"allOf": [{"items": False}, {"items": False}]}, {"items": False}, set()),
    ("allOf of descriptions", {"allOf": [{"description": "a"}, {"description": "b"}]}, {"description": "a"}, set()),
    ("$ref to nowhere", obj(a={"$ref": "#/$defs/x"}), obj(a={}), {"/properties/a/$ref"}),
    ("remote $ref", obj(a={"$ref": "http://127.0.0.1:9/x"}), obj(a={}), {"/properties/a/$ref"}),
    ("$ref under a nested $id", {"$defs": {"s": {"$id": "x", "type": "null"}}, **obj(a={"$ref": "#/$defs/s"})}, obj(a={}),
     {"/properties/a/$ref"}),
    ("$dynamicRef", obj(a={"$dynamicRef": "#x"}), obj(a={}), {"/properties/a/$dynamicRef"}),
    (
        "allOf",
        {"type": "object", "allOf": [{**obj(a={"type": "string"}), "required": ["a"]}, {**obj(b={}), "required": ["b"]}]},
        {**obj(a={"type": "string"}, b={}), "required": ["a", "b"]},
        set(),
    ),
    ("allOf on one property", {"allOf": [obj(a={"minimum": 1}), obj(a={"minimum": 3, "maximum": 5})]},
     obj(a={"minimum": 3, "maximum": 5}), set()),
    ("allOf of types", {"allOf": [{"type": ["number", "null"]}, {"type": ["integer", "string"]}]},
     {"type": "integer"}, set()),
    ("allOf of two anyOf", {"allOf": [{"anyOf": [{"type": "null"}]}, {"anyOf": [{"type": "object"}]}]},
     {"anyOf": [{"type": "null"}]}, {"/allOf/1/anyOf"}),
    ("allOf under additionalProperties", {"allOf": [{**obj(a={}), "additionalProperties": False}, obj(b={})]},
     {**obj(a={}, b={}), "additionalProperties": False}, {"/allOf/1/additionalProperties"}),
    ("allOf of tuples", {"allOf": [{"prefixItems": [{}], "items": False}, {"prefixItems": [{}, {"type": "null"}]}]},
     {"prefixItems": [{}], "items": False}, {"/allOf/1/items"}),
    ("tuples", {"prefixItems": [{"type": "null"}], "items": False}, {"prefixItems": [{"type": "null"}],
     "items": False}, set()),
    ("old tuples", {"items": [{"type": "null"}]}, {}, {"/items"}),
    ("an unknown keyword says nothing", {"x-order": 1, "nullable": True}, {}, set()),
    ("ill-formed keywords", {"type": "objekt", "enum": [], "required": True, "properties": [], "anyOf": 3, "allOf": 4},
     {}, {"/type", "/enum", "/required", "/properties", "/anyOf", "/allOf"}),
    ("draft-04 has no const", {"$schema": "http://json-schema.org/draft-04/schema#", "const": 1}, {}, {"/const"}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected", "dropped"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_table(schema, expected, dropped):
    assert small(schema) == (expected, dropped)


def test_every_taste_drops_what_breaks_grammars():
    schema = obj(
        a={"pattern": r"^\d$", "format": "uri", "maxLength": 10**6}, b={"not": {}}, c={"propertyNames": {}}
    )
    for name in GRAMMARS:
        assert small(schema, TASTES[name])[0] == obj(a={}, b={}, c={})


def test_tastes_differ():
    schema = obj(
        a={"pattern": "^x$", "maxLength": 900},
        b={"prefixItems": [{}], "items": False},
        c={"minProperties": 1},
    )
    assert small(schema, TASTES["vllm"])[0]["properties"]["a"] == {"pattern": "^x$", "maxLength": 900}
    assert small(schema, TASTES["ollama"])[0] == obj(a={}, b={}, c={})
    assert small(schema, GrammarTaste(counts=True))[0]["properties"]["c"] == {"minProperties": 1}


@pytest.mark.parametrize("raw", [b"", b"[", b"\xff", b'{"type": "object", "pattern": "\\\\d"}', b" 1 "])
def test_none_touches_nothing(raw):
    assert cut(raw, TASTES["none"]) == Cut(raw, ())


def test_nothing_to_cut_returns_the_same_bytes():
    raw = b'{ "type":"object",\n "properties":{"b":{"type":"string"},"a":{"enum":[1.0,true]}} }'
    assert cut(raw, LLAMA).schema is raw


def test_key_order_is_kept():
    raw = b'{"required":["z"],"title":"t","properties":{"z":{},"a":{}},"type":"object"}'
    assert cut(raw, LLAMA).schema == b'{"required":["z"],"properties":{"z":{},"a":{}},"type":"object"}'


NO_SCHEMAS = [
    b"",
    b"null",
    b"true",
    b"[1]",
    b'"x"',
    b"{",
    b"\xff",
    b"1e999",
    b'{"maximum":1e999}',
    b'{"a":' * 20_000,
]


@pytest.mark.parametrize("raw", NO_SCHEMAS)
def test_what_is_no_schema_becomes_any_object(raw):
    assert cut(raw, LLAMA) == Cut(ANY_OBJECT, ("",))


def test_depth_has_an_end():
    raw = b'{"properties":{"a":' * 200 + b"{}" + b"}}" * 200
    result = cut(raw, LLAMA)
    assert result.dropped == ("/properties/a" * 49,)
    assert msgspec.json.decode(result.schema)


def test_little_stack_left_gives_any_object_too():
    """The cut recurses deeper than the decoder does; what the caller left of the stack may not be enough for it."""
    raw = b'{"properties":{"a":' * 40 + b"{}" + b"}}" * 40

    def below(frames):
        return below(frames - 1) if frames else cut(raw, LLAMA)

    seen = set()
    for frames in range(300, 1000, 5):
        try:
            seen.add(below(frames))
        except RecursionError:  # the test's own frames
            break
    assert seen == {Cut(raw, ()), Cut(ANY_OBJECT, ("",))}


def twins(levels):
    defs = {f"n{i}": {"anyOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(levels)}
    return {"$defs": {**defs, f"n{levels}": {"type": "string"}}, "$ref": "#/$defs/n0"}


LARGE = {
    "wide": obj(
        **{f"p{i}": {"type": "string", "description": "x" * 60, "pattern": r"\d"} for i in range(16_000)}
    ),
    "twins": twins(40),
    "one large target, often": {
        "$defs": {"big": {"enum": ["x" * 100_000]}},
        **obj(**{f"p{i}": {"$ref": "#/$defs/big"} for i in range(5_000)}),
    },
    "many branches": {"allOf": [obj(**{f"p{i}": {"type": "string"}}) for i in range(20_000)]},
    "long name": obj(**{"n" * 1_000_000: obj(**{f"p{i}": {"not": {}} for i in range(9_000)})}),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_schemas_take_linear_time(name):
    raw = json.dumps(LARGE[name]).encode()
    started = time.process_time()
    result = cut(raw, LLAMA)
    assert time.process_time() - started < 5
    assert len(result.schema) < len(raw) + 3_000_000


# --- the law -----------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 2, 5, 1.5, 3.0, "", "a", "ab", "7"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["null", "boolean", "object", "array", "number", "string", "integer"])
COUNT = st.integers(0, 3)
REFS = st.sampled_from(["#", "#/$defs/x", "#/$defs/y", "#/properties/a", "#/$defs/x/items"])


def keywords(inner):
    some = st.lists(inner, min_size=1, max_size=3)
    table = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=4, unique_by=json.dumps),
        "const": VALUES,
        "required": st.lists(NAMES, max_size=2, unique=True),
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=2),
        "dependentSchemas": st.dictionaries(NAMES, inner, max_size=2),
        "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2),
        "pattern": st.sampled_from(["^a$", "^[a-c]+$", "b", r"\d", "^(?=a)"]),
        "uniqueItems": st.booleans(),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "format": st.sampled_from(["uri", "email"]),
        "$ref": REFS,
        "title": st.just("t"),
        "description": st.just("d"),
        **dict.fromkeys(
            ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), COUNT
        ),
        **dict.fromkeys(("minContains", "maxContains"), COUNT),
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), COUNT),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
        **dict.fromkeys(("not", "if", "then", "else", "contains", "propertyNames", "items"), inner),
        **dict.fromkeys(("additionalProperties", "unevaluatedProperties", "unevaluatedItems"), inner),
    }
    picked = st.lists(st.sampled_from(sorted(table)), max_size=4, unique=True)
    return picked.flatmap(lambda keys: st.fixed_dictionaries({key: table[key] for key in keys}))


SCHEMAS = st.recursive(st.booleans() | TYPES.map(lambda t: {"type": t}), keywords, max_leaves=8)
DRAFTS = [
    "2020-12",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema#",
]


@st.composite
def documents(draw):
    root = {**draw(keywords(SCHEMAS)), "$defs": {"x": draw(SCHEMAS), "y": draw(SCHEMAS)}}
    draft = draw(st.sampled_from(DRAFTS))
    return root if draft == "2020-12" else {**root, "$schema": draft}


def compiled(schema):
    try:
        return jsonschema_rs.validator_for(schema, offline=True, validate_formats=False)
    except ValueError:
        return None


LAW = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@LAW
@given(documents(), st.lists(VALUES, min_size=8, max_size=12), st.sampled_from(GRAMMARS))
def test_the_cut_only_widens(schema, instances, taste):
    before = compiled(schema)
    assume(before is not None)
    result = cut(json.dumps(schema).encode(), TASTES[taste])
    after = compiled(json.loads(result.schema))
    assert after is not None
    for instance in instances:
        was, now = before.is_valid(instance), after.is_valid(instance)
        assert now or not was, (instance, result)
        if not result.dropped:
            assert was == now, (instance, result)


@LAW
@given(
    st.recursive(
        VALUES,
        lambda inner: st.dictionaries(
            st.sampled_from(["properties", "allOf", "$ref", "type", "items", "enum"]), inner
        ),
    )
)
def test_no_input_crashes(value):
    assert msgspec.json.decode(cut(json.dumps(value).encode(), LLAMA).schema) is not None


def test_the_law_bites():
    """A planted narrowing is seen: keeping `oneOf` over a widened branch excludes what was valid."""
    original = {"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^b"}]}
    wrong = {"oneOf": [{"type": "string"}, {"type": "string"}]}
    assert compiled(original).is_valid("ab")
    assert not compiled(wrong).is_valid("ab")
    assert compiled(small(original)[0]).is_valid("ab")
