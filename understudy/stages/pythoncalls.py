"""Calls as Python: lists of function calls, one call a line, the call of a built-in tool, or code.

    [get_time(city="Paris"), get_weather(city="Paris", days=[1, 2])]

Values are literals of Python or JSON, mixed as the model pleases; what is JSON already keeps its bytes.
"""

import ast
import json
import re
from typing import Final

from msgspec import Struct

from understudy.stages.jsoncalls import ALONE, STRICT, Marked
from understudy.stages.jsonread import NAMED, between, skip
from understudy.stages.syntax import NAME, Call, Either, Found, Lazy, SchemaOf, Syntax, models
from understudy.stages.typed import PYTHON, Types, kinds_of, quoted

DEEPEST: Final = 64
"""Brackets in brackets; nobody means more."""

_CALL: Final = Lazy(rf"({NAME})\s*\(\s*")
_KEY: Final = Lazy(r"([^\W\d]\w*)\s*=\s*")
_STRING: Final = Lazy(
    r'''[rRuU]?(?:"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\'|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')''',
    re.DOTALL,
)
_TRIPLE: Final = Lazy(r"""[rRuU]?(?:\"{3}|'{3})""")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = frozenset("\n\\'\"abfnrtvxuUN01234567")
_NUMBER: Final = Lazy(r"[+-]?(?:0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][+-]?\d+)?)")
_CONSTANTS: Final = {"True": "true", "False": "false", "None": "null"}
_WORDS: Final = _CONSTANTS | {word: word for word in _CONSTANTS.values()}
_WORD: Final = Lazy("|".join(_WORDS))
_BRACKETS: Final = {"[": "]", "(": ")", "{": "}"}


