"""The client against a raw socket server, on asyncio's loop and on uvloop."""

import asyncio
import contextlib
import gc
import socket
import struct
import threading
import time
import warnings

import pytest
import uvloop
from upstream_server import CHUNKED, CONTINUE, GARBAGE, LENGTH, OK, WHOLE, Peer, always, both_loops, serving

from understudy.engines.upstream import Upstream
from understudy.language.errors import Bug, EngineAway, EngineError, EngineLost, EngineTimeout


async def ask(
    upstream: Upstream, url: str, method: str = "POST", *, poured=False, **more
) -> tuple[int, bytes]:
    async with upstream.request(method, url, **more) as response:
        if not poured:
            return response.status, await response.read()
        taken = []
        assert await response.pour(lambda data: taken.append(data) or True) is True
        return response.status, b"".join(taken)


ways = pytest.mark.parametrize("poured", [False, True], ids=["read", "poured"])


@ways
@pytest.mark.parametrize("name", WHOLE)
@both_loops
async def test_every_framing_is_read_and_the_connection_kept_where_it_may(upstream, name, poured):
    wire, status, body, kept = WHOLE[name]
    async with serving(always(wire, close=not kept)) as server:
        for _ in range(3):
            assert await ask(upstream, server.url, poured=poured) == (status, body)
        assert server.connections == (1 if kept else 3)


@both_loops
async def test_a_head_request_has_no_body_whatever_its_length_says(upstream):
    async with serving(always(LENGTH[:-12])) as server:
        async with upstream.request("HEAD", server.url) as response:
            assert response.headers.get(b"Content-Length") == b"12"
            assert await response.read() == b""
        assert b"content-length" not in server.requests[0].lower()


@both_loops
async def test_the_fields_of_interim_heads_are_not_those_of_the_answer(upstream):
    async with serving(always(CONTINUE)) as server, upstream.request("GET", server.url) as response:
        assert response.headers.get(b"link") is None
        assert response.headers.raw[0] == (b"content-LENGTH", b"12")


@both_loops
async def test_headers_are_found_in_any_case_and_kept_as_they_came(upstream):
    async with serving(always(LENGTH)) as server, upstream.request("GET", server.url) as response:
        assert response.headers.get(b"CONTENT-length") == b"12"
        assert response.headers.get(b"x-twice") == b"a"
        assert response.headers.get(b"x-none") is None
        assert response.headers.raw == [(b"content-LENGTH", b"12"), (b"X-Twice", b"a"), (b"X-Twice", b"b")]


REQUESTS = {
    "spans": ("/v1/x?a=b c", [b"one ", b"", b"two"], b"POST /v1/x?a=b%20c HTTP/1.1", b"one two"),
    "bytes": ("", b"body", b"POST / HTTP/1.1", b"body"),
    "nothing": ("/a%20b/\u00e9#part", b"", b"POST /a%20b/%C3%A9 HTTP/1.1", b""),
}


@pytest.mark.parametrize("name", REQUESTS)
@both_loops
async def test_what_the_engine_is_sent(upstream, name):
    path, body, first, joined = REQUESTS[name]
    headers = [
        (b"X-A", b"1"),
        (b"content-length", b"99"),
        (b"Host", b"evil"),
        (b"Transfer-Encoding", b"chunked"),
    ]
    async with serving(always(OK)) as server:
        await ask(upstream, server.url + path, headers=headers, body=body)
        host = server.url.removeprefix("http://").encode()
        want = [first, b"Host: " + host, b"X-A: 1", b"Content-Length: %d" % len(joined), b"", joined]
        assert server.requests == [b"\r\n".join(want)]


@both_loops
async def test_a_large_body_arrives_whole(upstream):
    spans = [bytes([65 + n]) * 100_000 for n in range(20)]
    async with serving(always(OK)) as server:
        await ask(upstream, server.url, body=spans)
        assert server.requests[0].endswith(b"\r\n\r\n" + b"".join(spans))


@pytest.mark.parametrize("header", [(b"X", b"a\r\nY: b"), (b"X\n", b"a"), (b"X", b"a\0")])
@both_loops
async def test_a_header_cannot_become_another_request(upstream, header):
    with pytest.raises(Bug, match="line break"):
        upstream.request("POST", "http://127.0.0.1:1", headers=[header])


