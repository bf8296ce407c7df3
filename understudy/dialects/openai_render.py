"""A canonical question -> the body of a request to an engine that speaks OpenAI's Chat Completions.

The same conversation gives the same bytes, and a longer one continues them: every key has its place, tools are rendered
once and kept, and `messages` stand last. What the dialect has no place for becomes text in its place, never nothing.
"""

from functools import lru_cache

import msgspec
from msgspec import Raw

from understudy.dialects import PLAIN, Quirks
from understudy.dialects.openai_wire import (
    AssistantMessage,
    Called,
    CalledFunction,
    EngineMessage,
    ImagePart,
    ImageUrl,
    Offered,
    OfferedFunction,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from understudy.dialects.words import BLIND, PLACEHOLDER, clean, in_words, outcome
from understudy.language.kept import Kept
from understudy.language.request import (
    Block,
    Image,
    Request,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    change,
    text_of,
)

BELOW = "[image: in the next message]"
_NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')
"""What a tool without a schema takes: engines insist on the type."""
_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}

_ENCODER = msgspec.json.Encoder()
_object = msgspec.json.Decoder(dict[str, Raw]).decode


def _arguments(text: str) -> str:
    """A call's arguments: text that is no JSON object becomes the one value of an object.

    vLLM and llama.cpp read the arguments of earlier calls to show them to the template, and refuse the whole
    conversation where they cannot (llama.cpp `common/chat.cpp`: "Failed to parse tool call arguments as JSON").
    """
    text = clean(text) or "{}"
    try:
        _object(text)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.encode({"input": text}).decode()
    return text


def render(request: Request, quirks: Quirks = PLAIN) -> bytes:
    """The body; see `dialects.Dialect.render`. It always asks for a stream."""
    # A dict, as quirks and options name keys.
    body: dict[str, object] = {"model": request.model, "stream": True}
    if quirks.usage_in_stream:
        body["stream_options"] = {"include_usage": True}
    if request.prompt is not None:
        body |= request.options
        _sampling(body, request, quirks)
        body["prompt"] = request.prompt.text
        return _ENCODER.encode(body | ({"suffix": request.prompt.suffix} if request.prompt.suffix else {}))
    if quirks.prompt_progress:
        body["return_progress"] = True
    if quirks.raw_text:
        body["parse_tool_calls"] = False
        body["reasoning_format"] = "none"
    body |= request.options
    _sampling(body, request, quirks)
    _thinking(body, request.thinking, quirks)
    if request.format is not None:
        answer = {"name": "answer", "strict": True, "schema": Raw(request.format)}
        body["response_format"] = {"type": "json_schema", "json_schema": answer}
    if quirks.tools:
        _tools(body, request, quirks)
    body["messages"] = _messages(request, quirks)
    return _ENCODER.encode(body)


def _sampling(body: dict[str, object], request: Request, quirks: Quirks) -> None:
    wish = request.sampling
    fields: tuple[tuple[str, object], ...] = (
        (quirks.max_tokens_field, wish.max_tokens),
        ("temperature", wish.temperature),
        ("top_p", wish.top_p),
        ("top_k", wish.top_k if "top_k" in quirks.extra_sampling else None),
        ("seed", wish.seed),
        ("frequency_penalty", wish.frequency_penalty),
        ("presence_penalty", wish.presence_penalty),
        ("stop", wish.stop or None),
        ("logprobs", True if wish.top_logprobs is not None and request.prompt is None else None),
        ("top_logprobs", wish.top_logprobs or None),
    )
    body |= {name: value for name, value in fields if value is not None}


def _thinking(body: dict[str, object], wish: ThinkingWish, quirks: Quirks) -> None:
    if quirks.thinking_switch == "template" and wish.mode != "unset":
        # Templates that know `preserve_thinking` then keep earlier reasoning: dropping it would break the cached prefix.
        body["chat_template_kwargs"] = {"enable_thinking": wish.mode != "disabled", "preserve_thinking": True}
    elif quirks.thinking_switch == "effort":
        # Models with an effort cannot stop reasoning altogether, and not all of them know "none".
        effort = "low" if wish.mode == "disabled" else _EFFORTS.get(wish.effort)
        if effort is not None:
            body["reasoning_effort"] = effort


def _tools(body: dict[str, object], request: Request, quirks: Quirks) -> None:
    choice = request.tool_choice
    offered = request.tools
    if choice.mode == "tool" and not quirks.named_tool_choice:
        offered = tuple(change(t, deferred=False) for t in offered if t.name == choice.name) or offered
    array = rendered_tools(offered)
    if array is None:
        return
    body["tools"] = array
    # llama.cpp parses calls, whatever `parse_tool_calls` says, unless the choice is "none"; that leaves the prompt as it
    # is, tools and all (measured: xllamacpp 2026.10, 327 of 328 tokens from the cache of the same question with "auto").
    if choice.mode == "none" or (quirks.raw_text and choice.mode == "auto"):
        body["tool_choice"] = "none"
    elif choice.mode == "tool" and quirks.named_tool_choice:
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.mode != "auto":
        body["tool_choice"] = "required"
    if not choice.parallel:
        body["parallel_tool_calls"] = False


