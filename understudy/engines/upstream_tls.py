"""https engines, through a kept client (httpx) behind the interface of `upstream.py`.

Hosts with certificates are far away, and their answers come slowly: here correctness outweighs microseconds.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from understudy.engines.upstream_exchange import Headers, Question, Response, Take
from understudy.language.errors import (
    Bug,
    EngineAway,
    EngineError,
    EngineLost,
    EngineTimeout,
    UnderstudyError,
)

_GONE = ("disconnected", "closed connection", "ConnectionClosed")
"""How h11 and httpcore word a connection that has ended; their other complaints are about what came."""


class KeptClient:
    """One httpx client, HTTP/1.1 only. Proxy settings of the environment are not read.

    Args:
        connect_timeout: seconds for the connection and the handshake, each.
        idle_limit: idle connections kept, over all hosts.
        idle_seconds: how long.
        verify: an SSLContext, or None: the authorities of the system and of httpx.
    """

    def __init__(
        self, connect_timeout: float, idle_limit: int, idle_seconds: float, verify: ssl.SSLContext | None
    ) -> None:
        self._timeouts = {"connect": connect_timeout, "read": None, "write": None, "pool": None}
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=idle_limit, keepalive_expiry=idle_seconds
        )
        self._client = httpx.AsyncClient(verify=verify or _usual_trust(), limits=limits, trust_env=False)

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    @asynccontextmanager
    async def request(self, question: Question) -> AsyncIterator[Response]:
        """As `Upstream.request`.

        Raises:
            EngineAway: no connection. EngineLost: it broke. EngineTimeout: too late. EngineError: not HTTP, no URL, or
                a certificate that is not trusted. Bug: a header with a line break.
        """
        request = _built(question, self._timeouts)
        origin = f"https://{request.url.host}:{request.url.port or 443}"
        head_timeout, read_timeout = question.head_timeout, question.read_timeout
        try:
            async with asyncio.timeout(head_timeout):
                answer = await self._send(request, origin)
        except TimeoutError as error:
            raise EngineTimeout(f"{origin} did not begin to answer within {head_timeout:g} s") from error
        try:
            yield Response(
                answer.status_code,
                Headers(list(answer.headers.raw)),
                _Body(answer, origin, read_timeout),
            )
        finally:
            await answer.aclose()  # read to its end: back to the pool; else: closed

    async def _send(self, request: httpx.Request, origin: str) -> httpx.Response:
        """Sends, and once more if a kept connection turns out to be gone."""
        opened: list[str] = []

        async def trace(event: str, _info: object) -> None:
            if event == "connection.connect_tcp.started":
                opened.append(event)

        request.extensions["trace"] = trace
        try:
            return await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            failure = _translated(error, origin)
            if opened or not isinstance(failure, EngineLost):
                raise failure from error
        try:
            return await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            raise _translated(error, origin) from error


class _Body:
    """The body's steps, with silence timed and httpx's errors in our words."""

    def __init__(self, answer: httpx.Response, origin: str, read_timeout: float | None) -> None:
        self._chunks = answer.aiter_raw()
        self._origin = origin
        self._read_timeout = read_timeout

    async def pour(self, take: Take) -> bool:
        """See `Response.pour`."""
        while True:
            try:
                data = await self.step()
            except StopAsyncIteration:
                return True
            if not take(data):
                return False

    async def step(self) -> bytes:
        """The next bytes; raises as `Exchange.step` does."""
        try:
            async with asyncio.timeout(self._read_timeout):
                return await anext(self._chunks)
        except TimeoutError as error:
            silence = f"{self._origin} sent nothing for {self._read_timeout:g} s in the middle of its answer"
            raise EngineTimeout(silence) from error
        except httpx.TransportError as error:
            raise _translated(error, self._origin) from error


def _built(question: Question, timeouts: dict[str, float | None]) -> httpx.Request:
    body = b"".join(question.spans)
    try:
        return httpx.Request(
            question.method,
            question.url,
            headers=question.fields(),
            content=body,
            extensions={"timeout": timeouts},
        )
    except httpx.InvalidURL as error:
        raise EngineError(f"{question.url!r} is no URL: {error}") from error


def _usual_trust() -> ssl.SSLContext:
    """The authorities that httpx brings, and those that this machine's owner added."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _translated(error: httpx.TransportError, origin: str) -> UnderstudyError:
    """An error of httpx in the words of the error tree."""
    if isinstance(error, httpx.LocalProtocolError):
        return Bug(f"the request to {origin} is malformed: {error}")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return EngineError(
            f"the certificate of {origin} is not trusted: {error}. Trust its authority, or use http://"
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        reason = (
            "connection refused" if "attempts failed" in str(error) else str(error) or "no answer in time"
        )
        return EngineAway(f"cannot reach {origin}: {reason}. Is the engine running?")
    if isinstance(error, httpx.RemoteProtocolError) and not any(word in str(error) for word in _GONE):
        return EngineError(f"{origin} does not speak HTTP/1.1 as expected: {error}")
    return EngineLost(f"{origin} broke off: {error or type(error).__name__}")
