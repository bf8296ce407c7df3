import pytest

from understudy.language.batch import Batch


@pytest.mark.parametrize(
    ("outcomes", "done"), [({}, 0), ({"succeeded": 1}, 1), ({"errored": 2, "expired": 3}, 5)]
)
def test_done_are_those_with_an_outcome(outcomes, done):
    assert Batch("b", 0.0, 1.0, None, None, None, 9, **outcomes).done == done


def test_every_outcome_is_counted():
    assert Batch("b", 0.0, 1.0, None, None, None, 10, 1, 2, 3, 4).done == 10
