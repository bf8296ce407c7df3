"""How answers end in OpenAI's dialects."""

import json
from typing import get_args

import pytest

from understudy.dialects.openai_ends import CODES, FINISH, added, error_body, tokens
from understudy.language import errors
from understudy.language.events import StopReason, Usage


def test_every_reason_to_stop_has_a_word():
    assert set(FINISH) == set(get_args(StopReason))


def test_tokens():
    assert tokens(Usage(10, None, 3)) == {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    assert tokens(Usage(10, 4, 3))["prompt_tokens_details"] == {"cached_tokens": 4}


def test_the_prompt_of_several_answers_counts_once():
    assert added(added(Usage(), Usage(10, 0, 3)), Usage(10, 10, 4)) == Usage(10, 10, 7)


ERRORS = [
    (errors.BadRequest("no"), None, None),
    (errors.BadField("n", "n: no"), "n", None),
    (errors.BadField("n", "n: no", "invalid_value"), "n", "invalid_value"),
    *((kind("no"), None, code) for kind, code in CODES if kind is not errors.PromptTooLong),
    (errors.PromptTooLong(9, 8), None, "context_length_exceeded"),
]


@pytest.mark.parametrize(("error", "param", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error(error, param, code):
    found = json.loads(error_body(error, "req_1"))
    assert found["error"] == {"message": error.message, "type": error.kind, "param": param, "code": code}
    assert found["request_id"] == "req_1"
    assert "request_id" not in json.loads(error_body(error))
