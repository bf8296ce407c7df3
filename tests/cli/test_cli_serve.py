"""`understudy serve` as a program: ready, asked, and ended by signals."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ENGINE = """
[server]
port = 0
[[engines]]
name = "box"
kind = "openai"
url = "{url}"
context = 65536
"""


@pytest.fixture
def place(tmp_path):
    """Where nothing of the user's is found."""
    base = {"PATH": os.defpath, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    return tmp_path, base | {"UNDERSTUDY_EMBEDDED__HUB": "false", "TERM": "xterm-256color", "COLUMNS": "100"}


def start(place, *args: str, **more):
    folder, env = place
    return subprocess.Popen(
        [sys.executable, "-m", "understudy", "serve", *args],
        cwd=folder,
        env=env,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more),
    )


@contextmanager
def serving(place, *args: str):
    """A server that has said its address; what it wrote stays readable."""
    with start(place, *args) as process:
        try:
            first = process.stdout.readline().decode()
            assert first.startswith("understudy is ready at http://"), first + process.stderr.read().decode()
            yield process, first.split()[-1]
        finally:
            process.kill()


@contextmanager
def engine():
    """An engine with one model that answers its first chat byte and then waits until the test is over."""
    over, asked = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            body = b'{"data": [{"id": "qwen-coder"}]}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            chunk = {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}}]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.wfile.flush()
            asked.set()
            over.wait(60)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            over.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def named(place):
    """The settings name an engine that is there."""
    with engine() as (url, asked):
        (place[0] / "understudy.toml").write_text(ENGINE.format(url=url))
        yield asked


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own address
        return json.loads(response.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_named_engine_is_served_until_a_signal(place, named, number):
    with serving(place) as (process, url):
        assert get(f"{url}/health")["engines"][0]["models"] == ["qwen-coder"]
        process.send_signal(number)
        assert process.wait(20) == 0
        out, err = process.stdout.read(), process.stderr.read()
        assert b"Traceback" not in err
        assert f"client   understudy claude --url {url}" in out.decode()


def test_the_second_signal_cuts_an_answer_off(place, named):
    with serving(place) as (process, url):
        body = {
            "model": "auto",
            "max_tokens": 9,
            "stream": True,
            "messages": [{"role": "user", "content": "x"}],
        }
        question = urllib.request.Request(f"{url}/v1/messages", json.dumps(body).encode())  # noqa: S310
        with urllib.request.urlopen(question, timeout=10) as answer:  # noqa: S310
            assert named.wait(10)
            assert answer.readline() == b"event: message_start\n"
            process.send_signal(signal.SIGINT)
            assert b"waiting up to 30 s for an answer" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 0


def test_rehearsal_with_the_real_engine(place):
    for _ in range(2):  # the second finds the first one's file: it is still no model
        with serving(place, "--port", "0", "--no-discover", "--context", "4096") as (process, url):
            assert "rehearsal" in get(f"{url}/health")["notice"]
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            err = process.stderr.read()
            assert b"REHEARSAL: THE ANSWERS ARE NOISE" in err
            assert b"Traceback" not in err


def test_on_a_terminal(place, named):
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as screen:
        process = start(place, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        seen = b""
        while b"In another terminal" not in seen:
            seen += screen.read(65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert "╭".encode() in seen
    assert b"\x1b[1;32munderstudy claude --url" in seen


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["--model", "./nope.gguf"], 1, "nope.gguf does not exist"),
        (["--model", "./bad.gguf"], 1, "bad.gguf is not a GGUF file"),
        (["--model", "./cut.gguf"], 1, "cut.gguf is cut off or damaged"),
        (["--model", "not a model"], 1, "is no model"),
        (["--host", "0.0.0.0"], 2, "UNDERSTUDY_MASTER_KEY"),
        (["--port", "65536"], 2, "'--port'"),
        (["--config", "no.toml"], 2, "cannot read no.toml"),
    ],
)
def test_starts_that_fail(place, args, status, words):
    (place[0] / "bad.gguf").write_bytes(b"hello")
    (place[0] / "cut.gguf").write_bytes(b"GGUF\x03\x00")
    port = [] if "--port" in args else ["--port", "0"]
    process = start(place, *port, "--no-discover", *args)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (status, b"")
    assert words in err.decode()
    assert b"Traceback" not in err


def test_the_port_is_taken(place, named):
    with serving(place) as (_, url):
        port = url.rpartition(":")[2]
        second = start(place, "--port", port)
        _, err = second.communicate(timeout=20)
    assert second.returncode == 1
    assert f"another understudy (0.1.0) serves port {port} already" in err.decode()
