"""JSON text as it stands: where its values are, and how to change some of them while every other byte stays.

For JSON that has been read before and is known to be right; what is not leads to nonsense, never to an endless loop. Places
are counted in bytes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING = re.compile(STRING)
_MARK = re.compile(STRING + rb"|[{}\[\]]")
_SCALAR = re.compile(rb"[^\s,\]}]*+")
_KEY = re.compile(rb"[\s,{]*+(" + STRING + rb")\s*+:\s*+")
_BETWEEN = re.compile(rb"[\s,]*+")
_BLANK = re.compile(rb"\s*+")

BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are no JSON of the wanted shape, or JSON nested too deeply: all three, always."""

_read = msgspec.json.Decoder(str).decode


class Span(NamedTuple):
    """Where a value stands."""

    start: int
    end: int

    def of(self, data: bytes) -> bytes:
        """Its bytes."""
        return data[self.start : self.end]


class Patch(NamedTuple):
    """What shall stand in a value's place."""

    span: Span
    new: bytes


def whole(data: bytes) -> Span:
    """The one value of a text."""
    start = _after(_BLANK, data, 0)
    return Span(start, end_of(data, start))


def end_of(data: bytes, start: int) -> int:
    """Where the value ends that begins there."""
    first = data[start : start + 1]
    if first == b'"':
        return _after(_STRING, data, start)
    if first not in (b"{", b"["):
        return _after(_SCALAR, data, start)
    depth = 0
    for mark in _MARK.finditer(data, start):
        kind = mark[0]
        if kind in (b"{", b"["):
            depth += 1
        elif kind in (b"}", b"]"):
            depth -= 1
            if not depth:
                return mark.end()
    return len(data)


def members(data: bytes, span: Span) -> Iterator[tuple[str, Span]]:
    """The members of an object, in their order: a name that comes twice is told twice."""
    place = span.start
    while (found := _KEY.match(data, place)) and found.end() < span.end:
        place = end_of(data, found.end())
        yield _read(found[1]), Span(found.end(), place)


def member(data: bytes, span: Span, name: str) -> Span | None:
    """The value of that name; of two the last, which is the one that counts."""
    found = [value for key, value in members(data, span) if key == name]
    return found[-1] if found else None


def items(data: bytes, span: Span) -> Iterator[Span]:
    """The items of a list."""
    place = _after(_BETWEEN, data, span.start + 1)
    while place < span.end - 1:
        end = end_of(data, place)
        if end == place:  # nothing that could be a value
            return
        yield Span(place, end)
        place = _after(_BETWEEN, data, end)


def kept(data: bytes, span: Span, new: Sequence[bytes | None]) -> bytes:
    """A list with other bytes in the place of its items; None leaves one out, with one comma."""
    old = list(items(data, span))
    if not old:
        return span.of(data)
    out = [data[span.start : old[0].start]]
    place = -1
    for number, piece in enumerate(new):
        if piece is None:
            continue
        if place >= 0:
            out.append(data[old[number - 1].end : old[number].start])
        out.append(piece)
        place = number
    return b"".join((*out, data[old[-1].end : span.end]))


def patched(data: bytes, patches: Iterable[Patch], span: Span | None = None) -> bytes:
    """The bytes of that span (all of them), with patches that do not overlap."""
    start, end = span or (0, len(data))
    out = []
    for old, new in sorted(patches):
        out += [data[start : old.start], new]
        start = old.end
    return b"".join((*out, data[start:end]))


def _after(pattern: re.Pattern[bytes], data: bytes, place: int) -> int:
    found = pattern.match(data, place)
    return found.end() if found else place
