"""With nothing there: no engine, no model, no network."""

import asyncio
import shutil
import subprocess

import pytest
from e2e.stage import Home, Stage, embedded, gateway, hermes

REHEARSAL = "rehearsal"


@pytest.mark.parametrize("tools", ["", "Read"])
async def test_the_rehearsal_model_talks_and_never_calls_a_tool(tmp_path, tools):
    async with gateway(tmp_path, "--no-discover") as running:
        stage = Stage(running, REHEARSAL, 65536, Home(tmp_path / "home"))
        session = (await stage.claude("hello", tools=tools)).check()
        assert session.answer
        assert session.blocks("tool_use") == []
        rows = stage.answers()
        assert {row["target"] for row in rows} == {"embedded/rehearsal"}
        assert "tool_use" not in {row["outcome"] for row in rows}
        assert set(await stage.outcomes()) <= {"dropped"}


def can_unshare() -> bool:
    """Whether this machine lets us make a network namespace, which takes root."""
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        return False
    return subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(
    not can_unshare(), reason="a network namespace cannot be made here: it takes root on Linux"
)
async def test_nothing_but_loopback_is_needed(tmp_path):
    steps = [
        hermes("Write", file_path="{cwd}/a.txt", content="alone\n"),
        hermes("Read", file_path="{cwd}/a.txt"),
    ]
    turns = [f"I write.\n{steps[0]}", f"I read.\n{steps[1]}", "All is done, alone."]
    alone = ("unshare", "-n", "sh", "-c", 'PATH=$PATH:/usr/sbin:/sbin ip link set lo up && exec "$@"', "sh")
    marks = ["I write.", "I read.", "All is done, alone."]
    async with embedded(tmp_path, turns, markers=marks, before=alone) as stage:
        inside = ("nsenter", "--target", str(stage.gateway.pid), "--net")
        assert await interfaces(inside) == ["lo"]
        session = (await stage.claude("write alone", before=inside)).check()
        assert session.answer == "All is done, alone."
        assert (stage.work / "a.txt").read_text() == "alone\n"
    assert [row["status"] for row in stage.answers()] == [200, 200, 200]


async def interfaces(inside: tuple[str, ...]) -> list[str]:
    """The network interfaces of a namespace."""
    process = await asyncio.create_subprocess_exec(
        *inside, "cat", "/proc/self/net/dev", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return [line.partition(":")[0].strip() for line in out.decode().splitlines() if ":" in line]
