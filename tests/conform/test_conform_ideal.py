"""The server that passes every check: it is right by the kit, and by the client's own SDK."""

import json

import pytest
from anthropic.types import Message
from conform.broken import SCENE, made

from understudy.conform.asks import ask, bodied, counted, forced, hello, thinking
from understudy.conform.checks import CHECKS
from understudy.conform.exchange import Ask
from understudy.conform.ideal import MODEL, Ideal

UNDER_LIMITS = [check for check in CHECKS if check.id != "tools.big"]


@pytest.mark.parametrize("check", UNDER_LIMITS, ids=lambda check: check.id)
def test_it_passes(check):
    result = made(check.id)
    assert (result.status, result.seen) == ("pass", "")


@pytest.mark.parametrize("make", [hello, forced, thinking])
def test_the_sdk_reads_its_messages(make):
    message = Message.model_validate(json.loads(Ideal()(make(SCENE, stream=False)).body))
    assert message.model == MODEL
    assert message.usage.input_tokens > 0


def test_the_same_prompt_comes_from_its_cache_and_keeps_its_tokens():
    ideal = Ideal()
    first, second = (json.loads(ideal(hello(SCENE, stream=False)).body)["usage"] for _ in range(2))
    assert first["cache_read_input_tokens"] == 0
    assert second["input_tokens"] <= 1
    assert sum(v for k, v in first.items() if k != "output_tokens") == sum(
        v for k, v in second.items() if k != "output_tokens"
    )


def error(reply):
    return reply.status, json.loads(reply.body)["error"]["type"], json.loads(reply.body)["error"]["message"]


def test_refusals():
    ideal = Ideal(window=100, body_limit=50_000)
    assert error(ideal(bodied(SCENE, b"{"))) == (400, "invalid_request_error", "body: not valid JSON")
    assert error(ideal(bodied(SCENE, b"{}")))[2] == "model: Field required"
    assert error(ideal(hello(SCENE, model="x")))[:2] == (404, "not_found_error")
    assert error(ideal(hello(SCENE)))[2].startswith("prompt is too long: ")
    assert error(ideal(ask(SCENE, "x" * 60_000)))[:2] == (413, "request_too_large")
    assert error(ideal(hello(SCENE).more(origin="https://a.example")))[0] == 403
    assert error(ideal(Ask(hello(SCENE).body, credentials="wrong")))[:2] == (401, "authentication_error")


def test_it_counts_as_it_answers():
    assert json.loads(Ideal()(counted(SCENE, "foo")).body)["input_tokens"] > 10


def test_a_client_that_leaves_gets_no_more():
    full = hello(SCENE)
    leaving = Ask(full.body, full.headers, leave_after=10)
    assert len(Ideal()(leaving).body) == 10
