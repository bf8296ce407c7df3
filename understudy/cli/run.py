"""The run of a server: model loaded, port opened, everything announced, and an orderly end.

Ctrl-C or SIGTERM: nothing new is taken, running answers may finish for DRAIN_SECONDS, the status is 0. A second signal cuts
them off. A signal before all is ready ends the start with the shell's status for it (130, 143).
"""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext

import uvicorn

from understudy.app import Cast, House
from understudy.cli.announce import announce
from understudy.cli.console import loading_bar, say
from understudy.config import Loaded
from understudy.language.errors import UnderstudyError
from understudy.observe.log import logger

DRAIN_SECONDS = 30
KEEP_ALIVE_SECONDS = 75
"""An idle client's connection: as long as a person thinks, so that the next turn does not begin with a new one."""
GC_PACE = 10_000
"""New objects, less those that went, between two looks at the youngest; Python's own 700 are passed by each request."""
BY_SIGNAL = 128
"""A shell's status for a program that a signal ended is this plus the signal's number."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """uvicorn, told when it listens; signals are the curtain's."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._on_listening()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


class Curtain:
    """What signals do.

    Args:
        task: what is cancelled while there is no server yet.
        in_flight: how many answers are being written.
    """

    def __init__(self, task: "asyncio.Task[int] | None", in_flight: Callable[[], int]) -> None:
        self._task = task
        self._in_flight = in_flight
        self.server: Server | None = None
        self.first = 0
        """The number of the first signal; 0 while there was none."""

    @contextmanager
    def watching(self) -> Generator[None, None, None]:
        """Signals are handled inside this block."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.signalled, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def signalled(self, number: int) -> None:
        """One signal."""
        if self.first and (self.server is None or self.server.force_exit):
            os._exit(BY_SIGNAL + number)  # asked twice, and still here
        if self.first and self.server is not None:
            self.server.force_exit = True
            return
        self.first = number
        if self.server is None:
            if self._task is not None:
                self._task.cancel()
            return
        self.server.should_exit = True
        if count := self._in_flight():
            answers = "an answer" if count == 1 else f"{count} answers"
            say(f"stopping; waiting up to {DRAIN_SECONDS} s for {answers}. Again ends at once")


def perform(loaded: Loaded, cast: Cast, listener: socket.socket) -> int:
    """Serve until a signal comes; gives the exit status.

    Raises:
        UnderstudyError: our own engine does not start.
    """
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_perform(loaded, cast, listener))


async def _perform(loaded: Loaded, cast: Cast, listener: socket.socket) -> int:
    with ExitStack() as bar:
        own = cast.embedding
        loading = loading_bar(f"loading {own.model.id}") if own else nullcontext(lambda _share: None)
        house = House(
            loaded,
            cast,
            on_load=bar.enter_context(loading),
            on_failure=_refuse,
            on_ready=lambda _pool: bar.close(),
        )
        curtain = Curtain(asyncio.current_task(), lambda: _in_flight(house))
        try:
            with curtain.watching():
                async with house.running():
                    await _serve(loaded, cast, house, listener, curtain)
        except asyncio.CancelledError:
            if not curtain.first:
                raise
            return BY_SIGNAL + curtain.first
    return 0


async def _serve(loaded: Loaded, cast: Cast, house: House, listener: socket.socket, curtain: Curtain) -> None:
    port = listener.getsockname()[1]
    told = ServerLog()
    logging.getLogger("uvicorn").addHandler(told)
    _settle()
    try:
        curtain.server = Server(_settings(house), lambda: announce(loaded, cast, house.pool.snapshot(), port))
        await curtain.server.serve([listener])
    finally:
        logging.getLogger("uvicorn").removeHandler(told)


def _settle() -> None:
    """What stands by now stays until the end: the collector leaves it out, and comes less often.

    Requests make hardly any cycles; at the usual pace, looking for them took a twentieth of all time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_PACE, 20, 20)


def _settings(house: House) -> uvicorn.Config:
    return uvicorn.Config(
        house.app,
        http="httptools",
        ws="none",
        lifespan="off",  # `house.running()` is: its errors are exceptions here, not lines of a log
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _refuse(_engine: str, error: UnderstudyError) -> None:
    """An engine of our own that does not start is nothing to serve with."""
    raise error


def _in_flight(house: House) -> int:
    """Answers that somebody waits for; those of batches are asked again after the next start."""
    batches = house.batches.answering if house.batches else 0
    return sum(row.in_flight for row in house.pool.snapshot()) - batches


class ServerLog(logging.Handler):
    """What uvicorn has to say, in the form of our log; only the kind of an exception: its text may quote a prompt."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        kind = record.exc_info[0] if record.exc_info else None
        more = {"kind": kind.__name__} if kind else {}
        logger().warning("server", message=record.getMessage(), **more)
