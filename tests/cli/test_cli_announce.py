"""What is said when all is ready."""

import pytest

from understudy.app import Cast
from understudy.cli.announce import announce, client_line
from understudy.config import Auth, Config, EngineSettings, Loaded, Secrets, Server
from understudy.engines.embedding import Embedding
from understudy.engines.worker import WorkerSettings
from understudy.language.routes import Routing, Rule
from understudy.language.target import Model, Standing

BOX = Standing("box", "vllm", "up", (Model("qwen-coder", 65_536), Model("llama", 8192)))
OWN = Standing("embedded", "llamacpp", "up", (Model("tiny", 8192),))
DOWN = Standing("old", "ollama", "down", (), 0, "connection refused")


def loaded(host: str = "127.0.0.1", key: str = "", hashes: tuple[str, ...] = ()) -> Loaded:
    return Loaded(Config(server=Server(host=host), auth=Auth(hashes)), {}, Secrets(master_key=key))


def said(capsys, *standing: Standing, cast: Cast = Cast()) -> tuple[dict[str, str], str]:  # noqa: B008 - frozen
    announce(loaded(), cast, standing, 8000)
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "understudy is ready at http://127.0.0.1:8000"
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[1:]}, shown.err


def test_an_engine_with_models(capsys):
    facts, warnings = said(capsys, BOX)
    assert facts == {
        "engine": "box (vllm)",
        "model": "qwen-coder",
        "window": "65,536 tokens",
        "also": "llama",
        "docs": "http://127.0.0.1:8000/docs",
        "health": "http://127.0.0.1:8000/health",
        "client": "understudy claude",
    }
    assert warnings == ""


def test_a_rule_that_is_odd(capsys):
    odd = Loaded(Config(routing=Routing(rules=(Rule(("nope",)),))), {}, Secrets())
    announce(odd, Cast(), (BOX,), 8000)
    assert "rule 1 of the settings: 'nope' is no target here" in " ".join(capsys.readouterr().err.split())


def test_many_models(capsys):
    many = Standing("box", "vllm", "up", tuple(Model(f"m{n}", 65_536) for n in range(10)))
    assert said(capsys, many)[0]["also"] == "m1, m2, m3, m4, m5, m6 and 3 more: understudy models"


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        ((DOWN,), "no engine can answer now"),
        ((), "no engine can answer now"),
        ((Standing("box", "vllm", "up", (Model("qwen"),)),), "box/qwen does not tell its window"),
        ((OWN,), "CLAUDE_CODE_SIMPLE=1"),
    ],
)
def test_warnings(capsys, standing, words):
    assert words in said(capsys, *standing)[1]


@pytest.mark.parametrize(
    ("standing", "url", "shown"),
    [
        (BOX, "http://me:pw@h:1", "box (vllm) at http://***@h:1"),
        (Standing("ollama", "ollama", "up"), "http://h:1", "ollama at http://h:1"),
        (OWN, "", "embedded (our own llama.cpp)"),
        (DOWN, "", "old (ollama), down: connection refused"),
    ],
)
def test_an_engine_with_its_place_and_state(capsys, standing, url, shown):
    rows = (EngineSettings(standing.engine, "openai", url),) if url else ()
    assert said(capsys, standing, cast=Cast(rows))[0]["engine"] == shown


def test_noise_is_loud(capsys):
    settings = WorkerSettings(model="", key="")
    cast = Cast((), Embedding(Model("rehearsal", 8192), settings, rehearsal=True, why=""))
    warnings = said(capsys, OWN, cast=cast)[1]
    assert "REHEARSAL: THE ANSWERS ARE NOISE" in warnings
    assert "understudy serve --model FILE.gguf" in warnings


@pytest.mark.parametrize(
    ("settings", "url", "line"),
    [
        (loaded(), "http://127.0.0.1:8000", "understudy claude"),
        (loaded(), "http://127.0.0.1:8010", "understudy claude --url http://127.0.0.1:8010"),
        (loaded(key="k"), "http://127.0.0.1:8000", "UNDERSTUDY_KEY=... understudy claude"),
        (loaded(hashes=("ab" * 32,)), "http://127.0.0.1:8000", "UNDERSTUDY_KEY=... understudy claude"),
    ],
)
def test_the_line_for_the_client(settings, url, line):
    assert client_line(settings, url) == line
