"""Prices: the rows of the public list, and what an answer costs by them."""

import pytest

from understudy.language.events import Usage
from understudy.language.price import Price
from understudy.routing.prices import DEAREST, TABLE, cost, price

ROWS = [  # name: dollars for a million tokens in, out
    ("claude-fable-5-1", 10, 50),
    ("claude-opus-5-5", 4, 20),
    ("claude-opus-5", 5, 25),
    ("claude-opus-4-8", 5, 25),
    ("claude-opus-4-5-20251101", 5, 25),
    ("claude-opus-4-1-20250805", 15, 75),
    ("claude-opus-4-20250514", 15, 75),
    ("claude-sonnet-5-5", 2, 10),
    ("claude-sonnet-5", 2, 10),
    ("claude-sonnet-4-6", 3, 15),
    ("claude-3-5-sonnet-20241022", 3, 15),
    ("Claude-Haiku-5-5", 0.1, 0.5),
    ("claude-haiku-4-5-20251001", 1, 5),
    ("claude-3-5-haiku-20241022", 0.8, 4),
    ("claude-3-haiku-20240307", 0.25, 1.25),
]


@pytest.mark.parametrize(("name", "into", "out"), ROWS)
def test_the_row_of_a_model(name, into, out):
    found = price(name, {})
    assert (found.input, found.output) == (into, out)


@pytest.mark.parametrize("name", ["qwen3-coder", "gpt-5", "llama", "auto", "opus", ""])
def test_what_is_not_claude_has_no_price(name):
    assert price(name, {}) is None
    assert cost(name, Usage(10, 0, 10), {}) is None


def test_rows_of_the_settings_come_first():
    own = {"gpt-*": Price(1, 2), "claude-opus-*": Price(7, 8)}
    assert price("GPT-5", own) == Price(1, 2)
    assert price("claude-opus-5", own) == Price(7, 8)
    assert price("claude-sonnet-5", own) == price("claude-sonnet-5", {})


@pytest.mark.parametrize(("tokens", "dollars"), [(100_000, 0.01), (100_001, 0.0500005)])
def test_a_long_prompt_of_haiku_costs_more(tokens, dollars):
    assert cost("claude-haiku-5-5", Usage(tokens, 0, 0), {}) == pytest.approx(dollars)
    assert cost("claude-haiku-5-5", Usage(tokens), {"*haiku*": Price(1, 1)}) == pytest.approx(tokens / 1e6)


def test_nothing_in_the_table_is_dearer_than_the_dearest():
    assert max(row.input for _, row in TABLE) == DEAREST.input
    assert max(row.output for _, row in TABLE) == DEAREST.output


def test_every_row_is_reached():
    names = [name for name, *_ in ROWS] + ["claude-fable-5", "claude-mythos-5-1", "claude-mythos-5"]
    names += ["claude-opus-4-0", "claude-3-opus-20240229"]
    assert {id(price(name, {})) for name in names} == {id(row) for _, row in TABLE}
