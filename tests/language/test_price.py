"""What an answer costs: fresh, cached and written tokens of the prompt, and those of the answer."""

import pytest

from understudy.language.events import Usage
from understudy.language.price import Price, cost_at, dollars

USAGES = [  # in, cached, out, written, of these for an hour: dollars at 4 and 20
    (Usage(1_000_000, 0, 0), 4.0),
    (Usage(1_000_000, None, 1_000_000), 24.0),
    (Usage(1_000_000, 1_000_000, 0), 0.4),
    (Usage(1_000_000, 0, 0, 1_000_000), 5.0),
    (Usage(1_000_000, 0, 0, 1_000_000, 1_000_000), 8.0),
    (Usage(1_000_000, 500_000, 0, 400_000, 100_000), 0.4 + 0.2 + 1.5 + 0.8),
    (Usage(10, 20, 0), 20 * 0.4 / 1e6),
]


@pytest.mark.parametrize(("usage", "dollars"), USAGES)
def test_what_an_answer_costs(usage, dollars):
    assert cost_at(Price(4, 20), usage) == pytest.approx(dollars)


def test_what_the_row_says_of_the_cache_counts():
    row = Price(4, 20, read=0.2, written=6, hour=9)
    assert cost_at(row, Usage(3_000_000, 1_000_000, 0, 2_000_000, 1_000_000)) == pytest.approx(15.2)
    assert cost_at(Price(4, 20, read=0), Usage(1_000_000, 1_000_000, 0)) == 0


@pytest.mark.parametrize(
    ("sum_", "said"), [(0, "$0.00"), (0.0016, "$0.0016"), (0.1, "$0.10"), (1234.5, "$1,234.50")]
)
def test_a_sum_for_people(sum_, said):
    assert dollars(sum_) == said
