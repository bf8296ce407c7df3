"""The cached prefix: servers that move something, and the check that sees it."""

import json

import pytest
from conform.broken import Broken, blocks, broken, covers, is_found, made, using

from understudy.conform.checks import prefix


def first_system(body, words):
    """Words in front of everything."""
    system = body.get("system", [])
    body["system"] = [{"type": "text", "text": words}, *system]
    body["tools"] = []
    return body


def numbered(body):
    """The number of turns at the top."""
    return first_system(body, f"{len(body['messages'])} turns so far.")


def billed(body):
    for block in body.get("system", []):
        block["text"] = block["text"].replace("x-anthropic-billing-header", "billing")
    body["tools"] = []
    return body


def marked(body):
    """Marks of the cache are shown to the model."""
    for block in blocks(body):
        if "cache_control" in block:
            block["text"] = "[cached] " + block["text"]
    return body


def gathered(body):
    """Every turn of role system moves to the top."""
    notes = [turn["content"] for turn in body["messages"] if turn["role"] == "system"]
    body["messages"] = [turn for turn in body["messages"] if turn["role"] != "system"]
    return first_system(body, " ".join(note for note in notes if isinstance(note, str)))


def loaded(body):
    for tool in body.get("tools", []):
        if tool["name"] != "DeferredToolPlaceholder":
            tool.pop("defer_loading", None)
    return body


def as_text(block):
    return (
        {"type": "text", "text": f"result {block.get('content')}"}
        if block["type"] == "tool_result"
        else block
    )


def as_they_come(body):
    """Results are words in the order in which they came."""
    for turn in body["messages"]:
        turn["content"] = [as_text(block) for block in turn["content"]]
    return body


def texts_first(body):
    for turn in body["messages"]:
        turn["content"] = [
            as_text(b) for b in sorted(turn["content"], key=lambda block: block["type"] != "text")
        ]
    return body


def summary_first(body):
    """A compaction has a prompt of its own."""
    last = body["messages"][-1]["content"]
    return first_system(body, last[-1]["text"]) if len(last) > 1 and "Write down" in str(last) else body


def named(body):
    """Who asks stands at the top."""
    return first_system(body, json.loads(body["metadata"]["user_id"])["session_id"])


SEEN = "tokens came from the cache; the prompt before had"
ROWS = [
    broken("prefix.turns", SEEN, question=numbered),
    broken("prefix.billing", SEEN, question=billed),
    broken("prefix.marks", SEEN, question=marked),
    broken("prefix.notes", SEEN, question=gathered),
    broken("prefix.tools", SEEN, question=loaded),
    broken("prefix.results", SEEN, question=as_they_come),
    broken("prefix.results-first", SEEN, question=texts_first),
    broken("prefix.compaction", SEEN, question=summary_first),
    broken("prefix.sessions", SEEN, question=named),
    broken("prefix.agents", SEEN, kept=1),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, prefix.CHECKS)


@pytest.mark.parametrize("check", prefix.CHECKS, ids=lambda check: check.id)
def test_a_server_that_does_not_tell_of_its_cache_is_not_blamed(check):
    assert (
        made(check.id, Broken(message=using(cache_read_input_tokens=0, input_tokens=900))).status
        == "undecided"
    )
    assert made(check.id, Broken(message=using(cache_read_input_tokens=None))).status == "undecided"
