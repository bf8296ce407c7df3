"""The checks, as rows: one module a subject."""

from typing import Final

from understudy.conform.checks import (
    answers,
    body,
    calls,
    chat,
    flow,
    http,
    limits,
    ollama,
    prefix,
    responses,
    results,
    stream,
    thinking,
    tools,
)
from understudy.conform.exchange import Check, Dialect

CHECKS: Final[tuple[Check, ...]] = (
    *http.CHECKS,
    *stream.CHECKS,
    *answers.CHECKS,
    *body.CHECKS,
    *thinking.CHECKS,
    *calls.CHECKS,
    *tools.CHECKS,
    *results.CHECKS,
    *limits.CHECKS,
    *flow.CHECKS,
    *prefix.CHECKS,
)
"""What Claude Code needs of /v1/messages, in the order in which it is tried."""
DIALECTS: Final[dict[Dialect, tuple[Check, ...]]] = {
    "anthropic": CHECKS,
    "openai": chat.CHECKS,
    "responses": responses.CHECKS,
    "ollama": ollama.CHECKS,
}
"""All checks, by the dialect that they speak."""
