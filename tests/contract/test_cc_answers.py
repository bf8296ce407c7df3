"""Section 6, streams and endings: what the client is told, event by event."""

import asyncio

import pytest
from contract.claude import call, first_request, next_turn, result
from contract.playhouse import (
    CODER,
    FakeEngine,
    answer,
    blocks,
    called,
    ending,
    events,
    playhouse,
    playhouse_served,
    said,
    settings,
    started,
    thought,
)

from understudy.config import Limits, Server
from understudy.language.errors import EngineBusy, EngineError, EngineLost
from understudy.language.events import (
    BlockStart,
    Failed,
    MessageStop,
    Progress,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.target import Model

RICH = answer(
    thought("Hm."),
    "I look.",
    called("Bash", {"command": "ls"}),
    called("Read", {"file_path": "/a"}, "c2"),
    stop="tool_use",
)


@pytest.mark.requirement("CC-6.14", "CC-6.15", "CC-6.17", "CC-8.18")
async def test_the_shape_of_a_stream():
    async with playhouse(RICH) as house:
        found = events(await house.ask(first_request()))  # event: lines are checked there
    names = [event["type"] for event in found]
    assert names.count("message_start") == 1
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    starts = [event for event in found if event["type"] == "content_block_start"]
    assert [event["index"] for event in starts] == [0, 1, 2, 3]
    assert [event["content_block"] for event in starts[:2]] == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
    ]
    assert all(event["content_block"]["input"] == {} for event in starts[2:])
    stops = [event["index"] for event in found if event["type"] == "content_block_stop"]
    assert stops == [0, 1, 2, 3]
    inside = {e["index"]: e["delta"]["type"] for e in found if e["type"] == "content_block_delta"}
    assert inside == {0: "signature_delta", 1: "text_delta", 2: "input_json_delta", 3: "input_json_delta"}


UNTIDY = {
    "text inside thinking": [BlockStart("thinking"), ThinkingDelta("a"), TextDelta("b")],
    "no block at all": [TextDelta("b")],
    "a block that is never closed": [BlockStart("text"), TextDelta("a"), BlockStart("text"), TextDelta("b")],
    "a second start": [BlockStart("text"), TextDelta("a"), started(), TextDelta("b")],
}


@pytest.mark.requirement("CC-6.15", "CC-8.18")
@pytest.mark.parametrize("given", UNTIDY.values(), ids=UNTIDY.keys())
async def test_an_untidy_engine_makes_a_tidy_stream(given):
    async with playhouse([started(), *given, MessageStop("end_turn")]) as house:
        response = await house.ask(first_request())
    assert blocks(response)[-1]["text"].endswith("b")  # blocks() checks indices, kinds and stops
    assert [event["type"] for event in events(response)].count("message_start") == 1


FAILURES = {
    "an error event": [started(), *said("It dr"), Failed(EngineError("the engine failed; see its log"))],
    "in an open block": [started(), BlockStart("text"), TextDelta("It dr"), Failed(EngineLost("gone"))],
    "in a call": [started(), *said("a"), BlockStart("tool_use", "e1", "Bash"), Failed(EngineBusy("full"))],
    "no ending": [started(), *said("It dr")],
}


@pytest.mark.requirement("CC-6.18")
@pytest.mark.parametrize("given", FAILURES.values(), ids=FAILURES.keys())
async def test_a_failure_after_the_start_is_an_error_event(given):
    async with playhouse(given) as house:
        found = events(await house.ask(first_request()))
        whole = await house.ask(first_request().whole())
    assert found[-1]["type"] == "error"
    assert found[-1]["error"]["message"]
    names = [event["type"] for event in found]
    assert "message_stop" not in names
    assert "message_delta" not in names
    assert whole.status_code >= 500, "without streaming it has a status"


@pytest.mark.requirement("CC-6.18")
async def test_a_cut_call_is_no_call():
    given = [started(), BlockStart("tool_use", "e1", "Bash"), Failed(EngineLost("gone"))]
    async with playhouse(given) as house:
        assert blocks(await house.ask(first_request())) == []


