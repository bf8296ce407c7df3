"""Starting Claude Code: a stand-in program on PATH says what it was given."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from fakegateway import FakeGateway, running

from understudy.cli import cli

STAND_IN = """#!{python}
import json, os, sys
print(json.dumps({{"args": sys.argv[1:], "env": dict(os.environ)}}))
sys.exit(7)
"""


@pytest.fixture
def gateway():
    with running() as fake:
        yield fake


@pytest.fixture
def home(tmp_path):
    program = tmp_path / "claude"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    return tmp_path


def start(home, url: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "understudy", "claude", *args],
        env={"PATH": str(home), "HOME": str(home), "UNDERSTUDY_URL": url, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_becomes_claude(home, gateway):
    done = start(home, gateway.url, "-p", "say 'hi'", "--max-turns", "3", CLAUDE_CODE_MAX_OUTPUT_TOKENS="99")
    assert done.returncode == 7
    got = json.loads(done.stdout)
    assert got["args"] == ["-p", "say 'hi'", "--max-turns", "3"]
    assert got["env"]["ANTHROPIC_MODEL"] == "qwen-coder"
    assert got["env"]["ANTHROPIC_BASE_URL"] == gateway.url
    assert got["env"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "99"
    assert done.stderr == "kept from your environment: CLAUDE_CODE_MAX_OUTPUT_TOKENS\n"


@pytest.mark.parametrize(
    ("args", "passed", "model"),
    [
        ((), [], "qwen-coder"),
        (("--model", "org/tiny"), ["--model", "org/tiny"], "org/tiny"),
        (("--model=org/tiny", "x"), ["--model=org/tiny", "x"], "org/tiny"),
        (("--model", "opus"), ["--model", "opus"], "qwen-coder"),
        (("--local-model", "org/tiny", "-c"), ["-c"], "org/tiny"),
        (("--", "--url", "x"), ["--url", "x"], "qwen-coder"),
        (("mcp", "--help"), ["mcp", "--help"], "qwen-coder"),
        (("--settings", "s.json", "-c"), ["--settings", "s.json", "-c"], "qwen-coder"),
        (("-p", "x", "--model"), ["-p", "x", "--model"], "qwen-coder"),
    ],
)
def test_arguments(home, gateway, args, passed, model):
    got = json.loads(start(home, gateway.url, *args).stdout)
    assert (got["args"], got["env"]["ANTHROPIC_MODEL"]) == (passed, model)


@pytest.mark.parametrize(
    ("args", "hinted"),
    [
        ((), True),
        (("-p", "x"), False),
        (("--print",), False),
        (("--permission-mode", "plan"), False),
        (("--permission-mode=plan",), False),
        (("--dangerously-skip-permissions",), False),
    ],
)
def test_the_hint_about_permissions(home, gateway, args, hinted):
    assert ("--permission-mode acceptEdits" in start(home, gateway.url, *args).stderr) == hinted


def test_noise_is_said_loudly(home):
    engines = [
        {
            "name": "e",
            "kind": "llamacpp",
            "state": "up",
            "models": ["qwen-coder"],
            "notice": "rehearsal model",
        }
    ]
    with running(FakeGateway(engines=engines)) as fake:
        done = start(home, fake.url, "-p", "x")
    assert done.returncode == 7
    assert "warning: THE ANSWERS ARE NOISE - rehearsal model\n" in done.stderr


def test_a_window_that_is_not_told(home, gateway):
    assert "does not tell its window" in start(home, gateway.url, "-p", "x", "--model", "org/tiny").stderr


def test_no_claude(tmp_path, gateway):
    done = start(tmp_path, gateway.url)
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr.endswith("Install Claude Code: npm install -g @anthropic-ai/claude-code\n")


def test_no_gateway(home, unused_tcp_port):
    done = start(home, f"http://127.0.0.1:{unused_tcp_port}")
    assert done.returncode == 1
    assert done.stderr.endswith("Start it: understudy serve\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("fake", "args", "words"),
    [
        (FakeGateway(), ["--local-model", "nope"], "There are: qwen-coder, org/tiny"),
        (
            FakeGateway(models=[], engines=[{"name": "ollama", "state": "down", "detail": "refused"}]),
            [],
            "has no model to offer now. ollama is down: refused",
        ),
        (FakeGateway(key="k"), [], "set UNDERSTUDY_KEY"),
    ],
)
def test_errors(home, fake, args, words):
    with running(fake):
        done = start(home, fake.url, *args)
    assert done.returncode == 1
    assert words in done.stderr


@pytest.mark.parametrize("name", ["UNDERSTUDY_KEY", "UNDERSTUDY_MASTER_KEY"])
def test_the_key_goes_to_the_gateway_and_to_claude(home, name):
    with running(FakeGateway(key="k1")) as fake:
        got = json.loads(start(home, fake.url, **{name: "k1"}).stdout)
    assert got["env"]["ANTHROPIC_AUTH_TOKEN"] == "k1"


def test_print_env(gateway):
    done = CliRunner().invoke(cli, ["claude", "--url", gateway.url, "--print-env"])
    assert "unset ANTHROPIC_API_KEY\n" in done.stdout
    assert f"export ANTHROPIC_BASE_URL={gateway.url}\n" in done.stdout
    script = done.stdout + 'printf %s "$ANTHROPIC_MODEL"'
    shell = subprocess.run(
        ["/bin/sh", "-euc", script], env={"PATH": os.defpath}, capture_output=True, check=True
    )
    assert shell.stdout == b"qwen-coder"


def test_print_settings(gateway):
    found = json.loads(CliRunner().invoke(cli, ["claude", "--url", gateway.url, "--settings"]).stdout)
    assert found["model"] == "qwen-coder"
    assert found["env"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "41672"
