"""What Claude Code puts into questions: a server that refuses any of it is found."""

import json

import pytest
from conform.broken import Broken, broken, covers, has, is_found, made, refusal, without
from msgspec.structs import replace

from understudy.conform.checks import body as checks


def field(name, *path):
    """Whether a body has this field."""

    def when(_ask, body):
        for step in (name, *path):
            if not isinstance(body, dict) or step not in body:
                return False
            body = body[step]
        return True

    return when


def turns(wanted):
    return lambda _ask, body: any(map(wanted, body.get("messages", [])))


def larger(size):
    return lambda ask, _body: len(ask.body) > size


def roles(*expected):
    """Whether the turns begin like this."""
    return lambda _ask, body: tuple(turn["role"] for turn in body["messages"])[: len(expected)] == expected


def failing(ask, reply):
    """An error in a stream that had begun."""
    event = b'event: error\ndata: {"type": "error", "error": {"type": "api_error", "message": "no"}}\n\n'
    return replace(reply, body=event) if ask.leave_after else reply


TAKEN = "does not take"
ROWS = [
    broken("body.first", TAKEN, refuse=larger(40_000)),
    broken("body.first", "ends without message_stop", records=lambda events: events[:-1]),
    broken("body.sizes", TAKEN, refuse=larger(70_000)),
    broken("body.sizes", TAKEN, refuse=larger(100_000)),
    broken("body.order", TAKEN, refuse=lambda ask, _: next(iter(json.loads(ask.body))) != "model"),
    broken("body.system-turns", "role system last: ", refuse=roles("user", "system")),
    broken("body.system-turns", "role system first: ", refuse=roles("system")),
    broken(
        "body.system-turns", "between call and result: ", refuse=roles("user", "assistant", "system", "user")
    ),
    broken(
        "body.system-turns",
        "last, as a list: ",
        refuse=turns(lambda turn: turn["role"] == "system" and isinstance(turn["content"], list)),
    ),
    broken("body.user-id", TAKEN, refuse=lambda ask, body: not field("metadata")(ask, body)),
    broken("body.user-id", TAKEN, refuse=lambda _, b: b.get("metadata", {}).get("user_id") == "no json"),
    broken("body.max-tokens", TAKEN, refuse=lambda _, body: body.get("max_tokens", 0) > 65536),
    broken("body.max-tokens", "an error event", reply=failing),
    broken("body.context-management", TAKEN, refuse=field("context_management")),
    broken("body.effort", TAKEN, refuse=field("output_config", "effort")),
    broken("body.turn-config", TAKEN, refuse=turns(lambda turn: "output_config" in turn)),
    broken("body.safeguards", TAKEN, refuse=field("safeguards")),
    broken("body.sampling", TAKEN, refuse=field("top_k")),
    broken("body.sampling", TAKEN, refuse=lambda ask, body: not field("temperature")(ask, body)),
    broken("body.unknown-fields", TAKEN, refuse=field("a_field_of_next_week")),
    broken("body.unknown-fields", TAKEN, refuse=field("speed")),
    broken("body.unknown-blocks", TAKEN, refuse=has("hologram")),
    broken("body.blocks-named", "costs no tokens", question=without("hologram")),
    broken(
        "body.cache-control",
        TAKEN,
        refuse=lambda _, body: any("cache_control" in tool for tool in body.get("tools", [])),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, checks.CHECKS)


def test_a_small_window_is_no_fault():
    result = made("body.sizes", Broken(window=18_000))
    assert (result.status, "smaller than a question of 77 KB" in result.note) == ("undecided", True)


def test_a_session_that_does_not_fit_is_one():
    assert made("body.first", Broken(window=4096)).status == "fail"


def test_a_long_answer_is_not_waited_for():
    left = []
    server = Broken(heard=lambda ask: left.append(ask.leave_after) or ask)
    assert made("body.max-tokens", server).status == "pass"
    assert left == [1]
    assert made("body.max-tokens", lambda _ask: refusal("no", 500)).seen == "status 500: no"
