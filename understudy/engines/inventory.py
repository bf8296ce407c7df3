"""What engines tell of themselves: their models with the window that really applies, and exact token counts.

Each function speaks one engine's own endpoints; `LISTS` and `COUNTS` are the tables that KINDS names them by.
"""

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from understudy.language.errors import EngineError, EngineRefused, NoTarget, UnderstudyError
from understudy.language.jsontext import BROKEN
from understudy.language.request import change
from understudy.language.target import Model

Shape = TypeVar("Shape")
Fetch = Callable[[str, str, bytes], Awaitable[bytes]]
"""fetch(method, path, body) -> body of a 200 answer; raises UnderstudyError."""


class _OpenAIModel(Struct):
    id: str
    max_model_len: int | None = None
    context_length: int | None = None
    max_input_tokens: int | None = None
    display_name: str | None = None


class _OpenAIList(Struct):
    """Ollama's imitation has null for no models."""

    data: list[_OpenAIModel] | None = None


class _Settings(Struct, frozen=True):
    n_ctx: int | None = None


class _Modalities(Struct, frozen=True):
    vision: bool | None = None


class _Props(Struct):
    default_generation_settings: _Settings | None = None
    chat_template: str | None = None
    modalities: _Modalities | None = None


class _SglangInfo(Struct):
    has_image_understanding: bool | None = None


class _OllamaModel(Struct):
    name: str
    size: int | None = None
    context_length: int | None = None


class _OllamaList(Struct):
    models: list[_OllamaModel] | None = None


class _OllamaShow(Struct):
    model_info: dict[str, Raw] | None = None
    template: str | None = None
    capabilities: list[str] | None = None


class _LmStudioModel(Struct):
    id: str
    type: str = ""
    loaded_context_length: int | None = None
    max_context_length: int | None = None


class _LmStudioList(Struct):
    data: list[_LmStudioModel] | None = None


class _Counted(Struct):
    count: int | None = None
    input_tokens: int | None = None


def _read(data: bytes, shape: type[Shape], what: str) -> Shape:
    try:
        return msgspec.json.decode(data, type=shape)
    except BROKEN as error:
        raise EngineError(f"{what} answered with something unexpected: {error}") from error


async def _openai(fetch: Fetch) -> tuple[Model, ...]:
    listing = _read(await fetch("GET", "/v1/models", b""), _OpenAIList, "GET /v1/models")
    return tuple(
        Model(m.id, m.max_model_len or m.context_length or m.max_input_tokens or 0, m.display_name or "")
        for m in listing.data or ()
    )


def _blind(*, sees: bool | None) -> tuple[str, ...]:
    """What a model lacks of which the engine says so; where it says nothing, asking it tells."""
    return ("images",) if sees is False else ()


async def _llama_server(fetch: Fetch) -> tuple[Model, ...]:
    """`/props` has the window of one slot: the one that applies; and whether a projector is loaded."""
    models = await _openai(fetch)
    props = _read(await fetch("GET", "/props", b""), _Props, "GET /props")
    window = (props.default_generation_settings or _Settings()).n_ctx
    lacks = _blind(sees=(props.modalities or _Modalities()).vision)
    template = props.chat_template or ""
    return tuple(Model(m.id, window or m.context, m.display_name, template, lacks=lacks) for m in models)


async def _sglang(fetch: Fetch) -> tuple[Model, ...]:
    """A text model of SGLang answers as if no picture had been there: `/get_model_info` tells, in newer versions."""
    models = await _openai(fetch)
    try:
        data = await fetch("GET", "/get_model_info", b"")
    except (NoTarget, EngineRefused):
        return models
    lacks = _blind(sees=_read(data, _SglangInfo, "GET /get_model_info").has_image_understanding)
    return tuple(change(model, lacks=lacks) for model in models)


OLLAMA_CONTEXT = 32768
"""Window we ask Ollama for when nobody said. Its own default (4096 on small machines) cannot hold an agent's prompt."""


