import asyncio
import json

import pytest
from enginewires import (
    ANSWER,
    DONE,
    END,
    FINISH,
    PROGRESS,
    STREAM,
    USAGE,
    engine,
    fields,
    http,
    paths,
    piece,
    says,
    sent,
    sse,
)
from harness import pushed
from hypothesis import given, settings
from hypothesis import strategies as st
from upstream_server import always

from understudy.config import Limits
from understudy.engines import KINDS
from understudy.language import errors
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.events import Failed, Grammar, MessageStop, Progress, TextDelta, Usage
from understudy.language.request import (
    Image,
    Prompt,
    Request,
    Sampling,
    Text,
    ThinkingWish,
    Tool,
    ToolChoice,
    Turn,
    change,
)

ASK = Request(
    "m",
    (Turn("user", (Text("hi"), Image("image/png", "AAAA"))),),
    tools=(Tool("Bash", "runs", b'{"type":"object","properties":{"c":{"type":"string","format":"uri"}}}'),),
    sampling=Sampling(32, 0.5, 0.9, 40, 7, 0.1, 0.2, ("END",)),
    thinking=ThinkingWish("enabled", 1000, "high"),
    user="somebody",
    stream=True,
)


async def events_of(remote, request=ASK, seen=None):
    grammar, out = Grammar(), [] if seen is None else seen
    async for batch in pushed(remote.answer, request, "s"):
        assert batch
        for event in batch:
            grammar.step(event)
            out.append(event)
    return out


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_an_answer_is_read_and_the_connection_kept():
    async with engine("openai", always(ANSWER)) as (remote, server):
        for _ in range(3):
            events = await events_of(remote)
            assert text_of(events) == "Hello"
            assert events[-1] == MessageStop("end_turn", usage=Usage(5, None, 2))
        assert server.connections == 1
        assert b"POST /v1/chat/completions HTTP/1.1" in server.requests[0]


STATUSES = [  # status, body, extra header: what is raised
    (400, {"error": {"message": "bad field"}}, "", errors.EngineRefused),
    (401, {"error": "no key"}, "", errors.EngineDenied),
    (403, {}, "", errors.EngineDenied),
    (404, {"error": "model not found"}, "", errors.NoTarget),
    (408, {}, "", errors.EngineTimeout),
    (413, {}, "", errors.TooLarge),
    (422, {"detail": "wrong"}, "", errors.EngineRefused),
    (429, {}, "Retry-After: 7\r\n", errors.EngineBusy),
    (500, b"<html>oops</html>", "", errors.EngineError),
    (502, b"", "", errors.EngineError),
    (503, {}, "Retry-After: 7\r\n", errors.EngineBusy),
    (504, {}, "", errors.EngineTimeout),
    (302, b"", "Location: /elsewhere\r\n", errors.EngineError),
    (400, {"error": {"message": "maximum context length is 100 tokens"}}, "", errors.PromptTooLong),
]


@pytest.mark.parametrize("kind", ["openai", "ollama", "anthropic"])
@pytest.mark.parametrize(("status", "body", "extra", "raised"), STATUSES)
async def test_a_status_is_an_exception_before_the_first_event(kind, status, body, extra, raised):
    async with engine(kind, always(http(body, status, extra))) as (remote, _):
        with pytest.raises(errors.UnderstudyError) as caught:
            await events_of(remote)
    assert type(caught.value) is raised
    if extra.startswith("Retry"):
        assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("date", ["Fri, 31 Dec 2027 23:59:59 GMT", "", "-1", "soon"])
async def test_an_odd_retry_after_is_left_out(date):
    async with engine("openai", always(http({}, 503, f"Retry-After: {date}\r\n"))) as (remote, _):
        with pytest.raises(errors.EngineBusy) as caught:
            await events_of(remote)
    assert caught.value.retry_after is None


async def test_nobody_there_is_busy():
    async with engine("openai", always(ANSWER)) as (remote, server):
        remote.facts = change(remote.facts, url="http://127.0.0.1:1")
        with pytest.raises(errors.EngineBusy):
            await events_of(remote)
        assert server.connections == 0


