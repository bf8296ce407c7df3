"""The pictures and documents in a question: which it holds, and the same question with words in their place.

They stand in a turn, or inside a tool's result in a turn. A block that is not replaced stays the same object, and so does
a turn without any: what was rendered from it for the last question still holds.
"""

import base64
from collections.abc import Mapping
from typing import cast

from understudy.language.request import Block, Document, Image, Request, Text, ToolResult, Turn, change

Medium = Image | Document
Words = Mapping[Medium, Text | Document]
"""What stands in the place of which: text, or a document that has its text."""

_MEDIA = frozenset({Image, Document})
_HOLDERS = frozenset({Image, Document, ToolResult})
"""Looked up by type: there are hundreds of blocks in a question, and in most of them there is nothing to find."""
PDF = "application/pdf"


def media(request: Request) -> tuple[Medium, ...]:
    """The pictures and documents of a question, each once, in the order in which they come."""
    found = [
        part
        for turn in request.turns
        for block in turn.blocks
        if type(block) in _HOLDERS
        for part in (block.content if type(block) is ToolResult else (block,))
        if type(part) in _MEDIA
    ]
    return tuple(dict.fromkeys(cast("list[Medium]", found)))


def replaced(request: Request, words: Words) -> Request:
    """The same question with these words in their places. The client's own bytes no longer say what is asked."""
    if not words:
        return request
    return change(request, turns=tuple([_turn(turn, words) for turn in request.turns]), raw=b"")


def _turn(turn: Turn, words: Words) -> Turn:
    blocks = tuple([_block(block, words) for block in turn.blocks])
    if all(new is old for new, old in zip(blocks, turn.blocks, strict=True)):
        return turn
    return change(turn, blocks=blocks)


def _block(block: Block, words: Words) -> Block:
    match block:
        case Image() | Document():
            return words.get(block, block)
        case ToolResult(content=content):
            parts = tuple(
                [words.get(part, part) if isinstance(part, Image | Document) else part for part in content]
            )
            changed = any(new is not old for new, old in zip(parts, content, strict=True))
            return change(block, content=parts) if changed else block
        case _:
            return block


def is_pdf(medium: Medium) -> bool:
    """Whether it is a PDF that is given with its bytes."""
    return isinstance(medium, Document) and bool(medium.data) and medium.media_type == PDF


def as_text(medium: Medium) -> Document | None:
    """A document that is text in base64, as text; None for any other."""
    if not isinstance(medium, Document) or not medium.data or not medium.media_type.startswith("text/"):
        return None
    try:
        text = base64.b64decode(medium.data, validate=True).decode()
    except ValueError:  # no base64, or no UTF-8
        return None
    return change(medium, data="", text=text)


def described(description: str, by: str) -> Text:
    """What a model is shown of a picture that another one looked at."""
    return Text(
        f"[A picture, which you cannot see. {by} describes it:]\n{description}\n[End of the picture.]"
    )


def not_fetched(picture: Image) -> Text:
    """What it is shown of a picture that is somewhere else."""
    return Text(f"[A picture at {picture.url}, which was not fetched: ask for its content, or for the file.]")
