"""The syntaxes in which models write tool calls into their text, as a table. `toolcalls` reads them off a stream.

A row tells the reader where a call may begin (openers), when it has become clear that it does not (heads, head), where
it may end (closers), and how to read it (parse). A parser gets the text from the opener on, and gives the calls and
where they end, or None: this is no call, or not yet all of it. It is strict while more text may come, because the end
it sees may be a part of an argument (somebody writes a file about tool calls). Once the answer is over (`over`), it
forgives what is missing. Arguments keep the model's own bytes, broken ones too: putting them right is `repair`'s part.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from understudy.stages.fitting import Shape

SchemaOf = Callable[[str], bytes | None]
"""The JSON Schema of the tool of that name; None where there is no such tool."""


class Call(Struct, frozen=True):
    """One call, as the model wrote it: `arguments` is JSON text, or meant to be."""

    name: str
    arguments: str


class Found(Struct, frozen=True):
    """Calls read off a text, and where in it they end."""

    calls: tuple[Call, ...]
    end: int


class Parse(Protocol):
    """Reads the calls that `text` begins with."""

    def __call__(self, text: str, schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """None if it does not begin with a whole call. `over`: no more text will come."""
        ...


class Syntax(Struct, frozen=True):
    """One way to write tool calls.

    Attributes:
        name: what the settings call it.
        openers: any of them may begin a call. None may be the beginning of another, of any row.
        heads: how a call goes on, blanks left out; text that leaves all of them is no call.
        head: finds the first call's name as group 1, once it is there; a name that is not offered is no call.
        closers: after each of them the text is parsed.
        tails: what may still follow a call and belongs to it.
        parse: see `Parse`.
    """

    name: str
    openers: tuple[str, ...]
    heads: tuple[str, ...]
    head: re.Pattern[str]
    closers: tuple[str, ...]
    tails: tuple[str, ...]
    parse: Parse


# --- hermes: <tool_call>{"name": "Read", "arguments": {"file_path": "a"}}</tool_call> --------------------------------

_HERMES_OPENER: Final = re.compile(r"<tool_call>\s*")
_HERMES_CLOSER: Final = re.compile(r"\s*</tool_call>")
_HERMES_NAME: Final = re.compile(r"""<tool_call>\s*\[?\s*\{\s*["']name["']\s*:\s*["']([^"'\n]*)["']""")
_HERMES_HEAD: Final = re.compile(
    r"""\{\s*["']name["']\s*:\s*["']([^"'\n]+)["']\s*,\s*["'](?:arguments|parameters|input)["']\s*:\s*"""
)
_SURPLUS: Final = re.compile(r"[\s,}\]]*")
_DECODER: Final = json.JSONDecoder(strict=False)  # raw line breaks in strings: mending them is not for here
_NAMES: Final = ("name", "tool_name", "tool", "function")
_ARGUMENTS: Final = ("arguments", "parameters", "input", "args")


def hermes(text: str, _schema_of: SchemaOf, *, over: bool) -> Found | None:
    """JSON between tags. Read as JSON, then with brackets missing or surplus, then up to the first closing tag."""
    opener = _HERMES_OPENER.match(text)
    if opener is None:
        return None
    start = opener.end()
    try:
        calls, end = _json_calls(text, start)
    except (ValueError, RecursionError):
        return _nearly_json(text, start, over=over)
    return _closed(text, calls, end, over=over)


def _closed(text: str, calls: tuple[Call, ...], end: int, *, over: bool) -> Found | None:
    """The calls, if nothing but surplus brackets stands between them and the closing tag."""
    surplus = _SURPLUS.match(text, end)
    closer = _HERMES_CLOSER.match(text, surplus.end() if surplus else end)
    if closer:
        return Found(calls, closer.end())
    return Found(calls, end) if over else None


def _nearly_json(text: str, start: int, *, over: bool) -> Found | None:
    head = _HERMES_HEAD.match(text, start)
    if head is None:
        return None
    try:
        _, end = _DECODER.raw_decode(text, head.end())
    except (ValueError, RecursionError):
        return _broken_json(text, head, over=over)
    return _closed(text, (Call(head[1], text[head.end() : end]),), end, over=over)


def _broken_json(text: str, head: re.Match[str], *, over: bool) -> Found | None:
    """Up to the first closing tag; while more may come, only if that is inside neither brackets nor a string."""
    closer = _HERMES_CLOSER.search(text, head.end())
    stop = closer.start() if closer else len(text)
    body = text[head.end() : stop]
    if not over and _depth("{" + body) != 0:
        return None
    arguments = body[:-1] if _depth(body) == -1 and body.endswith("}") else body
    return Found((Call(head[1], arguments.strip()),), closer.end() if closer else stop)


_BRACKETS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?P<end>"|\\?\Z)|[{}\[\]]', re.DOTALL)


def _depth(text: str) -> int | None:
    """Brackets that were opened, less those closed; None if the text ends inside a string."""
    depth = 0
    for token in _BRACKETS.finditer(text):
        if token["end"] is None:
            depth += 1 if token[0] in "{[" else -1
        elif token["end"] != '"':
            return None
    return depth


def _json_calls(text: str, at: int) -> tuple[tuple[Call, ...], int]:
    """One call, several in a row, or a list of them. Raises ValueError."""
    if listed := text[at : at + 1] == "[":
        at = _skip(text, at + 1)
    calls: list[Call] = []
    end = at
    while text[at : at + 1] == "{":
        call, end = _json_call(text, at)
        calls.append(call)
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at : at + 1] == "," else at
    if not calls or (listed and text[at : at + 1] != "]"):
        raise ValueError("no calls, or more than calls")
    return tuple(calls), at + 1 if listed else end


def _json_call(text: str, at: int) -> tuple[Call, int]:
    members, end = _members(text, at)
    name_at = next((members[key] for key in _NAMES if key in members), None)
    if name_at is None:
        raise ValueError("a call without a name")
    if text[name_at.start] == "{":  # {"type": "function", "function": {"name": ..., "arguments": ...}}
        return _json_call(text, name_at.start)[0], end
    name = _DECODER.decode(text[name_at])
    if not isinstance(name, str):
        raise ValueError("a name that is no text")  # noqa: TRY004 - all that is wrong with a text is a ValueError
    arguments = next((text[members[key]] for key in _ARGUMENTS if key in members), "{}")
    return Call(name, arguments), end


def _members(text: str, at: int) -> tuple[dict[str, slice], int]:
    """Where in the text the values of the object at `at` stand, and where it ends. Raises ValueError."""
    found: dict[str, slice] = {}
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, colon = _DECODER.raw_decode(text, at)
        colon = _skip(text, colon)
        if not isinstance(key, str) or text[colon : colon + 1] != ":":
            raise ValueError("not an object")
        start = _skip(text, colon + 1)
        _, end = _DECODER.raw_decode(text, start)
        found[key] = slice(start, end)
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError("not an object")
    return found, at + 1


_BLANKS: Final = re.compile(r"\s*")


def _skip(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


# --- qwen-xml: <tool_call><function=Read><parameter=file_path>\na\n</parameter></function></tool_call> ----------------

_FUNCTION: Final = re.compile(
    r"""(?:<tool_call>\s*)?<function(?:\s*=|\s+name\s*=)\s*["']?([^>"'\n]+?)["']?\s*(?:>|(?=\n))"""
)
_PARAMETER: Final = re.compile(
    r"""<param(?:eter)?(?:\s*=\s*|\s+name\s*=\s*|\s+)["']?([^>"'\n]*?)["']?\s*(?:>|(?=\n))"""
)
_PARAMETER_EDGE: Final = re.compile(r"<param(?:eter)?(?:=|\s+name=)|(?P<end></param(?:eter)?>)")
_NEXT: Final = re.compile(r"\s*(?:</?(?:param|function|tool_call)|\Z)")
_FUNCTION_END: Final = "</function>"
_LAST_RESORT: Final = re.compile(r"</param(?:eter)?>|\s*</function>|\s*</tool_call>")
_FRAME: Final = re.compile(r"\r?\n")


def qwen_xml(text: str, schema_of: SchemaOf, *, over: bool) -> Found | None:
    """A function tag with parameter tags inside; a value is what stands between the line breaks that frame it."""
    function = _FUNCTION.match(text)
    if function is None:
        return None
    name = function[1].strip()
    at = _skip(text, function.end())
    if text[at : at + 1] == "{":
        return _json_body(text, name, at, over=over)
    return _Parameters(text, name, schema_of(name), over=over).read(at)


def _json_body(text: str, name: str, at: int, *, over: bool) -> Found | None:
    """<function=Read>{"file_path": "a"}</function>, as Llama writes it."""
    try:
        _, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        end = text.find(_FUNCTION_END, at)
        end = len(text) if end < 0 else end
        if not over and _depth(text[at:end]) != 0:
            return None
    close = _skip(text, end)
    if text.startswith(_FUNCTION_END, close):
        return Found((Call(name, text[at:end]),), close + len(_FUNCTION_END))
    return Found((Call(name, text[at:end]),), end) if over else None


class _Parameters:
    """Reads the parameters of one function."""

    def __init__(self, text: str, name: str, schema: bytes | None, *, over: bool) -> None:
        self._text = text
        self._name = name
        self._over = over
        self._types = _Types(schema)
        self._given: dict[str, str] = {}

    def read(self, at: int) -> Found | None:
        """What cannot be read between two tags is passed over: one bad tag must not lose the call, nor the reply."""
        end = at
        while True:
            at = _skip(self._text, at)
            if self._text.startswith(_FUNCTION_END, at):
                return self._found(at + len(_FUNCTION_END))
            if self._text.startswith("</tool_call>", at):
                return self._found(at)
            if tag := _PARAMETER.match(self._text, at):
                value = self._value(tag.end(), tag[1].strip())
                if value is None:
                    return self._cut(tag) if self._over else None
                at = end = value
            elif self._begins_function(at) or (at := self._text.find("<", at + 1)) < 0:
                return self._found(end) if self._over else None

    def _begins_function(self, at: int) -> bool:
        return self._text.startswith(("<function", "<tool_call>"), at)

    def _found(self, end: int) -> Found:
        members = ", ".join(f"{_quoted(key)}: {value}" for key, value in self._given.items())
        return Found((Call(self._name, "{" + members + "}"),), end)

    def _cut(self, tag: re.Match[str]) -> Found:
        """A value without an end. It stays open in the JSON too, so that nobody takes it for the whole."""
        members = [f"{_quoted(key)}: {value}" for key, value in self._given.items()]
        members.append(f"{_quoted(tag[1].strip())}: {_quoted(self._text[tag.end() :])[:-1]}")
        return Found((Call(self._name, "{" + ", ".join(members)),), len(self._text))

    def _value(self, at: int, key: str) -> int | None:
        """Take the value at `at`; gives where its tag ends, None if it does not."""
        stop = self._stop(at, key) or (self._any_stop(at) if self._over else None)
        if stop is None:
            return None
        value = _unframed(self._text[at : stop.start])
        self._given[key] = self._types.written(key, value)
        return stop.stop

    def _stop(self, at: int, key: str) -> "_Span | None":
        """The closing tag of this parameter: those of tags inside the value are theirs, and text may follow them."""
        depth = 1
        for edge in _PARAMETER_EDGE.finditer(self._text, at):
            if edge["end"] is None:
                if depth == 1 and self._begins_another(edge, key):
                    return _Span(edge.start(), edge.start())
                depth += 1
            elif depth > 1:
                depth -= 1
            elif _NEXT.match(self._text, edge.end()):
                return _Span(edge.start(), edge.end())
        return None

    def _begins_another(self, edge: re.Match[str], key: str) -> bool:
        """A line that opens a parameter of the tool that has not been given: the closing tag was forgotten."""
        line = self._text.rfind("\n", 0, edge.start())
        if line < 0 or self._text[line : edge.start()].strip():
            return False
        tag = _PARAMETER.match(self._text, edge.start())
        return tag is not None and tag[1] != key and tag[1] not in self._given and self._types.knows(tag[1])

    def _any_stop(self, at: int) -> "_Span | None":
        tag = _LAST_RESORT.search(self._text, at)
        if tag is None:
            return None
        return _Span(tag.start(), tag.end() if tag[0].startswith("</param") else tag.start())


class _Span(Struct, frozen=True):
    """Where a value stops, and where its closing tag does."""

    start: int
    stop: int


def _unframed(value: str) -> str:
    """Without the one line break on each side that is layout, not value."""
    if first := _FRAME.match(value):
        value = value[first.end() :]
    if value.endswith("\r\n"):
        return value[:-2]
    return value.removesuffix("\n")


class _Types:
    """What a tool's schema says of the types of its parameters."""

    def __init__(self, schema: bytes | None) -> None:
        self._known = schema is not None
        try:
            root = msgspec.json.decode(schema or b"{}")
        except (ValueError, RecursionError):
            root = {}
        self._shape = Shape(root if isinstance(root, dict) else {}, "")
        self._properties = self._shape.properties(self._shape.root)

    def knows(self, key: str) -> bool:
        """Whether the tool has such a parameter."""
        return key in self._properties

    def written(self, key: str, value: str) -> str:
        """The value as JSON text.

        A string is the text itself. Anything else is JSON, verbatim, where it is JSON; what is not becomes a string, which
        `mend` converts. So does every value of a tool that is not known by this very name.
        """
        kinds = self._shape.kinds(self._properties[key]) if key in self._properties else None
        written = _kinds_of(value)
        as_json = bool(written) and self._known if kinds is None or "string" not in kinds else written & kinds
        return value.strip() if as_json else _quoted(value)


_KINDS: Final[dict[type, frozenset[str]]] = {
    type(None): frozenset({"null"}),
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"number"}),
    str: frozenset({"text in quotes"}),  # where a string may stand, the quotes are a part of it
    list: frozenset({"array"}),
    dict: frozenset({"object"}),
}


def _kinds_of(text: str) -> frozenset[str]:
    """The JSON types of the value that `text` is; none if it is not JSON."""
    try:
        return _KINDS[type(msgspec.json.decode(text))]
    except (ValueError, RecursionError):
        return frozenset()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# --- the table ------------------------------------------------------------------------------------------------------

HERMES: Final = Syntax(
    name="hermes",
    openers=("<tool_call>",),
    heads=("<tool_call>{", "<tool_call>[{"),
    head=_HERMES_NAME,
    closers=("</tool_call>",),
    tails=(),
    parse=hermes,
)
QWEN_XML: Final = Syntax(
    name="qwen-xml",
    openers=("<tool_call>", "<function=", "<function name="),
    heads=("<tool_call><function", "<function=", "<functionname="),
    head=_FUNCTION,
    closers=("</function>", "</tool_call>"),
    tails=("</tool_call>",),
    parse=qwen_xml,
)

SYNTAXES: Final = {row.name: row for row in (HERMES, QWEN_XML)}
"""Every row, by its name in the settings."""

SIGNS: Final = (
    ("<function=", QWEN_XML),
    ("<function name=", QWEN_XML),
    ("<tool_call>", HERMES),
)
"""What in a chat template shows the syntax, the telling ones first."""

FAMILIES: Final = (
    (re.compile(r"qwen-?3-?coder|qwen-?3\.[5-9]|nemotron-?3", re.IGNORECASE), QWEN_XML),
    (re.compile(r"hermes|qwen", re.IGNORECASE), HERMES),
)
"""Model names that show the syntax, for engines that do not tell the template."""


def syntaxes_for(model_name: str, template: str | None) -> tuple[Syntax, ...]:
    """The syntaxes to look for, the likely one first. The others follow: models slip into those they were trained on."""
    return tuple(dict.fromkeys((*_likely(model_name, template or ""), *SYNTAXES.values())))


def _likely(model_name: str, template: str) -> Iterator[Syntax]:
    if template:
        return (row for sign, row in SIGNS if sign in template)
    return (row for family, row in FAMILIES if family.search(model_name))
