"""What each kind says of itself and of what it cannot do, and that our own readers understand it."""

import msgspec
import pytest

from understudy.dialects import dialect
from understudy.engines import KINDS
from understudy.engines.play_kinds import MANNERS, House, Question, ollama_show, overflow_body
from understudy.language.errors import EngineBusy, EngineError, NoTarget, PromptTooLong


def test_every_kind_of_remote_engine_can_be_played():
    assert set(MANNERS) == set(KINDS)


@pytest.mark.parametrize("kind", MANNERS)
@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(503, "", EngineBusy), (500, "", EngineError), (404, "unknown", NoTarget), (429, "", EngineBusy)],
)
def test_errors_are_read_by_their_dialect(kind, status, code, expected):
    body = msgspec.json.encode(MANNERS[kind].error(status, "these words", code))
    found = dialect(KINDS[kind].dialect).refusal(status, body)
    assert type(found) is expected
    assert "these words" in found.message


@pytest.mark.parametrize("kind", MANNERS)
def test_a_prompt_too_long_is_told_with_both_numbers(kind):
    asked = Question(tokens=9001, wanted=10, window=8192)
    words = MANNERS[kind].overflow(asked)
    body = msgspec.json.encode(overflow_body(MANNERS[kind], words, asked))
    found = dialect(KINDS[kind].dialect).refusal(400, body)
    assert isinstance(found, PromptTooLong)
    assert (found.tokens, found.maximum) == (9001, 8192)


TOGETHER = {"vllm": 8200, "sglang": 8200}
"""Engines for which prompt and answer together must fit, and what they say is too much."""


@pytest.mark.parametrize("kind", MANNERS)
def test_prompt_and_answer_together(kind):
    asked = Question(tokens=8000, wanted=200, window=8192)
    words = MANNERS[kind].overflow(asked)
    if kind not in TOGETHER:
        assert words == ""
        return
    found = dialect(KINDS[kind].dialect).refusal(
        400, msgspec.json.encode(MANNERS[kind].error(400, words, ""))
    )
    assert isinstance(found, PromptTooLong)
    assert (found.tokens, found.maximum) == (TOGETHER[kind], 8192)


@pytest.mark.parametrize("kind", MANNERS)
def test_what_fits_is_not_refused(kind):
    assert MANNERS[kind].overflow(Question(tokens=8000, wanted=192, window=8192)) == ""


def test_llama_cpp_tells_the_numbers_in_json():
    asked = Question(9001, 0, 8192)
    body = overflow_body(MANNERS["llama-server"], "request (9001 tokens) exceeds", asked)
    assert body["error"] == {
        "code": 400,
        "message": "request (9001 tokens) exceeds",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9001,
        "n_ctx": 8192,
    }


def test_pages_hold_the_model_and_the_window():
    for kind, manner in MANNERS.items():
        house = House(kind, "the-model", 8192)
        for path, page in manner.pages.items():
            text = msgspec.json.encode(page(house)).decode()
            assert ("models" not in path) or "the-model" in text
    house = House("ollama", "the-model", 8192)
    assert MANNERS["ollama"].pages["/api/ps"](house) == {"models": []}
    house.loaded = 4096
    assert '"context_length":4096' in msgspec.json.encode(MANNERS["ollama"].pages["/api/ps"](house)).decode()
    assert ollama_show(house)["model_info"] == {
        "general.architecture": "scripted",
        "scripted.context_length": 8192,
    }
