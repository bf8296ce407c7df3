"""The small endpoints, and the route table. They speak Anthropic's shapes: that is whose client asks."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from understudy import __version__
from understudy.batching.runner import Runner
from understudy.dialects import client_dialect, counting_dialect, openai_embeddings, speaker
from understudy.gateway import Gateway
from understudy.language.errors import NoTarget, UnderstudyError
from understudy.language.target import Model, Standing
from understudy.observe import metrics
from understudy.relay import Receipt
from understudy.routing.rules import alias, makes_vectors
from understudy.web.asgi import Guarded, Visit, read_body, respond
from understudy.web.batches import BatchEndpoints
from understudy.web.chat import JSON, LOGGED, ChatEndpoint
from understudy.web.ollama import OllamaEndpoints
from understudy.web.paging import limit_of, query_of
from understudy.web.responses import ResponsesEndpoints

EPOCH = "1970-01-01T00:00:00Z"
"""`created_at` of a model whose release date nobody here knows; the field is required by the SDK's type."""


class ModelInfo(Struct, frozen=True, tag="model", tag_field="type"):
    """One row of `GET /v1/models`, for both APIs that have it, and what a local client wants to know.

    https://docs.anthropic.com/en/api/models-list and https://platform.openai.com/docs/api-reference/models: their fields do
    not contradict each other, so that nobody has to be asked which of the two he meant.

    Attributes:
        max_input_tokens: the real window, in tokens.
    """

    id: str
    display_name: str
    created_at: str = EPOCH
    max_input_tokens: int | None = None
    description: str = ""
    object: str = "model"
    created: int = 0
    owned_by: str = "understudy"


