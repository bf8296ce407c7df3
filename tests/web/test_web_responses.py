"""`/v1/responses` over the whole gateway: answered, kept, gone on from, and taken back."""

import asyncio
import contextlib
import json

import pytest
from dialects.respond import numbered, records, types
from web.driver import Puppet, Visit, call, house, say, turns

from understudy.app import Cast, House
from understudy.auth import digest
from understudy.config import Auth, Config, Loaded, Secrets
from understudy.language.errors import BadField, EngineBusy, EngineLost
from understudy.language.events import BlockStart, Failed, MessageStart, TextDelta
from understudy.language.request import Text, ToolResult, ToolUse
from understudy.web.responses import paged

RUN = {
    "type": "function",
    "name": "run",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
}
MODELS = {"*": "auto"}


def body(items="Hi", **more):
    return {"model": "m", "input": items, **more}


async def post(built, items="Hi", *, headers=(), **more):
    return await Visit(built.app, path="/v1/responses", body=body(items, **more), headers=headers)()


async def ask(built, method, path, *, query=b"", headers=()):
    return await Visit(built.app, method, f"/v1/responses/{path}", query=query, headers=headers)()


def key(name):
    return ((b"authorization", f"Bearer {name}".encode()),)


@contextlib.asynccontextmanager
async def two_callers(engine):
    """A house with the keys "alice" and "bob"."""
    config = Config(auth=Auth(key_hashes=(digest("alice"), digest("bob"))), models=MODELS)
    built = House(Loaded(config, {}, Secrets()), Cast(), engines=[engine])
    async with built.running():
        yield built


def output(call_id, text="ok"):
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def events(visit):
    return numbered(records(visit.body))


# ---- answered ----


async def test_whole_and_streamed():
    async with house(Puppet(), models=MODELS) as built:
        whole = await post(built)
        assert (whole.status, whole.headers["content-type"]) == (200, "application/json")
        assert whole.json["output"][0]["content"][0]["text"] == "Hello"
        assert whole.json["model"] == "m"
        assert whole.json["usage"]["input_tokens_details"]["cached_tokens"] == 4
        streamed = await post(built, stream=True)
        assert streamed.headers["content-type"] == "text/event-stream"
        assert streamed.headers["x-understudy-target"] == "puppet/coder"
        assert types(events(streamed))[0] == "created"
        final = events(streamed)[-1]["response"]
        for answer in (whole.json, final):
            assert answer["id"].startswith("resp_")
        assert final["output"][0]["content"] == whole.json["output"][0]["content"]


async def test_a_ping_is_the_apis_own():
    more = asyncio.Event()
    async with house(Puppet([more, say("a")]), models=MODELS, ping=0.01) as built:
        visit = Visit(built.app, path="/v1/responses", body=body(stream=True)).start()
        await visit.until(lambda v: b"keepalive" in v.body)
        more.set()
        await visit.over()
        said = types(events(visit))
        assert said[:3] == ["created", "in_progress", "keepalive"]
        assert said[-1] == "completed"


async def test_what_could_not_be_carried_is_in_the_log(capsys):
    async with house(Puppet(), models=MODELS) as built:
        await post(built, tools=[{"type": "web_search"}])
    assert "tools[0] of type web_search" in "".join(capsys.readouterr())


async def test_a_model_that_nobody_has():
    async with house(Puppet(), models={}) as built:
        for stream in (True, False):
            visit = await post(built, stream=stream)
            assert visit.status == 400
            error = visit.json["error"]
            assert (error["type"], error["param"], error["code"]) == (
                "invalid_request_error",
                "model",
                "model_not_found",
            )


FAILING = [
    ([EngineBusy("full")], 503, "server_error"),
    ([[Failed(EngineLost("gone"))]], 502, "server_error"),
]


@pytest.mark.parametrize(("steps", "status", "kind"), FAILING)
async def test_a_failure_before_the_answer_has_its_status(steps, status, kind):
    async with house(Puppet(steps), models=MODELS) as built:
        for stream in (True, False):
            visit = await post(built, stream=stream)
            assert (visit.status, visit.json["error"]["type"]) == (status, kind)
            assert visit.json["request_id"].startswith("req_")


