"""What is served, what could be, and fetching it from an imitation of the hub."""

import importlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from fakegateway import FakeGateway, running

from understudy.cli import casting, cli
from understudy.engines.download import HubUnreachable
from understudy.language.target import Model, Standing


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("UNDERSTUDY_URL", raising=False)


def run(*args: str):
    return CliRunner().invoke(cli, args)


def test_a_gateway_is_asked():
    with running() as fake:
        done = run("models", "--url", fake.url)
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["MODEL", "ENGINE", "WINDOW", "STATE"],
        ["qwen-coder", "ollama", "32,768", "up"],
        ["org/tiny", "ollama", "not", "told", "up"],
    ]
    assert done.stderr == f"served at {fake.url}\n"


def test_as_json():
    with running() as fake:
        rows = json.loads(run("models", "--json", "--url", fake.url).stdout)
    assert rows[0] == {
        "model": "qwen-coder",
        "engine": "ollama",
        "kind": "ollama",
        "state": "up",
        "window": 32768,
    }


def test_a_gateway_without_models():
    with running(FakeGateway(models=[], engines=[])) as fake:
        done = run("models", "--url", fake.url)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "understudy models --recommended" in done.stderr


def test_a_named_gateway_must_be_there(unused_tcp_port):
    done = run("models", "--url", f"127.0.0.1:{unused_tcp_port}")
    assert done.exit_code == 1
    assert "no gateway answers" in done.stderr


def test_without_a_gateway_the_engines_are_asked(monkeypatch, unused_tcp_port):
    monkeypatch.setattr("understudy.cli.models.DEFAULT_URL", f"127.0.0.1:{unused_tcp_port}")
    monkeypatch.setattr(casting, "engines", lambda _loaded: ())
    standing = (Standing("box", "vllm", "up", (Model("qwen", 8192),)),)
    monkeypatch.setattr(casting, "standing", lambda _loaded, _rows: standing)
    done = run("models")
    assert done.stdout.splitlines()[1].split() == ["qwen", "box", "8,192", "up"]
    assert done.stderr == "no gateway runs; these engines do\n"


def test_recommended(monkeypatch, tmp_path):
    monkeypatch.setattr("understudy.engines.embedding.free_memory", lambda: 9_000_000_000)
    here = tmp_path / "understudy" / "models" / "unsloth" / "Qwen3.5-4B-GGUF"
    here.mkdir(parents=True)
    (here / "Qwen3.5-4B-Q4_K_M.gguf").write_bytes(b"GGUF")
    rows = {row["name"]: row for row in json.loads(run("models", "--recommended", "--json").stdout)}
    assert (rows["qwen3-coder-30b"]["fits"], rows["qwen3.5-9b"]["fits"]) == (False, True)
    assert (rows["qwen3.5-4b"]["here"], rows["qwen3.5-9b"]["here"]) == (True, False)
    lines = {line.split()[0]: line.split()[1] for line in run("models", "--recommended").stdout.splitlines()}
    assert (lines["qwen3-coder-30b"], lines["qwen3.5-9b"], lines["qwen3.5-4b"]) == ("no", "yes", "here")


# -- pull ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch):
    """An imitation of the hub with one model."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "engines"))
    fakehub = importlib.import_module("fakehub")
    fake = fakehub.FakeHub(repos={"me/tiny-GGUF": {"tiny-Q4_K_M.gguf": b"GGUF" + b"x" * 1000}})
    with fakehub.running(fake):
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


def test_pull_prints_the_path_and_fetches_once(hub, tmp_path):
    path = tmp_path / "understudy" / "models" / "me" / "tiny-GGUF" / "tiny-Q4_K_M.gguf"
    done = run("pull", "me/tiny-GGUF")
    assert (done.exit_code, done.stdout) == (0, f"{path}\n"), done.stderr
    assert "fetching me/tiny-GGUF: 0 MB of 0 MB" in done.stderr
    assert path.read_bytes().startswith(b"GGUF")
    asked = len(hub.seen)
    again = run("pull", "me/tiny-GGUF:Q4_K_M")
    assert (again.exit_code, again.stdout) == (0, f"{path}\n")
    assert "it is here already" in again.stderr
    assert len(hub.seen) == asked


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("me/nope-GGUF", "no such repository"),
        ("me/tiny-GGUF:Q8_0", "has no Q8_0"),
        ("./x.gguf", "is a file already: understudy serve --model ./x.gguf"),
        ("qwen3-code", "qwen3-coder-30b"),
    ],
)
def test_pull_what_cannot_be(hub, spec, words):
    done = run("pull", spec)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert words in done.stderr


def test_ctrl_c_keeps_what_was_fetched(monkeypatch):
    def obtain(*_args, on_progress, **_more):
        on_progress(400_000_000, 1_000_000_000)
        raise KeyboardInterrupt

    monkeypatch.setattr("understudy.engines.hub.obtain", obtain)
    done = run("pull", "qwen3-4b")
    assert done.exit_code == 130
    last = "stopped; the 400 MB of 1.0 GB so far are kept: the same command goes on from there"
    assert done.stderr.splitlines()[-1] == last


def test_no_network(monkeypatch):
    def obtain(*_args, **_more):
        raise HubUnreachable("The model hub cannot be reached.")

    monkeypatch.setattr("understudy.engines.hub.obtain", obtain)
    assert run("pull", "qwen3-4b").stderr == "error: The model hub cannot be reached.\n"
