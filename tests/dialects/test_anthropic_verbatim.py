"""Bytes that pass untouched: what a client gets is what the API sent, and a cut answer is never a finished one."""

import json
import re

import pytest
from harness import feed, ids, meaning, story, wires
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects import anthropic_verbatim, sse
from understudy.dialects.anthropic import DIALECT
from understudy.dialects.anthropic_verbatim import STOP, Records, StreamReader, WholeReader
from understudy.language import errors
from understudy.language.events import Failed, MessageStart, MessageStop, Usage, Verbatim
from understudy.language.message import collect
from understudy.language.request import Request, Text, Thinking

WIRES = wires("anthropic")
names = {"argvalues": WIRES, "ids": [path.stem for path in WIRES]}
FINISHED = [path for path in WIRES if meaning(path)[-1]["event"] == "MessageStop"]
finished = {"argvalues": FINISHED, "ids": [path.stem for path in FINISHED]}


def reader():
    return StreamReader(ids())


def sent(events):
    """The bytes that a client gets."""
    return b"".join(event.data for event in events if isinstance(event, Verbatim))


def told(events):
    return story(event for event in events if not isinstance(event, Verbatim))


@pytest.mark.parametrize("path", **names)
def test_the_events_are_those_of_the_decoder(path):
    assert told(feed(reader, [path.read_bytes()])) == meaning(path)


@pytest.mark.parametrize("path", **names)
def test_however_it_is_cut(path):
    wire = path.read_bytes()
    whole = feed(reader, [wire])
    for size in (1, 2, 7, 100):
        cut = feed(reader, [wire[at : at + size] for at in range(0, len(wire), size)])
        assert told(cut) == told(whole)
        assert sent(cut) == sent(whole)


def up_to_the_end(wire: bytes) -> bytes:
    end = re.search(rb'"type": ?"message_stop".*?(\r\n\r\n|\n\n)', wire)
    return wire[: end.end()] if end else wire + STOP


@pytest.mark.parametrize("path", **finished)
def test_the_bytes_are_the_engines_own(path):
    wire = path.read_bytes()
    assert sent(feed(reader, [wire])) == up_to_the_end(wire)
    if b"message_stop" in wire:
        assert sent(feed(reader, [wire + b"event: ping\ndata: {}\n\n"])) == up_to_the_end(wire)


@pytest.mark.parametrize("path", **finished)
def test_what_is_cut_leaves_whole_records_and_no_end(path):
    wire = path.read_bytes()
    for length in range(len(wire)):
        events = feed(reader, [wire[:length]])
        data = sent(events)
        if isinstance(events[-1], Failed):
            assert isinstance(events[-1].error, errors.EngineError)
            assert b"message_stop" not in data
            assert wire.startswith(data)
            assert re.fullmatch(rb"(?s)(?:.*(?:\n\n|\r\n\r\n))?", data)
        else:  # the model has said that it is done; only the last record is missing
            assert b"message_delta" in wire[:length]
            assert data.endswith(STOP) or data == up_to_the_end(wire)


@pytest.mark.parametrize("path", **names)
def test_nothing_is_passed_on_before_the_answer_has_begun(path):
    wire = b": hello\n\nevent: ping\ndata: {}\n\n" + path.read_bytes()
    subject, early = reader(), []
    for at in range(len(wire)):
        early = subject.feed(wire[at : at + 1])
        if early:
            break
    first = early or subject.close()
    if any(isinstance(event, MessageStart) for event in first):
        assert first[0].data.startswith(b": hello\n\nevent: ping")
    else:
        assert not sent(first)


def record(kind: str, **more) -> bytes:
    return sse.record(kind.encode(), json.dumps({"type": kind, **more}).encode())


START = record("message_start", message={"id": "m", "usage": {"input_tokens": 3}})
ERROR = record("error", error={"type": "overloaded_error", "message": "Overloaded"})


def test_an_error_is_told_and_its_bytes_are_not():
    events = feed(reader, [START + ERROR + START])
    assert [type(event) for event in events] == [Verbatim, MessageStart, Failed]
    assert sent(events) == START
    assert isinstance(events[-1].error, errors.EngineBusy)


def test_a_ping_passes_alone():
    subject = reader()
    subject.feed(START)
    ping = record("ping")
    assert subject.feed(ping) == [Verbatim(ping)]
    assert subject.text(b"data: x\n\n") == ""


def test_blocks_that_nobody_here_knows_pass():
    odd = record("content_block_start", index=0, content_block={"type": "dream", "of": ["sheep"]})
    more = record("content_block_delta", index=0, delta={"type": "dream_delta", "more": 1})
    wire = START + odd + more + record("content_block_stop", index=0) + STOP
    events = feed(reader, [wire])
    assert sent(events) == wire
    assert [type(event).__name__ for event in events] == ["Verbatim", "MessageStart", "MessageStop"]


