"""Who plays: named engines, found ones, a model of our own."""

import pytest

from understudy.app import Cast
from understudy.cli import casting
from understudy.config import Config, ConfigError, Embedded, EngineSettings, Loaded, Privacy, Secrets
from understudy.engines.embedding import Embedding
from understudy.engines.worker import WorkerSettings
from understudy.language.target import Model

FOUND = (EngineSettings("ollama", "ollama", "http://127.0.0.1:11434"),)
CHOSEN = Embedding(Model("tiny"), WorkerSettings(model="tiny.gguf", key=""), rehearsal=False, why="")


def loaded(*rows: EngineSettings, on: bool | None = None, option: str = "", **embedded: object) -> Loaded:
    config = Config(engines=rows, embedded=Embedded(model=option, **embedded))
    config = casting.change(config, discover=casting.change(config.discover, on=on))
    sources = {"embedded.model": "command line"} if option else {}
    return Loaded(config, sources, Secrets(ollama_host="box:1"))


@pytest.fixture
def asked(monkeypatch):
    """What the model was chosen from; nothing is fetched."""
    calls = []

    def choose(wanted, *_more):
        calls.append(wanted)
        return CHOSEN

    monkeypatch.setattr("understudy.engines.embedding.choose", choose)
    return calls


def cast(settings: Loaded) -> Cast:
    return casting.cast(settings, lambda _said: None, lambda _done, _total: None)


def row(name: str, kind: str, url: str = "", **more: object) -> EngineSettings:
    return EngineSettings(name, kind, url, **more)


@pytest.mark.parametrize(
    ("rows", "on", "names"),
    [
        ((), None, ["ollama"]),
        ((), False, []),
        ((row("a", "vllm"),), None, ["a"]),
        ((row("a", "vllm"),), True, ["a", "ollama"]),
        ((row("mine", "ollama", "http://127.0.0.1:11434"),), True, ["mine"]),
        ((row("own", "llamacpp"),), None, []),
        ((row("own", "llamacpp"),), True, ["ollama"]),
        ((row("claude", "anthropic"),), None, ["claude", "ollama"]),
        ((row("claude", "anthropic"), row("own", "llamacpp")), None, ["claude"]),
        ((row("near", "anthropic", "http://127.0.0.1:1"),), None, ["near"]),
    ],
)
def test_named_or_found(rows, on, names, monkeypatch):
    monkeypatch.setattr(casting, "found", lambda _loaded: FOUND)
    assert [engine.name for engine in casting.engines(loaded(*rows, on=on))] == names


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("ollama", "http://box:1"),
        ("vllm", "http://127.0.0.1:8001"),
        ("llama-server", "http://127.0.0.1:8080"),
        ("anthropic", "https://api.anthropic.com"),
    ],
)
def test_usual_addresses(kind, url):
    assert casting.engines(loaded(row("a", kind)))[0].url == url
    assert casting.engines(loaded(row("a", kind, "http://x")))[0].url == "http://x"


def test_an_engine_without_an_address():
    with pytest.raises(ConfigError, match=r"engines\.a\.url: where is it"):
        casting.engines(loaded(row("a", "openai")))


def test_a_script_needs_no_address():
    assert casting.engines(loaded(row("a", "scripted", script="hello")))[0].url == ""


def test_a_found_engine_needs_no_model(asked, monkeypatch):
    monkeypatch.setattr(casting, "found", lambda _loaded: FOUND)
    assert cast(loaded()) == Cast(FOUND)
    assert not asked


def test_nothing_found(asked):
    assert cast(loaded(on=False)) == Cast((), CHOSEN)
    assert asked == [Embedded()]


@pytest.mark.parametrize(("mode", "alone"), [("local-only", True), ("open", False)])
def test_an_engine_that_is_held_does_not_stand_for_a_model_of_our_own(asked, mode, alone):
    settings = casting.change(loaded(row("claude", "anthropic"), on=False))
    settings = casting.change(settings, config=casting.change(settings.config, privacy=Privacy(mode)))
    assert (cast(settings).embedding is CHOSEN) is alone


def test_an_option_comes_before_what_is_found(asked, monkeypatch):
    monkeypatch.setattr(casting, "found", lambda _loaded: FOUND)
    assert cast(loaded(option="m.gguf")) == Cast(FOUND, CHOSEN)
    assert asked[0].model == "m.gguf"


def test_a_row_is_a_model_of_our_own(asked):
    found = cast(loaded(row("own", "llamacpp", model="x.gguf", context=512), threads=3))
    assert found.engines == ()
    assert found.embedding is not None
    assert found.embedding.name == "own"
    assert asked == [Embedded(model="x.gguf", context=512, threads=3)]


def test_two_models_of_our_own():
    with pytest.raises(ConfigError, match="a, b: only one"):
        casting.own_model(loaded(row("a", "llamacpp"), row("b", "llamacpp")))


def test_nobody_listens(unused_tcp_port):
    silent = loaded(row("a", "openai", f"http://127.0.0.1:{unused_tcp_port}"))
    (standing,) = casting.standing(silent, casting.engines(silent))
    assert standing.state == "down"
    assert str(unused_tcp_port) in standing.detail


def test_discovery_asks_where_it_is_told(unused_tcp_port_factory, monkeypatch):
    nobody = {"vllm": (unused_tcp_port_factory(),)}
    monkeypatch.setattr("understudy.engines.discover.well_known_ports", lambda: nobody)
    assert casting.found(loaded()) == ()
