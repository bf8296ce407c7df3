"""The composition root: the only place that reads Config and builds objects."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from understudy import __version__
from understudy.auth import Gatekeeper, digest, short
from understudy.batching.runner import Runner
from understudy.border import Border
from understudy.config import (
    Config,
    EngineSettings,
    Loaded,
    audit_file,
    batches_file,
    ledger_file,
    size_bytes,
)
from understudy.dialects import Quirks
from understudy.engines import KINDS, Engine, Facts
from understudy.engines.claude import Claude
from understudy.engines.embedding import Embedding
from understudy.engines.held import WHY, HeldEngine
from understudy.engines.llamacpp import LlamaCpp
from understudy.engines.locality import in_house
from understudy.engines.pool import Pool
from understudy.engines.remote import RemoteEngine
from understudy.engines.scripted import ScriptedEngine, load
from understudy.engines.upstream import Upstream
from understudy.gateway import Gateway
from understudy.language.errors import BadRequest, NoTarget, UnderstudyError
from understudy.language.request import change
from understudy.language.target import Mode, Standing
from understudy.ledger import Ledger
from understudy.media.pdfs import Pdfs
from understudy.media.readable import Media
from understudy.observe.log import logger
from understudy.online.access import Access
from understudy.router import Router
from understudy.routing.checks import idle, nowhere
from understudy.store.audit import Audit
from understudy.store.batches import BatchFile
from understudy.store.ledger import LedgerFile
from understudy.store.responses import MemoryResponses
from understudy.store.sessions import Homes, Sessions
from understudy.store.sqlite import Keeper
from understudy.web.asgi import Door, Visit
from understudy.web.endpoints import Direct, receptionist, routes
from understudy.web.openapi import described
from understudy.web.responses import ResponsesEndpoints

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Cast(Struct, frozen=True):
    """Who plays: the engines named or found, and the model to embed, if any."""

    engines: tuple[EngineSettings, ...] = ()
    embedding: Embedding | None = None


class House:
    """The running product: the ASGI application, and the parts that tests and the command line look at."""

    def __init__(
        self,
        loaded: Loaded,
        cast: Cast,
        *,
        on_load: Callable[[float], None] = lambda _share: None,
        on_ready: Callable[[Pool], None] | None = None,
        on_failure: Callable[[str, UnderstudyError], None] | None = None,
        engines: Sequence[Engine] = (),
    ) -> None:
        config = loaded.config
        self._on_ready = on_ready
        self._on_failure = on_failure
        self.upstream = Upstream(connect_timeout=config.limits.connect_seconds)
        self.ledger = Ledger(Keeper(ledger_file(config), LedgerFile), config.budget)
        self.audit = Audit(audit_file(config))
        self.border = Border(config.privacy, self.audit, self.ledger.left, secrets.token_bytes(32))
        built = [*engines, *(self._remote(loaded, row) for row in cast.engines)]
        if cast.embedding is not None:
            built.insert(0, self._embedded(loaded, cast.embedding, on_load))
        self.pool = Pool(built)
        sessions = Sessions(size_bytes(config.limits.sessions_memory))
        router = Router(
            config.routing,
            config.models,
            Homes(),
            self.border.may_leave,
            self.border.findings,
            in_words=config.images.describer != "",
        )
        media = Media(self.pool, config.images, config.documents, new_id, time.monotonic)
        access = Access(config.web, loaded.secrets.search_key, _now, Pdfs(config.documents).text)
        self.gateway = Gateway(
            self.pool,
            router,
            sessions,
            new_id,
            config.limits,
            border=self.border,
            ledger=self.ledger,
            media=media,
            access=access,
        )
        self.batches = self._runner(config)
        body_limit, ping_seconds = size_bytes(config.server.body_limit), config.server.ping_seconds
        answers = MemoryResponses(size_bytes(config.limits.responses_memory))
        self.responses = ResponsesEndpoints(
            self.gateway,
            answers,
            new_id,
            body_limit=body_limit,
            ping_seconds=ping_seconds,
            clock=time.time,
        )
        table = routes(self.gateway, body_limit, ping_seconds, self.responses, self.batches)
        way = Direct(self._api(table), table)
        self.app: ASGIApp = Door(way, gatekeeper(loaded), receptionist, new_id)

    def _api(self, table: Sequence[Route]) -> FastAPI:
        api = FastAPI(
            title="understudy",
            version=__version__,
            summary="Local models stand in for Claude.",
            lifespan=lambda _api: self.running(),
            redoc_url=None,
        )
        api.router.routes.extend(table)
        api.add_exception_handler(HTTPException, _not_here)
        api.openapi = lambda: _document(api)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
        return api

    def _remote(self, loaded: Loaded, row: EngineSettings) -> Engine:
        if row.kind == "scripted":
            return ScriptedEngine(load(row.script or "hello"), name=row.name)
        facts = facts_of(row, loaded.config.privacy.mode)
        if facts.held:
            return HeldEngine(facts)
        make = Claude if facts.raw else RemoteEngine
        return make(
            facts,
            self.upstream,
            new_id,
            limits=loaded.config.limits,
            key=loaded.secrets.engine_keys.get(row.name, ""),
            only=row.models,
            first=row.model,
            context=row.context,
            declare=None if facts.local else self.border.declare,
        )

    def _embedded(self, loaded: Loaded, chosen: Embedding, on_load: Callable[[float], None]) -> Engine:
        return LlamaCpp(
            chosen.name,
            chosen.model,
            chosen.settings,
            self.upstream,
            new_id,
            limits=loaded.config.limits,
            on_progress=on_load,
            rehearsal=chosen.rehearsal,
            grammar=loaded.config.embedded.grammar,
        )

    def _runner(self, config: Config) -> Runner | None:
        if not config.batches.on:
            return None
        keeper = Keeper(batches_file(config), BatchFile)
        return Runner(self.gateway, keeper, config.batches, new_id)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Engines start before the first request is let in, and are let go after the last.

        This is the application's lifespan; a server that turns lifespans off may enter it itself.
        """
        beside: list[asyncio.Future[None]] = []
        try:
            if (
                self.batches is not None
            ):  # first: what is wrong with the file is said before a model is loaded
                await self.batches.open()
            await self.ledger.open()
            await self.pool.start(self._on_failure)
            if self._on_ready is not None:
                self._on_ready(self.pool)
            beside.append(_beside(self.pool.watch(), "the look-out for engines"))
            if self.batches is not None:
                beside.append(_beside(self.batches.run(), "the runner of batches"))
            yield
        finally:
            for task in beside:
                task.cancel()
            try:
                await self.responses.aclose()
                if beside:
                    await asyncio.wait(beside)
            finally:
                await self.pool.aclose()
                await self.upstream.aclose()
                await self.ledger.aclose()
                self.audit.close()
                if self.batches is not None:
                    await self.batches.aclose()


