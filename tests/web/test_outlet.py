"""The streamed response: pings in silences, slow clients, and an end in every case, by a client that sees every send."""

import asyncio

import pytest
from driver import Puppet, ask, house, say, turns

from understudy.dialects import dialect
from understudy.language import errors
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
)
from understudy.language.request import Request
from understudy.relay import Receipt
from understudy.web.asgi import Tagged, Visit
from understudy.web.outlet import Outlet

BEGUN = [MessageStart("m"), BlockStart("text"), TextDelta("par")]
TERMINAL = ("message_stop", "error")


def terminals(visit):
    return [name for name in visit.names if name in TERMINAL]


# -- pings --------------------------------------------------------------------------------------------------------


def pings(number):
    return lambda visit: visit.body.count(b"event: ping") >= number


@pytest.mark.parametrize("before", [[], [[Progress(1, 9, 0)]]], ids=["silent", "only progress"])
async def test_pings_from_the_first_silence_on(before):
    gate = asyncio.Event()
    async with house(Puppet([*before, gate, say("Hello")]), ping=0.002) as built:
        visit = await ask(built, stream=True).start().until(pings(3))
        assert visit.status == 200
        gate.set()
        await visit.over()
    assert visit.text == "Hello"
    assert visit.names[-1] == "message_stop"
    assert visit.finished


async def test_pings_while_an_answer_pauses_stand_between_events():
    gate = asyncio.Event()
    async with house(Puppet([BEGUN, gate, say("Hello")[2:]]), ping=0.002) as built:
        visit = await ask(built, stream=True).start().until(pings(2))
        gate.set()
        await visit.over()
    assert [n for n in visit.names if n != "ping"].count("content_block_delta") == 2
    assert visit.text == "parHello"


@pytest.mark.parametrize(
    "error", [errors.EngineLost("gone"), errors.PromptTooLong(9, 8), ZeroDivisionError()], ids=repr
)
async def test_an_error_after_a_ping_is_an_event(error):
    gate = asyncio.Event()
    async with house(Puppet([gate, error]), ping=0.002) as built:
        visit = await ask(built, stream=True).start().until(pings(1))
        gate.set()
        await visit.over()
    assert terminals(visit) == ["error"]
    assert visit.names[-1] == "error"
    assert visit.finished


async def test_no_pings_pile_up_before_a_client_that_does_not_read():
    gate = asyncio.Event()
    async with house(Puppet([BEGUN, gate, say("Hello")[2:]]), ping=0.001) as built:
        visit = await ask(built, stream=True).start().until(pings(1))
        visit.stop_reading()
        before = visit.tried
        await asyncio.sleep(0.02)  # twenty pings' time
        assert visit.tried <= before + 1
        gate.set()
        await asyncio.sleep(0.02)
        assert visit.tried <= before + 2
        visit.go_on_reading()
        await visit.over()
    assert visit.names[-1] == "message_stop"
    assert visit.text == "parHello"


@pytest.mark.parametrize("hops", [0, 1, 5])
async def test_no_ping_follows_a_terminal_event_that_is_read_late(hops):
    gate = asyncio.Event()
    async with house(Puppet([gate, say("Hello")]), ping=0.001) as built:
        visit = ask(built, stream=True)
        visit.hops = hops
        visit.stop_reading()
        visit.start()
        gate.set()
        await asyncio.sleep(0.02)
        visit.go_on_reading()
        await visit.over()
    assert visit.names[-1] == "message_stop"
    assert "ping" not in visit.names
    assert visit.sent[0]["type"] == "http.response.start"


async def test_no_ping_follows_the_terminal_event_while_the_engine_lingers():
    gate = asyncio.Event()
    async with house(Puppet([say("Hello"), gate]), ping=0.001) as built:
        visit = await ask(built, stream=True).start().until(lambda v: b"message_stop" in v.body)
        await asyncio.sleep(0.01)  # ten pings' time
        gate.set()
        await visit.over()
    assert visit.names[-1] == "message_stop"


async def test_no_ping_waits_behind_an_event_that_is_read_late():
    gate = asyncio.Event()
    async with house(Puppet([BEGUN, gate, say("Hello")[2:]]), ping=0.001) as built:
        visit = ask(built, stream=True)
        visit.stop_reading()
        await visit.start().until(lambda v: v.tried)
        await asyncio.sleep(0.01)
        assert visit.tried == 1
        visit.go_on_reading()
        await visit.until(lambda v: b"par" in v.body)
        gate.set()
        await visit.over()
    assert visit.text == "parHello"


