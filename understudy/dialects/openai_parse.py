"""What a client of OpenAI's Chat Completions asks -> the canonical question."""

import re
from typing import Literal, NoReturn

import msgspec
from msgspec import Raw

from understudy.dialects.openai_wire import (
    Ask,
    AskedCall,
    AskedMessage,
    AskedPart,
    AskedTool,
    NamedChoice,
    ResponseFormat,
    given,
)
from understudy.language.errors import BadField
from understudy.language.jsontext import BROKEN
from understudy.language.request import (
    Block,
    Document,
    Image,
    Request,
    Role,
    Sampling,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
    change,
)
from understudy.language.web import ServerToolUse, WebResult

_ASK = msgspec.json.Decoder(Ask)
_PART = msgspec.json.Decoder(AskedPart)
_PLACE = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<place>.*)`$", re.DOTALL)
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
ANSWERS = 16
"""How many answers one question may have: each is made after the other."""
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_MODES: dict[str, Literal["auto", "any", "none"]] = {"auto": "auto", "required": "any", "none": "none"}
_UNCARRIED = ("logit_bias", "functions", "audio", "prediction", "web_search_options")
"""Fields that no engine of ours takes; they are named in `dropped`."""


def parse(body: bytes) -> Request:
    """The question.

    Raises:
        BadRequest: it cannot be read; the message names the field.
    """
    try:
        ask = _ASK.decode(body)
    except BROKEN as error:
        refuse("", error)
    if not ask.messages:
        raise BadField("messages", "messages: empty; at least one message is needed", "empty_array")
    system, turns = _turns(ask.messages)
    tools, strange = _tools(ask.tools or [])
    choice, odd = _choice(ask)
    return Request(
        ask.model,
        turns,
        system,
        tools,
        choice,
        _sampling(ask),
        _thinking(ask),
        _format(ask.response_format),
        bool(ask.stream),
        ask.prompt_cache_key or ask.user or "",
        n=number_of(ask.n),
        task=ask.task_type or "",
        dropped=(*(name for name in _UNCARRIED if given(getattr(ask, name))), *strange, *odd),
        raw=body,
    )


def stops(stop: str | list[str] | None) -> tuple[str, ...]:
    """`stop`: one sequence, or several."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def number_of(n: int | None) -> int:
    """How many answers are wanted. Raises BadField."""
    if n is not None and not 1 <= n <= ANSWERS:
        raise wrong("n", f"from 1 to {ANSWERS} answers can be asked for, not {n}")
    return n or 1


def wrong(place: str, what: str) -> BadField:
    """What is wrong with the field at that place."""
    return BadField(place, f"{place}: {what}", "invalid_value")


def refuse(place: str, error: Exception) -> NoReturn:
    """Say where and what: msgspec puts the place last, people look for it first."""
    if found := _PLACE.match(str(error)):
        inner = found["place"]
        place = f"{place}.{inner}" if place and inner else place or inner
        raise BadField(place, f"{place}: {found['what']}", "invalid_type") from error
    raise BadField(place or "body", f"{place or 'body'}: {error}") from error


def _turns(messages: list[AskedMessage]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """The system prompt, which is whatever stands first, and the conversation. Results in a row are one turn."""
    system: list[Text] = []
    turns: list[Turn] = []
    results = False
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if message.role in ("tool", "function"):
            result = _result(message, place)
            if results:
                turns[-1] = change(turns[-1], blocks=(*turns[-1].blocks, result))
            else:
                turns.append(Turn("user", (result,)))
            results = True
            continue
        results = False
        role = _ROLES.get(message.role)
        if role is None:
            raise wrong(f"{place}.role", f"{message.role!r} is none of system, user, assistant, tool")
        blocks = _content(message, place)
        if role == "system" and not turns:
            system += [block for block in blocks if isinstance(block, Text)]
        else:
            turns.append(Turn(role, (*blocks, *_calls(message.tool_calls or [], place))))
    return tuple(system), tuple(turns)


def _result(message: AskedMessage, place: str) -> ToolResult:
    call = message.tool_call_id or message.name  # the role "function" of 2023 has a name only
    if not call:
        raise wrong(f"{place}.tool_call_id", "missing; it says which call this answers")
    apart = Thinking | ToolUse | ToolResult | ServerToolUse | WebResult
    parts = [part for part in _content(message, place) if not isinstance(part, apart)]
    return ToolResult(call, tuple(parts))


def _content(message: AskedMessage, place: str) -> tuple[Block, ...]:
    thought = message.reasoning_content or message.reasoning
    blocks: list[Block] = [Thinking(thought)] if thought else []
    if isinstance(message.content, str):
        blocks += [Text(message.content)] if message.content else []
    else:
        blocks += [_part(raw, f"{place}.content[{i}]") for i, raw in enumerate(message.content or [])]
    return tuple(blocks)


def _part(raw: Raw, place: str) -> Block:
    try:
        part = _PART.decode(raw)
    except BROKEN as error:
        refuse(place, error)
    if part.type == "text" and part.text is not None:
        return Text(part.text)
    if part.type == "refusal" and part.refusal is not None:
        return Text(part.refusal)
    if part.type == "image_url" and part.image_url is not None:
        url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        return _image(url, f"{place}.image_url.url")
    if part.type == "file" and part.file is not None and part.file.file_data:
        media_type, data = _data(part.file.file_data, f"{place}.file.file_data")
        return Document(media_type, data, title=part.file.filename or "")
    if part.type in ("text", "image_url"):
        raise wrong(f"{place}.{part.type}", "missing")
    return Unknown(part.type, bytes(raw).decode("utf-8", "replace"))


def _image(url: str, place: str) -> Image:
    if url[:5].lower() != "data:":
        return Image(url=url)
    media_type, data = _data(url, place)
    return Image(media_type, data)


def _data(url: str, place: str) -> tuple[str, str]:
    found = _DATA_URL.match(url)
    if found is None:
        raise wrong(place, "not a data: URL in base64")
    return found[1], url[found.end() :]


def _calls(calls: list[AskedCall], place: str) -> list[ToolUse]:
    out = []
    for number, call in enumerate(calls):
        if call.function is None:
            raise wrong(f"{place}.tool_calls[{number}].function", "missing; only functions can be called")
        out.append(ToolUse(call.id, call.function.name, call.function.arguments or "{}"))
    return out


def _tools(asked: list[AskedTool]) -> tuple[tuple[Tool, ...], list[str]]:
    """The functions, and what else was offered."""
    tools, strange = [], []
    for number, tool in enumerate(asked):
        if tool.type != "function":
            strange.append(f"tools[{number}] of type {tool.type}")
            continue
        if tool.function is None:
            raise wrong(f"tools[{number}].function", "missing")
        schema = bytes(tool.function.parameters) if given(tool.function.parameters) else b"{}"
        if not schema.startswith(b"{"):
            raise wrong(f"tools[{number}].function.parameters", "must be a JSON Schema object")
        tools.append(Tool(tool.function.name, tool.function.description or "", schema))
    return tuple(tools), strange


def _choice(ask: Ask) -> tuple[ToolChoice, list[str]]:
    """Which calls are wanted, and what of that could not be carried."""
    parallel = ask.parallel_tool_calls is not False
    wish = ask.tool_choice
    if isinstance(wish, NamedChoice):
        if wish.function is None:
            return ToolChoice(parallel=parallel), [f"tool_choice of type {wish.type}"]
        return ToolChoice("tool", wish.function.name, parallel), []
    mode = _MODES.get(wish or "auto")
    if mode is None:
        raise wrong(
            "tool_choice", f"{wish!r} is none of auto, none, required, or an object naming a function"
        )
    return ToolChoice(mode, parallel=parallel), []


def _sampling(ask: Ask) -> Sampling:
    return Sampling(
        ask.max_completion_tokens if ask.max_completion_tokens is not None else ask.max_tokens,
        ask.temperature,
        ask.top_p,
        ask.top_k,
        ask.seed,
        ask.frequency_penalty,
        ask.presence_penalty,
        stops(ask.stop),
        (ask.top_logprobs or 0) if ask.logprobs else None,
        ask.repetition_penalty if ask.repeat_penalty is None else ask.repeat_penalty,
    )


def _thinking(ask: Ask) -> ThinkingWish:
    """`chat_template_kwargs.enable_thinking` is the plainer word and wins over `reasoning_effort`."""
    effort = ask.reasoning_effort or ""
    switch = ask.chat_template_kwargs.enable_thinking if ask.chat_template_kwargs else None
    if switch is None and effort:
        switch = effort != "none"
    if switch is None:
        return ThinkingWish()
    return ThinkingWish("enabled", effort=effort) if switch else ThinkingWish("disabled")


def _format(wish: ResponseFormat | None) -> bytes | None:
    if wish is None or wish.type == "text":
        return None
    if wish.type == "json_object":
        return b'{"type":"object"}'
    if wish.type != "json_schema":
        raise wrong("response_format.type", f"{wish.type!r} is none of text, json_object, json_schema")
    if wish.json_schema is None or not given(wish.json_schema.schema):
        raise wrong("response_format.json_schema.schema", "missing")
    return bytes(wish.json_schema.schema)
