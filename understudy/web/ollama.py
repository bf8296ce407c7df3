"""Ollama's API beside its chat: what it tells of models, embeddings, and what it is refused.

Shapes are those of ollama/ollama `api/types.go`. Clients choose a model from `/api/tags`, and ask `/api/show`
what it can do. Models are the engines' own: whoever wants to make, fetch or delete one is told where.
"""

import hashlib
import re
import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from understudy import __version__
from understudy.dialects import client_dialect, ollama_embeddings, ollama_generate
from understudy.dialects.ollama_lines import time_of
from understudy.engines import Facts
from understudy.gateway import Gateway
from understudy.language.embedding import EmbeddingRequest
from understudy.language.errors import BadRequest, Forbidden
from understudy.language.jsontext import BROKEN
from understudy.language.target import Model, Standing
from understudy.relay import Receipt
from understudy.routing.targets import makes_vectors
from understudy.web.asgi import Visit, headers_of, read_body, respond
from understudy.web.chat import JSON, LOGGED, ChatEndpoint

API_VERSION = "0.13.0"
"""Which Ollama's API this is: clients ask, to know what they may use."""
KEPT = "3000-01-01T00:00:00Z"
"""When a model is let go that stays."""
GRACE = 300.0
"""Seconds for which Ollama keeps another."""
OURS = b"ollama"
"""How the User-Agent of Ollama's own clients begins."""
REFUSED = (
    "understudy does not manage models: an engine's own are its own business (`ollama {what}`); "
    "`understudy pull` fetches one for the embedded engine"
)
_FAMILY = re.compile(r"[a-z]+")
_SIZE = re.compile(r"(?<![a-z\d.])(\d+(?:\.\d+)?)b(?![a-z\d])", re.IGNORECASE)
_QUANTIZED = re.compile(
    r"(?<![a-z\d])(I?Q\d\w*|MXFP4|NVFP4|BF16|FP?16|FP?32|FP8|AWQ|GPTQ|INT[48])\b", re.IGNORECASE
)

_encode = msgspec.json.Encoder().encode


class ModelDetails(Struct, frozen=True):
    """What a model's name tells of it."""

    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str
    parent_model: str = ""


