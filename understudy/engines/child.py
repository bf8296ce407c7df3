"""The parent's side of the embedded llama.cpp: starts the worker process, waits until it serves, stops it.

    async with LlamaChild(settings) as child:
        ...  # child.url, child.key

The model is read by a process of its own because native code may abort, and because an unloaded model gives its
memory back for certain. Its stdin is a pipe that this process holds: when it closes, for whatever reason, the worker
ends. Restarting a worker that died is the engine's decision, not made here.
"""

import asyncio
import contextlib
import secrets
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self, TypeVar

import msgspec

from understudy.engines.ggufinfo import BadModel, sniff_gguf
from understudy.engines.worker import Event, Failed, Ready, WorkerSettings
from understudy.language.errors import EngineTimeout

_GRACE = 5.0  # seconds for each step of stopping
_TAIL = 65_536  # bytes of llama.cpp's messages that may hold the reason of a failure
_T = TypeVar("_T")
_REASONS = ("error loading model: ", "GGML_ASSERT", "error: ")


def _nobody(_progress: float) -> None:
    """Nobody watches the model load."""


class LlamaChild:
    """One worker process and where it listens.

    Attributes:
        url: `http://127.0.0.1:PORT`, once started.
        key: the random key of its HTTP server.
        pid: of the process, 0 before the start.
        guidance: whether it takes LLGuidance grammars.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        on_progress: Callable[[float], None] = _nobody,
        timeout: float = 600.0,
    ) -> None:
        self._settings = msgspec.structs.replace(settings, key=settings.key or secrets.token_urlsafe(24))
        self._on_progress = on_progress
        self._timeout = timeout
        self._process: Process | None = None
        self.url = ""
        self.guidance = False

    @property
    def key(self) -> str:
        """What requests must carry as bearer token."""
        return self._settings.key

    @property
    def pid(self) -> int:
        """Process id of the worker, 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def died(self) -> bool:
        """Whether the worker was started and has ended."""
        return self._process is not None and self._process.returncode is not None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the worker and wait until it serves.

        Raises:
            BadModel: the file is no model, or llama.cpp cannot load it; the message says why.
            EngineTimeout: it was not ready in time.
        """
        sniff_gguf(Path(self._settings.model))
        with tempfile.TemporaryFile() as messages:
            try:
                ready = await self._launch(messages)
            except BaseException:  # also when cancelled: no process is left behind
                await self.stop()
                raise
        self.url = f"http://127.0.0.1:{ready.port}"
        self.guidance = ready.guidance

    async def _launch(self, messages: IO[bytes]) -> Ready:
        worker = (sys.executable, "-m", "understudy.engines.worker")
        self._process = await asyncio.create_subprocess_exec(
            *worker, stdin=PIPE, stdout=PIPE, stderr=messages
        )
        stdin = _there(self._process.stdin)
        stdin.write(msgspec.json.encode(self._settings) + b"\n")
        try:
            async with asyncio.timeout(self._timeout):
                with contextlib.suppress(ConnectionError):  # it died at once: the missing event will say so
                    await stdin.drain()
                return await self._ready(messages)
        except TimeoutError as error:
            name = Path(self._settings.model).name
            raise EngineTimeout(
                f"{name} was not loaded in {self._timeout:.0f} s: is the disk slow?"
            ) from error

    async def _ready(self, messages: IO[bytes]) -> Ready:
        process = _there(self._process)
        name = Path(self._settings.model).name
        async for line in _there(process.stdout):
            event = msgspec.json.decode(line, type=Event)
            if isinstance(event, Ready):
                return event
            if isinstance(event, Failed):
                raise BadModel(_with_reason(event.message, messages))
            self._on_progress(event.progress)
        status = await process.wait()
        raise BadModel(
            _with_reason(f"the engine ended with status {status} while it loaded {name}", messages)
        )

    async def wait_died(self) -> int:
        """Wait until the worker has ended; its exit status, negative for a signal."""
        return await _there(self._process).wait()

    async def stop(self) -> None:
        """End the worker: close its stdin, then ask, then insist. Does nothing if it has ended."""
        process = self._process
        if process is None:
            return
        _there(process.stdin).close()
        for insist in (process.terminate, process.kill):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await process.wait()
            if process.returncode is not None:
                return
            insist()
        await process.wait()


def _there(thing: _T | None) -> _T:
    if thing is None:
        raise RuntimeError("the worker is not started")
    return thing


def _with_reason(message: str, messages: IO[bytes]) -> str:
    """The message, and llama.cpp's own reason if it gave one."""
    messages.seek(0, 2)
    messages.seek(max(0, messages.tell() - _TAIL))
    lines = messages.read().decode(errors="replace").splitlines()
    for mark in _REASONS:
        for line in lines:
            if mark in line:
                return f"{message} ({line.partition(mark)[2].strip() or line.strip()})"
    return message
