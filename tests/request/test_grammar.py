import json

import httpx
import pytest

from understudy.dialects import dialect
from understudy.engines.child import LlamaChild
from understudy.engines.tinygguf import write_rehearsal, write_scripted
from understudy.engines.worker import WorkerSettings
from understudy.language.request import Request, Text, Tool, ToolChoice, Turn, change
from understudy.request.grammar import AROUND, answer_grammar
from understudy.stages.toolsyntax import SYNTAXES

READ = Tool(
    "Read",
    "Reads a file",
    b'{"type":"object","properties":{"file_path":{"type":"string","description":"where"},"limit":{"type":"integer"}},'
    b'"required":["file_path"],"additionalProperties":false}',
)
COUNT = Tool("Count", "Counts", b'{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}')
SWITCH = Tool(
    "Switch",
    "",
    b'{"type":"object","properties":{"on":{"type":"boolean"}},"required":["on"],"additionalProperties":false}',
)
SERVER = Tool("web_search", kind="web_search_20250305")


def asked(*tools, mode="auto", name="", parallel=True, form=None):
    return Request(
        "m",
        (Turn("user", (Text("hi"),)),),
        tools=tools,
        tool_choice=ToolChoice(mode, name, parallel),
        format=form,
    )


@pytest.mark.parametrize(
    ("request_", "start"),
    [
        (asked(READ), "start: (to_call call)* PROSE"),
        (asked(READ, parallel=False), "start: (to_call call)? PROSE"),
        (asked(READ, mode="any"), 'start: "<tool_call>\\n" call (to_call call)*'),
        (asked(READ, mode="any", parallel=False), 'start: "<tool_call>\\n" call'),
        (asked(READ, COUNT, mode="tool", name="Count"), 'start: "<tool_call>\\n" call (to_call call)*'),
    ],
)
def test_the_choice_decides_how_an_answer_starts(request_, start):
    assert answer_grammar(request_, "hermes").splitlines()[1] == start


@pytest.mark.parametrize(
    "request_", [asked(), asked(READ, mode="none"), asked(SERVER)], ids=["no tools", "none", "server tool"]
)
def test_where_nothing_is_constrained_there_is_no_grammar(request_):
    assert answer_grammar(request_, "hermes") is None


def test_what_is_not_allowed_is_not_in_it():
    some = change(asked(READ, COUNT), tool_choice=ToolChoice(allowed=("Count",)))
    assert answer_grammar(some, "hermes") == answer_grammar(asked(COUNT), "hermes")
    none = change(asked(READ), tool_choice=ToolChoice(allowed=("Count",)))
    assert answer_grammar(none, "hermes") is None


def test_every_name_is_a_syntax():
    assert set(AROUND) <= set(SYNTAXES)


def test_where_an_opener_is_a_special_token_the_model_writes_as_it_likes():
    assert answer_grammar(asked(READ), "mistral") is None
    assert answer_grammar(asked(READ, mode="any"), "mistral") == answer_grammar(
        asked(READ, mode="any"), "hermes"
    )


@pytest.mark.parametrize(
    ("syntax", "parallel", "call"),
    [
        ("hermes", True, 'call: one "\\n</tool_call>"'),
        ("nemotron", True, 'call: one (", " one)* "]</TOOLCALL>"'),
        ("nemotron", False, 'call: one "]</TOOLCALL>"'),
        ("functools", True, 'call: one (", " one)* "]"'),
    ],
)
def test_what_stands_around_calls(syntax, parallel, call):
    assert call in answer_grammar(asked(READ, parallel=parallel), syntax).splitlines()


def test_a_named_tool_is_the_only_one():
    grammar = answer_grammar(asked(READ, COUNT, mode="tool", name="Count"), "hermes")
    assert "Count" in grammar
    assert "Read" not in grammar


def test_text_between_tags_is_free():
    rules = answer_grammar(asked(READ), "qwen-xml").splitlines()
    assert 'call_0_0: "<parameter=file_path>\\n" call_0_0_text' in rules
    assert any(rule.startswith('call_0_1: "<parameter=limit>\\n" %json') for rule in rules)


def test_descriptions_stay_out():
    assert "where" not in answer_grammar(asked(READ), "hermes")


def test_a_schema_alone_is_the_whole_answer():
    grammar = answer_grammar(
        asked(form=b'{"type":"object","properties":{"title":{"type":"string"}}}'), "hermes"
    )
    assert grammar.startswith("%llguidance {}\nstart: %json {")


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    path = tmp_path_factory.mktemp("noise") / "noise.gguf"
    write_rehearsal(path)
    return path


@pytest.fixture(scope="module")
def liar(tmp_path_factory):
    """It calls with a text where the schema wants a truth value."""
    path = tmp_path_factory.mktemp("liar") / "liar.gguf"
    write_scripted(
        path, ['I switch. <tool_call>\n{"name": "Switch", "arguments": {"on": "maybe"}}\n</tool_call>']
    )
    return path


async def said(model, request, syntax):
    """What real llama.cpp says under the grammar."""
    settings = WorkerSettings(model=str(model), key="", raw_text=True, context=4096, slots=1)
    body = json.loads(dialect("openai").render(change(request, tool_choice=ToolChoice("none"), format=None)))
    grammar = answer_grammar(request, syntax)
    body |= {"stream": False, "max_tokens": 400, "temperature": 0, "grammar": grammar}
    body.pop("stream_options")
    headers = {"authorization": "Bearer "}
    async with LlamaChild(settings) as child, httpx.AsyncClient(base_url=child.url, timeout=60) as client:
        headers["authorization"] += child.key
        answer = await client.post("/v1/chat/completions", json=body, headers=headers)
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    return choice["message"]["content"].removesuffix("<|im_end|>")  # raw text shows the end token


async def test_real_llama_cpp_cannot_break_the_schema(liar):
    text = await said(liar, asked(SWITCH), "hermes")
    assert text.startswith('I switch. <tool_call>\n{"name": "Switch", "arguments": {"on": ')
    assert text.endswith("\n</tool_call>")
    call = json.loads(text.partition("<tool_call>")[2].removesuffix("</tool_call>"))
    assert isinstance(call["arguments"]["on"], bool)


async def test_real_llama_cpp_must_call_in_hermes(noise):
    text = await said(noise, asked(SWITCH, mode="any", parallel=False), "hermes")
    call = json.loads(text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
    assert call["name"] == "Switch"
    assert isinstance(call["arguments"]["on"], bool)


async def test_real_llama_cpp_must_call_in_a_list(noise):
    text = await said(noise, asked(SWITCH, mode="any", parallel=False), "nemotron")
    (call,) = json.loads(text.removeprefix("<TOOLCALL>").removesuffix("</TOOLCALL>"))
    assert call["name"] == "Switch"
    assert isinstance(call["arguments"]["on"], bool)


async def test_real_llama_cpp_takes_the_grammar_of_a_list(tmp_path):
    path = tmp_path / "talker.gguf"
    write_scripted(path, ["I call nothing."])
    for syntax in ("nemotron", "functools"):
        assert await said(path, asked(SWITCH), syntax) == "I call nothing."


async def test_real_llama_cpp_must_call_in_xml(noise):
    text = await said(noise, asked(SWITCH, mode="any", parallel=False), "qwen-xml")
    assert text.startswith("<tool_call>\n<function=Switch>\n")
    assert text.endswith("</function>\n</tool_call>")


async def test_real_llama_cpp_answers_by_a_schema(noise):
    form = b'{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}'
    assert isinstance(json.loads(await said(noise, asked(form=form), "hermes"))["ok"], bool)
