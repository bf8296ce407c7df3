"""The runner on a network: what it sends, what it makes of what fails, and a whole run against our own gateway."""

import asyncio

import httpx
import pytest
from contract.playhouse import playhouse_served, settings

from understudy.conform.asks import hello
from understudy.conform.checks import CHECKS
from understudy.conform.exchange import Ask, Check, Scene, put
from understudy.conform.ideal import MODEL, Ideal
from understudy.conform.runner import NoServer, Runner, base
from understudy.engines.scripted import ScriptedEngine, load

SCENE = Scene("m")
HELLO = hello(SCENE)


def runner(handler, **more):
    return Runner("http://a", transport=httpx.MockTransport(handler), **more)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://a:1/", "http://a:1"),
        ("https://a/v1", "https://a"),
        ("https://a/x/v1/messages?beta=true#y", "https://a/x"),
    ],
)
def test_addresses_as_people_write_them(given, used):
    assert base(given) == used


@pytest.mark.parametrize("given", ["", "http://", "ftp://a"])
def test_what_is_no_address(given):
    with pytest.raises(NoServer, match="is no address of a server"):
        base(given)


CREDENTIALS = [
    ("both", "k", ("Bearer k", "k")),
    ("bearer", "k", ("Bearer k", None)),
    ("x-api-key", "k", (None, "k")),
    ("one-wrong", "k", ("Bearer wrong-key-on-purpose", "k")),
    ("wrong", "k", ("Bearer wrong-key-on-purpose", "wrong-key-on-purpose")),
    ("wrong", "", ("Bearer wrong-key-on-purpose", "wrong-key-on-purpose")),
    ("both", "", (None, None)),
]


