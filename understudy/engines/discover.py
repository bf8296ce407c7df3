"""Which engines run on this machine: the well-known ports are asked, in the order of KINDS.

A port says who might listen, the answer says who does: every kind has a path that only it serves, or signs its model list
(`owned_by`). Another understudy answers in Anthropic's shape, or adds its name to its version, and is no engine.
"""

import asyncio
import ipaddress
from collections.abc import Container, Sequence
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, Struct

from understudy.config import ConfigError, EngineSettings
from understudy.engines import KINDS
from understudy.engines.upstream import Upstream
from understudy.language.errors import EngineError
from understudy.language.jsontext import BROKEN

OLLAMA_PORT = 11434
PROBES = {
    "ollama": "/api/version",
    "llama-server": "/props",
    "vllm": "/version",
    "lmstudio": "/api/v0/models",
    "sglang": "/get_model_info",
}
"""A path that this kind serves and the others do not (each answers 200)."""


class _Row(Struct):
    owned_by: str = ""
    object: str = ""


class _Error(Struct):
    error: Raw


class _Version(Struct):
    understudy: str = ""


class _List(Struct):
    data: list[_Row]


async def discover(
    upstream: Upstream,
    *,
    hosts: Sequence[str],
    ollama_host: str,
    patience: float,
    ports: dict[str, tuple[int, ...]],
) -> tuple[EngineSettings, ...]:
    """The engines found, in the order in which they are preferred.

    Args:
        upstream: the HTTP client.
        hosts: where to look.
        ollama_host: `$OLLAMA_HOST`, or "".
        patience: seconds for each question; all are asked at once.
        ports: kind -> ports (`well_known_ports()`; tests use their own).
    """
    places = [(k, f"http://{_in_url(host)}:{port}") for k in ports for host in hosts for port in ports[k]]
    if ollama_host:
        places = [place for place in places if place[0] != "ollama"]
        places.insert(0, ("ollama", ollama_url(ollama_host)))
    found = await asyncio.gather(*(_is_kind(upstream, kind, url, patience) for kind, url in places))
    names: dict[str, EngineSettings] = {}
    for (kind, url), there in zip(places, found, strict=True):
        if there and not any(row.url == url for row in names.values()):
            name = _free_name(kind, url, names)
            names[name] = EngineSettings(name=name, kind=msgspec.convert(kind, _KindName), url=url)
    return tuple(names.values())


def _free_name(kind: str, url: str, taken: Container[str]) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").replace(":", ".")
    names = (kind, f"{kind}-{parts.port}", f"{kind}-{host}-{parts.port}")
    return next(name for name in names if name not in taken)


_KindName = {f.name: f.type for f in msgspec.structs.fields(EngineSettings)}["kind"]


def well_known_ports() -> dict[str, tuple[int, ...]]:
    """Where each kind listens by default."""
    return {name: kind.ports for name, kind in KINDS.items() if kind.ports}


def ollama_url(host: str) -> str:
    """`$OLLAMA_HOST` as a URL: it may lack the scheme or the port, and 0.0.0.0 means this machine.

    Raises:
        ConfigError: it is no address.
    """
    host = host.strip().strip("'\"")
    try:
        parts = urlsplit(host if "://" in host else f"http://{_in_url(host)}")
        default = {"http": 80, "https": 443}[parts.scheme] if "://" in host else OLLAMA_PORT
        port = parts.port or default
    except (ValueError, KeyError) as error:
        raise ConfigError(
            f"$OLLAMA_HOST={host!r} is no address: write http://host:{OLLAMA_PORT}, or unset it"
        ) from error
    name = parts.hostname or ""
    return f"{parts.scheme}://{_in_url('127.0.0.1' if name in ('', '0.0.0.0', '::') else name)}:{port}"


def _in_url(host: str) -> str:
    """An IPv6 address gets its brackets."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host  # noqa: PLR2004 - IPv6
    except ValueError:
        return host


async def _is_kind(upstream: Upstream, kind: str, url: str, patience: float) -> bool:
    """Whether this kind of engine listens there."""
    probed = await _get(upstream, url + PROBES[kind], patience)
    if probed is None or _is_error(probed):
        return False
    if kind == "ollama":
        return not _is_ours(probed)
    listing = await _get(upstream, url + "/v1/models", patience)
    return listing is not None and _is_openai_list(listing)


def _is_error(data: bytes) -> bool:
    """LM Studio answers 200 to a path it does not know, with an `error` in the body."""
    try:
        msgspec.json.decode(data, type=_Error)
    except BROKEN:
        return False
    return True


def _is_ours(data: bytes) -> bool:
    """An understudy, which speaks to Ollama's clients too, says what it is beside its version."""
    try:
        return bool(msgspec.json.decode(data, type=_Version).understudy)
    except BROKEN:
        return False


def _is_openai_list(data: bytes) -> bool:
    try:
        rows = msgspec.json.decode(data, type=_List).data
    except BROKEN:
        return False
    return all(row.object == "model" for row in rows)


async def _get(upstream: Upstream, url: str, patience: float) -> bytes | None:
    """The body of a 200 answer; None for anything else: nobody there is the usual case."""
    try:
        async with upstream.request("GET", url, head_timeout=patience, read_timeout=patience) as response:
            return await response.read() if response.status == 200 else None  # noqa: PLR2004 - OK
    except EngineError:
        return None
