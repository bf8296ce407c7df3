"""The endpoints of batches, over the whole application: no sockets, no sleeps."""

import asyncio
import re

import msgspec
import pytest
from batching.rig import Desk
from web.driver import Visit, house

from understudy.auth import digest
from understudy.config import Batches
from understudy.store.batches import BatchFile
from understudy.web import batches as module

PATH = "/v1/messages/batches"
KEY, OTHER = ((b"x-api-key", b"mine"),), ((b"x-api-key", b"yours"),)
KEYS = (digest("mine"), digest("yours"))


@pytest.fixture
def settings(tmp_path):
    return Batches(file=str(tmp_path / "batches.db"), quiet_seconds=0.0)


def request(custom_id, **more):
    params = {"model": "coder", "max_tokens": 9, "messages": [{"role": "user", "content": custom_id}]}
    return {"custom_id": custom_id, "params": params | more}


def body(*names):
    return {"requests": [request(name) for name in names]}


async def visit(built, method, path, body=b"", headers=(), *, query=b""):
    return await Visit(built.app, method, path, body, headers=headers, query=query)()


async def hand_in(built, *names, headers=()):
    found = await visit(built, "POST", PATH, body(*names), headers)
    assert found.status == 200, found.body
    return found.json["id"]


async def ended(built, batch_id, headers=()):
    async with asyncio.timeout(10):
        while True:
            found = await visit(built, "GET", f"{PATH}/{batch_id}", headers=headers)
            assert found.status == 200, found.body
            if found.json["processing_status"] == "ended":
                return found


async def results(built, batch_id, headers=()):
    found = await visit(built, "GET", f"{PATH}/{batch_id}/results", headers=headers)
    assert found.status == 200, found.body
    return found, [msgspec.json.decode(line) for line in found.body.splitlines()]


async def test_from_beginning_to_end(settings):
    desk = Desk(held=True)
    async with house(desk, batches=settings) as built:
        new = await visit(built, "POST", PATH, body("a", "b"))
        assert new.status == 200
        batch_id = new.json["id"]
        assert re.fullmatch(r"msgbatch_[0-9A-Za-z]{24}", batch_id)
        assert (new.json["processing_status"], new.json["results_url"]) == ("in_progress", None)
        assert new.headers["x-understudy-progress"] == "0/2"
        desk.let("a")
        while (found := await visit(built, "GET", f"{PATH}/{batch_id}")).headers[
            "x-understudy-progress"
        ] != "1/2":
            pass
        assert found.json["request_counts"] == {
            "processing": 2,
            "succeeded": 0,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
        }
        early = await visit(built, "GET", f"{PATH}/{batch_id}/results")
        assert (early.status, early.json["error"]["type"]) == (404, "not_found_error")
        assert "has no results yet" in early.json["error"]["message"]
        kept = await visit(built, "DELETE", f"{PATH}/{batch_id}")
        assert (kept.status, kept.json["error"]["type"]) == (400, "invalid_request_error")
        assert "cancel it, then delete it" in kept.json["error"]["message"]
        desk.let("b")
        last = await ended(built, batch_id)
        assert last.json["request_counts"] == {
            "processing": 0,
            "succeeded": 2,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
        }
        assert last.headers["x-understudy-progress"] == "2/2"
        assert last.json["results_url"] == f"http://127.0.0.1:8000{PATH}/{batch_id}/results"
        found, lines = await results(built, batch_id)
        assert found.headers["content-type"] == "application/x-jsonl"
        assert [(row["custom_id"], row["result"]["type"]) for row in lines] == [
            ("a", "succeeded"),
            ("b", "succeeded"),
        ]
        assert [row["result"]["message"]["content"][0]["text"] for row in lines] == ["about a", "about b"]
        gone = await visit(built, "DELETE", f"{PATH}/{batch_id}")
        assert gone.json == {"type": "message_batch_deleted", "id": batch_id}
        assert (await visit(built, "GET", f"{PATH}/{batch_id}")).status == 404


async def test_it_is_on_the_disk_when_it_is_answered(settings, tmp_path):
    async with house(Desk(held=True), batches=settings) as built:
        batch_id = await hand_in(built, "a", "b")
    async with house(Desk(), batches=settings) as built:
        last = await ended(built, batch_id)
    assert last.json["request_counts"]["succeeded"] == 2


