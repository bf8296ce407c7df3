"""A client and an engine for tests of the whole path: no sockets, no sleeps.

`Visit` drives an ASGI application and sees every single send; it can leave, and it can refuse to read. `Puppet` is an engine
that plays steps: a list is a batch of events, an exception is raised, an asyncio.Event is waited for.
"""

import asyncio
import contextlib
from collections import deque

import msgspec

from understudy.app import Cast, House
from understudy.config import Auth, Batches, Config, Documents, Images, Limits, Loaded, Secrets, Server
from understudy.engines import Facts
from understudy.engines.scripted import ScriptedEngine
from understudy.language.events import (
    BlockStart,
    BlockStop,
    InputDelta,
    MessageStart,
    MessageStop,
    TextDelta,
    Usage,
    told,
)
from understudy.language.target import Model
from understudy.observe import metrics

HOST = (b"host", b"127.0.0.1:8000")
DEADLINE = 10.0
MODEL = Model("coder", 65536)


def say(text, reason="end_turn", usage=None, identity="msg_engine"):
    """A whole answer of one text, as an engine's batch."""
    return [
        MessageStart(identity),
        BlockStart("text"),
        TextDelta(text),
        BlockStop(),
        MessageStop(reason, usage=usage or Usage(10, 4, 2)),
    ]


def call(name, arguments, *, identity="call_0", text=""):
    """A whole answer with one tool call."""
    said = [BlockStart("text"), TextDelta(text), BlockStop()] if text else []
    used = [BlockStart("tool_use", identity, name), InputDelta(arguments), BlockStop()]
    return [MessageStart("msg_engine"), *said, *used, MessageStop("tool_use", usage=Usage(10, 4, 2))]


class Puppet:
    """An engine for tests; its last answer is repeated."""

    def __init__(self, *answers, name="puppet", models=(MODEL,), count=None, kind="scripted", **facts):
        self.facts = Facts(name, kind, **{"tool_syntax": "native", **facts})
        self.answers = deque(answers or [[say("Hello")]])
        self.served = models
        self.counted = count
        self.embedded = []
        self.counts = 0
        self.requests = []
        self.sessions = []
        self.open = 0
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def start(self):
        pass

    async def models(self):
        if isinstance(self.served, Exception):
            raise self.served
        return self.served

    async def answer(self, request, session, listener):
        self.requests.append(request)
        self.sessions.append(session)
        steps = self.answers[0] if len(self.answers) == 1 else self.answers.popleft()
        self.open += 1
        self.asked.set()
        try:
            for step in steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    await told(listener, list(step))
        finally:
            self.open -= 1
            self.left.set()

    async def embed(self, request):
        self.embedded.append(request)
        return await ScriptedEngine().embed(request)

    async def count(self, request):
        self.counts += 1
        if isinstance(self.counted, Exception):
            raise self.counted
        return self.counted

    async def aclose(self):
        pass


@contextlib.asynccontextmanager
async def house(
    *engines,
    ping=60.0,
    body_limit="64MB",
    key="",
    key_hashes=(),
    models=None,
    limits=None,
    batches=None,
    images=None,
    documents=None,
    cast=None,
    **server,
):
    """The whole product with these engines, running."""
    config = Config(
        server=Server(ping_seconds=ping, body_limit=body_limit, **server),
        auth=Auth(key_hashes),
        limits=limits or Limits(),
        batches=batches or Batches(),
        images=images or Images(),
        documents=documents or Documents(),
        **({} if models is None else {"models": models}),
    )
    built = House(Loaded(config, {}, Secrets(master_key=key)), cast or Cast(), engines=engines)
    async with built.running():
        yield built


class Visit:
    """One request to an ASGI application."""

    def __init__(
        self, app, method="POST", path="/v1/messages", body=b"", *, headers=(), pieces=None, query=b"", hops=0
    ):
        self.hops = hops  # turns of the loop a send takes to arrive
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self._app = app
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query,
            "headers": [HOST, *headers] if not any(n == b"host" for n, _ in headers) else list(headers),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        self._incoming = deque(pieces if pieces is not None else [raw])
        self.read = 0
        self._gone = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()
        self._news = asyncio.Event()
        self.sent = []
        self.tried = 0
        self.task = None

    async def _receive(self):
        if self._incoming:
            piece = self._incoming.popleft()
            if piece is None:
                return {"type": "http.disconnect"}
            self.read += len(piece)
            return {"type": "http.request", "body": piece, "more_body": bool(self._incoming)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        self.tried += 1
        self._news.set()
        await self._reads.wait()
        await turns(self.hops)
        self.sent.append(message)
        self._news.set()

    def start(self):
        self.task = asyncio.ensure_future(self._app(self.scope, self._receive, self._send))
        return self

    async def __call__(self):
        """The whole visit."""
        self.start()
        await self.over()
        return self

    async def over(self):
        async with asyncio.timeout(DEADLINE):
            await self.task
        return self

    def leave(self):
        self._gone.set()

    def stop_reading(self):
        self._reads.clear()

    def go_on_reading(self):
        self._reads.set()

    async def until(self, condition):
        """Wait until what was sent satisfies the condition."""
        async with asyncio.timeout(DEADLINE):
            while not condition(self):
                self._news.clear()
                await self._news.wait()
        return self

    @property
    def starts(self):
        return [m for m in self.sent if m["type"] == "http.response.start"]

    @property
    def status(self):
        assert len(self.starts) == 1, self.sent
        return self.starts[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.starts[0]["headers"]}

    @property
    def body(self):
        return b"".join(m.get("body", b"") for m in self.sent)

    @property
    def json(self):
        return msgspec.json.decode(self.body)

    @property
    def finished(self):
        return bool(self.sent) and not self.sent[-1].get("more_body", self.sent[-1]["type"].endswith("start"))

    @property
    def events(self):
        """(event, data) of a stream; every send is whole records."""
        for message in self.sent[1:]:
            body = message.get("body", b"")
            assert body.endswith(b"\n\n") or not body, f"a send that splits an event: {body!r}"
        out = []
        for record in self.body.decode().split("\n\n")[:-1]:
            name, data = record.split("\n")
            out.append((name.removeprefix("event: "), msgspec.json.decode(data.removeprefix("data: "))))
        return out

    @property
    def names(self):
        return [name for name, _ in self.events]

    @property
    def text(self):
        return "".join(d["delta"].get("text", "") for n, d in self.events if n == "content_block_delta")


def question(text="Hi", *, stream=False, model="coder", **more):
    """The body of a request."""
    content = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return {"model": model, "max_tokens": 64, "stream": stream, "messages": content, **more}


def ask(built, text="Hi", *, headers=(), **more):
    """A visit to /v1/messages."""
    return Visit(built.app, body=question(text, **more), headers=headers)


def in_flight():
    return metrics.REGISTRY.get_sample_value("understudy_requests_in_flight")


async def turns(number=10):
    """Some turns of the event loop: for what must happen at once."""
    for _ in range(number):
        await asyncio.sleep(0)
