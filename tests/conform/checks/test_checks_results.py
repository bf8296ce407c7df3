"""Tool results: each check is seen failing."""

import base64

import pytest
from conform.broken import Broken, blocks, broken, covers, has, is_found, made, refusal, using, without

from understudy.conform.checks import results


def result_is(wanted):
    return lambda _ask, body: any(wanted(block) for block in blocks(body) if block["type"] == "tool_result")


def shortened(body):
    for block in blocks(body):
        if isinstance(block.get("content"), str):
            block["content"] = block["content"][:100]
    return body


def forgiven(body):
    for block in blocks(body):
        block.pop("is_error", None)
    return body


def begins_with_text(_ask, body):
    """Words in front of a result."""
    content = body["messages"][-1]["content"] if body.get("messages") else []
    kinds = [block["type"] for block in content]
    return "tool_result" in kinds and kinds[0] == "text"


def matched_by_place(body):
    """The second of two results is lost where it is not the second call's."""
    results_ = [block for block in blocks(body) if block["type"] == "tool_result"]
    if [block["tool_use_id"] for block in results_] == ["toolu_o2", "toolu_o1"]:
        for block in results_:
            block["content"] = ""
    return body


TAKEN = "does not take"
ROWS = [
    broken("results.forms", TAKEN, refuse=result_is(lambda block: "content" not in block)),
    broken("results.forms", TAKEN, refuse=result_is(lambda block: block.get("content") == [])),
    broken("results.forms", TAKEN, refuse=result_is(lambda block: block.get("content") == "")),
    broken("results.forms", TAKEN, refuse=result_is(lambda block: isinstance(block.get("content"), list))),
    broken("results.carried", "2000 more characters of a result", question=shortened),
    broken("results.failure", "the same as one without", question=forgiven),
    broken("results.mixed", TAKEN, refuse=begins_with_text),
    broken("results.any-order", "tokens in the order of the calls", question=matched_by_place),
    broken("results.image", "it was dropped", question=without("image")),
    broken("results.image", TAKEN, refuse=has("image", within=True)),
    broken("results.prompt-image", "it was dropped", question=without("image")),
    broken("results.prompt-image", TAKEN, refuse=has("image")),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, results.CHECKS)


def test_the_picture_is_a_picture():
    source = results.picture()["source"]
    assert base64.b64decode(source["data"])[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("name", ["results.image", "results.prompt-image"])
def test_a_model_that_sees_nothing_and_says_so_decides_nothing(name):
    def server(ask):
        return refusal("m cannot see pictures") if b'"image"' in ask.body else Broken()(ask)

    result = made(name, server)
    assert (result.status, "m cannot see pictures" in result.note) == ("undecided", True)


def test_failures_that_no_number_tells():
    """As many tokens, and no cache: nobody outside knows."""
    same = Broken(question=forgiven, message=using(cache_read_input_tokens=0, input_tokens=50))
    assert made("results.failure", same).status == "undecided"


def test_failures_that_only_the_cache_tells():
    """As many tokens; but the cache of the one prompt ends where the other begins to differ."""

    def counted(body, message):
        bad = any(block.get("is_error") for block in blocks(body))
        seen.append(bad)
        cached = 400 if bad or len(seen) < 3 else 100
        usage = {"input_tokens": 500 - cached, "cache_read_input_tokens": cached, "output_tokens": 1}
        return message | {"usage": usage}

    seen = []
    assert made("results.failure", Broken(message=counted)).note == "as many tokens, but other ones"