def facts_of(row: EngineSettings, mode: Mode) -> Facts:
    """What the settings say of an engine that is reached over the network."""
    kind = KINDS[row.kind]
    local = in_house(row.url, own=kind.own, said=row.local)
    return Facts(
        row.name,
        row.kind,
        row.url.rstrip("/"),
        local=local,
        raw=kind.raw,
        pass_key=row.pass_key,
        held=WHY if mode == "local-only" and not local else "",
        quirks=_quirks(kind.quirks, row),
        slots=row.slots,
        tool_syntax=row.tool_syntax,
    )


def _beside(work: Coroutine[None, None, None], what: str) -> "asyncio.Future[None]":
    """Run it beside the server. It ends by cancellation only; anything else is a bug, and must not go unnoticed."""

    def over(task: asyncio.Future[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            logger().error("bug", kind=type(error).__name__, where=f"{what} has ended")

    task = asyncio.ensure_future(work)
    task.add_done_callback(over)
    return task


def gatekeeper(loaded: Loaded) -> Gatekeeper:
    """Who is let in, by the settings.

    Raises:
        ConfigError: other machines can reach us and there is no key.
    """
    server = loaded.config.server
    return Gatekeeper(server.host, _digests(loaded), server.hosts, server.origins)


def warnings(loaded: Loaded, standing: tuple[Standing, ...]) -> list[str]:
    """What is odd in the rules of routing, in words: what can never hold, and targets that are nowhere."""
    routing, keys = loaded.config.routing, {short(one) for one in _digests(loaded)}
    return [*idle(routing, keys), *nowhere(routing, loaded.config.models, standing)]


def _digests(loaded: Loaded) -> tuple[str, ...]:
    master = loaded.secrets.master_key
    return (*loaded.config.auth.key_hashes, *((digest(master),) if master else ()))


def new_id(prefix: str) -> str:
    """A fresh id: the prefix and 24 random letters and digits, as the APIs' own ids look."""
    number = secrets.randbits(143)
    letters = []
    for _ in range(24):
        number, place = divmod(number, 62)
        letters.append(ALPHABET[place])
    return prefix + "".join(letters)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _quirks(quirks: Quirks, row: EngineSettings) -> Quirks:
    """The kind's row, where the settings do not say otherwise."""
    if row.images is not None:
        quirks = change(quirks, images=row.images)
    if row.thinking is False:
        quirks = change(quirks, thinking_switch="")
    return quirks


async def _not_here(request: HttpRequest, error: Exception) -> Response:
    """A path or method that does not exist, in the words of the dialect."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    visit: Visit = request.scope["understudy"]
    where = f"{request.method} {request.scope['path']}"
    said: UnderstudyError = NoTarget(f"{where} does not exist here. See /docs")
    if status != 404:  # noqa: PLR2004 - a known path, another method
        said = BadRequest(f"{where} is not allowed. See /docs")
    content_type, body = receptionist(request.scope["path"], said, visit.request_id)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}  # Allow
    return Response(body, status, headers, content_type.decode())


def _document(api: FastAPI) -> dict[str, object]:
    """The OpenAPI document, with the chat endpoints that are plain ASGI."""
    if not api.openapi_schema:
        document = get_openapi(title=api.title, version=api.version, summary=api.summary, routes=api.routes)
        paths, schemas = described()
        document["paths"].update(paths)
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
        api.openapi_schema = document
    return api.openapi_schema
