"""Calls as tags with named values inside: the parser.

    <function=Read>                              <tool_call>Read
    <parameter=file_path>                        <arg_key>file_path</arg_key>
    a                                            <arg_value>a</arg_value>
    </parameter>                                 </tool_call>
    </function>

Families differ in their tags, not in what they mean: the tags are given as regular expressions.
"""

import re
from typing import Final

from msgspec import Struct

from understudy.stages.jsonread import depth, skip, value_end
from understudy.stages.syntax import Call, Found, Lazy, SchemaOf
from understudy.stages.typed import Types, is_framed, members, quoted, unframed

_CDATA: Final = ("<![CDATA[", "]]>")


class Tags(Struct, frozen=True):
    """The parser.

    Attributes:
        call: fits what opens a call; its group is the name.
        begins: fits the beginning of what opens a call.
        end: fits what closes a call.
        outer_end: fits what closes several calls, or a call whose own end was forgotten; it stays where it is.
        value: fits what opens a value; its groups: `key`, and `type` where the family says "string".
        edge: fits the beginning of what opens a value, and as its group `end` what closes one.
        next: fits what may follow a value.
        last_resort: where a value without an end is taken to end once the answer is over; `end`: at a tag of its own.
        framed: whether one line break on each side of a value is layout. If not, only where both are there.
        cdata: whether a value may be wrapped in CDATA.
    """

    call: Lazy
    begins: Lazy
    end: Lazy
    outer_end: Lazy
    value: Lazy
    edge: Lazy
    next: Lazy
    last_resort: Lazy
    framed: bool = False
    cdata: bool = False

    def __call__(self, text: str, schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """See `Parse`. What stands inside may also be the arguments as JSON."""
        call = self.call.match(text)
        if call is None:
            return None
        name = call[1].strip()
        at = skip(text, call.end())
        if text[at : at + 1] == "{":
            return self._json_body(text, name, at, over=over)
        return _Values(self, text, name, schema_of(name), over=over).read(at)

    def _json_body(self, text: str, name: str, at: int, *, over: bool) -> Found | None:
        """<function=Read>{"file_path": "a"}</function>, as Llama writes it."""
        end = value_end(text, at)
        if end is None:
            closing = self.end.search(text, at)
            end = closing.start() if closing else len(text)
            if not over and depth(text[at:end]) != 0:
                return None
        close = self.end.match(text, skip(text, end))
        if close:
            return Found((Call(name, text[at:end]),), close.end())
        return Found((Call(name, text[at:end]),), end) if over else None


class _Span(Struct, frozen=True):
    """Where a value stops, and where its closing tag does."""

    start: int
    stop: int


class _Values:
    """Reads the values of one call."""

    def __init__(self, tags: Tags, text: str, name: str, schema: bytes | None, *, over: bool) -> None:
        self._tags = tags
        self._text = text
        self._name = name
        self._over = over
        self._types = Types(schema)
        self._given: dict[str, str] = {}

    def read(self, at: int) -> Found | None:
        """What cannot be read between two tags is passed over: one bad tag must not lose the call, nor the reply."""
        end = at
        while True:
            at = skip(self._text, at)
            if closing := self._tags.end.match(self._text, at):
                return self._found(closing.end())
            if self._tags.outer_end.match(self._text, at):
                return self._found(at)
            if tag := self._tags.value.match(self._text, at):
                value = self._value(tag)
                if value is None:
                    return self._cut(tag) if self._over else None
                at = end = value
            elif self._tags.begins.match(self._text, at) or (at := self._text.find("<", at + 1)) < 0:
                return self._found(end) if self._over else None

    def _found(self, end: int) -> Found:
        return Found((Call(self._name, members(self._given) + "}"),), end)

    def _cut(self, tag: re.Match[str]) -> Found:
        """A value without an end. It stays open in the JSON too, so that nobody takes it for the whole."""
        rest = members({**self._given, tag["key"].strip(): quoted(self._text[tag.end() :])[:-1]})
        return Found((Call(self._name, rest),), len(self._text))

    def _value(self, tag: re.Match[str]) -> int | None:
        """Take the value of this tag; gives where its closing tag ends, None if it does not."""
        key, start = tag["key"].strip(), tag.end()
        inside = self._cdata_end(start)
        stop = self._stop(inside or start, key) or (self._any_stop(inside or start) if self._over else None)
        if stop is None:
            return None
        value = self._text[start : stop.start]
        told = tag.groupdict().get("type") == "string"
        value = value[len(_CDATA[0]) : -len(_CDATA[1])] if inside else self._bare(value)
        self._given[key] = quoted(value) if told else self._types.written(key, value)
        return stop.stop

    def _cdata_end(self, at: int) -> int | None:
        if not self._tags.cdata or not self._text.startswith(_CDATA[0], at):
            return None
        end = self._text.find(_CDATA[1], at)
        return end + len(_CDATA[1]) if end >= 0 else None

    def _bare(self, value: str) -> str:
        return unframed(value) if self._tags.framed or is_framed(value) else value

    def _stop(self, at: int, key: str) -> _Span | None:
        """The closing tag of this value: those of tags inside it are theirs, and text may follow them."""
        deep = 1
        for edge in self._tags.edge.each(self._text, at):
            if edge["end"] is None:
                if deep == 1 and self._begins_another(edge, key):
                    return _Span(edge.start(), edge.start())
                deep += 1
            elif deep > 1:
                deep -= 1
            elif self._tags.next.match(self._text, edge.end()):
                return _Span(edge.start(), edge.end())
        return None

    def _begins_another(self, edge: re.Match[str], key: str) -> bool:
        """A line that opens a value of the tool that has not been given: the closing tag was forgotten."""
        line = self._text.rfind("\n", 0, edge.start())
        if line < 0 or self._text[line : edge.start()].strip():
            return False
        tag = self._tags.value.match(self._text, edge.start())
        if tag is None or tag["key"] in (key, *self._given):
            return False
        return self._types.knows(tag["key"])

    def _any_stop(self, at: int) -> _Span | None:
        tag = self._tags.last_resort.search(self._text, at)
        if tag is None:
            return None
        return _Span(tag.start(), tag.start() if tag["end"] is None else tag.end())
