"""How each kind of engine behaves beside its dialect: its errors, its limits, its pages. Rows, as in KINDS.

Sources: vLLM `vllm/entrypoints/openai`, llama.cpp `tools/server`, SGLang `python/sglang/srt/entrypoints`, Ollama
`server/routes.go` and `api/types.go`, LM Studio's REST API (lmstudio-ai/lmstudio-bug-tracker #618 for unknown paths), the
OpenAI and Anthropic API references.
"""

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct

from understudy.engines.performance import Beat
from understudy.engines.play_claude import objection, signed

Json = dict[str, object]
ErrorShape = Callable[[int, str, str], Json]
"""(status, message, code) -> the body of an error; `code` is "overflow", "unknown" (model) or ""."""

VERSION = "0.0.0+understudy.play"
"""What a fake answers when its version is asked."""


class House(Struct):
    """What a fake engine serves. `loaded` is the window with which Ollama last loaded the model, 0 before."""

    kind: str
    model: str
    context: int
    slots: int = 4
    template: str = "{{ messages }}"
    loaded: int = 0


class Question(Struct, frozen=True):
    """The numbers of one request: its prompt, what it wants at most, and the window, in tokens."""

    tokens: int
    wanted: int
    window: int


_NAMES = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}
_LLAMA = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    500: "server_error",
    501: "not_supported_error",
    503: "unavailable_error",
}
_OPENAI = {401: "authentication_error", 429: "rate_limit_error"}
_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_CODES = {"overflow": "context_length_exceeded", "unknown": "model_not_found"}


def _vllm_error(status: int, message: str, code: str) -> Json:
    name = _NAMES.get(status, "InternalServerError")
    param = {"unknown": "model", "overflow": "input_tokens"}.get(code)
    return {"error": {"message": message, "type": name, "param": param, "code": status}}


def _sglang_error(status: int, message: str, code: str) -> Json:
    del code
    name = _NAMES.get(status, "InternalServerError")
    return {"object": "error", "message": message, "type": name, "param": None, "code": status}


def _llama_error(status: int, message: str, code: str) -> Json:
    kind = "exceed_context_size_error" if code == "overflow" else _LLAMA.get(status, "server_error")
    return {"error": {"code": status, "message": message, "type": kind}}