@pytest.mark.parametrize(
    "url", ["", "ftp://a", "http://", "http://a:b", "http://u:p@h/", "127.0.0.1:80", "http://[::1"]
)
@both_loops
async def test_what_is_no_url_of_an_engine(upstream, url):
    with pytest.raises(EngineError, match="is no URL"):
        upstream.request("GET", url)


# --- cut answers are never finished ones


@ways
@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("name", WHOLE)
@both_loops
async def test_an_answer_cut_at_any_byte_is_lost(upstream, name, how, poured):
    wire, _, body, _ = WHOLE[name]
    until_close = name in {"until close", "http 1.0", "another coding"}
    whole_head = wire.index(b"\r\n\r\n") + 4

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(wire[:cut])
        if how == "reset":
            await read.wait()
            sock = peer.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.writer.transport.abort()

    async with serving(script) as server:
        for cut in range(len(wire)):
            read = asyncio.Event()
            if until_close and cut >= whole_head and how == "closed":
                assert await ask(upstream, server.url, poured=poured) == (200, body[: cut - whole_head])
                continue
            read.set()
            with pytest.raises(EngineError) as caught:
                await ask(upstream, server.url, poured=poured)
            assert type(caught.value) is EngineLost, cut
        assert server.connections == len(wire)


@pytest.mark.parametrize("name", GARBAGE)
@both_loops
async def test_garbage_is_an_error_and_not_a_loss(upstream, name):
    async with serving(always(GARBAGE[name])) as server:
        with pytest.raises(EngineError) as caught:
            await ask(upstream, server.url)
        assert type(caught.value) is EngineError
        assert server.url in caught.value.message


@both_loops
async def test_the_bytes_before_a_loss_are_given_first(upstream):
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(CHUNKED[: CHUNKED.index(b"\r\n1;ext")])

    async with serving(script) as server, upstream.request("POST", server.url) as response:
        steps = aiter(response)
        assert await anext(steps) == b"hello"
        with pytest.raises(EngineLost, match="in the middle"):
            await anext(steps)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["endless", "complete"])
