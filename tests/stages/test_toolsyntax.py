"""Every row reads what its models write: alone, beside all other rows, whole, letter by letter, cut anywhere."""

import itertools
import json
import random

import msgspec
import pytest
import toolparse
from writers import WRITERS

from understudy.config import EngineSettings
from understudy.stages.callreader import Made, Reader
from understudy.stages.mend import Mended, Toolbox
from understudy.stages.toolsyntax import ROWS, SYNTAXES, likely, syntaxes_for

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "deep": {"type": "boolean"},
            "score": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "where": {
                "type": "object",
                "properties": {"lat": {"type": "number"}, "name": {"type": "string"}},
            },
        },
    }
).encode()
TOOLS = {"get_time": SCHEMA, "get_weather": SCHEMA}
TOOLBOX = Toolbox(list(TOOLS.items()))
WAYS = [(row, way) for row, ways in WRITERS.items() for way in ways]
PARIS = ("get_time", {"city": "Paris"})
CODE = 'def f(x):\n    """Doc."""\n    return {"a": [x, (1, 2)]}  # <b>\n'
ARGUMENTS = {
    "none": {},
    "text": {"city": "Paris"},
    "two": {"city": "Paris", "days": 3},
    "unicode": {"city": "Zürich 格 🙂"},
    "quotes": {"city": 'a " b \' c \\ d \\n e "'},
    "lines": {"city": "a\n\n\tb"},
    "blanks": {"city": "  a  "},
    "empty": {"city": ""},
    "text like a number": {"city": "42"},
    "text like a truth value": {"city": "true"},
    "text like null": {"city": "null"},
    "text like json": {"city": '{"a": [1, 2]}'},
    "code": {"city": CODE},
    "markup": {"city": "<b>a</b> & </div> [link](x) `code` ```x```"},
    "markers of others": {"city": "</function> </invoke> ]} ``` ) } </parameter> x <tool_call> [TOOL_CALLS]"},
    "numbers": {"days": -3, "score": 2.5},
    "large": {"days": 123456789012345},
    "truth": {"deep": False},
    "list": {"tags": ["a", 'b " c', "格"]},
    "empty list": {"tags": []},
    "object": {"where": {"lat": -1.5, "name": "x, y: z"}},
    "empty object": {"where": {}},
    "everything": {"tags": ["a"], "where": {"lat": 0.5}, "city": "Paris", "days": 0, "deep": True},
}
PARALLEL = {
    "two tools": [PARIS, ("get_weather", {"days": 2, "city": "Bern"})],
    "one tool twice": [PARIS, ("get_time", {"city": "Bern"})],
    "without arguments": [("get_time", {}), ("get_weather", {})],
    "three": [("get_time", ARGUMENTS["code"]), ("get_weather", ARGUMENTS["list"]), PARIS],
}
CALLS = {name: [("get_time", arguments)] for name, arguments in ARGUMENTS.items()} | PARALLEL


def beside(row):
    """The row, and all that are looked for in a model nobody knows."""
    return tuple(dict.fromkeys((SYNTAXES[row], *syntaxes_for("m", None))))


def read(text, rows, cuts=(), *, complete=True):
    """(text, calls) of an answer, cut at these places."""
    reader = Reader(rows, TOOLS.__contains__, TOOLS.get)
    edges = sorted({0, len(text), *cuts})
    pieces = [piece for a, b in itertools.pairwise(edges) for piece in reader.feed(text[a:b])]
    pieces += reader.end(complete=complete)
    assert "".join(piece if isinstance(piece, str) else piece.raw for piece in pieces) == text, (
        "something is lost"
    )
    said = "".join(piece for piece in pieces if isinstance(piece, str))
    return said, [call for piece in pieces if isinstance(piece, Made) for call in piece.calls]


def values(calls):
    return [(call.name, msgspec.json.decode(call.arguments)) for call in calls]


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize(("row", "way"), WAYS)
def test_calls(row, way, kind):
    text = WRITERS[row][way](CALLS[kind])
    for rows in ((SYNTAXES[row],), beside(row)):
        for cuts in ((), range(len(text))):
            said, calls = read(text, rows, cuts)
            assert (values(calls), said.strip()) == (CALLS[kind], ""), text


@pytest.mark.parametrize(("row", "way"), WAYS)
def test_cut_anywhere(row, way):
    calls = [("get_time", {"city": '格\n"x"', "days": 1}), ("get_weather", {})]
    text = WRITERS[row][way](calls)
    dice = random.Random(0)  # noqa: S311 - cuts, not secrets
    cuts = [[cut] for cut in range(1, len(text))] + [
        dice.sample(range(len(text)), dice.randint(2, 9)) for _ in range(30)
    ]
    for some in cuts:
        said, found = read(text, beside(row), some)
        assert (values(found), said.strip()) == (calls, ""), some