class ModelPage(Struct, frozen=True):
    """`GET /v1/models`."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None
    object: str = "list"


class TokenCount(Struct, frozen=True):
    """`POST /v1/messages/count_tokens`."""

    input_tokens: int


class EngineHealth(Struct, frozen=True, omit_defaults=True):
    """One engine in `GET /health`."""

    name: str
    kind: str
    state: str
    models: list[str]
    in_flight: int = 0
    detail: str = ""
    notice: str = ""


class Health(Struct, frozen=True, omit_defaults=True):
    """`GET /health`: "ok" while an engine serves, else "unavailable" with status 503."""

    status: str
    version: str
    engines: list[EngineHealth]
    notice: str = ""
    next: str = ""


class Endpoints:
    """The gateway's endpoints, each a method that is a plain ASGI application."""

    def __init__(self, gateway: Gateway, body_limit: int) -> None:
        self._gateway = gateway
        self._body_limit = body_limit
        self._anthropic = counting_dialect("anthropic")

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/models`, with `limit`, `after_id` and `before_id`."""
        del receive
        query = query_of(scope)
        page = paged(listed(self._gateway.pool.snapshot()), query)
        await respond(send, 200, JSON, msgspec.json.encode(page))

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/models/{id}`."""
        del receive
        wanted = scope["path_params"]["model_id"]
        rows = listed(self._gateway.pool.snapshot())
        for row in rows:
            if row.id == wanted:
                await respond(send, 200, JSON, msgspec.json.encode(row))
                return
        raise NoTarget(f"model {wanted!r} not found. Models here: {', '.join(row.id for row in rows)}")

    async def count_tokens(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/messages/count_tokens`: asked of the engine that would answer."""
        visit: Visit = scope["understudy"]
        body = await read_body(scope, receive, self._body_limit)
        request = self._anthropic.parse_count(body)
        receipt = Receipt()
        count = await self._gateway.count(request, visit.caller, receipt)
        visit.log |= {"model": request.model, "input_tokens": count, "estimated": receipt.estimated}
        headers = receipt.headers()
        if receipt.estimated:
            headers.append((b"x-understudy-estimate", b"true"))
        await respond(send, 200, JSON, msgspec.json.encode(TokenCount(count)), headers)

    async def embeddings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/embeddings`: passed to an engine that makes them."""
        visit: Visit = scope["understudy"]
        question = openai_embeddings.parse(await read_body(scope, receive, self._body_limit))
        request, receipt = question.request, Receipt()
        visit.log |= {"model": request.model[:LOGGED], "texts": len(request.inputs)}
        answer = await self._gateway.embed(request, receipt)
        visit.log |= {"target": str(receipt.target), "input_tokens": answer.input_tokens}
        await respond(send, 200, JSON, openai_embeddings.write(question, answer), receipt.headers())

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /health`."""
        del scope, receive
        found = health(self._gateway.pool.snapshot())
        await respond(send, 200 if found.status == "ok" else 503, JSON, msgspec.json.encode(found))

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /metrics`."""
        del scope, receive
        await respond(send, 200, b"text/plain; version=0.0.4; charset=utf-8", metrics.exposition())

    async def hello(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`HEAD /` and `HEAD /api/hello`: Claude Code asks whether anybody is here."""
        del receive
        text = f"understudy {__version__} is here. See /docs and /health.\n".encode()
        await respond(send, 200, b"text/plain; charset=utf-8", b"" if scope["method"] == "HEAD" else text)

    async def events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /api/event_logging/*`: accepted, and dropped: nobody's usage leaves the house."""
        await read_body(scope, receive, self._body_limit)
        await respond(send, 200, JSON, b"{}")


class Direct:
    """Plain paths of the route table go straight to their endpoints; all else, unknown paths included, is FastAPI's.

    The eight layers it puts around an endpoint are for what it has routed and parsed itself; ours need none of them, and
    each would be passed by every chunk of every answer.
    """

    def __init__(self, app: ASGIApp, table: Iterable[Route]) -> None:
        self._app = app
        self._ways = {
            (method, route.path): route.app
            for route in table
            if not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        way = self._ways.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (way or self._app)(scope, receive, send)


def routes(
    gateway: Gateway,
    body_limit: int,
    ping_seconds: float,
    responses: ResponsesEndpoints,
    batches: Runner | None = None,
) -> list[Route]:
    """The route table; without `batches`, their endpoints say that they are off."""
    own = Endpoints(gateway, body_limit)
    messages, chat, completions = (
        ChatEndpoint(client_dialect(name), gateway, body_limit, ping_seconds)
        for name in ("anthropic", "openai", "openai_completions")
    )
    table: list[tuple[str, str, ASGIApp]] = [
        ("POST", "/v1/messages", messages),
        ("POST", "/v1/messages/count_tokens", own.count_tokens),
        *BatchEndpoints(batches, body_limit).table(),
        ("POST", "/v1/chat/completions", chat),
        ("POST", "/v1/completions", completions),
        ("POST", "/v1/embeddings", own.embeddings),
        ("POST", "/v1/responses", responses.create),
        ("GET", "/v1/responses/{response_id}", responses.read),
        ("DELETE", "/v1/responses/{response_id}", responses.delete),
        ("POST", "/v1/responses/{response_id}/cancel", responses.cancel),
        ("GET", "/v1/responses/{response_id}/input_items", responses.input_items),
        ("GET", "/v1/models", own.models),
        ("GET", "/v1/models/{model_id:path}", own.model),
        ("GET", "/health", own.health),
        ("GET", "/metrics", own.metrics),
        ("GET", "/", own.hello),
        ("GET", "/api/hello", own.hello),
        ("POST", "/api/event_logging/{rest:path}", own.events),
        *OllamaEndpoints(gateway, body_limit, ping_seconds).table(),
    ]
    return [Route(path, Guarded(app, receptionist), methods=[method]) for method, path, app in table]


def listed(standing: tuple[Standing, ...]) -> list[ModelInfo]:
    """Every model once, and once more under an id that Claude Code's discovery keeps."""
    models: dict[str, Model] = {}
    for row in standing:
        for model in row.models:
            models.setdefault(model.id, model)
    return [
        ModelInfo(name, model.display_name or model.id, EPOCH, model.context or None, _described(model))
        for model in models.values()
        for name in dict.fromkeys((model.id, model.id if makes_vectors(model) else alias(model.id)))
    ]


def _described(model: Model) -> str:
    return f"{model.context} tokens" if model.context else ""


def paged(rows: list[ModelInfo], query: Mapping[str, str]) -> ModelPage:
    """One page of a listing.

    Raises:
        BadRequest: a limit that is no number from 1 to 1000.
    """
    limit = limit_of(query)
    ids = [row.id for row in rows]
    first = ids.index(query["after_id"]) + 1 if query.get("after_id") in ids else 0
    last = ids.index(query["before_id"]) if query.get("before_id") in ids else len(rows)
    between = rows[first:last]
    page = between[-limit:] if "before_id" in query else between[:limit]
    return ModelPage(
        page, len(between) > len(page), page[0].id if page else None, page[-1].id if page else None
    )


def health(standing: tuple[Standing, ...]) -> Health:
    """How everything is, and what to do if it is not well."""
    engines = [
        EngineHealth(
            row.engine, row.kind, row.state, [m.id for m in row.models], row.in_flight, row.detail, row.notice
        )
        for row in standing
    ]
    serving = any(row.state == "up" and row.models for row in standing)
    notice = next((row.notice for row in standing if row.notice), "")
    next_step = "" if serving else "start an engine (for example: ollama serve), or see `understudy check`"
    return Health("ok" if serving else "unavailable", __version__, engines, notice, next_step)


SPOKEN = (
    ("/v1/responses", "responses"),
    ("/v1/chat/", "openai"),
    ("/v1/completions", "openai"),
    ("/v1/embeddings", "openai"),
    ("/api/hello", "anthropic"),
    ("/api/event_logging", "anthropic"),
    ("/api/", "ollama"),
)
"""What is spoken at paths that begin so, the first that fits; everywhere else it is Anthropic's dialect."""


def receptionist(path: str, error: UnderstudyError, request_id: str) -> tuple[bytes, bytes]:
    """An error for whoever asks for this path."""
    name = next((name for prefix, name in SPOKEN if path.startswith(prefix)), "anthropic")
    return JSON, speaker(name).error(error, request_id)
