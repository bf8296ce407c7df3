"""Recorded exchanges with Anthropic's and OpenAI's own APIs: the gateway answers the same questions in the same way.

Those of the Responses API are in test_responses_recorded. The engine says what the vendor's model said, as far as it is a
model's to say; what then leaves the gateway must have the same class of status, only types that the official SDK's own
models accept, the same events in the same order, and every field that is ours to give. NOT_OURS lists the others, and why.
"""

import base64
import json
import re
from itertools import groupby

import pytest
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from contract.playhouse import called, playhouse, said, settings, started, thought
from contract.test_responses_recorded import RECORDED, paths
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from understudy.language import errors
from understudy.language.events import MessageStop, Usage
from understudy.language.target import Model

EVENT = TypeAdapter(BetaRawMessageStreamEvent)
ENDS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
OURS = ("text", "thinking", "tool_use")
"""Blocks that a model without servers behind it can say."""
NOT_A_MODELS = ("pause_turn", "compaction")
"""Ends of turns that only Anthropic's servers cause: here the turn is simply over."""
THEIR_MODEL = "what that model of theirs refuses is its engine's to refuse"

NOT_OURS = re.compile(
    r"""
    service_tier | inference_geo | moderation | system_fingerprint  # what they sell
    | obfuscation                            # padding against listeners on the way
    | context_management | container | caller | iterations | server_tool_use | citations | annotations
                                             # what their servers did on the way
    | stop_details                           # why a model of theirs refused
    | cache_creation(\.|$) | audio           # nothing is stored for money, nobody speaks
    | (completion|output)_tokens_details | (audio|image|text)_tokens$  # no engine tells them apart
    """,
    re.VERBOSE,
)


def exchanges(api):
    if not RECORDED.is_file():
        return []
    rows = map(json.loads, RECORDED.read_text(encoding="utf-8").splitlines())
    return [pytest.param(row, id=row["id"].rpartition("/")[2]) for row in rows if row["api"] == api]


def recorded(api):
    skip = pytest.mark.skipif(
        not RECORDED.is_file(), reason="the recorded exchanges are not beside this checkout"
    )
    rows = pytest.mark.parametrize("row", exchanges(api))
    return lambda test: skip(rows(test))


