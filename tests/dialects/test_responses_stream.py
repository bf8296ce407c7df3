"""The stream of /v1/responses, written: its order, its numbers, and how it ends."""

import itertools
import json

import pytest
from dialects.respond import SHELL, asking, consistent, numbered, records, types, written
from hypothesis import given
from hypothesis import strategies as st
from stages.anyevents import lawful

from understudy.dialects.responses_items import unsealed
from understudy.dialects.responses_stream import CUT, FAULTS, GIVEN_UP
from understudy.language import errors
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.request import Thinking, change

START = MessageStart("msg_e", "engine")
STOP = MessageStop("end_turn", None, Usage(10, 4, 8))


def text(*pieces):
    return [BlockStart("text"), *map(TextDelta, pieces), BlockStop()]


def thought(*pieces):
    return [BlockStart("thinking"), *map(ThinkingDelta, pieces), BlockStop()]


def call(name="run", arguments='{"command": "ls"}', key="toolu_1"):
    return [BlockStart("tool_use", key, name), InputDelta(arguments), BlockStop()]


TEXT = ["output_item.added", "content_part.added", "output_text.delta"]
TEXT_DONE = ["output_text.done", "content_part.done", "output_item.done"]
CALL = [
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
]


def test_an_answer_in_its_order():
    events = written(asking(), [START, *text("Good ", "day"), STOP])
    assert types(events) == [
        "created",
        "in_progress",
        *TEXT,
        "output_text.delta",
        *TEXT_DONE,
        "completed",
    ]
    assert [event.get("delta") for event in events[4:6]] == ["Good ", "day"]
    final = events[-1]["response"]
    assert final["output"] == [
        {
            "type": "message",
            "id": "msg_KEY-0",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Good day", "annotations": [], "logprobs": []}],
        }
    ]
    assert (final["id"], final["status"], final["created_at"], final["completed_at"]) == (
        "resp_KEY",
        "completed",
        1000,
        1001,
    )
    assert final["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    }
    assert events[0]["response"]["usage"] is None
    assert events[0]["response"]["output"] == []


def test_batches_do_not_matter():
    batch = [
        START,
        *thought("h", "m"),
        *text("a", "b"),
        *call(),
        MessageStop("tool_use", None, Usage(1, 0, 2)),
    ]
    whole = written(asking(tools=[SHELL]), batch)
    assert written(asking(tools=[SHELL]), *[[event] for event in batch]) == whole
    for cut in range(len(batch)):
        assert written(asking(tools=[SHELL]), batch[:cut], batch[cut:]) == whole


def test_more_text_is_written_and_kept_as_its_event_would_be():
    one, other = asking(), asking()
    encoders = one.encoder(None, ""), other.encoder(None, "")
    for encoder in encoders:
        encoder.encode([START, BlockStart("text")])
    for piece in ("Hi", "", '"\n', "\ud83d", "你好"):
        assert encoders[0].more(piece) == encoders[1].encode([TextDelta(piece)])
    for encoder in encoders:
        encoder.encode([BlockStop(), STOP])
    assert one.told.items == other.told.items


def test_items_follow_each_other():
    stop = MessageStop("tool_use", None, Usage(1, 0, 8))
    answer = [START, *thought("four"), *text("four"), *call(), *call(key="toolu_2"), stop]
    events = written(asking(tools=[SHELL], reasoning={"summary": "auto"}), answer)
    summary = ["reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done"]
    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        *summary,
        "reasoning_summary_part.done",
        "output_item.done",
        *TEXT,
        *TEXT_DONE,
        *CALL,
        *CALL,
        "completed",
    ]
    final = events[-1]["response"]
    assert [item["id"] for item in final["output"]] == ["rs_KEY-0", "msg_KEY-1", "fc_KEY-2", "fc_KEY-3"]
    assert [item.get("call_id") for item in final["output"][2:]] == ["toolu_1", "toolu_2"]
    assert final["usage"]["output_tokens_details"]["reasoning_tokens"] == round(8 * 4 / (8 + 2 * 17))


