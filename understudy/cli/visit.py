"""A visit to a running gateway: what the commands ask of it, over plain HTTP/1.1 of the standard library.

No client library: `understudy claude` must not be slower than the program it starts.
"""

import http.client
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from types import MappingProxyType
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from understudy.config import ConfigError
from understudy.language.errors import EngineError, UnderstudyError

DEFAULT_URL = "http://127.0.0.1:8000"
PATIENCE = 5.0
"""Seconds a small question may take."""
ANSWER_PATIENCE = 900.0
"""Seconds of silence an answer may take: a long prompt on a slow machine. The gateway sends pings meanwhile."""
OK, UNAUTHORIZED, UNAVAILABLE = 200, 401, 503
ALIAS = "claude-local-"
"""Prefix of the second name under which a gateway lists each model, for Claude Code's own discovery."""


class NotRunning(UnderstudyError):
    """Nobody answers there."""


class EngineLine(Struct):
    """An engine, as `GET /health` tells it."""

    name: str
    kind: str = ""
    state: str = ""
    models: list[str] = []
    in_flight: int = 0
    detail: str = ""
    notice: str = ""


class Health(Struct):
    """`GET /health`."""

    status: str
    version: str
    engines: list[EngineLine]
    notice: str = ""
    next: str = ""

    @property
    def up(self) -> tuple[str, ...]:
        """Ids of the models that can be asked now."""
        return tuple(m for engine in self.engines if engine.state == "up" for m in engine.models)


class ModelLine(Struct):
    """A model, as `GET /v1/models` tells it."""

    id: str
    display_name: str = ""
    max_input_tokens: int | None = None

    @property
    def window(self) -> int:
        """Tokens; 0 where the engine does not tell."""
        return self.max_input_tokens or 0


class _Page(Struct):
    data: list[ModelLine]
    has_more: bool = False
    last_id: str | None = None


class _Said(Struct, frozen=True):
    message: str = ""


class _Error(Struct):
    error: _Said = _Said()


class Gateway:
    """A gateway at an address.

    Args:
        url: such as http://127.0.0.1:8000.
        key: sent with every question; empty for none.

    Raises:
        ConfigError: the address is none.
    """

    def __init__(self, url: str, key: str = "") -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"{url!r} is no address: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no address of a gateway. One looks like {DEFAULT_URL}")
        self.url = parts._replace(path=parts.path.rstrip("/"), query="", fragment="").geturl()
        self._secure = parts.scheme == "https"
        self._host, self._port, self._path = parts.hostname, port, parts.path.rstrip("/")
        self._key = key

    def health(self) -> Health:
        """How it is.

        Raises:
            NotRunning: nobody answers, or it is no gateway.
        """
        with self.ask("GET", "/health") as response:
            body = response.read()
        try:
            return msgspec.json.decode(body, type=Health)
        except msgspec.DecodeError as error:
            raise NotRunning(
                f"what answers at {self.url} is no understudy: its /health reads differently"
            ) from error

    def models(self) -> tuple[ModelLine, ...]:
        """What it serves, each model once.

        Raises:
            UnderstudyError: it cannot be asked, or does not let us in.
        """
        rows: list[ModelLine] = []
        after = ""
        while True:
            with self.ask("GET", f"/v1/models?limit=1000{after}") as response:
                page = msgspec.json.decode(_good(response, self.url), type=_Page)
            rows += page.data
            if not page.has_more or not page.last_id:
                break
            after = f"&after_id={quote(page.last_id, safe='')}"
        ids = {row.id for row in rows}
        return tuple(r for r in rows if not (r.id.startswith(ALIAS) and r.id.removeprefix(ALIAS) in ids))

    def target(self, model: str) -> str:
        """The id of the model that would answer when a client names `model`; "" where that cannot be told.

        Raises:
            UnderstudyError: nobody would answer, or we are not let in.
        """
        question = {"model": model, "messages": [{"role": "user", "content": "?"}]}
        with self.ask("POST", "/v1/messages/count_tokens", msgspec.json.encode(question)) as response:
            _good(response, self.url)
            return response.headers.get("x-understudy-target", "").partition("/")[2]

    def explain(self, body: bytes, request_class: str = "") -> bytes:
        """Who would answer a request, and why, as JSON.

        Args:
            body: the request, as for `/v1/messages`.
            request_class: what kind of request it is to count as, as Claude Code would say it.

        Raises:
            UnderstudyError: it is no request, or we are not let in.
        """
        hint = {"x-claude-code-request-class": request_class} if request_class else {}
        with self.ask("POST", "/route", body, headers=hint) as response:
            return _good(response, self.url)

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        patience: float = PATIENCE,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Generator[http.client.HTTPResponse, None, None]:
        """One question; the response is read inside the block.

        Raises:
            NotRunning: nobody answers.
            EngineError: the connection broke in the middle.
        """
        make = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        with closing(make(self._host, self._port, timeout=patience)) as connection:
            try:
                connection.request(method, self._path + path, body or None, {**self._headers(), **headers})
                response = connection.getresponse()
            except TimeoutError as error:
                raise NotRunning(
                    f"{self.url} takes connections but does not answer: it is very busy, or no gateway"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                raise NotRunning(
                    f"no gateway answers at {self.url} ({_reason(error)}). Start it: understudy serve"
                ) from error
            try:
                yield response
            except (OSError, http.client.HTTPException) as error:
                raise EngineError(f"the connection to {self.url} broke: {_reason(error)}") from error

    def _headers(self) -> Mapping[str, str]:
        common = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
        return {**common, "authorization": f"Bearer {self._key}"} if self._key else common


def failure(response: http.client.HTTPResponse, url: str) -> UnderstudyError:
    """What an answer that is no 200 says."""
    if response.status == UNAUTHORIZED:
        return UnderstudyError(f"{url} wants a key: set UNDERSTUDY_KEY to one it knows")
    try:
        said = msgspec.json.decode(response.read(), type=_Error).error.message
    except msgspec.DecodeError:
        said = ""
    return UnderstudyError(said or f"{url} answered with status {response.status}")


def _good(response: http.client.HTTPResponse, url: str) -> bytes:
    if response.status != OK:
        raise failure(response, url)
    return response.read()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
