"""The decoder: every wire means what lies beside it, however it is cut, and a cut one is never finished."""

import re

import msgspec
import pytest
from harness import cuts, feed, feed3, ids, meaning, never_finished_early, story, wires
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.anthropic_stream import Decoder
from understudy.language import errors
from understudy.language.events import Failed, MessageStop, TextDelta, Usage

WIRES = wires("anthropic")
FINISHED = [path for path in WIRES if meaning(path)[-1]["event"] == "MessageStop"]
names = {"argvalues": WIRES, "ids": [path.stem for path in WIRES]}


def decoder():
    return Decoder(ids())


@pytest.mark.parametrize("path", **names)
def test_a_wire_means_what_lies_beside_it(path):
    assert story(feed3(decoder, path.read_bytes())) == meaning(path)


@pytest.mark.parametrize("path", **names)
def test_cuts_do_not_matter(path):
    cuts(decoder, path.read_bytes())


def end_of(wire: bytes) -> int:
    """Where the model's own word that it is done is complete: message_delta, or message_stop where that is missing."""
    record = re.search(rb'data: \{"type":"message_(delta|stop)".*?(\r\n\r\n|\n\n)', wire, re.DOTALL)
    # A reader that sees the CR of the last CRLF alone does not have to wait for its LF.
    return record.end() - (1 if record[2] == b"\r\n\r\n" else 0)


@pytest.mark.parametrize("path", FINISHED, ids=[path.stem for path in FINISHED])
def test_a_cut_answer_is_never_a_finished_one(path):
    wire = path.read_bytes()
    never_finished_early(decoder, wire, end=end_of(wire))


def test_an_end_alone_is_an_empty_answer():
    rows = story(feed3(decoder, record('{"type":"message_stop"}')))
    assert [row["event"] for row in rows] == ["MessageStart", "MessageStop"]


def test_nothing_after_the_end():
    wire = (WIRES[0].parent / "claude-text.sse").read_bytes()
    reader = decoder()
    assert isinstance(reader.feed(wire)[-1], MessageStop)
    assert reader.feed(wire) == []
    assert reader.close() == []


def record(text: str) -> bytes:
    return f"data: {text}\n\n".encode()


START = record('{"type":"message_start","message":{"id":"m"}}')
TEXT = record('{"type":"content_block_start","index":0,"content_block":{"type":"text"}}')
CALL = record(
    '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"T"}}'
)


def delta(text: str) -> bytes:
    return record(f'{{"type":"content_block_delta","index":0,"delta":{text}}}')


# bytes, error, words
FAILURES = [
    (b"", errors.EngineLost, "no events"),
    (b'{"id":"msg_1","type":"message","content":[]}', errors.EngineLost, "no events"),
    (b"<html>502</html>", errors.EngineLost, "no events"),
    (START, errors.EngineLost, "before it was complete"),
    (START + TEXT, errors.EngineLost, "before it was complete"),
    (record('{"error":"out of memory"}'), errors.EngineError, "out of memory"),
    (
        record('{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}'),
        errors.EngineBusy,
        "slow",
    ),
    (record('{"type":"error","error":{"type":"api_error","message":"bug"}}'), errors.EngineError, "bug"),
    (
        record('{"type":"error","error":{"type":"timeout_error","message":"late"}}'),
        errors.EngineTimeout,
        "late",
    ),
    (record('{"type":"error","error":{"type":"new_error","message":"new"}}'), errors.EngineError, "new"),
    (
        record('{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}'),
        errors.EngineRefused,
        "bad",
    ),
    (
        record('{"type":"error","error":{"type":"not_found_error","message":"model: x"}}'),
        errors.NoTarget,
        "model: x",
    ),
    (START + TEXT.replace(b'"text"}', b'"text","text":5}'), errors.EngineError, "read"),
    (START + TEXT + delta('{"type":"text_delta"}'), errors.EngineError, "read"),
    (
        START + record('{"type":"message_delta","delta":{"stop_reason":5}}'),
        errors.EngineError,
        "message_delta",
    ),
    (START + delta('{"type":"text_delta","text":"x"}'), errors.EngineError, "overlap"),
    (
        START + TEXT + delta('{"type":"input_json_delta","partial_json":"{"}'),
        errors.EngineError,
        "outside of a call",
    ),
    (b"data: " + b"x" * 17_000_000, errors.EngineError, "over"),
]


@pytest.mark.parametrize(("wire", "error", "words"), FAILURES)
def test_failures(wire, error, words):
    last = feed(decoder, [wire])[-1]
    assert isinstance(last, Failed)
    assert type(last.error) is error
    assert words in last.error.message


