"""The one part of the kit that touches a network: an `Ask` -> its `Reply`, over plain HTTP.

Nothing of the machine goes out: no proxy, no .netrc, no cookie. A connection that fails is a reply that says so: what it
means is for the checks to judge. A question that was asked already, byte for byte, is not asked again.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, Self
from urllib.parse import urlsplit

import httpx
from msgspec import Struct, structs

from understudy.conform.answer import decoded, heard, told
from understudy.conform.exchange import LISTING, Ask, Check, Fault, Reply, Result, Scene, Trial
from understudy.conform.values import at, number, rows, text
from understudy.language.errors import UnderstudyError

CONNECT_SECONDS: Final = 10.0
BUSY: Final = (429, 503, 529)
TRIES: Final = 3
"""A server that is busy is asked again, as the client does."""
LONGEST_PAUSE: Final = 30.0
LONGEST_BODY: Final = 32 * 1024 * 1024
WRONG_KEY: Final = "wrong-key-on-purpose"
WINDOWS: Final = (
    ("max_input_tokens",),
    ("max_model_len",),
    ("context_length",),
    ("max_context_length",),
    ("context_window",),
    ("meta", "n_ctx"),
)
"""Where listings tell a model's window: understudy and the Claude API, vLLM, several, LM Studio, Groq, llama.cpp."""


def _nobody(_check: Check) -> None:
    """Nobody watches."""


class NoServer(UnderstudyError):
    """There is nothing that could be judged."""


class Used(Struct):
    """What a run has needed so far."""

    requests: int = 0
    prompt: int = 0
    answer: int = 0


class Runner:
    """Asks one server.

    Args:
        url: its address, without /v1.
        key: of the server; "" for none.
        patience: seconds of silence that are borne.
        transport: another way than the network.

    Attributes:
        url: the address, as it is used.
        used: requests and tokens so far.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        patience: float = 300.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = base(url)
        self.used = Used()
        self._key = key
        self._patience = patience
        self._known: dict[Ask, Reply] = {}
        self._client = httpx.AsyncClient(
            base_url=self.url,
            timeout=httpx.Timeout(patience, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._client.aclose()

    # ---- checks ----

    async def results(
        self, checks: Iterable[Check], scene: Scene, on_begin: Callable[[Check], None] = _nobody
    ) -> AsyncGenerator[Result, None]:
        """The checks' results, as they come; `on_begin` is told of each check before it is made."""
        for check in checks:
            on_begin(check)
            trial = Trial(check, scene)
            while trial.asks:
                trial.tell(await asyncio.gather(*(self.reply(ask) for ask in trial.asks)))
            if trial.result is not None:
                yield trial.result

    async def scene(self, scene: Scene, model: str = "") -> Scene:
        """The scene with the server's models, and the one to be asked.

        Raises:
            NoServer: nobody answers, or there is no model to ask for.
        """
        reply = await self.reply(Ask(method="GET", path=LISTING))
        if not reply.status:
            raise NoServer(f"{self.url}: {reply.trouble}. Is the server running, and the address right?")
        found = {text(row, "id") or "": row for row in rows(at(decoded(reply.body), "data"))}
        ids = tuple(name for name in found if name)
        if not (model or ids):
            raise NoServer(f"no models are listed there ({told(reply)}): name one with --model")
        chosen = model or ids[0]
        window = next((n for path in WINDOWS if (n := number(found.get(chosen), *path))), 0)
        return structs.replace(
            scene, model=chosen, models=ids, window=scene.window or window, keyed=bool(self._key)
        )

    # ---- one question ----

    async def reply(self, ask: Ask) -> Reply:
        """What came back, now or earlier."""
        if ask not in self._known:
            self._known[ask] = await self._patiently(ask)
        return self._known[ask]

    async def _patiently(self, ask: Ask) -> Reply:
        for _ in range(TRIES - 1):
            reply = await self._once(ask)
            if reply.status not in BUSY:
                return reply
            await asyncio.sleep(_pause(reply))
        return await self._once(ask)

    async def _once(self, ask: Ask) -> Reply:
        arrival = _Arrival()
        self.used.requests += 1
        try:
            async with asyncio.timeout(4 * self._patience):
                await self._exchange(ask, arrival)
        except httpx.ReadTimeout:
            arrival.trouble = f"{self._patience:.0f} s without a byte"
        except TimeoutError:
            arrival.trouble = f"not finished after {4 * self._patience:.0f} s"
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            arrival.trouble = f"the connection broke: {words}" if arrival.status else f"no answer: {words}"
        reply = arrival.reply()
        self._tally(reply)
        return reply

    async def _exchange(self, ask: Ask, arrival: "_Arrival") -> None:
        headers = [*ask.headers, *self._credentials(ask)]
        request = self._client.build_request(ask.method, ask.path, content=ask.body or None, headers=headers)
        async with _streaming(self._client, request) as response:
            arrival.began(response.status_code, dict(response.headers))
            async for piece in response.aiter_bytes():
                arrival.piece(piece)
                if ask.leave_after and len(arrival.body) >= ask.leave_after:
                    return
                if len(arrival.body) > LONGEST_BODY:
                    arrival.trouble = f"an answer of over {LONGEST_BODY} bytes"
                    return

    def _credentials(self, ask: Ask) -> list[tuple[str, str]]:
        right = bool(self._key)
        match ask.credentials:
            case "wrong":
                return [("authorization", f"Bearer {WRONG_KEY}"), ("x-api-key", WRONG_KEY)]
            case "one-wrong" if right:
                return [("authorization", f"Bearer {WRONG_KEY}"), ("x-api-key", self._key)]
            case "bearer" if right:
                return [("authorization", f"Bearer {self._key}")]
            case "x-api-key" if right:
                return [("x-api-key", self._key)]
            case _ if right:
                return [("authorization", f"Bearer {self._key}"), ("x-api-key", self._key)]
            case _:
                return []

    def _tally(self, reply: Reply) -> None:
        try:
            usage = heard(reply).usage
        except Fault:
            return
        self.used.prompt += usage.prompt
        self.used.answer += usage.output or 0


def base(url: str) -> str:
    """An address as people write it, as one that paths can be put behind.

    Raises:
        NoServer: it is none.
    """
    whole = url if "://" in url else f"http://{url}"
    parts = urlsplit(whole)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoServer(f"{url!r} is no address of a server. One looks like http://127.0.0.1:8000")
    path = parts.path.rstrip("/").removesuffix("/messages").removesuffix("/v1")
    return parts._replace(path=path, query="", fragment="").geturl()


def _pause(reply: Reply) -> float:
    said = reply.headers.get("retry-after", "")
    return min(float(said), LONGEST_PAUSE) if said.isdigit() else 2.0


@asynccontextmanager
async def _streaming(
    client: httpx.AsyncClient, request: httpx.Request
) -> AsyncGenerator[httpx.Response, None]:
    response = await client.send(request, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


class _Arrival:
    """A reply while it arrives."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.trouble = ""
        self._asked = self._last = time.perf_counter()
        self._silence = 0.0

    def began(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        self._heard()

    def piece(self, data: bytes) -> None:
        self.body += data
        self._heard()

    def _heard(self) -> None:
        now = time.perf_counter()
        self._silence = max(self._silence, now - self._last)
        self._last = now

    def reply(self) -> Reply:
        self._heard()
        seconds = self._last - self._asked
        return Reply(self.status, self.headers, bytes(self.body), self.trouble, seconds, self._silence)