NOT_SAID = {  # wire, then closed: nothing of an answer was said, so another engine may be asked
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "no body": STREAM,
    "an empty body": STREAM + END,
    "half a record": STREAM + piece(b'data: {"id":"c1","cho'),
    "progress only": STREAM + PROGRESS,
    "an error in the stream": STREAM + piece(b'data: {"error":{"message":"broke","code":500}}\n\n') + END,
    "an error after the first words": STREAM
    + says("He")
    + piece(b'data: {"error":{"message":"broke"}}\n\n')
    + END,
}


@pytest.mark.parametrize("wire", NOT_SAID.values(), ids=NOT_SAID)
async def test_what_ends_before_the_first_event_is_an_exception(wire):
    async with engine("llama-server", always(wire, close=True)) as (remote, _):
        seen = []
        with pytest.raises(errors.EngineError):
            await events_of(remote, seen=seen)
    assert all(isinstance(event, Progress) for event in seen)


CUTS = {
    "closed": b"",
    "half a chunk": b"40\r\ndata: {",
    "finished, but no end": FINISH,
    "a bad chunk": b"zz\r\n",
}


@pytest.mark.parametrize("rest", CUTS.values(), ids=CUTS)
async def test_a_connection_lost_midway_is_a_failure_and_never_an_end(rest):
    heard = asyncio.Event()

    async def script(peer):
        await peer.request()
        peer.send(STREAM + says("Hel"))
        await heard.wait()
        peer.send(rest)

    async with engine("openai", script) as (remote, _):
        events = []
        async for batch in pushed(remote.answer, ASK, "s"):
            events += batch
            heard.set()
    if rest == FINISH:  # whether that is an end is the decoder's to say; it is never both
        assert isinstance(events[-1], MessageStop | Failed)
    else:
        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, errors.EngineError)
        assert not any(isinstance(event, MessageStop) for event in events)
    assert text_of(events) == "Hel"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(ANSWER) - len(END) - len(DONE) - len(USAGE) - len(FINISH) - 1))
def test_cut_anywhere_it_is_never_finished(cut):
    async def run():
        async with engine("openai", always(ANSWER[:cut], close=True)) as (remote, _):
            try:
                events = await events_of(remote)
            except errors.EngineError:
                return
            assert isinstance(events[-1], Failed)

    asyncio.run(run())


@pytest.mark.parametrize("closing", [FINISH + USAGE + DONE], ids=["done"])
async def test_an_engine_that_never_ends_its_response_does_not_hold_us(closing):
    async def script(peer):
        await peer.request()
        peer.send(STREAM + says("Hello") + closing)
        await peer.gone()

    async with engine("openai", script) as (remote, _), asyncio.timeout(5):
        events = await events_of(remote)
    assert isinstance(events[-1], MessageStop)


async def test_an_end_that_comes_a_little_later_keeps_the_connection():
    answered = asyncio.Event()

    async def script(peer):
        while await peer.request():
            peer.send(STREAM + says("Hello") + FINISH + USAGE + DONE)
            await answered.wait()
            peer.send(piece(b": bye\n\n"))
            peer.send(END)

    async with engine("openai", script) as (remote, server):
        for _ in range(2):
            answered.clear()
            async for batch in pushed(remote.answer, ASK, "s"):
                if isinstance(batch[-1], MessageStop):
                    answered.set()
        assert server.connections == 1


async def test_a_refusal_whose_body_breaks_off_is_still_one():
    wire = b"HTTP/1.1 503 X\r\nContent-Length: 100\r\n\r\n{"
    async with engine("openai", always(wire, close=True)) as (remote, _):
        with pytest.raises(errors.EngineBusy, match=r"broke off|closed|lost|ended"):
            await events_of(remote)


async def test_leaving_early_closes_the_connection_at_once():
    gone = asyncio.Event()

    async def script(peer):
        await peer.request()
        peer.send(STREAM + says("Hel"))
        await peer.gone()
        gone.set()

    async with engine("openai", script) as (remote, _):
        answer = pushed(remote.answer, ASK, "s")
        assert text_of(await anext(answer)) == "Hel"
        await answer.aclose()
        async with asyncio.timeout(2):
            await gone.wait()


