"""Placeholders for what is private, and back again.

A value becomes `PRIVATE_EMAIL_1f0c9a2e`: its rule, and its keyed hash. So it has the same placeholder in every turn (the
prefix that a cloud caches stays byte-stable), nothing has to be remembered between requests, and a model copies it as it
copies any name. `redact` gives the request and what its placeholders stand for; `Restorer` puts the values back into the
answer, whose text comes in pieces, cut anywhere.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

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
    Turn,
    Unknown,
    change,
)
from understudy.language.web import Hit, Missed, Page, ServerToolUse, WebResult
from understudy.routing.privacy import PRIVATE_FILE, private_calls, whole_text
from understudy.routing.scan import Scanner

PREFIX = "PRIVATE_"
NOTHING = r"(?!)"
"""A pattern that is found nowhere."""
Part = Text | Image | Document | ToolReference | Unknown


class Redacted(Struct, frozen=True):
    """A request that may leave, and what its placeholders stand for."""

    request: Request
    values: Mapping[str, str]


def redact(request: Request, scanner: Scanner) -> Redacted:
    """The request with a placeholder for everything private. Its `raw` bytes are gone: they hold what was replaced."""
    work = Redaction(scanner, private_calls(request, scanner))
    safe = change(
        request,
        system=tuple(Text(work.text(block.text)) for block in request.system),
        tools=tuple(work.tool(tool) for tool in request.tools),
        turns=tuple(work.turn(turn) for turn in request.turns),
        format=request.format and work.json(request.format.decode(errors="replace")).encode(),
        user=work.text(request.user),
        raw=b"",
    )
    return Redacted(safe, work.values)


def placeholder(rule: str, mark: str) -> str:
    """The name that stands for a value."""
    return f"{PREFIX}{rule.upper().replace('-', '_')}_{mark}"


class Redaction:
    """One request at work: replaces, and remembers what stands for what."""

    def __init__(self, scanner: Scanner, withheld: frozenset[str]) -> None:
        self.values: dict[str, str] = {}
        self._scanner = scanner
        self._withheld = withheld

    def text(self, text: str) -> str:
        """A text, every spot replaced."""
        out, place = [], 0
        for spot in self._scanner.spots(text):
            end = spot.start + spot.length
            out += [text[place : spot.start], self._named(spot.rule, spot.mark, text[spot.start : end])]
            place = end
        return "".join((*out, text[place:])) if out else text

    def json(self, text: str) -> str:
        """JSON stays JSON: only its strings change, and its bytes stay where none of them does."""
        try:
            value = msgspec.json.decode(text)
            safe = self._value(value)
        except (msgspec.DecodeError, RecursionError):
            return self.text(text)
        return text if safe == value else msgspec.json.encode(safe).decode()

    def tool(self, tool: Tool) -> Tool:
        """A tool: its description and its schema."""
        schema = self.json(tool.schema.decode(errors="replace")).encode()
        return change(tool, description=self.text(tool.description), schema=schema)

    def turn(self, turn: Turn) -> Turn:
        """A turn, block by block."""
        verbatim = None if turn.verbatim is None else self.text(turn.verbatim)
        return Turn(turn.role, tuple(self._block(block) for block in turn.blocks), verbatim)

    def _block(self, block: Block) -> Block:
        match block:
            case Thinking(text=text, signature=signature):
                return Thinking(self.text(text), signature)
            case ToolUse(input=arguments) | ServerToolUse(input=arguments):
                return change(block, input=self.json(arguments))
            case ToolResult():
                return self._result(block)
            case WebResult():
                return change(block, found=self._found(block.found))
        return self._part(block)

    def _found(self, found: tuple[Hit, ...] | Page | Missed) -> tuple[Hit, ...] | Page | Missed:
        match found:
            case Page():
                return change(found, title=self.text(found.title), text=self.text(found.text))
            case tuple():
                return tuple(
                    change(hit, title=self.text(hit.title), text=self.text(hit.text)) for hit in found
                )
            case _:
                return found

    def _result(self, block: ToolResult) -> ToolResult:
        if block.tool_use_id not in self._withheld:
            return change(block, content=tuple(self._part(part) for part in block.content))
        whole = whole_text(block)
        return change(block, content=(Text(self._named(PRIVATE_FILE, self._scanner.mark(whole), whole)),))

    def _part(self, part: Part) -> Part:
        match part:
            case Text(text=text):
                return Text(self.text(text))
            case Document(text=text, title=title):
                return change(part, text=self.text(text), title=self.text(title))
            case Unknown(json=json):
                return change(part, json=self.json(json))
        return part

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(inner) for inner in value]
        if isinstance(value, dict):
            return {self.text(name): self._value(inner) for name, inner in value.items()}
        return value

    def _named(self, rule: str, mark: str, value: str) -> str:
        name = placeholder(rule, mark)
        self.values[name] = value
        return name


class Restorer:
    """Puts values back into text that comes in pieces: `feed` gives what is certain, `close` what was held back.

    Args:
        values: what the placeholders stand for (`Redacted.values`).
        in_json: whether the text is JSON (the arguments of a call): values are then written as JSON strings are.
    """

    def __init__(self, values: Mapping[str, str], *, in_json: bool = False) -> None:
        write = _json_escaped if in_json else str
        self._values = {name: write(value) for name, value in values.items()}
        self._names = re.compile("|".join(map(re.escape, self._values)) or NOTHING)
        self._longest = max(map(len, self._values), default=1)
        self._held = ""

    def feed(self, text: str) -> str:
        """The text so far, except what may be the beginning of a placeholder."""
        text = self._held + text
        out, place = [], 0
        for match in self._names.finditer(text):
            out += [text[place : match.start()], self._values[match[0]]]
            place = match.end()
        cut = self._open(text, max(place, len(text) - self._longest + 1))
        self._held = text[cut:]
        return "".join((*out, text[place:cut]))

    def close(self) -> str:
        """What was held back, and was no placeholder after all."""
        held, self._held = self._held, ""
        return held

    def _open(self, text: str, start: int) -> int:
        """Where a placeholder may have begun that is not whole yet; the text's end, if nowhere."""
        while (start := text.find(PREFIX[0], start)) >= 0:
            begun = text[start:]
            if any(name.startswith(begun) for name in self._values):
                return start
            start += 1
        return len(text)


def restored(text: str, values: Mapping[str, str], *, in_json: bool = False) -> str:
    """A whole text with its values put back."""
    restorer = Restorer(values, in_json=in_json)
    return restorer.feed(text) + restorer.close()


def _json_escaped(value: str) -> str:
    return msgspec.json.encode(value).decode()[1:-1]