@pytest.mark.parametrize("line", [b"X-A: b\r\n", b"X-A: " + b"b" * 70_000 + b"\r\n"], ids=["many", "long"])
@both_loops
async def test_a_head_over_64_kib_is_refused(upstream, line, end):
    wire = b"HTTP/1.1 200 OK\r\n" + line * (1 + 70_000 // len(line)) + end

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(wire)
        await peer.gone()

    async with serving(script) as server:
        with pytest.raises(EngineError, match="head of over 65536 bytes") as caught:
            await ask(upstream, server.url)
        assert type(caught.value) is EngineError


@both_loops
async def test_read_refuses_what_is_over_its_limit(upstream):
    async with serving(always(LENGTH)) as server, upstream.request("GET", server.url) as response:
        with pytest.raises(EngineError, match="over 11 bytes"):
            await response.read(11)


# --- kept connections


def closing_after(first: int, wire: bytes = b"") -> object:
    """A server whose first connection dies at its second request, after `wire`; later ones work."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        if peer.number <= first:
            await peer.request()
            peer.send(wire)
            return
        await always(OK)(peer)

    return script


@both_loops
async def test_a_stale_connection_is_retried_once_on_a_fresh_one(upstream):
    async with serving(closing_after(1)) as server:
        assert await ask(upstream, server.url) == (200, b"ok")
        assert await ask(upstream, server.url, body=b"again") == (200, b"ok")
        assert server.connections == 2
        assert [request[-5:] for request in server.requests[1:]] == [b"again", b"again"]


@both_loops
async def test_a_fresh_connection_is_not_retried(upstream):
    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as server:
        with pytest.raises(EngineLost, match="before it answered"):
            await ask(upstream, server.url)
        assert server.connections == 1


@both_loops
async def test_a_retry_that_fails_is_not_retried(upstream):
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            peer.send(OK)
            await peer.request()

    async with serving(script) as server:
        await ask(upstream, server.url)
        with pytest.raises(EngineLost):
            await ask(upstream, server.url)
        assert server.connections == 2


@pytest.mark.parametrize("wire", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", OK[:-1]])
@both_loops
async def test_no_retry_after_a_byte_of_the_response(upstream, wire):
    async with serving(closing_after(1, wire)) as server:
        await ask(upstream, server.url)
        with pytest.raises(EngineLost):
            await ask(upstream, server.url)
        assert server.connections == 1


async def settled(condition) -> None:
    """Lets the loop turn until the condition holds; fails after two seconds, before idle connections expire."""
    deadline = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


@pytest.mark.parametrize("wire", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
@both_loops
async def test_an_idle_connection_that_ends_or_speaks_is_dropped(upstream, wire):
    idle = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await idle.wait()
        peer.send(wire)
        if wire:
            await peer.gone()

    async with serving(script) as server:
        await ask(upstream, server.url)
        idle.set()
        await settled(lambda: not any(upstream._idle.values()))
        assert await ask(upstream, server.url) == (200, b"ok")
        assert server.connections == 2


@both_loops
async def test_bytes_after_the_answer_are_not_part_of_it_and_end_the_connection(upstream):
    async with serving(always(OK + OK)) as server:
        for _ in range(2):
            assert await ask(upstream, server.url) == (200, b"ok")
        assert server.connections == 2


@both_loops
async def test_idle_connections_are_closed_in_time_and_kept_up_to_the_limit():
    gone = []

    async def script(peer: Peer) -> None:
        await always(OK)(peer)
        gone.append(peer.number)

    upstream = Upstream(idle_limit=2, idle_seconds=0.05)
    async with serving(script) as server:
        async with (
            upstream.request("GET", server.url),
            upstream.request("GET", server.url),
            upstream.request("GET", server.url),
        ):
            pass
        assert sum(map(len, upstream._idle.values())) == 2
        await settled(lambda: len(gone) == 3)
        assert not any(upstream._idle.values())
        await ask(upstream, server.url)
        assert server.connections == 4
    await upstream.aclose()


@both_loops
async def test_an_expired_connection_is_not_used():
    upstream = Upstream(idle_seconds=0.0)
    async with serving(always(OK)) as server:
        await ask(upstream, server.url)
        await ask(upstream, server.url)
        assert server.connections == 2
    await upstream.aclose()


@both_loops
async def test_many_requests_at_once_share_nothing(upstream):
    async def script(peer: Peer) -> None:
        while request := await peer.request():
            body = request.rpartition(b"\r\n\r\n")[2]
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with serving(script) as server:
        for _ in range(2):
            answers = await asyncio.gather(*(ask(upstream, server.url, body=b"%d" % n) for n in range(20)))
            assert answers == [(200, b"%d" % n) for n in range(20)]
        assert server.connections == 20


@both_loops
async def test_after_aclose_nothing_is_asked_or_kept():
    upstream = Upstream()
    async with serving(always(OK)) as server:
        async with upstream.request("GET", server.url) as response:
            await upstream.aclose()
            assert await response.read() == b"ok"
        assert not any(upstream._idle.values())
        with pytest.raises(Bug, match="closed"):
            upstream.request("GET", server.url)


def serve_from_a_thread(listener: socket.socket) -> None:
    """Answers until the listener is closed; its connections outlive any loop."""
    kept = []
    with contextlib.suppress(OSError):
        while True:
            kept.append(listener.accept()[0])
            kept[-1].recv(65536)
            kept[-1].sendall(OK)
    for connection in kept:
        connection.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_one_client_may_serve_a_second_loop_after_the_first(run):
    upstream = Upstream()
    listener = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=serve_from_a_thread, args=(listener,))
    server.start()

    async def once() -> tuple[int, bytes]:
        return await ask(upstream, f"http://127.0.0.1:{listener.getsockname()[1]}", head_timeout=5)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ResourceWarning
            )  # each loop but the last leaves a connection, on purpose
            for _ in range(3):
                assert run(once()) == (200, b"ok")
                gc.collect()
            upstream._idle.clear()
            gc.collect()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join()


# --- leaving early, lagging behind


@pytest.mark.parametrize("how", ["break", "error", "cancel", "head"])
@both_loops
async def test_leaving_early_closes_the_connection_at_once(upstream, how):
    gone, asked = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        if how != "head":
            peer.send(CHUNKED[:-5])
        await peer.gone()
        gone.set()

    async def leave() -> None:
        async with upstream.request("POST", server.url) as response:
            async for _ in response:
                if how == "break":
                    return
                if how == "error":
                    raise KeyError

    async with serving(script) as server:
        task = asyncio.ensure_future(leave())
        await asked.wait()
        if how in {"cancel", "head"}:
            await settled(lambda: task._fut_waiter is not None)
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or how in {"break", "error"}
        assert how != "error" or isinstance(task.exception(), KeyError)
        async with asyncio.timeout(2):
            await gone.wait()
        assert not any(upstream._idle.values())


@both_loops
async def test_a_slow_reader_slows_the_engine_and_gets_every_byte(upstream):
    size, sent, stuck = 32 * 1024 * 1024, 0, asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = b"x" * 65536
        for _ in range(size // len(block)):
            peer.send(block)
            try:
                async with asyncio.timeout(0.3):
                    await peer.writer.drain()
            except TimeoutError:
                stuck.set()
                await peer.writer.drain()
            sent += len(block)
        await peer.request()

    async with serving(script) as server:
        async with upstream.request("POST", server.url) as response:
            await stuck.wait()
            assert sent < size / 2
            assert response._body._held < 1024 * 1024
            assert len(await response.read()) == size
        assert sent == size
        async with upstream.request("POST", server.url, head_timeout=5) as _:
            pass
        assert server.connections == 2


@both_loops
async def test_what_arrived_since_the_last_step_comes_in_one_piece(upstream):
    more = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 50)
        await more.wait()
        peer.send(b"1\r\nb\r\n" * 50 + b"0\r\n\r\n")
        await peer.request()

    async with serving(script) as server, upstream.request("POST", server.url) as response:
        steps = []
        async for data in response:
            steps.append(data)
            more.set()
        assert steps == [b"a" * 50, b"b" * 50]


# --- no connection, no answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@both_loops
async def test_refused(upstream):
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(EngineAway) as caught:
        await ask(upstream, url + "/v1/x")
    assert caught.value.message == f"cannot reach {url}: connection refused. Is the engine running?"
    with pytest.raises(EngineAway, match="connection refused"):
        await ask(upstream, url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize("host", ["engine.invalid", "a" * 64 + ".invalid"])
@both_loops
async def test_unresolvable(upstream, host):
    with pytest.raises(EngineAway, match=f"cannot reach http://{host}:8080: "):
        await ask(upstream, f"http://{host}:8080")


@both_loops
async def test_a_connection_that_takes_too_long():
    upstream = Upstream(connect_timeout=0.05)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # nobody accepts: once the queue is full, the kernel leaves further callers waiting
        for caller in (first, second):
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        with pytest.raises(EngineAway, match=r"no answer within 0\.05 s. Is the engine running"):
            await ask(upstream, f"http://127.0.0.1:{full.getsockname()[1]}")
    await upstream.aclose()


@pytest.mark.parametrize("wire", [b"", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n"])
@both_loops
async def test_no_head_in_time(upstream, wire):
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(wire)
        await peer.gone()

    async with serving(script) as server:
        with pytest.raises(EngineTimeout, match=r"within 0\.05 s"):
            await ask(upstream, server.url, head_timeout=0.05)
        assert server.connections == 1


@ways
@both_loops
async def test_silence_inside_the_body(upstream, poured):
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(CHUNKED[:-8])
        await peer.gone()

    async with serving(script) as server:
        began = time.monotonic()
        with pytest.raises(EngineTimeout, match=r"nothing for 0\.05 s"):
            await ask(upstream, server.url, poured=poured, head_timeout=9, read_timeout=0.05)
        assert 0.04 < time.monotonic() - began < 2


@ways
@pytest.mark.parametrize("elsewhere", [0, 0.4])
@both_loops
async def test_a_steady_trickle_is_no_silence_and_nor_is_a_slow_reader(upstream, elsewhere, poured):
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.03)
            peer.send(b"x")
        await peer.request()

    async with serving(script) as server, upstream.request("GET", server.url, read_timeout=0.15) as response:
        assert await anext(aiter(response)) == b"x"
        await asyncio.sleep(elsewhere)  # longer than the timeout, or not at all
        if not poured:
            assert await response.read() == b"x" * 9
            return
        assert await response.pour(lambda data: len(data) > 9) is False
        await asyncio.sleep(elsewhere)
        assert await response.pour(lambda _: True) is True
