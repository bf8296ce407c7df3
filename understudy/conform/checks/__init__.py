"""The checks, as rows: one module a subject."""

from typing import Final

from understudy.conform.checks import (
    answers,
    body,
    calls,
    flow,
    http,
    limits,
    prefix,
    results,
    stream,
    thinking,
    tools,
)
from understudy.conform.exchange import Check

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
"""All of them, in the order in which they are made."""
