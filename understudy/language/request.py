"""The canonical question: what every client dialect is parsed into and every engine dialect is rendered from.

Names follow the Anthropic Messages API (https://docs.anthropic.com/en/api/messages) where two APIs differ. Everything is
frozen: each step of the way makes a new request with `msgspec.structs.replace`. JSON that we only carry (schemas,
arguments) stays JSON text, so that its bytes survive.

What a question is made of holds nothing but text and other frozen things, so it can be in no cycle: `gc=False` keeps the
hundreds of blocks of a long conversation out of the collector's rounds.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from understudy.language.web import ServerToolUse, WebResult, WebTool

Role = Literal["user", "assistant", "system"]
ToolChoiceMode = Literal["auto", "any", "tool", "none"]


class Text(Struct, frozen=True, gc=False, tag="text"):
    """Plain text."""

    text: str


class Image(Struct, frozen=True, gc=False, tag="image"):
    """A picture: base64 `data` of `media_type`, or a `url`."""

    media_type: str = ""
    data: str = ""
    url: str = ""


class Document(Struct, frozen=True, gc=False, tag="document"):
    """A document: base64 `data` of `media_type` (application/pdf), or its plain `text`, or a `url`."""

    media_type: str = ""
    data: str = ""
    text: str = ""
    title: str = ""
    url: str = ""


class Thinking(Struct, frozen=True, gc=False, tag="thinking"):
    """Reasoning of an earlier answer. Local models sign nothing: their `signature` is empty."""

    text: str
    signature: str = ""


class ToolUse(Struct, frozen=True, gc=False, tag="tool_use"):
    """A call the model made. `input` is JSON text, as near to the model's own bytes as we have it."""

    id: str
    name: str
    input: str


class ToolReference(Struct, frozen=True, gc=False, tag="tool_reference"):
    """The result of a tool search: the deferred tool `tool_name` may be called from here on."""

    tool_name: str


class Unknown(Struct, frozen=True, gc=False, tag="unknown"):
    """A block of a `kind` this version does not know. It is never an error; `json` is its whole JSON text."""

    kind: str
    json: str


class ToolResult(Struct, frozen=True, gc=False, tag="tool_result"):
    """What a tool answered to the call `tool_use_id`."""

    tool_use_id: str
    content: "tuple[Text | Image | Document | ToolReference | Unknown, ...]" = ()
    is_error: bool = False


Block = (
    Text
    | Image
    | Document
    | Thinking
    | ToolUse
    | ToolResult
    | ToolReference
    | ServerToolUse
    | WebResult
    | Unknown
)


class Turn(Struct, frozen=True, gc=False):
    """One message of the conversation.

    `verbatim` is the engine's own text of an assistant turn, tool calls and all, where we still have it: an engine that
    gave us raw text gets the same bytes back, and keeps its cached prefix.
    """

    role: Role
    blocks: tuple[Block, ...]
    verbatim: str | None = None


class Tool(Struct, frozen=True, gc=False):
    """A tool the model may call.

    Attributes:
        name: as the client knows it.
        description: for the model.
        schema: the JSON Schema (draft 2020-12) of its input, as JSON bytes. `{}` where the client sent none.
        deferred: not in the prompt until a `tool_reference` names it (`defer_loading`).
        kind: `type` of a server tool ("web_search_20250305"), empty for a client's own tool.
        web: what it does, where it is a tool that the gateway can run.
    """

    name: str
    description: str = ""
    schema: bytes = b"{}"
    deferred: bool = False
    kind: str = ""
    web: WebTool | None = None


class ToolChoice(Struct, frozen=True):
    """Whether the model must, may or must not call.

    Attributes:
        mode: must ("any", or "tool" for the one called `name`), may ("auto") or must not ("none").
        name: the tool, with mode "tool".
        parallel: false with `disable_parallel_tool_use`.
        allowed: the only tools that may be called; () is all. The others stay in the prompt, whose prefix is worth more.
    """

    mode: ToolChoiceMode = "auto"
    name: str = ""
    parallel: bool = True
    allowed: tuple[str, ...] = ()


