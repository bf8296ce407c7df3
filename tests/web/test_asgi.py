"""The door: ids, who is let in, body limits, and what becomes of bugs."""

import pytest
import structlog
from driver import Puppet, Visit, ask, house, question

from understudy.language import errors
from understudy.web.asgi import SEND, bug, error_headers

KEY = "the-master-key"
BODY = question()


async def test_every_request_has_an_id_of_its_own():
    async with house(Puppet()) as built:
        found = {(await ask(built)()).headers["request-id"] for _ in range(5)}
        found.add((await Visit(built.app, "GET", "/nowhere")()).headers["request-id"])
        found.add((await Visit(built.app, "GET", "/health")()).headers["request-id"])
        found.add((await Visit(built.app, "GET", "/openapi.json")()).headers["request-id"])
    assert len(found) == 8


REFUSED = [
    ([], 401, "authentication_error", "a key is needed"),
    ([(b"authorization", b"Bearer wrong")], 401, "authentication_error", "not known"),
    ([(b"x-api-key", b"wrong")], 401, "authentication_error", "not known"),
    (
        [(b"host", b"evil.example"), (b"x-api-key", KEY.encode())],
        421,
        "invalid_request_error",
        "evil.example",
    ),
    ([(b"origin", b"https://evil.example"), (b"x-api-key", KEY.encode())], 403, "permission_error", "evil"),
]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/metrics", "/nowhere"])
@pytest.mark.parametrize(("headers", "status", "kind", "words"), REFUSED, ids=[str(r[1:]) for r in REFUSED])
async def test_who_is_not_let_in(headers, status, kind, words, path):
    puppet = Puppet()
    async with house(puppet, key=KEY) as built:
        visit = await Visit(built.app, path=path, body=BODY, headers=headers)()
    assert visit.status == status
    assert visit.json["error"]["type"] == kind
    assert words in visit.json["error"]["message"]
    assert visit.json["request_id"] == visit.headers["request-id"]
    assert visit.headers["x-should-retry"] == "false"
    assert visit.read == 0
    assert not puppet.requests
    assert KEY not in visit.body.decode()


@pytest.mark.parametrize(
    "header", [(b"authorization", b"Bearer " + KEY.encode()), (b"x-api-key", KEY.encode())]
)
async def test_who_is_let_in(header):
    async with house(Puppet(), key=KEY) as built:
        assert (await Visit(built.app, body=BODY, headers=[header])()).status == 200


async def test_a_body_over_the_limit_is_refused_before_it_is_read():
    async with house(Puppet(), body_limit="1K") as built:
        visit = await Visit(built.app, body=b"x" * 2000, headers=[(b"content-length", b"2000")])()
    assert visit.status == 413
    assert visit.json["error"]["type"] == "request_too_large"
    assert "2000 bytes; at most 1024" in visit.json["error"]["message"]
    assert visit.headers["x-should-retry"] == "false"
    assert visit.read == 0


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"10")], [(b"content-length", b"-5")]])
async def test_a_body_that_grows_over_the_limit_is_not_read_to_its_end(headers):
    async with house(Puppet(), body_limit="1K") as built:
        visit = await Visit(built.app, pieces=[b"x" * 600] * 10, headers=headers)()
    assert visit.status == 413
    assert visit.read == 1200


async def test_a_body_in_pieces_is_one_body():
    import msgspec  # noqa: PLC0415

    raw = msgspec.json.encode(BODY)
    async with house(puppet := Puppet()) as built:
        visit = await Visit(built.app, pieces=[raw[:7], b"", raw[7:9], raw[9:]])()
    assert visit.status == 200
    assert puppet.requests[0].turns[0].blocks[0].text == "Hi"


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b'{"model":"m"}',
    b'{"model":' + b"[" * 100_000,
    b"\x00",
]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("body", MALFORMED, ids=lambda b: repr(b[:12]))
async def test_a_body_that_is_no_question(body, path):
    async with house(puppet := Puppet()) as built:
        visit = await Visit(built.app, path=path, body=body)()
    assert visit.status == 400
    assert visit.json["error"]["type"] == "invalid_request_error"
    assert visit.headers["x-should-retry"] == "false"
    assert not puppet.requests


@pytest.mark.parametrize("error", [KeyError("the secret prompt"), errors.Bug("the secret prompt")], ids=repr)
async def test_a_bug_is_logged_without_words_and_told_with_its_id(error):
    async with house(Puppet([error])) as built:
        with structlog.testing.capture_logs() as lines:
            visit = await ask(built, "the secret prompt")()
    assert visit.status == 500
    assert visit.json["error"]["type"] == "api_error"
    identity = visit.headers["request-id"]
    assert identity in visit.json["error"]["message"]
    assert "secret" not in str(lines)
    assert "secret" not in visit.body.decode()
    found = next(line for line in lines if line["event"] == "bug")
    assert found["request_id"] == identity
    assert found["kind"] == type(error).__name__
    assert "driver.py" in found["frames"]
    assert next(line for line in lines if line["event"] == "request")["status"] == 500


async def test_nothing_of_a_request_is_kept():
    async with house(Puppet()) as built:
        visit = await ask(built)()
        refused = await Visit(built.app, headers=[(b"host", b"evil.example")])()
    assert SEND not in visit.scope
    assert SEND not in refused.scope


async def test_the_log_has_one_line_for_a_request_and_none_for_probes():
    async with house(Puppet()) as built:
        with structlog.testing.capture_logs() as lines:
            await ask(built)()
            await Visit(built.app, "HEAD", "/")()
            await Visit(built.app, "GET", "/health")()
            await Visit(built.app, "GET", "/nowhere")()
    seen = [(line["path"], line["status"], line["log_level"]) for line in lines]
    assert seen == [
        ("/v1/messages", 200, "info"),
        ("/", 200, "debug"),
        ("/health", 200, "debug"),
        ("/nowhere", 404, "info"),
    ]


HEADERS = [
    (errors.BadRequest("x"), {b"x-should-retry": b"false"}),
    (errors.EngineDenied("x"), {b"x-should-retry": b"false"}),
    (errors.Refused("x", retry_after=0.2), {b"retry-after": b"1"}),
    (errors.EngineBusy("x", retry_after=8.6), {b"retry-after": b"9"}),
    (errors.EngineBusy("x"), {b"retry-after": b"5"}),
    (errors.EngineLost("x"), {}),
    (errors.NoTarget("x"), {}),
]


@pytest.mark.parametrize(("error", "expected"), HEADERS, ids=[type(e).__name__ for e, _ in HEADERS])
def test_whether_to_come_again(error, expected):
    assert dict(error_headers(error)) == expected


def test_a_bug_says_where_more_is():
    assert str(bug(ValueError("words"), "req_1")) == "ValueError in understudy; its log has more under req_1"


async def test_what_is_no_request_passes_the_door():
    async with house(Puppet()) as built:
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "websocket", "path": "/", "raw_path": b"/", "headers": [], "query_string": b""}
        await built.app({**scope, "root_path": "", "scheme": "ws", "subprotocols": []}, receive, send)
    assert sent[0]["type"] == "websocket.close"
