"""What engines put on the wire in the tests of `remote`, `inventory`, `pool` and `discover`, and small helpers."""

import json
from contextlib import asynccontextmanager

from upstream_server import serving

from understudy.engines import KINDS, Facts
from understudy.engines.remote import RemoteEngine
from understudy.engines.upstream import Upstream


def http(body, status=200, extra=""):
    """A whole response; a value that is no bytes as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{extra}\r\n"
    )
    return head.encode() + data


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def piece(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def sse(**fields):
    return piece(b"data: " + json.dumps({"id": "c1", "model": "m", **fields}).encode() + b"\n\n")


def says(text):
    return sse(choices=[{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}])


FINISH = sse(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = sse(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2})
DONE = piece(b"data: [DONE]\n\n")
ANSWER = STREAM + says("Hel") + says("lo") + FINISH + USAGE + DONE + END
PROGRESS = sse(choices=[], prompt_progress={"total": 10, "cache": 2, "processed": 5, "time_ms": 1})


def paths(table):
    """Answers each request by its path (b"GET /x"); others with 404. Keeps the connection."""

    async def script(peer):
        while asked := await peer.request():
            peer.send(
                table.get(b" ".join(asked.split(b" ", 2)[:2]).decode(), http({"error": "no such path"}, 404))
            )

    return script


def made(kind, url, upstream, *, make=RemoteEngine, pass_key=False, **settings):
    row = KINDS[kind]
    facts = Facts(kind, kind, url, raw=row.raw, pass_key=pass_key, quirks=row.quirks)
    return make(facts, upstream, lambda prefix: f"{prefix}1", **settings)


@asynccontextmanager
async def engine(kind, script, **settings):
    """A RemoteEngine and the server that it talks to."""
    upstream = Upstream(connect_timeout=2)
    try:
        async with serving(script) as server:
            yield made(kind, server.url, upstream, **settings), server
    finally:
        await upstream.aclose()


def sent(server, number=-1):
    """The JSON body of a request."""
    return json.loads(server.requests[number].partition(b"\r\n\r\n")[2])


def fields(server, number=-1):
    """The header lines of a request, lower case."""
    return server.requests[number].partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