async def test_errors_of_the_body_are_the_apis(settings):
    async with house(Desk(), batches=settings, body_limit="1000") as built:
        for raw, status, kind, words in (
            (b"{", 400, "invalid_request_error", "not valid JSON"),
            ({"requests": []}, 400, "invalid_request_error", "requests: at least one"),
            (body("a", "a"), 400, "invalid_request_error", "requests.1.custom_id: 'a'"),
            (body("a" * 999), 413, "request_too_large", "server.body_limit"),
        ):
            found = await visit(built, "POST", PATH, raw)
            assert (found.status, found.json["type"], found.json["error"]["type"]) == (status, "error", kind)
            assert words in found.json["error"]["message"]
            assert found.json["request_id"] == found.headers["request-id"]
        assert (await visit(built, "GET", PATH)).json["data"] == []


async def test_never_more_than_the_api_takes(settings, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    async with house(Desk(), batches=settings) as built:
        assert (await visit(built, "POST", PATH, body("a"))).status == 413


async def test_cancel(settings):
    desk = Desk(held=True)
    async with house(desk, batches=settings) as built:
        batch_id = await hand_in(built, "a", "b")
        found = await visit(built, "POST", f"{PATH}/{batch_id}/cancel")
        assert found.json["processing_status"] == "canceling"
        assert found.json["cancel_initiated_at"] is not None
        last = await ended(built, batch_id)
        assert last.json["request_counts"]["canceled"] == 2
        again = await visit(built, "POST", f"{PATH}/{batch_id}/cancel")
        assert (again.status, again.json) == (200, last.json)
        _, lines = await results(built, batch_id)
        assert [row["result"] for row in lines] == [{"type": "canceled"}] * 2


PAGES = [  # query -> of five, the oldest a
    (b"", "edcba", False),
    (b"limit=2", "ed", True),
    (b"limit=2&after_id={d}", "cb", True),
    (b"limit=2&after_id={b}", "a", False),
    (b"limit=2&before_id={c}", "ed", False),
    (b"limit=2&before_id={a}", "cb", True),
]


async def test_pages(settings):
    async with house(Desk(), batches=settings) as built:
        ids = {name: await hand_in(built, name) for name in "abcde"}
        for query, expected, more in PAGES:
            found = await visit(built, "GET", PATH, query=query.decode().format(**ids).encode())
            assert [row["id"] for row in found.json["data"]] == [ids[name] for name in expected]
            assert found.json["has_more"] is more
            assert (found.json["first_id"], found.json["last_id"]) == (ids[expected[0]], ids[expected[-1]])
        for query in (b"after_id=nope", b"before_id=nope", b"limit=0"):
            found = await visit(built, "GET", PATH, query=query)
            assert found.status == 400
            assert found.json["error"]["message"].startswith(query.decode().partition("=")[0])


async def test_to_another_key_a_batch_does_not_exist(settings):
    async with house(Desk(), batches=settings, key_hashes=KEYS) as built:
        batch_id = await hand_in(built, "a", headers=KEY)
        await ended(built, batch_id, KEY)
        for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("DELETE", "")):
            found = await visit(built, method, f"{PATH}/{batch_id}{path}", headers=OTHER)
            assert (found.status, found.json["error"]["type"]) == (404, "not_found_error"), method
            assert found.json["error"]["message"] == f"Message Batch '{batch_id}' not found"
            assert (await visit(built, method, f"{PATH}/{batch_id}{path}")).status == 401
        assert (await visit(built, "GET", PATH, headers=OTHER)).json["data"] == []
        found = await visit(built, "GET", PATH, headers=OTHER, query=b"after_id=" + batch_id.encode())
        assert found.status == 400
        _, lines = await results(built, batch_id, KEY)
        assert len(lines) == 1
        for method, path in (("GET", ""), ("POST", "/cancel"), ("DELETE", "")):
            found = await visit(built, method, f"{PATH}/{batch_id}{path}", headers=KEY)
            assert (found.status, found.json["id"]) == (200, batch_id)


async def test_an_id_that_is_long(settings):
    async with house(Desk(), batches=settings) as built:
        found = await visit(built, "GET", f"{PATH}/{'x' * 5000}")
        assert found.status == 404
        assert len(found.body) < 400


