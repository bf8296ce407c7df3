import asyncio
import os
import signal

import httpx
import psutil
import pytest

from understudy.engines import child as child_module
from understudy.engines.child import LlamaChild
from understudy.engines.ggufinfo import BadModel
from understudy.engines.tinygguf import write_scripted
from understudy.engines.worker import WorkerSettings
from understudy.language.errors import EngineTimeout


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "s.gguf"
    write_scripted(path, ["Hello."])
    return path


def settings(model, **more):
    return WorkerSettings(model=str(model), key="", context=4096, **more)


async def status(child, key):
    async with httpx.AsyncClient() as client:
        return (
            await client.get(f"{child.url}/slots", headers={"Authorization": f"Bearer {key}"})
        ).status_code


async def test_life_of_a_child(model):
    other = LlamaChild(settings(model))
    async with LlamaChild(settings(model)) as child:
        assert child.url.startswith("http://127.0.0.1:")
        assert len(child.key) >= 32
        assert child.key != other.key
        assert await status(child, child.key) == 200
        assert await status(child, other.key) == 401
        died = asyncio.ensure_future(child.wait_died())
        await asyncio.sleep(0)
        assert not died.done()
        pid = child.pid
    assert await died == 0
    assert not psutil.pid_exists(pid)


async def test_a_killed_child_is_noticed(model):
    child = LlamaChild(settings(model))
    await child.start()
    os.kill(child.pid, signal.SIGKILL)
    assert await child.wait_died() == -signal.SIGKILL
    await child.stop()


async def test_stop_before_start_does_nothing(model):
    child = LlamaChild(settings(model))
    await child.stop()
    assert (child.pid, child.url) == (0, "")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda whole: b"<html>", "not a GGUF model file"),
        (lambda whole: whole[:-100], r"cannot load m\.gguf.*not within the file bounds"),
        (lambda whole: whole.replace(b"llama", b"lxxma"), r"cannot load m\.gguf.*unknown model architecture"),
    ],
    ids=["no model", "cut", "unknown"],
)
async def test_why_a_model_cannot_be_loaded(model, tmp_path, change, complaint):
    path = tmp_path / "m.gguf"
    path.write_bytes(change(model.read_bytes()))
    child = LlamaChild(settings(path))
    with pytest.raises(BadModel, match=complaint):
        await child.start()
    assert child.url == ""


def worker_that(monkeypatch, tmp_path, body):
    """A stand-in for the interpreter: a script that does what the real worker does on a bad day."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setattr(child_module.sys, "executable", str(program))


async def test_progress_is_passed_on_and_a_crash_explained(model, tmp_path, monkeypatch):
    lines = "".join(f'echo \'{{"event":"loading","progress":{value}}}\'\n' for value in (0.25, 0.5))
    worker_that(
        monkeypatch, tmp_path, f"read x\n{lines}echo 'a.c:1: GGML_ASSERT(n > 0) failed' >&2\nkill -ABRT $$"
    )
    seen = []
    with pytest.raises(BadModel, match=r"status -6 while it loaded s\.gguf \(\(n > 0\) failed\)"):
        await LlamaChild(settings(model), on_progress=seen.append).start()
    assert seen == [0.25, 0.5]


async def test_a_child_that_does_not_listen_is_killed(model, tmp_path, monkeypatch):
    ready = '{"event":"ready","port":1,"threads":1}'
    worker_that(monkeypatch, tmp_path, f"trap '' TERM\necho '{ready}'\nwhile :; do :; done")
    monkeypatch.setattr(child_module, "_GRACE", 0.1)
    child = LlamaChild(settings(model))
    await child.start()
    await child.stop()
    assert await child.wait_died() == -signal.SIGKILL


async def test_a_child_that_is_never_ready_is_stopped(model, tmp_path, monkeypatch):
    worker_that(monkeypatch, tmp_path, "exec cat >/dev/null")
    child = LlamaChild(settings(model), timeout=0.2)
    with pytest.raises(EngineTimeout, match=r"s\.gguf was not loaded"):
        await child.start()
    assert not psutil.pid_exists(child.pid)


async def test_a_start_that_is_cancelled_leaves_nothing(model, tmp_path, monkeypatch):
    worker_that(monkeypatch, tmp_path, 'echo \'{"event":"loading","progress":0.1}\'\nexec cat >/dev/null')
    loading = asyncio.Event()
    child = LlamaChild(settings(model), on_progress=lambda _: loading.set())
    start = asyncio.ensure_future(child.start())
    await loading.wait()
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not psutil.pid_exists(child.pid)
