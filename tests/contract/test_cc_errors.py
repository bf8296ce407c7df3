"""Section 6, errors; section 7: statuses and headers that the client acts on, and the sentence that makes it compact."""

import pytest
from contract.claude import (
    Ask,
    big_request,
    call,
    count_tokens_request,
    first_request,
    headers,
    next_turn,
    result,
    text,
)
from contract.playhouse import (
    FakeEngine,
    answer,
    blocks,
    events,
    playhouse,
    rendered,
    settings,
    started,
)

from understudy.dialects import dialect
from understudy.language.errors import (
    EngineBusy,
    EngineError,
    EngineLost,
    EngineRefused,
    EngineTimeout,
    PromptTooLong,
)
from understudy.language.events import Failed, MessageStop, Usage
from understudy.language.target import Model
from understudy.tokens import size_of

STREAMED = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])

# what the engine says, status and type for the client, retry-after
ENGINES = [
    pytest.param(
        EngineBusy("full"), 503, "overloaded_error", "5", marks=pytest.mark.requirement("CC-6.1", "CC-8.36")
    ),
    pytest.param(
        EngineBusy("full", retry_after=2.6),
        503,
        "overloaded_error",
        "3",
        marks=pytest.mark.requirement("CC-6.2"),
    ),
    pytest.param(
        EngineBusy("full", retry_after=0.1),
        503,
        "overloaded_error",
        "1",
        marks=pytest.mark.requirement("CC-6.2"),
    ),
    pytest.param(
        EngineLost("reset"), 502, "api_error", None, marks=pytest.mark.requirement("CC-6.1", "CC-8.36")
    ),
    pytest.param(EngineTimeout("slow"), 504, "timeout_error", None, marks=pytest.mark.requirement("CC-6.1")),
    pytest.param(EngineError("crashed"), 502, "api_error", None, marks=pytest.mark.requirement("CC-8.36")),
]


@STREAMED
@pytest.mark.parametrize(("error", "status", "kind", "after"), ENGINES)
async def test_an_engines_failure(error, status, kind, after, stream):
    async with playhouse(error) as house:
        response = await house.ask(first_request().but(stream=stream))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["request_id"] == response.headers["request-id"]
    assert response.headers.get("retry-after") == after
    assert "x-should-retry" not in response.headers


# an engine's statuses, and what they become
STATUSES = [
    (400, 400),
    (401, 502),
    (403, 502),
    (404, 404),
    (408, 504),
    (413, 413),
    (422, 400),
    (429, 503),
    (500, 502),
    (503, 503),
    (529, 503),
]


@pytest.mark.requirement("CC-8.36", "CC-6.1")
@pytest.mark.parametrize(("status", "told"), STATUSES)
@pytest.mark.parametrize("name", ["openai", "ollama", "anthropic"])
def test_an_engines_status(name, status, told):
    assert dialect(name).refusal(status, b'{"error": {"message": "no"}}').status == told


@pytest.mark.requirement("CC-6.1", "CC-6.2")
async def test_no_engine_is_up_yet():
    class Down(FakeEngine):
        async def models(self):
            raise EngineBusy("loading")

    async with playhouse(engines=[Down()]) as house:
        response = await house.ask(first_request())
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "loading" in response.json()["error"]["message"]


@pytest.mark.requirement("CC-6.3")
@STREAMED
async def test_an_engine_that_refuses_is_not_asked_again(stream):
    async with playhouse(EngineRefused("no such option")) as house:
        response = await house.ask(first_request().but(stream=stream))
    assert response.status_code == 400
    assert response.json()["error"] == {"type": "invalid_request_error", "message": "no such option"}
    assert len(house.engine.asked) == 1


WRONG = {
    "no JSON": (b'{"model": ', "not valid JSON"),
    "no messages": (b'{"model": "m", "max_tokens": 1}', "messages"),
    "a number for a model": (b'{"model": 1, "max_tokens": 1, "messages": []}', "model"),
    "no max_tokens": (b'{"model": "m", "messages": [{"role": "user", "content": "a"}]}', "max_tokens"),
    "another role": (
        b'{"model": "m", "max_tokens": 1, "messages": [{"role": "king", "content": "a"}]}',
        "messages.0.role",
    ),
}


