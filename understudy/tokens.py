"""How many tokens a prompt has, where no engine is asked: an estimate that learns, and a bound that is never too low."""

from functools import lru_cache

from understudy.language.request import (
    Block,
    Document,
    Image,
    Request,
    Text,
    Thinking,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
    Unknown,
)

FIRST_GUESS = 0.3
"""Tokens per byte of request before anything was learnt: code and English have 0.22 to 0.3, Chinese up to 0.4."""
LEARNING = 0.3
LEARNT_DOUBT = 0.1
GUESS_DOUBT = 2.0
"""Blanks and long words take a third of the tokens that the first guess gives them."""
OVERHEAD = 256
"""Tokens a template may add around a prompt: its opening, and the instructions for tools (Qwen's are about 200)."""
TURN_OVERHEAD = 8
CALL_OVERHEAD = 48
TOOL_OVERHEAD = 64
"""Tokens a template may write around a turn, a call, the description of a tool."""
BASE64 = b"base64"
"""What stands in a body with pictures in it."""
TEXTS = frozenset((Text, Thinking, ToolUse, ToolReference))
"""Blocks that are not longer than the JSON in which they come."""
IMAGE_TOKENS = 1600
"""What one image costs at most in the vision models people run locally."""


class Ruler:
    """Tokens per byte of one target, learnt from the prompts it counted."""

    def __init__(self) -> None:
        self._ratio = FIRST_GUESS
        self._learnt = False

    def learn(self, size: int, tokens: int) -> None:
        """A prompt of `size` bytes had `tokens` tokens."""
        if size <= 0 or tokens <= 0:
            return
        seen = tokens / size
        self._ratio = seen if not self._learnt else self._ratio + LEARNING * (seen - self._ratio)
        self._learnt = True

    def estimate(self, size: int) -> int:
        """Tokens of a prompt of `size` bytes, about."""
        return int(size * self._ratio) + 1

    @property
    def doubt(self) -> float:
        """By how much of itself an estimate may be too high: a first guess knows nothing of the text's language."""
        return LEARNT_DOUBT if self._learnt else GUESS_DOUBT

    @property
    def learnt(self) -> bool:
        """Whether a real count stands behind the estimate."""
        return self._learnt


def upper_bound(size: int) -> int:
    """Tokens a prompt of `size` bytes cannot exceed: every token is at least a byte."""
    return size + OVERHEAD


def measure(request: Request) -> int:
    """What Ruler measures, in bytes: the client's own body where there is one, because its length is known at once.

    A prompt's text has no more bytes than the JSON it came in. Only what is not text, or may be shown more than once (a
    deferred tool, wherever it is referred to), is counted instead.
    """
    if not request.raw or BASE64 in request.raw or any(tool.deferred for tool in request.tools):
        return size_of(request)
    return len(request.raw)


def measure_asked(request: Request) -> int:
    """The same of what a client asks, before any of it was put in other words.

    Its blocks tell what there is besides text, and much sooner than a search through its body.
    """
    if not request.raw or any(tool.deferred for tool in request.tools) or not _all_text(request):
        return size_of(request)
    return len(request.raw)


def _all_text(request: Request) -> bool:
    return all(
        type(part) in TEXTS
        for turn in request.turns
        for block in turn.blocks
        for part in (block.content if type(block) is ToolResult else (block,))
    )


def size_of(request: Request) -> int:
    """Bytes of text in a request. Images count as IMAGE_TOKENS tokens' worth."""
    total = sum([2 + _bytes(block.text) for block in request.system]) + _tools_size(request.tools)
    if request.prompt is not None:
        total += _bytes(request.prompt.text) + _bytes(request.prompt.suffix)
    deferred = {tool.name: _tool_size(tool) for tool in request.tools if tool.deferred}
    for turn in request.turns:
        total += TURN_OVERHEAD + sum([_block_size(block, deferred) for block in turn.blocks])
    return total


@lru_cache(maxsize=64)
def _tools_size(tools: tuple[Tool, ...]) -> int:
    """Kept: the same tools come with every turn."""
    return sum(_tool_size(tool) for tool in tools if not tool.deferred)


def _tool_size(tool: Tool) -> int:
    return TOOL_OVERHEAD + _bytes(tool.name) + _bytes(tool.description) + len(tool.schema)


def _block_size(block: Block, deferred: dict[str, int]) -> int:
    if type(block) is Text:  # most are: a match asks each of its cases in turn
        return 2 + _bytes(block.text)
    match block:
        case Text(text) | Thinking(text):
            return 2 + _bytes(text)
        case ToolUse(name=name, input=json):
            return CALL_OVERHEAD + _bytes(name) + _bytes(json)
        case ToolResult(content=content):
            return 16 + sum(_block_size(part, deferred) for part in content)
        case ToolReference(name):
            return deferred.get(name, 0) + TOOL_OVERHEAD + _bytes(name)
        case Image():
            return int(IMAGE_TOKENS / FIRST_GUESS)
        case Document(text=text, title=title, url=url):
            return TOOL_OVERHEAD + _bytes(text) + _bytes(title) + _bytes(url)
        case Unknown(kind):  # shown as one line that names it
            return TOOL_OVERHEAD + _bytes(kind)
        case _:  # a tool that was run elsewhere: taken apart before it is asked about (`request.served`)
            return TOOL_OVERHEAD


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
