"""What longer sessions of Claude Code do: compact, search, delegate, and go on another day."""

from datetime import datetime, timedelta

import pytest
from e2e.stage import TOOLS, Stage, answer, call, script, scripted, text

KINDS = pytest.mark.parametrize("kind", ["vllm", "ollama"])
WINDOW = 32768
PART = "".join(f"line {number} of a part that is read\n" for number in range(330))
"""About 2,600 tokens: with Claude Code's own prompt, the tenth fills the window, and it compacts at three quarters."""


def long_session(parts: int) -> str:
    """Parts are read one after the other, then a file is written; the summary is asked for when the client wants it."""
    return script(
        answer(
            text("<summary>All parts are read in order, then end.txt is written.</summary>"),
            contains="<summary>",
        ),
        *(
            answer(text(f"Part {number}."), call("Bash", command=f"cat part{number}.txt"))
            for number in range(parts)
        ),
        answer(call("Write", file_path="{cwd}/end.txt", content="read all\n")),
        answer(text("It is written.")),
    )


async def read_it_all(stage: Stage, parts: int) -> int:
    """The session; gives how often it was compacted."""
    for number in range(parts):
        (stage.work / f"part{number}.txt").write_text(PART)
    session = (await stage.claude("read all parts")).check()
    assert session.answer == "It is written."
    assert (stage.work / "end.txt").read_text() == "read all\n"
    return sum(event.get("subtype") == "compact_boundary" for event in session.events)


@KINDS
async def test_it_compacts_before_the_window_is_full(tmp_path, kind):
    async with scripted(tmp_path, long_session(8), context=WINDOW, kind=kind) as stage:
        assert await read_it_all(stage, 8) == 1
        assert {row["status"] for row in stage.answers()} == {200}


@KINDS
async def test_it_compacts_when_a_prompt_is_refused(tmp_path, kind):
    async with scripted(tmp_path, long_session(11), context=WINDOW, kind=kind) as stage:
        stage.extra = {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "100000"}  # somebody who knows better
        assert await read_it_all(stage, 11) == 1
        refused = [row["outcome"] for row in stage.answers() if row["status"] == 400]
        assert refused == ["invalid_request_error"]


async def test_a_web_search_is_a_question_aside(tmp_path):
    lines = script(
        answer(text("The answer is 42."), contains="Perform a web search"),
        answer(text("I search."), call("WebSearch", query="meaning of life"), contains="look it up"),
        answer(text("It is 42."), tool_result="The answer is 42."),
    )
    async with scripted(tmp_path, lines) as stage:
        session = (await stage.claude("look it up", tools=f"{TOOLS},WebSearch")).check()
        assert session.answer == "It is 42."
        assert [row["prefix"] for row in stage.answers()] == ["new", "new", "kept"]


async def test_agents_work_at_the_same_time(tmp_path):
    def task(name: str) -> list[dict]:
        wait = {"delay": 0.5}
        return answer(
            wait, call("Write", file_path=f"{{cwd}}/{name}.txt", content=f"{name}\n"), contains=f"TASK-{name}"
        )

    def launch(name: str) -> dict:
        return call("Agent", description="Write", prompt=f"TASK-{name}", subagent_type="general-purpose")

    lines = script(
        *(task("one"), task("two")),
        answer(text("The agent wrote it."), tool_result="created successfully"),
        answer(text("I send two."), launch("one"), launch("two"), contains="use two agents"),
        answer(text("Both are done.")),
    )
    async with scripted(tmp_path, lines) as stage:
        session = (await stage.claude("use two agents", tools=f"{TOOLS},Agent")).check()
        assert session.answer == "Both are done."
        assert session.calls().count("Agent") == 2
        assert session.failures() == []
        assert [(stage.work / f"{name}.txt").read_text() for name in ("one", "two")] == ["one\n", "two\n"]
        rows = stage.answers()
        slow = [row for row in rows if row["seconds"] >= 0.5]
        assert len(slow) == 2
        (began, ended), (began2, ended2) = map(span, slow)
        assert began < ended2
        assert began2 < ended
        assert not [row for row in rows if row["prefix"].startswith("broken")]


def span(row: dict) -> tuple[datetime, datetime]:
    """When an answer began and ended."""
    ended = datetime.fromisoformat(row["timestamp"])
    return ended - timedelta(seconds=row["seconds"]), ended


async def test_a_session_goes_on_later(tmp_path):
    lines = script(
        answer(call("Write", file_path="{cwd}/one.txt", content="one\n"), contains="begin"),
        answer(text("Begun."), tool_result="created successfully"),
        answer(call("Edit", file_path="{cwd}/one.txt", old_string="one", new_string="two"), contains="go on"),
        answer(text("Continued."), tool_result="updated successfully"),
    )
    async with scripted(tmp_path, lines) as stage:
        first = (await stage.claude("begin")).check()
        second = (await stage.claude("go on", "--continue")).check()
        assert (first.answer, second.answer) == ("Begun.", "Continued.")
        assert first.result["session_id"] == second.result["session_id"]
        assert (stage.work / "one.txt").read_text() == "two\n"
        assert [row["prefix"] for row in stage.answers()] == ["new", "kept", "kept", "kept"]
