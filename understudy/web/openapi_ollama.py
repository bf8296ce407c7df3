"""Ollama's paths for `/docs`: their shapes, what understudy uses of them; everything else is accepted and ignored."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from understudy.web.ollama import Running, Shown, Tags, Version

Json = dict[str, Any]  # an OpenAPI document is open JSON by nature


class OllamaChatRequest(Struct):
    """`POST /api/chat`."""

    model: str
    messages: list[Json] | None = None
    stream: bool | None = None
    tools: list[Json] | None = None
    format: Literal["json"] | Json | None = None
    options: Json | None = None
    think: bool | str | None = None
    keep_alive: int | float | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class OllamaChatAnswer(Struct):
    """An answer; streamed, each line looks like this, and the last one has `done`."""

    model: str
    created_at: str
    message: Json
    done: bool
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None


class GenerateRequest(Struct):
    """`POST /api/generate`. The prompt alone is enough; `task_type`, `temperature` and `maxTokens` are understudy's own."""

    prompt: str | None = None
    model: str | None = None
    task_type: Literal["code", "translation", "creative", "general"] | None = None
    temperature: float | None = None
    maxTokens: int | None = None  # noqa: N815 - it is the wire's name
    stream: bool | None = None
    system: str | None = None
    suffix: str | None = None
    raw: bool | None = None
    images: list[str] | None = None
    format: Literal["json"] | Json | None = None
    options: Json | None = None
    think: bool | str | None = None
    keep_alive: int | float | str | None = None


class GenerateAnswer(Struct):
    """One object, unless a stream is asked for."""

    model: str
    created_at: str
    response: str
    task: str
    done: bool
    done_reason: str
    thinking: str | None = None


class EmbedRequest(Struct):
    """`POST /api/embed`."""

    model: str
    input: str | list[str] | None = None
    dimensions: int | None = None


class EmbedAnswer(Struct):
    """Vectors, in the order of the texts."""

    model: str
    embeddings: list[list[float]]
    prompt_eval_count: int


class OldEmbedRequest(Struct):
    """`POST /api/embeddings`."""

    model: str
    prompt: str | None = None


class OldEmbedAnswer(Struct):
    """One vector."""

    embedding: list[float]


class ShowRequest(Struct):
    """`POST /api/show`."""

    model: str


class OllamaError(Struct):
    """Any error of Ollama's paths."""

    error: str


SHAPES = (
    OllamaChatRequest,
    OllamaChatAnswer,
    GenerateRequest,
    GenerateAnswer,
    EmbedRequest,
    EmbedAnswer,
    OldEmbedRequest,
    OldEmbedAnswer,
    ShowRequest,
    Shown,
    Tags,
    Running,
    Version,
    OllamaError,
)
NDJSON = "application/x-ndjson"


def paths(shape: Mapping[msgspec.StructMeta, Json], operation: Callable[..., Json]) -> Json:
    """The paths; `operation` describes one."""
    chat = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
    simple = {"prompt": "Say hello in three languages", "task_type": "translation", "maxTokens": 200}
    vectors, old = {"model": "auto", "input": ["Hello"]}, {"model": "auto", "prompt": "Hello"}
    posts = (
        ("chat", "Chat, as Ollama does", OllamaChatAnswer, OllamaChatRequest, chat, NDJSON),
        ("generate", "One prompt, one answer", GenerateAnswer, GenerateRequest, simple, NDJSON),
        ("embed", "Make vectors of texts", EmbedAnswer, EmbedRequest, vectors, ""),
        ("embeddings", "Make a vector of a text", OldEmbedAnswer, OldEmbedRequest, old, ""),
        ("show", "What a model can do", Shown, ShowRequest, {"model": "auto"}, ""),
    )
    gets = (
        ("tags", "List models", Tags),
        ("ps", "Models in use", Running),
        ("version", "Which API this is", Version),
    )
    return {
        f"/api/{path}": {
            "post": operation(
                summary, shape[answer], shape[asked], example, stream_type=stream, error="OllamaError"
            )
        }
        for path, summary, answer, asked, example, stream in posts
    } | {
        f"/api/{path}": {"get": operation(summary, shape[answer], error="OllamaError")}
        for path, summary, answer in gets
    }