async def test_cancelling_while_the_engine_thinks_closes_the_connection():
    asked, gone = asyncio.Event(), asyncio.Event()

    async def script(peer):
        await peer.request()
        asked.set()
        await peer.gone()
        gone.set()

    async with engine("openai", script) as (remote, _):
        waiting = asyncio.ensure_future(events_of(remote))
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(2):
            await gone.wait()


async def test_deadlines():
    async def silent(peer):
        await peer.request()
        await peer.gone()

    async def halting(peer):
        await peer.request()
        peer.send(STREAM + says("Hel"))
        await peer.gone()

    quick = Limits(first_byte_seconds=0.05, idle_seconds=0.05, health_seconds=0.05)
    async with engine("openai", silent, limits=quick) as (remote, _):
        with pytest.raises(errors.EngineTimeout):
            await events_of(remote)
        with pytest.raises(errors.EngineTimeout):
            await remote.models()
    async with engine("openai", halting, limits=quick) as (remote, _):
        events = await events_of(remote)
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, errors.EngineTimeout)


KEYS = {  # kind, key: header lines that must be there, and that must not
    ("vllm", "k1"): ([b"authorization: bearer k1"], [b"x-api-key", b"anthropic-version"]),
    ("ollama", "k1"): ([b"authorization: bearer k1"], [b"x-api-key"]),
    ("anthropic", "k1"): ([b"x-api-key: k1", b"anthropic-version: 2023-06-01"], [b"authorization"]),
    ("vllm", ""): ([], [b"authorization", b"x-api-key"]),
}


@pytest.mark.parametrize(("kind", "key", "there", "absent"), [(*k, *v) for k, v in KEYS.items()])
async def test_the_engines_key_is_sent_with_every_question(kind, key, there, absent):
    async with engine(kind, always(http({}, 500)), key=key) as (remote, server):
        for question in (events_of(remote), remote.models()):
            with pytest.raises(errors.EngineError):
                await question
            lines = fields(server)
            assert all(line in lines for line in there)
            assert not any(line.startswith(name) for line in lines for name in absent)


TAGS = {"models": [{"name": "m", "size": 5}, {"name": "n:latest"}]}


def ollama(capabilities, running=()):
    show = {"model_info": {"x.context_length": 40960}, "template": "T", "capabilities": capabilities}
    return paths(
        {
            "GET /api/tags": http(TAGS),
            "GET /api/ps": http({"models": list(running)}),
            "POST /api/show": http(show),
            "POST /api/chat": http({}, 500),
        }
    )


async def test_ollama_is_told_the_window():
    async with engine("ollama", ollama(["completion"]), context=12345) as (remote, server):
        with pytest.raises(errors.EngineError):
            await events_of(remote)
        assert "num_ctx" not in sent(server)["options"]  # nothing is known of the model yet
        await remote.models()
        with pytest.raises(errors.EngineError):
            await events_of(remote)
        assert sent(server)["options"]["num_ctx"] == 12345
        assert sent(server)["options"]["num_predict"] == 32


@pytest.mark.parametrize(
    ("capabilities", "there"),
    [
        (["completion"], set()),
        (["completion", "tools"], {"tools"}),
        (["completion", "thinking"], {"think"}),
        (["completion", "vision"], {"images"}),
        (["completion", "vision", "tools", "thinking"], {"tools", "think", "images"}),
        (None, {"tools", "think", "images"}),
    ],
)
async def test_what_a_model_lacks_is_not_sent(capabilities, there):
    async with engine("ollama", ollama(capabilities)) as (remote, server):
        await remote.models()
        with pytest.raises(errors.EngineError):
            await events_of(remote)
    body = sent(server)
    found = {name for name in ("tools", "think") if name in body}
    found |= {"images"} if "images" in body["messages"][-1] else set()
    assert found == there
    assert ("image omitted" in body["messages"][-1]["content"]) is ("images" not in there)


COMMON = {"model", "stream", "messages", "tools", "max_tokens", "temperature", "top_p", "stop"}
ALLOWED = {  # kind: every key that may reach it
    "openai": COMMON | {"stream_options", "seed", "frequency_penalty", "presence_penalty"},
    "vllm": COMMON
    | {"stream_options", "seed", "frequency_penalty", "presence_penalty", "top_k", "chat_template_kwargs"},
    "ollama": {"model", "messages", "stream", "tools", "options", "think", "truncate", "shift"},
}


