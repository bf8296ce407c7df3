"""Plays a script as a server: a fake vLLM, llama-server, SGLang, LM Studio, Ollama, OpenAI or Anthropic API.

    async with serving(script, kind="vllm", context=8192) as played:
        ...ask played.url...
        assert played.requests[-1].path == "/v1/chat/completions"

The answers are written by our own dialects' encoders; what else makes a kind recognisable, and its limits, is in
`play_kinds`. A reply is kept for its request's bytes: a request that comes again costs a look-up and a write.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec
from msgspec import Raw, Struct

from understudy.dialects import dialect
from understudy.engines import KINDS
from understudy.engines.performance import Beat, perform, tokens_of
from understudy.engines.play_http import (
    Asked,
    Hang,
    Part,
    Reply,
    Reset,
    Server,
    Sleep,
    reply,
    streamed,
    whole,
)
from understudy.engines.play_kinds import MANNERS, House, Json, Question, ollama_show, overflow_body
from understudy.engines.script import Fault, Pause, Script, ScriptError
from understudy.engines.scripted import MODEL, load
from understudy.language.errors import BadRequest
from understudy.language.events import Event
from understudy.language.message import collect
from understudy.language.request import Request

OLLAMA_DEFAULT = 4096
"""The window of an Ollama that is not told one, on a machine with little memory."""
REMEMBERED = 64
"""Replies that are kept."""
GARBAGE = {
    "openai": b'data: {"choices":[{"delta":\n\n',
    "anthropic": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"del\n\n',
    "ollama": b'{"model":"x","mess\n',
}
"""A record that cannot be read, by dialect."""
NO_ANSWER = b"<html><body>502 Bad Gateway</body></html>"
HALF = b'{"id":"x","model":"'

_json: Callable[[object], bytes] = msgspec.json.Encoder().encode


class _OllamaOptions(Struct):
    num_ctx: int = 0


class _OllamaWishes(Struct):
    options: _OllamaOptions | None = None
    truncate: bool | None = None


class _Named(Struct):
    model: str = ""


class _Made(Struct, frozen=True):
    """A reply, whether it is an answer without `when`, and the window it was made for (0: nothing was loaded)."""

    reply: Reply
    plain: bool = False
    window: int = 0


class Player:
    """Requests -> replies, as one kind of engine makes them.

    Args:
        script: what it says.
        kind: a row of MANNERS.
        model: the one it serves.
        context: its window in tokens; with Ollama, what the model was trained for.

    Raises:
        ScriptError: the kind cannot be played.
    """

    def __init__(self, script: Script, kind: str, model: str, context: int) -> None:
        if kind not in MANNERS:
            raise ScriptError(f"{kind!r} cannot be played: one of {', '.join(MANNERS)}")
        self.house = House(kind, model, context)
        self._script = script
        self._manner = MANNERS[kind]
        self._chat_path = KINDS[kind].chat
        self._dialect = dialect(KINDS[kind].dialect)
        self._kept: dict[tuple[bytes, int], _Made] = {}
        self._cycle = max(1, len(script.plain)) if script.cycle else 1
        self._served = 0
        self._posts: dict[str, Callable[[bytes], bytes]] = {}
        if kind == "vllm":
            self._posts["/tokenize"] = self._tokenize
        elif kind == "llama-server":
            self._posts["/v1/chat/completions/input_tokens"] = self._input_tokens
        elif kind == "anthropic":
            self._posts["/v1/messages/count_tokens"] = self._input_tokens
        elif kind == "ollama":
            self._posts["/api/show"] = self._show

    def __call__(self, asked: Asked) -> Reply:
        """The reply to one request."""
        if asked.method == "POST" and asked.path == self._chat_path:
            return self._chat(asked.body)
        if asked.method == "POST" and asked.path in self._posts:
            return reply((self._posts[asked.path](asked.body),))
        if asked.method in ("GET", "HEAD"):
            if asked.path in self._manner.pages:
                return reply((_headed(whole(200, _json(self._manner.pages[asked.path](self.house))), asked),))
            if asked.path == "/" and self.house.kind == "ollama":
                return reply((_headed(whole(200, b"Ollama is running", "text/plain"), asked),))
        words = self._manner.lost.format(where=f"{asked.method} {asked.path}")
        return reply((_headed(self._refusal(self._manner.lost_status, words), asked),))

    # --- what is no chat

    def _tokenize(self, body: bytes) -> bytes:
        """vLLM's: takes a chat request, and tells the window too."""
        try:
            count = tokens_of(self._dialect.parse(body))
        except BadRequest as error:
            return self._refusal(400, error.message)
        told = {
            "count": count,
            "max_model_len": self.house.context,
            "tokens": [0] * count,
            "token_strs": None,
        }
        return whole(200, _json(told))

    def _input_tokens(self, body: bytes) -> bytes:
        """llama.cpp's and Anthropic's; the latter takes no `max_tokens`, which a message must have."""
        try:
            if self.house.kind == "anthropic":
                fields = msgspec.json.decode(body, type=dict[str, Raw])
                body = _json(fields | {"max_tokens": 1})
            count = tokens_of(self._dialect.parse(body))
        except (BadRequest, msgspec.DecodeError) as error:
            return self._refusal(400, str(error))
        return whole(200, _json({"input_tokens": count}))

    def _show(self, body: bytes) -> bytes:
        try:
            name = msgspec.json.decode(body, type=_Named).model
        except msgspec.DecodeError as error:
            return self._refusal(400, str(error))
        if not self._serves(name):
            return self._refusal(404, self._manner.unknown.format(model=name), "unknown")
        return whole(200, _json(ollama_show(self.house)))

    def _serves(self, model: str) -> bool:
        """Ollama's names end in a tag that may be left out; some engines answer to any name."""
        if not self._manner.unknown or model == self.house.model:
            return True
        return self.house.kind == "ollama" and model.removesuffix(":latest") == self.house.model.removesuffix(
            ":latest"
        )

    def _refusal(self, status: int, message: str, code: str = "") -> bytes:
        return whole(status, _json(self._manner.error(status, message, code)))

    # --- chat

    def _chat(self, body: bytes) -> Reply:
        key = (body, self._served % self._cycle)
        made = self._kept.get(key)
        if made is None:
            made = self._answered(body)
            if len(self._kept) >= REMEMBERED:
                self._kept.clear()
            self._kept[key] = made
        self._served += made.plain
        self.house.loaded = made.window or self.house.loaded
        return made.reply

    def _answered(self, body: bytes) -> _Made:
        try:
            request = self._dialect.parse(body)
        except BadRequest as error:
            return _Made(reply((self._refusal(400, error.message),)))
        if not self._serves(request.model):
            words = self._manner.unknown.format(model=request.model)
            return _Made(reply((self._refusal(404, words, "unknown"),)))
        if words := self._manner.objection(body):
            return _Made(reply((self._refusal(400, words),)))
        tokens, window, truncates = tokens_of(request), self.house.context, False
        if self.house.kind == "ollama":
            window, truncates = _ollama_window(body, self.house.context)
        asked = Question(tokens, request.sampling.max_tokens or 0, window)
        words = "" if truncates else self._manner.overflow(asked)
        if words:
            return _Made(reply(self._too_long(words, asked, request)), window=window)
        return self._performed(request, min(tokens, window), window)

    def _too_long(self, words: str, asked: Question, request: Request) -> tuple[Part, ...]:
        body = overflow_body(self._manner, words, asked)
        if request.stream and self._manner.refuses_in_stream:
            return streamed((self._in_stream(body),), self._dialect.stream_type)
        return (whole(400, _json(body)),)

    def _performed(self, request: Request, tokens: int, window: int) -> _Made:
        try:
            answer = self._script.choose(request, self._served)
        except ScriptError as error:
            return _Made(reply((self._refusal(500, error.message),)))
        prefix = self._manner.call_prefix
        beats = self._manner.performed(perform(answer, request, input_tokens=tokens, call_prefix=prefix))
        parts = self._stream(beats, request) if request.stream else self._in_one(beats, request)
        return _Made(reply(parts), answer.when is None, window)

    def _in_stream(self, body: Json) -> bytes:
        """An error inside a stream. SGLang's lies flat elsewhere, but not here: `create_streaming_error_response`."""
        data = _json(body if "error" in body else {"error": body})
        match self._manner.in_stream:
            case "line":
                return data + b"\n"
            case "event":
                return b"event: error\ndata: %b\n\n" % data
            case "data":
                return b"data: %b\n\n" % data
            case "data, done":
                return b"data: %b\n\ndata: [DONE]\n\n" % data

    def _stream(self, beats: Sequence[Beat], request: Request) -> tuple[Part, ...]:
        """One piece for each event that says something."""
        encoder = self._dialect.encoder(request, request.model)
        pieces: list[Part] = []
        split = False
        for beat in beats:
            match beat:
                case Pause():
                    pieces.append(beat)
                case Fault("split_utf8"):
                    split = True
                case Fault("error", status, message) if not any(isinstance(p, bytes) for p in pieces):
                    return (*pieces, self._refusal(status, message))
                case Fault():
                    pieces += self._mishap(beat)
                case _:
                    data = encoder.encode([beat])
                    if split and not data.isascii():
                        pieces += _torn(data)
                        split = False
                    elif data:
                        pieces.append(data)
        return streamed(pieces, self._dialect.stream_type)

    def _mishap(self, fault: Fault) -> Iterable[Part]:
        """A fault inside a stream. After a cut comes nothing, not even a terminal event: its bytes just end."""
        match fault.kind:
            case "reset":
                yield Reset()
            case "hang":
                yield Hang()
            case "garbage":
                yield GARBAGE[self._dialect.name]
            case "error":
                yield self._in_stream(self._manner.error(fault.status, fault.message, ""))
            case _:
                pass

    def _in_one(self, beats: Sequence[Beat], request: Request) -> tuple[Part, ...]:
        """A reply that is not streamed waits as long, and fails before it says anything."""
        parts: list[Part] = []
        events: list[Event] = []
        for beat in beats:
            match beat:
                case Pause():
                    parts.append(beat)
                case Fault("error", status, message):
                    return (*parts, self._refusal(status, message))
                case Fault("reset"):
                    return (*parts, Reset())
                case Fault("hang"):
                    return (*parts, Hang())
                case Fault("cut"):
                    return streamed((*parts, HALF), "application/json")
                case Fault("garbage"):
                    return (*parts, whole(200, NO_ANSWER, "text/html"))
                case Fault():
                    pass  # split_utf8: there are no pieces here
                case _:
                    events.append(beat)
        return (*parts, whole(200, self._dialect.whole(collect(events), request, request.model)))


