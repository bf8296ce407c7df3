"""May this call of a web tool be run? What the client allowed, and what stands in the conversation, decide it."""

import msgspec
from msgspec import Struct

from understudy.language.request import Request
from understudy.language.web import Missed, ServerToolUse, WebTool
from understudy.request import sites
from understudy.request.named import stands_in

QUERY_LENGTH = 1000
URL_LENGTH = 2000
"""Characters. What is longer carries more than words to look for, or a place."""


class _Input(Struct):
    """Of either tool."""

    query: str = ""
    url: str = ""


_INPUT = msgspec.json.Decoder(_Input)


def wish(call: ServerToolUse, tool: WebTool) -> str:
    """What is to be looked for, or read; "" where the call does not say."""
    try:
        found = _INPUT.decode(call.input)
    except msgspec.DecodeError:
        return ""
    return (found.query if tool.job == "search" else found.url).strip()


def refused(wish: str, tool: WebTool, request: Request, uses: int) -> Missed | None:
    """Why it may not be run; None where it may.

    Args:
        wish: what is to be looked for, or read.
        tool: what the client allowed.
        request: the conversation.
        uses: how often the tool was called before, for this question.
    """
    if tool.max_uses is not None and uses >= tool.max_uses:
        return Missed("max_uses_exceeded")
    if not wish:
        return Missed("invalid_tool_input")
    if tool.job == "search":
        return Missed("query_too_long") if len(wish) > QUERY_LENGTH else None
    if len(wish) > URL_LENGTH:
        return Missed("url_too_long")
    if not wish.startswith(("http://", "https://")):
        return Missed("invalid_tool_input")
    if not sites.allowed(wish, tool.allowed, tool.blocked):
        return Missed("url_not_allowed")
    return None if stands_in(wish, request, tool) else Missed("url_not_in_prior_context")
