"""Offered tools: each check is seen failing."""

import pytest
from conform.broken import (
    SCENE,
    Broken,
    blocks,
    broken,
    calling,
    covers,
    has,
    is_found,
    made,
    refusal,
    saying,
    using,
)
from msgspec.structs import replace

from understudy.conform.checks import tools


def tools_of(wanted):
    return lambda _ask, body: any(map(wanted, body.get("tools", [])))


def loaded(body):
    """Deferred tools in the prompt from the beginning."""
    for tool in body.get("tools", []):
        tool.pop("defer_loading", None)
    return body


def unfound(body):
    """References that are only words."""
    for block in blocks(body):
        if isinstance(block.get("content"), list):
            block["content"] = [{"type": "text", "text": "found"}]
    return body


def large(then):
    return lambda ask, reply: then if len(ask.body) > 1_500_000 else reply


TAKEN = "does not take"
ROWS = [
    broken("tools.schemas", TAKEN, refuse=tools_of(lambda tool: "$defs" in tool.get("input_schema", {}))),
    broken("tools.hard-valid", "book_room called with", message=calling(input={"name": "x"})),
    broken("tools.sixty", TAKEN, refuse=lambda _, body: len(body.get("tools", [])) > 32),
    broken("tools.big", "status 500: oops", reply=large(refusal("oops", 500))),
    broken("tools.big", "status 400: no", reply=large(refusal("no"))),
    broken("tools.big", "status 413 with the body", reply=large(refusal("too large", 413))),
    broken("tools.server", TAKEN, refuse=tools_of(lambda tool: "type" in tool)),
    broken("tools.deferred", "a deferred tool costs", question=loaded),
    broken("tools.reference", TAKEN, refuse=has("tool_reference", within=True)),
    broken("tools.found", "the reference adds", question=unfound),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, tools.CHECKS)


def test_what_decides_nothing():
    tiny = Broken(window=3000)
    assert made("tools.sixty", tiny).status == "undecided"
    assert made("tools.hard-valid", Broken(message=saying("No."))).status == "undecided"
    assert (
        made("tools.deferred", Broken(message=using(input_tokens=9, cache_read_input_tokens=0))).status
        == "undecided"
    )
    assert made("tools.big", scene=replace(SCENE, max_bytes=100_000)).status == "skipped"


def test_a_large_question_may_be_answered_or_refused_by_its_size():
    assert made("tools.big", Broken(window=10**9)).note == "answered"
    proper = refusal("request exceeds the maximum size", 413, "request_too_large")
    assert "413" in made("tools.big", Broken(reply=large(proper))).note
