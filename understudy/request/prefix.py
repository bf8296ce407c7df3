"""Keeps the rendered prompt byte-stable between turns, for engines that reuse a cached prefix.

On local hardware a turn's time is prompt processing, and an engine reuses exactly the tokens up to the first one that
differs. Claude Code changes bytes that mean nothing; each rule below undoes one such change (measured: docs/claude-code.md):

    the billing block in front of the system prompt        dropped
    `cache_control`, list or string content                gone since parsing
    system turns in the middle                             stay in their place, as user turns: hoisting one rewrites all
    the system turn after the first prompt (index 1)       goes before that prompt, so that sessions share it
    tool results in order of completion                    in order of the calls
    tools loaded by a tool search, inserted into `tools`   left out there: the `tool_reference` shows them where they came
    our own calls, rewritten by the client                 put back as the engine wrote them (`recall`)

Nothing of this happens toward the real Claude API. `fingerprint` and `broken_at` say which block broke a prefix.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import get_args

from msgspec import Struct

from understudy.language.request import (
    Block,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    change,
)

BILLING = "x-anthropic-billing-header:"
PLACEHOLDER = "DeferredToolPlaceholder"


class Recalled(Struct, frozen=True):
    """An assistant turn as the engine wrote it, and the engine's id for each id the client was given."""

    turn: Turn
    ids: dict[str, str]


Recall = Callable[[str], Recalled | None]
"""The remembered turn in which a client's tool_use id stood."""


def stable(request: Request, recall: Recall) -> Request:
    """The same question in the form whose bytes change least from turn to turn."""
    turns = _in_place(request.turns)
    turns = _merged(turns)
    turns = _ordered(turns)
    turns = _replayed(turns, recall)
    return change(
        request,
        system=_without_billing(request.system),
        turns=tuple(turns),
        tools=_kept_tools(request),
    )


def _without_billing(system: tuple[Text, ...]) -> tuple[Text, ...]:
    """The system prompt without the billing line, which stands alone in its block or opens the only one."""
    bare = [b if not b.text.startswith(BILLING) else Text(b.text.partition("\n")[2].lstrip()) for b in system]
    return tuple(new for new, old in zip(bare, system, strict=True) if new is old or new.text)


def _kept_tools(request: Request) -> tuple[Tool, ...]:
    """The very same tuple while nothing is left out: what is rendered from it is cached by identity."""
    if any(tool.name == PLACEHOLDER for tool in request.tools):
        return tuple(tool for tool in request.tools if tool.name != PLACEHOLDER)
    return request.tools


def _in_place(turns: Sequence[Turn]) -> list[Turn]:
    """System turns become user turns where they stand; the one at index 1 moves into the front of the first turn."""
    out = list(turns)
    if len(out) > 1 and out[0].role == "user" and out[1].role == "system":
        out[:2] = [Turn("user", (*_reminders(out[1]), *out[0].blocks))]
    return [Turn("user", _reminders(turn)) if turn.role == "system" else turn for turn in out]


def _reminders(turn: Turn) -> tuple[Block, ...]:
    """The operator's words, marked as such: a user turn would otherwise read as the person's."""
    return tuple(
        Text(f"<system-reminder>\n{block.text}\n</system-reminder>") if isinstance(block, Text) else block
        for block in turn.blocks
    )


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    """Neighbouring user turns as one: many chat templates insist on alternation, and appending keeps the prefix."""
    if all(one.role != next_one.role for one, next_one in pairwise(turns)):
        return list(turns)
    out: list[Turn] = []
    for role, group in groupby(turns, key=lambda turn: turn.role):
        members = list(group)
        if role == "user" and len(members) > 1:
            out.append(Turn("user", tuple(block for turn in members for block in turn.blocks)))
        else:
            out += members
    return out


def _ordered(turns: Sequence[Turn]) -> list[Turn]:
    """Tool results first and in the order of the calls they answer; other blocks keep theirs."""
    out: list[Turn] = []
    calls: dict[str, int] = {}
    for turn in turns:
        if turn.role == "assistant":
            if not out or out[-1].role != "assistant":  # an answer may come in several turns
                calls = {}
            for call in _calls(turn):
                calls.setdefault(call, len(calls))
            out.append(turn)
            continue
        results = [block for block in turn.blocks if isinstance(block, ToolResult)]
        if results and len(turn.blocks) > 1:
            results.sort(key=lambda result: calls.get(result.tool_use_id, len(calls)))
            others = [block for block in turn.blocks if not isinstance(block, ToolResult)]
            out.append(change(turn, blocks=(*results, *others)))
        else:
            out.append(turn)
    return out


