"""The rows, against the real thing: llama.cpp's converter, llguidance, and xgrammar where it is installed.

Each fact that made a field is shown on the uncut schema; then the cut schema is shown to be accepted, and the value to be
possible. The same for many random schemas, each with a value that its original admits.
"""

import functools
import json
import subprocess
import sys

import llguidance
import msgspec
import pytest
from gbnf import Gbnf
from schemas import random_pairs
from spelling import texts

from understudy.engines import KINDS
from understudy.request.schema import TASTES, cut

S, NULL = {"type": "string"}, {"type": "null"}


def obj(**properties):
    return {"type": "object", "properties": properties}


def required(schema, *names):
    return {**schema, "required": [*names]}


def has(**schema):
    """The schema of a property x, which must be there."""
    return required(obj(x=schema), "x")


TREE = {"$defs": {"n": obj(next={"$ref": "#/$defs/n"})}, **obj(a={"$ref": "#/$defs/n"})}
MANY = {
    f"{row} {seed}": pair
    for row in ("llama.cpp", "ollama")
    for seed, pair in enumerate(random_pairs(row, 30))
}

FACTS = {
    "digits": (has(type="string", pattern=r"^\d+$"), {"x": "42"}),
    "found anywhere": (has(type="string", pattern="b"), {"x": "abc"}),
    "a lookahead": (has(type="string", pattern="^(?=b)b$"), {"x": "b"}),
    "a class of letters": (has(type="string", pattern=r"^\p{L}$"), {"x": "é"}),
    "anything but a slash": (has(type="string", pattern="^[^/]+$"), {"x": 'say "hi"\n'}),
    "a backslash": (has(type="string", pattern=r"^a\\b$"), {"x": "a\\b"}),
    "a length": (has(type="string", minLength=1, maxLength=20), {"x": 'say "hi"\n'}),
    "a large length": (has(type="string", maxLength=100_000), {"x": "a"}),
    "a large least length": (has(type="string", minLength=3_000), {"x": "a" * 3_000}),
    "a format": (has(type="string", format="date-time"), {"x": "2024-05-06T07:08:09.123456+02:00"}),
    "an unknown format": (has(type="string", format="made-up"), {"x": "a"}),
    "a remark about the format": (has(type="string", format="date"), {"x": "tomorrow"}),
    "a fraction": (has(type="number", minimum=0, maximum=1), {"x": 0.123456789}),
    "a fraction below a fraction": (has(type="number", maximum=2.25), {"x": 2.2}),
    "a fractional bound": (has(type="integer", minimum=1.5), {"x": 2}),
    "a turned range": ({**obj(x={"type": "integer", "minimum": 5, "maximum": 1})}, {}),
    "items true": (has(type="array", items=True), {"x": [1]}),
    "items false": (has(type="array", items=False), {"x": []}),
    "counted without items": (has(type="array", minItems=1), {"x": [1]}),
    "a tuple and more": (has(type="array", prefixItems=[S], items=NULL), {"x": ["a", None, None]}),
    "an open tuple": (has(type="array", prefixItems=[S]), {"x": ["a", 1]}),
    "a closed tuple": (has(type="array", prefixItems=[S, S], minItems=2, items=False), {"x": ["a", "b"]}),
    "unique items": (has(type="array", items=S, uniqueItems=True), {"x": ["a", "b"]}),
    "a property that is false": (obj(x=False, y=S), {"y": "a"}),
    "required without a name": (required({"type": "object"}, "z"), {"z": 1}),
    "required beside a name": ({**required(obj(a=S), "z"), "additionalProperties": True}, {"z": 1}),
    "names by pattern": (has(type="object", patternProperties={"^x-": S}), {"x": {"x-1": "a", "y": "b"}}),
    "at least one": (has(type="object", minProperties=1), {"x": {"a": 1}}),
    "properties without a type": (has(properties={"a": S}), {"x": "no object"}),
    "items without a type": (has(items=S), {"x": "no list"}),
    "only a description": (has(description="anything"), {"x": [1]}),
    "neighbours of anyOf": (has(**obj(a=S, b=S), anyOf=[{"required": ["a"]}, {"required": ["b"]}]), {"x": {"b": "c"}}),
    "allOf": (has(allOf=[required(obj(a=S), "a"), required(obj(b=S), "b")]), {"x": {"a": "", "b": ""}}),
    "oneOf that overlap": (has(oneOf=[S, {"type": ["string", "null"]}]), {"x": None}),
    "not": (has(**{"type": "object", "not": {"required": ["a"]}}), {"x": {"b": 1}}),
    "if": ({**obj(a=S), "if": {"required": ["a"]}, "then": obj(b=S)}, {"a": "", "b": ""}),
    "a tree": (TREE, {"a": {"next": {"next": {}}}}),
    "the whole in itself": (obj(a={"$ref": "#"}), {"a": {"a": {}}}),
    "a name with a slash": ({"$defs": {"a/b": S}, **obj(a={"$ref": "#/$defs/a~1b"})}, {"a": "x"}),
    "values of another type": (has(type="string", enum=["a", 1]), {"x": "a"}),
    "an awkward name": ({**obj(**{"a]b": S}), "additionalProperties": True}, {"a]b": "x"}),
}  # fmt: skip