@pytest.mark.requirement("CC-6.3")
@pytest.mark.parametrize(("body", "named"), WRONG.values(), ids=WRONG.keys())
async def test_what_is_wrong_is_named_and_not_asked_again(body, named):
    async with playhouse() as house:
        response = await house.client.post("/v1/messages", content=body, headers=headers())
    assert response.status_code == 400
    assert response.headers["x-should-retry"] == "false"
    assert named in response.json()["error"]["message"]


@pytest.mark.requirement("CC-6.5")
async def test_a_strange_origin():
    async with playhouse() as house:
        response = await house.ask(first_request(), headers={"origin": "https://evil.example"})
    assert (response.status_code, response.json()["error"]["type"]) == (403, "permission_error")
    assert house.engine.asked == []


@pytest.mark.requirement("CC-6.6")
@STREAMED
async def test_an_unknown_model_is_a_404_that_names_the_known(stream):
    async with playhouse(loaded=settings()) as house:
        response = await house.ask(first_request(model="gpt-99").but(stream=stream))
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")
    assert "qwen-coder" in response.json()["error"]["message"]
    assert "gpt-99" in response.json()["error"]["message"]


@pytest.mark.requirement("CC-6.7")
async def test_a_body_over_the_limit():
    async with playhouse(loaded=settings(body_limit="64KB", names={"*": "auto"})) as house:
        assert (await house.ask(first_request())).status_code == 200
        response = await house.ask(big_request(100))
    assert (response.status_code, response.json()["error"]["type"]) == (413, "request_too_large")
    assert "body_limit" in response.json()["error"]["message"]


# ---- the window ----

LONG = next_turn(first_request(), [call("toolu_a", "Bash", command="cat")], result("toolu_a", "x" * 9000))


@pytest.mark.requirement("CC-6.10", "CC-7.4", "CC-8.22")
@STREAMED
async def test_a_prompt_over_the_window_is_refused_before_the_engine_is_asked(stream):
    async with playhouse(models=(Model("m", 8192),), counts=13570) as house:
        response = await house.ask(LONG.but(stream=stream))
    assert response.status_code == 400
    assert response.json()["error"] == {
        "type": "invalid_request_error",
        "message": "prompt is too long: 13570 tokens > 8192 maximum",
    }
    assert response.headers["x-should-retry"] == "false"
    assert house.engine.asked == []


@pytest.mark.requirement("CC-6.10", "CC-8.22")
async def test_an_engine_that_knows_better_has_the_last_word():
    """The numbers it leaves out are filled in: the client decides by both how much to drop."""
    for told, numbers in ((PromptTooLong(9000, 8192), (9000, 8192)), (PromptTooLong(0, 0), None)):
        async with playhouse(told, models=(Model("m", 65536),)) as house:
            said = (await house.ask(LONG)).json()["error"]["message"]
        words = said.removeprefix("prompt is too long: ").split()
        tokens, maximum = int(words[0]), int(words[3])
        assert tokens > maximum > 0
        assert numbers is None or (tokens, maximum) == numbers


ENGINE_WORDS = {
    "llama.cpp": '{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it",'
    '"type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}}',
    "vllm": '{"object":"error","message":"This model\'s maximum context length is 8192 tokens. However, you requested '
    '9100 tokens (9000 in the messages, 100 in the completion). Please reduce the length of the messages or completion."}',
    "anthropic": '{"type":"error","error":{"type":"invalid_request_error",'
    '"message":"prompt is too long: 9000 tokens > 8192 maximum"}}',
}


@pytest.mark.requirement("CC-7.4", "CC-8.22")
@pytest.mark.parametrize(("engine", "words"), ENGINE_WORDS.items(), ids=ENGINE_WORDS.keys())
def test_every_engines_words_become_the_clients_sentence(engine, words):
    found = dialect("openai").refusal(400, words.encode())
    assert found.message.endswith("> 8192 maximum")
    assert found.message.startswith("prompt is too long: 9000 tokens") or engine == "vllm"
    assert isinstance(found, PromptTooLong)


@pytest.mark.requirement("CC-7.4", "CC-6.10")
async def test_after_a_compaction_the_conversation_goes_on():
    def counts(request):
        return size_of(request) // 4

    async with playhouse(models=(Model("m", 12288),), counts=counts) as house:
        long = next_turn(LONG, [text("It is all x.")], text("y" * 30000))
        assert (await house.ask(long)).status_code == 400
        assert blocks(await house.ask(first_request("A summary.")))[0]["text"] == "hello"


