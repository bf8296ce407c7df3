"""Several at a time, and clients that leave: each check is seen failing."""

import pytest
from conform.broken import Broken, broken, covers, header, is_found, made, telling
from msgspec.structs import replace

from understudy.conform.checks import flow


def busy(ask, reply):
    """A server that finishes what nobody reads first."""
    return replace(reply, seconds=60.0) if ask.again == "after the leavers" else reply


ROWS = [
    broken("flow.leave", "the next question took 60.0 s, and 0.0 s before", reply=busy),
    broken("flow.leave", "does not take", refuse=lambda ask, _: ask.leave_after),
    broken("flow.agents", "answers with the ids msg_1, msg_1", message=telling(id="msg_1")),
    broken("flow.agents", "does not take", refuse=lambda ask, _: header(ask, "x-claude-code-agent-id")),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, flow.CHECKS)


def test_three_leave_and_three_agents_ask():
    left, agents = [], set()

    def note(ask):
        left.extend([ask.again] * bool(ask.leave_after))
        agents.add(header(ask, "x-claude-code-agent-id"))
        return ask

    assert made("flow.leave", Broken(heard=note)).requests == 5
    assert left == ["leaver 0", "leaver 1", "leaver 2"]
    assert made("flow.agents", Broken(heard=note)).requests == 4
    assert agents == {"", "agent-1", "agent-2", "agent-3"}


def test_a_slow_server_may_be_as_slow_as_before():
    slow = Broken(reply=lambda _, reply: replace(reply, seconds=4.0))
    assert made("flow.leave", slow).note == "4.0 s before, 4.0 s after"
