"""A client's question to /api/chat -> the canonical question."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from understudy.dialects.ollama_wire import BROKEN, Ask, ChatMessage, Given, Offered, Options, text_from
from understudy.language.errors import BadRequest
from understudy.language.request import (
    Block,
    Image,
    Request,
    Role,
    Sampling,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)

_ask = msgspec.json.Decoder(Ask).decode


def parse(body: bytes) -> Request:
    """What a client of /api/chat asks.

    Raises:
        BadRequest: not a chat request; the message names the field.
    """
    try:
        ask = _ask(body)
        sampling, dropped = _sampling(ask)
        return Request(
            model=ask.model,
            system=tuple(Text(m.content or "") for m in _head(ask.messages)),
            turns=tuple(_turns(ask.messages)),
            tools=tuple(_tool(tool) for tool in ask.tools or ()),
            sampling=sampling,
            thinking=_wish(ask.think),
            format=_format(ask.format),
            stream=ask.stream is not False,
            dropped=dropped,
            raw=body,
        )
    except BROKEN as error:
        raise BadRequest(f"the body is not an Ollama chat request: {error}") from None


def _head(messages: list[ChatMessage]) -> Iterator[ChatMessage]:
    for message in messages:
        if message.role != "system":
            return
        yield message


def _turns(messages: list[ChatMessage]) -> list[Turn]:
    turns: list[Turn] = []
    waiting: dict[str, str] = {}
    for number in range(sum(1 for _ in _head(messages)), len(messages)):
        message, last = messages[number], turns[-1] if turns else None
        turn = Turn(_role(message, number), _blocks(message, number, waiting))
        if message.role == "tool" and last and isinstance(last.blocks[-1], ToolResult):
            turns[-1] = Turn("user", (*last.blocks, *turn.blocks))
        else:
            turns.append(turn)
    if not turns:
        raise BadRequest("messages: at least one user message is needed; models are loaded when first asked")
    return turns


def _role(message: ChatMessage, number: int) -> Role:
    match message.role:
        case "user" | "tool":
            return "user"
        case "assistant":
            return "assistant"
        case "system":
            return "system"
        case other:
            raise BadRequest(f"messages[{number}].role: {other!r} is none of system, user, assistant, tool")


def _blocks(message: ChatMessage, number: int, waiting: dict[str, str]) -> tuple[Block, ...]:
    """The blocks of one message; `waiting` holds the calls that no result has answered yet, id to name."""
    text, blocks = message.content or "", list[Block]()
    if message.role == "tool":
        answered = _answered(message, waiting)
        return (ToolResult(answered, (Text(text),)) if answered else Text(text),)
    if message.thinking:
        blocks.append(Thinking(message.thinking))
    blocks += [Image(_media_type(data), data) for data in message.images or ()]
    if text or not (blocks or message.tool_calls):
        blocks.append(Text(text))
    for index, call in enumerate(message.tool_calls or ()):
        name, key = call.function.name, call.id or f"call_{number}_{index}"
        waiting[key] = name
        blocks.append(ToolUse(key, name, text_from(call.function.arguments)))
    return tuple(blocks)


def _answered(message: ChatMessage, waiting: dict[str, str]) -> str:
    """The call a tool's message answers: by id, else the oldest of that name, else the oldest; "" when there is none."""
    key = message.tool_call_id or ""
    if key not in waiting:
        named = (call for call, name in waiting.items() if name == message.tool_name)
        key = next(named, next(iter(waiting), ""))
    waiting.pop(key, None)
    return key


_MAGIC = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}
"""How the base64 text of each kind of picture begins: this wire does not name the kind."""


def _media_type(data: str) -> str:
    return next((kind for start, kind in _MAGIC.items() if data.startswith(start)), "image/png")


def _tool(tool: Offered) -> Tool:
    function = tool.function
    return Tool(function.name, function.description, bytes(function.parameters))


def _sampling(ask: Ask) -> tuple[Sampling, tuple[str, ...]]:
    """What the options mean, and what of them is not carried."""
    raw = b'{"options":%s}' % (bytes(ask.options) or b"{}")
    options = msgspec.json.decode(raw, type=Given).options or Options()
    given = msgspec.json.decode(raw, type=dict[str, dict[str, Raw] | None])["options"] or {}
    unknown = [f"options.{name}" for name in given if name not in Options.__struct_fields__]
    fields = ("keep_alive", "truncate", "shift", "logprobs", "top_logprobs")
    unknown += [name for name in fields if getattr(ask, name) is not None]
    limit, stop = options.num_predict, options.stop or ()
    sampling = Sampling(
        max_tokens=limit
        if limit is not None and limit > 0
        else None,  # -1 and -2: as much as there is room for
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=options.seed,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        repeat_penalty=options.repeat_penalty,
    )
    return sampling, tuple(unknown)


def _wish(think: bool | str | None) -> ThinkingWish:  # noqa: FBT001 - it is the wire's own type
    if think is None:
        return ThinkingWish()
    if think is False:
        return ThinkingWish("disabled")
    return ThinkingWish("enabled", effort=think if isinstance(think, str) else "")


def _format(raw: Raw) -> bytes | None:
    data = bytes(raw)
    if data in {b"", b"null", b'""'}:
        return None
    return b'{"type":"object"}' if data == b'"json"' else data
