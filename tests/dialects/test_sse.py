"""Framing, by the standard's own examples and by what engines do to it."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.sse import LineReader, SseReader, record
from understudy.language.errors import EngineError

# bytes, the data of its events
STREAMS = [
    (b"", []),
    (b"data: a\n\n", [b"a"]),
    (b"data:a\n\n", [b"a"]),
    (b"data:  a\n\n", [b" a"]),
    (b"data: a", []),
    (b"data: a\n", []),
    (b"data: a\r\n\r\n", [b"a"]),
    (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
    (b"data: a\ndata: b\n\n", [b"a\nb"]),
    (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
    (b"data\n\n", []),
    (b"data:\n\n", [b""]),
    (b"event: x\ndata: a\nid: 1\nretry: 5\n\n", [b"a"]),
    (b"event: x\n\n", []),
    (b": comment\n\ndata: a\n\n", [b"a"]),
    (b"data: a\n: between\ndata: b\n\n", [b"a\nb"]),
    (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
    (b"data: a\n\ndata: b", [b"a"]),
    ("data: 你好\n\n".encode(), ["你好".encode()]),
    ("data: a\u2028b\n\n".encode(), ["a\u2028b".encode()]),
    (b"database: a\n\n", []),
    # The fast path, and what only looks like it.
    (b"data: a\n\ndata: b\n\ndata: \n\n", [b"a", b"b", b""]),
    (b"data: a\n\n\ndata: b\n\n", [b"a", b"b"]),
    (b"data: a\n\ndata:b\n\n", [b"a", b"b"]),
    (b"data: a\n\n: c\n\ndata: b\n\n", [b"a", b"b"]),
    (b"data: a\r\n\ndata: b\n\n", [b"a", b"b"]),
]


@pytest.mark.parametrize(("wire", "expected"), STREAMS)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events(wire, expected, size):
    reader = SseReader()
    out = [event for i in range(0, len(wire), size) for event in reader.feed(wire[i : i + size])]
    # A lone CR may be half of a CRLF: what it ends is known with the next byte.
    if wire.endswith(b"\r"):
        out += reader.feed(b":")
    assert out + reader.close() == expected


LINES = [
    (b"", []),
    (b"{}\n", [b"{}"]),
    (b"{}", [b"{}"]),
    (b"{}\r\n{}\r\n", [b"{}", b"{}"]),
    (b"\n\n{}\n  \n[]\n", [b"{}", b"[]"]),
    (b"{}\r", [b"{}"]),
    (b'{"a":1}\n{"b"', [b'{"a":1}', b'{"b"']),
]


@pytest.mark.parametrize(("wire", "expected"), LINES)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines(wire, expected, size):
    reader = LineReader()
    out = [line for i in range(0, len(wire), size) for line in reader.feed(wire[i : i + size])]
    assert out + reader.close() == expected


@pytest.mark.parametrize(
    ("reader", "wire"),
    [
        (SseReader(10), b"data: 0123456789a"),
        (SseReader(10), b"data: 012\ndata: 345\ndata: 678\ndata: 9ab\n"),
        (SseReader(10), b": comment without an end"),
        (LineReader(10), b"0123456789a"),
    ],
)
def test_an_engine_gone_mad_is_stopped(reader, wire):
    with pytest.raises(EngineError, match="over 10 bytes"):
        collections.deque((reader.feed(wire[i : i + 1]) for i in range(len(wire))), maxlen=0)


def test_the_limit_is_for_one_event():
    reader = SseReader(10)
    assert reader.feed(b"data: 0123\n\n" * 50) == [b"0123"] * 50


def test_a_record_is_read_back():
    wire = record(b"ping", b'{"type": "ping"}')
    assert wire == b'event: ping\ndata: {"type": "ping"}\n\n'
    assert SseReader().feed(wire) == [b'{"type": "ping"}']


@given(st.lists(st.binary().filter(lambda data: not {10, 13} & set(data)), max_size=6), st.data())
def test_whatever_the_cuts(payloads, data):
    wire = b"".join(record(b"e", payload) for payload in payloads)
    points = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    reader, out, last = SseReader(), [], 0
    for point in [*points, len(wire)]:
        out += reader.feed(wire[last:point])
        last = point
    assert out == payloads
