"""The Anthropic Messages API as structs: what is read, what is written, and how a wrong field is named.

https://docs.anthropic.com/en/api/messages. Unknown fields are ignored: clients send new ones every week. What is only
carried (schemas, inputs) stays raw JSON, and a block that already has the canonical form (`Text`, `ToolReference`) is
decoded into it at once.
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from understudy.language.errors import BadRequest
from understudy.language.request import Role, Text, ToolReference

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]

# ---- blocks, both ways ----


class Source(Struct, gc=False, omit_defaults=True):
    """Where an image or a document is: `type` base64, text or url; others are kept unread."""

    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""


class WireImage(Struct, gc=False, tag="image"):
    """An image block."""

    source: Source


class WireDocument(Struct, gc=False, tag="document", omit_defaults=True):
    """A document block."""

    source: Source
    title: str | None = None


class WireThinking(Struct, gc=False, tag="thinking"):
    """Reasoning of an earlier answer."""

    thinking: str
    signature: str | None = ""


class WireToolUse(Struct, gc=False, tag="tool_use"):
    """A call. Claude Code sends back inputs that are no objects."""

    id: str
    name: str
    input: Raw = Raw(b"{}")


class WireToolResult(Struct, gc=False, tag="tool_result", omit_defaults=True):
    """A call's result."""

    tool_use_id: str
    content: str | list[Text | WireImage | WireDocument | ToolReference] | None = None
    is_error: bool | None = None


class RawToolResult(Struct, gc=False, tag="tool_result", omit_defaults=True):
    """A call's result whose content is still to be read, or is written piece by piece."""

    tool_use_id: str
    content: Raw = Raw(b"null")
    is_error: bool | None = None


class WireServerToolUse(Struct, gc=False, tag="server_tool_use"):
    """A call that is not the client's to run."""

    id: str
    name: str
    input: Raw = Raw(b"{}")


class WireHit(Struct, gc=False, tag="web_search_result"):
    """A page that was found."""

    url: str
    title: str
    encrypted_content: str = ""
    page_age: str | None = None


class SearchError(Struct, gc=False, tag="web_search_tool_result_error"):
    """A search that came to nothing."""

    error_code: str


class WireSearchResult(Struct, gc=False, tag="web_search_tool_result"):
    """What a search found."""

    tool_use_id: str
    content: list[WireHit] | SearchError


class WireFetched(Struct, gc=False, tag="web_fetch_result"):
    """A page that was read."""

    url: str
    content: WireDocument
    retrieved_at: str | None = None


class FetchError(Struct, gc=False, tag="web_fetch_tool_result_error"):
    """A page that could not be read."""

    error_code: str


class WireFetchResult(Struct, gc=False, tag="web_fetch_tool_result"):
    """What came of reading a page."""

    tool_use_id: str
    content: WireFetched | FetchError


class WireCitation(Struct, gc=False, tag="web_search_result_location"):
    """A page that a text relies on."""

    url: str
    title: str | None = None
    encrypted_index: str = ""
    cited_text: str = ""


WireServed = WireServerToolUse | WireSearchResult | WireFetchResult
WireBlock = (
    Text | WireToolUse | WireToolResult | WireThinking | WireImage | WireDocument | ToolReference | WireServed
)
SERVED = frozenset({"server_tool_use", "web_search_tool_result", "web_fetch_tool_result"})
"""Tools that whoever answers runs himself. There are more of them than those of the web."""
KINDS = SERVED | {"text", "tool_use", "tool_result", "thinking", "image", "document", "tool_reference"}
"""Block types that are read; the rest is kept as Unknown."""
PARTS = frozenset({"text", "image", "document", "tool_reference"})
"""Those that may stand in a tool's result."""


class Kind(Struct, gc=False):
    """Only what a block is."""

    type: str


class Unparsed(Struct):
    """Inside of `__unparsedToolInput`: how Claude Code sends back an input that was no JSON; `len` counts UTF-16 units."""

    raw: str
    len: int = 0


class UnparsedInput(Struct, rename={"inner": "__unparsedToolInput"}, forbid_unknown_fields=True):
    """An input that was no JSON."""

    inner: Unparsed


# ---- the question ----


class WireTurn(Struct, gc=False):
    """A message whose blocks are all known."""

    role: Role
    content: str | list[WireBlock]


class RawTurn(Struct, gc=False):
    """A message whose content is still to be read, or is written piece by piece."""

    role: Role
    content: Raw


class WireNamed(Struct, gc=False):
    """A tool, by its name."""

    name: str


class WireFilter(Struct, gc=False, omit_defaults=True):
    """Whose words may name pages: `type` all, none, only or except."""

    type: Literal["all", "none", "only", "except"]
    tools: list[WireNamed] | None = None


class UrlSources(Struct, gc=False, omit_defaults=True):
    """`url_sources` of web fetch."""

    user_input: WireFilter | None = None
    client_tool_results: WireFilter | None = None
    server_tool_results: WireFilter | None = None


