"""The Responses API: our gateway passes, and each check is seen failing."""

import json

import pytest
from conform.recorded import of_gateway, refusing, streamed, whole
from msgspec.structs import replace

from understudy.conform.checks import responses
from understudy.conform.exchange import Fault, Reply

BY_ID = {check.id: check for check in responses.CHECKS}


@pytest.fixture(scope="module")
def house():
    return of_gateway(responses.CHECKS)


def kind(data):
    return data["type"].removeprefix("response.")


def renumbered(pairs):
    """With numbers that fit, whatever was taken out."""
    return [(name, data | {"sequence_number": number}) for number, (name, data) in enumerate(pairs)]


def lacking(*kinds):
    """Streams without events of these kinds."""
    return streamed(lambda pairs: renumbered([pair for pair in pairs if kind(pair[1]) not in kinds]))


def event(name, **fields):
    """Streams whose events of this kind have these fields."""
    return streamed(
        lambda pairs: [(n, data | fields if kind(data) == name else data) for n, data in pairs],
    )


def text(words):
    def edit(body):
        for item in body["output"]:
            if item["type"] == "message":
                item["content"][0]["text"] = words

    return whole(edit)


def call(**fields):
    def edit(body):
        for item in body["output"]:
            if item["type"] == "function_call":
                item.update(fields)

    return whole(edit)


def forgotten(ask, reply):
    """The earlier turn is not in the prompt."""
    body = json.loads(ask.body)
    if body.get("previous_response_id"):
        found = json.loads(reply.body)
        found["usage"]["input_tokens"] = 9
        return replace(reply, body=json.dumps(found).encode())
    return reply


def unkept(ask, reply):
    return Reply(404, {}, b'{"error": {"message": "no"}}') if b"previous_response_id" in ask.body else reply


def detailed(_ask, reply):
    return replace(reply, body=b'{"detail": "no"}') if reply.status == 400 else reply


ROWS = [
    ("responses.whole", "object: x", whole(lambda body: body.update(object="x"))),
    ("responses.whole", "status: None", whole(lambda body: body.update(status=None))),
    ("responses.whole", "usage: None", whole(lambda body: body.update(usage=None))),
    ("responses.incomplete", "status completed", whole(lambda body: body.update(status="completed"))),
    ("responses.schema", "the text 'Sure'", text("Sure")),
    ("responses.stream", "response.created to response.output_item.done", lacking("completed")),
    ("responses.stream", "a stream of response.in_progress", lacking("created")),
    ("responses.stream", "the sequence numbers [7,", event("created", sequence_number=7)),
    (
        "responses.stream",
        "behind event: nothing",
        streamed(lambda pairs: [("", data) for _, data in pairs]),
    ),
    ("responses.stream", "no event", streamed(lambda _pairs: [])),
    ("responses.text", "deltas '', done", event("output_text.delta", delta="")),
    ("responses.text", "done 'x'", event("output_text.done", text="x")),
    ("responses.items", "which is not open", lacking("output_item.added")),
    ("responses.items", "without output_item.done", lacking("output_item.done")),
    ("responses.call", "no call", whole(lambda body: body.update(output=[]))),
    ("responses.call", "without a call_id", call(call_id="")),
    ("responses.call", "a call of 'ring_bell'", call(name="ring_bell")),
    ("responses.call", "arguments that are no object", call(arguments="3")),
    ("responses.call-stream", "no function_call_arguments.done", lacking("function_call_arguments.done")),
    (
        "responses.call-stream",
        "deltas '', done '{",
        event("function_call_arguments.delta", delta=""),
    ),
    ("responses.result", "status 400: no", refusing(b"function_call_output")),
    ("responses.input", "status 400: no", refusing(b'"developer"')),
    ("responses.input", "status 400: no", refusing(b'"input_text"')),
    ("responses.previous", "9 with it", forgotten),
    ("responses.errors", "the body {", detailed),
]


@pytest.mark.parametrize(("name", "seen", "change"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_it_is_found(house, name, seen, change):
    result = house.made(BY_ID[name], change)
    assert (result.status, seen in result.seen) == ("fail", True), result
    assert house.made(BY_ID[name]).status == "pass"


def test_our_own_gateway_passes(house):
    assert {name: r.seen for name, r in house.results.items() if r.status != "pass"} == {}


def test_every_check_is_seen_failing():
    assert {row[0] for row in ROWS} == set(BY_ID)


def test_a_server_that_keeps_nothing_is_not_blamed(house):
    assert house.made(BY_ID["responses.previous"], unkept).status == "skipped"


def test_a_keepalive_has_a_number_and_a_ping_has_none(house):
    def beating(pairs):
        first, *rest = pairs
        return renumbered([first, ("keepalive", {"type": "keepalive"}), *rest])

    def pinging(pairs):
        return [("ping", {"type": "ping"}), *pairs]

    for change in (beating, pinging):
        assert house.made(BY_ID["responses.stream"], streamed(change)).status == "pass"


def test_no_stream():
    with pytest.raises(Fault, match="status 500"):
        responses.events(Reply(500))