@pytest.mark.requirement("CC-6.26")
async def test_the_window_is_never_a_stop_reason():
    wire = (
        b'data: {"type":"message_start","message":{"id":"m"}}\n\n'
        b'data: {"type":"message_delta","delta":{"stop_reason":"model_context_window_exceeded"}}\n\n'
        b'data: {"type":"message_stop"}\n\n'
    )
    decoded = dialect("anthropic").decoder(lambda prefix: prefix).feed(wire)
    async with playhouse(decoded) as house:
        response = await house.ask(first_request())
    assert events(response)[-2]["delta"]["stop_reason"] == "max_tokens"


@pytest.mark.requirement("CC-8.23")
async def test_ollama_is_told_not_to_cut_and_found_out_if_it_does():
    async def first():
        yield answer("a", usage=Usage(size_of(engine.asked[-1]) // 4, None, 3))

    async def cut():
        whole = answer("nonsense", usage=Usage(2050, None, 3))
        yield whole[:-1]
        yield whole[-1:]

    engine = FakeEngine(first, kind="ollama", models=(Model("m", 40960),))
    async with playhouse(engines=[engine]) as house:
        await house.told(first_request())
        body = house.body("ollama")
        assert (body["truncate"], body["shift"]) == (False, False)
        assert b'"num_ctx":4096' in rendered(house.engine.asked[0], "ollama", models=(Model("m", 4096),))

    engine = FakeEngine(cut, kind="ollama", models=(Model("m", 4096),), counts=3000)
    async with playhouse(engines=[engine]) as house:
        found = events(await house.ask(first_request()))
    assert found[-1]["type"] == "error"
    assert found[-1]["error"]["message"].startswith("prompt is too long: ")


# ---- counting ----


@pytest.mark.requirement("CC-6.12", "CC-8.24")
async def test_an_estimate_is_marked_and_learns():
    async with playhouse(answer("a", usage=Usage(7000, 0, 1))) as house:
        guessed = await house.ask(count_tokens_request("foo"))
        assert guessed.headers["x-understudy-estimate"] == "true"
        await house.ask(first_request())
        size = size_of(house.engine.asked[0])
        learnt = (
            await house.ask(Ask({**first_request().body}, headers(), "/v1/messages/count_tokens?beta=true"))
        ).json()
    assert abs(learnt["input_tokens"] - 7000) < 50, (learnt, size)


@pytest.mark.requirement("CC-8.24")
@pytest.mark.parametrize(
    "counts", [None, lambda request: size_of(request) // 4], ids=["estimated", "by the engine"]
)
async def test_calls_and_results_count(counts):
    async with playhouse(counts=counts) as house:
        turns = [first_request()]
        turns.append(next_turn(turns[0], [call("toolu_a", "Write", file_path="/a", content="y" * 4000)]))
        turns.append(
            next_turn(turns[1], [call("toolu_b", "Bash", command="cat")], result("toolu_b", "x" * 8000))
        )
        found = []
        for turn in turns:
            ask = Ask(turn.body, turn.headers, "/v1/messages/count_tokens?beta=true")
            found.append((await house.ask(ask)).json()["input_tokens"])
    assert found[1] - found[0] > 900
    assert found[2] - found[1] > 1900


@pytest.mark.requirement("CC-8.24")
async def test_the_engine_that_would_answer_counts():
    big = FakeEngine(counts=111, name="one", models=(Model("aaa", 1000),))
    small = FakeEngine(counts=222, name="two", models=(Model("bbb", 1000),))
    async with playhouse(engines=[big, small], loaded=settings()) as house:
        ask = count_tokens_request().but(model="bbb")
        assert (await house.ask(ask)).json() == {"input_tokens": 222}
        assert (await house.ask(ask.but(model="nobody"))).status_code == 404


@pytest.mark.requirement("CC-6.8")
async def test_a_failure_is_never_blamed_on_the_question():
    given = [started(), Failed(EngineError("x"))]
    async with playhouse(given, [MessageStop("end_turn")]) as house:
        found = events(await house.ask(first_request()))
        assert found[-1]["error"]["type"] == "api_error"
        assert (await house.ask(first_request())).status_code == 200
