"""Signals, uvicorn's own words, and what a failed start does."""

import asyncio
import logging
import os
import signal
from contextlib import asynccontextmanager

import pytest
import uvicorn
from structlog.testing import capture_logs

from understudy.app import Cast
from understudy.cli import run
from understudy.cli.port import reserved
from understudy.config import Config, Loaded, Secrets
from understudy.engines.embedding import Embedding
from understudy.engines.worker import WorkerSettings
from understudy.language.errors import UnderstudyError
from understudy.language.target import Model


async def nothing(_scope, _receive, _send) -> None:
    """An application that is never asked."""


@pytest.fixture
def server():
    return run.Server(uvicorn.Config(nothing, log_config=None), lambda: None)


@pytest.fixture
def ended(monkeypatch):
    """Statuses with which the process would have ended at once."""
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    return statuses


@pytest.mark.parametrize(
    ("signals", "forced", "at_once"),
    [
        ([signal.SIGINT], False, []),
        ([signal.SIGTERM], False, []),
        ([signal.SIGINT, signal.SIGINT], True, []),
        ([signal.SIGTERM, signal.SIGINT], True, []),
        ([signal.SIGINT, signal.SIGINT, signal.SIGINT], True, [130]),
    ],
)
def test_signals_while_serving(server, ended, signals, forced, at_once):
    curtain = run.Curtain(None, lambda: 0)
    curtain.server = server
    for number in signals:
        curtain.signalled(number)
    assert (server.should_exit, server.force_exit, ended) == (True, forced, at_once)
    assert curtain.first == signals[0]


async def test_signals_while_starting(ended):
    task = asyncio.ensure_future(asyncio.Event().wait())
    curtain = run.Curtain(task, lambda: 0)
    async with asyncio.timeout(5):
        with curtain.watching():
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait((task,))
    assert task.cancelled()
    assert (curtain.first, ended) == (signal.SIGTERM, [])
    curtain.signalled(signal.SIGINT)
    assert ended == [130]


@pytest.mark.parametrize(("count", "words"), [(0, ""), (1, "for an answer."), (3, "for 3 answers.")])
def test_who_waits_is_told_for_what(server, capsys, count, words):
    curtain = run.Curtain(None, lambda: count)
    curtain.server = server
    curtain.signalled(signal.SIGINT)
    said = capsys.readouterr().err
    assert words in said
    assert bool(said) == bool(count)


def test_uvicorn_speaks_through_our_log():
    log = logging.getLogger("uvicorn.error")
    told = run.ServerLog()
    log.addHandler(told)
    try:
        with capture_logs() as lines:
            log.info("started")
            log.warning("Invalid HTTP request received.")
            log.error("Exception in ASGI application", exc_info=ValueError("the user's own words"))
    finally:
        log.removeHandler(told)
    assert [(line["message"], line.get("kind")) for line in lines] == [
        ("Invalid HTTP request received.", None),
        ("Exception in ASGI application", "ValueError"),
    ]
    assert "own words" not in str(lines)


def test_a_model_that_does_not_load_is_an_error(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    settings = WorkerSettings(model=str(broken), key="")
    cast = Cast((), Embedding(Model("broken"), settings, rehearsal=False, why=""))
    with reserved("127.0.0.1", 0) as listener, pytest.raises(UnderstudyError, match=r"broken\.gguf"):
        run.perform(Loaded(Config(), {}, Secrets()), cast, listener)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_model_loads_ends_the_start(monkeypatch, number, status):
    let_go = []

    class Loading:
        def __init__(self, *_args, **_more) -> None: ...

        @asynccontextmanager
        async def running(self):
            try:
                os.kill(os.getpid(), number)
                await asyncio.Event().wait()
                yield
            finally:
                let_go.append(number)

    monkeypatch.setattr(run, "House", Loading)
    with reserved("127.0.0.1", 0) as listener:
        assert run.perform(Loaded(Config(), {}, Secrets()), Cast(), listener) == status
    assert let_go == [number]
