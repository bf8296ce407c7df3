"""Chat Completions: our gateway passes, and each check is seen failing."""

import pytest
from conform.recorded import of_gateway, refusing, streamed, whole
from msgspec.structs import replace

from understudy.conform.checks import chat
from understudy.conform.exchange import Fault, Reply, Undecided

BY_ID = {check.id: check for check in chat.CHECKS}


@pytest.fixture(scope="module")
def house():
    return of_gateway(chat.CHECKS)


def choice(**fields):
    return whole(lambda body: body["choices"][0].update(fields))


def content(words):
    return whole(lambda body: body["choices"][0]["message"].update(content=words))


def call(**fields):
    def edit(body):
        for found in body["choices"][0]["message"].get("tool_calls", []):
            found.update({k: v for k, v in fields.items() if k == "id"})
            found["function"].update({k: v for k, v in fields.items() if k != "id"})

    return whole(edit)


def without(name):
    return whole(lambda body: {k: v for k, v in body.items() if k != name})


def chunk(edit):
    """Chunks, edited in place."""

    def change(pairs):
        for number, (_, data) in enumerate(pairs):
            if isinstance(data, dict):
                edit(number, data)
        return pairs

    return streamed(change)


def uncounted(_number, data):
    data.pop("usage", None)


def unindexed(_number, data):
    for choice_ in data["choices"]:
        for call_ in choice_["delta"].get("tool_calls", []):
            call_.pop("id", None)


def halved(_number, data):
    for choice_ in data["choices"]:
        for call_ in choice_["delta"].get("tool_calls", []):
            call_["function"]["arguments"] = call_["function"].get("arguments", "")[:3]


def wordless(_number, data):
    for choice_ in data["choices"]:
        choice_["delta"].pop("tool_calls", None)


def ended(reason):
    def edit(_number, data):
        for choice_ in data["choices"]:
            if choice_.get("finish_reason"):
                choice_["finish_reason"] = reason

    return chunk(edit)


def html(_ask, reply):
    return replace(reply, headers={"content-type": "text/html"})


def detailed(_ask, reply):
    return replace(reply, body=b'{"detail": "no"}') if reply.status == 400 else reply


def fine(_ask, _reply):
    return Reply(200, {}, b"{}")


ROWS = [
    ("chat.whole", "usage: None", without("usage")),
    ("chat.whole", "id: None", without("id")),
    ("chat.whole", "finish_reason 'end_turn'", choice(finish_reason="end_turn")),
    ("chat.whole", "a body that is no JSON object: hi", lambda _, r: replace(r, body=b"hi")),
    ("chat.stream", "ends without [DONE]", streamed(lambda pairs: pairs[:-1])),
    ("chat.stream", "a record after [DONE]", streamed(lambda pairs: [*pairs, ("", {})])),
    ("chat.stream", "no JSON object: oops", streamed(lambda pairs: [("", "oops"), *pairs])),
    ("chat.stream", "chunks with the ids", chunk(lambda number, data: data.update(id=f"c{number}"))),
    ("chat.stream", "chunks of object x", chunk(lambda _, data: data.update(object="x"))),
    ("chat.stream", "the finish reasons ['end_turn']", ended("end_turn")),
    ("chat.stream", "the finish reasons []", ended(None)),
    ("chat.stream", "content-type: text/html", html),
    ("chat.usage", "the last chunk is", chunk(uncounted)),
    ("chat.length", "finish_reason stop", choice(finish_reason="stop")),
    ("chat.length", "finish_reason stop", ended("stop")),
    ("chat.stop", "the text 'Hello'", content("Hello")),
    ("chat.schema", "the text 'Sure'", content("Sure")),
    ("chat.call", "no call: finish_reason stop", choice(message={"content": "no"}, finish_reason="stop")),
    ("chat.call", "a call of 'ring_bell'", call(name="ring_bell")),
    ("chat.call", "arguments that are no object: {", call(arguments="{")),
    ("chat.call", "light_lamp called with", call(arguments='{"floor": 99}')),
    ("chat.call", "without an id", call(id="")),
    ("chat.call", "finish_reason 'tool_use' after a call", choice(finish_reason="tool_use")),
    ("chat.call-stream", "no call", chunk(wordless)),
    ("chat.call-stream", "a call that begins with", chunk(unindexed)),
    ("chat.call-stream", "arguments that are no object", chunk(halved)),
    ("chat.result", "status 400: no", refusing(b"tool_call_id")),
    ("chat.roles", "status 400: no", refusing(b'"developer"')),
    ("chat.roles", "status 400: no", refusing(b'"type": "text"')),
    ("chat.roles", "status 400: no", refusing(b"max_completion_tokens")),
    ("chat.errors", "the body {", detailed),
    ("chat.errors", "status 200", fine),
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


def test_json_that_was_cut_off_decides_nothing():
    with pytest.raises(Undecided, match="its limit ended the answer"):
        chat.fitting('{"tit', ended_early=True)


def test_a_call_that_was_cut_off_decides_nothing():
    with pytest.raises(Undecided, match="its limit ended the call"):
        chat.fits("light_lamp", '{"flo', cut=True)
    chat.fits("light_lamp", '{"floor": 3}', cut=True)
    with pytest.raises(Fault, match="that are no object"):
        chat.fits("light_lamp", '{"flo', cut=False)


def test_no_stream():
    with pytest.raises(Fault, match="status 500"):
        chat.chunks(Reply(500))


def test_text_of_a_stream(house):
    ask = chat.asked(house.scene, "Say hello.", stream=True)
    assert chat.chunks(house.known[ask]).text.startswith("Hello.")
