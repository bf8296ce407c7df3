"""What the fake Claude API refuses, as the real one does: a scripted stand-in that would take anything proves nothing.

It signs its own thinking, and takes back no other (https://platform.claude.com/docs/en/build-with-claude/extended-thinking);
calls have ids of letters, digits, _ and -, each once, an object as their input, and are answered in the message that follows
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use). The words are the API's.
"""

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec
from msgspec import Raw, Struct

from understudy.engines.performance import Beat
from understudy.language.events import BlockStart, BlockStop, SignatureDelta, ThinkingDelta

ID = re.compile(r"[a-zA-Z0-9_-]+")
UNSIGNED = "Invalid `signature` in `thinking` block"


class _Block(Struct):
    type: str
    thinking: str = ""
    signature: str = ""
    id: str = ""
    input: Raw = Raw(b"{}")
    tool_use_id: str = ""


class _Message(Struct):
    role: str
    content: list[_Block] | str


class _Body(Struct):
    messages: list[_Message] = []


_read = msgspec.json.Decoder(_Body).decode


def signature(thinking: str) -> str:
    """The stand-in's own, as long as the API's are at least."""
    return f"scripted-{blake2b(thinking.encode(), digest_size=48, person=b'stand-in').hexdigest()}"


def signed(beats: Sequence[Beat]) -> list[Beat]:
    """A performance whose thinking is signed, block by block."""
    out: list[Beat] = []
    said: list[str] | None = None
    for beat in beats:
        match beat:
            case BlockStart("thinking"):
                said = []
            case ThinkingDelta(text) if said is not None:
                said.append(text)
            case BlockStop() if said is not None:
                out.append(SignatureDelta(signature("".join(said))))
                said = None
            case _:
                pass
        out.append(beat)
    return out


def objection(body: bytes) -> str:
    """Why the API would refuse this body, in its words; "" where it would not.

    A body that is no message at all is somebody else's to refuse.
    """
    try:
        messages = _read(body).messages
    except msgspec.DecodeError:
        return ""
    return next(_objections(messages), "")


def _objections(messages: Sequence[_Message]) -> Iterator[str]:
    used: set[str] = set()
    open_: set[str] = set()
    for number, message in enumerate(messages):
        if message.role == "system":  # no turn
            continue
        blocks = message.content if isinstance(message.content, list) else []
        yield from _results(number, message.role, blocks, open_)
        open_ = {block.id for block in blocks if block.type == "tool_use"}
        for place, block in enumerate(blocks):
            yield from (f"messages.{number}.content.{place}{words}" for words in _wrong(block, used))


def _wrong(block: _Block, used: set[str]) -> Iterator[str]:
    if block.type == "thinking" and block.signature != signature(block.thinking):
        yield f": {UNSIGNED}"
    if block.type == "tool_use":
        if not ID.fullmatch(block.id):
            yield f".tool_use.id: String should match pattern '^{ID.pattern}$'"
        if block.id in used:
            yield ": `tool_use` ids must be unique"
        used.add(block.id)
        if not bytes(block.input).lstrip().startswith(b"{"):
            yield ".tool_use.input: Input should be a valid dictionary"


def _results(number: int, role: str, blocks: Sequence[_Block], open_: set[str]) -> Iterator[str]:
    """What is wrong with the results that answer the calls of the message before."""
    answered = {block.tool_use_id for block in blocks if block.type == "tool_result"}
    for stray in sorted(answered - open_):
        yield (
            f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {stray}. Each `tool_result`"
            " block must have a corresponding `tool_use` block in the previous message."
        )
    missing = sorted(open_ - answered)
    if missing and role == "user":
        yield (
            f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after:"
            f" {', '.join(missing)}"
        )
