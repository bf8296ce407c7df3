"""A client's question to /api/chat -> the canonical question. What /api/generate has in common with it is here too."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw

from understudy.dialects.ollama_wire import (
    ABSENT,
    Ask,
    AskGenerate,
    ChatMessage,
    Given,
    Offered,
    Options,
    text_from,
)
from understudy.dialects.pictures import is_base64, media_type_of
from understudy.language.errors import BadRequest
from understudy.language.jsontext import BROKEN
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

TOP_LOGPROBS = 20
"""As many as Ollama gives at each place."""

_ask = msgspec.json.Decoder(Ask).decode


def parse(body: bytes) -> Request:
    """What a client of /api/chat asks; without messages it asks nothing.

    Raises:
        BadRequest: not a chat request; the message names the field.
    """
    try:
        ask = _ask(body)
        messages = ask.messages or []
        sampling_, dropped = sampling(ask)
        return Request(
            model=ask.model,
            system=tuple(Text(m.content or "") for m in _head(messages)),
            turns=tuple(_turns(messages)),
            tools=tuple(_tool(tool) for tool in ask.tools or ()),
            sampling=sampling_,
            thinking=wish(ask.think),
            format=format_of(ask.format),
            stream=ask.stream is not False,
            dropped=dropped,
            raw=body,
        )
    except BROKEN as error:
        raise unreadable("chat", body, error) from None


def unreadable(kind: str, body: bytes, error: Exception) -> BadRequest:
    """What is wrong with a body that is no such request."""
    if not body.strip():
        return BadRequest("missing request body")
    return BadRequest(f"the body is not an Ollama {kind} request: {error}")


def _head(messages: list[ChatMessage]) -> Iterator[ChatMessage]:
    for message in messages:
        if message.role.lower() != "system":
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
    return turns


def _role(message: ChatMessage, number: int) -> Role:
    match message.role.lower():
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
    if message.role.lower() == "tool":
        answered = _answered(message, waiting)
        return (ToolResult(answered, (Text(text),)) if answered else Text(text),)
    if message.thinking:
        blocks.append(Thinking(message.thinking))
    blocks += pictures(message.images, f"messages[{number}].images")
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


def pictures(images: Sequence[str] | None, place: str) -> list[Image]:
    """The pictures at that place.

    Raises:
        BadRequest: one of them is no base64.
    """
    for number, data in enumerate(images or ()):
        if not is_base64(data):
            raise BadRequest(
                f"{place}[{number}]: illegal base64 data; a picture's bytes belong here, as base64"
            )
    return [Image(media_type_of(data), data) for data in images or ()]


def _tool(tool: Offered) -> Tool:
    function = tool.function
    return Tool(function.name, function.description, bytes(function.parameters))


def sampling(ask: Ask | AskGenerate) -> tuple[Sampling, tuple[str, ...]]:
    """What the options mean, and what of them is not carried.

    Raises:
        BadRequest: more log probabilities are wanted than there are.
    """
    raw = b'{"options":%s}' % (bytes(ask.options) or b"{}")
    options = msgspec.json.decode(raw, type=Given).options or Options()
    given = msgspec.json.decode(raw, type=dict[str, dict[str, Raw] | None])["options"] or {}
    unknown = [f"options.{name}" for name in given if name not in Options.__struct_fields__]
    fields = (("keep_alive", ask.keep_alive), ("truncate", ask.truncate), ("shift", ask.shift))
    unknown += [name for name, value in fields if value is not None]
    if not 0 <= (ask.top_logprobs or 0) <= TOP_LOGPROBS:
        raise BadRequest(f"top_logprobs must be between 0 and {TOP_LOGPROBS}")
    limit, stop = options.num_predict, options.stop or ()
    found = Sampling(
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
        top_logprobs=(ask.top_logprobs or 0) if ask.logprobs else None,
    )
    return found, tuple(unknown)


def wish(think: bool | str | None) -> ThinkingWish:  # noqa: FBT001 - it is the wire's own type
    """Whether reasoning is wanted."""
    if think is None:
        return ThinkingWish()
    if think is False:
        return ThinkingWish("disabled")
    return ThinkingWish("enabled", effort=think if isinstance(think, str) else "")


def format_of(raw: Raw) -> bytes | None:
    """The schema an answer must obey.

    Raises:
        BadRequest: it is neither "json" nor a schema.
    """
    data = bytes(raw)
    if raw is ABSENT or data in {b"null", b'""'}:
        return None
    if data == b'"json"':
        return b'{"type":"object"}'
    if not data.startswith(b"{"):
        raise BadRequest('format: must be "json" or a JSON Schema, an object')
    return data