class Refused(Exception):
    """The engine does not take the schema."""


def takes(engine, row, schema, value):
    """Whether the engine takes the schema, and the value under it.

    "refused", "impossible" or "possible"; "closed" where the engine closes an object that would have to be open.
    """
    ways = texts(schema, value, closes=TASTES[row].closes, required_first=row in ("llama.cpp", "ollama"))
    try:
        found = list(engine(schema, ways))
    except Refused:
        return "refused"
    return "possible" if any(found) else "impossible" if ways else "closed"


def all_possible(found):
    """Nothing impossible, and few for which a closed object is the reason."""
    return set(found) <= {"possible", "closed"} and found.count("closed") < len(found) / 20


def small(row, schema):
    return json.loads(cut(json.dumps(schema).encode(), TASTES[row]).schema)


# --- llama.cpp --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grammars():
    """What real llama.cpp makes of every schema of this file, cut and uncut: one run, because starting takes a second."""
    cuts = [small(row, schema) for schema, _ in FACTS.values() for row in ("llama.cpp", "ollama")]
    cuts += [small(name.split()[0], schema) for name, (schema, _) in MANY.items()]
    originals = [schema for schema, _ in FACTS.values()]
    lines = [*(cuts[i : i + 20] for i in range(0, len(cuts), 20)), *([schema] for schema in originals)]
    program = str(__file__).replace("test_tastes", "llamacpp_grammars")
    done = subprocess.run(
        [sys.executable, program],
        input="\n".join(map(json.dumps, lines)),
        capture_output=True,
        text=True,
        check=True,
    )
    made = [result for line in done.stdout.splitlines() for result in json.loads(line)]
    return dict(zip(map(json.dumps, [*cuts, *originals]), made, strict=True))


@functools.cache
def gbnf(grammar):
    return Gbnf(grammar)


def llama_cpp(grammars):
    def engine(schema, ways):
        made = grammars[json.dumps(schema)]
        if "error" in made:
            raise Refused(made["error"])
        return [gbnf(made["grammar"]).admits(made["rule"], way) for way in ways]

    return engine


LLAMA_CPP_MISREADS = {
    "found anywhere": "possible",
    "an unknown format": "possible",
    "a format": "impossible",
    "a remark about the format": "impossible",
    "a backslash": "impossible",
    "a large least length": "refused",
    "items true": "refused",
    "items false": "refused",
    "a tuple and more": "impossible",
    "an open tuple": "impossible",
    "a closed tuple": "refused",
    "a property that is false": "refused",
    "properties without a type": "impossible",
    "items without a type": "impossible",
    "if": "impossible",
    "names by pattern": "possible",
    "the whole in itself": "refused",
    "a name with a slash": "refused",
    "an awkward name": "refused",
    "a tree": "possible",
}


@pytest.mark.parametrize("name", LLAMA_CPP_MISREADS)
def test_what_llama_cpp_makes_of_the_original(name, grammars):
    schema, value = FACTS[name]
    engine = llama_cpp(grammars)
    try:
        found = "possible" if any(engine(schema, [json.dumps(value, ensure_ascii=False)])) else "impossible"
    except Refused:
        found = "refused"
    assert found == LLAMA_CPP_MISREADS[name]


