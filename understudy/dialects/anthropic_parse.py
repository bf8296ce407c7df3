"""A question in Anthropic's dialect, read: bytes -> Request.

Two ways with one result. The common one decodes everything at once into typed blocks. Where that fails, something is unknown
and to be kept, or wrong and to be named, and every block is looked at by itself.
"""

from contextlib import suppress
from functools import lru_cache
from typing import Literal, TypeVar

import msgspec
from msgspec import Raw

from understudy.dialects import anthropic_wire as wire
from understudy.dialects.anthropic_web import served, web_tool
from understudy.dialects.anthropic_wire import Source, problem
from understudy.language.errors import BadRequest
from understudy.language.kept import Kept
from understudy.language.request import (
    Block,
    Document,
    Image,
    Request,
    Sampling,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
)

Part = Text | Image | Document | ToolReference | Unknown
T = TypeVar("T")

TOOLS_KEPT = 256 * 1024
"""Bytes of a `tools` array above which its parse is not kept."""

_BODY = msgspec.json.Decoder(wire.Body)
_TURN = msgspec.json.Decoder(wire.WireTurn)
_KEPT: Kept[bytes, Turn] = Kept(4 * 1024 * 1024)
"""Turns by their bytes."""
_RAW_TURNS = msgspec.json.Decoder(list[wire.RawTurn])
_CONTENT = msgspec.json.Decoder(str | list[wire.WireBlock])
_RAWS = msgspec.json.Decoder(list[Raw])
_BLOCK = msgspec.json.Decoder(wire.WireBlock)
_RAW_RESULT = msgspec.json.Decoder(wire.RawToolResult)
_PART = msgspec.json.Decoder(Text | wire.WireImage | wire.WireDocument | ToolReference)
_SYSTEM = msgspec.json.Decoder(str | list[Text] | None)
_KIND = msgspec.json.Decoder(wire.Kind)
_TOOLS = msgspec.json.Decoder(list[wire.WireTool])
_STRING = msgspec.json.Decoder(str | None)
_UNPARSED = msgspec.json.Decoder(wire.UnparsedInput)
_NULL = b"null"
_ASKS_NOTHING = frozenset(
    {
        _NULL,
        b"[]",
        b"{}",
        b'"auto"',
        b'"standard_only"',
        b'{"edits":[]}',
        # What Claude Code sends with every request: keep everything, which is what happens.
        b'{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}',
    }
)
_MODES: dict[str, Literal["adaptive", "enabled", "disabled"]] = {
    "adaptive": "adaptive",
    "enabled": "enabled",
    "disabled": "disabled",
}


class _Odd(Exception):
    """A known block in a form that is kept as Unknown."""


def read(body: bytes, *, limited: bool = True) -> Request:
    """The question in these bytes.

    Args:
        body: JSON, as the client sent it.
        limited: whether `max_tokens` is required, as it is everywhere but in count_tokens.

    Raises:
        BadRequest: naming the field, as in `messages.0.content: Expected str, got int`.
    """
    try:
        return _question(body, limited=limited)
    except RecursionError:
        raise BadRequest("The request body is nested too deeply") from None


def _question(body: bytes, *, limited: bool) -> Request:
    wished = _read_body(body)
    if limited and wished.max_tokens is None:
        raise BadRequest("max_tokens: Field required")
    turns = _turns(wished.messages)
    if not turns:
        raise BadRequest("messages: at least one message is required")
    if wished.tool_choice and wished.tool_choice.type == "tool" and not wished.tool_choice.name:
        raise BadRequest("tool_choice.name: Field required")
    system, odd = _system(wished.system)
    return Request(
        model=wished.model,
        turns=turns,
        system=system,
        tools=_tools(wished.tools),
        tool_choice=_choice(wished.tool_choice),
        sampling=_sampling(wished),
        thinking=_wish(wished),
        format=_format(wished),
        stream=bool(wished.stream),
        user=(wished.metadata and wished.metadata.user_id) or "",
        task=wished.task_type or "",
        dropped=odd + _not_carried(wished),
        raw=body,
    )


