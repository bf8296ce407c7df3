"""What the person asked, in requests as clients really build them."""

import time

import pytest

from understudy.language.request import Document, Image, Request, Text, Thinking, ToolResult, ToolUse, Turn
from understudy.routing.asked import KEPT_FIRST, KEPT_LAST, REACH, asked, plain, told

REMINDER = "<system-reminder>\nAs you answer, write a poem about CLAUDE.md\n</system-reminder>\n"
RESULT = ToolResult("toolu_1", (Text("def f():\n    return 1"),))


def user(*texts):
    return Turn("user", tuple(Text(block) if isinstance(block, str) else block for block in texts))


def answer(*blocks):
    return Turn("assistant", tuple(Text(block) if isinstance(block, str) else block for block in blocks))


def request(*turns, system=()):
    return Request(model="m", turns=turns, system=tuple(Text(text) for text in system))


ASKED = {
    "one turn": ([user("fix the bug")], "fix the bug"),
    "the last turn": ([user("one"), answer("a"), user("two")], "two"),
    "blocks are joined": ([user("look at", "this")], "look at\n\nthis"),
    "reminders stand in front": ([user(REMINDER, REMINDER, "fix the bug")], "fix the bug"),
    "a reminder in the same block": ([user(f"{REMINDER}fix the bug")], "fix the bug"),
    "a reminder that is never closed": ([user("fix it\n<system-reminder>and so on")], "fix it"),
    "a turn of results is no question": (
        [user("fix the bug"), answer(ToolUse("toolu_1", "Read", "{}")), user(RESULT)],
        "fix the bug",
    ),
    "text beside results": ([user("one"), answer("a"), user(RESULT, "now the tests")], "now the tests"),
    "a reminder beside results": ([user("one"), answer("a"), user(RESULT, REMINDER)], "one"),
    "a system turn at the end": ([user("one"), Turn("system", (Text("the date is ..."),))], "one"),
    "the client's own words": (
        [user("one"), answer("a"), user("Your response above was cut off mid-stream. Resume")],
        "one",
    ),
    "interrupted": ([user("one"), answer("a"), user("[Request interrupted by user for tool use]")], "one"),
    "go on": ([user("write a story"), answer("Once"), user("Continue.")], "write a story"),
    "go on, in Chinese": ([user("写一首诗"), answer("春"), user("继续！")], "写一首诗"),
    "go on with what": ([user("ok"), answer("a"), user("continue")], "continue"),
    "nothing was asked": ([user(REMINDER)], ""),
    "no turn": ([], ""),
    "pictures and documents": ([user(Image(data="aGk="), Document(text="t"), "what is it")], "what is it"),
    "an assistant's text never counts": ([user("one"), answer("two", Thinking("three"))], "one"),
    "a slash command": (
        [
            user(
                "<command-message>review is running</command-message>\n<command-name>/review</command-name>\n"
                "<command-args>the parser</command-args>"
            )
        ],
        "the parser",
    ),
    "output of a local command": (
        [user("<local-command-stdout>ok 12</local-command-stdout>", "why 12?")],
        "why 12?",
    ),
}


@pytest.mark.parametrize(("turns", "expected"), ASKED.values(), ids=ASKED)
def test_asked(turns, expected):
    assert asked(request(*turns)) == expected


def test_code_is_kept_short():
    code = "\n".join(f"line {i}" for i in range(100))
    lines = plain(f"why?\n```py\n{code}\n```\nthanks").splitlines()
    assert len(lines) == 2 + KEPT_FIRST + 1 + KEPT_LAST
    assert (lines[0], lines[1], lines[-2], lines[-1]) == ("why?", "```py", "```", "thanks")
    assert "..." in lines


PASTED = {
    "a log": "2026-11-24 10:00:00 INFO started {}",
    "times": "[10:00:01] worker {} idle",
    "levels": "WARNING: retry {}",
    "a stack": "    at Object.<anonymous> (/app/index.js:{}:5)",
    "a traceback": '  File "run.py", line {}, in main',
    "a numbered listing": "   {}\u2192import os",
    "a difference": "+ value = {}",
    "paths": "/src/module_{}.py",
}


@pytest.mark.parametrize("line", PASTED.values(), ids=PASTED)
def test_what_was_pasted_is_kept_short(line):
    pasted = "\n".join(line.format(i) for i in range(200))
    lines = plain(f"why does it stop?\n{pasted}\nany idea").splitlines()
    assert (lines[0], lines[-1]) == ("why does it stop?", "any idea")
    assert len(lines) == 2 + KEPT_FIRST + 1 + KEPT_LAST


@pytest.mark.parametrize("line", ["{}. write chapter {}", "- point {}", "* point {}", "第{}章"])
def test_what_was_typed_stays(line):
    typed = "\n".join(line.format(i, i) for i in range(40))
    assert plain(typed) == typed


def test_the_ends_of_a_very_long_text_stay():
    text = plain("begin\n" + "x" * 10_000_000 + "\nend")
    assert len(text) <= 2 * REACH + 1
    assert (text[:5], text[-3:]) == ("begin", "end")


HUGE = [
    "x" * 10_000_000,
    "\n" * 10_000_000,
    "<system-reminder>" * 500_000,
    "```\n" * 1_000_000,
    "/a" * 5_000_000,
]


@pytest.mark.parametrize("text", HUGE, ids=lambda text: repr(text[:12]))
def test_no_text_takes_long(text):
    started = time.process_time()
    plain(text)
    assert time.process_time() - started < 1


def test_a_reminder_longer_than_what_is_looked_at_is_taken_out_whole():
    reminder = f"<system-reminder>{'write a poem ' * REACH}</system-reminder>"
    assert plain(reminder + "fix the bug") == "fix the bug"


TOLD = [
    (["You are helpful.\ntask_type: code\nBe brief."], "code"),
    (["nothing", 'Task-Type = "translation"'], "translation"),
    (["the task_type: code is inline"], ""),
    ([], ""),
]


@pytest.mark.parametrize(("system", "expected"), TOLD)
def test_told(system, expected):
    assert told(request(user("x"), system=system)) == expected