async def test_a_failure_in_the_answer_is_an_event_and_nothing_is_kept():
    begun = [MessageStart("e"), BlockStart("text"), TextDelta("a")]
    async with house(Puppet([begun, [Failed(EngineLost("gone"))]]), models=MODELS) as built:
        visit = await post(built, stream=True)
        last = events(visit)[-1]
        assert last["type"] == "response.failed"
        assert (await ask(built, "GET", last["response"]["id"])).status == 404


async def test_whoever_leaves_gets_no_answer_kept():
    puppet = Puppet([[MessageStart("e")], asyncio.Event()])
    async with house(puppet, models=MODELS) as built:
        visit = Visit(built.app, path="/v1/responses", body=body(stream=True)).start()
        await visit.until(lambda v: len(v.sent) > 1)
        answer = records(visit.body)[0]["response"]["id"]
        visit.leave()
        await visit.over()
        assert puppet.left.is_set()
        assert (await ask(built, "GET", answer)).status == 404


async def test_whoever_leaves_with_the_whole_answer_has_not_left(capsys):
    async with house(Puppet(), models=MODELS) as built:
        visit = Visit(built.app, path="/v1/responses", body=body(stream=True))
        visit.stop_reading()
        visit.start()
        await visit.until(lambda v: v.tried)  # the whole answer is on its way
        visit.leave()
        await turns()
        visit.go_on_reading()
        await visit.over()
        assert events(visit)[-1]["type"] == "response.completed"
    assert "client left" not in "".join(capsys.readouterr())


# ---- kept ----


async def test_an_answer_can_be_read_again():
    async with house(Puppet(), models=MODELS) as built:
        for stream in (True, False):
            visit = await post(built, stream=stream)
            answer = events(visit)[-1]["response"] if stream else visit.json
            again = await ask(built, "GET", answer["id"])
            assert (again.status, again.json) == (200, answer)


async def test_it_is_kept_before_its_end_is_seen():
    async with house(Puppet(), models=MODELS) as built:
        visit = Visit(built.app, path="/v1/responses", body=body())
        visit.stop_reading()
        visit.start()
        await visit.until(lambda v: v.tried)
        assert visit.sent == []
        assert len(built.responses._store) == 1
        visit.go_on_reading()
        await visit.over()


async def test_what_is_not_to_be_kept_is_not():
    async with house(Puppet(), models=MODELS) as built:
        answer = (await post(built, store=False)).json
        assert answer["store"] is False
        assert (await ask(built, "GET", answer["id"])).status == 404


async def test_an_answer_is_deleted():
    async with house(Puppet(), models=MODELS) as built:
        answer = (await post(built)).json["id"]
        deleted = await ask(built, "DELETE", answer)
        assert deleted.json == {"id": answer, "deleted": True, "object": "response"}
        for method in ("GET", "DELETE"):
            gone = await ask(built, method, answer)
            assert gone.status == 404
            assert gone.json["error"] == {
                "message": f"Response with id '{answer}' not found.",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }


async def test_only_its_caller_can_read_it():
    async with two_callers(Puppet()) as built:
        answer = (await post(built, headers=key("alice"))).json["id"]
        for method, path in (
            ("GET", answer),
            ("GET", f"{answer}/input_items"),
            ("POST", f"{answer}/cancel"),
            ("DELETE", answer),
        ):
            assert (await ask(built, method, path, headers=key("bob"))).status == 404
        chained = await post(built, previous_response_id=answer, headers=key("bob"))
        assert (chained.status, chained.json["error"]["code"]) == (400, "previous_response_not_found")
        reference = {"type": "item_reference", "id": answer.replace("resp_", "msg_") + "-0"}
        assert (await post(built, [reference], headers=key("bob"))).status == 404
        assert (await post(built, [reference], headers=key("alice"))).status == 200
        assert (await ask(built, "GET", answer, headers=key("alice"))).status == 200
        stranger = await ask(built, "GET", answer, headers=key("eve"))
        assert (stranger.status, stranger.json["error"]["code"]) == (401, "invalid_api_key")


# ---- gone on from ----


