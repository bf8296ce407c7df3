"""The grammar of streams: each fault is named once, by its kind, and hides no other."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.conform.ideal import events, record
from understudy.conform.stream import read, records

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "7 times 13", "signature": ""},
        {"type": "text", "text": "Hello there."},
        {"type": "tool_use", "id": "toolu_1", "name": "ring_bell", "input": {"colour": "red"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 5},
}
WHOLE = b"".join(events(MESSAGE))
EVENTS = [json.loads(data) for _, data in records(WHOLE)]
START, PING, *BLOCKS, DELTA, STOP = EVENTS
TEXT = [event for event in BLOCKS if event["index"] == 1]


def faults(sent):
    return read(b"".join(map(record, sent))).faults


def block(index, kind="text", **fields):
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def delta(index, kind, **fields):
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index):
    return {"type": "content_block_stop", "index": index}


def around(*inner):
    return [START, *inner, DELTA, STOP]


def text(index, words="x"):
    return [block(index, text=""), delta(index, "text_delta", text=words), stop(index)]


def test_a_good_stream():
    found = read(WHOLE)
    assert found.faults == {}
    assert [("".join(said.pieces), said.kind) for said in found.blocks] == [
        ("7 times 13", "thinking"),
        ("Hello there.", "text"),
        ('{"colour": "red"}', "tool_use"),
    ]
    assert (found.message["id"], found.begun, found.stopped, found.error) == ("msg_1", True, True, None)
    assert found.endings == [DELTA]


def test_other_ends_of_lines_are_no_fault():
    assert read(WHOLE.replace(b"\n", b"\r\n")).faults == {}
    assert list(records(WHOLE.replace(b"\n", b"\r"))) == list(records(WHOLE))


def test_comments_and_data_of_several_lines():
    assert list(records(b": hm\n\nevent: a\ndata: 1\ndata:2\n\ndata: lost")) == [("a", "1\n2")]


CASES = [
    ([PING], {"order": "there is no message_start"}),
    ([START, STOP], {"order": "message_stop comes without a message_delta before it"}),
    ([START, DELTA], {"order": "the stream ends without message_stop"}),
    ([START, START, DELTA, STOP], {"order": "a second message_start"}),
    ([DELTA, START, STOP], {"order": "message_delta comes before message_start"}),
    ([*around(), PING], {}),
    ([*around(), DELTA], {"order": "message_delta comes after message_stop"}),
    ([START, DELTA, *text(0), STOP], {"order": "content_block_start comes after message_delta"}),
    (around(*text(1)), {"indices": "block 0 is numbered 1"}),
    (around(*text(0), *text(2)), {"indices": "block 1 is numbered 2"}),
    (
        around(*text(0), delta(3, "text_delta", text="x")),
        {"indices": "a delta for block 3, which has not started"},
    ),
    (around(stop(0)), {"indices": "a content_block_stop for block 0, which has not started"}),
    (
        around(*text(0)[:2], *text(1)),
        {"blocks": "block 1 starts before block 0 has its content_block_stop"},
    ),
    (
        around(*text(0), delta(0, "text_delta", text="x")),
        {"blocks": "a delta for block 0 after its content_block_stop"},
    ),
    (around(*text(0), stop(0)), {"blocks": "a second content_block_stop for block 0"}),
    (around(*text(0)[:2]), {"blocks": "message_delta comes before block 0 has its content_block_stop"}),
    (
        [START, *text(0)[:2]],
        {"order": "the stream ends without message_stop", "blocks": "block 0 has no content_block_stop"},
    ),
    (
        around(block(0, text="Hi"), delta(0, "text_delta", text="x"), stop(0)),
        {"starts": "content_block_start of a text block has its text in it already"},
    ),
    (
        around(block(0), delta(0, "text_delta", text="x"), stop(0)),
        {"fields": "content_block_start of a text block has no 'text'"},
    ),
    (
        around(block(0, "tool_use", id="a", name="b"), stop(0)),
        {"fields": "content_block_start of a tool_use block has no 'input'"},
    ),
    (
        around(block(0, text=""), delta(0, "thinking_delta", thinking="x"), stop(0)),
        {"deltas": "a thinking_delta in a text block"},
    ),
    (around(block(0, text=""), stop(0)), {"empty": "a text block has nothing in it"}),
    (
        around(
            block(0, "thinking", thinking="", signature=""), delta(0, "thinking_delta", thinking="x"), stop(0)
        ),
        {"signature": "a thinking block has 0 signature_deltas"},
    ),
    (around(block(0, "of_next_year"), delta(0, "new_delta", x=1), stop(0)), {}),
    (around({"type": "of_next_year"}), {}),
]


@pytest.mark.parametrize(("sent", "found"), CASES)
def test_faults(sent, found):
    assert faults(sent) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (WHOLE + b"event: x\ndata: {\n\n", {"records": "a record is no JSON: {"}),
        (WHOLE[:-1], {"records": "the last event is cut: its blank line is missing"}),
        (
            WHOLE.replace(b"event: ping\n", b""),
            {"event-lines": "a record of type 'ping' has no event: line"},
        ),
        (
            WHOLE.replace(b"event: ping", b"event: pong"),
            {"event-lines": "a record of type 'ping' has event: pong"},
        ),
    ],
)
def test_faults_of_records(body, found):
    assert {k: v for k, v in read(body).faults.items() if k != "order"} == found


def test_an_error_ends_a_stream_wherever_it_comes():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    for before in ([], [START], [START, *text(0)[:2]]):
        found = read(b"".join(map(record, [*before, error])))
        assert (found.error, found.faults) == ({"type": "overloaded_error", "message": "later"}, {})


@given(st.integers(0, len(WHOLE) - 1))
def test_no_cut_stream_is_a_whole_one(length):
    found = read(WHOLE[:length])
    assert found.faults
    assert not (found.stopped and "records" not in found.faults)


@given(st.binary(max_size=200))
def test_nothing_raises(body):
    assert read(body).faults


@given(st.permutations(EVENTS))
def test_only_the_ping_may_stand_elsewhere(order):
    still = [event for event in order if event["type"] != "ping"] == [
        e for e in EVENTS if e["type"] != "ping"
    ]
    assert (faults(order) == {}) == still
