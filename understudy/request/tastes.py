r"""What the grammars of engines take of a schema: one row each. Facts, with the place where each was found.

An engine turns a schema into a grammar before it samples, and reads less of it than the specification says, or reads
it differently. Both matter: a keyword it does not know may cost the request, and one it misreads may make valid
arguments impossible to write. Each field is one such fact.

- **llama.cpp** (`common/json-schema.cpp`, `common/json-schema-to-grammar.cpp`, `src/llama-grammar.cpp`; autumn 2026, and
  the converter of 2025 before it, which LM Studio and older builds still have): knows `$ref` (`#/...` only), `anyOf`,
  `oneOf`, `allOf` (of properties and enums), `const`, `enum`, `properties`, `required`, `additionalProperties`, `items`,
  `prefixItems` (as a list of exactly that length; never beside `items`), `minItems`, `maxItems`, `pattern`, `minLength`,
  `maxLength`, the bounds of integers, and the formats date, time, date-time, uuid. Boolean schemas, but for
  `additionalProperties`, are an error, as is an unknown type. Of `anyOf` and its neighbours only `anyOf` is read. A keyword
  of one type implies that type. Two tools whose `$defs` have a name in common get one definition for both. `{}` was an
  object and nothing else until 2026, and a schema of nothing but a description an error. Repetitions beyond 2,000 are
  refused. Everything else is ignored without a word.
- **ollama** hands `format` to that converter (`llm/llama_server.go`; its own copy of the older one before). `tools` never
  become a grammar; they are read into Go structs (`api/types.go`) which know neither `$ref` nor boolean schemas, and
  forget what they do not know.
- **xgrammar** 0.2.8, behind vLLM and SGLang (measured with the library): `pattern` is taken for anchored and laid over the
  JSON text, lookarounds are ignored, `\p`, `\b` and references refused; `minLength` and `maxLength` make every escape
  impossible; bounds leave a number six decimals; `allOf` of several is "anything"; `$ref` knows no `~1`; `required` names
  only what `properties` names; `minItems` needs `items`; false schemas, empty ranges and unknown types are errors. vLLM
  (`v1/structured_output/backend_xgrammar.py`) refuses, and SGLang (`srt/constrained/json_schema_validation.py`) refuses,
  `uniqueItems`, `contains`, `multipleOf`, unknown formats, and a pattern beside a length.
- **llguidance** 1.9, in our own llama.cpp and behind the guidance backend of vLLM and SGLang: follows the specification, and
  refuses what it cannot follow (`not`, `if`, `contains`, `uniqueItems`, `propertyNames`, `dependent...`, `unevaluated...`,
  unknown formats, `oneOf` whose branches may overlap). Fractional bounds make some numbers impossible (2.2 under 2.25).

No engine keeps `format`: in JSON Schema it is a remark, and their readings of it forbid strings that are valid (an e-mail
address with quotes, a time of day with six decimals). No engine gets `oneOf`: none counts to exactly one.
"""

from typing import Final, Literal

from msgspec import Struct


class GrammarTaste(Struct, frozen=True, kw_only=True):
    """What an engine's schema-to-grammar converter takes.

    Attributes:
        cuts: false leaves every schema as it is, byte for byte.
        pattern: "text": a pattern is laid over the JSON text of a string; "value": over the string; "" none is kept.
        lengths: the largest count in minLength and maxLength; grammars unroll them.
        items: the same for minItems and maxItems.
        ranges: the types whose bounds it reads as they are meant ("integer", "number").
        multiples: `multipleOf` of whole numbers.
        tuples: `prefixItems` as the specification has it ("open"), as a list of exactly that length ("exact"), or "" not.
        recursion: a `$ref` may lead back to where it stands; else such a schema ends in its bare type.
        neighbours: what stands beside `anyOf` counts.
        shared_names: the definitions of all schemas in one request share one space of names.
        implies: a keyword of one type (`minLength`) rules out every other type.
        spells_any: a schema without a type must name all types to mean "anything".
        closes: an object that names properties and says nothing of others admits no others.
        awkward: characters which, in the name of a property, break the rule for the names of others.
        words: titles, descriptions, defaults and examples, which the model reads where the schema is part of the prompt.
    """

    cuts: bool = True
    pattern: Literal["", "text", "value"] = ""
    lengths: int = 0
    items: int = 0
    ranges: frozenset[str] = frozenset()
    multiples: bool = False
    tuples: Literal["", "exact", "open"] = ""
    recursion: bool = False
    shared_names: bool = False
    neighbours: bool = False
    implies: bool = False
    spells_any: bool = False
    closes: bool = False
    awkward: str = ""
    words: bool = True


_INTEGERS: Final = frozenset({"integer"})
_LLAMA: Final = GrammarTaste(
    pattern="text",
    lengths=256,
    items=256,
    ranges=_INTEGERS,
    tuples="exact",
    recursion=True,
    shared_names=True,
    implies=True,
    spells_any=True,
    closes=True,
    awkward='"\\]^-',
)

TASTES: Final[dict[str, GrammarTaste]] = {
    "llama.cpp": _LLAMA,
    "ollama": GrammarTaste(
        pattern="text",
        lengths=256,
        items=256,
        ranges=_INTEGERS,
        tuples="exact",
        implies=True,
        spells_any=True,
        closes=True,
        awkward=_LLAMA.awkward,
    ),
    "xgrammar": GrammarTaste(
        pattern="text",
        items=1024,
        ranges=_INTEGERS,
        tuples="open",
        recursion=True,
        implies=True,
        closes=True,
    ),
    "llguidance": GrammarTaste(
        pattern="value",
        lengths=1024,
        items=1024,
        ranges=frozenset({"integer", "number"}),
        multiples=True,
        tuples="open",
        recursion=True,
        neighbours=True,
        words=False,
    ),
    "none": GrammarTaste(cuts=False),
}