class Pythonic(Struct, frozen=True):
    """The parser.

    Attributes:
        opener: fits the opener, the blanks after it included.
        closer: fits the closing marker, the blanks before it included; None: the last bracket is the end.
        listed: whether the calls stand in a list.
    """

    opener: Lazy
    closer: Lazy | None = None
    listed: bool = True

    def __call__(self, text: str, _schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """See `Parse`."""
        opener = self.opener.match(text)
        if opener is None:
            return None
        try:
            calls, end = self._calls(text, opener.end())
        except (ValueError, SyntaxError):
            return None
        closer = self.closer.match(text, end) if self.closer else None
        if closer:
            return Found(calls, closer.end())
        return Found(calls, end) if over or self.closer is None else None

    def _calls(self, text: str, at: int) -> tuple[tuple[Call, ...], int]:
        listed = text[at : at + 1] == "["
        if self.listed and not listed:
            raise ValueError("no list")
        at = skip(text, at + listed)
        calls: list[Call] = []
        end = at
        while named := _CALL.match(text, at):
            arguments, end = _arguments(text, named.end())
            calls.append(Call(named[1].removesuffix(".call") if not self.listed else named[1], arguments))
            at = between(text, end)
        if not calls or (listed and text[at : at + 1] != "]"):
            raise ValueError("no calls")
        return tuple(calls), at + 1 if listed else end


def _arguments(text: str, at: int) -> tuple[str, int]:
    """`a=1, b="x")` as JSON, and the place after the bracket."""
    given: list[str] = []
    while text[at : at + 1] != ")":
        key = _KEY.match(text, at)
        if key is None:
            raise ValueError("an argument without a name")
        value, at = literal(text, key.end())
        given.append(f"{quoted(key[1])}: {value}")
        at = _next(text, at, ")")
    return f"{{{', '.join(given)}}}", at + 1


def _next(text: str, at: int, end: str) -> int:
    """The place after a comma, or of the end."""
    at = skip(text, at)
    if text[at : at + 1] == ",":
        return skip(text, at + 1)
    if text[at : at + 1] == end:
        return at
    raise ValueError("neither a comma nor an end")


def literal(text: str, at: int, deep: int = 0) -> tuple[str, int]:
    """The literal at `at` as JSON text, and where it ends. Raises ValueError or SyntaxError."""
    if deep > DEEPEST:
        raise ValueError("too deep")
    first = text[at : at + 1]
    if first in _BRACKETS and first:
        return _bracketed(text, at, deep)
    if found := _STRING.match(text, at):
        return _json(found[0]), found.end()
    if found := _NUMBER.match(text, at):
        return _json(found[0]), found.end()
    if found := _WORD.match(text, at):
        return _WORDS[found[0]], found.end()
    raise ValueError("no literal")


def _json(written: str) -> str:
    """A string or a number, in its own bytes where they are JSON."""
    if kinds_of(written):
        return written
    mended = _ESCAPE.sub(_kept, written) if written[0] not in "rR" else written
    if not _TRIPLE.match(written):
        mended = mended.replace("\n", "\\n")
    return json.dumps(ast.literal_eval(mended), ensure_ascii=False, allow_nan=False)


def _kept(escape: re.Match[str]) -> str:
    """A backslash that escapes nothing is one itself: somebody wrote a path."""
    return escape[0] if escape[1] in _ESCAPED else "\\" + escape[0]


def _bracketed(text: str, at: int, deep: int) -> tuple[str, int]:
    """A list, a tuple or a dictionary."""
    end = _BRACKETS[text[at]]
    given: list[str] = []
    at = skip(text, at + 1)
    while text[at : at + 1] != end:
        value, at = literal(text, at, deep + 1)
        if end == "}":
            colon = skip(text, at)
            if text[colon : colon + 1] != ":":
                raise ValueError("a key without a value")
            key, (value, at) = value, literal(text, skip(text, colon + 1), deep + 1)
            value = f"{key if key.startswith(chr(34)) else quoted(key)}: {value}"
        given.append(value)
        at = _next(text, at, end)
    inside = ", ".join(given)
    return f"{{{inside}}}" if end == "}" else f"[{inside}]", at + 1


class Code(Struct, frozen=True):
    """Code for a tool that runs it, from the opener to the end of the answer.

    Attributes:
        opener: fits the opener.
        closer: what may stand at the end.
    """

    opener: Lazy
    closer: str

    def __call__(self, text: str, schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """See `Parse`."""
        opener = self.opener.match(text)
        if opener is None or not over:
            return None
        for tool in PYTHON:
            key = Types(schema_of(tool)).only_text()
            if key is not None:
                code = text[opener.end() :].removesuffix(self.closer)
                return Found((Call(tool, f"{{{quoted(key)}: {quoted(code)}}}"),), len(text))
        return None


_HEAD: Final = rf"\[?\s*({NAME})\s*\("
_LOOKS: Final = r"\[?\s*(?:[\w.:/-]+\s*(?:\(.*)?)?"

LLAMA: Final = Syntax(
    name="llama",
    models="Llama 3.1, 3.2 and 3.3",
    example='<|python_tag|>{"name": "get_time", "parameters": {"city": "Paris"}}',
    names=models(r"llama-?3"),
    signs=("<|python_tag|>", '"parameters": dictionary of argument name'),
    openers=("<|python_tag|>",),
    starts=("{",),
    heads=(*ALONE, "<|python_tag|>"),
    head=Lazy(rf"(?:<\|python_tag\|>)?\s*(?:{NAMED}|({NAME})\.call\()"),
    closers=("}", ")", "<|eom_id|>"),
    tails=(";", "<|eom_id|>"),
    parse=Either(
        (
            Marked(Lazy(r"(?:<\|python_tag\|>)?\s*"), None, STRICT),
            Pythonic(Lazy(r"<\|python_tag\|>\s*(?=[\w.]+\.call\()"), listed=False),
            Code(Lazy(r"<\|python_tag\|>"), "<|eom_id|>"),
        )
    ),
)
LFM: Final = Syntax(
    name="lfm2",
    models="LFM2 and LFM2.5",
    example='<|tool_call_start|>[get_time(city="Paris")]<|tool_call_end|>',
    names=models(r"\blfm"),
    signs=("<|tool_call_start|>", "<|tool_list_start|>", "List of tools: ["),
    openers=("<|tool_call_start|>",),
    looks=Lazy(rf"<\|tool_call_start\|>\s*(?:{_LOOKS}|\[?\s*\{{.*)", re.DOTALL),
    head=Lazy(rf"<\|tool_call_start\|>\s*(?:{_HEAD}|{NAMED})"),
    closers=("<|tool_call_end|>",),
    parse=Either(
        (
            Pythonic(Lazy(r"<\|tool_call_start\|>\s*"), Lazy(r"\s*<\|tool_call_end\|>"), listed=False),
            Marked(Lazy(r"<\|tool_call_start\|>\s*"), Lazy(r"\s*<\|tool_call_end\|>")),
        )
    ),
)
LLAMA4: Final = Syntax(
    name="llama4",
    models="Llama 4",
    example='<|python_start|>[get_time(city="Paris")]<|python_end|>',
    names=models(r"llama-?4"),
    signs=("<|python_start|>",),
    openers=("<|python_start|>",),
    looks=Lazy(rf"<\|python_start\|>\s*{_LOOKS}", re.DOTALL),
    head=Lazy(rf"<\|python_start\|>\s*{_HEAD}"),
    closers=("<|python_end|>",),
    parse=Pythonic(Lazy(r"<\|python_start\|>\s*"), Lazy(r"\s*<\|python_end\|>"), listed=False),
)
OLMO: Final = Syntax(
    name="olmo3",
    models="Olmo 3",
    example='<function_calls>\nget_time(city="Paris")\nget_weather(city="Paris")\n</function_calls>',
    names=models("olmo"),
    signs=("<function_calls>",),
    openers=("<function_calls>",),
    looks=Lazy(rf"<function_calls>\s*{_LOOKS}", re.DOTALL),
    head=Lazy(rf"<function_calls>\s*{_HEAD}"),
    closers=("</function_calls>",),
    parse=Pythonic(Lazy(r"<function_calls>\s*"), Lazy(r"\s*</function_calls>"), listed=False),
)
PYTHONIC: Final = Syntax(
    name="pythonic",
    models="any: a list of Python calls that an answer begins with (Llama 3.2, Llama 4, ToolACE, LFM2)",
    example='[get_time(city="Paris"), get_weather(city="Paris", days=2)]',
    names=models("toolace"),
    starts=("[",),
    looks=Lazy(_LOOKS, re.DOTALL),
    head=Lazy(_HEAD),
    closers=("]",),
    parse=Pythonic(Lazy("")),
)
