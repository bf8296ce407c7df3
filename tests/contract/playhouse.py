"""The whole application around an engine that says what a test tells it to.

async with playhouse(answer("hello")) as house:
    response = await house.ask(first_request())
    house.engine.asked   # canonical requests, as the engine got them
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager

import httpx
import uvicorn
from contract.claude import Ask

from understudy.app import Cast, House
from understudy.config import Config, Limits, Loaded, Secrets, Server
from understudy.engines import KINDS, Facts
from understudy.engines.remote import RemoteEngine
from understudy.engines.scripted import ScriptedEngine
from understudy.engines.upstream import Upstream
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    TextDelta,
    ThinkingDelta,
    Usage,
    told,
)
from understudy.language.request import Request, change
from understudy.language.target import Model

CODER = Model("qwen-coder", 131072)
PROMPT = Usage(1200)
WHOLE = Usage(1200, 1000, 7)
"""What the engine counted: 1200 tokens of prompt, 1000 of them from its cache, and 7 of answer."""
BASE = "http://127.0.0.1"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak no TLS: to load the authorities they would trust takes 40 ms each time."""
LOCAL = ("vllm", "llama-server", "ollama")
"""Kinds whose bodies are looked at."""


def started(identity="msg_e", usage=PROMPT):
    return MessageStart(identity, "qwen-coder", usage)


def said(words):
    return [BlockStart("text"), TextDelta(words), BlockStop()]


def thought(words):
    return [BlockStart("thinking"), ThinkingDelta(words), BlockStop()]


def called(name, arguments, identity="call_1"):
    """A call; arguments as an object, or as the text that the engine wrote."""
    words = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return [BlockStart("tool_use", identity, name), InputDelta(words), BlockStop()]


def answer(*blocks, stop="end_turn", usage=WHOLE, sequence=None):
    """A whole answer of these block events; a string is text."""
    out = [started()]
    for block in blocks:
        out += said(block) if isinstance(block, str) else block
    return [*out, MessageStop(stop, sequence, usage)]


def calls(*pairs, before=""):
    """An answer that makes these calls: (name, arguments, the engine's id)."""
    words = said(before) if before else []
    return answer(words, *(called(name, arguments, call) for name, arguments, call in pairs), stop="tool_use")


class FakeEngine:
    """An engine whose answers are given: each a list of events, or an error, or an async generator function of batches.

    Attributes:
        asked: the canonical requests it got.
        left: answers that were left before their end.
    """

    def __init__(self, *answers, name="fake", models=(CODER,), counts=None, kind="vllm", **facts) -> None:
        self.facts = Facts(name, kind, **{"quirks": KINDS[kind].quirks, "tool_syntax": "native", **facts})
        self.asked: list[Request] = []
        self.counted: list[Request] = []
        self.left = asyncio.Event()
        self._answers = answers or (answer("hello"),)
        self._models = models
        self._counts = counts

    async def start(self) -> None:
        pass

    async def models(self) -> Sequence[Model]:
        return self._models

    async def answer(self, request, session, listener):
        number = min(len(self.asked), len(self._answers) - 1)
        self.asked.append(request)
        said = self._answers[number]
        try:
            if isinstance(said, Exception):
                raise said
            if callable(said):
                async for batch in said():
                    await told(listener, batch)
            else:
                before = [event for event in said if not isinstance(event, Failed)]
                await told(listener, before)
                if len(before) < len(said):
                    await told(listener, said[-1:])
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def embed(self, request):
        return await ScriptedEngine().embed(request)

    async def count(self, request):
        self.counted.append(request)
        return self._counts(request) if callable(self._counts) else self._counts

    async def aclose(self) -> None:
        pass


class Playhouse:
    """A running gateway and its engines."""

    def __init__(self, house: House, client: httpx.AsyncClient, engines) -> None:
        self.house = house
        self.client = client
        self.engines = engines

    @property
    def engine(self):
        return self.engines[0]

    async def ask(self, ask: Ask, **more) -> httpx.Response:
        """The response, read to its end."""
        return await self.client.request(
            ask.method,
            ask.path,
            content=ask.content,
            headers={**ask.headers, **more.pop("headers", {})},
            **more,
        )

    async def told(self, ask: Ask) -> Request:
        """What the engine was asked when the client asked this."""
        response = await self.ask(ask)
        assert response.status_code == 200, response.text
        return self.engine.asked[-1]

    def body(self, kind="vllm", number=-1, **quirks) -> dict:
        """The body that an engine of this kind gets for that question."""
        return json.loads(rendered(self.engine.asked[number], kind, **quirks))


