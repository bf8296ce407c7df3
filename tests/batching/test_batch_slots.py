"""A batch on a real llama.cpp (the rehearsal model): its requests share a slot, and a person keeps the other one."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import anthropic
import pytest

COMMON = "You are careful. " * 60
OWN = "An interactive agent. " * 60
MODEL = {"model": "auto", "max_tokens": 8}


@contextmanager
def rehearsing(folder):
    """Without host memory for lost slots: what leaves its slot is gone."""
    env = {"PATH": os.defpath, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    env |= {"UNDERSTUDY_EMBEDDED__HUB": "false", "UNDERSTUDY_EMBEDDED__CACHE_RAM": "0"}
    command = (
        sys.executable,
        "-m",
        "understudy",
        "serve",
        "--port",
        "0",
        "--no-discover",
        "--context",
        "4096",
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--log", "json"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log
        )
        try:
            first = process.stdout.readline().decode()
            assert first.startswith("understudy is ready at http://"), (folder / "log").read_text()
            with anthropic.Anthropic(base_url=first.split()[-1], api_key="none", max_retries=0) as client:
                yield client.messages
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.stdout.close()


class Conversation:
    """A person's turns; each gives the tokens of its prompt, and how many of them were cached."""

    def __init__(self, messages):
        self._messages = messages
        self._turns = [{"role": "user", "content": "hello"}]

    def turn(self):
        raw = self._messages.with_raw_response.create(**MODEL, system=OWN, messages=self._turns)
        self._turns.append({"role": "assistant", "content": raw.parse().content or "-"})
        self._turns.append({"role": "user", "content": "go on"})
        state, _, cached = raw.headers["x-understudy-prefix"].partition("; cached=")
        part, _, whole = cached.partition("/")
        return state, int(part), int(whole)


@pytest.mark.slow
def test_both_keep_their_prefixes(tmp_path):
    with rehearsing(tmp_path) as messages:
        person = Conversation(messages)
        _, _, before = person.turn()
        batch = messages.batches.create(
            requests=[
                {
                    "custom_id": f"r{n}",
                    "params": MODEL
                    | {"system": COMMON, "messages": [{"role": "user", "content": f"question {n}"}]},
                }
                for n in range(20)
            ]
        )
        for _ in range(4):
            state, cached, whole = person.turn()
            assert state == "kept"
            assert cached >= before
            before = whole
        while messages.batches.retrieve(batch.id).processing_status != "ended":
            pass
        assert messages.batches.retrieve(batch.id).request_counts.succeeded == 20
    rows = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    asked = [row for row in rows if row["event"] == "batch request"]
    assert len(asked) == 20
    assert asked[0]["cached_tokens"] == 0
    for row in asked[1:]:
        assert row["cached_tokens"] > 0.95 * row["input_tokens"]