async def test_a_chain_is_one_conversation():
    puppet = Puppet([say("one")], [say("two")], [say("three")])
    async with house(puppet, models=MODELS) as built:
        first = (await post(built, "a", instructions="Be brief")).json
        second = (await post(built, "b", previous_response_id=first["id"])).json
        third = await post(built, "c", previous_response_id=second["id"])
        assert third.json["previous_response_id"] == second["id"]
        asked = puppet.requests[-1]
        assert [turn.blocks[0].text for turn in asked.turns] == ["a", "one", "b", "two", "c"]
        assert asked.system == ()  # instructions are not carried over
        assert third.headers["x-understudy-prefix"].startswith("kept")
        assert len(set(puppet.sessions)) == 1


async def test_a_chain_may_part():
    puppet = Puppet([say("one")], [say("two")], [say("three")])
    async with house(puppet, models=MODELS) as built:
        first = (await post(built, "a")).json
        await post(built, "b", previous_response_id=first["id"])
        await post(built, "c", previous_response_id=first["id"])
        assert [turn.blocks[0].text for turn in puppet.requests[-1].turns] == ["a", "one", "c"]


async def test_the_engine_gets_its_own_turn_back():
    """The prompt goes on from the very bytes that the engine wrote: its own ids, its own spacing."""
    written = '{"command" : "ls"}'
    puppet = Puppet([call("run", written, identity="call_engine", text="Let me see")], [say("done")])
    async with house(puppet, models=MODELS, limits=None) as built:
        answer = (await post(built, "a", tools=[RUN])).json
        used = answer["output"][1]
        assert used["call_id"] != "call_engine"
        visit = await post(built, [output(used["call_id"])], previous_response_id=answer["id"], tools=[RUN])
        assert visit.headers["x-understudy-prefix"].startswith("kept")
        asked = puppet.requests[-1].turns
        assert asked[1].blocks == (Text("Let me see"), ToolUse("call_engine", "run", written))
        assert asked[2].blocks == (ToolResult("call_engine", (Text("ok"),)),)
        items = [{"role": "user", "content": "a"}, *answer["output"], output(used["call_id"])]
        await post(built, items, tools=[RUN])  # and so it does when the client sends everything
        assert puppet.requests[-1].turns == asked


async def test_an_answer_that_ran_into_its_limit_may_be_gone_on_from():
    async with house(Puppet([say("one", "max_tokens")]), models=MODELS) as built:
        first = (await post(built, "a")).json
        assert (first["status"], first["incomplete_details"]) == (
            "incomplete",
            {"reason": "max_output_tokens"},
        )
        assert (await post(built, "b", previous_response_id=first["id"])).status == 200


async def test_a_conversation_by_its_name():
    puppet = Puppet([say("one")], [say("two")])
    async with house(puppet, models=MODELS) as built:
        first = (await post(built, "a", conversation="conv_1")).json
        assert first["conversation"] == {"id": "conv_1"}
        await post(built, "b", conversation={"id": "conv_1"})
        assert [turn.blocks[0].text for turn in puppet.requests[-1].turns] == ["a", "one", "b"]
        await post(built, "c", conversation="conv_2")
        assert len(puppet.requests[-1].turns) == 1


async def test_items_by_their_names():
    puppet = Puppet([say("one")], [say("two")])
    async with house(puppet, models=MODELS) as built:
        first = (await post(built, "a")).json
        listed = (await ask(built, "GET", f"{first['id']}/input_items")).json["data"]
        names = [listed[0]["id"], first["output"][0]["id"]]
        references = [{"type": "item_reference", "id": name} for name in names]
        await post(built, [*references, {"role": "user", "content": "b"}])
        assert [turn.blocks[0].text for turn in puppet.requests[-1].turns] == ["a", "one", "b"]
        for name in ("msg_nothing-0", "strange", names[1].replace("-0", "-1")):
            missing = await post(built, [{"type": "item_reference", "id": name}])
            assert (missing.status, missing.json["error"]["type"]) == (404, "invalid_request_error")


async def test_what_is_gone_is_named():
    async with house(Puppet(), models=MODELS) as built:
        visit = await post(built, previous_response_id="resp_gone")
        assert (visit.status, visit.json["error"]) == (
            400,
            {
                "message": "Previous response with id 'resp_gone' not found.",
                "type": "invalid_request_error",
                "param": "previous_response_id",
                "code": "previous_response_not_found",
            },
        )


