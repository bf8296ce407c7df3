"""The door: every request gets an id, is let in or not, and leaves one line in the log. Pure ASGI, no framework."""

import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from understudy.auth import Caller, Gatekeeper, Headers
from understudy.language.errors import BadRequest, Bug, EngineBusy, EngineDenied, TooLarge, UnderstudyError
from understudy.observe.log import logger

SEND = "understudy.send"
"""In a scope: the door's own `send`. The framework's wrappers around it cost a microsecond for each piece of a stream."""

RETRY_SECONDS = 5.0
"""When to come again to an engine that is busy or down and does not say."""


class Receptionist(Protocol):
    """Knows how an error looks to whoever asked for this path."""

    def __call__(self, path: str, error: UnderstudyError, request_id: str) -> tuple[bytes, bytes]:
        """Content-Type and body."""
        ...


class ClientGone(Exception):
    """The client closed the connection."""


def headers_of(scope: Scope) -> Headers:
    """Request headers by lower-case name."""
    return dict(scope["headers"])


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole request body.

    Raises:
        TooLarge: over `limit` bytes, said before the body is read where its length is announced.
        ClientGone: the client left meanwhile.
    """
    announced = headers_of(scope).get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(
            f"the request body has {int(announced)} bytes; at most {limit} are taken (server.body_limit)"
        )
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise TooLarge(f"the request body has over {limit} bytes (server.body_limit)")
        pieces.append(piece)
        if not message.get("more_body"):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def respond(
    send: Send,
    status: int,
    content_type: bytes,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """One complete response."""
    length = (b"content-length", str(len(body)).encode())
    all_headers = [(b"content-type", content_type), length, *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


def error_headers(error: UnderstudyError) -> list[tuple[bytes, bytes]]:
    """Whether to come again, and when. A wrong key does not get better by asking again."""
    out = []
    after = (
        RETRY_SECONDS if error.retry_after is None and isinstance(error, EngineBusy) else error.retry_after
    )
    if after is not None:
        out.append((b"retry-after", str(max(1, round(after))).encode()))
    if isinstance(error, BadRequest | EngineDenied) and not error.retryable:
        out.append((b"x-should-retry", b"false"))
    return out


class Door:
    """Wraps the whole application.

    Puts a `Visit` (request id, caller, what the log line shall say) into `scope["understudy"]`.
    """

    def __init__(
        self,
        app: ASGIApp,
        gatekeeper: Gatekeeper,
        receptionist: Receptionist,
        new_id: Callable[[str], str],
    ) -> None:
        self._app = app
        self._gatekeeper = gatekeeper
        self._receptionist = receptionist
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = scope["understudy"] = Visit(self._new_id("req_"))
        tagged = scope[SEND] = Tagged(send, visit)
        began = time.perf_counter()
        try:
            visit.caller = self._gatekeeper.admit(scope["path"], headers_of(scope))
        except UnderstudyError as error:
            await refuse(tagged, scope, error, self._receptionist)
        else:
            await self._app(scope, receive, tagged)
        finally:
            del scope[SEND]  # a ring of references would keep the request until the collector comes
            _access_line(scope, visit, time.perf_counter() - began)


class Guarded:
    """One endpoint whose errors are answered in the words of its clients, and whose bugs are logged, never swallowed."""

    def __init__(self, app: ASGIApp, receptionist: Receptionist) -> None:
        self._app = app
        self._receptionist = receptionist

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        visit: Visit = scope["understudy"]
        send = scope[SEND]
        try:
            await self._app(scope, receive, send)
        except ClientGone:
            visit.log["outcome"] = "client left"
        except Exception as error:  # noqa: BLE001 - the last line of defence
            if isinstance(error, Bug) or not isinstance(error, UnderstudyError):
                frames = "".join(
                    traceback.format_tb(error.__traceback__)
                )  # no message: it may quote a prompt
                logger().error("bug", kind=type(error).__name__, request_id=visit.request_id, frames=frames)
                error = bug(error, visit.request_id)
            await refuse(send, scope, error, self._receptionist)


def bug(error: Exception, request_id: str) -> Bug:
    """What the caller is told of a fault of ours: nothing that may quote a prompt."""
    return Bug(f"{type(error).__name__} in understudy; its log has more under {request_id}")


async def refuse(send: Send, scope: Scope, error: UnderstudyError, receptionist: Receptionist) -> None:
    """Answer with an error, unless the answer has begun: then its own dialect has said what happened."""
    visit: Visit = scope["understudy"]
    visit.log |= {"error": error.kind, "outcome": error.kind}
    if visit.status:
        return
    content_type, body = receptionist(scope["path"], error, visit.request_id)
    await respond(send, error.status, content_type, body, error_headers(error))


class Visit:
    """What is known of one request while it lasts; `status` is 0 until the answer has begun."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.status = 0
        self.caller = Caller()
        self.log: dict[str, object] = {}


class Tagged:
    """A `send` that adds the request id and remembers the status.

    Attributes:
        plain: the server's own, for what follows the start: a stream has a thousand pieces.
    """

    def __init__(self, send: Send, visit: Visit) -> None:
        self.plain = send
        self._visit = visit

    def __call__(self, message: Message) -> Awaitable[None]:
        """No coroutine of its own."""
        if message["type"] == "http.response.start":
            self._visit.status = message["status"]
            identity = (b"request-id", self._visit.request_id.encode())
            message = {**message, "headers": [*message.get("headers", ()), identity]}
        return self.plain(message)


_QUIET = frozenset({"/health", "/metrics"})


def _access_line(scope: Scope, visit: Visit, seconds: float) -> None:
    log = logger()
    say = log.debug if scope["path"] in _QUIET or scope["method"] == "HEAD" else log.info
    say(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=visit.status,
        seconds=round(seconds, 3),
        request_id=visit.request_id,
        **visit.log,
    )
