"""`understudy serve`, killed in the middle of a batch, again and again: nothing is lost, nothing is answered twice.

The engine outlives it, counts what it is asked, and answers so much as the test allows.
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import pytest

SETTINGS = """
[server]
port = 0
[[engines]]
name = "box"
kind = "openai"
url = "{url}"
context = 65536
slots = 5
[batches]
file = "{file}"
quiet_seconds = 0.0
"""
NAMES = [f"r{n:02}" for n in range(40)]
REPLY = {
    "id": "1",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "%s"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1},
}


class Engine(ThreadingHTTPServer):
    """Answers `allow`ed questions only; a question of a gateway that was killed is given up by `forget`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.news = threading.Condition()
        self.asked = []
        self.answered = []
        self.allowed = 0
        self.era = 0

    def answer_to(self, name):
        """Whether to answer, once that is known."""
        with self.news:
            era = self.era
            self.asked.append(name)
            self.news.notify_all()
            assert self.news.wait_for(lambda: self.allowed > 0 or self.era != era, 60)
            if self.era != era:
                return False
            self.allowed -= 1
            self.answered.append(name)
            return True

    def allow(self, number):
        with self.news:
            self.allowed = number
            self.news.notify_all()

    def forget(self):
        with self.news:
            self.era += 1
            self.allowed = 0
            self.news.notify_all()

    def until(self, condition):
        with self.news:
            assert self.news.wait_for(condition, 30), (self.asked, self.answered)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        self.send(b'{"data": [{"id": "qwen-coder"}]}', "application/json")

    def do_POST(self) -> None:
        question = self.rfile.read(int(self.headers["content-length"])).decode()
        name = re.search(r"question (r\d\d)", question)[1]
        if self.server.answer_to(name):
            chunk = json.dumps(REPLY).replace("%s", f"about {name}").encode()
            self.send(b"data: " + chunk + b"\n\ndata: [DONE]\n\n", "text/event-stream")
        with self.server.news:
            self.server.news.notify_all()

    def send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def engine():
    with Engine() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.forget()
            server.shutdown()
            thread.join()


@contextmanager
def serving(folder):
    """A gateway that has said its address."""
    env = {"PATH": os.defpath, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with subprocess.Popen(
        [sys.executable, "-m", "understudy", "serve"],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            first = process.stdout.readline().decode()
            assert first.startswith("understudy is ready at http://"), first + process.stderr.read().decode()
            yield process, first.split()[-1]
        finally:
            process.kill()


def written(file):
    """What the killed gateway has left on the disk: the requests that have a result."""
    db = sqlite3.connect(file)
    rows = db.execute("SELECT custom_id, outcome FROM request WHERE outcome IS NOT NULL").fetchall()
    db.close()
    assert {outcome for _, outcome in rows} <= {"succeeded"}
    return {name for name, _ in rows}


def hand_in(url):
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        return client.messages.batches.create(
            requests=[
                {
                    "custom_id": name,
                    "params": {
                        "model": "auto",
                        "max_tokens": 9,
                        "messages": [{"role": "user", "content": f"question {name}"}],
                    },
                }
                for name in NAMES
            ]
        ).id


@pytest.mark.slow
def test_killed_in_the_middle_again_and_again(tmp_path, engine):
    file = tmp_path / "batches.db"
    url = f"http://127.0.0.1:{engine.server_port}"
    (tmp_path / "understudy.toml").write_text(SETTINGS.format(url=url, file=file))
    with serving(tmp_path) as (process, address):
        batch_id = hand_in(address)
        process.send_signal(signal.SIGKILL)  # accepted a moment ago, and nothing more
    committed = set()
    for _ in range(5):
        asked_before = len(engine.asked)
        answered_before = len(engine.answered)
        with serving(tmp_path) as (process, _):
            engine.until(lambda n=asked_before: len(engine.asked) >= n + 4)
            engine.allow(6)
            engine.until(lambda n=answered_before: len(engine.answered) == n + 6)
            process.send_signal(signal.SIGKILL)  # some of the six are on the disk, some are not
            process.wait(20)
        engine.forget()
        assert not committed & set(engine.asked[asked_before:]), "asked although it was answered"
        before, committed = committed, written(file)
        assert before <= committed <= set(engine.answered)
    assert 0 < len(committed) < len(NAMES)
    asked_before = len(engine.asked)
    engine.allow(10**6)
    with serving(tmp_path) as (process, address):
        with anthropic.Anthropic(base_url=address, api_key="none", max_retries=0) as client:
            api = client.messages.batches
            engine.until(lambda: set(engine.answered) == set(NAMES))
            while api.retrieve(batch_id).processing_status != "ended":
                pass
            batch = api.retrieve(batch_id)
            rows = [(row.custom_id, row.result.message.content[0].text) for row in api.results(batch_id)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert b"Traceback" not in process.stderr.read()
    assert batch.request_counts.succeeded == len(NAMES)
    assert rows == [(name, f"about {name}") for name in NAMES]
    assert not committed & set(engine.asked[asked_before:])
    assert max(engine.asked.count(name) for name in NAMES) <= 1 + 5  # once, and once more for each kill


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_batch(tmp_path, engine):
    url = f"http://127.0.0.1:{engine.server_port}"
    (tmp_path / "understudy.toml").write_text(SETTINGS.format(url=url, file=tmp_path / "batches.db"))
    with serving(tmp_path) as (process, address):
        hand_in(address)
        engine.until(lambda: len(engine.asked) == 4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        said = process.stderr.read()
    assert b"waiting up to" not in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda file: file.write_bytes(b"not a database at all, but long enough. " * 200),
            "is no database: move it away",
        ),
        (lambda file: file.mkdir(), "cannot be written: Is a directory"),
    ],
    ids=["damaged", "a folder"],
)
def test_a_file_that_cannot_be_used_is_said_at_the_start(tmp_path, engine, spoil, words):
    file = tmp_path / "batches.db"
    spoil(file)
    (tmp_path / "understudy.toml").write_text(
        SETTINGS.format(url=f"http://127.0.0.1:{engine.server_port}", file=file)
    )
    process = subprocess.run(
        [sys.executable, "-m", "understudy", "serve"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (process.returncode, process.stdout) == (1, b"")
    assert f"{file} {words}".encode() in process.stderr.replace(b"\n", b" ")
    assert b"Traceback" not in process.stderr


def test_two_gateways_do_not_share_a_file(tmp_path, engine):
    url = f"http://127.0.0.1:{engine.server_port}"
    (tmp_path / "understudy.toml").write_text(SETTINGS.format(url=url, file=tmp_path / "batches.db"))
    with serving(tmp_path):
        second = subprocess.run(
            [sys.executable, "-m", "understudy", "serve"],
            cwd=tmp_path,
            env={"PATH": os.defpath, "HOME": str(tmp_path)},
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert second.returncode == 1
    assert b"is in use, most likely by another understudy" in second.stderr.replace(b"\n", b" ")