def data_of(text):
    """The records of a stream, without its mark of the end."""
    lines = [line[5:].strip() for line in text.split("\n") if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def asked(row, story, names=("*",)):
    async with playhouse(story, loaded=settings(names=dict.fromkeys(names, "auto"))) as house:
        return await house.client.post(row["path"], json=row["body"])


def order(kinds):
    """A run of one kind counts once, however it was split."""
    return [kind for kind, _ in groupby(kinds)]


def missing(theirs, ours):
    return {path for path in set(paths(theirs)) - set(paths(ours)) if not NOT_OURS.search(path)}


# ---- Anthropic's Messages ----


def message_of(events):
    """The message that a stream adds up to."""
    message = next(event for event in events if event["type"] == "message_start")["message"]
    blocks = {}
    for event in events:
        match event["type"]:
            case "content_block_start":
                blocks[event["index"]] = {**event["content_block"], "said": ""}
            case "content_block_delta":
                delta = event["delta"]
                blocks[event["index"]]["said"] += str(
                    delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
                )
            case "message_delta":
                message |= {"usage": message["usage"] | event["usage"]} | event["delta"]
    for block in blocks.values():
        words = block.pop("said")
        if block["type"] in ("tool_use", "server_tool_use"):
            block["input"] = json.loads(words or "{}")
        elif words:
            block[block["type"]] = words
    return message | {"content": [blocks[index] for index in sorted(blocks)]}


def own_blocks(message):
    """The blocks that a model of one's own would have said; empty ones are none."""
    return [block for block in message["content"] if block["type"] in OURS and block[field_of(block)] != ""]


def field_of(block):
    return "input" if block["type"] == "tool_use" else block["type"]


def played(message):
    """The events of an engine whose model says the same."""
    out = [started()]
    for block in own_blocks(message):
        match block["type"]:
            case "text":
                out += said(block["text"])
            case "thinking":
                out += thought(block["thinking"])
            case "tool_use":
                out += called(block["name"], block["input"], block["id"])
    usage = message["usage"]
    fresh, cached = usage["input_tokens"], usage["cache_read_input_tokens"]
    counted = Usage(fresh + cached, cached, usage["output_tokens"])
    return [*out, MessageStop(ended(message), message["stop_sequence"], counted)]


def ended(message):
    """A turn that ends in one of their servers' calls ends here."""
    reason = message["stop_reason"]
    return "end_turn" if reason in NOT_A_MODELS else reason


def meant(message):
    """What a block says."""
    return [(block["type"], block.get("name"), block[field_of(block)]) for block in own_blocks(message)]


@recorded("anthropic")
async def test_messages(row):
    if row["status"] != 200:
        response = await asked(row, [started()], names=())
        assert response.status_code == row["status"]
        assert response.json()["error"]["type"] == row["json"]["error"]["type"]
        assert missing(row["json"], response.json()) == set()
        return
    theirs = message_of(data_of(row["sse"])) if "sse" in row else row["json"]
    response = await asked(row, played(theirs))
    assert response.status_code == 200, response.text
    ours = message_of(data_of(response.text)) if "sse" in row else response.json()
    BetaMessage.model_validate(ours, strict=True)
    assert meant(ours) == meant(theirs)
    assert (ours["stop_reason"], ours["stop_sequence"]) == (ended(theirs), theirs["stop_sequence"])
    for name in ("input_tokens", "cache_read_input_tokens", "output_tokens"):
        assert ours["usage"][name] == theirs["usage"][name]
    own = {**theirs, "content": own_blocks(theirs)}
    assert missing(own, ours) == set()
    if "sse" in row:
        check_events(data_of(response.text), data_of(row["sse"]))


def check_events(ours, theirs):
    for event in ours:
        EVENT.validate_python(event)
    theirs = of_the_model(theirs)
    assert order(event["type"] for event in ours) == order(event["type"] for event in theirs)
    for event in theirs:
        alike = [mine for mine in ours if shape(mine) == shape(event)]
        assert any(missing(event, mine) == set() for mine in alike), event["type"]


def shape(event):
    inner = event.get("content_block") or event.get("delta") or {}
    return event["type"], inner.get("type")


def of_the_model(events):
    """The events that a model without servers behind it can cause."""
    events = [event for event in events if shape(event)[1] not in ("signature_delta", "citations_delta")]
    ours = {
        event["index"]
        for event in events
        if event["type"] == "content_block_start" and event["content_block"]["type"] in OURS
    }
    ours &= {
        event["index"] for event in events if event["type"] == "content_block_delta"
    }  # the others say nothing
    return [event for event in events if event.get("index") in {None, *ours} and event["type"] != "ping"]


# ---- OpenAI's Chat Completions ----


def completion_of(chunks):
    """The completion that a stream adds up to."""
    text, calls, finish, usage = "", {}, None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            finish = choice["finish_reason"] or finish
            for call in choice["delta"].get("tool_calls") or ():
                kept = calls.setdefault(call["index"], {"arguments": "", "name": ""})
                kept["name"] += call["function"].get("name") or ""
                kept["arguments"] += call["function"].get("arguments") or ""
    made = [{"function": calls[index]} for index in sorted(calls)]
    message = {"content": text or None, "tool_calls": made}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def told(completion):
    """What a completion says, and how it ends."""
    [choice] = completion["choices"]
    calls = [call["function"] for call in choice["message"].get("tool_calls") or ()]
    return (
        choice["message"]["content"] or "",
        [(call["name"], json.loads(call["arguments"])) for call in calls],
        choice["finish_reason"],
    )


def spoken(completion):
    """The events of an engine whose model says the same."""
    text, calls, finish = told(completion)
    out = [started(), *(said(text) if text else [])]
    for number, (name, arguments) in enumerate(calls):
        out += called(name, arguments, f"call_{number}")
    usage = completion["usage"] or {"prompt_tokens": 1, "completion_tokens": 1}
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens")
    counted = Usage(usage["prompt_tokens"], cached, usage["completion_tokens"])
    return [*out, MessageStop(ENDS[finish], None, counted)]


@recorded("openai_chat")
async def test_chat(row):
    if row["status"] != 200:
        message = row["json"]["error"]["message"]
        response = await asked(row, errors.EngineRefused(message))
        assert (response.status_code, response.json()["error"]["message"]) == (400, message), THEIR_MODEL
        assert missing(row["json"], response.json()) == set()
        return
    streamed = "sse" in row
    chunks = data_of(row["sse"]) if streamed else []
    theirs = completion_of(chunks) if streamed else row["json"]
    response = await asked(row, spoken(theirs))
    assert response.status_code == 200, response.text
    if streamed:
        mine = data_of(response.text)
        assert response.text.endswith("data: [DONE]\n\n")
        check_chunks(mine, chunks)
        ours = completion_of(mine)
    else:
        ours = response.json()
        ChatCompletion.model_validate(ours, strict=True)
        assert missing(theirs, ours) == set()
    assert told(ours) == told(theirs)
    for name in theirs["usage"] or ():
        if name.endswith("_tokens"):
            assert ours["usage"][name] == theirs["usage"][name]


def check_chunks(ours, theirs):
    for chunk in ours:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert order(map(news, ours)) == order(map(news, theirs))
    for chunk in theirs:
        assert missing(without_nulls(chunk), merged(ours)) == set(), news(chunk)


def merged(chunks):
    """One chunk with every field that some have."""
    out = {}
    for chunk in chunks:
        out |= chunk
    return out | {"choices": [choice for chunk in chunks for choice in chunk["choices"]]}


def without_nulls(value):
    """A field that says null may as well be left out of a chunk."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def news(chunk):
    """What a chunk tells."""
    if not chunk["choices"]:
        return "usage"
    [choice] = chunk["choices"]
    if choice["finish_reason"]:
        return "finish"
    delta = choice["delta"]
    return "role" if "role" in delta else "calls" if delta.get("tool_calls") else "text"


# ---- OpenAI's Embeddings ----


@recorded("openai_embeddings")
async def test_embeddings(row):
    async with playhouse(models=(Model("text-embedding-3-small"),)) as house:
        response = await house.client.post(row["path"], json=row["body"])
    assert response.status_code // 100 == row["status"] // 100, response.text
    assert missing(row["json"], response.json()) == set()
    if row["status"] == 200:
        found, recorded_ = response.json(), row["json"]
        assert [type(one["embedding"]) for one in found["data"]] == [
            type(one["embedding"]) for one in recorded_["data"]
        ]
        for one in found["data"]:
            packed = base64.b64decode(one["embedding"])  # as the SDK unpacks it
            one["embedding"] = [*memoryview(packed).cast("f")]
        assert len(CreateEmbeddingResponse.model_validate(found, strict=True).data) == len(
            row["body"]["input"]
        )
