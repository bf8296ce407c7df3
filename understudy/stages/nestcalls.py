"""Calls as tags within tags, a tag for each member: MiniMax M3.

    ]<]minimax[>[<tool_call>
    ]<]minimax[>[<invoke name="get_time">]<]minimax[>[<city>Paris]<]minimax[>[</city>]<]minimax[>[</invoke>
    ]<]minimax[>[</tool_call>

The token before each tag tells it from tags in a value; it is missing where a server leaves special tokens out. Where a
text may stand, whatever there is is text; elsewhere tags inside are a list (of `item`) or an object.
"""

import re
from typing import Final

from msgspec import Struct

from understudy.stages.jsonread import skip
from understudy.stages.pythoncalls import DEEPEST
from understudy.stages.syntax import Call, Found, Lazy, SchemaOf, Syntax, models
from understudy.stages.typed import Types, quoted

TOKEN: Final = "]<]minimax[>["  # noqa: S105 - a token of a language model

_CALL: Final = Lazy(
    r'(?:(?:\]<\]minimax\[>\[)?<tool_call>\s*)?(?P<token>(?:\]<\]minimax\[>\[)?)<invoke name="(?P<name>[^">]+)">'
)
_TAG: Final = Lazy(r"<([^\s<>/]+)>")
_END: Final = "</invoke>"
_EMPTY: Final = {frozenset({"array"}): "[]", frozenset({"object"}): "{}"}


def minimax(text: str, schema_of: SchemaOf, *, over: bool) -> Found | None:
    """See `Parse`. What was cut off is not a call: which tags are open is not told by the text alone."""
    call = _CALL.match(text)
    if call is None:
        return None
    try:
        given, end = _Nest(text, call["token"], Types(schema_of(call["name"]))).members(call.end())
    except ValueError:
        return None
    closing = call["token"] + _END
    if not text.startswith(closing, end):
        return Found((Call(call["name"], given),), end) if over and end == len(text) else None
    return Found((Call(call["name"], given),), end + len(closing))


class _Nest(Struct):
    """Reads the tags of one call."""

    text: str
    token: str
    types: Types

    def members(self, at: int, schema: object = None, deep: int = 0) -> tuple[str, int]:
        """Tags in a row as an object, and the place after them and their blanks. Raises ValueError."""
        known = self.types.properties if deep == 0 else self.types.shape.properties(schema)
        given: list[str] = []
        while tag := self._tag(at):
            value, at = self._value(tag, known.get(tag[1]), deep)
            given.append(f"{quoted(tag[1])}: {value}")
        return f"{{{', '.join(given)}}}", skip(self.text, at)

    def _items(self, at: int, schema: object, deep: int) -> tuple[str, int]:
        given: list[str] = []
        while (tag := self._tag(at)) and tag[1] == "item":
            value, at = self._value(tag, self.types.shape.items(schema, len(given)), deep)
            given.append(value)
        return f"[{', '.join(given)}]", skip(self.text, at)

    def _tag(self, at: int) -> re.Match[str] | None:
        at = skip(self.text, at)
        return _TAG.match(self.text, at + len(self.token)) if self.text.startswith(self.token, at) else None

    def _value(self, tag: re.Match[str], schema: object, deep: int) -> tuple[str, int]:
        """What stands in this tag as JSON, and the place after its closing tag."""
        if deep > DEEPEST:
            raise ValueError("too deep")
        closing = f"{self.token}</{tag[1]}>"
        kinds = self.types.shape.kinds(schema) if schema is not None else None
        inner = self._tag(tag.end())
        if inner is None or (kinds is not None and "string" in kinds):
            end = self.text.find(closing, tag.end())
            if end < 0:
                raise ValueError("a value without an end")
            written = self.text[tag.end() : end]
            empty = "" if written.strip() or kinds is None else _EMPTY.get(kinds, "")
            return empty or self.types.fitted(schema, written), end + len(closing)
        listed = inner[1] == "item" and (kinds is None or "array" in kinds)
        value, end = (self._items if listed else self.members)(tag.end(), schema, deep + 1)
        if not self.text.startswith(closing, end):
            raise ValueError("a tag without an end")
        return value, end + len(closing)


MINIMAX_M3: Final = Syntax(
    name="minimax-m3",
    models="MiniMax M3",
    example=f'{TOKEN}<tool_call>\n{TOKEN}<invoke name="get_time">{TOKEN}<city>Paris{TOKEN}</city>{TOKEN}</invoke>\n'
    f"{TOKEN}</tool_call>",
    names=models(r"minimax-?m3"),
    signs=(TOKEN,),
    openers=(f"{TOKEN}<tool_call>", f"{TOKEN}<invoke name=", "<tool_call>", "<invoke name="),
    heads=(
        "<invokename=",
        f"{TOKEN}<tool_call>{TOKEN}<invokename=",
        f"{TOKEN}<invokename=",
        f"{TOKEN}<tool_call><invokename=",
        "<tool_call><invokename=",
    ),
    head=_CALL,
    closers=("</invoke>",),
    tails=(f"{TOKEN}</tool_call>", "</tool_call>"),
    parse=minimax,
    shy=True,
)
