"""Reasoning, replays and schemas: each check is seen failing."""

import pytest
from conform.broken import Broken, blocks, broken, covers, is_found, made, saying

from understudy.conform.checks import thinking


def wish(**fields):
    return lambda _, body: fields.items() <= body.get("thinking", {}).items()


def unsigned(_ask, body):
    return any(b["type"] == "thinking" and "signature" not in b for b in blocks(body))


def signed_empty(_ask, body):
    return any(b["type"] == "thinking" and b.get("signature") == "" for b in blocks(body))


def text_input(_ask, body):
    return any(isinstance(b.get("input"), str) for b in blocks(body))


def unparsed(_ask, body):
    return any("__unparsedToolInput" in b.get("input", {}) for b in blocks(body))


def always(_body, message):
    block = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    return message | {"content": [block, *message["content"]]}


TAKEN = "does not take"
ROWS = [
    broken("thinking.adaptive", TAKEN, refuse=wish(type="adaptive")),
    broken("thinking.adaptive", TAKEN, refuse=wish(display="updates")),
    broken("thinking.budget", TAKEN, refuse=wish(type="enabled")),
    broken("thinking.disabled", "though thinking is disabled", message=always),
    broken("thinking.tags", "begins with '<think>hm.</'", message=saying("<think>Hm.</think>No.")),
    broken("thinking.replayed", TAKEN, refuse=unsigned),
    broken("thinking.replayed", TAKEN, refuse=signed_empty),
    broken("replay.inputs", TAKEN, refuse=text_input),
    broken("replay.inputs", TAKEN, refuse=unparsed),
    broken("format.schema", "the text 'Sure: {}'", message=saying("Sure: {}")),
    broken("format.schema", 'the text \'{"name": "x"}\'', message=saying('{"name": "x"}')),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, thinking.CHECKS)


def test_a_model_that_does_not_think():
    result = made("thinking.tags", Broken(message=saying("No.")))
    assert (result.status, result.note) == ("pass", "the model did not think")


def test_json_that_was_cut_off_decides_nothing():
    result = made("format.schema", Broken(message=saying('{"tit', "max_tokens")))
    assert (result.status, "max_tokens ended" in result.note) == ("undecided", True)
