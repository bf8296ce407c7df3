import pytest

from understudy.language.errors import BadRequest
from understudy.web.paging import limit_of, query_of


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", {}),
        (b"limit=3&after_id=a%20b", {"limit": "3", "after_id": "a b"}),
        (b"limit=&x", {}),
        (b"limit=1&limit=2", {"limit": "2"}),
        (b"beta=true", {"beta": "true"}),
    ],
)
def test_queries(raw, expected):
    assert query_of({"query_string": raw}) == expected


@pytest.mark.parametrize(
    ("query", "limit"), [({}, 20), ({"limit": "1"}, 1), ({"limit": "1000"}, 1000), ({"limit": "007"}, 7)]
)
def test_limits(query, limit):
    assert limit_of(query) == limit


@pytest.mark.parametrize("text", ["0", "-1", "1001", "x", "1.5", "²", "٣", "9" * 5000])
def test_limits_that_are_none(text):
    with pytest.raises(BadRequest, match=r"limit: .* is not a number from 1 to 1000") as raised:
        limit_of({"limit": text})
    assert len(raised.value.message) < 100