# ---- what was asked ----


async def test_the_items_of_a_question():
    items = [{"role": "user", "content": text} for text in "abc"]
    async with house(Puppet(), models=MODELS) as built:
        answer = (await post(built, items)).json["id"]
        page = (await ask(built, "GET", f"{answer}/input_items", query=b"limit=2")).json
        assert [item["content"][0]["text"] for item in page["data"]] == ["c", "b"]
        assert (page["object"], page["has_more"]) == ("list", True)
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][1]["id"])
        after = f"after={page['last_id']}".encode()
        rest = (await ask(built, "GET", f"{answer}/input_items", query=after)).json
        assert [item["content"][0]["text"] for item in rest["data"]] == ["a"]
        assert not rest["has_more"]


PAGES = [
    ({}, ["c", "b", "a"], False),
    ({"order": "asc"}, ["a", "b", "c"], False),
    ({"order": "asc", "limit": "2"}, ["a", "b"], True),
    ({"order": "asc", "after": "a"}, ["b", "c"], False),
    ({"after": "a"}, [], False),
    ({"after": "unknown", "limit": "1"}, ["c"], True),
]


@pytest.mark.parametrize(("query", "names", "more"), PAGES)
def test_pages(query, names, more):
    page = paged([b'{"id":"%b"}' % name for name in (b"a", b"b", b"c")], query)
    assert [json.loads(bytes(row))["id"] for row in page.data] == names
    assert page.has_more is more
    assert (page.first_id, page.last_id) == ((names[0], names[-1]) if names else ("", ""))


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"limit": "1" * 20}, {"order": "up"}]
)
def test_pages_that_cannot_be(query):
    with pytest.raises(BadField) as raised:
        paged([], query)
    assert raised.value.field == next(iter(query))


# ---- in the background ----


async def until(built, answer, status):
    """The kept answer, once it has that status."""
    async with asyncio.timeout(5):
        while (found := (await ask(built, "GET", answer)).json)["status"] != status:
            await turns()
    return found


async def test_an_answer_in_the_background():
    more = asyncio.Event()
    async with house(Puppet([say("a")[:3], more, say("a")[3:]]), models=MODELS) as built:
        visit = await post(built, background=True)
        assert (visit.status, visit.json["status"], visit.json["background"]) == (200, "queued", True)
        answer = visit.json["id"]
        await until(built, answer, "in_progress")
        page = (await ask(built, "GET", f"{answer}/input_items")).json
        assert page["data"][0]["content"][0]["text"] == "Hi"
        refused = await post(built, "b", previous_response_id=answer)
        assert refused.json["error"]["code"] == "previous_response_not_found"
        more.set()
        found = await until(built, answer, "completed")
        assert found["output"][0]["content"][0]["text"] == "a"
        assert (await post(built, "b", previous_response_id=answer)).status == 200


async def test_a_stream_of_the_background_goes_on_without_its_client():
    more = asyncio.Event()
    puppet = Puppet([say("a")[:3], more, say("a")[3:]])
    async with house(puppet, models=MODELS) as built:
        visit = Visit(built.app, path="/v1/responses", body=body(background=True, stream=True)).start()
        await visit.until(lambda v: b"output_text.delta" in v.body)
        begun = records(visit.body)
        assert types(begun)[:3] == ["created", "queued", "in_progress"]
        answer = begun[0]["response"]["id"]
        visit.leave()
        await turns()
        assert not puppet.left.is_set()
        known = begun[-1]["sequence_number"]
        query = f"stream=true&starting_after={known}".encode()
        rest = Visit(built.app, "GET", f"/v1/responses/{answer}", query=query).start()
        await turns()
        more.set()
        await rest.over()
        assert [event["sequence_number"] for event in records(rest.body)][:1] == [known + 1]
        assert records(rest.body)[-1]["type"] == "response.completed"
        await visit.over()
        again = await ask(built, "GET", answer, query=b"stream=true")
        assert numbered(records(again.body)) == begun + records(rest.body)