def _openai_error(status: int, message: str, code: str) -> Json:
    kind = _OPENAI.get(status, "server_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004 - HTTP
    return {"error": {"message": message, "type": kind, "param": None, "code": _OPENAI_CODES.get(code)}}


def _plain_error(status: int, message: str, code: str) -> Json:
    del status, code
    return {"error": message}


def _anthropic_error(status: int, message: str, code: str) -> Json:
    del code
    kind = _ANTHROPIC.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


# A window that is too small: the engine's words, "" where all is well.


def _vllm_overflow(asked: Question) -> str:
    if asked.tokens + asked.wanted <= asked.window and asked.tokens < asked.window:
        return ""
    words = (
        f"This model's maximum context length is {asked.window} tokens. However, your request has {asked.tokens} "
        "input tokens"
    )
    if asked.tokens >= asked.window:
        return words + ". Please reduce the length of the input messages."
    return f"{words} plus {asked.wanted} 'max_tokens'. Please reduce one or the other."


def _sglang_overflow(asked: Question) -> str:
    if asked.tokens >= asked.window:
        return f"The input ({asked.tokens} tokens) is longer than the model's context length ({asked.window} tokens)."
    total = asked.tokens + asked.wanted
    if total <= asked.window:
        return ""
    return (
        f"Requested token count exceeds the model's maximum context length of {asked.window} tokens. You requested a "
        f"total of {total} tokens: {asked.tokens} tokens from the input messages and {asked.wanted} tokens for the "
        "completion. Please reduce the number of tokens in the input messages or the completion to fit within the limit."
    )


def _llama_overflow(asked: Question) -> str:
    if asked.tokens < asked.window:
        return ""
    return (
        f"request ({asked.tokens} tokens) exceeds the available context size ({asked.window} tokens), "
        "try increasing it"
    )


def _lmstudio_overflow(asked: Question) -> str:
    if asked.tokens < asked.window:
        return ""
    return (
        "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: "
        f"{asked.tokens}>= n_ctx: {asked.window}). Try to load the model with a larger context length, or provide a "
        "shorter input."
    )


def _openai_overflow(asked: Question) -> str:
    if asked.tokens <= asked.window:
        return ""
    return (
        f"This model's maximum context length is {asked.window} tokens. However, your messages resulted in "
        f"{asked.tokens} tokens. Please reduce the length of the messages."
    )


def _anthropic_overflow(asked: Question) -> str:
    if asked.tokens <= asked.window:
        return ""
    return f"prompt is too long: {asked.tokens} tokens > {asked.window} maximum"


def _ollama_overflow(asked: Question) -> str:
    """Ollama passes on, as text, what its runner says in JSON."""
    words = _llama_overflow(asked)
    if not words:
        return ""
    return msgspec.json.encode(overflow_body(MANNERS["llama-server"], words, asked)).decode()


def overflow_body(manner: "Manner", words: str, asked: Question) -> Json:
    """The error that says so; llama.cpp tells the numbers once more."""
    body = manner.error(400, words, "overflow")
    inner = body.get("error")
    if isinstance(inner, dict) and inner.get("type") == "exceed_context_size_error":
        inner |= {"n_prompt_tokens": asked.tokens, "n_ctx": asked.window}
    return body


# Pages


Page = Callable[[House], Json]


def _listing(house: House, owned_by: str, **more: object) -> Json:
    row = {"id": house.model, "object": "model", "created": 0, "owned_by": owned_by, **more}
    return {"object": "list", "data": [row]}


def _props(house: House) -> Json:
    return {
        "default_generation_settings": {"id": 0, "n_ctx": house.context, "params": {}},
        "total_slots": house.slots,
        "model_path": house.model,
        "chat_template": house.template,
        "build_info": VERSION,
    }


def _llama_models(house: House) -> Json:
    return _listing(house, "llamacpp", meta={"n_ctx_train": house.context, "size": 0})


def _lmstudio_models(house: House) -> Json:
    row = {
        "id": house.model,
        "object": "model",
        "type": "llm",
        "publisher": "understudy",
        "arch": "scripted",
        "compatibility_type": "gguf",
        "quantization": "Q8_0",
        "state": "loaded",
        "max_context_length": house.context,
        "loaded_context_length": house.context,
    }
    return {"object": "list", "data": [row]}


def _ollama_row(house: House) -> Json:
    details = {"format": "script", "family": "scripted", "parameter_size": "0", "quantization_level": "none"}
    return {"name": house.model, "model": house.model, "size": 1, "digest": "0" * 64, "details": details}


def _ollama_tags(house: House) -> Json:
    return {"models": [_ollama_row(house) | {"modified_at": "1970-01-01T00:00:00Z"}]}


def _ollama_running(house: House) -> Json:
    row = _ollama_row(house) | {"expires_at": "2100-01-01T00:00:00Z", "context_length": house.loaded}
    return {"models": [row] if house.loaded else []}


def ollama_show(house: House) -> Json:
    """`POST /api/show`."""
    return {
        "template": house.template,
        "details": {"format": "script", "family": "scripted"},
        "model_info": {"general.architecture": "scripted", "scripted.context_length": house.context},
        "capabilities": ["completion", "tools", "thinking"],
    }


def _anthropic_models(house: House) -> Json:
    row = {
        "type": "model",
        "id": house.model,
        "display_name": house.model,
        "created_at": "1970-01-01T00:00:00Z",
    }
    return {"data": [row], "has_more": False, "first_id": house.model, "last_id": house.model}


class Manner(Struct, frozen=True):
    """One kind's behaviour.

    Attributes:
        error: the shape of an error.
        overflow: its words for a window that is too small; "" while all is well.
        pages: GET path -> JSON.
        unknown: its words for a model it does not have; "" for one that answers to any name.
        lost: its words for a path it does not have, with {where}.
        lost_status: and the status.
        in_stream: how an error stands in a stream: a `data:` record, one with [DONE] after it, an `error` event, a line.
        refuses_in_stream: whether a prompt that is too long is refused inside a stream, status 200.
        call_prefix: how ids of tool calls begin.
        objection: its words for a conversation that it would not take; "" for one that it takes.
        performed: a performance as it comes from it.
    """

    error: ErrorShape
    overflow: Callable[[Question], str]
    pages: dict[str, Page]
    unknown: str = ""
    lost: str = "Not Found"
    lost_status: int = 404
    in_stream: Literal["data", "data, done", "event", "line"] = "data"
    refuses_in_stream: bool = False
    call_prefix: str = "call_"
    objection: Callable[[bytes], str] = lambda _body: ""
    performed: Callable[[list[Beat]], list[Beat]] = list


MANNERS: dict[str, Manner] = {
    "vllm": Manner(
        _vllm_error,
        _vllm_overflow,
        {
            "/v1/models": lambda h: _listing(h, "vllm", root=h.model, parent=None, max_model_len=h.context),
            "/version": lambda _: {"version": VERSION},
            "/health": lambda _: {},
        },
        unknown="The model `{model}` does not exist.",
        in_stream="data, done",
        call_prefix="chatcmpl-tool-",
    ),
    "llama-server": Manner(
        _llama_error,
        _llama_overflow,
        {
            "/v1/models": _llama_models,
            "/props": _props,
            "/health": lambda _: {"status": "ok"},
        },
        lost="File Not Found",
    ),
    "sglang": Manner(
        _sglang_error,
        _sglang_overflow,
        {
            "/v1/models": lambda h: _listing(h, "sglang", root=h.model, max_model_len=h.context),
            "/get_model_info": lambda h: {"model_path": h.model, "is_generation": True},
            "/health": lambda _: {},
        },
        in_stream="data, done",
    ),
    "lmstudio": Manner(
        _plain_error,
        _lmstudio_overflow,
        {
            "/v1/models": lambda h: _listing(h, "organization_owner"),
            "/api/v0/models": _lmstudio_models,
        },
        unknown='Model "{model}" not found. Please specify a valid model.',
        lost="Unexpected endpoint or method. ({where})",
        lost_status=200,
        in_stream="event",
        refuses_in_stream=True,
    ),
    "ollama": Manner(
        _plain_error,
        _ollama_overflow,
        {
            "/v1/models": lambda h: _listing(h, "library"),
            "/api/version": lambda _: {"version": VERSION},
            "/api/tags": _ollama_tags,
            "/api/ps": _ollama_running,
        },
        unknown="model '{model}' not found",
        lost="404 page not found",
        in_stream="line",
        refuses_in_stream=True,
    ),
    "openai": Manner(
        _openai_error,
        _openai_overflow,
        {"/v1/models": lambda h: _listing(h, "system")},
        unknown="The model `{model}` does not exist or you do not have access to it.",
        lost="Invalid URL ({where})",
    ),
    "anthropic": Manner(
        _anthropic_error,
        _anthropic_overflow,
        {"/v1/models": _anthropic_models},
        unknown="model: {model}",
        in_stream="event",
        call_prefix="toolu_",
        objection=objection,
        performed=signed,
    ),
}
"""The kinds that can be played; their chat paths and dialects are those of `engines.KINDS`."""