async def _ollama(fetch: Fetch) -> tuple[Model, ...]:
    """A loaded model keeps its window, so that it is not loaded again; others get OLLAMA_CONTEXT at most."""
    listing = _read(await fetch("GET", "/api/tags", b""), _OllamaList, "GET /api/tags")
    running = _read(await fetch("GET", "/api/ps", b""), _OllamaList, "GET /api/ps")
    loaded = {m.name: m.context_length or 0 for m in running.models or ()}
    out = []
    for model in listing.models or ():
        shown = await _shown(fetch, model.name)
        window = max(loaded.get(model.name, 0), min(_trained(shown), OLLAMA_CONTEXT))
        lacks = _lacking(shown.capabilities)
        out.append(Model(model.name, window, "", shown.template or "", model.size or 0, lacks))
    return tuple(out)


async def _shown(fetch: Fetch, name: str) -> _OllamaShow:
    """What Ollama says of one model: nothing of one that it cannot read, or that was deleted meanwhile."""
    try:
        data = await fetch("POST", "/api/show", msgspec.json.encode({"model": name}))
        return _read(data, _OllamaShow, "POST /api/show")
    except (EngineRefused, NoTarget):
        return _OllamaShow()
    except EngineError as error:
        if error.retryable:  # this is about the engine, not about the model
            raise
        return _OllamaShow()


def _trained(shown: _OllamaShow) -> int:
    """The window the model was trained for, in tokens."""
    values = [bytes(v) for k, v in (shown.model_info or {}).items() if k.endswith(".context_length")]
    return next((int(v) for v in values if re.fullmatch(rb"[1-9]\d{0,9}", v)), OLLAMA_CONTEXT)


def _lacking(capabilities: list[str] | None) -> tuple[str, ...]:
    """Ollama answers 400 to a wish its model cannot fulfil; versions that list no capabilities are taken to have all."""
    names = {"completion": "chat", "thinking": "thinking", "tools": "tools", "vision": "images"}
    return tuple(ours for theirs, ours in names.items() if theirs not in (capabilities or names))


_LMSTUDIO_LACKS: dict[str, tuple[str, ...]] = {"": (), "vlm": (), "llm": ("images",)}
"""What models of these types cannot do; those of any other type do not talk."""


async def _lmstudio(fetch: Fetch) -> tuple[Model, ...]:
    """LM Studio's own listing knows windows; versions without it have the OpenAI one."""
    try:
        data = await fetch("GET", "/api/v0/models", b"")
    except UnderstudyError:
        return await _openai(fetch)
    listing = _read(data, _LmStudioList, "GET /api/v0/models")
    if listing.data is None:  # LM Studio answers 200 to a path that it does not have
        return await _openai(fetch)
    return tuple(
        Model(
            m.id,
            m.loaded_context_length or m.max_context_length or 0,
            lacks=_LMSTUDIO_LACKS.get(m.type, ("chat",)),
        )
        for m in listing.data
    )


async def _count_llama_server(fetch: Fetch, body: bytes) -> int | None:
    data = await fetch("POST", "/v1/chat/completions/input_tokens", body)
    return _read(data, _Counted, "input_tokens").input_tokens


async def _count_vllm(fetch: Fetch, body: bytes) -> int | None:
    """Its /tokenize takes the chat request's own fields and applies the template."""
    return _read(await fetch("POST", "/tokenize", body), _Counted, "POST /tokenize").count


async def _count_anthropic(fetch: Fetch, body: bytes) -> int | None:
    return _read(
        await fetch("POST", "/v1/messages/count_tokens", body), _Counted, "count_tokens"
    ).input_tokens


LISTS: dict[str, Callable[[Fetch], Awaitable[tuple[Model, ...]]]] = {
    "openai": _openai,
    "anthropic": _openai,
    "llama-server": _llama_server,
    "sglang": _sglang,
    "ollama": _ollama,
    "lmstudio": _lmstudio,
}

COUNTS: dict[str, Callable[[Fetch, bytes], Awaitable[int | None]]] = {
    "llama-server": _count_llama_server,
    "vllm": _count_vllm,
    "anthropic": _count_anthropic,
}