@pytest.mark.parametrize("kind", ALLOWED)
async def test_only_known_parameters_reach_an_engine(kind):
    async with engine(kind, always(http({}, 500))) as (remote, server):
        with pytest.raises(errors.EngineError):
            await events_of(remote)
    assert set(sent(server)) <= ALLOWED[kind]
    assert "somebody" not in json.dumps(sent(server))


@pytest.mark.parametrize("kind", ["vllm", "llama-server", "lmstudio", "sglang", "ollama"])
async def test_schemas_are_cut_to_the_engines_grammar(kind):
    asked = change(ASK, format=b'{"type":"object","properties":{"n":{"type":"string","pattern":"^\\\\d$"}}}')
    async with engine(kind, always(http({}, 500))) as (remote, server):
        with pytest.raises(errors.EngineError):
            await events_of(remote, asked)
        lost = remote.losses(asked)
    cut = {"type": "string", "description": "(format: uri)"}
    assert sent(server)["tools"][0]["function"]["parameters"]["properties"]["c"] == cut
    form = (
        sent(server)["format"]
        if kind == "ollama"
        else sent(server)["response_format"]["json_schema"]["schema"]
    )
    assert form["properties"]["n"]["pattern"] == "^[0-9]$"
    assert [(name, loss.where, loss.what) for name, loss in lost] == [("Bash", "/properties/c", "format")]


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_an_engine_without_a_row_is_told_everything(kind):
    async with engine(kind, always(http({}, 500))) as (remote, _):
        assert remote.losses(ASK) == ()
        assert b'"format":"uri"' in remote.render(ASK)


async def test_the_cloud_gets_the_clients_own_bytes():
    raw = b'{"model":"claude-x","messages":[],"unknown":1}'
    async with engine("anthropic", always(http({}, 500))) as (remote, server):
        with pytest.raises(errors.EngineError):
            await events_of(remote, change(ASK, raw=raw, dialect="anthropic"))
    assert server.requests[-1].endswith(b"\r\n\r\n" + raw)


async def test_the_cloud_gets_no_bytes_of_another_dialect():
    async with engine("anthropic", always(http({}, 500))) as (remote, server):
        with pytest.raises(errors.EngineError):
            await events_of(remote, change(ASK, raw=b'{"model":"gpt"}', dialect="openai"))
    assert sent(server)["max_tokens"] == 32


async def test_a_local_engine_never_gets_them():
    async with engine("openai", always(ANSWER)) as (remote, server):
        await events_of(remote, change(ASK, raw=b'{"secret":1}'))
    assert b"secret" not in server.requests[-1]


@pytest.mark.parametrize(
    ("only", "served"),
    [
        ((), ["m", "n:latest"]),
        (("m",), ["m"]),
        (("n",), ["n:latest"]),
        (("n:latest",), ["n:latest"]),
        (("x",), []),
    ],
)
async def test_settings_narrow_the_models(only, served):
    async with engine("ollama", ollama(None), only=only, context=99) as (remote, _):
        models = await remote.models()
    assert [model.id for model in models] == served
    assert all(model.context == 99 for model in models)


COUNTED = [  # kind, status, answer: the count
    ("vllm", 200, {"count": 12}, 12),
    ("llama-server", 200, {"input_tokens": 13}, 13),
    ("anthropic", 200, {"input_tokens": 14}, 14),
    ("vllm", 200, {}, None),
    ("vllm", 404, {}, None),
    ("llama-server", 400, {"error": {"message": "no"}}, None),
    ("vllm", 413, {}, None),
    ("llama-server", 400, {"error": {"n_prompt_tokens": 500, "n_ctx": 100}}, 500),
    ("vllm", 400, {"error": {"message": "exceeds the context window"}}, None),
    ("ollama", 200, {"count": 1}, None),
    ("openai", 200, {"count": 1}, None),
]


@pytest.mark.parametrize(("kind", "status", "answer", "count"), COUNTED)
async def test_counting(kind, status, answer, count):
    async with engine(kind, always(http(answer, status))) as (remote, server):
        assert await remote.count(ASK) == count
        assert server.connections == (1 if KINDS[kind].count else 0)