@lru_cache(maxsize=64)
def rendered_tools(tools: tuple[Tool, ...]) -> Raw | None:
    """The `tools` array; None where none is left. Kept: the same tools come with every turn, 60 KB of them."""
    sent = [
        Offered(OfferedFunction(tool.name, tool.description, _parameters(tool)))
        for tool in tools
        if not tool.deferred and not tool.kind and tool.name != PLACEHOLDER
    ]
    return Raw(_ENCODER.encode(sent)) if sent else None


def _parameters(tool: Tool) -> Raw:
    return _NO_ARGUMENTS if tool.schema.strip() == b"{}" else Raw(tool.schema)


def _messages(request: Request, quirks: Quirks) -> Raw:
    """Each turn's messages as they were rendered the last time: a turn says the same wherever it stands."""
    out = [_ENCODER.encode(SystemMessage(text_of(request.system)))] if request.system else []
    writer, kept = _Writer(request.tools, quirks), _kept(quirks)
    for turn in request.turns:
        found = kept.get(turn)
        if found is None:
            found = _ENCODER.encode(writer.messages(turn))[1:-1]
            if not _refers(turn):
                kept.put(turn, found, len(found))
        out.append(found)
    return Raw(b"[" + b",".join(out) + b"]")


@lru_cache(maxsize=16)
def _kept(_quirks: Quirks) -> Kept[Turn, bytes]:
    return Kept(2 * 1024 * 1024)


def _refers(turn: Turn) -> bool:
    """Whether a turn shows tools, which may be others in the next request."""
    return any(
        isinstance(part, ToolReference)
        for block in turn.blocks
        for part in (block.content if isinstance(block, ToolResult) else (block,))
    )


class _Writer:
    """Turns -> messages of one request."""

    def __init__(self, tools: tuple[Tool, ...], quirks: Quirks) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._quirks = quirks

    def messages(self, turn: Turn) -> list[EngineMessage]:
        """What one turn becomes: at least one message."""
        if turn.role == "assistant":
            return [self.assistant(turn)]
        if turn.role == "system":
            return [SystemMessage(self.text(turn.blocks))]
        return self.user(turn)

    def assistant(self, turn: Turn) -> AssistantMessage:
        quirks = self._quirks
        if quirks.raw_text and turn.verbatim is not None:
            return AssistantMessage(turn.verbatim)
        thoughts = "\n\n".join([block.text for block in turn.blocks if isinstance(block, Thinking)])
        return AssistantMessage(
            text_of(turn.blocks),
            reasoning_content=thoughts if quirks.reasoning_field == "reasoning_content" else "",
            reasoning=thoughts if quirks.reasoning_field == "reasoning" else "",
            thinking=thoughts if quirks.reasoning_field == "thinking" else "",
            tool_calls=tuple(
                [
                    Called(block.id, "function", CalledFunction(block.name, _arguments(block.input)))
                    for block in turn.blocks
                    if isinstance(block, ToolUse)
                ]
            ),
        )

    def user(self, turn: Turn) -> list[EngineMessage]:
        """Tool results first: they must follow the calls at once. Their images come with what the person says."""
        out: list[EngineMessage] = []
        parts: list[TextPart | ImagePart] = []
        for block in turn.blocks:
            if isinstance(block, ToolResult):
                out.append(ToolMessage(block.tool_use_id, self._result(block)))
                if self._quirks.images:
                    parts += _result_images(block)
        parts += [self._part(block) for block in turn.blocks if not isinstance(block, ToolResult)]
        if any(isinstance(part, ImagePart) for part in parts):
            out.append(UserMessage(parts))
        elif parts or not out:
            out.append(UserMessage("\n\n".join(part.text for part in parts if isinstance(part, TextPart))))
        return out

    def text(self, blocks: tuple[Block, ...]) -> str:
        """Blocks where only text can stand."""
        return "\n\n".join(self._words(block) for block in blocks)

    def _part(self, block: Block) -> TextPart | ImagePart:
        if isinstance(block, Image) and self._quirks.images:
            return _image(block)
        return TextPart(self._words(block))

    def _result(self, result: ToolResult) -> str:
        below = BELOW if self._quirks.images else BLIND
        text = "\n\n".join([below if isinstance(b, Image) else self._words(b) for b in result.content])
        return outcome(text, is_error=result.is_error)

    def _words(self, block: Block) -> str:
        return block.text if type(block) is Text else in_words(block, self._tools)  # most are text


def _result_images(result: ToolResult) -> list[TextPart | ImagePart]:
    images = [_image(block) for block in result.content if isinstance(block, Image)]
    return [TextPart(f"[from the result of {result.tool_use_id}]"), *images] if images else []


def _image(image: Image) -> ImagePart:
    return ImagePart(ImageUrl(image.url or f"data:{image.media_type};base64,{image.data}"))
