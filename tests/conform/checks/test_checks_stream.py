"""Streams: each kind of fault is found by its check."""

import pytest
from conform.broken import Broken, broken, covers, headed, is_found, made, saying
from msgspec.structs import replace

from understudy.conform.checks import stream

KINDS = ("content_block_start", "content_block_delta", "content_block_stop")


def kind(event):
    return event["type"]


def dropped(*kinds):
    """Without events of these kinds."""
    return lambda events: [e for e in events if kind(e) not in kinds]


def renumbered(events):
    return [e | {"index": e["index"] + 1} if kind(e) in KINDS else e for e in events]


def started(**fields):
    """Blocks of text that open with these fields; None takes one out."""

    def change(events):
        for event in events:
            block = event.get("content_block", {})
            if block.get("type") == "text":
                block.update({k: v for k, v in fields.items() if v is not None})
                event["content_block"] = {k: v for k, v in block.items() if fields.get(k, v) is not None}
        return events

    return change


def misplaced(events):
    delta = {"type": "input_json_delta", "partial_json": "{}"}
    return [e | {"delta": delta} if kind(e) == "content_block_delta" else e for e in events]


def unsigned(events):
    return [e for e in events if e.get("delta", {}).get("type") != "signature_delta"]


def hollow(events):
    """An empty block of text behind the last one."""
    last = next(place for place, event in enumerate(events) if kind(event) == "message_delta")
    index = events[last - 1]["index"] + 1
    start = {
        "type": "content_block_start",
        "index": index,
        "content_block": {"type": "text", "text": ""},
    }
    return [*events[:last], start, {"type": "content_block_stop", "index": index}, *events[last:]]


ROWS = [
    broken("stream.comes", "a body of JSON", question=lambda body: body | {"stream": False}),
    broken("stream.content-type", "content-type: text/plain", reply=headed(content_type="text/plain")),
    broken("stream.uncompressed", "content-encoding: gzip", reply=headed(content_encoding="gzip")),
    broken(
        "stream.event-lines",
        "has no event: line",
        reply=lambda _, r: replace(
            r, body=b"\n".join(line for line in r.body.split(b"\n") if line[:5] != b"event")
        ),
    ),
    broken("stream.records", "a record is no JSON", records=lambda ev: [*ev, b"event: x\ndata: {\n\n"]),
    broken("stream.records", "the last event is cut", reply=lambda _, r: replace(r, body=r.body[:-1])),
    broken("stream.order", "ends without message_stop", records=dropped("message_stop")),
    broken("stream.order", "before message_start", records=lambda ev: [ev[2], *ev[:2], *ev[3:]]),
    broken("stream.order", "without a message_delta", records=dropped("message_delta")),
    broken("stream.indices", "block 0 is numbered 1", records=renumbered),
    broken("stream.blocks", "before block 0 has its", records=dropped("content_block_stop")),
    broken("stream.starts", "has its text in it already", records=started(text="Hello")),
    broken("stream.fields", "has no 'text'", records=started(text=None)),
    broken("stream.deltas", "a input_json_delta in a text block", records=misplaced),
    broken("stream.signature", "0 signature_deltas", records=unsigned),
    broken("stream.empty", "has nothing in it", records=hollow),
    broken("stream.silence", "61 s without a byte", reply=lambda _, r: replace(r, silence=61.0)),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_is_found(row):
    is_found(row)


def test_every_check_is_seen_failing():
    covers(ROWS, stream.CHECKS)


def test_without_thinking_nothing_is_said_of_signatures():
    result = made("stream.signature", Broken(message=saying("No.")))
    assert (result.status, result.note) == ("undecided", "no thinking block came in any answer")


def test_without_streams_nothing_is_said_of_them():
    result = made("stream.order", Broken(question=lambda body: body | {"stream": False}))
    assert (result.status, result.note) == ("undecided", "no answer came as a stream")


def test_a_refused_sample_is_another_checks_business():
    server = Broken(refuse=lambda _, body: "tools" in body)
    assert made("stream.order", server).status == "pass"
    assert made("stream.comes", server).status == "fail"