@pytest.mark.parametrize(("row", "way"), WAYS)
def test_text_around(row, way):
    """Rows whose calls only begin an answer leave them as text after other words."""
    text = WRITERS[row][way]([PARIS])
    before, after = "I look <b>here</b> [1] {x}:\n", "\nIt is `noon`."
    anywhere = any(text.startswith(opener) for opener in SYNTAXES[row].openers)
    alone = row == "fenced"  # nothing may follow
    for cuts in ((), range(400)):
        said, calls = read(before + text, beside(row), cuts)
        assert (said.strip(), values(calls)) == (
            (before.strip(), [PARIS]) if anywhere else (before + text, [])
        )
        said, calls = read(text + after, beside(row), cuts)
        if not alone:
            assert (said.strip(), values(calls)) == (after.strip(), [PARIS])


@pytest.mark.parametrize(("row", "way"), WAYS)
def test_a_tool_that_is_not_offered_is_text(row, way):
    text = WRITERS[row][way]([("get_money", {"city": "Paris"})])
    for cuts in ((), range(len(text))):
        assert read(text, beside(row), cuts) == (text, [])
        assert read(f"{text}\nNo.", beside(row), cuts) == (f"{text}\nNo.", [])


@pytest.mark.parametrize(("row", "way"), WAYS)
def test_what_is_cut_is_never_completed(row, way):
    """Of every beginning of an answer: no call yet, or one nobody can mend, or the call with what is whole of it."""
    arguments = {"days": 12, "city": "Paris and Bern", "tags": ["a", "b"]}
    text = WRITERS[row][way]([("get_time", arguments)])
    for size in range(len(text)):
        assert all(value in arguments.items() for value in whole(text[:size], row, complete=True).items()), (
            size
        )
        assert whole(text[:size], row, complete=False) in ({}, arguments), size


def whole(text, row, *, complete):
    """The arguments that would leave of the first call in a text."""
    _, calls = read(text, beside(row), complete=complete)
    mended = TOOLBOX.mend(calls[0].name, calls[0].arguments) if calls else None
    return msgspec.json.decode(mended.arguments) if isinstance(mended, Mended) else {}


@pytest.mark.parametrize("row", ROWS, ids=SYNTAXES)
def test_talk_of_a_marker_is_text(row):
    for opener in (*row.openers, *row.starts):
        for text in (
            f"{opener} is a marker.",
            f"Calls begin with {opener}, and then?",
            f"{opener}",
            f"{opener} 1\n{opener}",
        ):
            for cuts in ((), range(len(text))):
                assert read(text, beside(row.name), cuts) == (text, [])
                assert read(text, beside(row.name), cuts, complete=False) == (text, [])


@pytest.mark.parametrize("row", ROWS, ids=SYNTAXES)
def test_after_talk_of_a_marker_a_call_is_one(row):
    for opener in row.openers:
        text = f"It begins with {opener} 1:\n{row.example}"
        if not opener.startswith("`") and row.example.startswith(row.openers):  # backticks open code
            _, calls = read(text, (row,))
            assert len(calls) == 1 + row.example.count("get_weather"), text


# --- the table ---------------------------------------------------------------------------------------------------------


def test_every_row_has_writers():
    assert set(WRITERS) | {"llama-code"} >= set(SYNTAXES)
    assert set(WRITERS) <= set(SYNTAXES)


def test_the_settings_allow_every_row():
    (kind,) = (field.type for field in msgspec.structs.fields(EngineSettings) if field.name == "tool_syntax")
    assert set(kind.__args__) == {"auto", "native", *SYNTAXES}


def test_no_opener_begins_another():
    openers = {opener for row in ROWS for opener in row.openers}
    starts = {opener for row in ROWS for opener in row.starts}
    for one, two in [*itertools.permutations(openers, 2), *itertools.permutations(starts, 2)]:
        assert not two.startswith(one)


@pytest.mark.parametrize("row", ROWS, ids=SYNTAXES)
def test_a_row_is_whole(row):
    assert SYNTAXES[row.name] is row
    assert row.closers
    assert row.openers or row.starts
    assert row.names or not row.shy
    _, calls = read(row.example, (row,))
    assert calls[0].name == "get_time"
    assert msgspec.json.decode(calls[0].arguments) == {"city": "Paris"}
    assert row.names is None or not row.names.search("some model")
    known = row.head.match(row.example)
    assert known is not None
    assert known[known.lastindex] == "get_time"


@pytest.mark.parametrize(("row", "way"), WAYS)
def test_the_beginning_of_a_call_looks_like_one(row, way):
    """Else a call would be given up, or not, according to where its text was cut."""
    text = WRITERS[row][way]([("get_time", {"city": "Paris"}), ("get_weather", {"days": 1})])
    marks = [mark for mark in (*SYNTAXES[row].openers, *SYNTAXES[row].starts) if text.startswith(mark)]
    for size in range(min(map(len, marks)), len(text)):
        assert SYNTAXES[row].likely(text[:size]), text[:size]
        head = SYNTAXES[row].head.match(text[:size])
        assert head is None or head[head.lastindex] == "get_time", text[:size]


