"""One question over the wire, as a terminal shows it."""

import json

import pytest
from click.testing import CliRunner
from fakegateway import FakeGateway, answer, running, sse

from understudy.cli import cli


def ask(fake: FakeGateway, *args: str, stdin: str = "", color: bool = False):
    with running(fake):
        return CliRunner().invoke(cli, ["chat", "--url", fake.url, *args], input=stdin, color=color)


def sent(fake: FakeGateway) -> dict:
    return json.loads(fake.seen[-1][3])


def test_the_answer_and_what_it_took():
    fake = FakeGateway(body=answer(("text", "hello there")))
    done = ask(fake, "hi", "--model", "org/tiny")
    assert done.exit_code == 0
    assert done.stdout == "hello there\n"
    assert done.stderr.startswith(
        "ollama/qwen-coder | 40 tokens in (75% from the cache) | 7 out | first word after"
    )
    assert sent(fake)["model"] == "org/tiny"
    assert sent(fake)["messages"] == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("args", "stdin", "question"),
    [
        ((), "", "Who are you? Answer in one sentence."),
        (("-",), "from a pipe\n", "from a pipe\n"),
        (("x y",), "", "x y"),
    ],
)
def test_questions(args, stdin, question):
    fake = FakeGateway()
    assert ask(fake, *args, stdin=stdin).exit_code == 0
    assert sent(fake)["messages"][0]["content"] == question


def test_nothing_to_ask():
    done = ask(FakeGateway(), "-", stdin=" \n")
    assert (done.exit_code, done.stderr) == (1, "error: there is no question: standard input was empty\n")


def test_thinking_is_dim():
    done = ask(FakeGateway(body=answer(("thinking", "hm"), ("text", "yes"))), color=True)
    assert "\x1b[2mhm\x1b[0m\nyes" in done.stdout


def test_a_refusal():
    body = json.dumps(
        {"type": "error", "error": {"type": "not_found_error", "message": "model 'x' not found"}}
    )
    done = ask(FakeGateway(body=body.encode(), status=404))
    assert (done.exit_code, done.stderr) == (1, "error: model 'x' not found\n")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (answer(("text", "half"))[:-60], "error:"),
        (
            sse({"type": "error", "error": {"type": "api_error", "message": "the engine fell over"}}),
            "the engine fell over",
        ),
    ],
)
def test_a_cut_answer_is_an_error(body, words):
    done = ask(FakeGateway(body=body))
    assert done.exit_code == 1
    assert words in done.stderr


def test_the_notice_is_shown():
    done = ask(FakeGateway(notice="rehearsal model: noise"))
    assert done.stderr.splitlines()[-1] == "warning: rehearsal model: noise"


def test_nobody_there(unused_tcp_port):
    done = CliRunner().invoke(cli, ["chat", "--url", f"127.0.0.1:{unused_tcp_port}"])
    assert done.exit_code == 1
    assert "Start it: understudy serve" in done.stderr