async def test_an_answer_waits_for_a_ping_that_is_read_late():
    gate = asyncio.Event()
    async with house(Puppet([gate, say("Hello")]), ping=0.001) as built:
        visit = ask(built, stream=True)
        visit.stop_reading()
        await visit.start().until(lambda v: v.tried)  # the first ping wants to be read
        gate.set()
        await turns()
        assert visit.tried == 1
        visit.hops = 3
        visit.go_on_reading()
        await visit.over()
    assert visit.names[0] == "ping"
    assert visit.names[-1] == "message_stop"
    assert visit.sent[0]["type"] == "http.response.start"


# -- slow clients, and what is written past them --------------------------------------------------------------------


class Client:
    """The server's side of one response: every send waits until the client reads."""

    def __init__(self):
        self.sent = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.tried = asyncio.Event()

    async def send(self, message):
        self.tried.set()
        if not self.reads.is_set():
            await self.reads.wait()
            await asyncio.sleep(0)  # and once more, as a server with a lock would
        self.sent.append(message)

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent)


def outlet(client):
    spoken, request = dialect("anthropic"), Request("m", ())
    return Outlet(
        spoken, spoken.encoder(request, "m"), Receipt(), Tagged(client.send, Visit("req_1")), "req_1"
    )


async def test_a_write_is_done_in_the_moment_in_which_it_is_told():
    client = Client()
    out = outlet(client)
    assert out.tell(BEGUN) is None
    assert out.more("ts") is None
    assert b'"par"' in client.body
    assert b'"ts"' in client.body
    assert [message["type"] for message in client.sent] == ["http.response.start"] + 2 * [
        "http.response.body"
    ]


async def test_a_slow_client_is_what_a_teller_waits_for():
    client = Client()
    out = outlet(client)
    out.tell(BEGUN)
    client.reads.clear()
    slow = out.more("ts")
    assert slow is not None
    waiting = asyncio.ensure_future(slow)
    await turns()
    assert not waiting.done()
    assert b'"ts"' not in client.body
    client.reads.set()
    await waiting
    assert client.body.endswith(b'"ts"}}\n\n')
    assert out.more("!") is None


async def test_the_first_write_may_be_slow_too():
    client = Client()
    client.reads.clear()
    out = outlet(client)
    waiting = asyncio.ensure_future(out.tell(BEGUN))
    await turns()
    assert client.sent == []
    client.reads.set()
    await waiting
    assert [message["type"] for message in client.sent] == ["http.response.start", "http.response.body"]


async def test_a_slow_write_that_is_given_up_writes_nothing():
    client = Client()
    out = outlet(client)
    out.tell(BEGUN)
    client.reads.clear()
    before = len(client.sent)
    waiting = asyncio.ensure_future(out.more("ts"))
    await turns()
    waiting.cancel()
    client.reads.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(client.sent) == before


async def test_a_server_that_fails_is_not_swallowed():
    async def send(message):
        raise OSError("gone")

    client = Client()
    client.send = send
    with pytest.raises(OSError, match="gone"):
        outlet(client).tell(BEGUN)


async def test_text_waits_behind_a_ping_that_is_read_late():
    client = Client()
    out = outlet(client)
    out.tell(BEGUN)
    async with out.pinging(0.001):
        client.reads.clear()
        client.tried.clear()
        await client.tried.wait()
        slow = out.more("ts")
        assert slow is not None
        client.reads.set()
        await slow
    assert client.body.index(b"event: ping") < client.body.index(b'"ts"')


@pytest.mark.parametrize(
    "end", [MessageStop("end_turn"), Failed(errors.EngineLost("gone"))], ids=["stop", "failed"]
)
async def test_what_is_told_after_the_last_event_is_not_written(end):
    client = Client()
    out = outlet(client)

    async def answer(listener):
        listener.tell([*BEGUN, BlockStop(), end])
        listener.tell([TextDelta("late"), end])
        raise errors.EngineLost("late as well")

    assert await out.pour(answer) == ("end_turn" if isinstance(end, MessageStop) else "api_error")
    assert b"late" not in client.body
    assert client.sent[-1] == {"type": "http.response.body", "body": b""}


async def test_an_answer_that_just_stops_is_cut():
    async def answer(listener):
        listener.tell(BEGUN)

    client = Client()
    assert await outlet(client).pour(answer) == "cut"
    assert client.sent[-1] == {"type": "http.response.body", "body": b""}