class WireTool(Struct, gc=False, omit_defaults=True):
    """A tool. `type` is "custom" or absent for a client's own; server tools have no input_schema, toolsets no name."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = Raw(b"")
    defer_loading: bool | None = None
    # Of the web's tools (`anthropic_web`).
    max_uses: Count | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    max_content_tokens: Count | None = None
    url_sources: UrlSources | None = None


class WireToolChoice(Struct, omit_defaults=True):
    """Whether tools must be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class WireThinkingWish(Struct, omit_defaults=True):
    """`thinking`; `display` is the client's own affair."""

    type: str = ""
    budget_tokens: Count | None = None


class WireFormat(Struct):
    """`output_config.format`."""

    type: str
    schema: Raw = Raw(b"")


class WireOutput(Struct, omit_defaults=True):
    """`output_config`."""

    effort: str | None = None
    format: WireFormat | None = None


class WireMetadata(Struct):
    """`metadata`."""

    user_id: str | None = None


class Body(Struct):
    """The question as it is read; `messages`, `system` and `tools` are read from their raw JSON afterwards."""

    model: str
    messages: list[Raw]
    max_tokens: Positive | None = None
    system: Raw = Raw(b"null")
    tools: Raw = Raw(b"null")
    tool_choice: WireToolChoice | None = None
    thinking: WireThinkingWish | None = None
    output_config: WireOutput | None = None
    output_format: WireFormat | None = None
    stop_sequences: list[str] | None = None
    temperature: Fraction | None = None
    top_p: Fraction | None = None
    top_k: Count | None = None
    metadata: WireMetadata | None = None
    stream: bool | None = None
    task_type: str | None = None  # ours
    # Not carried: named in Request.dropped when they ask for something.
    mcp_servers: Raw = Raw(b"null")
    container: Raw = Raw(b"null")
    context_management: Raw = Raw(b"null")
    safeguards: Raw = Raw(b"null")
    service_tier: Raw = Raw(b"null")


class Question(Struct, omit_defaults=True):
    """The question as it is written."""

    model: str
    messages: list[RawTurn]
    max_tokens: int
    system: list[Text] = []
    tools: list[WireTool] = []
    tool_choice: WireToolChoice | None = None
    thinking: WireThinkingWish | None = None
    output_config: WireOutput | None = None
    stop_sequences: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: WireMetadata | None = None
    stream: bool = False


# ---- the answer, written ----


class WireServerUsage(Struct):
    """How often tools of ours found or read something."""

    web_search_requests: int
    web_fetch_requests: int


class WireUsage(Struct, omit_defaults=True):
    """Tokens: the prompt's are split in fresh and cached."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    server_tool_use: WireServerUsage | None = None


class WireCited(Struct, tag="text"):
    """Text with what it relies on."""

    text: str
    citations: list[WireCitation | Raw]


Said = Text | WireCited | WireThinking | WireToolUse | WireServed
"""A block of an answer."""


class Answer(Struct):
    """A whole message, or the empty one of message_start."""

    id: str
    type: str
    role: str
    model: str
    content: list[Said]
    stop_reason: str | None
    stop_sequence: str | None
    usage: WireUsage


class Ending(Struct):
    """`delta` of message_delta."""

    stop_reason: str
    stop_sequence: str | None


class MessageDelta(Struct, tag="message_delta"):
    """The last word but one of a stream."""

    delta: Ending
    usage: WireUsage


class ErrorDetail(Struct):
    """What is wrong."""

    type: str
    message: str


class ErrorBody(Struct, tag="error", omit_defaults=True):
    """An error, as an answer or in a stream."""

    error: ErrorDetail
    request_id: str = ""


# ---- how a wrong field is named ----

_AT = re.compile(r" - at `\$(.*)`$")
_INDEX = re.compile(r"\[(\d+)\]")
_MISSING = re.compile(r"^Object missing required field `(\w+)`$")
_TICKS = str.maketrans("", "", "`")


def problem(error: Exception, prefix: str = "") -> BadRequest:
    """What msgspec found wrong, in the API's own manner: `messages.0.content: Expected str, got int`.

    Args:
        error: msgspec's ValidationError, whose text ends in a path such as `$[0].content`.
        prefix: where in the body its `$` stands; "" for the body itself.
    """
    text, path = str(error), prefix
    if found := _AT.search(text):
        text = text[: found.start()]
        path = (prefix + _INDEX.sub(r".\1", found[1].replace("[...]", ""))).strip(".")
    if missing := _MISSING.match(text):
        path, text = f"{path}.{missing[1]}".strip("."), "Field required"
    if path.endswith(".role") and text.startswith("Invalid enum value"):
        text += "; expected 'user', 'assistant' or 'system'"
    return BadRequest(f"{path or 'body'}: {text.translate(_TICKS)}")


def unparsed(text: str) -> Raw:
    """An input that is no JSON, wrapped as Claude Code wraps it: it may be sent where only an object may stand."""
    return Raw(msgspec.json.encode(UnparsedInput(Unparsed(text, len(text.encode("utf-16-le")) // 2))))
