"""A house with a model of its own and the Claude API outside: what stays, what leaves, and how a conversation moves between.

The Claude API is the scripted stand-in of `understudy play --as anthropic`: it refuses what the real one refuses.
"""

import asyncio
import contextlib
import json

import httpx
import pytest
from web.driver import Puppet, Visit, call, say

from understudy.app import Cast, House
from understudy.config import Budget, Config, EngineSettings, Loaded, Privacy, Secrets
from understudy.engines.play import serving
from understudy.engines.play_claude import signature
from understudy.engines.script import parse
from understudy.language.errors import EngineBusy, EngineLost
from understudy.language.events import (
    BlockStart,
    BlockStop,
    MessageStart,
    MessageStop,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.routes import Routing, Rule
from understudy.language.target import Model

OPUS = "claude-opus-5-5"
CLAUDE, HOME = f"claude/{OPUS}", "home/qwen3-8b"
SCRIPT = """
{"thinking": "let me see"}
{"text": "From Claude."}
{"usage": {"input_tokens": 1000000, "output_tokens": 10}}
"""
MAIL = "write to ada.lovelace@analytical.io"
DOWN = [EngineLost("gone")]
RULE = Routing(rules=(Rule(("claude",)),))
BETAS = (b"anthropic-beta", b"claude-code-20250219,odd-2026-11-24")


@contextlib.asynccontextmanager
async def two(*answers, tmp_path, privacy=None, routing=RULE, budget=None, script=SCRIPT, local=None):
    """The house, its own engine, and the stand-in outside."""
    home = local or Puppet(
        *(answers or [[say("From here.")]]), name="home", models=(Model("qwen3-8b", 65536),)
    )
    async with serving(parse(script), kind="anthropic", model=OPUS) as outside:
        row = EngineSettings("claude", "anthropic", outside.url, (OPUS,), key_env="K", local=False)
        config = Config(
            engines=(row,),
            routing=routing,
            privacy=privacy or Privacy("open", audit=str(tmp_path / "audit.jsonl")),
            budget=budget or Budget(file=str(tmp_path / "ledger.db")),
        )
        loaded = Loaded(config, {}, Secrets(engine_keys={"claude": "our-key"}))
        built = House(loaded, Cast((row,)), engines=(home,))
        async with built.running():
            yield built, home, outside


def body(*messages, model="auto", **more):
    return json.dumps(
        {"model": model, "max_tokens": 100, "messages": list(messages) or [user("hi")], **more}
    ).encode()


def user(content):
    return {"role": "user", "content": content}


def assistant(*content):
    return {"role": "assistant", "content": list(content)}


async def ask(house, sent, *headers):
    return await Visit(house.app, body=sent, headers=[BETAS, *headers])()


def target(visit):
    return visit.headers["x-understudy-target"]


def route(visit):
    return visit.headers["x-understudy-route"]


def asked(outside):
    return [one for one in outside.requests if one.path == "/v1/messages"]


# -- bytes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_bytes_pass_untouched_both_ways(tmp_path, stream):
    odd = {
        "of_next_year": {"x": 1.0e3},
        "system": [{"type": "text", "text": "x-anthropic-billing-header: v"}],
    }
    sent = body(
        user([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]), stream=stream, **odd
    )
    async with two(tmp_path=tmp_path) as (house, _, outside):
        visit = await ask(house, sent)
        async with httpx.AsyncClient() as client:
            theirs = await client.post(f"{outside.url}/v1/messages", content=asked(outside)[0].body)
    (left, _) = asked(outside)
    assert left.body == sent.replace(b'"auto"', f'"{OPUS}"'.encode())
    assert left.headers["anthropic-beta"] == BETAS[1].decode()
    assert left.headers["x-api-key"] == "our-key"
    assert visit.body == theirs.content
    assert (target(visit), visit.status) == (CLAUDE, 200)


async def test_tokens_are_counted_there(tmp_path):
    sent = json.dumps({"model": "auto", "messages": [user("hi")]}).encode()
    async with two(tmp_path=tmp_path) as (house, _, outside):
        visit = await Visit(house.app, path="/v1/messages/count_tokens", body=sent)()
    assert visit.json["input_tokens"] > 0
    assert outside.requests[-1].body == sent.replace(b'"auto"', f'"{OPUS}"'.encode())


# -- what stays -----------------------------------------------------------------------------------------------------


STAYS = [  # settings, header, text: a word of the reason
    (Privacy("local-only"), b"open", "hi", "one like|only model|best model"),
    (Privacy("ask-free"), b"", MAIL, "kept here: 1 email"),
    (Privacy("open"), b"ask-free", MAIL, "kept here: 1 email"),
    (Privacy("open"), b"local-only", "hi", "X-Understudy-Privacy is local-only"),
]


@pytest.mark.parametrize(("privacy", "header", "text", "why"), STAYS)
async def test_what_may_not_leave_is_answered_here(tmp_path, privacy, header, text, why):
    async with two(tmp_path=tmp_path, privacy=privacy) as (house, _, outside):
        visit = await ask(house, body(user(text)), (b"x-understudy-privacy", header))
        assert target(visit) == HOME
        assert any(word in route(visit) for word in why.split("|")), route(visit)
        assert outside.requests == ()


async def test_nothing_private_leaves_when_there_is_nobody_here(tmp_path):
    privacy = Privacy("ask-free")
    async with two(DOWN, tmp_path=tmp_path, privacy=privacy, routing=Routing()) as (house, _, outside):
        visit = await ask(house, body(user(MAIL)))
        assert visit.status in (502, 503)
        named = await ask(house, body(user(MAIL), model=CLAUDE))
        assert (named.status, named.json["error"]["type"]) == (403, "permission_error")
        assert "kept here: 1 email" in named.json["error"]["message"]
        assert "lovelace" not in named.json["error"]["message"]
        assert outside.requests == ()


async def test_while_nothing_may_leave_there_is_no_connection(tmp_path):
    async with two(DOWN, tmp_path=tmp_path, privacy=Privacy()) as (house, _, outside):
        for model in ("auto", "claude-opus-5-5", CLAUDE):
            assert (await ask(house, body(model=model))).status >= 400
        assert house.pool.snapshot()[-1].state == "held"
        assert outside.connections == 0


# -- what leaves --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [EngineLost("gone"), EngineBusy("full")])
async def test_what_fails_here_is_answered_there(tmp_path, failure):
    async with two([failure], tmp_path=tmp_path, routing=Routing()) as (house, home, outside):
        visit = await ask(house, body())
        assert (target(visit), visit.status) == (CLAUDE, 200)
        assert f"{HOME} is" in route(visit)
        assert (len(home.requests), len(asked(outside))) == (1, 1)


async def test_what_is_in_the_audit(tmp_path):
    async with two(tmp_path=tmp_path) as (house, _, _):
        await ask(house, body(user(MAIL)), (b"x-claude-code-session-id", b"s-1"))
    (line,) = [json.loads(row) for row in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert (line["target"], line["findings"], line["model"]) == (CLAUDE, {"email": 1}, "auto")
    assert "lovelace" not in json.dumps(line)
    assert "s-1" not in json.dumps(line)


async def test_a_budget_that_is_spent_is_answered_here(tmp_path):
    budget = Budget(day_dollars=4.0, file=str(tmp_path / "l.db"))
    async with two(tmp_path=tmp_path, budget=budget) as (house, _, outside):
        first, second = await ask(house, body()), await ask(house, body())
    assert (target(first), target(second)) == (CLAUDE, HOME)
    assert "Claude stays out (today's budget of $4.00 is spent" in route(second)
    assert len(asked(outside)) == 1
    async with two(tmp_path=tmp_path, budget=budget) as (house, _, outside):  # and after a restart
        named = await ask(house, body(model=CLAUDE))
        assert named.status == 403
        assert "today's budget of $4.00 is spent" in named.json["error"]["message"]
        rows = await house.ledger.rows(1)
    assert [(row.target, row.outside, row.answers) for row in rows] == [(CLAUDE, True, 1), (HOME, False, 1)]
    assert rows[0].dollars == pytest.approx(4.0002)
    assert (rows[1].instead, rows[1].dollars > 0) == ("claude-sonnet-5-5", True)


async def test_what_is_under_way_counts(tmp_path):
    go_on = asyncio.Event()
    away = Puppet([go_on, say("there")], name="claude", local=False, models=(Model(OPUS),))
    privacy, budget = (
        Privacy("open", audit=str(tmp_path / "a")),
        Budget(day_tokens=3, file=str(tmp_path / "l")),
    )
    config = Config(routing=RULE, privacy=privacy, budget=budget)
    home = Puppet(name="home", models=(Model("qwen3-8b", 65536),))
    built = House(Loaded(config, {}, Secrets()), Cast(), engines=(home, away))
    async with built.running():
        first = Visit(built.app, body=body(user("a question of more than three tokens"))).start()
        await away.asked.wait()
        second = await ask(built, body(user("another question of more than three tokens")))
        go_on.set()
        await first.over()
    assert (target(first), target(second)) == (CLAUDE, HOME)


async def test_who_says_when_to_come_back_is_left_alone_until_then(tmp_path):
    away = Puppet(
        [EngineBusy("429: slow down", retry_after=30.0)],
        name="claude",
        local=False,
        kind="anthropic",
        models=(Model(OPUS),),
    )
    config = Config(routing=RULE, privacy=Privacy("open", audit=str(tmp_path / "a")))
    home = Puppet(name="home", models=(Model("qwen3-8b", 65536),))
    built = House(Loaded(config, {}, Secrets()), Cast(), engines=(home, away))
    async with built.running():
        visits = [await ask(built, body(user(f"question {number}"))) for number in range(3)]
    assert [target(visit) for visit in visits] == [HOME] * 3
    assert "claude is overloaded" in route(visits[0]) or "is overloaded" in route(visits[0])
    assert len(away.requests) == 1


# -- moving ---------------------------------------------------------------------------------------------------------


def thinks_and_calls(identity):
    return [
        MessageStart("msg_1"),
        BlockStart("thinking"),
        ThinkingDelta("a local thought"),
        BlockStop(),
        *call("Read", '{"file_path": "a"}', identity=identity)[1:],
    ]


TOOL = {"name": "Read", "input_schema": {"type": "object", "properties": {"file_path": {"type": "string"}}}}


def turn(visit):
    """An assistant's message as a client sends it back."""
    return {"role": "assistant", "content": visit.json["content"]}


def results(message):
    return user(
        [
            {"type": "tool_result", "tool_use_id": b["id"], "content": "x"}
            for b in message["content"]
            if b["type"] == "tool_use"
        ]
    )


async def test_a_tool_loop_goes_on_there_when_the_engine_here_dies(tmp_path):
    answers = ([thinks_and_calls("functions.Read:0")], DOWN)
    async with two(*answers, tmp_path=tmp_path, routing=Routing()) as (house, _, outside):
        session = (b"x-claude-code-session-id", b"s")
        first = await ask(house, body(user("read a"), tools=[TOOL]), session)
        assert target(first) == HOME
        said = turn(first)
        assert said["content"][0]["type"] == "thinking"
        sent = body(user("read a"), said, results(said), tools=[TOOL])
        second = await ask(house, sent, session)
        assert (target(second), second.status) == (CLAUDE, 200), second.body
        assert "tokens of its prefix are lost" in route(second)
        (left,) = asked(outside)
        assert b"a local thought" not in left.body
        assert json.loads(left.body)["tools"] == [TOOL]


async def test_a_conversation_comes_back_and_goes_again(tmp_path):
    """Claude's own signed thinking passes untouched, among turns of a local model."""
    async with two(tmp_path=tmp_path, routing=Routing()) as (house, home, outside):
        first = await ask(house, body(user("hi"), model=CLAUDE))
        said = turn(first)
        assert said["content"][0] == {
            "type": "thinking",
            "thinking": "let me see",
            "signature": signature("let me see"),
        }
        talk = [user("hi"), said, user("and now?")]
        second = await ask(house, body(*talk, model=HOME))
        assert (target(second), second.status) == (HOME, 200)
        assert [turn.role for turn in home.requests[0].turns] == ["user", "assistant", "user"]
        talk += [
            assistant({"type": "thinking", "thinking": "mine", "signature": ""}, *turn(second)["content"])
        ]
        third = await ask(house, body(*talk, user("again"), model=CLAUDE))
        assert (target(third), third.status) == (CLAUDE, 200), third.body
    assert b"let me see" in asked(outside)[1].body
    assert b"mine" not in asked(outside)[1].body


async def test_the_stand_in_would_have_refused_it(tmp_path):
    """What makes the two tests before this one tests."""
    async with two(tmp_path=tmp_path) as (_, _, outside):
        unsigned = assistant(
            {"type": "thinking", "thinking": "mine", "signature": ""}, {"type": "text", "text": "a"}
        )
        async with httpx.AsyncClient() as client:
            sent = body(user("hi"), unsigned, user("go"), model=OPUS)
            refused = await client.post(f"{outside.url}/v1/messages", content=sent)
    assert refused.status_code == 400
    assert "Invalid `signature` in `thinking` block" in refused.text


# -- placeholders ---------------------------------------------------------------------------------------------------


class Echo(Puppet):
    """Answers with the last words it was sent, one character at a time."""

    async def answer(self, request, session, listener):
        text = request.turns[-1].blocks[-1].text
        deltas = [TextDelta(char) for char in text]
        answer = [
            MessageStart("m"),
            BlockStart("text"),
            *deltas,
            BlockStop(),
            MessageStop("end_turn", usage=Usage(5, 0, 5)),
        ]
        self.answers.clear()
        self.answers.append([answer])
        await super().answer(request, session, listener)


@pytest.mark.parametrize("stream", [True, False])
async def test_redacted_it_leaves_and_the_answer_has_the_values(tmp_path, stream):
    away = Echo(name="claude", local=False, kind="anthropic", raw=True, models=(Model(OPUS),))
    config = Config(routing=RULE, privacy=Privacy("ask-free", redact=True, audit=str(tmp_path / "a")))
    built = House(Loaded(config, {}, Secrets()), Cast(), engines=(Puppet(name="home"), away))
    async with built.running():
        visit = await ask(built, body(user(MAIL), stream=stream))
    assert target(visit) == CLAUDE
    left = away.requests[0]
    assert "lovelace" not in repr(left)
    assert "PRIVATE_EMAIL_" in left.turns[-1].blocks[-1].text
    assert b"PRIVATE_EMAIL_" not in visit.body
    if not stream:
        assert visit.json["content"] == [{"type": "text", "text": MAIL}]