def rendered(request: Request, kind: str, *, models=(CODER,), **quirks) -> bytes:
    """The bytes a remote engine of this kind sends for a question that the gateway has prepared."""
    taste = change(KINDS[kind].quirks, **quirks) if quirks else KINDS[kind].quirks
    local = KINDS[kind].local
    engine = RemoteEngine(Facts("e", kind, "http://127.0.0.1:1", local=local, quirks=taste), Upstream(), str)
    engine._models = {model.id: model for model in models}
    return engine.render(request)


def settings(*, key="", ping_seconds=10.0, body_limit="64MB", names=None) -> Loaded:
    """Settings with these in place."""
    chosen = {} if names is None else {"models": names}
    config = Config(Server(ping_seconds=ping_seconds, body_limit=body_limit), limits=Limits(), **chosen)
    return Loaded(config, {}, Secrets(master_key=key))


@asynccontextmanager
async def playhouse(*answers, engines=(), loaded=None, **engine):
    """A gateway in this process, without sockets."""
    troupe = list(engines) or [FakeEngine(*answers, **engine)]
    house = House(loaded or settings(names={"*": "auto"}), Cast(), engines=troupe)
    transport = httpx.ASGITransport(house.app)
    async with house.running(), httpx.AsyncClient(transport=transport, base_url=BASE, verify=PLAIN) as client:
        yield Playhouse(house, client, troupe)


@asynccontextmanager
async def served(app):
    """The application on a port of the loopback interface; gives its URL."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ws="none", log_config=None, timeout_graceful_shutdown=2
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()  # serve() without its signal handlers and its ticks of a tenth of a second
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        await server.shutdown()


@asynccontextmanager
async def playhouse_served(*answers, engines=(), loaded=None, **engine):
    """A gateway behind a real server; its `client` talks to it over a socket."""
    troupe = list(engines) or [FakeEngine(*answers, **engine)]
    house = House(loaded or settings(names={"*": "auto"}), Cast(), engines=troupe)
    async with (
        served(house.app) as url,
        httpx.AsyncClient(base_url=url, timeout=20, verify=PLAIN) as client,
    ):
        yield Playhouse(house, client, troupe)


def events(response: httpx.Response | bytes) -> list[dict]:
    """The events of a stream: every record has its `event:` line, and it says what the data says."""
    raw = response if isinstance(response, bytes) else response.content
    if not isinstance(response, bytes):
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
    out = []
    for record in raw.decode().split("\n\n"):
        if not record:
            continue
        name, _, data = record.partition("\n")
        assert name.startswith("event: "), record
        assert data.startswith("data: "), record
        found = json.loads(data[6:])
        assert found["type"] == name[7:]
        out.append(found)
    return out


def blocks(response: httpx.Response) -> list[dict]:
    """The content blocks a client builds from a stream, as Claude Code builds them: from deltas alone, closed ones only."""
    out, index = [], -1
    for event in events(response):
        match event["type"]:
            case "content_block_start":
                index += 1
                assert event["index"] == index
                block = {**event["content_block"], "_pieces": []}
            case "content_block_delta":
                assert event["index"] == index
                delta = event["delta"]
                kind = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "tool_use"}
                if delta["type"] != "signature_delta":
                    assert kind[delta["type"]] == block["type"]
                    block["_pieces"].append(
                        delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
                    )
            case "content_block_stop":
                assert event["index"] == index
                pieces = "".join(block.pop("_pieces"))
                if block["type"] == "tool_use":
                    block["input"] = json.loads(pieces)
                else:
                    block[block["type"]] = pieces
                out.append(block)
    return out


def ending(response: httpx.Response) -> dict:
    """The stream's message_delta."""
    return next(event for event in events(response) if event["type"] == "message_delta")


def replayed(response: httpx.Response, rewrite: Callable[[dict], dict] = dict) -> list[dict]:
    """An answer's blocks as the client sends them back; `rewrite` is what it does to a call's input."""
    out = []
    for block in blocks(response):
        kept = dict(block)
        if kept["type"] == "tool_use":
            kept["input"] = rewrite(kept["input"])
        out.append(kept)
    return out


def shown(request: Request) -> str:
    """All text of the conversation, as the engine reads it (system, then turns)."""
    return "\n".join(message_texts(json.loads(rendered(request, "vllm"))))


def message_texts(body: dict) -> list[str]:
    """The text of each message of an OpenAI or Ollama body."""
    out = []
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, list):
            content = "\n\n".join(part.get("text", "") for part in content)
        out.append(content or "")
    return out
