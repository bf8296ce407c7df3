"""How answers end in OpenAI's dialects: for which reason, with how many tokens, or with which error."""

from collections.abc import Callable

import msgspec

from understudy.language.errors import (
    BadField,
    NoTarget,
    PromptTooLong,
    Refused,
    Unauthorized,
    UnderstudyError,
)
from understudy.language.events import StopReason, Usage
from understudy.language.request import change

FINISH: dict[StopReason, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""`finish_reason` of each reason to stop."""

CODES: tuple[tuple[type[UnderstudyError], str], ...] = (
    (PromptTooLong, "context_length_exceeded"),
    (Unauthorized, "invalid_api_key"),
    (Refused, "rate_limit_exceeded"),
    (NoTarget, "model_not_found"),
)
"""`code` of the errors that have one."""

_json: Callable[[object], bytes] = msgspec.json.Encoder().encode


def tokens(usage: Usage) -> dict[str, object]:
    """`usage`."""
    told: dict[str, object] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens is not None:
        told["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    return told


def added(one: Usage, other: Usage) -> Usage:
    """The tokens of several answers to one question: its prompt counts once, as OpenAI has it."""
    return change(other, output_tokens=one.output_tokens + other.output_tokens)


def error_body(error: UnderstudyError, request_id: str = "") -> bytes:
    """An error, in a stream or as the whole answer."""
    code = next((code for kind, code in CODES if isinstance(error, kind)), None)
    field = error if isinstance(error, BadField) else None
    said: dict[str, object] = {
        "message": error.message,
        "type": error.kind,
        "param": field and field.field,
        "code": (field and field.code) or code,
    }
    told: dict[str, object] = {"error": said}
    return _json(told | {"request_id": request_id} if request_id else told)
