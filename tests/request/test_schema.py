"""The cut: its edges, and the laws that it only ever widens and that a cut of a cut is itself."""

import json
import time

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemas import Dice, compiled, documents, pairs, random_pairs

from understudy.language.request import Request, Tool
from understudy.request import schema as module
from understudy.request.schema import ANY_OBJECT, TASTES, Cut, GrammarTaste, Loss, cut, cut_request

LLAMA = TASTES["llama.cpp"]
ROWS = sorted(name for name, taste in TASTES.items() if taste.cuts)


def small(schema, taste=LLAMA):
    result = cut(json.dumps(schema).encode(), taste)
    return json.loads(result.schema), {(loss.where, loss.what) for loss in result.dropped}


def obj(**properties):
    return {"type": "object", "properties": properties}


def test_both_halves_note_what_is_lost():
    schema = obj(
        a={"type": "string", "format": "uri"}, b={"type": "string", "pattern": "^a$", "maxLength": 3}
    )
    found = cut(json.dumps(schema).encode(), LLAMA)
    assert [str(loss) for loss in found.dropped] == [
        "/properties/a: format: a remark; engines that enforce it forbid valid strings",
        "/properties/b: maxLength: the grammar has room for a pattern or a length, not both",
    ]
    assert json.loads(found.schema) == obj(
        a={"type": "string", "description": "(format: uri)"},
        b={"type": "string", "pattern": "^a$", "description": "(maxLength: 3)"},
    )


def test_rows_differ():
    schema = obj(
        a={"type": "string", "maxLength": 900},
        b={"type": "array", "prefixItems": [{"type": "null"}]},
        c={"type": "integer", "multipleOf": 2},
        d={"type": "string", "pattern": "^x"},
    )
    kept = {name: small(schema, TASTES[name])[0]["properties"] for name in ROWS}
    assert {name for name in ROWS if "maxLength" in kept[name]["a"]} == {"llguidance"}
    assert {name for name in ROWS if "prefixItems" in kept[name]["b"]} == {"llguidance", "xgrammar"}
    assert {name for name in ROWS if "multipleOf" in kept[name]["c"]} == {"llguidance"}
    assert {name for name in ROWS if "pattern" in kept[name]["d"]} == {"llguidance"}


@pytest.mark.parametrize("raw", [b"", b"[", b"\xff", b'{"type": "object", "pattern": "\\\\d"}', b" 1 "])
def test_none_touches_nothing(raw):
    assert cut(raw, TASTES["none"]) == Cut(raw, ())


def test_nothing_to_cut_returns_the_same_bytes():
    raw = b'{ "type":"object",\n "properties":{"b":{"type":"string"},"a":{"enum":[1.0,true]}} }'
    for name in ROWS:
        assert cut(raw, TASTES[name]).schema is raw


def test_key_order_is_kept():
    raw = (
        b'{"required":["z"],"$id":"t","properties":{"z":{"type":"null"},"a":{"type":"null"}},"type":"object"}'
    )
    assert cut(raw, LLAMA).schema == raw.replace(b'"$id":"t",', b"")


def test_ids_below_the_root_stop_references():
    inner = {"$defs": {"s": {"$id": "x", "type": "null"}}, **obj(a={"$ref": "#/$defs/s"})}
    assert small(inner, TASTES["xgrammar"]) == (obj(a={}), {("/properties/a", "$ref")})
    assert small({**inner, "$id": "y", "$defs": {"s": {"type": "null"}}})[0] == obj(a={"type": "null"})


NO_SCHEMAS = [b"", b"null", b"true", b"[1]", b'"x"', b"{", b"\xff", b"1e999", b'{"a":' * 20_000]


@pytest.mark.parametrize("raw", NO_SCHEMAS)
def test_what_is_no_schema_becomes_any_object(raw):
    found = cut(raw, LLAMA)
    assert found.schema == ANY_OBJECT
    assert [(loss.where, loss.what) for loss in found.dropped] == [("", "")]


def test_little_stack_left_gives_any_object_too():
    """The cut recurses deeper than the decoder does; what the caller left of the stack may not be enough for it."""
    raw = b'{"type":"object","properties":{"a":' * 40 + b'{"type":"null"}' + b"}}" * 40

    def below(frames):
        return below(frames - 1) if frames else cut(raw, LLAMA).schema

    seen = set()
    for frames in range(300, 1000, 5):
        try:
            seen.add(below(frames))
        except RecursionError:  # the test's own frames
            break
    assert seen == {raw, ANY_OBJECT}


