"""Claude Code on the embedded llama.cpp: real engine, real template, weights that say a script."""

import json
import os
from collections.abc import Iterable, Mapping

import pytest
from e2e.stage import Home, Session, Usage, claude, embedded, hermes, qwen_xml, weights

from understudy.cli.clientenv import client_environment
from understudy.engines.child import LlamaChild
from understudy.engines.worker import WorkerSettings

ECONOMY = 0.95
"""Of a later turn's prompt at least this share comes from the cache."""
STREAMED = "--include-partial-messages"
CONTEXT = 32768
NOTES = "{cwd}/notes.txt"
PLAN = "".join(f"{number:02}) step {number} of the plan  \n" for number in range(40))
"""A file whose lines end in blanks: Claude Code takes them off, in the file and in the conversation."""
READ_BACK = json.dumps("3\t02) step 2").strip('"')
"""In the result of the quick look."""
REST = "".join(f"{number}. what is left to do, and by whom\n" for number in range(50, 54))
COMMENT = "# These lines end the plan: they say what is left to do once all its steps are done, and who shall do it."

Step = tuple[str, list[str]]


def turns(steps: list[Step]) -> dict[str, list[str]]:
    """What the weights say: a sentence, then calls, laid out as chat templates lay them out."""
    said = ["\n".join([sentence, *calls]) for sentence, calls in steps]
    return {"turns": said, "markers": [sentence for sentence, _ in steps]}


@pytest.mark.parametrize(("form", "template"), [(hermes, "hermes"), (qwen_xml, "qwen-xml")])
async def test_a_session_with_files(tmp_path, form, template):
    steps = [
        (
            "I write two files.",
            [
                form("Write", file_path=NOTES, content="hello world\nsecond line\n"),
                form("Write", file_path="{cwd}/other.txt", content="other\n"),
            ],
        ),
        ("Then I edit one.", [form("Edit", file_path=NOTES, old_string="world", new_string="there")]),
        (
            "Now I look.",
            [form("Read", file_path=NOTES), form("Bash", command="echo harmless", description="Say")],
        ),
        ("All is done: hello there.", []),
    ]
    async with embedded(tmp_path, **turns(steps), template=template) as stage:
        session = (await stage.claude("Write two files.")).check()
        assert session.answer == "All is done: hello there."
        assert session.calls() == ["Write", "Write", "Edit", "Read", "Bash"]
        assert session.failures() == []
        assert (stage.work / "notes.txt").read_text().rstrip("\n") == "hello there\nsecond line"
        assert (stage.work / "other.txt").read_text().rstrip("\n") == "other"
        assert await stage.outcomes() == {"clean": 5}
        assert [row["target"] for row in stage.answers()] == ["embedded/scripted"] * 4


def session_of(*, wild: bool) -> list[Step]:
    """Eight turns with everything that a client changes on replay.

    The wild one has keys in another order than the schema's and numbers as text, too: a grammar would not let them pass.
    """

    def call(name: str, /, **arguments) -> str:
        return hermes(name, **dict(reversed(arguments.items())) if wild else arguments)

    number = str if wild else int
    return [
        ("I write the plan first.", [call("Write", file_path=NOTES, content=PLAN)]),
        (
            "Two looks at once, the slow one first.",
            [
                call("Bash", command="head -n 1 gate", description="Slow look"),
                call("Read", file_path=NOTES, limit=number(3)),
            ],
        ),
        (
            "An edit is next.",
            [call("Edit", file_path=NOTES, old_string="01) step 1", new_string="01) STEP ONE  ")],
        ),
        # the file changes behind the client's back: it tells so in a turn of role system
        (
            "The shell adds a line.",
            [
                call(
                    "Bash",
                    command=f"cd {{cwd}} && cat >> notes.txt <<'END'\n{REST}END\n{COMMENT}",
                    timeout=number(5000),
                    description="Append",
                )
            ],
        ),
        ("I look at its end.", [call("Read", file_path=NOTES, offset=number(40), limit=number(2))]),
        (
            "How long is it now?",
            [
                call(
                    "Bash",
                    command="wc -l < {cwd}/notes.txt",
                    description="Count lines",
                    run_in_background=False,
                )
            ],
        ),
        (
            "A second file is needed.",
            [call("Write", file_path="{cwd}/second.txt", content=PLAN.replace("plan", "second plan"))],
        ),
        ("That was all of it.", []),
    ]