def test_a_signature_goes_with_what_was_thought():
    signed = [
        BlockStart("thinking"),
        ThinkingDelta("h"),
        SignatureDelta("a"),
        SignatureDelta("b"),
        BlockStop(),
    ]
    events = written(asking(include=["reasoning.encrypted_content"]), [START, *signed, STOP])
    assert unsealed(events[-1]["response"]["output"][0]["encrypted_content"]) == Thinking("h", "ab")


@pytest.mark.parametrize("reason", CUT)
def test_an_answer_that_was_cut_is_incomplete(reason):
    events = written(asking(), [START, *thought("h"), *text("a"), MessageStop(reason, None, Usage(1, 0, 2))])
    final = events[-1]
    assert final["type"] == "response.incomplete"
    assert final["response"]["status"] == "incomplete"
    assert final["response"]["incomplete_details"] == {"reason": CUT[reason]}
    assert final["response"]["completed_at"] is None
    assert final["response"]["output"][-1]["status"] == "incomplete"
    assert events[-2]["item"]["status"] == "incomplete"


def test_only_the_last_item_of_a_cut_answer_is_incomplete():
    answer = [START, *text("a"), *call(), MessageStop("max_tokens", None, Usage(1, 0, 2))]
    output = written(asking(tools=[SHELL]), answer)[-1]["response"]["output"]
    assert [item["status"] for item in output] == ["completed", "incomplete"]


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "pause_turn"])
def test_all_other_ends_are_complete(reason):
    final = written(asking(), [START, *text("a"), MessageStop(reason)])[-1]
    assert (final["type"], final["response"]["incomplete_details"]) == ("response.completed", None)


def test_an_empty_answer_is_one():
    assert types(written(asking(), [START, STOP])) == ["created", "in_progress", "completed"]


def test_a_call_that_nobody_can_run_is_a_failure():
    events = written(
        asking(tools=[SHELL]), [START, *text("a"), MessageStop("tool_use", None, Usage(1, 0, 2))]
    )
    assert types(events)[-2:] == ["output_text.delta", "failed"]
    assert events[-1]["response"]["error"] == {"code": "server_error", "message": GIVEN_UP}
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"


FAILURES = [
    (errors.PromptTooLong(10, 5), "context_length_exceeded"),
    (errors.Refused("later"), "rate_limit_exceeded"),
    (errors.EngineRefused("no"), "invalid_prompt"),
    (errors.BadRequest("no"), "invalid_prompt"),
    (errors.EngineLost("gone"), "server_error"),
    (errors.EngineBusy("full"), "server_error"),
    (errors.Bug("ours"), "server_error"),
]


@pytest.mark.parametrize(("error", "code"), FAILURES, ids=str)
def test_a_failure_is_the_end(error, code):
    exchange = asking()
    events = written(exchange, [START, *text("a"), BlockStart("text"), TextDelta("b"), Failed(error), STOP])
    final = events[-1]
    assert final["type"] == "response.failed"
    assert final["response"]["status"] == exchange.told.status == "failed"
    assert final["response"]["error"] == {"code": code, "message": error.message}
    assert [item["status"] for item in final["response"]["output"]] == ["completed", "incomplete"]
    assert final["response"]["usage"] is None
    assert FAULTS[-1][0] is errors.UnderstudyError


def test_a_failure_may_come_first_or_between():
    assert types(written(asking(), [Failed(errors.EngineLost("x"))])) == ["created", "in_progress", "failed"]
    stopped = written(asking(), [START, *text("a"), Failed(errors.EngineLost("x"))])
    assert types(stopped)[-1] == "failed"
    assert [item["status"] for item in stopped[-1]["response"]["output"]] == ["incomplete"]


def test_nothing_follows_the_end():
    encoder = asking().encoder(None, "")
    encoder.encode([START, STOP])
    assert encoder.encode([START, *text("a"), Failed(errors.Bug("x"))]) == b""


def test_what_has_no_form_says_nothing():
    encoder = asking().encoder(None, "")
    assert encoder.encode([Progress(1, 2, 0)]) == b""
    encoder.encode([START, BlockStart("text")])
    assert encoder.encode([TextDelta(""), SignatureDelta("s")]) == b""
    assert encoder.encode([BlockStop()]) == b""  # until it is known what follows