def test_a_record_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(sse, "RECORD_LIMIT", 100)
    subject = reader()
    subject.feed(START[:50])
    events = subject.feed(b"x" * 100)
    assert isinstance(events[-1].error, errors.EngineError)
    assert subject.feed(STOP) == []
    assert subject.close() == []


LINES = st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"data: a", b"x"]), max_size=20).map(b"".join)


@given(LINES, st.integers(1, 5))
def test_records_are_cut_where_the_standard_cuts_them(data, size):
    """A CR at the end of all bytes may have been half of a line's end: what it ends is never told."""
    whole = Records().feed(data)
    pieces = Records()
    cut = [one for at in range(0, len(data), size) for one in pieces.feed(data[at : at + size])]
    assert b"".join(whole) == b"".join(cut)
    assert data.startswith(b"".join(whole))
    for one in whole:
        assert re.search(rb"(?:\r\n|\n|\r){2}\Z", one)


# ---- toward the client ----


@pytest.mark.parametrize("path", **finished)
def test_the_encoder_adds_nothing(path):
    wire = path.read_bytes()
    subject, encoder = reader(), DIALECT.encoder(Request("m", ()), "shown")
    out = b"".join(encoder.encode(subject.feed(wire[at : at + 50])) for at in range(0, len(wire), 50))
    assert out + encoder.encode(subject.close()) == up_to_the_end(wire)


def test_the_encoder_says_how_it_failed():
    encoder = DIALECT.encoder(Request("m", ()), "shown")
    out = encoder.encode(feed(reader, [START + ERROR]))
    assert out.startswith(START + b"event: error\ndata: ")
    assert json.loads(out.split(b"data: ")[-1])["error"]["type"] == "overloaded_error"
    assert encoder.more("late") == b""


# ---- not streamed ----

ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "thinking", "thinking": "Ha."},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "text", "text": "é", "citations": [{"type": "page", "n": 1}]},
        {"type": "tool_use", "id": "toolu_1", "name": "T", "input": {"a": 1.0}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 9},
    "context_management": {"applied_edits": []},
}


def whole():
    return WholeReader(ids())


def body(**changes) -> bytes:
    return json.dumps({**ANSWER, **changes}, indent=1, ensure_ascii=False).encode()


def test_a_whole_answer_is_read_and_passes():
    events = feed(whole, [body()])
    assert story(feed(whole, [body()[at : at + 9] for at in range(0, len(body()), 9)])) == story(events)
    message = collect(events)
    assert message.raw == body()
    *said, call = message.blocks
    assert said == [Thinking("Hm.", "sig"), Thinking("Ha."), Text("é")]
    assert (call.id, call.name, json.loads(call.input)) == ("toolu_1", "T", {"a": 1.0})
    assert (message.id, message.model, message.stop_reason) == ("msg_1", "claude-x", "tool_use")
    assert message.usage == Usage(7, 2, 9)
    assert DIALECT.whole(message, Request("m", ()), "shown") == body()


@pytest.mark.parametrize(
    ("changes", "stop"),
    [
        ({"stop_reason": "stop_sequence", "stop_sequence": "###"}, MessageStop("stop_sequence", "###")),
        ({"stop_reason": "end_turn", "stop_sequence": "###"}, MessageStop("end_turn")),
        ({"stop_reason": "of next year"}, MessageStop("tool_use")),
        ({"stop_reason": None, "content": []}, MessageStop("end_turn")),
    ],
)
def test_how_it_ends(changes, stop):
    events = feed(whole, [body(usage=None, **changes)])
    assert events[-1] == stop


def test_an_answer_without_an_id_gets_one():
    assert feed(whole, [body(id="")])[1].id == "msg_1"
    assert whole().text(b"x") == ""


@pytest.mark.parametrize("length", range(0, len(body()), 7))
def test_a_cut_one_is_lost(length):
    (failed,) = feed(whole, [body()[:length]])
    assert isinstance(failed.error, errors.EngineLost)


@pytest.mark.parametrize("data", [b'{"type":"error","error":{}}', b"[]", b'{"type":"message","content":1}'])
def test_what_is_no_message_is_refused(data):
    (failed,) = feed(whole, [data])
    assert type(failed.error) is errors.EngineError
    assert "no message" in failed.error.message


def test_an_endless_one_is_given_up(monkeypatch):
    monkeypatch.setattr(anthropic_verbatim, "LIMIT", 10)
    subject = whole()
    assert subject.feed(b"x" * 8) == []
    (failed,) = subject.feed(b"x" * 8)
    assert type(failed.error) is errors.EngineError