async def test_archived(settings):
    async with house(Desk(), batches=msgspec.structs.replace(settings, keep_days=0.00000001)) as built:
        batch_id = await hand_in(built, "a")
        async with asyncio.timeout(10):
            while (await visit(built, "GET", f"{PATH}/{batch_id}")).json["archived_at"] is None:
                built.batches._look_again()
        found = await visit(built, "GET", f"{PATH}/{batch_id}")
        assert found.json["results_url"] is None
        assert found.json["request_counts"]["succeeded"] == 1
        found = await visit(built, "GET", f"{PATH}/{batch_id}/results")
        assert (found.status, found.json["error"]["type"]) == (404, "not_found_error")
        assert "archived" in found.json["error"]["message"]


@pytest.mark.parametrize("number", [1, 99, 100, 101, 250])
async def test_many_results(settings, number):
    names = [f"r{n}" for n in range(number)]
    async with house(Desk(held=True), batches=settings) as built:
        batch_id = await hand_in(built, *names)
        await visit(built, "POST", f"{PATH}/{batch_id}/cancel")
        await ended(built, batch_id)
        found, lines = await results(built, batch_id)
        assert [row["custom_id"] for row in lines] == names
        assert found.finished
        assert len(found.sent) == 2 + -(-number // module.AT_ONCE)


async def test_results_that_are_deleted_while_they_are_read_break_off(settings):
    names = [f"r{n}" for n in range(150)]
    async with house(Desk(held=True), batches=settings) as built:
        batch_id = await hand_in(built, *names)
        await visit(built, "POST", f"{PATH}/{batch_id}/cancel")
        await ended(built, batch_id)
        reading = Visit(built.app, "GET", f"{PATH}/{batch_id}/results")
        reading.stop_reading()
        reading.start()
        await reading.until(lambda v: v.tried == 1)
        await built.batches.keeper.do(BatchFile.delete, "", batch_id)
        reading.go_on_reading()
        await reading.over()
        assert reading.status == 200
        assert not reading.finished  # the server closes the connection: the client sees a cut response


ADDRESSES = [
    ((), "http://127.0.0.1:8000"),
    (((b"x-forwarded-proto", b"https"),), "https://127.0.0.1:8000"),
    (((b"x-forwarded-proto", b"javascript"),), "http://127.0.0.1:8000"),
    (((b"host", b"localhost"),), "http://localhost"),
]


@pytest.mark.parametrize(("headers", "expected"), ADDRESSES)
async def test_where_results_are(settings, headers, expected):
    async with house(Desk(), batches=settings) as built:
        batch_id = await hand_in(built, "a")
        found = await ended(built, batch_id, headers)
        assert found.json["results_url"] == f"{expected}{PATH}/{batch_id}/results"
        (row,) = (await visit(built, "GET", PATH, headers=headers)).json["data"]
        assert row == found.json


async def test_the_log_has_the_batch_and_no_custom_id(settings, capsys):
    async with house(Desk(), batches=settings) as built:
        batch_id = await hand_in(built, "secret-name")
        await ended(built, batch_id)
    said = "".join(capsys.readouterr())
    assert f"batch={batch_id}" in said
    assert "requests=1" in said
    assert "secret-name" not in said


async def test_batches_that_are_off(tmp_path):
    async with house(Desk(), batches=Batches(on=False, file=str(tmp_path / "x.db"))) as built:
        assert built.batches is None
        for method, path in (
            ("POST", ""),
            ("GET", ""),
            ("GET", "/b"),
            ("DELETE", "/b"),
            ("POST", "/b/cancel"),
            ("GET", "/b/results"),
        ):
            found = await visit(built, method, PATH + path, body("a"))
            assert (found.status, found.json["error"]["type"]) == (404, "not_found_error")
            assert "batches.on = false" in found.json["error"]["message"]
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_cannot_be_made_is_told_to_whoever_hands_in(tmp_path, monkeypatch):
    (tmp_path / "understudy").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    async with house(Desk()) as built:  # it serves all the same: nobody may ever want a batch
        found = await visit(built, "POST", PATH, body("a"))
    assert (found.status, found.json["error"]["type"]) == (500, "api_error")
    assert "batches.db cannot be written" in found.json["error"]["message"]


async def test_a_client_that_leaves_while_it_hands_in(settings):
    async with house(Desk(), batches=settings) as built:
        leaving = Visit(built.app, "POST", PATH, pieces=[b'{"requests"', None])
        await leaving()
        assert leaving.sent == []
        assert (await visit(built, "GET", PATH)).json["data"] == []