class Sampling(Struct, frozen=True):
    """How tokens are drawn. None means that the client did not say.

    `repeat_penalty` divides the chance of what was said already; 1.0 is none (llama.cpp, vLLM, Ollama; OpenAI has none).
    `top_logprobs` asks for the log probability of every token, and of so many others in its place (0: of none).
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    repeat_penalty: float | None = None


class ThinkingWish(Struct, frozen=True):
    """Whether the client wants reasoning. `budget` in tokens; `effort` as in `output_config.effort`."""

    mode: Literal["unset", "adaptive", "enabled", "disabled"] = "unset"
    budget: int | None = None
    effort: str = ""


class Prompt(Struct, frozen=True):
    """Raw text for the model to go on with, outside any conversation: no template is put around it.

    Attributes:
        text: what stands before the answer.
        suffix: what stands after it, for models that fill in the middle.
    """

    text: str
    suffix: str = ""


Fields = tuple[tuple[bytes, bytes], ...]
"""Header fields: name and value."""


class Passed(Struct, frozen=True):
    """What goes along with a question to an engine that takes the client's own bytes.

    Attributes:
        headers: header fields of the client's that its question depends on.
        credential: header fields with the client's own key or login; only for an engine that may see it.
    """

    headers: Fields = ()
    credential: Fields = ()

    def __repr__(self) -> str:
        shown = "set" if self.credential else "none"
        return f"Passed(headers={self.headers!r}, credential=<{shown}>)"


NOTHING_PASSED = Passed()


class Request(Struct, frozen=True):
    """One question, from whichever client, to whichever engine.

    Attributes:
        model: what the client asked for; the target's own name once a target is chosen.
        turns: the conversation, oldest first. System turns may stand anywhere.
        system: the system prompt, block by block.
        tools: offered tools, in the client's order.
        format: JSON Schema bytes the answer must obey (`output_config.format`), or None.
        stream: whether the client reads a stream.
        user: `metadata.user_id`, or OpenAI's `user`.
        prompt: raw text to go on with, instead of turns.
        n: how many answers are wanted.
        task: what kind of work the client says it is ("code", "translation", ...); "" where it does not say.
        asked_at: when it was asked, in seconds since 1970; 0 where nobody looked at a clock.
        options: parameters of one engine (`id_slot`): set by that engine's adapter only, never by a client.
        dropped: what parsing could not carry, in words; shown in the log, never an error.
        raw: the client's own bytes, for a target that speaks the client's dialect and wants them untouched.
        dialect: the one these bytes are in.
        passed: header fields that go along with them.
        permit: what lets it out of the house: an engine outside is asked nothing without one.
    """

    model: str
    turns: tuple[Turn, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    sampling: Sampling = Sampling()
    thinking: ThinkingWish = ThinkingWish()
    format: bytes | None = None
    stream: bool = False
    user: str = ""
    prompt: Prompt | None = None
    n: int = 1
    task: str = ""
    asked_at: float = 0.0
    options: dict[str, int | bool | str] = {}
    dropped: tuple[str, ...] = ()
    raw: bytes = b""
    dialect: str = ""
    passed: Passed = NOTHING_PASSED
    permit: str = ""

    @property
    def asks_nothing(self) -> bool:
        """Whether nothing is to be said: a client of Ollama's that wants its model loaded. There is no engine to ask."""
        return not (self.turns or self.system) and self.prompt is None


change = msgspec.structs.replace
"""A copy of a frozen struct with some fields changed."""


def text_of(blocks: tuple[Block, ...]) -> str:
    """The text blocks joined by blank lines: what an engine with string content gets."""
    return "\n\n".join(block.text for block in blocks if isinstance(block, Text))
