"""What engines answer in OpenAI's dialect, and what each wire means, however its bytes are cut."""

import json
from pathlib import Path

import pytest
from harness import cuts, feed, feed3, ids, meaning, never_finished_early, story, truncations, wires
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.dialects import sse
from understudy.dialects.openai_decode import GIVEN_UP, REASONS, Decoder, arguments, fault
from understudy.dialects.openai_wire import ABSENT, Raw
from understudy.language import errors
from understudy.language.events import Failed, MessageStart, MessageStop, Progress, Usage
from understudy.language.message import collect

STREAMS = wires("openai")
WHOLES = wires("openai", "json")
RECORDED = Path(__file__).parents[3] / "shared" / "data" / "wire" / "wire.jsonl"


def make():
    return Decoder(ids())


def name(path):
    return path.stem


def stream(*choices, done=True, **more):
    """A stream of these choices."""
    records = [json.dumps({"choices": [c], **more}) for c in choices]
    return "".join(f"data: {r}\n\n" for r in [*records, *(["[DONE]"] if done else [])]).encode()


def said(text):
    return {"delta": {"content": text}}


def piece(index, text=None, key=None, called=None):
    function = {k: v for k, v in (("name", called), ("arguments", text)) if v is not None}
    part = {k: v for k, v in (("index", index), ("id", key), ("function", function)) if v is not None}
    return {"delta": {"tool_calls": [part]}}


STOP = {"delta": {}, "finish_reason": "stop"}


@pytest.mark.parametrize("wire", STREAMS, ids=name)
def test_each_wire_means_what_is_written_beside_it(wire):
    assert story(feed3(make, wire.read_bytes())) == meaning(wire)


@pytest.mark.parametrize("wire", WHOLES, ids=name)
def test_an_engine_that_ignores_stream(wire):
    assert story(feed3(make, wire.read_bytes(), trailing=b" \n")) == meaning(wire)


@pytest.mark.parametrize("wire", STREAMS + WHOLES, ids=name)
def test_cuts_do_not_matter(wire):
    cuts(make, wire.read_bytes(), times=20)


@pytest.mark.parametrize("wire", STREAMS, ids=name)
def test_a_cut_stream_is_never_a_finished_one(wire):
    data = wire.read_bytes()
    if meaning(wire)[-1]["event"] == "Failed":
        assert all(isinstance(events[-1], Failed) for _, events in truncations(make, data))
        return
    blank = b"\r\n\r\n" if b"\r\n" in data else b"\n\n"
    never_finished_early(make, data, end=data.index(blank, data.rindex(b'"finish_reason":"')) + 1)


@pytest.mark.parametrize("wire", WHOLES, ids=name)
def test_a_cut_body_is_never_a_finished_one(wire):
    data = wire.read_bytes().rstrip()
    never_finished_early(make, data, end=len(data))


def test_after_finish_reason_the_end_of_bytes_is_the_end_and_usage_is_waited_for():
    data = next(w for w in STREAMS if w.stem == "vllm-text").read_bytes()
    finish = data.index(b"\n\n", data.index(b'"stop"')) + 2
    for length, events in truncations(make, data):
        if length >= finish:
            assert isinstance(events[-1], MessageStop)
    assert not [e for e in make().feed(data[:finish]) if isinstance(e, MessageStop)]
    assert feed(make, [data])[-1].usage == Usage(4211, 4192, 12)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_hurt(pieces):
    assert isinstance(feed(make, pieces)[-1], Failed)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
CALLS = st.lists(st.dictionaries(TEXTS, TEXTS | st.integers(), max_size=3), max_size=3)


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=3), CALLS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_whatever_is_said_comes_out_complete(texts, thoughts, calls, dice):
    """Pieces of the calls alternate at random; each call's own order is kept."""
    records = [{"delta": {"reasoning_content": t}} for t in thoughts] + [said(t) for t in texts]
    queues = []
    for i, call in enumerate(calls):
        text = json.dumps(call)
        at = dice.randint(0, len(text))
        queues.append([piece(i, text[:at], f"call_{i}x", "f"), piece(i, text[at:])])
    while queues:
        queue = dice.choice(queues)
        records.append(queue.pop(0))
        queues = [q for q in queues if q]
    wire = stream(*records, STOP)
    at = dice.randint(0, len(wire))
    message = collect(feed(make, [wire[:at], wire[at:]]))
    uses = sorted((b.id, json.loads(b.input)) for b in message.blocks if hasattr(b, "input"))
    assert uses == [(f"call_{i}x", call) for i, call in enumerate(calls)]
    plain = [b.text for b in message.blocks if not hasattr(b, "input")]
    assert "".join(plain) == "".join(thoughts + texts)
    assert message.stop_reason == ("tool_use" if calls else "end_turn")


