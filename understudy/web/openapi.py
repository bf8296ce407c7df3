"""What `/docs` says of the endpoints that are plain ASGI: FastAPI cannot see into them, so they are described here.

The shapes are those of the Anthropic API, OpenAI's (`openapi_openai`) and Ollama's (`openapi_ollama`); only what understudy
uses is listed, everything else is accepted and ignored.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from understudy.web import openapi_ollama
from understudy.web.batches import PATH
from understudy.web.endpoints import Health, ModelInfo, ModelPage, TokenCount
from understudy.web.openapi_openai import (
    ChatAnswer,
    ChatRequest,
    CompletionAnswer,
    CompletionRequest,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    OpenAIError,
    ResponseAnswer,
    ResponseItems,
    ResponsesRequest,
)
from understudy.web.responses import Deleted

Json = dict[str, Any]  # an OpenAPI document is open JSON by nature


class MessageParam(Struct):
    """One turn: `content` is a string or a list of content blocks."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Json]


class ToolParam(Struct):
    """A tool the model may call."""

    name: str
    description: str = ""
    input_schema: Json = {}


class CountTokensRequest(Struct):
    """`POST /v1/messages/count_tokens`."""

    model: str
    messages: list[MessageParam]
    system: str | list[Json] = ""
    tools: list[ToolParam] = []


class MessagesRequest(CountTokensRequest, kw_only=True):
    """`POST /v1/messages`."""

    max_tokens: int
    stream: bool = False
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] = []
    tool_choice: Json | None = None
    thinking: Json | None = None
    output_config: Json | None = None
    metadata: Json | None = None


class MessageAnswer(Struct):
    """A whole answer; with `stream: true` it comes as server-sent events instead."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Json]
    stop_reason: str
    stop_sequence: str | None
    usage: Json


class BatchEntry(Struct):
    """One request of a batch: `params` is a body of `/v1/messages` without `stream`."""

    custom_id: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    params: Json


class BatchRequest(Struct):
    """`POST /v1/messages/batches`."""

    requests: Annotated[list[BatchEntry], Meta(min_length=1, max_length=100_000)]


class BatchCounts(Struct):
    """All are processing until the batch has ended."""

    processing: int
    succeeded: int
    errored: int
    canceled: int
    expired: int


class BatchAnswer(Struct):
    """A Message Batch, as it stands."""

    id: str
    type: Literal["message_batch"]
    processing_status: Literal["in_progress", "canceling", "ended"]
    request_counts: BatchCounts
    created_at: str
    expires_at: str
    cancel_initiated_at: str | None
    ended_at: str | None
    archived_at: str | None
    results_url: str | None


class BatchPage(Struct):
    """`GET /v1/messages/batches`, the newest first."""

    data: list[BatchAnswer]
    has_more: bool
    first_id: str | None
    last_id: str | None


class BatchDeleted(Struct):
    """A batch that is gone."""

    id: str
    type: Literal["message_batch_deleted"]


class ErrorDetail(Struct):
    """What went wrong."""

    type: str
    message: str


class ErrorAnswer(Struct):
    """Any error."""

    type: Literal["error"]
    error: ErrorDetail
    request_id: str = ""


EXAMPLE: Json = {"model": "auto", "max_tokens": 256, "messages": [{"role": "user", "content": "Hello"}]}
_SHAPES = (
    MessagesRequest,
    CountTokensRequest,
    MessageAnswer,
    TokenCount,
    BatchRequest,
    BatchAnswer,
    BatchPage,
    BatchDeleted,
    ModelInfo,
    ModelPage,
    Health,
    ErrorAnswer,
    ChatRequest,
    ChatAnswer,
    CompletionRequest,
    CompletionAnswer,
    EmbeddingsRequest,
    EmbeddingsAnswer,
    ResponsesRequest,
    ResponseAnswer,
    ResponseItems,
    Deleted,
    OpenAIError,
    *openapi_ollama.SHAPES,
)


def described() -> tuple[Json, Json]:
    """Paths and component schemas for the OpenAPI document."""
    rows, schemas = msgspec.json.schema_components(_SHAPES, ref_template="#/components/schemas/{name}")
    shape = dict(zip(_SHAPES, rows, strict=True))
    counted = {k: v for k, v in EXAMPLE.items() if k != "max_tokens"}
    paths = {
        "/v1/messages": {
            "post": _operation(
                "Create a message", shape[MessageAnswer], shape[MessagesRequest], EXAMPLE, stream=True
            )
        },
        "/v1/messages/count_tokens": {
            "post": _operation("Count tokens", shape[TokenCount], shape[CountTokensRequest], counted)
        },
        **_openai(shape),
        **_responses(shape),
        **_batches(shape),
        **openapi_ollama.paths(shape, _operation),
        "/v1/models": {
            "get": _operation("List models", shape[ModelPage], parameters=[_query("limit", "integer")])
        },
        "/v1/models/{model_id}": {
            "get": _operation("Get a model", shape[ModelInfo], parameters=[_path("model_id")])
        },
        "/health": {"get": _operation("Health of every engine", shape[Health], engine_down=shape[Health])},
        "/metrics": {
            "get": {"summary": "Prometheus metrics", "responses": {"200": {"description": "Text format"}}}
        },
    }
    return paths, schemas


def _openai(shape: Mapping[msgspec.StructMeta, Json]) -> Json:
    """The paths of OpenAI's other APIs."""
    operation = partial(_operation, error="OpenAIError")
    chat = {k: v for k, v in EXAMPLE.items() if k != "max_tokens"}
    complete = {"model": "auto", "prompt": "def add(a, b):", "max_tokens": 32}
    return {
        "/v1/chat/completions": {
            "post": operation(
                "Create a chat completion", shape[ChatAnswer], shape[ChatRequest], chat, stream=True
            )
        },
        "/v1/completions": {
            "post": operation(
                "Go on with a text", shape[CompletionAnswer], shape[CompletionRequest], complete, stream=True
            )
        },
        "/v1/embeddings": {
            "post": operation(
                "Make vectors of texts",
                shape[EmbeddingsAnswer],
                shape[EmbeddingsRequest],
                {"model": "auto", "input": ["Hello"]},
            )
        },
    }