CHOICES = [
    ("m", None, "hermes"),
    ("m", "", "hermes"),
    ("m", "{{ messages }}", "hermes"),
    ("m", "... <tool_call>\n<function=example>...", "qwen-xml"),
    ("m", '... <tool_call>\n{"name": ...', "hermes"),
    ("m", "<tool_call>{{ name }}<arg_key>", "glm"),
    ("m", "<tool_calls><tool_call>{{ name }}<tool_sep><arg_key>", "hunyuan"),
    ("m", "[TOOL_CALLS]", "mistral"),
    ("m", "{{ '>>>all' }}", "functionary"),
    ("m", "<|python_tag|>", "llama"),
    ("m", "<|python_tag|> <function=", "qwen-xml"),
    ("m", '<function name="f"><param name="p">', "minicpm"),
    ("m", "{%- set dsml_token = '｜DSML｜' %}", "invoke"),
    ("m", "<|channel|>", "harmony"),
    ("m", "'<|tool_call>call:'", "gemma4"),
    ("m", "]<]minimax[>[<tool_call>", "minimax-m3"),
    ("qwen3-coder:30b", None, "qwen-xml"),
    ("Qwen/Qwen3-Coder-480B", None, "qwen-xml"),
    ("Qwen3.5-4B", None, "qwen-xml"),
    ("qwen2.5-coder:7b", None, "hermes"),
    ("qwen3:8b", None, "hermes"),
    ("NousResearch/Hermes-3", "", "hermes"),
    ("Hermes-3-Llama-3.1-8B", None, "hermes"),
    ("meta-llama/Llama-3.2-3B-Instruct", None, "llama"),
    ("llama3.1:8b", None, "llama"),
    ("Llama-4-Scout", None, "llama4"),
    ("mistralai/Devstral-Small-2507", None, "mistral"),
    ("deepseek-ai/DeepSeek-R1", None, "deepseek"),
    ("DeepSeek-V3.2", None, "invoke"),
    ("zai-org/GLM-4.6", None, "glm"),
    ("glm5", None, "glm"),
    ("moonshotai/Kimi-K2-Instruct", None, "kimi-k2"),
    ("Kimi-K3", None, "kimi-k3"),
    ("openai/gpt-oss-20b", None, "harmony"),
    ("gpt-oss:120b", None, "harmony"),
    ("MiniMax-M1", None, "tool-calls"),
    ("MiniMax-M2", None, "invoke"),
    ("MiniMax-M3", None, "minimax-m3"),
    ("CohereForAI/c4ai-command-r7b", None, "cohere"),
    ("command-r-plus", None, "command-r"),
    ("ibm-granite/granite-3.3-8b", None, "granite"),
    ("ibm-granite/granite-4.0-h", None, "hermes"),
    ("phi4-mini", None, "granite"),
    ("NVIDIA-Nemotron-Nano-9B-v2", None, "nemotron"),
    ("NVIDIA-Nemotron-3-Nano", None, "qwen-xml"),
    ("swiss-ai/Apertus-8B", None, "apertus"),
    ("LiquidAI/LFM2-1.2B", None, "lfm2"),
    ("ByteDance-Seed/Seed-OSS-36B", None, "seed"),
    ("allenai/Olmo-3-7B", None, "olmo3"),
    ("gemma-4-31b", None, "gemma4"),
    ("functiongemma", None, "functiongemma"),
    ("GigaChat3-10B", None, "gigachat"),
    ("GigaChat3.5", None, "invoke"),
    ("baidu/ERNIE-4.5", None, "hermes"),
    ("meetkai/functionary-medium-v3.2", None, "functionary"),
    ("meetkai/functionary-medium-v3.1", None, "qwen-xml"),
    ("Salesforce/xLAM-2", None, "xlam"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "template", "first"), CHOICES)
def test_which_syntax(model, template, first):
    rows = syntaxes_for(model, template)
    assert rows[0].name == first
    assert {row for row in ROWS if not row.shy} <= set(rows)
    assert all(row in likely(model, template) for row in rows if row.shy)


def test_shy_rows_are_looked_for_only_where_they_are_likely():
    text = WRITERS["functools"]["template"]([PARIS])
    assert read(text, syntaxes_for("m", None)) == (text, [])
    assert values(read(text, syntaxes_for("firefunction-v2", None))[1]) == [PARIS]


# --- what models really write -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not toolparse.DATA.is_dir(), reason="the recorded answers are not beside this checkout")
@pytest.mark.parametrize("name", ["llamacpp.jsonl", "vllm.jsonl"])
def test_recorded_answers(name):
    for case in toolparse.cases(toolparse.DATA / name):
        size = len(case["raw"])
        assert not toolparse.wrong(case), case
        assert not toolparse.wrong(case, range(size)), case
        for cut in range(1, size):
            assert not toolparse.wrong(case, [cut]), (cut, case)
