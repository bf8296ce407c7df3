"""The fake engines' server, seen from a raw socket: framing, keeping, breaking, leaving."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from upstream_server import both_loops

from understudy.engines.play_http import (
    Asked,
    Hang,
    Part,
    Reply,
    Reset,
    Server,
    joined,
    reply,
    streamed,
    whole,
)
from understudy.engines.script import Pause

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Odd: Y\r\n\r\n"
OK = whole(200, b"ok", "text/plain")


@asynccontextmanager
async def server(*parts: Part, **options):
    """A server that answers everything with these parts, and a client's two ends."""
    played = Server(lambda _: reply(parts), **options)
    port = await played.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield played, reader, writer
    finally:
        writer.close()
        await played.aclose()


async def until(played: Server, condition) -> None:
    while not condition():
        played.changed.clear()
        await played.changed.wait()


def test_frames():
    head = b"HTTP/1.1 404 Not Found\r\nserver: understudy-play\r\ncontent-type: application/json\r\n"
    assert whole(404, b"{}") == head + b"content-length: 2\r\n\r\n{}"
    parts = streamed((Pause(1), b"ab", Pause(2), b"c"), "text/event-stream")
    assert [type(part) for part in parts] == [Pause, bytes, Pause, bytes, bytes]
    assert parts[1].startswith(b"HTTP/1.1 200 OK\r\n")
    assert parts[1].endswith(b"\r\n\r\n2\r\nab\r\n")
    assert parts[3:] == (b"1\r\nc\r\n", b"0\r\n\r\n")
    assert streamed((Reset(),), "x") == (Reset(),)
    assert streamed((Hang(),), "x") == (Hang(),)
    assert streamed((), "x")[0].endswith(b"\r\n\r\n0\r\n\r\n")


def test_joined():
    assert joined((b"a", b"b", Pause(1), b"c", b"d")) == (b"ab", Pause(1), b"cd")
    assert reply((b"a", b"b")) == Reply((b"a", b"b"), (b"ab",))


@both_loops
async def test_requests_one_after_the_other_on_one_connection():
    async with server(OK) as (played, reader, writer):
        for _ in range(2):
            writer.write(GET)
            assert await reader.readexactly(len(OK)) == OK
        writer.write(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + GET)
        assert await reader.readexactly(2 * len(OK)) == OK + OK
        assert [r.path for r in played.requests] == ["/a", "/a", "/p", "/a"]
        assert played.requests[0] == Asked("GET", "/a", {"host": "x", "x-odd": "Y"}, b"")
        assert played.requests[2].body == b"abc"
        writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert await reader.read() == OK


@both_loops
async def test_pipelined_requests_wait_for_a_slow_answer():
    async with server(Pause(0), OK) as (played, reader, writer):
        writer.write(GET + GET)
        assert await reader.readexactly(2 * len(OK)) == OK + OK
        await until(played, lambda: not played.in_flight)
        assert not played.cancelled


@both_loops
async def test_a_long_body_may_wait_for_leave():
    async with server(OK) as (_, reader, writer):
        writer.write(b"POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"x")
        assert await reader.readexactly(len(OK)) == OK


@both_loops
async def test_what_is_no_http_is_dropped():
    async with server(OK) as (played, reader, writer):
        writer.write(b"hello\r\n\r\n")
        assert await reader.read() == b""
        assert not played.requests


@both_loops
async def test_a_reset_is_a_reset_after_what_was_said():
    async with server(b"said", Reset(), b"never") as (played, reader, writer):
        writer.write(GET)
        assert await reader.readexactly(4) == b"said"
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await until(played, lambda: not played.in_flight)
        assert not played.cancelled


@both_loops
async def test_a_client_that_leaves_ends_the_answer():
    async with server(b"said", Hang()) as (played, reader, writer):
        writer.write(GET)
        assert await reader.readexactly(4) == b"said"
        assert played.in_flight == 1
        writer.close()
        await until(played, lambda: not played.in_flight)
        assert [asked.path for asked in played.cancelled] == ["/a"]


@both_loops
async def test_a_client_that_reads_too_slowly_is_waited_for():
    big = b"x" * 4_000_000
    async with server(big, Pause(0), b"end") as (_, reader, writer):
        writer.write(GET)
        assert await reader.readexactly(len(big) + 3) == big + b"end"


@pytest.mark.parametrize(("pace", "slept"), [(None, [5]), (0, [0, 0, 5, 0]), (0.5, [0.5, 0.5, 5, 0.5])])
@both_loops
async def test_pace(pace, slept):
    seen = []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)

    async with server(b"a", b"b", Pause(5), b"c", pace=pace, sleep=sleep) as (played, reader, writer):
        writer.write(GET)
        assert await reader.readexactly(3) == b"abc"
        await until(played, lambda: not played.in_flight)
    assert seen == slept


@both_loops
async def test_closing_ends_what_hangs():
    async with server(Hang()) as (played, reader, writer):
        writer.write(GET)
        await until(played, lambda: played.in_flight == 1)
        await played.aclose()
        assert await reader.read() == b""
        assert not played.cancelled
        assert not played.in_flight


@both_loops
async def test_few_requests_are_kept():
    async with server(OK, keep=0) as (played, reader, writer):
        writer.write(GET)
        assert await reader.readexactly(len(OK)) == OK
        assert not played.requests
