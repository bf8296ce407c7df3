"""The list of checks: every id once, every requirement a row of the document, every word there."""

import pytest
from contract.requirements import REQUIREMENTS

from understudy.conform.checks import CHECKS, DIALECTS

ALL = [check for rows in DIALECTS.values() for check in rows]
ROWS = {row.id for row in REQUIREMENTS}


def test_ids_are_unique_and_in_groups():
    ids = [check.id for check in ALL]
    assert len(ids) == len(set(ids))
    assert all(identity.count(".") == 1 for identity in ids)


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.id)
def test_a_check_says_what_it_is_for(check):
    assert set(check.needs) <= ROWS
    assert check.says
    assert check.costs
    assert check.level in ("must", "should")


def test_what_the_client_needs_is_what_is_checked():
    """Rows that no check stands for: the client's own doing, and what cannot be seen from outside."""
    seen = {need for check in CHECKS for need in check.needs}
    checkable = {row.id for row in REQUIREMENTS if row.met_by}
    assert len(seen) >= 100
    assert len(checkable - seen) <= 45