def test_halves_of_a_letter_are_replaced():
    events = written(asking(), [START, *text("a\ud83d"), STOP])
    assert events[4]["delta"] == "a\ufffd"
    encoder = asking(tools=[SHELL]).encoder(None, "")
    strange = [BlockStart("tool_use", "c\ud83d", "r\ud83d"), InputDelta("{}"), BlockStop()]
    events = records(encoder.encode([START, *strange, MessageStop("tool_use")]))
    assert (events[2]["item"]["name"], events[2]["item"]["call_id"]) == ("r\ufffd", "c\ufffd")


def test_into_silence_it_says_what_can_be_said():
    encoder = asking().encoder(None, "")
    pings = encoder.ping + encoder.ping + encoder.ping
    events = numbered(records(pings + encoder.encode([START, *text("a"), STOP])))
    assert types(events)[:5] == ["created", "in_progress", "keepalive", "keepalive", "output_item.added"]
    consistent([event for event in events if event["type"] != "keepalive"])


def test_on_the_way_it_can_be_looked_at():
    encoder = asking(background=True).encoder(None, "")
    assert json.loads(encoder.pending())["status"] == "queued"
    encoder.encode([START, *text("a"), *text("b")])
    pending = json.loads(encoder.pending())
    assert (pending["status"], pending["completed_at"], pending["usage"]) == ("in_progress", None, None)
    assert [item["content"][0]["text"] for item in pending["output"]] == ["a"]
    told = encoder.cancelled()
    assert (told.status, told.items) == ("cancelled", ())
    assert json.loads(told.body) == {**pending, "status": "cancelled"}


def test_in_the_background_it_is_queued_first():
    encoder = asking(background=True).encoder(None, "")
    silence = encoder.ping + encoder.ping
    events = numbered(records(silence + encoder.encode([START, STOP])))
    assert types(events) == ["created", "queued", "keepalive", "in_progress", "completed"]
    assert [event["response"]["status"] for event in events if "response" in event] == [
        "queued",
        "queued",
        "in_progress",
        "completed",
    ]


@given(st.text(max_size=60), st.lists(st.integers(0, 100), max_size=6))
def test_deltas_add_up_however_they_are_cut(words, cuts):
    events = written(asking(), lawful(words, cuts))
    final = events[-1]["response"]
    assert final["output"][0]["content"][0]["text"] == words


BLOCKS = st.lists(
    st.one_of(
        st.lists(st.text(max_size=5), max_size=3).map(lambda pieces: text(*pieces)),
        st.lists(st.text(max_size=5), max_size=3).map(lambda pieces: thought(*pieces)),
        st.sampled_from(
            [
                call(),
                call("patch", '{"input": "x"}'),
                call("shell", '{"commands": ["ls"]}'),
                call("unknown"),
            ]
        ),
    ),
    max_size=6,
)
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "reasoning": st.just({"summary": "auto"}),
        "include": st.just(["reasoning.encrypted_content"]),
        "background": st.just(True),
    },
)


def apart(event, number):
    """No two calls have one id."""
    return change(event, id=f"toolu_{number}") if isinstance(event, BlockStart) else event


@given(BLOCKS, ASKED, st.sampled_from(["end_turn", "tool_use", "max_tokens", None]), st.data())
def test_every_answer_is_typed_numbered_and_consistent(blocks, more, reason, data):
    tools = [SHELL, {"type": "custom", "name": "patch"}, {"type": "shell"}]
    end = Failed(errors.EngineLost("x")) if reason is None else MessageStop(reason, None, Usage(1, 0, 5))
    said = list(itertools.chain(*blocks))
    events = [START, *(apart(event, number) for number, event in enumerate(said)), end]
    cut = data.draw(st.integers(0, len(events)))
    answer = written(asking(tools=tools, **more), events[:cut], events[cut:])
    final = answer[-1]["response"]
    if reason in ("end_turn", "max_tokens"):
        assert len(final["output"]) == len(blocks)
    whole = {"completed": "completed", "incomplete": "incomplete", "failed": "failed"}
    assert answer[-1]["type"] == f"response.{whole[final['status']]}"