async def plan(home: Home, environment: Mapping[str, str]) -> Session:
    """The session. Its slow look waits at a pipe until the quick one has its result: then the results are out of order."""
    os.mkfifo(home.work / "gate")
    gate = os.open(home.work / "gate", os.O_RDWR)

    def open_gate(event: dict) -> None:
        if event["type"] == "user" and READ_BACK in json.dumps(event["message"]):
            os.write(gate, b"slow\n")

    try:
        return await claude(home, environment, "Make a plan.", STREAMED, on_event=open_gate)
    finally:
        os.close(gate)


def judged(session: Session) -> Session:
    """The work was done, and the client did what breaks prefixes."""
    session.check()
    assert session.calls() == ["Write", "Bash", "Read", "Edit", "Bash", "Read", "Bash", "Write"]
    assert session.failures() == []
    lines = (session.work / "notes.txt").read_text().splitlines()
    assert (lines[1], lines[40:]) == ("01) STEP ONE of the plan", REST.splitlines())
    asked = [block["id"] for block in session.blocks("tool_use")]
    answered = [block["tool_use_id"] for block in session.results()]
    assert answered[1:3] == [asked[2], asked[1]], "the results did not overtake each other"
    return session


def table(title: str, columns: dict[str, Session]) -> str:
    """Tokens of each turn's prompt, how many were reused, and the share."""
    head = "".join(f"{name:>36}" for name in columns)
    rows = [title, f"{'turn':>4}{head}"]
    for turn, usages in enumerate(zip(*(s.usages() for s in columns.values()), strict=False), 1):
        cells = (f"{u.cached:,} of {u.prompt:,}{u.share:>7.1%}{u.fresh:>7,} read" for u in usages)
        rows.append(f"{turn:>4}" + "".join(f"{cell:>36}" for cell in cells))
    return "\n".join(rows)


def average(usages: Iterable[Usage]) -> float:
    """The share of all these prompts that was reused."""
    cached, prompt = zip(*((usage.cached, usage.prompt) for usage in usages), strict=True)
    return sum(cached) / sum(prompt)


async def test_the_prefix_is_kept_whatever_the_client_does(tmp_path, record_property):
    async with embedded(tmp_path, **turns(session_of(wild=True)), context=CONTEXT) as stage:
        session = judged(await stage.watched(plan(stage.home, stage.environment())))
        usages = session.usages()
        record_property("table", table("prefix economy, keys in any order", {"understudy": session}))
        told = [(row["input_tokens"], row["cached_tokens"]) for row in stage.answers()]
        assert told == [(usage.prompt, usage.cached) for usage in usages]
        assert [row["prefix"] for row in stage.answers()] == ["new", *["kept"] * 7]
        assert (await stage.outcomes())["repaired"] >= 3
    assert len(usages) == 8
    assert min(usage.share for usage in usages[1:]) >= ECONOMY


async def test_the_prefix_beside_llama_cpps_own_messages_endpoint(tmp_path, record_property):
    said = turns(session_of(wild=False))
    (tmp_path / "ours").mkdir()
    (tmp_path / "them").mkdir()
    async with embedded(tmp_path / "ours", **said, context=CONTEXT) as stage:
        ours = judged(await stage.watched(plan(stage.home, stage.environment())))
    home = Home(tmp_path / "them" / "home")
    model = weights(tmp_path / "them", home=home, **said)
    # one slot, the best case: nobody else is there to take it
    settings = WorkerSettings(model=str(model), key="", alias="scripted", context=CONTEXT, slots=1)
    async with LlamaChild(settings) as child:
        environment = client_environment(child.url, child.key, "scripted", CONTEXT)
        theirs = judged(await plan(home, environment))
    shown = table("prefix economy, the same session", {"understudy": ours, "llama.cpp /v1/messages": theirs})
    (tmp_path / "prefix-economy.txt").write_text(shown)
    record_property("table", shown)
    pairs = list(zip(ours.usages(), theirs.usages(), strict=True))[1:]
    assert len(pairs) >= 6
    assert min(mine.share for mine, _ in pairs) >= ECONOMY
    # not the share of each turn: a call that was laid out anew has more tokens, which makes a prompt, and its share, larger
    assert all(mine.fresh <= its.fresh for mine, its in pairs)
    assert average(mine for mine, _ in pairs) >= average(its for _, its in pairs)
