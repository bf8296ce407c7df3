"""Recorded answers of many chat templates, read as the gateway reads them.

A case is what a model wrote (`raw`), and what it means (`expect`): content, reasoning, calls. The data lies beside the
checkout, where it is; the project has cases of its own in test_toolsyntax.py.

What is forgiven, because the data is:
- blanks around content and reasoning;
- where the data's engine was told to leave reasoning in the content, both together are compared, the marks left out;
- of an answer that is cut inside a call, that nothing of the call was shown.
"""

import itertools
import json
from pathlib import Path

import msgspec
from harness import ids

from understudy.language.events import (
    BlockStart,
    BlockStop,
    MessageStart,
    MessageStop,
    TextDelta,
    ThinkingDelta,
)
from understudy.language.message import collect
from understudy.language.request import Request, Text, Thinking, Tool, ToolChoice, ToolUse
from understudy.language.target import Model
from understudy.stages.line import Line
from understudy.stages.reasoning import STRAYS, TAGS, WRAPPINGS

DATA = Path(__file__).parents[3] / "shared" / "data" / "toolparse"
OPEN = b'{"type": "object"}'
MARKS = sorted(
    {mark for row in (*TAGS, *WRAPPINGS) for mark in (row.opener, row.closer) if mark} | set(STRAYS), key=len
)[::-1]


def cases(path):
    """The cases of one file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def line_for(case):
    """The stages for one case."""
    called = {call["name"] for call in case["expect"]["tool_calls"] or ()}
    tools = {tool["name"]: tool for tool in case.get("tools") or ()} or dict.fromkeys(called)
    form = json.loads(case.get("json_schema") or "null")
    request = Request(
        "m",
        (),
        tools=tuple(
            Tool(
                name,
                schema=json.dumps(tool["parameters"]).encode() if tool and "parameters" in tool else OPEN,
            )
            for name, tool in tools.items()
        ),
        format=json.dumps(form).encode() if form else None,
        tool_choice=ToolChoice(
            parallel=case.get("parallel_tool_calls", True) or "parallel_tool_calls" not in case
        ),
    )
    prompt_end = case.get("generation_prompt") or ""
    return Line(
        request, Model(case["format"]), "auto", tools=True, raw=True, new_id=ids(), prompt_end=prompt_end
    )


def read(case, cuts=()):
    """(content, reasoning, calls) of a case, its text cut at these places."""
    line, raw = line_for(case), case["raw"]
    edges = sorted({0, len(raw), *cuts})
    events = [MessageStart("msg_e", "m"), BlockStart("text")]
    events += [TextDelta(raw[a:b]) for a, b in itertools.pairwise(edges)]
    if case.get("is_partial"):
        return shown(line.feed(events))
    events += [BlockStop(), MessageStop("end_turn")]
    message = collect([*line.feed(events), *line.close()])
    return (
        "".join(block.text for block in message.blocks if isinstance(block, Text)),
        "\n".join(block.text for block in message.blocks if isinstance(block, Thinking)),
        [
            (block.name, msgspec.json.decode(block.input))
            for block in message.blocks
            if isinstance(block, ToolUse)
        ],
    )


def shown(events):
    """What has been shown of an answer so far."""
    return (
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ThinkingDelta)),
        [event.name for event in events if isinstance(event, BlockStart) and event.kind == "tool_use"],
    )


def wrong(case, cuts=()):
    """What is wrong with our reading of a case; empty if nothing is."""
    content, reasoning, calls = read(case, cuts)
    expect = case["expect"]
    wanted = [
        (
            call["name"],
            json.loads(args) if isinstance(args := call["arguments"], str) and args[:1] == "{" else args,
        )
        for call in expect["tool_calls"] or ()
    ]
    if case.get("is_partial"):
        wanted = [name for name, args in wanted if isinstance(args, dict)]
    elif any(args == "*" for _, args in wanted):
        wanted, calls = [name for name, _ in wanted], [name for name, _ in calls]
    told, thought = (expect["content"] or "").strip(), (expect.get("reasoning_content") or "").strip()
    if not thought and any(mark in told for mark in MARKS) and (reasoning or content.strip() != told):
        told, content = bare(told), bare(reasoning + content)
        reasoning = ""
    return {
        name: {"ours": ours, "expected": theirs}
        for name, ours, theirs in (
            ("content", content.strip(), told),
            ("reasoning", reasoning.strip(), thought),
            ("calls", calls, wanted),
        )
        if ours != theirs
    }


def bare(text):
    """The words of a text without marks, and without the blanks around these."""
    for mark in MARKS:
        text = text.replace(mark, "")
    return "".join(text.split())
