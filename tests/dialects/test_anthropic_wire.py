"""How wrong fields are named, and the two ways out for text that fits nowhere."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.anthropic_wire import Answer, UnparsedInput, WireUsage, problem, unparsed
from understudy.dialects.words import clean

PROBLEMS = [
    ("Expected `str`, got `int` - at `$.model`", "", "model: Expected str, got int"),
    (
        "Expected `str`, got `int` - at `$[0].content[12].text`",
        "messages",
        "messages.0.content.12.text: Expected str, got int",
    ),
    ("Expected `str`, got `int` - at `$`", "messages.3", "messages.3: Expected str, got int"),
    ("Expected `str`, got `int`", "", "body: Expected str, got int"),
    ("Expected `str`, got `int`", "system.1", "system.1: Expected str, got int"),
    ("Object missing required field `model`", "", "model: Field required"),
    ("Object missing required field `text` - at `$.a[1]`", "", "a.1.text: Field required"),
    ("Object missing required field `type`", "tools.0", "tools.0.type: Field required"),
    ("Expected `int` >= 1 - at `$.max_tokens`", "", "max_tokens: Expected int >= 1"),
    ("Expected `str`, got `int` - at `$.a[...]`", "", "a: Expected str, got int"),
    (
        "Invalid enum value 'tool' - at `$.role`",
        "messages.0",
        "messages.0.role: Invalid enum value 'tool'; expected 'user', 'assistant' or 'system'",
    ),
    ("Something new", "", "body: Something new"),
]


@pytest.mark.parametrize(("said", "prefix", "expected"), PROBLEMS)
def test_problems_are_said_as_the_api_says_them(said, prefix, expected):
    assert problem(ValueError(said), prefix).message == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a\0你🌍", "a\0你🌍"),
        ("\ud83c\udf0d", "🌍"),
        ("a\ud800b", "a\ufffdb"),
        ("\udc00\ud800", "\ufffd\ufffd"),
    ],
)
def test_clean(text, expected):
    assert clean(text) == expected


@given(st.text(st.characters(exclude_categories=())))
def test_clean_text_is_utf8(text):
    assert clean(clean(text)) == clean(text)
    clean(text).encode()


@given(st.text())
def test_unparsed_is_an_object_that_keeps_the_text(text):
    raw = unparsed(text)
    assert bytes(raw).startswith(b'{"__unparsedToolInput":{"raw":')
    inner = msgspec.json.decode(raw, type=UnparsedInput).inner
    assert (inner.raw, inner.len) == (text, len(text.encode("utf-16-le")) // 2)


def test_an_answer_has_the_fields_and_order_of_the_api():
    answer = Answer("msg_1", "message", "assistant", "m", [], None, None, WireUsage(1, 0, 2, 3))
    assert msgspec.json.encode(answer) == (
        b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,'
        b'"stop_sequence":null,"usage":{"input_tokens":1,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":2,"output_tokens":3}}'
    )
