"""What each status means, in every envelope that engines use."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.refusal import classify, refusal, said
from understudy.language import errors

STATUSES = [
    (400, errors.EngineRefused),
    (401, errors.EngineDenied),
    (402, errors.EngineRefused),
    (403, errors.EngineDenied),
    (404, errors.NoTarget),
    (408, errors.EngineTimeout),
    (409, errors.EngineRefused),
    (413, errors.TooLarge),
    (422, errors.EngineRefused),
    (429, errors.EngineBusy),
    (500, errors.EngineError),
    (502, errors.EngineError),
    (503, errors.EngineBusy),
    (504, errors.EngineTimeout),
    (529, errors.EngineBusy),
    (302, errors.EngineError),
]


@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_status_decides(status, expected):
    error = classify(status, "why")
    assert type(error) is expected
    assert "why" in error.message


@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_no_words_are_no_trouble(status, expected):
    error = refusal(status, b"")
    assert type(error) is expected
    assert str(status) in error.message


def test_a_refusal_is_passed_on_word_for_word():
    assert classify(400, "adaptive thinking is not supported").message == "adaptive thinking is not supported"


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_engine_key_is_the_operators(status):
    error = classify(status, "invalid x-api-key")
    assert type(error) is errors.EngineDenied
    assert error.status == 502
    assert "understudy's own key" in error.message


@pytest.mark.parametrize("status", [429, 503, 529])
def test_busy_engines_say_when(status):
    error = refusal(status, b"{}", 7.5)
    assert error.retry_after == 7.5
    assert error.retryable


@pytest.mark.parametrize("status", [400, 413, 500])
def test_a_full_window(status):
    error = refusal(status, b'{"error":{"message":"prompt is too long: 9 tokens > 8 maximum"}}')
    assert isinstance(error, errors.PromptTooLong)
    assert (error.tokens, error.maximum) == (9, 8)


def test_rate_limits_are_never_overflows():
    assert type(refusal(429, b"input is too long")) is errors.EngineBusy


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"type": "error", "error": {"type": "api_error", "message": "m"}}, "m"),
        ({"error": "m"}, "m"),
        ({"error": {"code": 5, "message": "m", "type": "x"}}, "m"),
        ({"object": "error", "message": "m", "code": 400}, "m"),
        ({"detail": "m"}, "m"),
        ({"error": None}, ""),
        ({}, ""),
    ],
)
def test_where_engines_put_their_words(body, words):
    assert said(json.dumps(body).encode()) == words


def test_a_proxys_page_is_read_without_its_tags():
    assert said(b"<html><body><h1>502 Bad\n Gateway</h1></body></html>") == "502 Bad Gateway"


def test_other_json_is_shown_as_it_is():
    assert said(b'{"detail":[{"loc":["body"],"msg":"m"}]}') == '{"detail":[{"loc":["body"],"msg":"m"}]}'


def test_words_are_short():
    assert len(said(b"x" * 10_000)) == 500


@given(st.integers(300, 599), st.binary())
def test_no_bytes_hurt(status, body):
    assert isinstance(refusal(status, body), errors.UnderstudyError)
