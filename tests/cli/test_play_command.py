"""`understudy play`: a fake engine from the command line."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from understudy.cli import cli
from understudy.cli import play as play_module
from understudy.cli.play import variables
from understudy.engines.play_kinds import MANNERS


def test_every_kind_is_offered():
    assert set(sys.modules["understudy.cli.play"].KINDS) == set(MANNERS)


@pytest.fixture
def program(tmp_path):
    """Starts the command; whatever still runs is ended."""
    started = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "understudy", "play", "--port", "0", *arguments]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        started.append(process)
        line = process.stdout.readline()
        assert "a script, no model" in line
        return process, line.split(" on ")[1].split(": a script")[0]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def asked(url: str, body: dict | None = None) -> dict:
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(url, data)) as response:  # noqa: S310 - loopback
        return json.load(response)


def test_it_serves_until_it_is_interrupted(program):
    process, url = program("--as", "ollama", "--model", "toy", "--context", "2048")
    assert asked(url + "/api/tags")["models"][0]["name"] == "toy"
    body = {"model": "toy", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert "scripted engine" in asked(url + "/api/chat", body)["message"]["content"]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130


def test_the_agent_works_in_this_directory_or_in_another(program, tmp_path):
    tool = {"type": "function", "function": {"name": "Write", "parameters": {"type": "object"}}}
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
    for more, place in (((), str(tmp_path)), (("--set", "cwd=/else"), "/else")):
        _, url = program("agent", "--as", "llama-server", *more)
        said = asked(url + "/v1/chat/completions", body)["choices"][0]["message"]
        arguments = json.loads(said["tool_calls"][0]["function"]["arguments"])
        assert arguments["file_path"] == place + "/greeting.py"


WRONG = [  # arguments, what is said, the status
    (["nowhere.jsonl"], "nowhere.jsonl: cannot be read", 1),
    (["--set", "cwd"], "'cwd': write NAME=VALUE", 2),
    (["--as", "tgi"], "'tgi' is not one of", 2),
    (["--pace", "-1"], "-1", 2),
]


@pytest.mark.parametrize(("arguments", "said", "status"), WRONG)
def test_what_is_wrong_is_said(arguments, said, status):
    result = CliRunner().invoke(cli, ["play", *arguments])
    assert said in result.output
    assert result.exit_code == status


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(cli, ["play", "--port", str(taken.getsockname()[1])])
    assert "cannot listen on 127.0.0.1:" in result.output
    assert result.exit_code == 1


def test_variables():
    assert variables(("a=b=c", "d=")) == {"a": "b=c", "d": ""}
    assert play_module.play.name == "play"