@pytest.mark.parametrize("row", ["llama.cpp", "ollama"])
@pytest.mark.parametrize("name", FACTS)
def test_llama_cpp_takes_the_cut(name, row, grammars):
    schema, value = FACTS[name]
    assert takes(llama_cpp(grammars), row, small(row, schema), value) == "possible"


@pytest.mark.parametrize("row", ["llama.cpp", "ollama"])
def test_llama_cpp_takes_any_cut(row, grammars):
    pairs = [pair for name, pair in MANY.items() if name.startswith(row)]
    assert all_possible(
        [takes(llama_cpp(grammars), row, small(row, schema), value) for schema, value in pairs]
    )


def test_the_definitions_of_two_tools_do_not_meet():
    """llama.cpp keeps one definition for each name, whichever tool it is of."""
    lists = {
        "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}},
        **obj(a={"$ref": "#/$defs/n"}),
    }
    names = [next(iter(small("llama.cpp", schema)["$defs"])) for schema in (TREE, lists)]
    assert names[0] != names[1]


# --- llguidance -------------------------------------------------------------------------------------------------------

BYTES = llguidance.LLTokenizer("byte")


def guidance(schema, ways):
    text = msgspec.json.encode(schema).decode()  # numbers are spelt as they are in the schema
    grammar = llguidance.LLMatcher.grammar_from_json_schema(text)
    if wrong := llguidance.LLMatcher.validate_grammar(grammar, BYTES):
        raise Refused(wrong)
    for way in ways:
        matcher, tokens = llguidance.LLMatcher(BYTES, grammar), list(way.encode())
        yield matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


LLGUIDANCE_MISREADS = {
    "a lookahead": "refused",
    "an unknown format": "refused",
    "a remark about the format": "impossible",
    "a fraction below a fraction": "impossible",
    "a turned range": "possible",
    "unique items": "refused",
    "oneOf that overlap": "refused",
    "not": "refused",
    "if": "refused",
}


@pytest.mark.parametrize("name", LLGUIDANCE_MISREADS)
def test_what_llguidance_makes_of_the_original(name):
    schema, value = FACTS[name]
    assert takes(guidance, "llguidance", schema, value) == LLGUIDANCE_MISREADS[name]


@pytest.mark.parametrize("name", FACTS)
def test_llguidance_takes_the_cut(name):
    schema, value = FACTS[name]
    assert takes(guidance, "llguidance", small("llguidance", schema), value) == "possible"


def test_llguidance_takes_any_cut():
    pairs = random_pairs("llguidance", 120)
    assert all_possible(
        [takes(guidance, "llguidance", small("llguidance", schema), value) for schema, value in pairs]
    )


# --- xgrammar: needs torch, so it is no development dependency ----------------------------------------------------------


@pytest.mark.live
def test_xgrammar_takes_the_cut():
    xgrammar = pytest.importorskip(
        "xgrammar", reason="vLLM's grammar library is not installed; it needs torch"
    )
    testing = pytest.importorskip("xgrammar.testing")

    def engine(schema, ways):
        try:
            grammar = xgrammar.Grammar.from_json_schema(json.dumps(schema))
        except RuntimeError as error:
            raise Refused(str(error)) from error
        return [testing._is_grammar_accept_string(grammar, way) for way in ways]

    pairs = [*FACTS.values(), *random_pairs("xgrammar", 120)]
    assert all_possible(
        [takes(engine, "xgrammar", small("xgrammar", schema), value) for schema, value in pairs]
    )


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_kind_has_a_row():
    assert {kind.quirks.grammar for kind in KINDS.values()} - {""} <= TASTES.keys()
    assert [name for name, kind in KINDS.items() if not kind.quirks.grammar] == ["openai", "anthropic"]


def test_the_rows_say_which_liberties_engines_take():
    assert {name for name, taste in TASTES.items() if taste.closes} == {"llama.cpp", "ollama", "xgrammar"}
