"""How many tokens a prompt has, where no engine is asked: an estimate that learns, and a bound that is never too low."""

from understudy.language.request import Block, Request, Text, Thinking, ToolResult, ToolUse

FIRST_GUESS = 0.3
"""Tokens per byte of request before anything was learnt: code and English have 0.22 to 0.3, Chinese up to 0.4."""
LEARNING = 0.3
OVERHEAD = 64
"""Tokens a template may add around a short prompt."""
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
    def learnt(self) -> bool:
        """Whether a real count stands behind the estimate."""
        return self._learnt


def upper_bound(size: int) -> int:
    """Tokens a prompt of `size` bytes cannot exceed: every token is at least a byte."""
    return size + OVERHEAD


def size_of(request: Request) -> int:
    """Bytes of text in a request: the measure that Ruler uses. Images count as IMAGE_TOKENS tokens' worth."""
    total = sum(len(block.text) for block in request.system)
    total += sum(len(t.name) + len(t.description) + len(t.schema) for t in request.tools if not t.deferred)
    for turn in request.turns:
        total += 8 + sum(_block_size(block) for block in turn.blocks)
    return total


def _block_size(block: Block) -> int:
    match block:
        case Text(text) | Thinking(text):
            return len(text) if text.isascii() else len(text.encode(errors="replace"))
        case ToolUse(name=name, input=json):
            return len(name) + len(json)
        case ToolResult(content=content):
            return 16 + sum(_block_size(part) for part in content)
        case _:
            return int(IMAGE_TOKENS / FIRST_GUESS)
