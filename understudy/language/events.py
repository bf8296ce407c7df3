"""One step of an answer, and the grammar that every answer obeys.

    answer := MessageStart block* MessageStop           a finished answer
            | ... Failed                                 a cut one: from any state, never followed by anything
    block  := BlockStart(text) (TextDelta | Logprobs | CitationDelta)* BlockStop
            | BlockStart(thinking) (ThinkingDelta | SignatureDelta)* BlockStop
            | BlockStart(tool_use) InputDelta* BlockStop
            | Served                                     a block that comes whole

`Progress` may stand anywhere before the end: it says that the engine is alive. Names are those of the Anthropic streaming
API (https://docs.anthropic.com/en/docs/build-with-claude/streaming). Events carry text, never a dialect's JSON; the one
exception is `Verbatim`, for a client that speaks the engine's own dialect.
"""

from collections.abc import Awaitable
from enum import Enum
from typing import Literal, Protocol

from msgspec import Struct

from understudy.language.errors import Bug, UnderstudyError
from understudy.language.web import Citation, OtherCitation, ServerToolUse, WebResult

BlockKind = Literal["text", "thinking", "tool_use"]
StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"]


class Usage(Struct, frozen=True, gc=False):
    """Tokens, as the engine counted them.

    Attributes:
        input_tokens: the whole prompt, the cached part included.
        cached_tokens: how many of these came from the engine's prefix cache. None where the engine does not tell.
        output_tokens: what was generated, reasoning included.
        written_tokens: how many of the prompt's were written into a cache that costs money; 0 where none does.
        hour_tokens: how many of those for an hour instead of five minutes.
    """

    input_tokens: int = 0
    cached_tokens: int | None = None
    output_tokens: int = 0
    written_tokens: int = 0
    hour_tokens: int = 0


class MessageStart(Struct, frozen=True, gc=False):
    """The engine has begun. `usage` is what is known of the prompt by now."""

    id: str
    model: str = ""
    usage: Usage = Usage()


class BlockStart(Struct, frozen=True, gc=False):
    """A block opens; `id` and `name` belong to tool_use. Blocks never overlap."""

    kind: BlockKind
    id: str = ""
    name: str = ""


class TextDelta(Struct, frozen=True, gc=False):
    """More text of a text block."""

    text: str


class ThinkingDelta(Struct, frozen=True, gc=False):
    """More text of a thinking block."""

    text: str


class SignatureDelta(Struct, frozen=True, gc=False):
    """The signature of a thinking block."""

    signature: str


class InputDelta(Struct, frozen=True, gc=False):
    """More JSON text of a tool call's input."""

    json: str


class Logprobs(Struct, frozen=True, gc=False):
    """Log probabilities of the tokens of the text just said: JSON text of a list, in the form of OpenAI's `content`."""

    json: str


class CitationDelta(Struct, frozen=True, gc=False):
    """What the text of the open block relies on."""

    citation: Citation | OtherCitation


class BlockStop(Struct, frozen=True, gc=False):
    """The open block ends."""


class Served(Struct, frozen=True, gc=False):
    """A tool that whoever answers runs himself: the call, or what came of it. The client has nothing to do."""

    block: ServerToolUse | WebResult


class MessageStop(Struct, frozen=True, gc=False):
    """The answer is complete. `stop_sequence` is set with that reason only."""

    stop_reason: StopReason
    stop_sequence: str | None = None
    usage: Usage = Usage()


class Failed(Struct, frozen=True):
    """The answer is cut: it will never be complete."""

    error: UnderstudyError


class Progress(Struct, frozen=True, gc=False):
    """The engine is reading the prompt: `processed` of `total` tokens, `cached` of them for free."""

    processed: int
    total: int
    cached: int


class Verbatim(Struct, frozen=True, gc=False):
    """The engine's own bytes for the events that follow, in the dialect of the client: whole records, fit to be sent on.

    An answer that begins with them is told in them to its end: an encoder writes them, and of the other events none but
    `Failed`. Everybody else goes by the events. The first ones may have header fields with them that the client minds.
    """

    data: bytes
    fields: tuple[tuple[bytes, bytes], ...] = ()


Event = (
    MessageStart
    | BlockStart
    | TextDelta
    | ThinkingDelta
    | SignatureDelta
    | InputDelta
    | Logprobs
    | CitationDelta
    | BlockStop
    | Served
    | MessageStop
    | Failed
    | Progress
    | Verbatim
)


Slow = Awaitable[None] | None
"""What is to be awaited before more is told: a client that reads slowly. Nearly always None."""


class Listener(Protocol):
    """Who is told an answer as it comes: in the moment in which it comes, and before anybody's turn is over."""

    def tell(self, events: list[Event]) -> Slow:
        """The next events; never none."""
        ...

    def more(self, text: str) -> Slow:
        """`tell([TextDelta(text)])`, said shortly: most of an answer is more of the text that is open already."""
        ...


async def told(listener: Listener, events: list[Event]) -> None:
    """Tell, and wait if need be."""
    if (slow := listener.tell(events)) is not None:
        await slow


class State(Enum):
    """Where in an answer we are."""

    IDLE = "idle"
    OPEN = "between blocks"
    TEXT = "in text"
    THINKING = "in thinking"
    TOOL_USE = "in tool use"
    DONE = "done"


_ANYWHERE = {"Failed": State.DONE}

GRAMMAR: dict[State, dict[str, State]] = {
    State.IDLE: {"MessageStart": State.OPEN, "Progress": State.IDLE, "Verbatim": State.IDLE, **_ANYWHERE},
    State.OPEN: {
        "BlockStart text": State.TEXT,
        "BlockStart thinking": State.THINKING,
        "BlockStart tool_use": State.TOOL_USE,
        "Served": State.OPEN,
        "MessageStop": State.DONE,
        "Progress": State.OPEN,
        "Verbatim": State.OPEN,
        **_ANYWHERE,
    },
    State.TEXT: {
        "TextDelta": State.TEXT,
        "Logprobs": State.TEXT,
        "CitationDelta": State.TEXT,
        "BlockStop": State.OPEN,
        "Progress": State.TEXT,
        "Verbatim": State.TEXT,
        **_ANYWHERE,
    },
    State.THINKING: {
        "ThinkingDelta": State.THINKING,
        "SignatureDelta": State.THINKING,
        "BlockStop": State.OPEN,
        "Progress": State.THINKING,
        "Verbatim": State.THINKING,
        **_ANYWHERE,
    },
    State.TOOL_USE: {
        "InputDelta": State.TOOL_USE,
        "BlockStop": State.OPEN,
        "Progress": State.TOOL_USE,
        "Verbatim": State.TOOL_USE,
        **_ANYWHERE,
    },
    State.DONE: {},
}
"""What may follow what. `scripts/draw.py` draws ARCHITECTURE.md's diagram from this table."""


def word(event: Event) -> str:
    """The event's name in GRAMMAR."""
    name = type(event).__name__
    return f"BlockStart {event.kind}" if isinstance(event, BlockStart) else name


class Grammar:
    """Follows an answer through GRAMMAR."""

    def __init__(self) -> None:
        self.state = State.IDLE

    def allows(self, event: Event) -> bool:
        """Whether the event may stand here."""
        return word(event) in GRAMMAR[self.state]

    def step(self, event: Event) -> None:
        """Move on.

        Raises:
            Bug: the event may not stand here.
        """
        try:
            self.state = GRAMMAR[self.state][word(event)]
        except KeyError:
            raise Bug(f"{word(event)} may not stand {self.state.value}") from None