def _responses(shape: Mapping[msgspec.StructMeta, Json]) -> Json:
    """The paths of the Responses API."""
    operation = partial(_operation, error="OpenAIError")
    which = _path("response_id")
    pages = [which, _query("limit", "integer"), _query("order", "string"), _query("after", "string")]
    again = [which, _query("stream", "boolean"), _query("starting_after", "integer")]
    answer, asked = shape[ResponseAnswer], {"model": "auto", "input": "Hello"}
    return {
        "/v1/responses": {
            "post": operation("Create a response", answer, shape[ResponsesRequest], asked, stream=True)
        },
        "/v1/responses/{response_id}": {
            "get": operation("Get a response", answer, stream=True, parameters=again),
            "delete": operation("Delete a response", shape[Deleted], parameters=[which]),
        },
        "/v1/responses/{response_id}/cancel": {
            "post": operation("Cancel a response of the background", answer, parameters=[which])
        },
        "/v1/responses/{response_id}/input_items": {
            "get": operation("List what was asked", shape[ResponseItems], parameters=pages)
        },
    }


def _batches(shape: Mapping[Any, Json]) -> Json:
    one, batch = [_path("batch_id")], shape[BatchAnswer]
    example = {"requests": [{"custom_id": "first", "params": EXAMPLE}]}
    listing = [_query("limit", "integer"), _query("after_id", "string"), _query("before_id", "string")]
    results = _operation("Results of a batch, a line of JSON for each request", {}, parameters=one)
    results["responses"]["200"]["content"] = {"application/x-jsonl": {"schema": {"type": "string"}}}
    return {
        PATH: {
            "post": _operation("Create a batch", batch, shape[BatchRequest], example),
            "get": _operation("List batches", shape[BatchPage], parameters=listing),
        },
        PATH + "/{batch_id}": {
            "get": _operation("Get a batch", batch, parameters=one),
            "delete": _operation("Delete a batch that has ended", shape[BatchDeleted], parameters=one),
        },
        PATH + "/{batch_id}/cancel": {"post": _operation("Cancel a batch", batch, parameters=one)},
        PATH + "/{batch_id}/results": {"get": results},
    }


def _operation(
    summary: str,
    answer: Json,
    body: Json | None = None,
    example: Json | None = None,
    *,
    stream: bool = False,
    stream_type: str = "",
    parameters: list[Json] | None = None,
    engine_down: Json | None = None,
    error: str = "ErrorAnswer",
) -> Json:
    content: Json = {"application/json": {"schema": answer}}
    if stream:
        content["text/event-stream"] = {"schema": {"description": "server-sent events"}}
    if stream_type:
        content[stream_type] = {"schema": {"type": "string", "description": "a JSON object in each line"}}
    failure = {"$ref": f"#/components/schemas/{error}"}
    operation: Json = {
        "summary": summary,
        "responses": {
            "200": {"description": "OK", "content": content},
            "default": {"description": "Error", "content": {"application/json": {"schema": failure}}},
        },
    }
    if body is not None:
        media: Json = {"schema": body} if example is None else {"schema": body, "example": example}
        operation["requestBody"] = {"required": True, "content": {"application/json": media}}
    if parameters:
        operation["parameters"] = parameters
    if engine_down is not None:
        operation["responses"]["503"] = {
            "description": "No engine serves",
            "content": {"application/json": {"schema": engine_down}},
        }
    return operation


def _query(name: str, kind: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": {"type": kind}}


def _path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
