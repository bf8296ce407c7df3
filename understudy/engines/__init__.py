"""Engines: whatever answers. One protocol, one table of kinds.

An engine's differences from its dialect are values in KINDS (`Quirks`, paths, ports); only where behaviour differs is there
another class (`llamacpp`, `scripted`).
"""

from typing import Protocol

from msgspec import Struct

from understudy.dialects import PLAIN, Quirks
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.events import Listener
from understudy.language.request import Request
from understudy.language.target import Model


class Facts(Struct, frozen=True):
    """What the gateway must know of an engine before it asks.

    Attributes:
        name: from the settings, or the kind's name when discovered.
        kind: the row of KINDS.
        url: where it is; empty for an engine inside this process.
        local: whether text stays in the house (everything but the Claude API).
        quirks: see `dialects.Quirks`.
        notice: what people must be told when this engine answers; empty for a proper one.
        slots: how many answers it works on at once; 0 where unknown.
        tool_syntax: "native", or the syntax its model writes in plain text; "auto" to look at the model.
    """

    name: str
    kind: str
    url: str = ""
    local: bool = True
    quirks: Quirks = PLAIN
    notice: str = ""
    slots: int = 0
    tool_syntax: str = "auto"


class Engine(Protocol):
    """Something that answers. `answer` is the method that matters."""

    facts: Facts

    async def start(self) -> None:
        """Make ready; nothing for an engine that is somebody else's process."""
        ...

    async def models(self) -> tuple[Model, ...]:
        """What it serves now. Raises EngineError when it cannot be asked."""
        ...

    async def answer(self, request: Request, session: str, listener: Listener) -> None:
        """Tell the answer as it arrives; returns when it is over. Cancelled, it frees the engine.

        Raises:
            UnderstudyError: nothing has been told but progress. Later failures are `Failed` events.
        """
        ...

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Texts as vectors.

        Raises:
            UnderstudyError: it cannot, or does not now.
        """
        ...

    async def count(self, request: Request) -> int | None:
        """Prompt tokens of this request, exactly, tools and template included; None where the engine cannot tell."""
        ...

    async def aclose(self) -> None:
        """Let go of everything."""
        ...


class Kind(Struct, frozen=True):
    """One kind of engine.

    Attributes:
        dialect: the wire language of its chat endpoint.
        chat: that endpoint's path.
        complete: the path that takes raw text to go on with; "" cannot.
        embed: the path that makes vectors of texts; "" cannot.
        inventory: how it tells its models (a function of `engines.inventory`).
        count: how it counts tokens (a function of `engines.inventory`); "" cannot.
        ports: where it listens by default.
        quirks: how it differs from the dialect.
        local: False for a cloud API.
    """

    dialect: str
    chat: str
    inventory: str
    complete: str = "/v1/completions"
    embed: str = "/v1/embeddings"
    count: str = ""
    ports: tuple[int, ...] = ()
    quirks: Quirks = PLAIN
    local: bool = True


_OPENAI_CHAT = "/v1/chat/completions"
_LLAMA_SAMPLING = ("top_k", "seed", "frequency_penalty", "presence_penalty")

KINDS: dict[str, Kind] = {
    "ollama": Kind(
        dialect="ollama",
        chat="/api/chat",
        complete="/api/generate",
        inventory="ollama",
        ports=(11434,),
        quirks=Quirks(
            thinking_switch="think",
            reasoning_field="thinking",
            named_tool_choice=False,
            constrain="format",
            extra_sampling=_LLAMA_SAMPLING,
            grammar="ollama",
            image_urls=False,
        ),
    ),
    "vllm": Kind(
        dialect="openai",
        chat=_OPENAI_CHAT,
        inventory="openai",
        count="vllm",
        ports=(8001, 8000),
        quirks=Quirks(
            thinking_switch="template",
            reasoning_field="reasoning",
            extra_sampling=_LLAMA_SAMPLING,
            grammar="xgrammar",
        ),
    ),
    "llama-server": Kind(
        dialect="openai",
        chat=_OPENAI_CHAT,
        inventory="llama-server",
        count="llama-server",
        ports=(8080,),
        quirks=Quirks(
            thinking_switch="template",
            reasoning_field="reasoning_content",
            named_tool_choice=False,
            constrain="required",
            prompt_progress=True,
            extra_sampling=_LLAMA_SAMPLING,
            grammar="llama.cpp",
        ),
    ),
    "lmstudio": Kind(
        dialect="openai",
        chat=_OPENAI_CHAT,
        inventory="lmstudio",
        ports=(1234,),
        quirks=Quirks(
            named_tool_choice=False,
            constrain="format",
            extra_sampling=("top_k", "seed"),
            grammar="llama.cpp",
            image_urls=False,
        ),
    ),
    "sglang": Kind(
        dialect="openai",
        chat=_OPENAI_CHAT,
        inventory="sglang",
        ports=(30000,),
        quirks=Quirks(
            thinking_switch="template",
            reasoning_field="reasoning_content",
            extra_sampling=_LLAMA_SAMPLING,
            grammar="xgrammar",
        ),
    ),
    "openai": Kind(dialect="openai", chat=_OPENAI_CHAT, inventory="openai"),
    "anthropic": Kind(
        dialect="anthropic",
        chat="/v1/messages",
        inventory="anthropic",
        complete="",
        embed="",
        count="anthropic",
        quirks=Quirks(constrain=""),
        local=False,
    ),
}
"""Engines reached over the network. `llamacpp` (embedded) and `scripted` are classes of their own."""