@pytest.mark.parametrize(("reason", "expected"), [*REASONS.items(), ("never heard of", "end_turn")])
def test_finish_reasons(reason, expected):
    assert feed(make, [stream(said("x"), {"finish_reason": reason})])[-1].stop_reason == expected


@pytest.mark.parametrize("reason", sorted(GIVEN_UP))
def test_an_answer_the_engine_gave_up(reason):
    last = feed(make, [stream(said("x"), {"finish_reason": reason})])[-1]
    assert isinstance(last.error, errors.EngineLost)
    assert reason in last.error.message


def test_done_without_finish_reason_is_no_end():
    assert isinstance(feed(make, [stream(said("all there is"))])[-1].error, errors.EngineLost)


@pytest.mark.parametrize(("mark", "expected"), [("END", "END"), (151645, None), (None, None)])
@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
def test_stop_strings(field, mark, expected):
    last = feed(make, [stream(said("x"), {"finish_reason": "stop", field: mark})])[-1]
    assert last.stop_sequence == expected
    assert last.stop_reason == ("stop_sequence" if expected else "end_turn")


def test_a_stop_string_after_a_call_is_still_a_call():
    last = feed(make, [stream(piece(0, "{}", "a", "f"), {"finish_reason": "stop", "stop_reason": "END"})])[-1]
    assert (last.stop_reason, last.stop_sequence) == ("tool_use", None)


def test_calls_in_a_row_are_passed_on_as_they_come():
    decoder = make()
    decoder.feed(stream(piece(0, '{"a":1}', "a", "f"), done=False))
    now = decoder.feed(stream(piece(1, '{"b"', "b", "g"), done=False))
    assert [type(e).__name__ for e in now] == ["BlockStop", "BlockStart", "InputDelta"]


def test_a_brace_inside_a_string_ends_no_call():
    wire = stream(
        piece(0, '{"code":"}', "a", "f"),
        piece(1, "{}", "b", "g"),
        piece(0, '"'),
        piece(0, "}"),
        piece(0, " "),
        STOP,
    )
    assert [b.input for b in collect(feed(make, [wire])).blocks] == ['{"code":"}"}', "{}"]


def test_what_follows_a_whole_call_is_dropped():
    wire = stream(piece(0, "{}", "a", "f"), said("x"), piece(0, "{}"), STOP)
    assert [getattr(b, "input", "") for b in collect(feed(make, [wire])).blocks] == ["{}", ""]


def test_a_call_that_never_got_a_name_is_still_seen():
    blocks = collect(feed(make, [stream(piece(0, "{}", "a"), said("x"), STOP)])).blocks
    assert (blocks[0].name, blocks[0].input, blocks[1].text) == ("", "{}", "x")


def test_thinking_that_waits_for_a_call():
    late = {"delta": {"reasoning": "h"}}
    wire = stream(piece(0, "{", "a", "f"), late, {"delta": {"reasoning": "m"}}, piece(0, "}"), STOP)
    blocks = collect(feed(make, [wire])).blocks
    assert (blocks[0].input, blocks[1].text) == ("{}", "hm")


def test_progress_comes_before_anything_has_begun():
    wire = next(w for w in STREAMS if w.stem == "llamacpp-progress-timings").read_bytes()
    first = make().feed(wire[: wire.index(b"\n\n") + 2])
    assert first == [Progress(12160, 12345, 12032)]


def test_progress_beside_text_begins_the_answer():
    wire = stream(said("x"), done=False, prompt_progress={"total": 9, "cache": 1, "processed": 9})
    events = make().feed(wire)
    assert isinstance(events[0], Progress)
    assert isinstance(events[1], MessageStart)