@pytest.mark.requirement("CC-6.19")
async def test_a_stream_is_a_stream_even_when_all_comes_at_once():
    async with playhouse(answer("hi")) as house:
        response = await house.ask(first_request())
        assert response.headers["content-type"].startswith("text/event-stream")
        whole = await house.ask(first_request().whole())
        assert whole.headers["content-type"] == "application/json"


@pytest.mark.requirement("CC-6.20", "CC-6.21", "CC-8.26")
async def test_pings_while_the_engine_is_silent():
    pinged = asyncio.Event()

    async def slow():
        yield [Progress(100, 1200, 0)]
        await pinged.wait()
        pinged.clear()
        yield [started(), BlockStart("text"), TextDelta("a")]
        await pinged.wait()
        yield [TextDelta("b"), MessageStop("end_turn")]

    collected = b""
    async with (
        playhouse_served(slow, loaded=settings(ping_seconds=0.02, names={"*": "auto"})) as house,
        house.client.stream("POST", "/v1/messages", content=first_request().content) as response,
    ):
        assert response.status_code == 200, "headers come with the first ping"
        async for piece in response.aiter_raw():
            collected += piece
            if b"event: ping" in piece:
                pinged.set()
    names = [event["type"] for event in events(collected)]
    assert names[0] == "ping", "before the first word"
    assert "ping" in names[names.index("content_block_delta") :], "and between two"
    assert [n for n in names if n != "ping"][-1] == "message_stop"


@pytest.mark.requirement("CC-6.20", "CC-6.21", "CC-8.26")
def test_the_defaults_keep_every_clock_of_the_client_and_of_a_slow_engine():
    assert Server().ping_seconds <= 15
    assert Limits().first_byte_seconds >= 1800


@pytest.mark.requirement("CC-6.22", "CC-8.27")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_client_that_leaves_stops_the_engine(stream, begun):
    asked = asyncio.Event()

    async def endless():
        if begun:
            yield [started(), BlockStart("text"), TextDelta("a")]
        asked.set()
        await asyncio.Event().wait()
        yield []

    async with playhouse_served(endless, answer("next")) as house:
        ask = first_request().but(stream=stream)
        running = asyncio.ensure_future(house.ask(ask))
        await asked.wait()
        running.cancel()
        await asyncio.wait_for(house.engine.left.wait(), 5)
        assert house.house.pool.snapshot()[0].in_flight == 0
        assert blocks(await house.ask(first_request()))[0]["text"] == "next", (
            "its repeat does not queue behind"
        )


@pytest.mark.requirement("CC-6.23")
@pytest.mark.parametrize("error", [EngineLost("reset"), EngineBusy("full")])
async def test_an_engine_that_breaks_before_its_first_word_is_replaced(error):
    models = (CODER,)
    engines = [
        FakeEngine(error, name="one", models=models),
        FakeEngine(answer("two"), name="two", models=models),
    ]
    async with playhouse(engines=engines) as house:
        response = await house.ask(first_request())
    assert blocks(response)[0]["text"] == "two"
    assert response.headers["x-understudy-target"] == "two/qwen-coder"


# ---- endings ----

ENDINGS = [
    pytest.param(answer("It dr", stop="max_tokens"), "max_tokens", marks=pytest.mark.requirement("CC-6.25")),
    pytest.param(
        answer(called("Bash", {"command": "ls"}), stop="end_turn"),
        "tool_use",
        marks=pytest.mark.requirement("CC-6.27"),
    ),
    pytest.param(answer("hm", stop="tool_use"), "tool_use", marks=pytest.mark.requirement("CC-6.28")),
    pytest.param(answer(), "end_turn", marks=pytest.mark.requirement("CC-6.29")),
    pytest.param(answer(thought("Hm.")), "end_turn", marks=pytest.mark.requirement("CC-6.29")),
    pytest.param(
        answer("I would rather not.", stop="refusal"), "refusal", marks=pytest.mark.requirement("CC-6.33")
    ),
    pytest.param(
        answer("a", stop="stop_sequence", sequence="###"),
        "stop_sequence",
        marks=pytest.mark.requirement("CC-6.34"),
    ),
    pytest.param(answer("a", stop="pause_turn"), "pause_turn", marks=pytest.mark.requirement("CC-6.34")),
]


