"""Asking a gateway: what it says, and every way in which it may not."""

import socket

import pytest
from fakegateway import FakeGateway, running

from understudy.cli.visit import Gateway, NotRunning
from understudy.config import ConfigError
from understudy.language.errors import EngineError, UnderstudyError


@pytest.mark.parametrize("page", [1000, 1, 2])
def test_models_once_each_over_all_pages(page):
    with running(FakeGateway(page=page)) as fake:
        rows = Gateway(fake.url).models()
    assert [(row.id, row.window) for row in rows] == [("qwen-coder", 32768), ("org/tiny", 0)]


def test_an_alias_without_its_model_is_a_model():
    with running(FakeGateway(models=[{"id": "claude-local-x"}])) as fake:
        assert [row.id for row in Gateway(fake.url).models()] == ["claude-local-x"]


def test_health_and_target():
    with running(FakeGateway(target="ollama/org/tiny")) as fake:
        gateway = Gateway(fake.url)
        assert gateway.health().up == ("qwen-coder", "org/tiny")
        assert gateway.target("auto") == "org/tiny"


def test_the_key_is_sent_or_missed():
    with running(FakeGateway(key="k1")) as fake:
        assert len(Gateway(fake.url, "k1").models()) == 2
        with pytest.raises(UnderstudyError, match="UNDERSTUDY_KEY"):
            Gateway(fake.url, "wrong").models()


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://h:1/", "http://h:1"),
        ("https://h/base/?q#f", "https://h/base"),
    ],
)
def test_addresses(url, kept):
    assert Gateway(url).url == kept


@pytest.mark.parametrize("url", ["", "ftp://h", "http://", "http://h:port", "http://h:99999"])
def test_no_addresses(url):
    with pytest.raises(ConfigError, match="is no address"):
        Gateway(url)


def test_nobody_there():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(NotRunning, match=r"connection refused\). Start it: understudy serve"):
            Gateway(f"http://127.0.0.1:{sock.getsockname()[1]}").health()


def test_silent():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        gateway = Gateway(f"http://127.0.0.1:{sock.getsockname()[1]}")
        with pytest.raises(NotRunning, match="does not answer"), gateway.ask("GET", "/", patience=0.05):
            pass


@pytest.mark.parametrize("body", [b"hello", b'{"status": "ok"}', b"[]"])
def test_somebody_else(body):
    with running(FakeGateway(health=body)) as fake, pytest.raises(NotRunning, match="is no understudy"):
        Gateway(fake.url).health()


def test_cut_in_the_middle():
    with (
        running() as fake,
        pytest.raises(EngineError, match="broke"),
        Gateway(fake.url).ask("GET", "/health"),
    ):
        raise ConnectionResetError(104, "Connection reset by peer")