# usage of message_start, of message_delta, what it means
USAGES = [
    ("{}", "{}", Usage(0, None, 0)),
    ("null", "null", Usage(0, None, 0)),
    ('{"input_tokens":5,"output_tokens":1}', '{"output_tokens":9}', Usage(5, None, 9)),
    ('{"input_tokens":0}', '{"input_tokens":7,"output_tokens":9}', Usage(7, None, 9)),
    ('{"input_tokens":7}', '{"input_tokens":0,"output_tokens":9}', Usage(7, None, 9)),
    ('{"input_tokens":7,"cache_read_input_tokens":0}', "{}", Usage(7, 0, 0)),
    (
        '{"input_tokens":7,"cache_read_input_tokens":3,"cache_creation_input_tokens":2}',
        "{}",
        Usage(12, 3, 0, 2),
    ),
    (
        '{"input_tokens":7,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_1h_input_tokens":3}}',
        '{"input_tokens":7,"cache_creation_input_tokens":5,"output_tokens":4}',
        Usage(12, None, 4, 5, 3),
    ),
    ('{"cache_creation":{"ephemeral_1h_input_tokens":3}}', "{}", Usage(0, None, 0, 0, 0)),
    ('{"input_tokens":7,"cache_read_input_tokens":3}', '{"cache_read_input_tokens":0}', Usage(7, 0, 0)),
    ('{"input_tokens":7,"cache_read_input_tokens":null,"new":{}}', "{}", Usage(7, None, 0)),
]


@pytest.mark.parametrize(("first", "last", "expected"), USAGES)
def test_usage_is_the_sum_of_what_was_told(first, last, expected):
    wire = record(f'{{"type":"message_start","message":{{"id":"m","usage":{first}}}}}')
    wire += record(f'{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{last}}}')
    assert feed(decoder, [wire])[-1].usage == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("", "{}"),
        (',"input":{}', "{}"),
        (',"input":null', "{}"),
        (',"input":""', "{}"),
        (',"input":{"a":1.0}', '{"a":1.0}'),
    ],
)
def test_a_call_always_has_an_input(start, expected):
    block = f'{{"type":"tool_use","id":"t","name":"T"{start}}}'
    wire = START + record(f'{{"type":"content_block_start","index":0,"content_block":{block}}}')
    wire += record('{"type":"content_block_stop","index":0}') + record('{"type":"message_stop"}')
    rows = story(feed3(decoder, wire))
    assert rows[2] == {"event": "InputDelta", "json": expected}
    assert rows[-1]["stop_reason"] == "tool_use"


def test_deltas_are_better_than_the_start():
    wire = START + CALL.replace(b'"name":"T"', b'"name":"T","input":{"old":1}')
    wire += record(
        '{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}'
    )
    wire += record('{"type":"message_stop"}')
    assert [row["json"] for row in story(feed(decoder, [wire])) if row["event"] == "InputDelta"] == ["{}"]


PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [START, TEXT, CALL, record('{"type":"message_stop"}'), record("[DONE]"), b"\n\n", b"\r\n", b"data: "]
    ),
    st.sampled_from(
        sorted(["message_start", "content_block_delta", "content_block_stop", "message_delta"])
    ).flatmap(lambda kind: st.integers(0, 2).map(lambda i: record(f'{{"type":"{kind}","index":{i}}}'))),
    st.sampled_from(["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "new"]).flatmap(
        lambda kind: st.integers(0, 2).map(
            lambda i: record(
                f'{{"type":"content_block_delta","index":{i},"delta":{{"type":"{kind}","text":"a","thinking":"b",'
                '"signature":"c","partial_json":"d"}}'
            )
        )
    ),
    st.sampled_from(["text", "thinking", "tool_use", "server_tool_use"]).flatmap(
        lambda kind: st.integers(0, 2).map(
            lambda i: record(
                f'{{"type":"content_block_start","index":{i},"content_block":{{"type":"{kind}"}}}}'
            )
        )
    ),
)


@given(st.lists(PIECES, max_size=12))
def test_the_grammar_holds_whatever_comes(pieces):
    events = feed(decoder, pieces)
    assert story(feed(decoder, [b"".join(pieces)])) == story(events)


@given(st.text())
def test_every_text_survives(text):
    reader = decoder()
    reader.feed(START + TEXT)
    head = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":'
    out = reader.feed(head + msgspec.json.encode(text) + b"}}\n\n")
    assert out == ([TextDelta(text)] if text else [])
