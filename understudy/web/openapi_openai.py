"""The shapes of OpenAI's APIs for `/docs`: what understudy uses of them; everything else is accepted and ignored."""

from typing import Any, Literal

from msgspec import Struct

Json = dict[str, Any]  # an OpenAPI document is open JSON by nature


class ChatRequest(Struct):
    """`POST /v1/chat/completions`."""

    model: str
    messages: list[Json]
    stream: bool | None = None
    stream_options: Json | None = None
    tools: list[Json] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    response_format: Json | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    user: str | None = None


class ChatAnswer(Struct):
    """A chat completion; with `stream: true` it comes as server-sent events instead."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Json]
    usage: Json


class CompletionRequest(Struct):
    """`POST /v1/completions`: text to go on with."""

    model: str
    prompt: str | list[str]
    suffix: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    echo: bool | None = None
    stream: bool | None = None
    stream_options: Json | None = None


class CompletionAnswer(Struct):
    """A completion; with `stream: true` it comes as server-sent events instead."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[Json]
    usage: Json


class EmbeddingsRequest(Struct):
    """`POST /v1/embeddings`."""

    model: str
    input: str | list[Any]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


class EmbeddingsAnswer(Struct):
    """Vectors, in the order of the texts."""

    object: Literal["list"]
    data: list[Json]
    model: str
    usage: Json


class ResponsesRequest(Struct):
    """`POST /v1/responses`: `input` is a string or a list of items."""

    model: str
    input: str | list[Json] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | Json | None = None
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    tools: list[Json] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning: Json | None = None
    text: Json | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None


class ResponseAnswer(Struct):
    """A response object; with `stream: true` it comes as server-sent events instead."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    model: str
    output: list[Json]
    error: Json | None
    incomplete_details: Json | None
    usage: Json | None


class ResponseItems(Struct):
    """What was asked, item by item."""

    object: Literal["list"]
    data: list[Json]
    first_id: str
    last_id: str
    has_more: bool


class OpenAIErrorDetail(Struct):
    """What went wrong, and with which field."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(Struct):
    """Any error of the OpenAI paths."""

    error: OpenAIErrorDetail
    request_id: str = ""
