"""The client's own bytes, changed only where the Claude API would refuse them: surgery on JSON, every other byte as it was.

`cache_control`, fields of betas, signatures, numbers and blanks stay what the client sent, so that what the API keeps in its
cache, and what its thinking is tied to, stays the same from turn to turn.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from understudy.language.jsontext import Patch, Span, items, kept, member, members, patched, whole
from understudy.language.request import Block, ToolResult, ToolUse

SEARCHED = b"web_search_tool_result"
OFF = b'{"type":"disabled"}'
CLEARS_THINKING = "clear_thinking_"
"""How edits of the context begin that the API takes only while it thinks."""
SEALED = 64
"""Characters of the shortest content of a search that the API itself has sealed; it refuses what it has not."""

_json = msgspec.json.Encoder().encode
_string = msgspec.json.Decoder(str).decode


class Change(Struct, frozen=True):
    """What shall be another.

    Attributes:
        model: the name to ask for.
        blocks: calls and results by message and place; None leaves a block out.
        unthinking: thinking is switched off.
        fold: system messages become the user's, for models that know none.
    """

    model: str
    blocks: Mapping[tuple[int, int], Block | None] = {}
    unthinking: bool = False
    fold: bool = False


class _Hit(Struct):
    """A page that a search found."""

    title: str | None = None
    url: str | None = None
    encrypted_content: str | None = None


class _Kind(Struct):
    """What a block is, as far as it matters here."""

    type: str
    id: str | None = None
    tool_use_id: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


_kind = msgspec.json.Decoder(_Kind).decode
_hits = msgspec.json.Decoder(list[_Hit]).decode


def changed(body: bytes, change: Change) -> bytes:
    """A body of /v1/messages or count_tokens, with these changes."""
    fields = dict(members(body, whole(body)))
    patches = []
    if _string(fields["model"].of(body)) != change.model:
        patches.append(Patch(fields["model"], _json(change.model)))
    if change.blocks or change.fold or SEARCHED in body:
        messages = fields["messages"]
        patches.append(Patch(messages, kept(body, messages, _messages(body, messages, change))))
    if change.unthinking:
        patches += _unthinking(body, fields)
    return patched(body, patches) if patches else body


def _messages(body: bytes, span: Span, change: Change) -> list[bytes | None]:
    """Each message as it shall be; None for one of which nothing is left."""
    edits: dict[int, dict[int, Block | None]] = {}
    for (turn, place), block in change.blocks.items():
        edits.setdefault(turn, {})[place] = block
    out: list[bytes | None] = []
    for number, message in enumerate(items(body, span)):
        if change.fold and _role(body, message) == "system":
            out.append(_folded(body, message))
        else:
            out.append(_message(body, message, edits.get(number, {})))
    if change.fold:
        _results_first(out, [_role(body, message) == "system" for message in items(body, span)])
    return out


def _message(body: bytes, message: Span, edits: Mapping[int, Block | None]) -> bytes | None:
    if not edits and SEARCHED not in message.of(body):
        return message.of(body)
    content = member(body, message, "content")
    if content is None or body[content.start : content.start + 1] != b"[":
        return message.of(body)
    blocks = list(items(body, content))
    new: list[bytes | None] = [block.of(body) for block in blocks]
    for place, block in edits.items():
        new[place] = _block(body, blocks[place], block)
    _without_our_searches(new)
    if blocks and all(one is None for one in new):
        return None
    return patched(body, [Patch(content, kept(body, content, new))], message)


def _block(body: bytes, span: Span, new: Block | None) -> bytes | None:
    if new is None:
        return None
    fields = dict(members(body, span))
    patches = [Patch(fields["tool_use_id"], _json(new.tool_use_id))] if isinstance(new, ToolResult) else []
    if isinstance(new, ToolUse):
        patches.append(Patch(fields["id"], _json(new.id)))
        if "input" in fields and fields["input"].of(body) != new.input.encode():
            patches.append(Patch(fields["input"], new.input.encode()))
    return patched(body, patches, span)


def _without_our_searches(blocks: list[bytes | None]) -> None:
    """Searches that were not the API's: their calls go, and what they found is told as text."""
    calls = set()
    for place, data in enumerate(blocks):
        if data is not None and SEARCHED in data:
            kind = _kind(data)
            if kind.type == "web_search_tool_result" and (text := _found(kind.content)):
                calls.add(kind.tool_use_id)
                blocks[place] = _json({"type": "text", "text": text})
    for place, data in enumerate(blocks if calls else ()):
        if data is not None and b"server_tool_use" in data:
            kind = _kind(data)
            if kind.type == "server_tool_use" and kind.id in calls:
                blocks[place] = None


def _found(content: msgspec.Raw) -> str:
    """What a search found, in words; "" where the API has sealed it, or it failed."""
    if not bytes(content).startswith(b"["):
        return ""
    hits = _hits(content)
    if all(len(hit.encrypted_content or "") >= SEALED for hit in hits):
        return ""
    return "\n".join(("Found on the web:", *(f"- {hit.title or hit.url}: {hit.url}" for hit in hits)))


def _folded(body: bytes, message: Span) -> bytes:
    """A system message as the user's, marked as what it is: where a model knows no other place for it."""
    fields = dict(members(body, message))
    patches = [Patch(fields["role"], b'"user"')]
    content = fields["content"]
    if body[content.start : content.start + 1] == b'"':
        patches.append(_reminder(body, content))
    else:
        texts = (member(body, block, "text") for block in items(body, content))
        patches += [_reminder(body, text) for text in texts if text is not None]
    return patched(body, patches, message)


def _reminder(body: bytes, text: Span) -> Patch:
    return Patch(text, _json(f"<system-reminder>\n{_string(text.of(body))}\n</system-reminder>"))


def _results_first(messages: list[bytes | None], folded: Sequence[bool]) -> None:
    """What was folded goes behind results that stand after it: nothing may come between them and their calls."""
    order = [(message, late) for message, late in zip(messages, folded, strict=True)]
    for place in range(len(order) - 2, -1, -1):
        at = place
        while at + 1 < len(order) and order[at][1] and _answers(order[at + 1][0]):
            order[at], order[at + 1] = order[at + 1], order[at]
            at += 1
    messages[:] = [message for message, _ in order]


def _answers(message: bytes | None) -> bool:
    """Whether a message begins with a tool's result."""
    if message is None or (content := member(message, whole(message), "content")) is None:
        return False
    first = (
        next(items(message, content), None) if message[content.start : content.start + 1] == b"[" else None
    )
    return first is not None and _kind(first.of(message)).type == "tool_result"


def _role(body: bytes, message: Span) -> str:
    role = member(body, message, "role")
    return _string(role.of(body)) if role else ""


def _unthinking(body: bytes, fields: Mapping[str, Span]) -> list[Patch]:
    patches = [Patch(fields["thinking"], OFF)]
    context = fields.get("context_management")
    found = member(body, context, "edits") if context else None
    if found is not None:
        edits = list(items(body, found))
        new = [
            None if _kind(edit.of(body)).type.startswith(CLEARS_THINKING) else edit.of(body) for edit in edits
        ]
        patches.append(Patch(found, kept(body, found, new)))
    return patches