class TaggedModel(Struct, frozen=True):
    """One row of `GET /api/tags`."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: ModelDetails


class Tags(Struct, frozen=True):
    """`GET /api/tags`."""

    models: list[TaggedModel]


class RunningModel(Struct, frozen=True):
    """One row of `GET /api/ps`."""

    name: str
    model: str
    size: int
    size_vram: int
    digest: str
    details: ModelDetails
    expires_at: str
    context_length: int


class Running(Struct, frozen=True):
    """`GET /api/ps`."""

    models: list[RunningModel]


class Shown(Struct, frozen=True):
    """`POST /api/show`."""

    modelfile: str
    parameters: str
    template: str
    details: ModelDetails
    model_info: dict[str, str | int]
    capabilities: list[str]
    modified_at: str


class Version(Struct, frozen=True):
    """`GET /api/version`."""

    version: str
    understudy: str


class _Named(Struct):
    """Which model is meant; `name` is what older clients say."""

    model: str = ""
    name: str = ""


class OllamaEndpoints:
    """Each a method that is a plain ASGI application.

    Args:
        gateway: who answers.
        body_limit: bytes.
        ping_seconds: the longest silence a client has to bear.
    """

    def __init__(self, gateway: Gateway, body_limit: int, ping_seconds: float) -> None:
        self._gateway = gateway
        self._body_limit = body_limit
        rest = gateway, body_limit, ping_seconds
        self._chat = ChatEndpoint(client_dialect("ollama"), *rest)
        self._simple = ChatEndpoint(ollama_generate.DIALECT, *rest)
        self._streaming = ChatEndpoint(ollama_generate.STREAMING, *rest)

    def table(self) -> list[tuple[str, str, ASGIApp]]:
        """Their rows of the route table."""
        refused: list[tuple[str, str, ASGIApp]] = [
            (method, path, Refusing(what))
            for method, path, what in (
                ("POST", "/api/create", "create"),
                ("POST", "/api/pull", "pull"),
                ("POST", "/api/push", "push"),
                ("POST", "/api/copy", "cp"),
                ("DELETE", "/api/delete", "rm"),
                ("HEAD", "/api/blobs/{digest}", "create"),
                ("POST", "/api/blobs/{digest}", "create"),
            )
        ]
        return [
            ("POST", "/api/chat", self._chat),
            ("POST", "/api/generate", self.generate),
            ("POST", "/api/embed", self.embed),
            ("POST", "/api/embeddings", self.embeddings),
            ("GET", "/api/tags", self.tags),
            ("POST", "/api/show", self.show),
            ("GET", "/api/ps", self.running),
            ("GET", "/api/version", self.version),
            *refused,
        ]

    async def generate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /api/generate`: what is the default of Ollama's own clients is not everybody's."""
        own = headers_of(scope).get(b"user-agent", b"").startswith(OURS)
        await (self._streaming if own else self._simple)(scope, receive, send)

    async def embed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /api/embed`."""
        request = ollama_embeddings.parse(await read_body(scope, receive, self._body_limit))
        await self._embedded(request, scope, send, old=False)

    async def embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /api/embeddings`."""
        request = ollama_embeddings.parse_old(await read_body(scope, receive, self._body_limit))
        await self._embedded(request, scope, send, old=True)

    async def _embedded(self, request: EmbeddingRequest, scope: Scope, send: Send, *, old: bool) -> None:
        visit: Visit = scope["understudy"]
        visit.log |= {"model": request.model[:LOGGED], "texts": len(request.inputs)}
        receipt = Receipt()
        answer = await self._gateway.embed(request, visit.caller, receipt)
        visit.log |= {"target": str(receipt.target), "input_tokens": answer.input_tokens}
        body = ollama_embeddings.write_old(answer) if old else ollama_embeddings.write(request, answer)
        await respond(send, 200, JSON, body, receipt.headers())

    async def tags(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/tags`: every model once."""
        del scope, receive
        await respond(send, 200, JSON, _encode(tagged(self._gateway.pool.snapshot())))

    async def running(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/ps`: what is in use."""
        del scope, receive
        await respond(send, 200, JSON, _encode(in_use(self._gateway.pool.snapshot(), time.time())))

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /api/show`."""
        body = await read_body(scope, receive, self._body_limit)
        try:
            named = msgspec.json.decode(body, type=_Named)
        except BROKEN as error:
            raise BadRequest(f"the body is not an Ollama show request: {error}") from None
        if not (asked := named.model or named.name):
            raise BadRequest("model is required")
        target = self._gateway.find(asked)
        facts = self._gateway.pool.engine(target.engine).facts
        await respond(send, 200, JSON, _encode(shown(target.model, facts)))

    async def version(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/version`."""
        del scope, receive
        await respond(send, 200, JSON, _encode(Version(API_VERSION, __version__)))


class Refusing:
    """An endpoint that says why not.

    Args:
        what: the command of Ollama's that does it.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, whose body nobody reads."""
        del scope, receive, send
        raise Forbidden(REFUSED.format(what=self._what))


def tagged(standing: Sequence[Standing]) -> Tags:
    """Every model once, in the engines' order."""
    rows: dict[str, TaggedModel] = {}
    for row in standing:
        for model in row.models:
            about = digest(model), details(model, row.kind)
            rows.setdefault(model.id, TaggedModel(model.id, model.id, time_of(0), model.size, *about))
    return Tags([*rows.values()])


def in_use(standing: Sequence[Standing], now: float) -> Running:
    """Models that work on an answer. An engine that serves one model alone has it at hand all the time."""
    rows: dict[str, RunningModel] = {}
    for row in standing:
        alone = len(row.models) == 1 and row.state == "up"
        for model in row.models:
            if alone or model.id in row.in_use:
                rows.setdefault(model.id, _running(model, row.kind, KEPT if alone else time_of(now + GRACE)))
    return Running([*rows.values()])


def _running(model: Model, kind: str, until: str) -> RunningModel:
    about = details(model, kind)
    return RunningModel(
        model.id, model.id, model.size, model.size, digest(model), about, until, model.context
    )


def shown(model: Model, facts: Facts) -> Shown:
    """All that is known of a model."""
    family = _family(model)
    info: dict[str, str | int] = {"general.architecture": family, "general.basename": model.id}
    if model.context:
        info[f"{family}.context_length"] = model.context
    parameters = f"{'num_ctx':<30} {model.context}" if model.context else ""
    return Shown(
        f"# {model.id} is served by {facts.name} ({facts.kind}); understudy makes no models\nFROM {model.id}\n",
        parameters,
        model.template,
        details(model, facts.kind),
        info,
        capabilities(model, facts),
        time_of(0),
    )


def capabilities(model: Model, facts: Facts) -> list[str]:
    """What it can do, in Ollama's words: what its engine takes, and what the engine does not say it lacks."""
    quirks, lacks = facts.quirks, model.lacks
    if makes_vectors(model):
        return ["embedding"]
    can = {
        "tools": quirks.tools and "tools" not in lacks,
        "vision": quirks.images and "images" not in lacks,
        "thinking": bool(quirks.thinking_switch) and "thinking" not in lacks,
    }
    return ["completion", *(name for name, able in can.items() if able)]


def digest(model: Model) -> str:
    """The same for the same model, as long as it is the same."""
    return hashlib.sha256(f"{model.id}\0{model.size}\0{model.template}".encode(errors="replace")).hexdigest()


def details(model: Model, kind: str) -> ModelDetails:
    """What can be told from a model's name, and from who serves it."""
    size, quantized = _SIZE.search(model.id), _QUANTIZED.search(model.id)
    family = _family(model)
    return ModelDetails(
        "safetensors" if kind in ("vllm", "sglang") else "gguf",
        family,
        [family],
        f"{size[1]}B" if size else "",
        quantized[1].upper() if quantized else "",
    )


def _family(model: Model) -> str:
    found = _FAMILY.search(model.id.rpartition("/")[2].lower())
    return found[0] if found else "model"