def _headed(data: bytes, asked: Asked) -> bytes:
    """The head only, where no more was asked for."""
    return data if asked.method != "HEAD" else data[: data.index(b"\r\n\r\n") + 4]


def _ollama_window(body: bytes, trained: int) -> tuple[int, bool]:
    """The window Ollama gives this request, and whether it cuts a longer prompt without a word."""
    wishes = msgspec.json.decode(body, type=_OllamaWishes)
    wanted = wishes.options.num_ctx if wishes.options else 0
    return min(wanted or OLLAMA_DEFAULT, trained), wishes.truncate is not False


def _torn(data: bytes) -> tuple[Part, ...]:
    """In two pieces, cut after the first byte of the first character that has several."""
    cut = next(place for place, byte in enumerate(data) if byte >= 0x80) + 1  # noqa: PLR2004 - UTF-8
    return data[:cut], Pause(0), data[cut:]


class Played:
    """A fake engine that runs.

    Attributes:
        url: where it listens, without a path.
        house: what it serves.
    """

    def __init__(self, url: str, house: House, server: Server) -> None:
        self.url = url
        self.house = house
        self._server = server

    @property
    def requests(self) -> Sequence[Asked]:
        """What was asked, oldest first; the last 256."""
        return tuple(self._server.requests)

    @property
    def cancelled(self) -> Sequence[Asked]:
        """The requests whose clients left before the end."""
        return tuple(self._server.cancelled)

    @property
    def in_flight(self) -> int:
        """Answers that take their time right now."""
        return self._server.in_flight

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._server.connections)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something to become so; looked at whenever a request comes, is cancelled or ends."""
        while not condition():
            self._server.changed.clear()
            await self._server.changed.wait()


@asynccontextmanager
async def serving(
    script: Script | str = "hello",
    *,
    kind: str = "vllm",
    host: str = "127.0.0.1",
    port: int = 0,
    context: int = MODEL.context,
    model: str = MODEL.id,
    pace: float | None = None,
    keep: int = 256,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[Played, None]:
    """A fake engine for as long as the context lasts.

    Args:
        script: what it says, or the name of a file or of a shipped script.
        kind: as what it serves: a row of `play_kinds.MANNERS`.
        host: where to listen.
        port: 0 for any.
        context: the window in tokens.
        model: the model's name.
        pace: seconds between two records of a stream, each a write of its own; None writes at once what needs no delay.
        keep: how many requests are remembered.
        sleep: waits for delays and pace.

    Raises:
        ScriptError: the script or the kind cannot be played.
        OSError: the port is taken.
    """
    player = Player(load(script) if isinstance(script, str) else script, kind, model, context)
    server = Server(player, pace=pace, keep=keep, sleep=sleep)
    bound = await server.start(host, port)
    try:
        yield Played(f"http://{f'[{host}]' if ':' in host else host}:{bound}", player.house, server)
    finally:
        await server.aclose()
