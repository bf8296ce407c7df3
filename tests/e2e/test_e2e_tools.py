"""Claude Code works through the gateway with engines of two dialects, whatever goes wrong."""

import json

import pytest
from e2e.stage import answer, broken, call, engine_bodies, hermes, qwen_xml, script, scripted, text, thinking

KINDS = pytest.mark.parametrize("kind", ["vllm", "ollama"])


def native(*calls: tuple[str, dict]) -> list[dict]:
    """As the engine's own parser gives them."""
    return [call(name, **arguments) for name, arguments in calls]


def written(form):
    """As they stand in the text of a model whose engine does not parse them."""
    return lambda *calls: [text("\n" + "\n".join(form(name, **arguments) for name, arguments in calls))]


FORMS = {"native": native, "hermes": written(hermes), "qwen-xml": written(qwen_xml)}
NOTES = "{cwd}/notes.txt"


def work(calls) -> str:
    """A session: two files at once, an edit, a look at both, and a command."""
    return script(
        answer(
            *(thinking("Two files are needed; "), thinking("both at once.")),
            text("I write them.\n"),
            *calls(
                ("Write", {"file_path": NOTES, "content": "hello world\nsecond line\n"}),
                ("Write", {"file_path": "{cwd}/other.txt", "content": "caf\u00e9 \u2713\n"}),
            ),
        ),
        answer(
            thinking("Now the edit."),
            *calls(("Edit", {"file_path": NOTES, "old_string": "world", "new_string": "there"})),
        ),
        answer(
            text("Two looks.\n"),
            *calls(
                ("Read", {"file_path": NOTES}),
                ("Bash", {"command": "cat other.txt && echo harmless", "description": "Look"}),
            ),
        ),
        answer(thinking("All is there."), text("All done: hello there.")),
    )


@KINDS
@pytest.mark.parametrize("form", FORMS)
async def test_a_session_with_files(tmp_path, kind, form):
    async with scripted(tmp_path, work(FORMS[form]), kind=kind) as stage:
        session = (await stage.claude("Write two files.")).check()
        assert session.answer == "All done: hello there."
        assert session.calls() == ["Write", "Write", "Edit", "Read", "Bash"]
        assert session.failures() == []
        assert (stage.work / "notes.txt").read_text() == "hello there\nsecond line\n"
        assert (stage.work / "other.txt").read_text() == "caf\u00e9 \u2713\n"
        shown = [result["content"] for result in session.results()]
        assert any("1\thello there" in content for content in shown)
        assert "caf\u00e9 \u2713\nharmless" in shown
        thoughts = [block["thinking"] for block in session.blocks("thinking")]
        assert thoughts == ["Two files are needed; both at once.", "Now the edit.", "All is there."]
        assert await stage.outcomes() == {"clean": 5}
        assert [row["outcome"] for row in stage.answers()] == ["tool_use", "tool_use", "tool_use", "end_turn"]
        roles = [message["role"] for message in engine_bodies(stage)[-1]["messages"]]
        assert roles.count("tool") == 5
        assert "system" not in roles[1:]


BROKEN = {
    "a number as text": broken(
        "Bash", json.dumps({"command": "echo harmless", "timeout": "5000", "description": "Say it"})
    ),
    "wrapped": broken(
        "Write", json.dumps({"arguments": {"file_path": "{cwd}/wrapped.txt", "content": "wrapped\n"}})
    ),
    "another name": broken("write", json.dumps({"file_path": "{cwd}/named.txt", "content": "named\n"})),
    "another key": broken("Write", json.dumps({"path": "{cwd}/keyed.txt", "content": "keyed\n"})),
}
NO_JSON = {
    "a trailing comma": broken("Write", '{"file_path": "{cwd}/comma.txt", "content": "comma\\n",}'),
    "single quotes": broken("Write", "{'file_path': '{cwd}/quotes.txt', 'content': 'quotes\\n'}"),
}
"""Ollama's wire has objects only."""


@KINDS
async def test_broken_calls_are_mended(tmp_path, kind):
    calls = {**BROKEN, **(NO_JSON if kind == "vllm" else {})}
    lines = script(*(answer(text(f"{name}: "), step) for name, step in calls.items()), answer(text("done")))
    async with scripted(tmp_path, lines, kind=kind) as stage:
        session = (await stage.claude("Write files.")).check()
        assert session.answer == "done"
        assert session.failures() == []
        assert await stage.outcomes() == {"repaired": len(calls)}
        files = {path.stem: path.read_text() for path in stage.work.iterdir()}
        names = ["wrapped", "named", "keyed", *(["comma", "quotes"] if kind == "vllm" else [])]
        assert files == {name: f"{name}\n" for name in names}


@KINDS
async def test_a_call_that_cannot_be_mended_is_asked_for_again(tmp_path, kind):
    """Of the engine, before the client knows of it."""
    lines = script(
        answer(text("I write it. "), call("Write", content="no path\n")),
        answer(call("Write", file_path="{cwd}/a.txt", content="with a path\n")),
        answer(text("done")),
    )
    async with scripted(tmp_path, lines, kind=kind) as stage:
        session = (await stage.claude("Write a file.")).check()
        assert session.answer == "done"
        assert session.calls() == ["Write"]
        assert await stage.outcomes() == {"retried": 1}
        assert (stage.work / "a.txt").read_text() == "with a path\n"
        first, again, _ = engine_bodies(stage)
        assert again["messages"] == first["messages"], "the same prompt"
        assert (
            again.get("format") if kind == "ollama" else again["tool_choice"]["function"]["name"] == "Write"
        )


@KINDS
async def test_a_call_that_stays_broken_is_asked_for_again_by_the_client(tmp_path, kind):
    lines = script(
        answer(text("I write it. "), call("Write", content="no path\n")),
        answer(call("Write", content="no path again\n")),
        answer(call("Write", file_path="{cwd}/a.txt", content="with a path\n")),
        answer(text("done")),
    )
    async with scripted(tmp_path, lines, kind=kind) as stage:
        session = (await stage.claude("Write a file.")).check()
        assert session.answer == "done"
        assert session.calls() == ["Write"]
        assert await stage.outcomes() == {"clean": 1, "given up": 1}
        assert (stage.work / "a.txt").read_text() == "with a path\n"
        again = engine_bodies(stage)[2]["messages"][-1]["content"]
        assert "Please retry the tool call" in json.dumps(again)


CUTS = {
    "before anything": [{"fault": "reset"}],
    "in the text": [text("Half an ans"), {"fault": "reset"}],
    "in the text, politely": [text("Half an ans"), {"fault": "cut"}],
    "in a call": [text("I write. "), broken("Write", '{"file_path": "{cwd}/half'), {"fault": "cut"}],
    "an error in the stream": [
        text("Half an ans"),
        {"fault": "error", "status": 500, "message": "out of memory"},
    ],
}


@KINDS
@pytest.mark.parametrize("cut", CUTS)
async def test_an_answer_that_is_cut(tmp_path, kind, cut):
    lines = script(
        answer(call("Write", file_path="{cwd}/a.txt", content="whole\n")),
        answer(*CUTS[cut]),
        answer(call("Edit", file_path="{cwd}/a.txt", old_string="whole", new_string="all of it")),
        answer(text("The whole answer.")),
    )
    async with scripted(tmp_path, lines, kind=kind) as stage:
        session = (await stage.claude("Write a file.")).check()
        assert session.answer == "The whole answer."
        assert session.calls() == ["Write", "Edit"]
        assert (stage.work / "a.txt").read_text() == "all of it\n"
        assert sorted(path.name for path in stage.work.iterdir()) == ["a.txt"]
