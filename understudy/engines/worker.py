"""The child process that holds an embedded llama.cpp: `python -m understudy.engines.worker`.

One line of JSON on stdin is the `WorkerSettings`; events (`Loading`, `Ready`, `Failed`) leave on stdout, one line of
JSON each. Then the process stays until stdin ends, and goes at once: so it dies with its parent, even if that is
killed. What llama.cpp prints while it loads goes to stderr, where the parent looks for the reason of a failure; once
it serves, nothing is printed any more, so no prompt reaches a log.

The settings are measured (docs: engines). Most of all: `slot_prompt_similarity = 0` makes llama.cpp take the slot
that was idle longest instead of overwriting the one with the longest common prefix, so that a conversation's tail
is not thrown away for a stranger's. The gateway pins a session to the slot that still holds it.
"""

import contextlib
import importlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

_PROGRESS_EVERY = 0.5


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to load a model.

    Attributes:
        model: path of the GGUF file.
        key: what requests must carry as `Authorization: Bearer`.
        alias: the model's name in answers.
        context: tokens of one slot.
        slots: conversations held at the same time.
        threads: computing threads; 0 means one per physical core.
        batch: tokens of prompt computed at a time; small batches notice sooner that a client has gone.
        cache_ram_mib: memory for conversations that lost their slot.
        mmproj: path of the projector that lets the model see images, or empty.
        raw_text: answers as the model wrote them: no parsing of thinking or tool calls, and no grammar for tools.
        gpu_layers: layers on the GPU; -1 leaves it to llama.cpp.
    """

    model: str
    key: str
    alias: str = "model"
    context: int = 8192
    slots: int = 2
    threads: int = 0
    batch: int = 512
    cache_ram_mib: int = 8192
    mmproj: str = ""
    raw_text: bool = False
    gpu_layers: int = -1


class Loading(msgspec.Struct, frozen=True, tag_field="event", tag="loading"):
    """How much of the file is in memory, 0 to 1: an estimate from the size of the process."""

    progress: float


class Ready(msgspec.Struct, frozen=True, tag_field="event", tag="ready"):
    """The server listens on 127.0.0.1 at this port; `guidance` is whether it takes LLGuidance grammars."""

    port: int
    threads: int
    guidance: bool = False


class Failed(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """The model cannot be served; the process ends."""

    message: str


Event = Loading | Ready | Failed


def physical_cores() -> int:
    """Physical cores this process may use, at least one. More threads than that slow llama.cpp down (measured)."""
    cores = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else cores
    return max(1, min(cores, allowed))


def main() -> int:
    """Read the settings, load, say so, stay. Returns the exit status, if stdin does not end it before."""
    events = io.FileIO(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints to stdout is no event
    line = sys.stdin.buffer.readline()
    try:
        settings = msgspec.json.decode(line, type=WorkerSettings)
    except msgspec.DecodeError as error:
        _say(events, Failed(f"the settings of the worker are wrong: {error}"))
        return 2
    gone = threading.Thread(target=_leave_with_stdin)
    gone.start()
    try:
        with _progress(events, Path(settings.model)):
            server, port = _serve(settings)
    except (RuntimeError, ValueError, ImportError, OSError) as error:
        _say(events, Failed(f"llama.cpp cannot load {Path(settings.model).name}: {error}"))
        os._exit(1)  # the other thread still waits for stdin
    _silence()
    _say(events, Ready(port=port, threads=settings.threads or physical_cores(), guidance=_has_guidance()))
    gone.join()  # never returns: the thread ends the process
    del server
    return 0


def _serve(settings: WorkerSettings) -> tuple[object, int]:
    """Load the model and listen: the server, which must be kept, and its port. RuntimeError if it cannot."""
    xllamacpp = importlib.import_module("xllamacpp")  # native, without types; the parent must not load it
    params = xllamacpp.CommonParams()
    params.model.path = settings.model
    if settings.mmproj:
        params.mmproj.path = settings.mmproj
    params.model_alias = {settings.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings.key]
    params.cors_origins = "http://127.0.0.1"  # the default lets every web page in
    params.ui = False
    params.offline = True
    params.endpoint_slots = True
    params.n_ctx = settings.context * settings.slots
    params.n_parallel = settings.slots
    params.n_batch = settings.batch
    params.n_gpu_layers = settings.gpu_layers
    params.cpuparams.n_threads = settings.threads or physical_cores()
    params.slot_prompt_similarity = 0.0
    params.cache_ram_mib = settings.cache_ram_mib
    params.force_pure_content_parser = settings.raw_text
    params.special = settings.raw_text  # control tokens too: some families mark their calls with them
    params.verbosity = 1  # errors only
    server = xllamacpp.Server(params)
    return server, int(server.listening_address.rpartition(":")[2])


def _has_guidance() -> bool:
    """Whether this build of llama.cpp has LLGuidance: then that is what it makes of a schema."""
    made: str = importlib.import_module("xllamacpp").json_schema_to_grammar('{"type":"null"}')
    return made.startswith("%llguidance")


def _leave_with_stdin() -> None:
    """Ends the process when the parent closes the pipe, or dies. Nothing is to be saved, so nothing is torn down."""
    while os.read(0, 4096):
        pass
    os._exit(0)


@contextlib.contextmanager
def _progress(events: io.FileIO, model: Path) -> Iterator[None]:
    """Says every half second how much of the model is in memory."""
    process, size, loaded = psutil.Process(), max(1, model.stat().st_size), threading.Event()

    def tell() -> None:
        while not loaded.wait(_PROGRESS_EVERY):
            _say(events, Loading(progress=round(min(0.99, process.memory_info().rss / size), 2)))

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        yield
    finally:
        loaded.set()
        teller.join()


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _say(events: io.FileIO, event: Event) -> None:
    events.write(msgspec.json.encode(event) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
