"""May this request leave the house? What is private in it, where, and the verdict with its reason.

    found = findings(request, scanner)
    verdict = decide("ask-free", found)      # Verdict(leaves=False, redacted=False, why="kept here: 1 github-token ...")

- `local-only` (the default): nothing leaves, whatever is in it.
- `ask-free`: what has no finding may go to a cloud; what has one stays, unless it is redacted (`redact.redact`).
- `open`: everything may go. Findings are still counted, for the log and the receipt.

Neither a finding nor a reason ever holds the private value: only its kind, its place, its length and a keyed hash.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from understudy.language.request import (
    Block,
    Document,
    Image,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Unknown,
)
from understudy.language.target import Mode
from understudy.language.web import Hit, Missed, Page, ServerToolUse, WebResult
from understudy.routing.scan import Scanner, Spot

PRIVATE_FILE = "private-file"
"""The rule by which the answer to a call is private that named a private path."""
SHOWN = 4
"""Kinds of findings that a reason names."""


class Finding(Struct, frozen=True, gc=False):
    """Something private, and where: `spot.start` counts the characters of the text named by `where`."""

    where: str
    spot: Spot


class Verdict(Struct, frozen=True):
    """What may be done with a request.

    Attributes:
        leaves: whether it may go to an engine outside the house.
        redacted: whether it must be redacted first.
        why: the reason, in words.
    """

    leaves: bool
    redacted: bool
    why: str


def decide(mode: Mode, found: Sequence[Finding], *, redact: bool = False) -> Verdict:
    """What a mode allows.

    Args:
        mode: `privacy.mode`.
        found: what `findings` said of the request.
        redact: `privacy.redact`: whether findings are replaced by placeholders before a request leaves.
    """
    if mode == "local-only":
        return Verdict(
            leaves=False, redacted=False, why="privacy.mode is local-only: nothing leaves this machine"
        )
    if not found:
        return Verdict(
            leaves=True, redacted=False, why=f"privacy.mode is {mode}, and nothing private was found"
        )
    told = summary(found)
    unread = any(finding.spot.kind == "unread" for finding in found)
    if mode == "ask-free" and (unread or not redact):
        return Verdict(leaves=False, redacted=False, why=f"kept here: {told}")
    if redact:
        return Verdict(leaves=True, redacted=True, why=f"leaves with placeholders for {told}")
    return Verdict(leaves=True, redacted=False, why=f"privacy.mode is open, although there is {told}")


def summary(found: Iterable[Finding]) -> str:
    """What was found, in words: how many of which kind, and where the first of each stands."""
    counts = Counter(finding.spot.rule for finding in found)
    first = {finding.spot.rule: finding.where for finding in reversed(list(found))}
    told = [f"{count} {rule} ({first[rule]})" for rule, count in counts.most_common(SHOWN)]
    more = len(counts) - SHOWN
    return ", ".join(told) + (f" and {more} more kinds" if more > 0 else "")


def findings(request: Request, scanner: Scanner) -> tuple[Finding, ...]:
    """What is private in a request: its system prompt, tools and turns, its schema, and who it says it is from."""
    out = []
    for where, text in texts(request):
        spots = scanner.spots(text) if isinstance(text, str) else (text,)
        out += [Finding(where, spot) for spot in spots]
    return (*out, *_withheld(request, scanner))


def texts(request: Request) -> Iterator[tuple[str, str | Spot]]:
    """Every text of a request and the name of its place; a spot of kind `unread` for what holds no text."""
    for number, block in enumerate(request.system, 1):
        yield f"system block {number}", block.text
    for tool in request.tools:
        yield f"tool {tool.name}", f"{tool.description}\n{tool.schema.decode(errors='replace')}"
    for number, turn in enumerate(request.turns, 1):
        where = f"{turn.role} turn {number}"
        for content in turn.blocks:
            yield from ((where, text) for text in _of_block(content))
        if turn.verbatim is not None:
            yield where, turn.verbatim
    if request.format is not None:
        yield "output format", request.format.decode(errors="replace")
    yield "user", request.user


def strings(value: object) -> Iterator[str]:
    """Every string in a JSON value, names of fields included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def json_texts(text: str) -> list[str]:
    """The strings of a JSON text; the text itself where it is no JSON, or is nested too deep to be read."""
    try:
        return list(strings(msgspec.json.decode(text)))
    except (msgspec.DecodeError, RecursionError):
        return [text]


def private_calls(request: Request, scanner: Scanner) -> frozenset[str]:
    """Ids of the calls that named a private path: what their tools answered is private as a whole."""
    calls = (block for turn in request.turns for block in turn.blocks if isinstance(block, ToolUse))
    return frozenset(call.id for call in calls if _names_a_path(call, scanner))


def whole_text(result: ToolResult) -> str:
    """All that a tool answered in words."""
    return "\n".join(part.text for part in result.content if isinstance(part, Text))


def _names_a_path(call: ToolUse, scanner: Scanner) -> bool:
    return any(spot.kind == "path" for text in json_texts(call.input) for spot in scanner.spots(text))


def _withheld(request: Request, scanner: Scanner) -> Iterator[Finding]:
    calls = private_calls(request, scanner)
    for number, turn in enumerate(request.turns, 1):
        for block in turn.blocks:
            if isinstance(block, ToolResult) and block.tool_use_id in calls:
                whole = whole_text(block)
                spot = Spot(0, len(whole), "path", PRIVATE_FILE, scanner.mark(whole))
                yield Finding(f"{turn.role} turn {number}", spot)


def _of_block(block: Block) -> Iterator[str | Spot]:
    match block:
        case Text(text=text) | Thinking(text=text):
            yield text
        case ToolUse(input=arguments) | ServerToolUse(input=arguments):
            yield from json_texts(arguments)
        case WebResult(found=found):
            yield from _of_web(found)
        case ToolResult(content=content):
            for part in content:
                yield from _of_block(part)
        case Document(text=text, title=title) if not (block.data or block.url):
            yield f"{title}\n{text}"
        case Image() | Document():
            yield Spot(0, 0, "unread", "picture" if isinstance(block, Image) else "document", "")
        case Unknown(json=json):
            yield from json_texts(json)


def _of_web(found: tuple[Hit, ...] | Page | Missed) -> Iterator[str | Spot]:
    """A page may be one of the house (`web.private_hosts`)."""
    match found:
        case Page(data=data) if data:
            yield Spot(0, 0, "unread", "document", "")
        case Page(title=title, text=text):
            yield f"{title}\n{text}"
        case tuple():
            yield from (f"{hit.title}\n{hit.text}" for hit in found)
        case _:
            pass  # nothing came of it
