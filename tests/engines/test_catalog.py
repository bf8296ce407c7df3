import re

import pytest

from understudy.engines.catalog import CATALOG, GB, best_fit, by_name
from understudy.engines.hub import quant_of


@pytest.mark.parametrize(
    ("free", "name"),
    [
        (0, None),
        (1_399_999_999, None),
        (1_400_000_000, "qwen2.5-coder-0.5b"),
        (4 * GB, "qwen2.5-coder-1.5b"),
        (6 * GB, "qwen3.5-4b"),
        (8 * GB, "qwen3.5-9b"),
        (24 * GB, "qwen3-coder-30b"),
        (30 * GB, "qwen3.6-35b"),
        (1000 * GB, "qwen3-coder-next"),
    ],
)
def test_best_fit(free, name):
    row = best_fit(free)
    assert (row and row.name) == name


@pytest.mark.parametrize("row", CATALOG, ids=lambda row: row.name)
def test_rows_make_sense(row):
    assert re.fullmatch(r"[\w.-]+/[\w.-]+-GGUF", row.repo)
    assert quant_of(row.file) == row.quant
    assert row.bytes < row.memory < 2.9 * row.bytes + GB
    assert row.context >= 32_768
    assert row.sentence.endswith(".")
    assert by_name(row.name.upper()) is row


def test_names_are_unique_and_best_first():
    assert len({row.name for row in CATALOG}) == len(CATALOG)
    assert [row.memory for row in CATALOG] == sorted((row.memory for row in CATALOG), reverse=True)
    assert by_name("gpt-2") is None