async def test_a_count_that_fails_is_an_error():
    async with engine("vllm", always(http({}, 500))) as (remote, _):
        with pytest.raises(errors.EngineError):
            await remote.count(ASK)


async def test_a_named_tool_is_the_only_one_where_it_cannot_be_named():
    asks = change(ASK, tools=(*ASK.tools, Tool("Read")), tool_choice=ToolChoice("tool", "Read"))
    async with engine("llama-server", always(ANSWER)) as (remote, server):
        await events_of(remote, asks)
    assert [row["function"]["name"] for row in sent(server)["tools"]] == ["Read"]
    assert sent(server)["tool_choice"] == "required"


async def test_start_and_close_do_nothing():
    async with engine("openai", always(ANSWER)) as (remote, server):
        await remote.start()
        await remote.aclose()
        assert server.connections == 0


# --- raw text, and vectors

RAW = Request("m", (), prompt=Prompt("def f(", "pass"), sampling=Sampling(8))
PIECES = b"".join(sse(choices=[{"index": 0, "text": text}]) for text in ("a", ")"))
WENT_ON = (
    STREAM + PIECES + sse(choices=[{"index": 0, "text": "", "finish_reason": "stop"}]) + USAGE + DONE + END
)


@pytest.mark.parametrize("kind", ["openai", "vllm", "llama-server", "sglang", "lmstudio"])
async def test_raw_text_has_a_path_of_its_own(kind):
    async with engine(kind, always(WENT_ON)) as (remote, server):
        events = await events_of(remote, RAW)
        assert await remote.count(RAW) is None
    assert text_of(events) == "a)"
    assert events[-1] == MessageStop("end_turn", usage=Usage(5, None, 2))
    assert b"POST /v1/completions " in server.requests[0]
    body = sent(server)
    assert (body["prompt"], body["suffix"], body["max_tokens"]) == ("def f(", "pass", 8)
    assert "messages" not in body


@pytest.mark.parametrize("suffix", ["", "pass"])
async def test_ollama_keeps_its_template_away_from_raw_text(suffix):
    lines = [{"model": "m", "response": t, "done": False} for t in ("a", ")")]
    lines.append(
        {
            "model": "m",
            "response": "",
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 5,
            "eval_count": 2,
        }
    )
    wire = STREAM + b"".join(piece(json.dumps(line).encode() + b"\n") for line in lines) + END
    async with engine("ollama", always(wire)) as (remote, server):
        events = await events_of(remote, change(RAW, prompt=Prompt("def f(", suffix)))
    assert text_of(events) == "a)"
    assert b"POST /api/generate " in server.requests[0]
    body = sent(server)
    assert (body["prompt"], body.get("suffix", ""), body.get("raw", False)) == ("def f(", suffix, not suffix)


async def test_the_claude_api_does_not_go_on_with_raw_text():
    async with engine("anthropic", always(b"")) as (remote, server):
        with pytest.raises(errors.EngineRefused, match="raw text"):
            await events_of(remote, RAW)
    assert not server.requests


EMBED = EmbeddingRequest("m", ("a", "b"), 2)


async def test_vectors():
    rows = {
        "data": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}],
        "usage": {"prompt_tokens": 2},
    }
    async with engine("vllm", always(http(rows))) as (remote, server):
        found = await remote.embed(EMBED)
    assert found == Embeddings((b"[1, 2]", b"[3, 4]"), 2)
    assert b"POST /v1/embeddings " in server.requests[0]
    assert sent(server) == {"model": "m", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"error": "no such model"}, errors.NoTarget),
        (501, {"error": {"message": "start it with --embeddings"}}, errors.EngineError),
        (503, {}, errors.EngineBusy),
        (200, {"data": []}, errors.EngineError),
    ],
)
async def test_an_engine_that_makes_no_vectors(status, body, expected):
    async with engine("llama-server", always(http(body, status))) as (remote, _):
        with pytest.raises(expected):
            await remote.embed(EMBED)


async def test_the_claude_api_makes_no_vectors():
    async with engine("anthropic", always(b"")) as (remote, _):
        with pytest.raises(errors.EngineRefused, match="no vectors"):
            await remote.embed(EMBED)
