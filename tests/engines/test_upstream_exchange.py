"""The exchange fed by hand: no socket, every cut of the arriving bytes, and what it does to its transport."""

import asyncio
import itertools
import random

import pytest
from upstream_server import CHUNKED, GARBAGE, OK, WHOLE

from understudy.engines.upstream_exchange import HEAD_LIMIT, LAG_LIMIT, Exchange, Headers, Question, Response
from understudy.language.errors import EngineError, EngineLost


class Wire:
    """A transport that notes what is done to it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.closing = False

    def writelines(self, spans) -> None:
        self.calls += [span.decode() for span in spans]

    def abort(self) -> None:
        self.calls.append("abort")
        self.closing = True

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0


def begun(*, bodiless: bool = False, read_timeout: float | None = None) -> tuple[Exchange, Wire]:
    exchange = Exchange(
        asyncio.get_running_loop(), "http://engine", bodiless=bodiless, read_timeout=read_timeout
    )
    wire = Wire()
    exchange.connection_made(wire)
    return exchange, wire


async def outcome(exchange: Exchange, *, poured: bool = False) -> tuple[int, bytes, str]:
    """Status, body, and how it ended; read step by step, or poured, with every second piece found enough."""
    got = b""
    enough = itertools.cycle([False, True])

    def take(data: bytes) -> bool:
        nonlocal got
        assert data
        got += data
        return next(enough)

    try:
        await exchange.head(None)
        while poured:
            if await exchange.pour(take):
                return exchange.status, got, "end"
        while True:
            got += await exchange.step()
    except StopAsyncIteration:
        return exchange.status, got, "end"
    except EngineError as error:
        return exchange.status, got, type(error).__name__


def pieces(wire: bytes, rng: random.Random) -> list[bytes]:
    edges = sorted({0, len(wire), *(rng.randrange(len(wire)) for _ in range(4))})
    return [wire[a:b] for a, b in itertools.pairwise(edges)]


BOTH = pytest.mark.parametrize("poured", [False, True], ids=["steps", "poured"])


@BOTH
@pytest.mark.parametrize("name", WHOLE)
async def test_how_the_bytes_are_cut_into_arrivals_does_not_matter(name, poured):
    wire, status, body, kept = WHOLE[name]
    rng = random.Random(7)  # noqa: S311 - cuts, not keys
    for arrivals in [
        [wire],
        [wire[n : n + 1] for n in range(len(wire))],
        *(pieces(wire, rng) for _ in range(30)),
    ]:
        exchange, transport = begun()
        for arrival in arrivals:
            exchange.data_received(arrival)
        assert (exchange.release() is transport) == kept or name in {
            "until close",
            "http 1.0",
            "another coding",
        }
        exchange, transport = begun()
        for arrival in arrivals:
            exchange.data_received(arrival)
        exchange.connection_lost(None)
        assert await outcome(exchange, poured=poured) == (status, body, "end")
        assert exchange.release() is None


@BOTH
@pytest.mark.parametrize("name", WHOLE)
async def test_fed_byte_by_byte_and_cut_at_every_byte(name, poured):
    wire, _, body, _ = WHOLE[name]
    head = wire.index(b"\r\n\r\n") + 4
    until_close = name in {"until close", "http 1.0", "another coding"}
    for cut in range(len(wire)):
        for error in (None, ConnectionResetError()):
            exchange, _ = begun()
            for n in range(cut):
                exchange.data_received(wire[n : n + 1])
            exchange.connection_lost(error)
            _, got, end = await outcome(exchange, poured=poured)
            assert body.startswith(got)
            assert end == ("end" if until_close and cut >= head and error is None else "EngineLost"), cut
            assert bool(exchange.heard) == (cut > 0)


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_byte_by_byte_ends_as_an_error_and_aborts(name):
    exchange, wire = begun()
    for n in range(len(GARBAGE[name])):
        exchange.data_received(GARBAGE[name][n : n + 1])
    assert (await outcome(exchange))[2] == "EngineError"
    assert "abort" in wire.calls


@BOTH
async def test_the_reader_is_woken_by_each_arrival_and_gets_the_head_first(poured):
    exchange, _ = begun()
    task = asyncio.ensure_future(outcome(exchange, poured=poured))
    for n in range(len(CHUNKED)):
        await asyncio.sleep(0)
        exchange.data_received(CHUNKED[n : n + 1])
    assert await task == (200, b"hello, world", "end")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"


async def pouring(take):
    """An exchange in the middle of its body, and the task that pours it."""
    exchange, wire = begun(read_timeout=60)
    exchange.data_received(HEAD)
    await exchange.head(None)
    task = asyncio.ensure_future(exchange.pour(take))
    await asyncio.sleep(0)
    return exchange, wire, task


async def test_what_is_poured_is_taken_in_the_moment_in_which_it_arrives():
    taken = []
    exchange, _, task = await pouring(lambda data: taken.append(data) or len(taken) < 3)
    for piece in (b"a", b"b", b"c", b"d"):
        exchange.data_received(piece)
    assert taken == [b"a", b"b", b"c"], "and not a turn of the loop later; the third was enough"
    assert await task is False
    exchange.data_received(b"e")
    assert await exchange.step() == b"de"


async def test_whoever_takes_slowly_is_waited_for_and_the_engine_feels_it():
    taken = []
    exchange, wire, task = await pouring(lambda data: taken.append(len(data)) and False)
    exchange.data_received(b"x")
    assert await task is False
    for _ in range(5):
        exchange.data_received(b"x" * (LAG_LIMIT // 4))
    assert wire.calls == ["pause"]
    task = asyncio.ensure_future(exchange.pour(lambda data: taken.append(len(data)) or True))
    await asyncio.sleep(0)
    assert taken == [1, 5 * (LAG_LIMIT // 4)]
    assert wire.calls == ["pause", "resume"]
    exchange.data_received(b"yy")
    assert taken[-1] == 2
    exchange.connection_lost(None)
    with pytest.raises(EngineLost):
        await task


async def test_what_a_taker_raises_is_raised_where_it_waits():
    exchange, wire, task = await pouring(lambda data: 1 // (len(data) - 1))
    exchange.data_received(b"xx")
    assert not task.done()
    exchange.data_received(b"x")
    exchange.data_received(b"y")
    with pytest.raises(ZeroDivisionError):
        await task
    assert await exchange.step() == b"y"
    assert exchange.release() is None
    assert wire.calls[-1] == "abort"


async def test_nobody_takes_after_a_cancellation():
    taken = []
    exchange, _, task = await pouring(lambda data: taken.append(data) or True)
    task.cancel()
    exchange.data_received(b"x")
    assert taken == []
    with pytest.raises(asyncio.CancelledError):
        await task
    exchange.data_received(b"y")
    assert await exchange.step() == b"xy"


async def test_pauses_over_the_limit_and_resumes_when_drained():
    exchange, wire = begun()
    exchange.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n")
    for _ in range(5):
        exchange.data_received(b"x" * (LAG_LIMIT // 4))
    assert wire.calls == ["pause"]
    assert len(await exchange.step()) == 5 * (LAG_LIMIT // 4)
    assert wire.calls == ["pause", "resume"]
    exchange.data_received(b"y")
    assert await exchange.step() == b"y"
    assert wire.calls == ["pause", "resume"]
    assert exchange.release() is None
    assert wire.calls[-1] == "abort"


async def test_a_paused_connection_whose_answer_is_complete_is_resumed_before_it_is_kept():
    exchange, wire = begun()
    size = LAG_LIMIT + 1
    exchange.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    exchange.data_received(b"x" * (size - 1))
    exchange.data_received(b"x")
    assert wire.calls == ["pause"]
    assert exchange.release() is wire
    assert wire.calls == ["pause", "resume"]


@pytest.mark.parametrize(
    ("before", "line"),
    [
        (b"", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
async def test_heads_without_end(before, line):
    exchange, _ = begun()
    exchange.data_received(b"HTTP/1.1 200 OK\r\n" if line.startswith(b"X") else b"")
    sent = 0
    while not exchange._failure and sent < 2 * HEAD_LIMIT:
        exchange.data_received(line * 10)
        sent += 10 * len(line)
    assert (await outcome(exchange))[2] == "EngineError"
    assert sent <= HEAD_LIMIT + 10 * len(line)


async def test_framing_without_a_body_has_an_end():
    exchange, wire = begun()
    exchange.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ")
    for _ in range(LAG_LIMIT // 1000 + 1):
        exchange.data_received(b"x" * 1000)
    assert await outcome(exchange) == (200, b"", "EngineError")
    assert wire.calls == ["abort"]


@pytest.mark.parametrize("more", [OK, b"x", b"HTTP"])
async def test_bytes_after_the_end_spoil_the_connection_not_the_answer(more):
    exchange, wire = begun()
    exchange.data_received(OK)
    exchange.data_received(more)
    assert await outcome(exchange) == (200, b"ok", "end")
    assert exchange.release() is None
    assert wire.calls == ["abort"]


async def test_head_is_answered_without_a_body_and_its_connection_is_not_kept():
    exchange, wire = begun(bodiless=True)
    exchange.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert await outcome(exchange) == (200, b"", "end")
    assert exchange.release() is None
    assert wire.calls == ["abort"]


async def test_the_spans_are_written_as_they_are_and_nothing_to_a_dead_connection():
    exchange, wire = begun()
    exchange.send([b"head", b"", b"body"])
    assert wire.calls == ["head", "", "body"]
    exchange.connection_lost(None)
    exchange.send([b"more"])
    assert "more" not in wire.calls
    assert (await outcome(exchange))[2] == EngineLost.__name__


async def test_an_unsent_body_spoils_the_connection(monkeypatch):
    exchange, wire = begun()
    exchange.data_received(OK)
    monkeypatch.setattr(wire, "get_write_buffer_size", lambda: 1)
    assert exchange.release() is None


async def test_released_without_a_connection():
    exchange = Exchange(asyncio.get_running_loop(), "http://engine", bodiless=False, read_timeout=None)
    assert exchange.release() is None


def test_a_question_frames_itself():
    headers = [(b"X", b"1"), (b"CONTENT-length", b"9"), (b"connection", b"close"), (b"host", b"h")]
    bare = Question("GET", "http://h", headers, (), None, None)
    assert bare.fields() == [(b"X", b"1")]
    posted = Question("POST", "http://h", headers, (b"ab", b"c"), None, None)
    assert posted.fields() == [(b"X", b"1"), (b"Content-Length", b"3")]


async def test_a_response_reads_what_is_left():
    left = [b"a", b"b", b"c"]

    class Left:
        async def step(self) -> bytes:
            if not left:
                raise StopAsyncIteration
            return left.pop(0)

    response = Response(200, Headers([(b"A", b"1")]), Left())
    assert await anext(aiter(response)) == b"a"
    assert await response.read() == b"bc"
