"""Whether an address stands in a conversation: only such pages may be read.

A model that could make up addresses could be talked into carrying what it knows out of the house, a word of it in each
address. So it is not enough that a site is named: the whole address must stand somewhere, as it is. What counts is what the
person wrote, what tools gave, and what searches and pages said; never the model's own words.
"""

from collections.abc import Iterable, Iterator

from understudy.language.address import sought
from understudy.language.request import (
    Block,
    Document,
    Request,
    Text,
    ToolResult,
    ToolUse,
    Turn,
)
from understudy.language.web import Hit, Page, ServerToolUse, WebResult, WebTool


def stands_in(url: str, request: Request, tool: WebTool) -> bool:
    """Whether the address stands in the conversation, in words that this tool may take it from."""
    address = sought(url)
    return address is not None and any(address.search(words) for words in _words(request, tool))


def _words(request: Request, tool: WebTool) -> Iterator[str]:
    names = dict(_calls(request.turns))
    for turn in request.turns:
        for block in turn.blocks:
            if isinstance(block, WebResult):
                if tool.from_web.include(names.get(block.tool_use_id, "")):
                    yield from _found(block)
            elif turn.role == "user":
                yield from _said(block, tool, names)


def _calls(turns: Iterable[Turn]) -> Iterator[tuple[str, str]]:
    """Each call's id, and the tool's name."""
    for turn in turns:
        for block in turn.blocks:
            if isinstance(block, ToolUse | ServerToolUse):
                yield block.id, block.name


def _said(block: Block, tool: WebTool, names: dict[str, str]) -> Iterator[str]:
    match block:
        case ToolResult(call, content):
            if tool.from_tools.include(names.get(call, "")):
                for part in content:
                    yield from _plain(part)
        case _ if tool.from_user:
            yield from _plain(block)
        case _:
            pass


def _plain(block: Block) -> Iterator[str]:
    match block:
        case Text(text):
            yield text
        case Document(text=text, title=title, url=url):
            yield from (text, title, url)
        case _:
            pass  # pictures, names of tools, and what nobody can read


def _found(result: WebResult) -> Iterator[str]:
    match result.found:
        case Page(url=url, text=text):
            yield from (url, text)
        case tuple() as hits:
            for hit in hits:
                yield from _of(hit)
        case _:
            pass


def _of(hit: Hit) -> Iterator[str]:
    yield from (hit.url, hit.text)
