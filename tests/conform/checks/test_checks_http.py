"""Paths, headers, keys and listings: each check is seen failing."""

import json

import pytest
from conform.broken import BY_ID, SCENE, Broken, broken, covers, headed, header, is_found, made, refusal
from msgspec.structs import replace

from understudy.conform.checks import http
from understudy.conform.exchange import LISTING, Reply


def listing(*rows):
    body = json.dumps({"data": list(rows)}).encode()
    return lambda ask, reply: replace(reply, body=body) if ask.path == LISTING else reply


def credentials(kind):
    return lambda ask, _body: ask.credentials == kind


def at(status, then):
    return lambda _ask, reply: then if reply.status == status else reply


NOBODY = Reply(0, trouble="no answer: refused")
ROWS = [
    broken("http.hello", "HEAD /api/hello: no", reply=lambda a, r: NOBODY if a.method == "HEAD" else r),
    broken("http.hello", "a body", reply=lambda a, r: replace(r, body=b"x") if a.method == "HEAD" else r),
    broken("http.user-agent", "does not take", refuse=lambda a, _: "Bun" in header(a, "user-agent")),
    broken("http.version", "does not take", refuse=lambda a, _: "2031" in header(a, "anthropic-version")),
    broken("http.version", "does not take", refuse=lambda a, _: not header(a, "anthropic-version")),
    broken("http.betas", "does not take", refuse=lambda a, _: "tea" in header(a, "anthropic-beta")),
    broken("http.stainless", "does not", refuse=lambda a, _: header(a, "x-stainless-retry-count") == "7"),
    broken("http.hints", "does not", refuse=lambda a, _: header(a, "x-claude-code-prompt-id") == "?"),
    broken("http.browser", "does not take", refuse=lambda a, _: header(a, "x-app") == "web"),
    broken("http.request-id", "with status 200", reply=headed(request_id=None)),
    broken("http.request-id", "with status 400", reply=headed(lambda _, r: r.status == 400, request_id=None)),
    broken(
        "http.origin",
        "a page of https://stranger.example gets an answer",
        heard=lambda ask: ask.more(origin=None),
        reply=headed(access_control_allow_origin="*"),
    ),
    broken("keys.bearer", "does not take", refuse=credentials("bearer")),
    broken("keys.x-api-key", "does not take", refuse=credentials("x-api-key")),
    broken("keys.both", "does not take", refuse=credentials("one-wrong")),
    broken("keys.wrong", "without x-should-retry", reply=headed(x_should_retry=None)),
    broken("keys.wrong", "status 403: no", reply=at(401, refusal("no", 403))),
    broken("models.listing", "status 404", reply=lambda a, r: refusal("", 404) if a.path == LISTING else r),
    broken("models.listing", "a body without models", reply=listing()),
    broken("models.listing", "a body without models", reply=listing({"name": "x"})),
    broken("models.discovery", "llama: none has", reply=listing({"id": "llama"})),
    broken("models.named", "claude-local-ideal: ", refuse=lambda _, b: "local" in b.get("model", "")),
    broken("models.haiku", "does not take", refuse=lambda _, b: "haiku" in b.get("model", "")),
    broken("models.unknown", "status 500: oops", reply=at(404, refusal("oops", 500))),
    broken("models.unknown", "invalid_request_error", reply=at(404, refusal("oops", 404))),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, http.CHECKS)


@pytest.mark.parametrize("name", ["keys.bearer", "keys.x-api-key", "keys.both", "keys.wrong"])
def test_keys_are_tried_only_where_that_was_asked_for(name):
    result = made(name, scene=replace(SCENE, keyed=False, bad_key=False))
    assert (result.status, result.requests) == ("skipped", 0)


def test_a_server_without_keys_or_names_passes_nothing_it_does_not_have():
    open_door = Broken(heard=lambda ask: replace(ask, credentials="both"))
    assert made("keys.wrong", open_door).status == "skipped"
    assert made("models.discovery", Broken(reply=listing())).status == "skipped"


def test_what_is_no_fault():
    answered = Broken(heard=lambda ask: ask.more(origin=None))
    assert made("http.origin", answered).note == "answered, but no browser would show it to the page"
    any_name = Broken(question=lambda body: body | {"model": "ideal"})
    assert made("models.unknown", any_name).note == "this server answers under any name"


def test_only_ids_of_the_one_model_are_tried():
    scene = replace(SCENE, models=("big", "ideal", "claude-local-ideal"))
    asked = []
    server = Broken(heard=lambda ask: asked.append(json.loads(ask.body)["model"]) or ask)
    assert made("models.named", server, scene).status == "pass"
    assert asked == ["ideal", "claude-local-ideal"]
    assert BY_ID["models.named"].level == "must"
