"""A decision explained: by a gateway, and without one."""

import json

import msgspec
import pytest
from click.testing import CliRunner
from fakegateway import FakeGateway, running

from understudy.cli import casting, cli
from understudy.cli.route import Explained
from understudy.config import EngineSettings
from understudy.router import Explanation

TOLD = {
    "task": "code",
    "confidence": 0.934,
    "target": "box/qwen-coder",
    "targets": ["box/qwen-coder", "old/llama"],
    "reason": "auto: it reads like code (93%); a coder model",
    "findings": [
        {"kind": "secret", "rule": "aws-key", "where": "messages[0]", "start": 4, "length": 20},
    ],
}
NOBODY = TOLD | {"target": "", "targets": [], "reason": "no engine is running", "findings": []}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("UNDERSTUDY_URL", raising=False)


def run(*args, stdin=""):
    return CliRunner().invoke(cli, ["route", *args], input=stdin)


def ask(fake, *args, stdin=""):
    with running(fake):
        return run("--url", fake.url, *args, stdin=stdin)


def gateway(told=None):
    return FakeGateway(body=json.dumps(TOLD if told is None else told).encode())


def sent(fake):
    return json.loads(fake.seen[-1][3])


def test_what_a_gateway_tells():
    fake = gateway()
    done = ask(fake, "fix this")
    assert done.stdout.splitlines() == [
        "task     code (0.93)",
        "target   box/qwen-coder",
        "reason   auto: it reads like code (93%); a coder model",
        "else     old/llama",
        "private  secret (aws-key) in messages[0], character 4",
    ]
    assert (done.exit_code, done.stderr) == (0, f"decided by the gateway at {fake.url}\n")
    assert fake.seen[-1][:2] == ("POST", "/route")
    assert sent(fake) == {"model": "auto", "messages": [{"role": "user", "content": "fix this"}]}
    assert "x-claude-code-request-class" not in fake.seen[-1][2]


def test_as_json():
    done = ask(gateway(), "fix this", "--json")
    assert json.loads(done.stdout) == TOLD
    assert done.stderr == ""


def test_nobody_would_answer():
    done = ask(gateway(NOBODY), "fix this")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1:] == ["target   nobody", "reason   no engine is running"]


WHOLE = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9}


@pytest.mark.parametrize(
    ("args", "stdin", "body"),
    [
        (("-",), "piped", {"model": "auto", "messages": [{"role": "user", "content": "piped"}]}),
        (("--request", "-"), json.dumps(WHOLE), WHOLE),
        (("--request", "-", "--model", "m"), json.dumps(WHOLE), WHOLE | {"model": "m"}),
        (("--request", "-", "--task", "math"), json.dumps(WHOLE), WHOLE | {"task_type": "math"}),
        (("--request", "body.json"), "", WHOLE),
    ],
)
def test_what_is_asked(args, stdin, body, tmp_path):
    (tmp_path / "body.json").write_text(json.dumps(WHOLE))
    fake = gateway()
    assert ask(fake, *args, stdin=stdin).exit_code == 0
    assert sent(fake) == body


def test_the_kind_of_request():
    fake = gateway()
    ask(fake, "--as", "subagent", "x")
    assert fake.seen[-1][2]["x-claude-code-request-class"] == "subagent"


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        ((), "", "there is no question"),
        (("-",), " \n", "there is no question"),
        (("--request", "-"), "[1]", "--request: that is no JSON object"),
        (("--request", "-"), "{", "--request: that is no JSON object"),
        (("--task", "cooking", "x"), "", "'cooking' is not one of"),
        (("--as", "queen", "x"), "", "'queen' is not one of"),
    ],
)
def test_what_is_no_question(args, stdin, said):
    done = run(*args, stdin=stdin)
    assert done.exit_code != 0
    assert said in done.stderr


def test_a_gateway_that_is_named_and_not_there():
    done = run("--url", "http://127.0.0.1:9", "x")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no gateway answers at http://127.0.0.1:9" in done.stderr


RULES = """
[[routing.rules]]
when = {background = true}
targets = ["nothing-like-it", "scripted"]
"""


@pytest.fixture
def scripted(monkeypatch):
    """The engine that is found; it has no port, and so nothing is asked for."""
    monkeypatch.setattr(
        casting, "engines", lambda loaded: (EngineSettings("here", "scripted"), *loaded.config.engines)
    )
    monkeypatch.setattr("understudy.cli.route.DEFAULT_URL", "http://127.0.0.1:9")


@pytest.mark.parametrize("args", [(), ("--config", "own.toml")])
def test_without_a_gateway_it_is_decided_here(args, scripted, tmp_path):
    (tmp_path / "understudy.toml").write_text(RULES)
    (tmp_path / "own.toml").write_text(RULES)
    done = run("--as", "auxiliary", "a title", *args)
    assert done.stderr == "decided here: no gateway was asked\n"
    assert "rule 1 of the settings; no nothing-like-it here; the only model here" in done.stdout
    assert done.exit_code == 0


def test_settings_that_are_wrong(tmp_path):
    (tmp_path / "own.toml").write_text("[[routing.rules]]\ntargets = []\n")
    done = run("--config", "own.toml", "x")
    assert done.exit_code == 2
    assert "routing.rules" in done.stderr


def test_a_request_that_is_wrong(scripted):
    done = run("--request", "-", stdin='{"messages": 3}')
    assert (done.exit_code, done.stderr) == (1, "error: messages: Expected array, got int\n")


def test_the_command_reads_what_the_router_tells():
    told = Explanation("code", 0.5, "a/b", ("a/b",), "why", ())
    assert msgspec.json.decode(msgspec.json.encode(told), type=Explained).reason == "why"
    assert Explained.__struct_fields__ == Explanation.__struct_fields__