@pytest.mark.parametrize(("way", "key", "sent"), CREDENTIALS)
async def test_where_the_key_goes(way, key, sent, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    seen = []

    def handler(request):
        seen.append((request.headers.get("authorization"), request.headers.get("x-api-key")))
        return httpx.Response(200)

    async with runner(handler, key=key) as asking:
        await asking.reply(Ask(HELLO.body, HELLO.headers, credentials=way))
    assert seen == [sent]


async def test_what_was_asked_is_not_asked_again():
    seen = []

    def handler(request):
        seen.append(request.method)
        return httpx.Response(200, content=b"hi", headers={"X-One": "1"})

    async with runner(handler) as asking:
        first, again = await asking.reply(HELLO), await asking.reply(HELLO)
        await asking.reply(HELLO.once_more("why"))
    assert first is again
    assert (first.status, first.body, first.headers["x-one"]) == (200, b"hi", "1")
    assert (len(seen), asking.used.requests) == (2, 2)


async def test_a_client_that_leaves_closes_the_connection():
    closed, size = asyncio.Event(), 10

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                yield b"x" * size

        async def aclose(self):
            closed.set()

    async with runner(lambda _: httpx.Response(200, stream=Endless())) as asking:
        left = await asking.reply(Ask(HELLO.body, HELLO.headers, leave_after=25))
        assert (closed.is_set(), left.body, left.trouble) == (True, b"x" * 30, "")
        closed.clear()
        size = 8 * 1024 * 1024
        flood = await asking.reply(HELLO)
        assert closed.is_set()
    assert flood.trouble.startswith("an answer of over ")


class Breaking(httpx.AsyncByteStream):
    async def __aiter__(self):
        yield b"x"
        raise httpx.ReadError("reset")


def failing(error):
    def handler(request):
        raise error

    return handler


TROUBLE = [
    (lambda _: httpx.Response(200, stream=Breaking()), (200, "the connection broke: reset")),
    (failing(httpx.ConnectError("refused")), (0, "no answer: refused")),
    (failing(httpx.ReadTimeout("")), (0, "300 s without a byte")),
    (failing(httpx.ConnectTimeout("")), (0, "no answer: ConnectTimeout")),
]


@pytest.mark.parametrize(("handler", "found"), TROUBLE)
async def test_a_connection_that_fails_is_a_reply(handler, found):
    async with runner(handler) as asking:
        reply = await asking.reply(HELLO)
    assert (reply.status, reply.trouble) == found


async def test_an_answer_without_end():
    async def handler(_request):
        await asyncio.Event().wait()

    async with runner(handler, patience=0.01) as asking:
        assert (await asking.reply(HELLO)).trouble == "not finished after 0 s"


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_a_busy_server_is_asked_again(status):
    seen = []

    def handler(_request):
        seen.append(1)
        return httpx.Response(200 if len(seen) == 3 else status, headers={"retry-after": "0"})

    async with runner(handler) as asking:
        assert (await asking.reply(HELLO)).status == 200
    assert len(seen) == 3


def listing(*rows, status=200):
    return lambda _: httpx.Response(status, json={"data": list(rows)})


@pytest.mark.parametrize(
    ("row", "window"),
    [
        ({"max_input_tokens": 5}, 5),
        ({"max_model_len": 6}, 6),
        ({"meta": {"n_ctx": 7}}, 7),
        ({}, 0),
    ],
)
async def test_the_scene(row, window):
    async with runner(listing({"id": "a", **row}, {"id": "b"}), key="k") as asking:
        scene = await asking.scene(SCENE)
        named = await asking.scene(SCENE, "c")
    assert (scene.model, scene.models, scene.window, scene.keyed) == ("a", ("a", "b"), window, True)
    assert (named.model, named.window) == ("c", 0)


async def test_no_scene():
    async with runner(failing(httpx.ConnectError("refused"))) as asking:
        with pytest.raises(NoServer, match=r"http://a: no answer: refused. Is the server running"):
            await asking.scene(SCENE)
    async with runner(listing(status=404)) as asking:
        with pytest.raises(NoServer, match="name one with --model"):
            await asking.scene(SCENE)
        assert (await asking.scene(SCENE, "m")).model == "m"


async def test_results_come_one_by_one():
    def plan(_scene):
        yield from put(HELLO)
        return "done"

    checks = [Check(f"a.{n}", (), "", "", plan) for n in range(2)]
    begun = []
    async with runner(lambda _: httpx.Response(200)) as asking:
        results = [r async for r in asking.results(checks, SCENE, begun.append)]
    assert [(r.check.id, r.status, r.note) for r in results] == [
        ("a.0", "pass", "done"),
        ("a.1", "pass", "done"),
    ]
    assert begun == checks
    assert asking.used.requests == 1


async def test_the_ideal_server_over_http_passes():
    ideal = Ideal()

    def handler(request):
        kept = {k: v for k, v in request.headers.items() if k == "origin"}
        way = "wrong" if "wrong-key" in request.headers.get("x-api-key", "") else "both"
        path = request.url.raw_path.decode()
        reply = ideal(Ask(request.content, tuple(kept.items()), path, request.method, way))
        return httpx.Response(reply.status, headers=reply.headers, content=reply.body)

    async with runner(handler, key="k") as asking:
        scene = await asking.scene(Scene("", bad_key=True))
        found = {r.check.id: r async for r in asking.results(CHECKS, scene)}
    assert scene.model == MODEL
    assert {name for name, r in found.items() if r.status != "pass"} == set()
    assert asking.used.prompt > 10_000


async def test_our_own_gateway_fails_nothing():
    """All checks, over sockets, with a script in the model's place: what is left open is what no script shows."""
    engine = ScriptedEngine(load("conform"))
    async with (
        playhouse_served(engines=[engine], loaded=settings(key="sk-test", names={"*": "auto"})) as house,
        Runner(str(house.client.base_url), "sk-test") as asking,
    ):
        scene = await asking.scene(Scene("", bad_key=True))
        found = {r.check.id: r async for r in asking.results(CHECKS, scene)}
    assert {name: r.seen for name, r in found.items() if r.status == "fail"} == {}
    open_ = {name for name, r in found.items() if r.status != "pass"}
    assert open_ == {"results.failure", *(check.id for check in CHECKS if check.group == "prefix")}