async def test_into_the_silence_of_the_background():
    more = asyncio.Event()
    async with house(Puppet([more, say("a")]), models=MODELS, ping=0.01) as built:
        answer = (await post(built, background=True)).json["id"]
        query = b"stream=true&starting_after=1"
        visit = Visit(built.app, "GET", f"/v1/responses/{answer}", query=query).start()
        await visit.until(lambda v: b"keepalive" in v.body)
        more.set()
        await visit.over()
        assert types(records(visit.body))[0] == "keepalive"  # created and queued it had
        assert records(visit.body)[-1]["type"] == "response.completed"


async def test_an_answer_is_cancelled():
    puppet = Puppet([say("a")[:3], asyncio.Event()])
    async with house(puppet, models=MODELS) as built:
        answer = (await post(built, background=True)).json["id"]
        await until(built, answer, "in_progress")
        cancelled = await ask(built, "POST", f"{answer}/cancel")
        assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
        assert puppet.left.is_set()
        assert (await ask(built, "POST", f"{answer}/cancel")).json == cancelled.json
        assert (await ask(built, "GET", answer)).json == cancelled.json
        refused = await post(built, "b", previous_response_id=answer)
        assert refused.json["error"]["code"] == "previous_response_not_found"


async def test_a_failure_in_the_background_is_kept():
    async with house(Puppet([EngineBusy("full")]), models=MODELS) as built:
        answer = (await post(built, background=True)).json["id"]
        found = await until(built, answer, "failed")
        assert found["error"] == {"code": "server_error", "message": "full"}


async def test_deleted_while_it_is_worked_on():
    puppet = Puppet([asyncio.Event()])
    async with house(puppet, models=MODELS) as built:
        answer = (await post(built, background=True)).json["id"]
        assert (await ask(built, "DELETE", answer)).status == 200
        assert puppet.left.is_set()
        assert (await ask(built, "GET", answer)).status == 404
        assert (await ask(built, "GET", answer, query=b"stream=true")).status == 404


async def test_the_houses_end_is_the_backgrounds():
    puppet = Puppet([asyncio.Event()])
    async with house(puppet, models=MODELS) as built:
        await post(built, background=True)
        await puppet.asked.wait()
    assert puppet.left.is_set()


async def test_only_the_background_can_be_cancelled_or_streamed_again():
    async with house(Puppet(), models=MODELS) as built:
        answer = (await post(built)).json["id"]
        cancel = await ask(built, "POST", f"{answer}/cancel")
        assert (cancel.status, cancel.json["error"]["type"]) == (400, "invalid_request_error")
        stream = await ask(built, "GET", answer, query=b"stream=true")
        assert (stream.status, stream.json["error"]["param"]) == (400, "stream")
        background = (await post(built, background=True)).json["id"]
        await until(built, background, "completed")
        for wrong in (b"x", b"-1", b"1" * 20):
            query = b"stream=true&starting_after=" + wrong
            odd = await ask(built, "GET", background, query=query)
            assert (odd.status, odd.json["error"]["param"]) == (400, "starting_after")


# ---- errors ----

REFUSED = [
    (b"{", None),
    (b'{"model":"m","input":"Hi","temperature":3}', "temperature"),
    (b'{"model":"m","input":[{"role":"nobody","content":"x"}]}', "input[0].role"),
]


@pytest.mark.parametrize(("raw", "param"), REFUSED)
async def test_what_cannot_be_read_names_its_field(raw, param):
    async with house(Puppet(), models=MODELS) as built:
        visit = await Visit(built.app, path="/v1/responses", body=raw)()
        assert (visit.status, visit.json["error"]["param"]) == (400, param)
        assert visit.headers["x-should-retry"] == "false"


async def test_everything_under_the_path_speaks_openais_words():
    async with house(Puppet(), models=MODELS, body_limit="100B") as built:
        large = await post(built, "x" * 200)
        assert (large.status, large.json["error"]["type"]) == (413, "invalid_request_error")
        for method, path, status in (
            ("GET", "x/nothing", 404),
            ("PUT", "x", 405),
            ("GET", "x", 404),
            ("POST", "x/cancel", 404),
            ("GET", "x/input_items", 404),
        ):
            visit = await ask(built, method, path)
            assert (visit.status, set(visit.json["error"])) == (
                status,
                {"message", "type", "param", "code"},
            )
