"""A conversation that goes on at the Claude API: what the turns of other models hold that it would refuse.

Measured and documented refusals (https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting and its
neighbours; BerriAI/litellm #26005, maximhq/bifrost #5097), and what is done about each:

    thinking that it has not signed           dropped; never told as text, which models answer with a refusal
    ids of calls with other characters        made anew from the old one, the same every time; results follow
    an id that occurs twice                   the later call gets another one; results follow
    an input that is no object                the object it says, or a wrapper around its text
    `enabled` thinking in a tool loop whose   switched off until the loop is over: the API wants such a turn to
    last turn has lost its own                begin with thinking. `adaptive` does not mind

What is left out is left out every time: the API ties its own thinking to everything that stands before it.
"""

import re
from collections.abc import Container, Iterator, Mapping
from hashlib import blake2b

import msgspec
from msgspec import Struct

from understudy.language.request import (
    Block,
    Request,
    Thinking,
    ThinkingWish,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
    change,
)

VALID = re.compile(r"[a-zA-Z0-9_-]+")
"""What the API takes as an id of a call."""
SIGNED = 64
"""Characters of the shortest signature taken for one of the API's; theirs have hundreds, made-up ones a few."""
SEALED = "redacted_thinking"
"""Thinking that only the API can read."""

Place = tuple[int, int]
"""A turn, and a block in it."""
Replaced = Mapping[Place, Block | None]
"""What shall stand there instead; None is nothing."""


class Edits(Struct, frozen=True):
    """What must change.

    Attributes:
        blocks: by their places.
        unthinking: whether thinking must be off for this answer.
    """

    blocks: Replaced
    unthinking: bool = False


def edits(request: Request, refused: Container[str] = ()) -> Edits:
    """What must change before the Claude API takes this conversation.

    Args:
        request: as the client sent it.
        refused: marks (`marks`) of thinking that looks signed, and was refused all the same.
    """
    blocks: dict[Place, Block | None] = {}
    ids = _Ids()
    for number, turn in enumerate(request.turns):
        if turn.role == "assistant":
            ids.answer()
        for place, block in enumerate(turn.blocks):
            new = ids.result(block) if isinstance(block, ToolResult) else _new(block, ids, refused)
            if new is not block:
                blocks[number, place] = new
    return Edits(blocks, request.thinking.mode == "enabled" and _loop_without_thinking(request.turns, blocks))


def applied(request: Request, what: Edits) -> Request:
    """The request with these edits, for engines that are rendered a body of ours."""
    turns = [
        change(turn, blocks=tuple(block for block in _blocks(number, turn, what.blocks) if block is not None))
        for number, turn in enumerate(request.turns)
    ]
    turns = [new for new, old in zip(turns, request.turns, strict=True) if new.blocks or not old.blocks]
    thinking = ThinkingWish("disabled") if what.unthinking else request.thinking
    return change(request, turns=tuple(turns), thinking=thinking)


def marks(request: Request) -> frozenset[str]:
    """All thinking in a request that looks signed."""
    return frozenset(
        mark for turn in request.turns for block in turn.blocks if (mark := _mark(block)) is not None
    )


def _blocks(number: int, turn: Turn, new: Replaced) -> Iterator[Block | None]:
    for place, block in enumerate(turn.blocks):
        yield new.get((number, place), block)


def _new(block: Block, ids: "_Ids", refused: Container[str]) -> Block | None:
    match block:
        case Thinking(signature=signature) if len(signature) < SIGNED or _mark(block) in refused:
            return None
        case Unknown(kind=kind) if kind == SEALED and _mark(block) in refused:
            return None
        case ToolUse():
            return ids.call(block)
        case _:
            return block


def _mark(block: Block) -> str | None:
    match block:
        case Thinking(signature=signature) if len(signature) >= SIGNED:
            return _hash(signature)
        case Unknown(kind=kind, json=json) if kind == SEALED:
            return _hash(json)
        case _:
            return None


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


class _Ids:
    """Ids of calls on their way through a conversation."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._now: dict[
            str, list[str]
        ] = {}  # of the calls that may be answered next, by the id the client gave
        self._fresh = True

    def answer(self) -> None:
        """An assistant's turn begins."""
        self._fresh = True

    def call(self, block: ToolUse) -> ToolUse:
        """The call, with an id that is valid and new, and an input that is an object."""
        if self._fresh:
            self._now, self._fresh = {}, False
        new, again = block.id, 0
        while not VALID.fullmatch(new) or new in self._used:
            new, again = f"toolu_{_hash(f'{block.id}{chr(0)}{again}')}", again + 1
        self._used.add(new)
        self._now.setdefault(block.id, []).append(new)
        input_ = _object(block.input)
        if new == block.id and input_ is block.input:
            return block
        return change(block, id=new, input=input_)

    def result(self, block: ToolResult) -> ToolResult:
        """The result, for the call it answers: of several with one id each gets one, the last all that follow."""
        waiting = self._now.get(block.tool_use_id, [])
        if not waiting:
            return block
        new = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return block if new == block.tool_use_id else change(block, tool_use_id=new)


def _object(text: str) -> str:
    """A call's input where only an object may stand."""
    if text.lstrip()[:1] == "{":
        return text
    try:
        said = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        said = text
    if isinstance(said, str):  # clients send back as a string what was written as one
        inner = said.strip()
        if inner.startswith("{") and _is_json(inner):
            return inner
    value = {} if said in ({}, None, "") else {"input": said}
    return msgspec.json.encode(value).decode()


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _loop_without_thinking(turns: tuple[Turn, ...], new: Replaced) -> bool:
    """Whether the answer goes on in a tool loop whose last assistant turn does not begin with thinking."""
    if not turns or not any(isinstance(block, ToolResult) for block in turns[-1].blocks):
        return False
    for number in range(len(turns) - 1, -1, -1):
        if turns[number].role == "assistant":
            left = [block for block in _blocks(number, turns[number], new) if block is not None]
            return not left or not _thinks(left[0])
    return False


def _thinks(block: Block) -> bool:
    return isinstance(block, Thinking) or (isinstance(block, Unknown) and block.kind == SEALED)
