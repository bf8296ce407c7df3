"""A canonical question -> the body of /api/chat for an Ollama engine.

What the wire has no place for becomes text in its place, never nothing.
"""

import msgspec
from msgspec import Raw

from understudy.dialects import PLAIN, Quirks
from understudy.dialects.ollama_wire import (
    ABSENT,
    Ask,
    CallFunction,
    ChatCall,
    ChatMessage,
    Generate,
    Offered,
    OfferedFunction,
    Options,
    object_of,
)
from understudy.dialects.words import PLACEHOLDER, in_words, outcome
from understudy.language.request import (
    Block,
    Image,
    Request,
    Thinking,
    ThinkingWish,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    text_of,
)

_encode = msgspec.json.Encoder().encode

_RUNTIME = frozenset(
    {
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "num_thread",
        "num_keep",
        "use_mmap",
        "min_p",
        "typical_p",
    }
    | {"repeat_last_n", "repeat_penalty"}
)
"""Keys of Request.options that go into Ollama's `options` (`Runner` and `Options` in api/types.go)."""


def render(request: Request, quirks: Quirks = PLAIN) -> bytes:
    """The body for /api/chat, or for /api/generate. Keys of `request.options` that Ollama does not know are not sent."""
    options = _options(request)
    if request.prompt is not None:
        return _encode(
            Generate(
                model=request.model,
                prompt=request.prompt.text,
                suffix=request.prompt.suffix,
                raw=not request.prompt.suffix,
                stream=True,
                options=Raw(_encode(options)) if options else ABSENT,
                keep_alive=request.options.get("keep_alive"),
                logprobs=_likely(request),
                top_logprobs=request.sampling.top_logprobs or None,
            )
        )
    return _encode(
        Ask(
            model=request.model,
            messages=_messages(request, quirks),
            stream=True,
            tools=_tools(request, quirks) or None,
            format=Raw(request.format) if request.format else ABSENT,
            options=Raw(_encode(options)) if options else ABSENT,
            think=_think(request.thinking) if quirks.thinking_switch == "think" else None,
            keep_alive=request.options.get("keep_alive"),
            truncate=False,
            shift=False,
            logprobs=_likely(request),
            top_logprobs=request.sampling.top_logprobs or None,
        )
    )


def _likely(request: Request) -> bool | None:
    return None if request.sampling.top_logprobs is None else True


def _options(request: Request) -> dict[str, object]:
    sampling = request.sampling
    known = Options(
        num_predict=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        seed=sampling.seed,
        frequency_penalty=sampling.frequency_penalty,
        presence_penalty=sampling.presence_penalty,
        stop=list(sampling.stop) or None,
    )
    given = {key: value for key, value in msgspec.structs.asdict(known).items() if value is not None}
    return given | {key: value for key, value in request.options.items() if key in _RUNTIME}


def _think(wish: ThinkingWish) -> bool | None:
    """True or false only: Ollama answers 400 to a level ("high") for every model but gpt-oss."""
    return None if wish.mode == "unset" else wish.mode != "disabled"


def _tools(request: Request, quirks: Quirks) -> list[Offered]:
    """The tools to offer. Deferred tools stand where their reference does; server tools cannot run here."""
    choice = request.tool_choice
    if not quirks.tools or choice.mode == "none":
        return []
    offered = [tool for tool in request.tools if not tool.kind and tool.name != PLACEHOLDER]
    named = [tool for tool in offered if choice.mode == "tool" and tool.name == choice.name]
    return [
        Offered(OfferedFunction(tool.name, tool.description, _schema(tool)))
        for tool in named or offered
        if named or not tool.deferred
    ]


def _schema(tool: Tool) -> Raw:
    # Go reads parameters into a struct whose type and properties chat templates take for granted.
    return Raw(b'{"type":"object","properties":{}}' if tool.schema in {b"", b"{}"} else tool.schema)


def _messages(request: Request, quirks: Quirks) -> list[ChatMessage]:
    writer = _Writer(request, quirks)
    system = text_of(request.system)
    out = [ChatMessage("system", system)] if system else []
    for turn in request.turns:
        out += writer.assistant(turn) if turn.role == "assistant" else writer.asking(turn)
    return out


class _Writer:
    """Turns to messages; remembers which tool each call was for, because results must name it."""

    def __init__(self, request: Request, quirks: Quirks) -> None:
        self._quirks = quirks
        self._tools = {tool.name: tool for tool in request.tools}
        self._names: dict[str, str] = {}

    def assistant(self, turn: Turn) -> list[ChatMessage]:
        """One message: reasoning, text and calls, or the model's own text where we have it."""
        calls = [block for block in turn.blocks if isinstance(block, ToolUse)]
        self._names |= {call.id: call.name for call in calls}
        if turn.verbatim is not None and self._quirks.raw_text:
            return [ChatMessage("assistant", turn.verbatim)]
        thinking = "\n\n".join(block.text for block in turn.blocks if isinstance(block, Thinking))
        rest = tuple(block for block in turn.blocks if not isinstance(block, ToolUse | Thinking))
        message = self._message("assistant", rest)
        if thinking and self._quirks.reasoning_field == "thinking":
            message.thinking = thinking
        message.tool_calls = [
            ChatCall(CallFunction(call.name, object_of(call.input), index), call.id)
            for index, call in enumerate(calls)
        ] or None
        return [message]

    def asking(self, turn: Turn) -> list[ChatMessage]:
        """A user's or a system turn: each tool result is a message of its own, in its place."""
        out: list[ChatMessage] = []
        rest: list[Block] = []
        for block in turn.blocks:
            if isinstance(block, ToolResult):
                if rest:
                    out.append(self._message(turn.role, tuple(rest)))
                    rest = []
                out.append(self._result(block))
            else:
                rest.append(block)
        if rest or not out:
            out.append(self._message(turn.role, tuple(rest)))
        return out

    def _result(self, result: ToolResult) -> ChatMessage:
        message = self._message("tool", result.content)
        message.content = outcome(message.content or "", is_error=result.is_error)
        message.tool_name = self._names.get(result.tool_use_id)
        message.tool_call_id = result.tool_use_id
        return message

    def _message(self, role: str, blocks: tuple[Block, ...]) -> ChatMessage:
        shown = [b.data for b in blocks if isinstance(b, Image) and b.data] if self._quirks.images else []
        words = [text for block in blocks if (text := self._words(block))]
        return ChatMessage(role, "\n\n".join(words), images=shown or None)

    def _words(self, block: Block) -> str:
        """What of a block is said in text; a picture the model sees is not."""
        match block:
            case Image(url=url) if url:
                return f"[image omitted: {url} cannot be fetched for this model]"
            case Image() if self._quirks.images:
                return ""
            case _:
                return in_words(block, self._tools)
