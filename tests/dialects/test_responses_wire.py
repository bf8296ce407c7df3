"""What is wrong with a question, and where: sentence, path and code."""

import msgspec
import pytest

from understudy.dialects.responses_wire import (
    ABSENT,
    Ask,
    AskedTool,
    Item,
    decoded,
    given,
    invalid,
    missing,
    problem,
)
from understudy.language.errors import BadField

ASK = msgspec.json.Decoder(Ask)
TOOLS = msgspec.json.Decoder(list[AskedTool])

WRONG = [
    (b"{", "", None, "The body is not valid JSON: Input data was truncated"),
    (b"\xff", "", None, "The body is not valid JSON: JSON is malformed: invalid character (byte 0)"),
    (b"[]", "", "invalid_type", "Invalid type for the body: expected object, but got array instead."),
    (b"{}", "model", "missing_required_parameter", "Missing required parameter: 'model'."),
    (
        b'{"model":1}',
        "model",
        "invalid_type",
        "Invalid type for 'model': expected str, but got int instead.",
    ),
    (
        b'{"model":"m","input":5}',
        "input",
        "invalid_type",
        "Invalid type for 'input': expected str | array | null, but got int instead.",
    ),
    (
        b'{"model":"m","temperature":3}',
        "temperature",
        "invalid_value",
        "Invalid value for 'temperature': Expected `float` <= 2.0",
    ),
    (
        b'{"model":"m","max_output_tokens":15}',
        "max_output_tokens",
        "invalid_value",
        "Invalid value for 'max_output_tokens': Expected `int` >= 16",
    ),
    (
        b'{"model":"m","text":{"format":{}}}',
        "text.format.type",
        "missing_required_parameter",
        "Missing required parameter: 'text.format.type'.",
    ),
    (
        b'{"model":"m","metadata":{"a":1}}',
        "metadata[...]",
        "invalid_type",
        "Invalid type for 'metadata[...]': expected str, but got int instead.",
    ),
]


@pytest.mark.parametrize(("body", "field", "code", "message"), WRONG)
def test_what_is_wrong_is_named(body, field, code, message):
    with pytest.raises(BadField) as raised:
        decoded(ASK, body, "")
    assert (raised.value.field, raised.value.code, raised.value.message) == (field, code, message)


def test_a_place_goes_before_the_place_inside():
    for body, field in (
        (b'[{"type":"function","name":1}]', "tools[0].name"),
        (b"{}", "tools"),
        (b"[{}]", "tools[0].type"),
    ):
        with pytest.raises(BadField) as raised:
            decoded(TOOLS, body, "tools")
        assert raised.value.field == field
        assert f"'{field}'" in raised.value.message
    with pytest.raises(BadField) as raised:
        decoded(msgspec.json.Decoder(Item), b'{"role":1}', "input[3]")
    assert raised.value.field == "input[3].role"


def test_nesting_without_end_is_said():
    nested = b'{"model":"m","input":' + b"[" * 100_000
    with pytest.raises(BadField, match="not valid JSON"):
        decoded(ASK, nested, "")


def test_any_sentence_has_its_place():
    assert problem(ValueError("odd\nlines")).message == "The body is not valid JSON: odd\nlines"


def test_unknown_fields_are_nobodys_business():
    ask = decoded(ASK, b'{"model":"m","input":"a","novelty":{"deep":[1]}}', "")
    assert (ask.model, ask.input) == ("m", "a")


def test_null_is_like_nothing():
    ask = decoded(ASK, b'{"model":"m","tools":null,"tool_choice":"auto"}', "")
    assert (given(ask.tools), given(ask.tool_choice), given(ABSENT)) == (False, True, False)


def test_what_errors_say():
    assert missing("input[0].name").message == "Missing required parameter: 'input[0].name'."
    error = invalid("tool_choice", "x" * 100, "'auto' and 'none'")
    assert error.message == (
        f"Invalid value: '{'x' * 60}...' in 'tool_choice'. Supported values are: 'auto' and 'none'."
    )
    assert (error.field, error.code, error.status) == ("tool_choice", "invalid_value", 400)
    assert "'short' in" in invalid("a", "short", "'b'").message
