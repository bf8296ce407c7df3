"""Calls in Gemma's own notation: objects without quotes around keys, strings between tokens of their own.

    <|tool_call>call:get_time{city:<|"|>Paris<|"|>,days:2}<tool_call|>           Gemma 4
    <start_function_call>call:get_time{city:<escape>Paris<escape>}<end_function_call>       FunctionGemma

A string has no escapes: it goes to the next token. What is written without such tokens is JSON, or else text.
"""

from typing import Final

from msgspec import Struct

from understudy.stages.jsonread import skip, value_end
from understudy.stages.pythoncalls import DEEPEST
from understudy.stages.syntax import NAME, Call, Found, Lazy, SchemaOf, Syntax, models
from understudy.stages.typed import kinds_of, quoted

_BARE: Final = Lazy(r"[^,{}\[\]]*")
_ENDS: Final = {"{": "}", "[": "]"}


class Gemma(Struct, frozen=True):
    """The parser.

    Attributes:
        head: fits the opener up to the arguments; its group is the name.
        closer: the closing marker.
        quote: the token on both sides of a string.
    """

    head: Lazy
    closer: str
    quote: str

    def __call__(self, text: str, _schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """See `Parse`."""
        head = self.head.match(text)
        if head is None:
            return None
        try:
            arguments, end = self._value(text, head.end(), 0)
        except ValueError:
            return None
        at = skip(text, end)
        if text.startswith(self.closer, at):
            return Found((Call(head[1], arguments),), at + len(self.closer))
        return Found((Call(head[1], arguments),), end) if over else None

    def _value(self, text: str, at: int, deep: int) -> tuple[str, int]:
        """The value at `at` as JSON, and where it ends. Raises ValueError."""
        if deep > DEEPEST:
            raise ValueError("too deep")
        if text.startswith(self.quote, at):
            return self._string(text, at)
        if text[at : at + 1] in ("{", "["):
            return self._bracketed(text, at, deep)
        if text[at : at + 1] == '"' and (end := value_end(text, at)):
            return text[at:end], end
        return _bare(text, at)

    def _string(self, text: str, at: int) -> tuple[str, int]:
        start = at + len(self.quote)
        end = text.find(self.quote, start)
        if end < 0:
            raise ValueError("a string without an end")
        return quoted(text[start:end]), end + len(self.quote)

    def _bracketed(self, text: str, at: int, deep: int) -> tuple[str, int]:
        first = text[at]
        given: list[str] = []
        at = skip(text, at + 1)
        while text[at : at + 1] != _ENDS[first]:
            key, at = self._key(text, at) if first == "{" else ("", at)
            value, at = self._value(text, skip(text, at), deep + 1)
            given.append(key + value)
            at = skip(text, at)
            if text[at : at + 1] == ",":
                at = skip(text, at + 1)
            elif text[at : at + 1] != _ENDS[first]:
                raise ValueError("neither a comma nor an end")
        return first + ", ".join(given) + _ENDS[first], at + 1

    def _key(self, text: str, at: int) -> tuple[str, int]:
        """A key and its colon, as JSON."""
        if text.startswith(self.quote, at):
            key, end = self._string(text, at)
            colon = skip(text, end)
        else:
            colon = text.find(":", at)
            written = text[at:colon].strip()
            key = written if kinds_of(written) else quoted(written)
        if text[colon : colon + 1] != ":" or colon < at:
            raise ValueError("a key without a value")
        return f"{key}: ", colon + 1


def _bare(text: str, at: int) -> tuple[str, int]:
    found = _BARE.match(text, at)
    end = found.end() if found else at
    written = text[at:end].strip()
    return written if kinds_of(written) else quoted(written), end


GEMMA: Final = Syntax(
    name="gemma4",
    models="Gemma 4",
    example='<|tool_call>call:get_time{city:<|"|>Paris<|"|>}<tool_call|>',
    names=models(r"gemma-?4"),
    signs=("<|tool_call>call:",),
    openers=("<|tool_call>",),
    heads=("<|tool_call>call:",),
    head=Lazy(rf"<\|tool_call>\s*call:\s*({NAME})\s*(?=\{{)"),
    closers=("<tool_call|>",),
    parse=Gemma(Lazy(rf"<\|tool_call>\s*call:\s*({NAME})\s*(?=\{{)"), "<tool_call|>", '<|"|>'),
)
FUNCTION_GEMMA: Final = Syntax(
    name="functiongemma",
    models="FunctionGemma",
    example="<start_function_call>call:get_time{city:<escape>Paris<escape>}<end_function_call>",
    names=models("functiongemma"),
    signs=("<start_function_call>",),
    openers=("<start_function_call>",),
    heads=("<start_function_call>call:",),
    head=Lazy(rf"<start_function_call>\s*call:\s*({NAME})\s*(?=\{{)"),
    closers=("<end_function_call>",),
    parse=Gemma(
        Lazy(rf"<start_function_call>\s*call:\s*({NAME})\s*(?=\{{)"), "<end_function_call>", "<escape>"
    ),
)
