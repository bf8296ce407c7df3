"""What a run will need, said beforehand."""

import pytest
from conform.broken import BY_ID, SCENE
from msgspec.structs import replace

from understudy.conform.checks import CHECKS
from understudy.conform.forecast import Need, forecast

STREAMS = [check for check in CHECKS if check.group == "stream"]


def test_questions_that_are_shared_count_once():
    one, all_of_them = forecast([BY_ID["stream.order"]], SCENE), forecast(STREAMS, SCENE)
    assert one.requests == 3
    assert all_of_them.requests == 4  # one asks for compression
    assert 0 < one.prompt < all_of_them.prompt
    assert one.answer > 24


def test_what_is_counted_or_left_costs_nothing():
    counted, left = (forecast([BY_ID[name]], SCENE) for name in ("count.at-once", "body.max-tokens"))
    assert (counted.requests, counted.prompt, counted.answer) == (26, 0, 0)
    assert (left.requests, left.prompt, left.answer) == (1, 0, 0)


@pytest.mark.parametrize(("limit", "largest"), [(4 * 1024 * 1024, 2_000_000), (100_000, 0)])
def test_the_largest_question(limit, largest):
    need = forecast([BY_ID["tools.big"]], replace(SCENE, max_bytes=limit))
    assert need.bytes >= largest
    assert (need == Need()) == (largest == 0)


def test_an_unknown_window_is_reckoned_with():
    assert forecast([BY_ID["errors.too-long"]], replace(SCENE, window=0)).requests >= 2
