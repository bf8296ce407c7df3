"""The real Claude Code, a model here and the Claude API outside: one session moves between them in the middle of its work.

The Claude API is the scripted stand-in: it takes no thinking but its own, no odd ids, and no call without its result.
"""

import json
from contextlib import asynccontextmanager

from e2e.stage import Home, Stage, answer, call, gateway, script, text, thinking

from understudy.engines.play import serving
from understudy.engines.play_claude import signature
from understudy.engines.script import parse

OPUS = "claude-opus-5-5"
NOTES = "{cwd}/notes.txt"
HERE = script(
    answer(thinking("A file first."), call("Write", file_path=NOTES, content="hello world\n"), turn=0),
    answer({"fault": "error", "status": 503, "message": "out of memory"}, turn=1),
    answer(thinking("Back at home."), text("Here again."), contains="come back"),
    answer({"fault": "error", "status": 503, "message": "out of memory"}),
)
STEADY = script(
    answer(thinking("A file first."), call("Write", file_path=NOTES, content="hello world\n"), turn=0),
    answer(text("Done here.")),
)
THERE = script(
    answer(
        thinking("The file is there; now the edit."),
        call("Edit", file_path=NOTES, old_string="world", new_string="there"),
        turn=1,
    ),
    answer(thinking("Still known."), text("I remember."), contains="go again"),
    answer(thinking("All is done."), text("Done by Claude.")),
)
SETTINGS = """
[server]
port = 0
[discover]
on = false
[[engines]]
name = "box"
kind = "vllm"
url = "{here}"
context = 65536
[[engines]]
name = "claude"
kind = "anthropic"
url = "{there}"
local = false
models = ["claude-opus-5-5"]
key_env = "CLAUDE_KEY"
[privacy]
mode = "{mode}"
words = ["Project Heron"]
[[routing.rules]]
targets = {first}
"""


@asynccontextmanager
async def both(folder, mode, script_here, first):
    home = Home(folder / "home")
    told = {"cwd": str(home.work)}
    async with (
        serving(parse(script_here, told), kind="vllm", context=65536, model="scripted-coder") as here,
        serving(parse(THERE, told), kind="anthropic", context=200_000, model=OPUS) as there,
    ):
        settings = folder / "understudy.toml"
        settings.write_text(
            SETTINGS.format(here=here.url, there=there.url, mode=mode, first=json.dumps([first]))
        )
        async with gateway(folder, "--config", str(settings), CLAUDE_KEY="k") as running:
            yield Stage(running, "auto", 65536, home, here), there


def targets(stage):
    return [row["target"].partition("/")[0] for row in stage.answers()]


async def test_a_session_moves_there_and_back_and_there_again(tmp_path):
    async with both(tmp_path, "open", HERE, "box/*") as (stage, there):
        first = (await stage.claude("Write and edit a file.")).check()
        assert first.answer == "Done by Claude."
        assert first.calls() == ["Write", "Edit"]
        assert first.failures() == []
        assert (stage.work / "notes.txt").read_text() == "hello there\n"
        assert targets(stage) == ["box", "claude", "claude"]
        second = (await stage.claude("come back", "--continue", "--model", "scripted-coder")).check()
        third = (await stage.claude("go again", "--continue", "--model", f"claude/{OPUS}")).check()
        assert (second.answer, third.answer) == ("Here again.", "I remember.")
        assert targets(stage) == ["box", "claude", "claude", "box", "claude"]
        assert {row["status"] for row in stage.answers()} == {200}
    left = [asked for asked in there.requests if asked.path == "/v1/messages"]
    last = json.loads(left[-1].body)
    thoughts = [
        (block["thinking"], block["signature"])
        for message in last["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "thinking"
    ]
    mine = ("The file is there; now the edit.", "All is done.")
    assert thoughts == [(words, signature(words)) for words in mine]
    assert b"cache_control" in left[-1].body
    assert "claude-code" in left[-1].headers["anthropic-beta"]
    audit = (tmp_path / "understudy" / "audit.jsonl").read_text().splitlines()
    assert len(audit) == len(left)
    assert not [line for line in audit if "edit a file" in line or "hello" in line]


async def test_a_session_with_something_private_in_it_stays_to_its_end(tmp_path):
    """Although a rule of the settings says Claude."""
    async with both(tmp_path, "ask-free", STEADY, "claude") as (stage, there):
        session = (await stage.claude("Write a file about Project Heron.")).check()
        assert (session.answer, session.calls()) == ("Done here.", ["Write"])
        assert targets(stage) == ["box", "box"]
        assert [asked for asked in there.requests if asked.method == "POST"] == []
        other = (await stage.claude("Write a file about something else.")).check()
        assert other.answer == "Done by Claude."
        assert targets(stage)[2:] == ["claude"]
