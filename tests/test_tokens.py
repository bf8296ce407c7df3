import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy import tokens
from understudy.language.request import (
    Document,
    Image,
    Request,
    Text,
    Thinking,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
)
from understudy.language.web import ServerToolUse
from understudy.tokens import Ruler, size_of, upper_bound

SCHEMA = b'{"type":"object"}' + b" " * 3000


def says(*blocks, **fields):
    return Request("m", (Turn("user", blocks),), **fields)


LEAST = {  # a request: bytes of text that are in its prompt at least
    "text": (says(Text("x" * 100)), 100),
    "Chinese text": (says(Text("漢" * 100)), 300),
    "system": (says(system=(Text("x" * 100),)), 100),
    "Chinese system": (says(system=(Text("漢" * 100),)), 300),
    "thinking": (says(Thinking("🙂" * 10)), 40),
    "call": (says(ToolUse("i", "n", '{"a":"漢字"}')), 14),
    "a call of nothing": (says(ToolUse("i", "n", "")), len("<tool_call>\n{...}\n</tool_call>")),
    "result": (says(ToolResult("i", (Text("x" * 50), Text("é" * 50)))), 150),
    "document": (says(Document(text="x" * 10**6, title="t")), 10**6),
    "document in a result": (says(ToolResult("i", (Document(text="x" * 10**5),))), 10**5),
    "image": (says(Image("image/png", "AAAA")), tokens.IMAGE_TOKENS),
    "tool": (says(tools=(Tool("n", "漢" * 10, SCHEMA),)), 30 + len(SCHEMA)),
    "a tool that was found": (
        says(ToolReference("n"), tools=(Tool("n", "d", SCHEMA, deferred=True),)),
        len(SCHEMA),
    ),
    "a call run elsewhere": (says(ServerToolUse("s", "web_search", "{}")), 1),
    "unknown": (says(Unknown("new_kind", "{}")), len("[new_kind omitted: it cannot be shown to this model]")),
}


@pytest.mark.parametrize(("request_", "least"), LEAST.values(), ids=LEAST)
def test_the_bound_is_never_too_low(request_, least):
    assert upper_bound(size_of(request_)) >= size_of(request_) >= least


def test_what_is_not_in_the_prompt_does_not_count():
    assert size_of(says(tools=(Tool("n", "d", SCHEMA, deferred=True),))) == size_of(says())
    assert size_of(says(Unknown("k", "x" * 10**5))) < 1000


def test_a_lone_surrogate_is_counted():
    assert size_of(says(Text("\ud800é"))) > 0


def test_a_first_guess_until_something_is_learnt():
    ruler = Ruler()
    assert not ruler.learnt
    assert ruler.estimate(1000) == 301
    ruler.learn(1000, 200)
    assert ruler.learnt
    assert ruler.estimate(1000) == 201


def test_later_prompts_move_it_by_a_share():
    ruler = Ruler()
    ruler.learn(1000, 200)
    ruler.learn(1000, 300)
    assert ruler.estimate(10_000) == 2301


@pytest.mark.parametrize(("size", "count"), [(0, 5), (5, 0), (-1, 5), (5, -1)])
def test_nonsense_teaches_nothing(size, count):
    ruler = Ruler()
    ruler.learn(size, count)
    assert not ruler.learnt
    assert ruler.estimate(0) == 1


@given(st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 10**7)), min_size=1, max_size=20))
def test_an_estimate_lies_within_what_was_seen(counts):
    ruler = Ruler()
    for size, count in counts:
        ruler.learn(size, count)
    ratios = [count / size for size, count in counts]
    assert int(min(ratios) * 10**6 * 0.999) <= ruler.estimate(10**6) <= max(ratios) * 10**6 * 1.001 + 1


@pytest.mark.parametrize(
    ("raw", "tools", "counted"),
    [
        (b'{"messages":"' + b"x" * 500 + b'"}', (), False),
        (b"", (), True),
        (b'{"source":{"type":"base64","data":"' + b"A" * 9000 + b'"}}', (), True),
        (b'{"messages":"x"}', (Tool("Read"),), False),
        (b'{"messages":"x"}', (Tool("Read"), Tool("Fetch", deferred=True)), True),
    ],
)
def test_the_measure_is_the_bodys_length_where_that_bounds_the_text(raw, tools, counted):
    request = Request("m", (Turn("user", (Text("hello"),)),), tools=tools, raw=raw)
    assert tokens.measure(request) == (tokens.size_of(request) if counted else len(raw))


@pytest.mark.parametrize(
    ("blocks", "more", "counted"),
    [
        ((Text("hello"), ToolResult("c", (Text("x"),))), {}, False),
        ((Text("hello"),), {"raw": b""}, True),
        ((Text("hello"),), {"tools": (Tool("Read"),)}, False),
        ((Text("hello"),), {"tools": (Tool("Fetch", deferred=True),)}, True),
        ((Image("image/png", "AAAA"),), {}, True),
        ((ToolResult("c", (Text("x"), Image("image/png", "AAAA"))),), {}, True),
        ((Unknown("fallback", "{}"),), {}, True),
    ],
)
def test_what_is_asked_is_measured_by_its_blocks(blocks, more, counted):
    request = Request("m", (Turn("user", blocks),), **{"raw": b"x" * 9000} | more)
    assert tokens.measure_asked(request) == (tokens.size_of(request) if counted else 9000)
