"""The error tree is the table in its docstring."""

import re

import pytest

from understudy.language import errors

# name, parent, status, kind, retryable
TREE = [
    ("BadRequest", "UnderstudyError", 400, "invalid_request_error", False),
    ("BadField", "BadRequest", 400, "invalid_request_error", False),
    ("PromptTooLong", "BadRequest", 400, "invalid_request_error", False),
    ("Unauthorized", "BadRequest", 401, "authentication_error", False),
    ("Forbidden", "BadRequest", 403, "permission_error", False),
    ("TooLarge", "BadRequest", 413, "request_too_large", False),
    ("Misdirected", "BadRequest", 421, "invalid_request_error", False),
    ("Refused", "BadRequest", 429, "rate_limit_error", True),
    ("NoTarget", "UnderstudyError", 404, "not_found_error", False),
    ("EngineError", "UnderstudyError", 502, "api_error", False),
    ("EngineBusy", "EngineError", 503, "overloaded_error", True),
    ("EngineLost", "EngineError", 502, "api_error", True),
    ("EngineTimeout", "EngineError", 504, "timeout_error", True),
    ("EngineRefused", "EngineError", 400, "invalid_request_error", False),
    ("EngineBlind", "EngineRefused", 400, "invalid_request_error", True),
    ("EngineDenied", "EngineError", 502, "api_error", False),
    ("Bug", "UnderstudyError", 500, "api_error", False),
]


@pytest.mark.parametrize(("name", "parent", "status", "kind", "retryable"), TREE)
def test_tree(name, parent, status, kind, retryable):
    error = getattr(errors, name)
    assert error.__base__ is getattr(errors, parent)
    assert (error.status, error.kind, error.retryable) == (status, kind, retryable)


def test_the_tree_is_whole():
    found = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert found == {row[0] for row in TREE} | {"UnderstudyError"}


@pytest.mark.parametrize(("name", "parent", "status", "kind", "retryable"), TREE)
def test_the_drawing_is_right(name, parent, status, kind, retryable):
    assert re.search(rf"[x-] {name}\s+{status}\b", errors.__doc__)


def test_an_error_says_what_and_when():
    error = errors.EngineBusy("full; try later", retry_after=2.5)
    assert (str(error), error.message, error.retry_after) == ("full; try later", "full; try later", 2.5)
    assert errors.Bug("b").retry_after is None


def test_a_prompt_too_long_is_said_as_claude_code_reads_it():
    error = errors.PromptTooLong(213462, 200000)
    assert error.message == "prompt is too long: 213462 tokens > 200000 maximum"
    assert (error.tokens, error.maximum) == (213462, 200000)


def test_a_field_that_is_to_blame_is_named():
    error = errors.BadField("input[0].role", "input[0].role: no such role", "invalid_value")
    assert (error.field, error.code, error.message) == (
        "input[0].role",
        "invalid_value",
        "input[0].role: no such role",
    )
    assert errors.BadField("input", "input: wrong").code is None