def twins(levels):
    defs = {f"n{i}": {"anyOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(levels)}
    return {"$defs": {**defs, f"n{levels}": {"type": "string"}}, **obj(a={"$ref": "#/$defs/n0"})}


def ring(length):
    defs = {f"n{i}": obj(a={"$ref": f"#/$defs/n{(i + 1) % length}"}) for i in range(length)}
    return {"$defs": defs, **obj(**{f"p{i}": {"$ref": f"#/$defs/n{i}"} for i in range(length)})}


LARGE = {
    "wide": obj(
        **{f"p{i}": {"type": "string", "description": "x" * 60, "pattern": r"\d"} for i in range(16_000)}
    ),
    "twins": twins(40),
    "a ring": ring(40),
    "one large target, often": {
        "$defs": {"big": {"enum": ["x" * 100_000]}},
        **obj(**{f"p{i}": {"$ref": "#/$defs/big"} for i in range(5_000)}),
    },
    "many branches": {"allOf": [obj(**{f"p{i}": {"type": "string"}}) for i in range(5_000)]},
    "many neighbours": obj(
        a={**obj(**{f"p{i}": {} for i in range(500)}), "anyOf": [{"required": ["p1"]}] * 500}
    ),
    "many oneOf": {"oneOf": [obj(a={"const": i}) for i in range(5_000)]},
    "long name": obj(**{"n" * 1_000_000: obj(**{f"p{i}": {"not": {}} for i in range(9_000)})}),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_schemas_take_their_time_and_no_more(name):
    raw = json.dumps(LARGE[name]).encode()
    started = time.process_time()
    result = cut(raw, LLAMA)
    assert time.process_time() - started < 6
    assert len(result.schema) < 2 * len(raw) + 3_000_000


# --- the laws ---------------------------------------------------------------------------------------------------------

LAW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def obeys(schema, instance, row):
    """The laws, for one schema, one instance of it and one row."""
    found = cut(json.dumps(schema).encode(), TASTES[row])
    after = compiled(json.loads(found.schema))
    assert after is not None
    assert after.is_valid(instance), (row, schema, found)
    assert cut(found.schema, TASTES[row]) == Cut(found.schema, ())


@LAW
@given(pairs(), st.sampled_from(ROWS))
def test_what_was_possible_stays_possible(pair, row):
    obeys(*pair, row)


@pytest.mark.parametrize("row", ROWS)
def test_what_was_possible_stays_possible_in_many(row):
    for schema, instance in random_pairs(f"laws of {row}", 150):
        obeys(schema, instance, row)


@LAW
@given(documents(), st.data(), st.sampled_from(ROWS))
def test_without_a_loss_it_means_the_same(schema, data, row):
    before = compiled(schema)
    assume(before is not None)
    found = cut(json.dumps(schema).encode(), TASTES[row])
    after = compiled(json.loads(found.schema))
    dice = Dice(lambda n: data.draw(st.integers(0, n - 1)))
    for _ in range(6):
        value = {name: dice.value() for name in dice.some(["a", "b", "c", "x y"], 4)}
        was, now = before.is_valid(value), after.is_valid(value)
        assert now or not was
        assert found.dropped or was == now, (row, schema, value, found)


KEYWORDS = ["properties", "allOf", "anyOf", "$ref", "type", "items", "enum", "pattern", "required", "$defs", "minimum",
            "prefixItems", "additionalProperties", "propertyNames", "patternProperties", "const", "oneOf"]  # fmt: skip
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["#", "#/$defs/a", "string", "^a$", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYWORDS, "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(JUNK, st.sampled_from(ROWS))
def test_no_json_crashes_and_a_cut_of_a_cut_is_itself(value, row):
    found = cut(msgspec.json.encode(value), TASTES[row])
    assert isinstance(msgspec.json.decode(found.schema), dict)
    assert cut(found.schema, TASTES[row]) == Cut(found.schema, ())


@given(st.binary(max_size=40), st.sampled_from(ROWS))
def test_no_bytes_crash(raw, row):
    assert msgspec.json.decode(cut(raw, TASTES[row]).schema)


def test_the_laws_bite(monkeypatch):
    """A planted narrowing is seen: the second half forgets that a name may be required without being named."""

    def forgetful(root, taste, lose):
        return {**root, "additionalProperties": False}

    monkeypatch.setattr(module, "shaped", forgetful)
    with pytest.raises(AssertionError):
        obeys({"type": "object", "required": ["a"]}, {"a": 1}, "xgrammar")


def test_a_second_cut_that_loses_something_is_a_bug_of_ours():
    with pytest.raises(AssertionError, match="lost something"):
        module._nothing_more("/a", "not", "because")


# --- a whole question -------------------------------------------------------------------------------------------------


def test_a_question_is_cut_with_its_tools_and_its_format():
    schema = json.dumps(obj(a={"type": "string", "format": "uri"})).encode()
    request = Request("m", (), tools=(Tool("Read", schema=schema), Tool("Now")), format=schema)
    made, lost = cut_request(request, TASTES["xgrammar"])
    expected = obj(a={"type": "string", "description": "(format: uri)"})
    assert [json.loads(tool.schema) for tool in made.tools] == [expected, {"type": "object"}]
    assert json.loads(made.format) == expected
    why = "a remark; engines that enforce it forbid valid strings"
    assert lost == (
        ("Read", Loss("/properties/a", "format", why)),
        ("", Loss("/properties/a", "format", why)),
    )


def test_a_question_without_schemas_stays():
    request = Request("m", ())
    assert cut_request(request, LLAMA) == (request, ())
    assert cut_request(request, GrammarTaste(cuts=False)) == (request, ())
