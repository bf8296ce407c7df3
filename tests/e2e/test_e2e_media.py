"""The real Claude Code reads a picture and a PDF, and its model can see neither."""

from contextlib import asynccontextmanager

import pytest
from e2e.stage import Home, Stage, answer, call, engine_bodies, gateway, script, scripted, text
from media.eyes import png
from media.tinypdf import pdf

from understudy.engines.play import serving
from understudy.engines.script import parse

SETTINGS = """
[server]
port = 0
[discover]
on = false
[[engines]]
name = "box"
kind = "{kind}"
url = "{box}"
context = 65536
[[engines]]
name = "eyes"
kind = "vllm"
url = "{eyes}"
context = 65536
[images]
describer = "eyes/seer"
"""
SEEN = "A screenshot. Its only text: the number is 4711."


@asynccontextmanager
async def staged(folder, lines, *, kind):
    """A gateway in front of an engine that writes code, and of one that sees."""
    home = Home(folder / "home")
    coder, seer = parse(lines, {"cwd": str(home.work)}), parse(script(answer(text(SEEN))))
    async with (
        serving(coder, kind=kind, context=65536, model="scripted-coder") as box,
        serving(seer, kind="vllm", context=65536, model="seer") as eyes,
    ):
        settings = folder / "understudy.toml"
        settings.write_text(SETTINGS.format(kind=kind, box=box.url, eyes=eyes.url))
        async with gateway(folder, "--config", str(settings)) as running:
            yield Stage(running, "scripted-coder", 65536, home, box), eyes


def chats(engine):
    return [asked for asked in engine.requests if asked.path == "/v1/chat/completions"]


READS = answer(text("I look. "), call("Read", file_path="{cwd}/a.png"))
GOES_ON = answer(text("I look on. "), call("Bash", command="echo harmless", description="Nothing"))
REFUSES = answer(
    {"fault": "error", "status": 400, "message": "scripted-coder is not a multimodal model"},
)
ENDS = answer(text("It is 4711."))
KINDS = {
    "its engine says so": ("ollama", [READS, GOES_ON, ENDS]),
    "its engine refuses": ("vllm", [READS, REFUSES, GOES_ON, ENDS]),
}


@pytest.mark.parametrize(("kind", "answers"), KINDS.values(), ids=KINDS)
async def test_a_picture_that_is_read(tmp_path, kind, answers):
    async with staged(tmp_path, script(*answers), kind=kind) as (stage, eyes):
        (stage.work / "a.png").write_bytes(png(7))
        session = (await stage.claude("Which number is in a.png?")).check()
        assert session.answer == "It is 4711."
        assert session.calls() == ["Read", "Bash"]
        assert session.failures() == []
        (asked,) = chats(eyes)
        assert b"data:image/png;base64," in asked.body
        last = engine_bodies(stage)[-1]["messages"]
        assert [SEEN in str(message["content"]) for message in last].count(True) == 1
        assert "base64" not in str(last)
        assert SEEN not in stage.gateway.log_file.read_text()
        assert stage.answers()[-1]["prefix"].startswith("kept")


async def test_a_picture_that_nobody_describes(tmp_path):
    """The person is told what to do about it."""
    async with scripted(tmp_path, script(READS, ENDS), kind="ollama") as stage:
        (stage.work / "a.png").write_bytes(png(7))
        session = await stage.claude("Which number is in a.png?")
        assert session.result["is_error"] is True
        assert "cannot see pictures" in session.answer
        assert 'describer = "engine/model"' in session.answer
        first, *others = [row["status"] for row in stage.answers()]
        assert first == 200
        assert set(others) == {400}, "the client tries without this and that beta, all within a moment"
        assert len(engine_bodies(stage)) == 1, "the engine is not asked"


async def test_a_pdf_that_is_read(tmp_path):
    lines = script(answer(call("Read", file_path="{cwd}/a.pdf")), answer(text("It is 4711.")))
    async with staged(tmp_path, lines, kind="ollama") as (stage, _):
        (stage.work / "a.pdf").write_bytes(pdf("The number is 4711."))
        session = (await stage.claude("Which number is in a.pdf?")).check()
        assert session.answer == "It is 4711."
        last = engine_bodies(stage)[-1]["messages"]
        assert "The number is 4711." in str(last)
        assert "JVBER" not in str(last)
        assert "4711." not in stage.gateway.log_file.read_text()
