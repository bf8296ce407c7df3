"""The worker as its parent sees it: lines in, lines out."""

import json
import subprocess
import sys
import urllib.error
import urllib.request

import msgspec
import psutil
import pytest

from understudy.engines.tinygguf import write_scripted
from understudy.engines.worker import WorkerSettings, physical_cores

SECRET = "a sentence that nobody may log"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "s.gguf"
    write_scripted(path, ["<think>\nHm.\n</think>\n\nHello."])
    return path


@pytest.fixture
def launch():
    started = []

    def start(line):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        worker = subprocess.Popen([sys.executable, "-m", "understudy.engines.worker"], **pipes)
        started.append(worker)
        worker.stdin.write(line + b"\n")
        worker.stdin.flush()
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.communicate()


def settings(model, **more):
    return msgspec.json.encode(WorkerSettings(model=str(model), key="secret", context=4096, **more))


def first_event(worker):
    """What it says after the progress."""
    return next(event for event in map(json.loads, worker.stdout) if event["event"] != "loading")


def post(port, path, key="secret", **body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {key}"}
    )
    if body:
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310 - our own loopback address
        return json.load(reply)


def test_it_serves_and_ends_with_its_stdin(launch, model):
    worker = launch(settings(model, alias="our model"))
    event = first_event(worker)
    facts = {"threads": physical_cores(), "guidance": True}
    assert event == {"event": "ready", "port": event["port"], **facts}
    messages = [{"role": "user", "content": SECRET}]
    answer = post(event["port"], "/v1/chat/completions", messages=messages)
    assert answer["model"] == "our model"
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Hello.",
        "reasoning_content": "Hm.\n",
    }
    slots = post(event["port"], "/slots")
    assert [slot["n_ctx"] for slot in slots] == [4096, 4096]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        post(event["port"], "/v1/chat/completions", key="wrong", messages=messages)
    out, err = worker.communicate(timeout=10)  # closes stdin
    assert worker.returncode == 0
    assert SECRET.encode() not in out + err


def test_raw_text_is_what_the_model_wrote_its_control_tokens_too(launch, model):
    port = first_event(launch(settings(model, raw_text=True, slots=1, threads=1)))["port"]
    answer = post(port, "/v1/chat/completions", messages=[{"role": "user", "content": "x"}])
    assert answer["choices"][0]["message"]["content"] == "<think>\nHm.\n</think>\n\nHello.<|im_end|>"


@pytest.mark.parametrize("line", [b"", b"nonsense", b"{}", b'{"model": 1, "key": "k"}'])
def test_wrong_settings_are_said(launch, line):
    worker = launch(line)
    event = first_event(worker)
    assert event["event"] == "failed"
    assert event["message"].startswith("the settings of the worker are wrong: ")
    assert worker.wait(10) == 2


@pytest.mark.parametrize("damage", ["missing", "cut", "other architecture"])
def test_a_model_that_cannot_be_loaded_is_said(launch, model, tmp_path, damage):
    path = tmp_path / "m.gguf"
    if damage != "missing":
        whole = model.read_bytes()
        path.write_bytes(whole[:-5000] if damage == "cut" else whole.replace(b"llama", b"lxxma"))
    worker = launch(settings(path))
    event = first_event(worker)
    assert event["event"] == "failed"
    assert "m.gguf" in event["message"]
    assert worker.wait(10) == 1


def test_it_dies_when_its_parent_is_killed(model):
    code = (
        "import subprocess, sys\n"
        "worker = subprocess.Popen([sys.executable, '-m', 'understudy.engines.worker'], stdin=subprocess.PIPE)\n"
        "print(worker.pid, flush=True)\n"
        "worker.stdin.write(sys.stdin.buffer.readline()); worker.stdin.flush()\n"
        "worker.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    parent.stdin.write(settings(model) + b"\n")
    parent.stdin.flush()
    child = psutil.Process(int(parent.stdout.readline()))
    assert first_event(parent)["event"] == "ready"
    parent.kill()
    parent.communicate()
    gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone or child.status() == psutil.STATUS_ZOMBIE


def test_physical_cores_are_those_it_may_use():
    assert 1 <= physical_cores() <= (psutil.cpu_count(logical=False) or 1)