def _replayed(turns: Sequence[Turn], recall: Recall) -> list[Turn]:
    """Assistant turns as the engine wrote them, and the engine's own ids in the results that answer them."""
    out: list[Turn] = []
    ids: dict[str, str] = {}
    for turn in turns:
        if turn.role == "assistant":
            calls = _calls(turn)
            found = _recalled(calls, recall) if calls else None
            ids |= found.ids if found else dict.fromkeys(calls, "")
            out.append(found.turn if found else turn)
        elif any(ids.values()):
            out.append(change(turn, blocks=tuple([_engine_id(block, ids) for block in turn.blocks])))
        else:
            out.append(turn)
    return out


def _recalled(calls: list[str], recall: Recall) -> Recalled | None:
    """What we remember of a turn, if it holds every call the client replays: an edited history is the client's own."""
    found = recall(calls[0])
    return found if found is not None and set(found.ids) == set(calls) else None


def _calls(turn: Turn) -> list[str]:
    return [block.id for block in turn.blocks if isinstance(block, ToolUse)]


def _engine_id(block: Block, ids: dict[str, str]) -> Block:
    if isinstance(block, ToolResult) and (own := ids.get(block.tool_use_id)) and own != block.tool_use_id:
        return change(block, tool_use_id=own)
    return block


class Mark(Struct, frozen=True, gc=False):
    """One block of a prompt, in the order an engine reads them.

    Attributes:
        at: its part of the prompt (0 tools, 1 system, 2 messages), its turn and its number there.
        what: a tool's name, or the role and kind of a block.
        size: about how long it is, in characters.
        digest: what it hashes to, within this process.
    """

    at: tuple[int, int, int]
    what: str
    size: int
    digest: int

    def place(self) -> str:
        """Where it stands, in words: "messages.3.content.0 user text"."""
        part, turn, number = self.at
        if part == _MESSAGES:
            return f"messages.{turn}.content.{number} {self.what}"
        return f"{'system' if part else 'tools'}.{number} {self.what}".rstrip()


_TOOLS, _SYSTEM, _MESSAGES = range(3)


Fingerprint = tuple[Mark, ...]


class Break(Struct, frozen=True, gc=False):
    """Where two prompts part: the block, and the share of the earlier prompt that lies before it."""

    place: str
    kept: float


def fingerprint(request: Request) -> Fingerprint:
    """The prompt as marks: tools, system, then every block of every turn. Equal digests within one process only."""
    marks = list(_tool_marks(request.tools))
    marks += [Mark((_SYSTEM, 0, i), "", len(b.text), hash(b)) for i, b in enumerate(request.system)]
    for i, turn in enumerate(request.turns):
        names = _NAMES[turn.role]
        marks += [
            Mark((_MESSAGES, i, j), names[type(block)], _size(block), hash(block))
            for j, block in enumerate(turn.blocks)
        ]
    return tuple(marks)


_NAMES = {
    role: {kind: f"{role} {kind.__struct_config__.tag}" for kind in get_args(Block)}
    for role in get_args(Role)
}
"""What a block is called, made once: there are hundreds in a prompt."""


@lru_cache(maxsize=64)
def _tool_marks(tools: tuple[Tool, ...]) -> Fingerprint:
    """Kept: the same tools come with every turn."""
    shown = [tool for tool in tools if not tool.deferred and not tool.kind]
    return tuple(
        Mark((_TOOLS, 0, i), tool.name, len(tool.schema) + len(tool.description), hash(tool))
        for i, tool in enumerate(shown)
    )


def _size(block: Block) -> int:
    if type(block) is Text:  # most are: a match asks each of its cases in turn
        return len(block.text)
    match block:
        case Text(text) | Thinking(text):
            return len(text)
        case ToolUse(input=json):
            return len(json)
        case ToolResult(content=content):
            return sum(_size(part) for part in content)
        case _:
            return 1


def broken_at(before: Fingerprint, now: Fingerprint) -> Break | None:
    """Where `now` stops continuing `before`; None while it merely goes on."""
    for old, new in zip(before, now, strict=False):
        if old != new:
            # What was added or taken away pushes others on: the earlier of the two is where it happened.
            return _break(before, old, min(old, new, key=lambda mark: mark.at))
    return _break(before, before[len(now)], before[len(now)]) if len(now) < len(before) else None


def _break(before: Fingerprint, parted: Mark, named: Mark) -> Break:
    kept = sum(mark.size for mark in before[: before.index(parted)])
    return Break(named.place(), kept / max(1, sum(mark.size for mark in before)))
