"""Ollama's API: our fake Ollama passes, and each check is seen failing."""

import json

import pytest
from conform.recorded import lined, of_fake, refusing, whole
from msgspec.structs import replace

from understudy.conform.checks import ollama
from understudy.conform.exchange import Fault, Reply

BY_ID = {check.id: check for check in ollama.CHECKS}
LINES = b'{"model": "m", "response": "Hi", "done": false}\n{"model": "m", "response": "", "done": true}\n'


@pytest.fixture(scope="module")
def fake():
    """The fake engine knows only what an engine is asked: /api/generate is written here."""
    recorded = of_fake("ollama", ollama.CHECKS)
    for ask in recorded.known:
        if ask.path == ollama.GENERATE:
            recorded.known[ask] = Reply(200, {"content-type": "application/x-ndjson"}, LINES)
    return recorded


def fields(**values):
    return whole(lambda body: body.update(values))


def call(**values):
    def edit(body):
        for found in body["message"].get("tool_calls", []):
            found["function"].update(values)

    return whole(edit)


def told(_ask, reply):
    """Errors in OpenAI's shape."""
    return replace(reply, body=b'{"error": {"message": "no"}}') if reply.status >= 400 else reply


def line(place, **values):
    def edit(found):
        found[place].update(values)
        return found

    return lined(edit)


def content(words):
    return whole(lambda body: body["message"].update(content=words))


def at(path, body):
    return lambda ask, reply: replace(reply, body=json.dumps(body).encode()) if ask.path == path else reply


ROWS = [
    ("ollama.listing", "the models []", at("/api/tags", {"models": []})),
    ("ollama.listing", "the models [{", at("/api/tags", {"models": [{"name": "m"}]})),
    ("ollama.listing", "tells none", at("/api/version", {})),
    ("ollama.show", "the fields none", at("/api/show", {})),
    ("ollama.whole", "done: False", fields(done=False)),
    ("ollama.whole", "created_at: None", fields(created_at=None)),
    ("ollama.whole", "a body that is no JSON object", lambda _, r: replace(r, body=b"hi")),
    ("ollama.stream", "done is [False", line(-1, done=False)),
    ("ollama.stream", "a line that is no JSON object: oops", lined(lambda found: ["oops", *found])),
    ("ollama.stream", "a line without a message", line(0, message=None)),
    (
        "ollama.stream",
        "content-type: text/plain",
        lambda _, r: replace(r, headers={"content-type": "text/plain"}),
    ),
    ("ollama.usage", "eval_count: 0", line(-1, eval_count=0)),
    ("ollama.generate", "no line with a response", line(0, response="")),
    ("ollama.length", "done_reason 'stop'", fields(done_reason="stop")),
    ("ollama.schema", "the text 'Sure'", content("Sure")),
    ("ollama.call", "arguments that are no object", call(arguments='{"floor": 3}')),
    ("ollama.call", "a call of 'light_lamp': ", call(arguments={"floor": 99})),
    ("ollama.call", "it was not offered", call(name="ring_gong")),
    ("ollama.result", "status 400: no", refusing(b'"tool_name"')),
    ("ollama.errors", "the body {", told),
    ("ollama.errors", "status 200", lambda _a, _r: Reply(200, {}, b"{}")),
]


@pytest.mark.parametrize(("name", "seen", "change"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_it_is_found(fake, name, seen, change):
    result = fake.made(BY_ID[name], change)
    assert (result.status, seen in result.seen) == ("fail", True), result
    assert fake.made(BY_ID[name]).status == "pass"


def test_every_check_is_seen_failing():
    assert {row[0] for row in ROWS} == set(BY_ID)


def test_a_model_that_calls_nothing_decides_nothing(fake):
    silent = whole(lambda body: body["message"].pop("tool_calls", None) and None)
    assert fake.made(BY_ID["ollama.call"], silent).status == "undecided"


def test_no_stream():
    with pytest.raises(Fault, match="status 500"):
        ollama.lines(Reply(500))