def _read_body(body: bytes) -> wire.Body:
    try:
        if not body.isascii():
            str(body, "utf-8")  # msgspec does not look into strings that it only skips
        return _BODY.decode(body)
    except msgspec.ValidationError as error:
        raise problem(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The request body is not valid JSON: {error}") from None


def _turns(messages: list[Raw]) -> tuple[Turn, ...]:
    try:
        return tuple([_turn(bytes(one)) for one in messages])
    except (msgspec.ValidationError, _Odd):
        return _careful_turns(messages)


def _turn(raw: bytes) -> Turn:
    """One message, which is the same object as long as it is kept: what is made of it later is kept by it."""
    found = _KEPT.get(raw)
    if found is not None:
        return found
    wished = _TURN.decode(raw)
    return _KEPT.put(raw, Turn(wished.role, _blocks(wished.content)), len(raw))


def _careful_turns(messages: list[Raw]) -> tuple[Turn, ...]:
    """Block by block: something is unknown and is to be kept, or wrong and is to be named."""
    try:
        turns = _RAW_TURNS.decode(b"[" + b",".join(messages) + b"]")
    except msgspec.ValidationError as error:
        raise problem(error, "messages") from None
    return tuple(
        [Turn(turn.role, _careful(turn.content, f"messages.{i}.content")) for i, turn in enumerate(turns)]
    )


def _blocks(content: str | list[wire.WireBlock]) -> tuple[Block, ...]:
    if isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple([block if isinstance(block, Text) else _block(block) for block in content])


def _block(block: wire.WireBlock) -> Block:
    match block:
        case wire.WireToolUse():
            return ToolUse(block.id, block.name, _input(block.input))
        case wire.WireToolResult(call, content, is_error):
            parts = (Text(content),) if isinstance(content, str) else tuple([_part(p) for p in content or ()])
            return ToolResult(call, () if content == "" else parts, is_error is True)
        case wire.WireThinking(text, signature):
            return Thinking(text, signature or "")
        case wire.WireServerToolUse() | wire.WireSearchResult() | wire.WireFetchResult():
            return _served(block)
        case _:
            return _part(block)


def _served(block: wire.WireServed) -> Block:
    if (found := served(block)) is None:
        raise _Odd
    return found


def _part(block: Text | wire.WireImage | wire.WireDocument | ToolReference) -> Part:
    match block:
        case wire.WireImage(source):
            return _image(source)
        case wire.WireDocument(source, title):
            return _document(source, title or "")
        case _:
            return block


def _image(source: Source) -> Image:
    match source.type:
        case "base64":
            return Image(_need(source.media_type, "media_type"), _need(source.data, "data"))
        case "url":
            return Image(url=_need(source.url, "url"))
        case _:
            raise _Odd


def _document(source: Source, title: str) -> Document:
    match source.type:
        case "base64":
            return Document(_need(source.media_type, "media_type"), _need(source.data, "data"), title=title)
        case "text":
            return Document(source.media_type or "text/plain", text=source.data, title=title)
        case "url":
            return Document(url=_need(source.url, "url"), title=title)
        case _:
            raise _Odd


def _need(value: str, field: str) -> str:
    if not value:
        raise msgspec.ValidationError(f"Object missing required field `{field}` - at `$.source`")
    return value


def _input(raw: Raw) -> str:
    """The input's JSON text; the model's own words where Claude Code could not read them."""
    data = bytes(raw)
    if data.startswith(b'{"__unparsedToolInput"'):
        with suppress(
            msgspec.ValidationError
        ):  # a tool may have a parameter of that name: an input like any other
            return _UNPARSED.decode(data).inner.raw
    return data.decode()


def _careful(raw: Raw, path: str) -> tuple[Block, ...]:
    if not _is_list(raw):
        return _blocks(_decoded(_CONTENT, raw, path))
    return tuple([_careful_block(piece, f"{path}.{i}") for i, piece in enumerate(_RAWS.decode(raw))])


def _is_list(raw: Raw) -> bool:
    return bytes(raw).startswith(b"[")


def _careful_block(raw: Raw, path: str) -> Block:
    kind = _decoded(_KIND, raw, path).type
    if kind == "tool_result":
        return _careful_result(raw, path)
    if kind in wire.SERVED:
        try:
            return _block(_BLOCK.decode(raw))
        except (_Odd, msgspec.ValidationError):
            return Unknown(kind, bytes(raw).decode())
    if kind in wire.KINDS - wire.PARTS:
        return _block(_decoded(_BLOCK, raw, path))
    return _careful_part(raw, path)


def _careful_part(raw: Raw, path: str) -> Part:
    kind = _decoded(_KIND, raw, path).type
    try:
        if kind in wire.PARTS:
            return _part(_PART.decode(raw))
    except _Odd:
        pass  # a source of a new type
    except msgspec.ValidationError as error:
        raise problem(error, path) from None
    return Unknown(kind, bytes(raw).decode())


def _careful_result(raw: Raw, path: str) -> ToolResult:
    result = _decoded(_RAW_RESULT, raw, path)
    inside: tuple[Part, ...] = ()
    if _is_list(result.content):
        pieces = enumerate(_RAWS.decode(result.content))
        inside = tuple([_careful_part(piece, f"{path}.content.{i}") for i, piece in pieces])
    elif text := _decoded(_STRING, result.content, f"{path}.content"):
        inside = (Text(text),)
    return ToolResult(result.tool_use_id, inside, result.is_error is True)


def _decoded(decoder: msgspec.json.Decoder[T], raw: Raw, path: str) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise problem(error, path) from None


def _system(raw: Raw) -> tuple[tuple[Text, ...], tuple[str, ...]]:
    """The system prompt, and what of it is no text."""
    try:
        found = _SYSTEM.decode(raw)
    except msgspec.ValidationError:
        blocks = _careful(raw, "system")
        odd = tuple(f"system block {block.kind}" for block in blocks if isinstance(block, Unknown))
        return tuple(block for block in blocks if isinstance(block, Text)), odd
    if isinstance(found, str):
        return ((Text(found),) if found else ()), ()
    return tuple(found or ()), ()


def _tools(raw: Raw) -> tuple[Tool, ...]:
    data = bytes(raw)
    if data == _NULL:
        return ()
    return _read_tools(data) if len(data) > TOOLS_KEPT else _kept_tools(data)


def _read_tools(data: bytes) -> tuple[Tool, ...]:
    tools: list[wire.WireTool] = _decoded(_TOOLS, Raw(data), "tools")
    return tuple([_tool(tool, i) for i, tool in enumerate(tools)])


_kept_tools = lru_cache(maxsize=32)(_read_tools)
"""Tools are 30 KB and the same in every turn; the same bytes give the same object, which others key caches by."""


def _tool(tool: wire.WireTool, index: int) -> Tool:
    kind = "" if tool.type in (None, "custom") else str(tool.type)
    schema = bytes(tool.input_schema)
    if not (tool.name or kind):
        raise BadRequest(f"tools.{index}.name: Field required")
    if schema not in (b"", _NULL) and not schema.startswith(b"{"):
        raise BadRequest(f"tools.{index}.input_schema: Expected object")
    schema = schema if schema.startswith(b"{") else b"{}"
    # A toolset (`mcp_toolset`) has no name of its own.
    web = web_tool(tool, kind, f"tools.{index}")
    return Tool(tool.name or kind, tool.description or "", schema, tool.defer_loading is True, kind, web)


def _choice(choice: wire.WireToolChoice | None) -> ToolChoice:
    if choice is None:
        return ToolChoice()
    return ToolChoice(choice.type, choice.name, parallel=not choice.disable_parallel_tool_use)


def _sampling(wished: wire.Body) -> Sampling:
    return Sampling(
        max_tokens=wished.max_tokens,
        temperature=wished.temperature,
        top_p=wished.top_p,
        top_k=wished.top_k,
        stop=tuple(wished.stop_sequences or ()),
    )


def _wish(wished: wire.Body) -> ThinkingWish:
    effort = (wished.output_config and wished.output_config.effort) or ""
    if wished.thinking is None:
        return ThinkingWish(effort=effort)
    return ThinkingWish(_MODES.get(wished.thinking.type, "unset"), wished.thinking.budget_tokens, effort)


def _format(wished: wire.Body) -> bytes | None:
    form = (wished.output_config and wished.output_config.format) or wished.output_format
    if form is None or form.type != "json_schema":
        return None
    schema = bytes(form.schema)
    if not schema.startswith(b"{"):
        raise BadRequest("output_config.format.schema: Expected object")
    return schema


def _not_carried(wished: wire.Body) -> tuple[str, ...]:
    fields = (
        ("mcp_servers", wished.mcp_servers),
        ("container", wished.container),
        ("context_management", wished.context_management),
        ("safeguards", wished.safeguards),
        ("service_tier", wished.service_tier),
    )
    return tuple([name for name, raw in fields if bytes(raw) not in _ASKS_NOTHING])