@pytest.mark.parametrize(("given", "reason"), ENDINGS)
async def test_stop_reasons(given, reason):
    async with playhouse(given) as house:
        response = await house.ask(first_request())
        whole = (await house.ask(first_request().whole())).json()
    assert ending(response)["delta"]["stop_reason"] == reason
    assert whole["stop_reason"] == reason
    assert ending(response)["delta"]["stop_sequence"] == ("###" if reason == "stop_sequence" else None)
    kinds = [type(event).__name__ for event in given]
    assert len(blocks(response)) == kinds.count("BlockStart"), "nothing is made up, nothing is lost"


@pytest.mark.requirement("CC-6.31", "CC-8.18")
@pytest.mark.parametrize("signature", ["", "c2lnbmVk"])
async def test_thinking_has_one_signature(signature):
    given = [
        started(),
        BlockStart("thinking"),
        ThinkingDelta("Hm."),
        SignatureDelta(signature),
        MessageStop("end_turn"),
    ]
    async with playhouse(given) as house:
        found = events(await house.ask(first_request()))
    deltas = [event["delta"] for event in found if event["type"] == "content_block_delta"]
    assert deltas == [
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "signature_delta", "signature": signature},
    ]


@pytest.mark.requirement("CC-6.32", "CC-7.3", "CC-8.25")
@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (Usage(1200, 1000, 7), (200, 1000, 7)),
        (Usage(1200, None, 7), (1200, 0, 7)),
        (Usage(1200, 1200, 1), (0, 1200, 1)),
        (Usage(147000, 0, 90), (147000, 0, 90)),
    ],
)
async def test_usage_is_the_engines_own(usage, told):
    async with playhouse(answer("a", usage=usage)) as house:
        response = await house.ask(first_request())
        whole = (await house.ask(first_request().whole())).json()
    for sent in (ending(response)["usage"], whole["usage"]):
        assert (sent["input_tokens"], sent["cache_read_input_tokens"], sent["output_tokens"]) == told


@pytest.mark.requirement("CC-6.29", "CC-8.37")
async def test_an_empty_answer_has_no_block():
    async with playhouse(answer("")) as house:
        response = await house.ask(first_request())
    assert blocks(response) == []
    assert [event["type"] for event in events(response)] == ["message_start", "message_delta", "message_stop"]


@pytest.mark.requirement("CC-6.29")
async def test_the_nudge_after_an_empty_answer_is_answered():
    async with playhouse(answer(), answer("here")) as house:
        first = first_request()
        await house.ask(first)
        nudged = first.but(
            messages=[*first.body["messages"], {"role": "user", "content": "No visible output. Go on."}]
        )
        assert blocks(await house.ask(nudged))[0]["text"] == "here"


@pytest.mark.requirement("CC-6.25", "CC-6.11")
async def test_the_next_try_after_a_cut_asks_for_128000():
    async with playhouse(models=(Model("m", 32768),), counts=12000) as house:
        turn = next_turn(first_request(), [{"type": "text", "text": "It dr"}])
        told = await house.told(turn.but(max_tokens=128000))
    assert told.sampling.max_tokens == 32768 - 12000 - 16


@pytest.mark.requirement("CC-6.18")
async def test_a_cut_answer_can_be_resumed():
    turn = next_turn(
        first_request(),
        [call("toolu_a", "Bash", command="ls")],
        result("toolu_a"),
        {"type": "text", "text": "Your answer was cut off."},
    )
    async with playhouse() as house:
        assert (await house.ask(turn)).status_code == 200
