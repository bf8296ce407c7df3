"""Questions as Claude Code asks them: what a session begins with, and that nothing of this machine is in them."""

import getpass
import json
import socket
from pathlib import Path

import pytest

from understudy.conform import asks
from understudy.conform.checks import CHECKS
from understudy.conform.exchange import COUNT, Scene, Trial
from understudy.conform.ideal import Ideal
from understudy.dialects.anthropic import Anthropic
from understudy.language.errors import BadRequest

SCENE = Scene("m", salt="5a17", session="00000000-0000-4000-8000-000000000001")


def body(ask):
    return json.loads(ask.body)


def test_keys_stand_in_the_clients_order():
    made = body(asks.hello(SCENE, thinking={"type": "disabled"}, tools=asks.TOOLS))
    assert list(made) == [
        "model",
        "messages",
        "system",
        "tools",
        "metadata",
        "max_tokens",
        "thinking",
        "stream",
    ]
    assert json.loads(made["metadata"]["user_id"])["session_id"] == SCENE.session
    assert "5a17" in made["system"][2]["text"]


def test_the_opening_has_the_size_and_parts_of_a_sessions():
    made = asks.opening(SCENE)
    assert 45_000 < len(asks.written(made)) < 55_000
    assert [turn["role"] for turn in made["messages"]] == ["user", "system"]
    names = [tool["name"] for tool in made["tools"]]
    assert names == sorted(names)
    assert "DeferredToolPlaceholder" in names


def test_a_count_has_neither_system_nor_limit():
    ask = asks.counted(SCENE, "foo")
    assert (ask.path, set(body(ask))) == (COUNT, {"model", "messages", "tools"})
    assert "token-counting" in dict(ask.headers)["anthropic-beta"]


def test_prose_has_the_size_that_was_asked_for():
    assert [len(asks.prose(size, "x")) for size in (0, 1, 5000)] == [0, 1, 5000]


def everything():
    """All questions of all checks."""
    ideal, seen = Ideal(), []
    scene = Scene("ideal", ("ideal",), 65536, keyed=True, bad_key=True)
    for check in CHECKS:
        trial = Trial(check, scene)
        while trial.asks:
            seen += trial.asks
            trial.tell([ideal(ask) for ask in trial.asks])
    return seen


@pytest.fixture(scope="module")
def asked():
    return everything()


def test_nothing_of_this_machine_is_asked(asked):
    private = [str(Path.home()), socket.gethostname(), str(Path.cwd())]
    text = b"\n".join(ask.body for ask in asked) + repr([ask.headers for ask in asked]).encode()
    assert not [word for word in private if len(word) > 5 and word.encode() in text]
    assert f"/{getpass.getuser()}/".encode() not in text
    assert not {name for ask in asked for name, _ in ask.headers} & {"authorization", "x-api-key", "cookie"}


def test_our_own_dialect_reads_what_is_a_question(asked):
    """All but those that are wrong on purpose."""
    wrong = 0
    for ask in asked:
        if ask.method != "POST" or ask.path == COUNT:
            continue
        try:
            Anthropic().parse(ask.body)
        except BadRequest:
            wrong += 1
    assert wrong == 7  # half of a JSON thrice, three missing fields, and a king


def test_sessions_and_runs_differ():
    other = Scene("m", salt="other", session="x")
    assert asks.hello(SCENE) != asks.hello(other)
    assert asks.hello(SCENE) == asks.hello(SCENE)
    assert dict(asks.headers(SCENE, "a1"))["x-claude-code-agent-id"] == "a1"
