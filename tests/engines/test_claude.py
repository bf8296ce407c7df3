"""The Claude API: bytes that pass, conversations that go on there, and what it says only by refusing."""

import json

import pytest
from enginewires import END, STREAM, engine, http, piece, sent
from test_remote import CLAUDE, events_of

from understudy.engines import claude
from understudy.engines.claude import Claude
from understudy.language import errors
from understudy.language.events import MessageStop
from understudy.language.request import Request, Text, Thinking, ToolUse, Turn, change

ANSWER = STREAM + b"".join(map(piece, CLAUDE)) + END
REAL = "E" * 100
BODY = {
    "model": "auto",
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "local", "signature": ""},
                {"type": "thinking", "thinking": "real", "signature": REAL},
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            ],
        },
        {"role": "system", "content": "note"},
        {"role": "user", "content": "go on"},
    ],
    "stream": True,
    "beta_of_next_year": 1e3,
}
RAW = json.dumps(BODY).encode()
ASK = Request(
    "claude-x",
    (
        Turn("user", (Text("hi"),)),
        Turn("assistant", (Thinking("local"), Thinking("real", REAL), Text("a"))),
        Turn("system", (Text("note"),)),
        Turn("user", (Text("go on"),)),
    ),
    stream=True,
    raw=RAW,
    dialect="anthropic",
)
SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"
MODIFIED = "messages.1.content.0: `thinking` blocks in the latest assistant message cannot be modified"
ROLE = 'messages: Unexpected role "system". Allowed roles are "user" or "assistant"'


def refusing(*words):
    """Refuses once with each of these, then answers."""

    async def script(peer):
        for message in words:
            await peer.request()
            peer.send(
                http({"type": "error", "error": {"type": "invalid_request_error", "message": message}}, 400)
            )
        while await peer.request():
            peer.send(ANSWER)

    return script


def thinking(body):
    return [
        b["thinking"]
        for m in body["messages"]
        for b in m["content"]
        if isinstance(b, dict) and "thinking" in b
    ]


async def test_only_what_it_would_refuse_is_changed():
    async with engine("anthropic", refusing(), make=Claude) as (remote, server):
        events = await events_of(remote, ASK)
    expected = RAW.replace(b'"auto"', b'"claude-x"')
    expected = expected.replace(b'{"type": "thinking", "thinking": "local", "signature": ""}, ', b"")
    assert server.requests[0].partition(b"\r\n\r\n")[2] == expected
    assert isinstance(events[-1], MessageStop)


async def test_a_body_of_ours_has_nothing_it_would_refuse():
    asking = change(ASK, turns=(*ASK.turns[:2], Turn("assistant", (ToolUse("ü", "R", "[1]"),))), raw=b"")
    async with engine("anthropic", refusing(), make=Claude) as (remote, server):
        await events_of(remote, asking)
    body = sent(server)
    assert thinking(body) == ["real"]
    (call,) = [
        b for m in body["messages"] for b in m["content"] if isinstance(b, dict) and b["type"] == "tool_use"
    ]
    assert call["input"] == {"input": [1]}
    assert call["id"].startswith("toolu_")


@pytest.mark.parametrize(
    "words", [SIGNATURE, MODIFIED, SIGNATURE + ". The block is bound to a different conversation."]
)
async def test_thinking_that_is_refused_is_left_out_and_remembered(words):
    async with engine("anthropic", refusing(words), make=Claude) as (remote, server):
        await events_of(remote, ASK)
        await events_of(remote, ASK)
    assert [thinking(sent(server, number)) for number in range(3)] == [["real"], [], []]


async def test_system_messages_are_folded_for_a_model_that_refuses_them():
    async with engine("anthropic", refusing(ROLE), make=Claude) as (remote, server):
        await events_of(remote, ASK)
        await events_of(remote, ASK)
        await events_of(remote, change(ASK, model="claude-y"))
    roles = [[message["role"] for message in sent(server, number)["messages"]] for number in range(4)]
    plain, folded = ["user", "assistant", "system", "user"], ["user", "assistant", "user", "user"]
    assert roles == [plain, folded, folded, plain]


async def test_one_after_the_other():
    async with engine("anthropic", refusing(SIGNATURE), make=Claude) as (remote, server):
        await events_of(remote, ASK)
        assert len(server.requests) == 2


TOLD = {  # a refusal that a second question would not mend, asked with
    "another": ("max_tokens: too large", ASK),
    "no thinking": (SIGNATURE, change(ASK, turns=ASK.turns[:1])),
    "no system": (ROLE, change(ASK, turns=ASK.turns[:2])),
    "a body of ours": (ROLE, change(ASK, raw=b"")),
}


@pytest.mark.parametrize(("words", "asking"), TOLD.values(), ids=TOLD)
async def test_what_it_refuses_otherwise_is_told(words, asking):
    async with engine("anthropic", refusing(words), make=Claude) as (remote, server):
        with pytest.raises(errors.EngineRefused, match=words[:20]):
            await events_of(remote, asking)
        assert len(server.requests) == 1


async def test_what_was_mended_and_is_refused_again_is_told():
    async with engine("anthropic", refusing(ROLE, ROLE), make=Claude) as (remote, server):
        with pytest.raises(errors.EngineRefused):
            await events_of(remote, ASK)
        assert len(server.requests) == 2


async def test_the_oldest_marks_are_forgotten(monkeypatch):
    monkeypatch.setattr(claude, "REMEMBERED", 0)
    async with engine("anthropic", refusing(SIGNATURE), make=Claude) as (remote, server):
        await events_of(remote, ASK)
        assert thinking(sent(server, 1)) == ["real"]
