"""Who asks, and whether they may: Host and Origin on every bind, keys where there are any.

A web page can make a browser send requests to loopback. Its `Origin` gives it away; and if it got here under a name of its
own (DNS rebinding), its `Host` does. Addresses cannot be rebound, so a Host that is an IP literal is always ours.
"""

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Literal, get_args
from urllib.parse import urlsplit

from msgspec import Struct

from understudy.config import ConfigError
from understudy.language.errors import BadRequest, Forbidden, Misdirected, Unauthorized
from understudy.language.request import Fields, Passed
from understudy.language.target import Mode

Headers = Mapping[bytes, bytes]
"""Request headers by lower-case name, the last one of a name winning."""

SHORT = 8
_OPEN_PATHS = frozenset({"/health", "/"})
PASSED_ON = (
    *(b"anthropic-version", b"anthropic-beta", b"anthropic-dangerous-direct-browser-access"),
    *(b"user-agent", b"x-app"),
)
"""Header fields that a question's meaning depends on, and those by which the Claude API knows its own client."""
CREDENTIALS = (b"authorization", b"x-api-key")
PRIVACY = b"x-understudy-privacy"
MODES: tuple[Mode, ...] = get_args(Mode)
SHOWN = 40
"""Characters of a wrong word that an error repeats."""


class Caller(Struct, frozen=True):
    """Who asks.

    Attributes:
        key: a short name of the key used; "" when keys are off. Never the key.
        session: `X-Claude-Code-Session-Id`, or "".
        agent: `X-Claude-Code-Agent-Id` of a sub-agent, or "".
        request_class: Claude Code's hint ("main", "subagent", "auxiliary", "compaction"), "batch" for ours, or "".
        task: `X-Understudy-Task`: what the client says it asks for, or "".
        privacy: `X-Understudy-Privacy`: what may leave the house of this question; "" leaves it to the settings.
        passed: what may go along with the question: header fields, and a credential that is not for us.
    """

    key: str = ""
    session: str = ""
    agent: str = ""
    request_class: str = ""
    task: str = ""
    privacy: Mode | Literal[""] = ""
    passed: Passed = Passed()


def digest(key: str | bytes) -> str:
    """The form keys are kept in: SHA-256, hex. Bytes are a key as it stands in a header."""
    raw = key if isinstance(key, bytes) else key.encode(errors="surrogateescape")
    return hashlib.sha256(raw).hexdigest()


def short(digest_: str) -> str:
    """The short name of a key, from its digest: what the log calls it, and rules of routing."""
    return digest_[:SHORT]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that bind address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gatekeeper:
    """Checks every request before it is read.

    Args:
        host: the address we listen on.
        key_hashes: digests of the keys that are let in; none lets everybody in, on loopback only.
        hosts: further names we are reached by.
        origins: web origins that may call us ("https://chat.example.org").

    Raises:
        ConfigError: other machines can reach us and there is no key.
    """

    def __init__(
        self,
        host: str,
        key_hashes: Iterable[str] = (),
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
    ) -> None:
        self._hashes = tuple(key_hashes)
        if not self._hashes and not is_loopback(host):
            raise ConfigError(
                f"server.host = {host!r} lets other machines in, and there is no key. "
                "Set UNDERSTUDY_MASTER_KEY, or listen on 127.0.0.1"
            )
        ours = ("localhost", host, socket.gethostname(), *hosts)
        self._names = {_hostname(name.lower()) for name in ours} - {""}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    def admit(self, path: str, headers: Headers) -> Caller:
        """The caller, let in.

        Raises:
            Misdirected: the Host is not ours.
            Forbidden: the Origin is a stranger's.
            Unauthorized: no key, or a wrong one.
            BadRequest: a mode of privacy that is none.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        self._check_host(host)
        self._check_origin(headers.get(b"origin", b"").decode("latin-1").lower(), host)
        return Caller(
            key=self._key(path, headers),
            session=_text(headers, b"x-claude-code-session-id"),
            agent=_text(headers, b"x-claude-code-agent-id"),
            request_class=_text(headers, b"x-claude-code-request-class"),
            task=_text(headers, b"x-understudy-task"),
            privacy=_mode(headers),
            passed=Passed(_named(headers, PASSED_ON), self._foreign(headers)),
        )

    def _check_host(self, host: str) -> None:
        name = _hostname(host)
        if name in self._names or _is_address(name):
            return
        raise Misdirected(f"Host {host!r} is not served here. Add it to server.hosts if it is yours")

    def _check_origin(self, origin: str, host: str) -> None:
        if not origin or origin in self._origins or _netloc(origin) == host:
            return
        raise Forbidden(
            f"Origin {origin!r} may not call this server. Add it to server.origins if it is yours"
        )

    def _foreign(self, headers: Headers) -> Fields:
        """Credentials that are no key of ours, in whichever form: ours must never reach anybody else."""
        given = _named(headers, CREDENTIALS)
        if not self._hashes:
            return given
        return tuple((name, value) for name, value in given if not self._ours(name, value))

    def _ours(self, name: bytes, value: bytes) -> bool:
        """Whether a credential is a key of ours, or none at all."""
        keys = _given_keys({name: value})
        return not keys or not {digest(key) for key in keys}.isdisjoint(self._hashes)

    def _key(self, path: str, headers: Headers) -> str:
        if not self._hashes or path in _OPEN_PATHS:
            return ""
        given = _given_keys(headers)
        for key in given:
            found = digest(key)
            if sum(hmac.compare_digest(found, known) for known in self._hashes):  # all compared, on purpose
                return short(found)
        problem = "the key is not known here" if given else "a key is needed"
        raise Unauthorized(f"{problem}: send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'")


def _given_keys(headers: Headers) -> list[bytes]:
    """As bytes: nobody says how a key that is not ASCII is encoded."""
    bearer = headers.get(b"authorization", b"")
    keys = [bearer[7:].strip()] if bearer[:7].lower() == b"bearer " else []
    plain = headers.get(b"x-api-key", b"").strip()
    return [key for key in (*keys, plain) if key]


def _mode(headers: Headers) -> Mode | Literal[""]:
    said = headers.get(PRIVACY, b"").strip().lower()
    for mode in MODES:
        if said == mode.encode():
            return mode
    if said:
        raise BadRequest(
            f"X-Understudy-Privacy: {said.decode('latin-1')[:SHOWN]!r} is none of {', '.join(MODES)}"
        )
    return ""


def _named(headers: Headers, names: Iterable[bytes]) -> Fields:
    return tuple((name, headers[name]) for name in names if headers.get(name))


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # "http://[": no origin of ours
        return ""


def _hostname(host: str) -> str:
    """The host without its port; an IPv6 literal without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