USAGES = [
    ({"usage": {"prompt_tokens": 5, "completion_tokens": 2}}, Usage(5, None, 2)),
    ({"usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}}, Usage(5, 4, 0)),
    ({"usage": {"prompt_tokens": 5, "prompt_tokens_details": {}}}, Usage(5, None, 0)),
    ({"usage": {"prompt_tokens": 5, "prompt_cache_hit_tokens": 3}}, Usage(5, 3, 0)),
    ({"usage": {"prompt_tokens": None, "completion_tokens": None}}, Usage(0, None, 0)),
    ({"timings": {"cache_n": 4, "prompt_n": 1, "predicted_n": 7}}, Usage(5, 4, 7)),
    ({"timings": {"prompt_n": 3}}, Usage(3, None, 0)),
    (
        {"timings": {"cache_n": 4, "prompt_n": 1}, "usage": {"prompt_tokens": 6, "completion_tokens": 7}},
        Usage(6, 4, 7),
    ),
    ({"usage": None, "timings": None}, Usage()),
]


@pytest.mark.parametrize(("more", "expected"), USAGES)
def test_usage(more, expected):
    assert feed(make, [stream(said("x"), STOP, **more)])[-1].usage == expected


FAULTS = [
    ({"error": {"message": "m", "code": 503}}, errors.EngineBusy),
    ({"error": {"message": "m", "code": 429}}, errors.EngineBusy),
    ({"error": {"message": "m", "code": 400}}, errors.EngineRefused),
    ({"error": {"message": "m", "code": "model_not_found"}}, errors.NoTarget),
    ({"error": {"message": "m", "code": None, "type": "overloaded_error"}}, errors.EngineBusy),
    ({"error": {"message": "m", "code": 7, "type": "timeout_error"}}, errors.EngineTimeout),
    ({"error": {"message": "m", "code": "who knows"}}, errors.EngineError),
    ({"error": "m"}, errors.EngineError),
    ({"error": {"message": "m", "code": []}}, errors.EngineError),
    ({"object": "error", "message": "m", "code": 400}, errors.EngineRefused),
    ({"object": "error", "message": "m", "type": "BadRequestError"}, errors.EngineRefused),
    ({"error": {"message": "prompt is too long: 9 tokens > 8 maximum", "code": 400}}, errors.PromptTooLong),
    (
        {"error": {"message": "x", "type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 8}},
        errors.PromptTooLong,
    ),
]


@pytest.mark.parametrize(("record", "expected"), FAULTS)
def test_errors_inside_a_stream(record, expected):
    data = json.dumps(record).encode()
    assert type(fault(data)) is expected
    for wire in (
        b"data: " + data + b"\n\ndata: [DONE]\n\n",
        stream(said("x"), done=False) + b"data: " + data + b"\n\n",
        data,
    ):
        last = feed3(make, wire, trailing=b"\n")[-1]
        assert type(last.error) is expected


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (ABSENT, ""),
        (Raw(b"null"), ""),
        (Raw(b'"{\\"a\\":1}"'), '{"a":1}'),
        (Raw(b'{"a": 1}'), '{"a": 1}'),
        (Raw(b'""'), ""),
    ],
)
def test_arguments_as_text_or_object(raw, text):
    assert arguments(raw) == text


@pytest.mark.parametrize("wire", [b"", b" \n", b"<html>bad gateway</html>", b"\n: ping\n\n"])
def test_nothing_is_no_answer(wire):
    assert isinstance(feed(make, [wire])[-1].error, errors.EngineLost)


def test_json_that_is_no_answer_says_so():
    last = feed(make, [b'{"detail": "hello"}'])[-1]
    assert type(last.error) is errors.EngineError
    assert "hello" in last.error.message
    assert "cannot be read" in feed(make, [b'{"choices": 5}'])[-1].error.message


def test_empty_records_are_passed_over():
    assert isinstance(feed(make, [b"data: \n\ndata:  \n\n" + stream(said("x"), STOP)])[-1], MessageStop)


def test_an_engine_gone_mad(monkeypatch):
    monkeypatch.setattr("understudy.dialects.openai_decode.RECORD_LIMIT", 50)
    assert "50 bytes" in feed(make, [b"{", b" " * 60])[-1].error.message
    decoder = make()
    decoder._sse = sse.SseReader(limit=50)
    assert "50 bytes" in decoder.feed(b"data: " + b"x" * 60)[-1].error.message
    assert decoder.feed(b"data: more") == decoder.close() == []


def test_recorded_streams_of_openai_itself():
    if not RECORDED.exists():
        pytest.skip("the recorded exchanges are not part of the project; they lie beside it on some machines")
    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    chats = [row for row in rows if row["api"] == "openai_chat" and row["status"] == 200]
    assert len(chats) > 40
    for row in chats:
        wire = row["sse"] if "sse" in row else json.dumps(row["json"])
        events = feed(make, [wire.encode()])
        assert isinstance(events[-1], MessageStop), row["id"]
        if "json" in row:
            said_there = row["json"]["choices"][0]["message"]
            texts = [b.text for b in collect(events).blocks if hasattr(b, "text")]
            assert "".join(texts) == (said_there["content"] or ""), row["id"]
            assert events[-1].usage.input_tokens == row["json"]["usage"]["prompt_tokens"]
