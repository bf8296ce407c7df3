"""While nothing may leave, nothing connects: a network of our own in which a public address answers, and counts.

The gateway runs in a network namespace whose loopback has a documentation address (RFC 5737), which is outside the house by
every rule. Two witnesses: the server there counts connections, and Python's own audit events tell of every connect and every
look-up of a name. The same run with privacy.mode = "open" shows that both of them see.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
AWAY = "203.0.113.7"
NEEDS = f"ip link set lo up && ip addr add {AWAY}/32 dev lo"
GATEWAY = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[2])
tried = []
def witness(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        tried.append(str(args[1][0]))
    if event == "socket.getaddrinfo" and args[0] not in (None, "127.0.0.1"):
        tried.append(str(args[0]))

from understudy.app import Cast, House
from understudy.config import Config, EngineSettings, Limits, Loaded, Privacy, Secrets
from understudy.language.errors import EngineLost
from web.driver import Puppet, Visit, question

async def main(mode):
    connections = 0
    async def count(reader, writer):
        nonlocal connections
        connections += 1
        writer.close()
    server = await asyncio.start_server(count, "203.0.113.7", 0)
    port = server.sockets[0].getsockname()[1]
    sys.addaudithook(witness)
    rows = tuple(
        EngineSettings(name, kind, f"http://{host}:{port}", key_env="K")
        for name, kind, host in (
            ("claude", "anthropic", "203.0.113.7"), ("gpt", "openai", "203.0.113.7"), ("named", "openai", "cloud.example"),
        )
    )
    config = Config(engines=rows, privacy=Privacy(mode), limits=Limits(connect_seconds=1.0))
    home = Puppet([EngineLost("gone")], name="home")
    built = House(Loaded(config, {}, Secrets()), Cast(rows), engines=(home,))
    async with built.running():
        for model in ("auto", "claude-opus-5-5", "claude/claude-opus-5-5", "gpt/gpt-5", "coder"):
            await Visit(built.app, body=question(model=model), headers=[(b"x-understudy-privacy", b"open")])()
            await Visit(built.app, path="/v1/messages/count_tokens", body=question(model=model))()
            await Visit(built.app, path="/v1/embeddings", body={"model": model, "input": "x"})()
        await built.pool.look()
    print(json.dumps({"connections": connections, "tried": sorted(set(tried)), "here": len(home.requests)}))

asyncio.run(main(sys.argv[1]))
"""


def in_a_namespace(command, *args):
    return subprocess.run(
        ["unshare", "-rn", "sh", "-c", f'{command}; exec "$@"', "sh", *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module", autouse=True)
def _possible():
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("no unshare and ip here: a network namespace cannot be made")
    done = in_a_namespace(f"{NEEDS} || exit 77", "true")
    if done.returncode:
        pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")


def run(mode, tmp_path):
    done = in_a_namespace(
        f"{NEEDS} && export XDG_DATA_HOME={tmp_path}", sys.executable, "-c", GATEWAY, mode, str(TESTS)
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_while_nothing_may_leave_nothing_connects(tmp_path):
    seen = run("local-only", tmp_path)
    assert (seen["connections"], seen["tried"]) == (0, [])
    assert seen["here"] > 0


def test_where_everything_may_both_witnesses_see_it(tmp_path):
    seen = run("open", tmp_path)
    assert seen["connections"] > 0
    assert {AWAY, "cloud.example"} <= {*seen["tried"]}
