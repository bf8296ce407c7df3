"""All the stages of one answer, in a row."""

import itertools
import json

import pytest
from anyevents import ANY, REASONS, lawful
from harness import ids, legal
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.errors import EngineBusy, EngineLost
from understudy.language.events import BlockStart, Failed, MessageStart, MessageStop, Progress, TextDelta
from understudy.language.message import collect
from understudy.language.request import Text, Thinking, ToolChoice, ToolUse
from understudy.stages import Pipeline
from understudy.stages.channels import Channels
from understudy.stages.drafts import Drafts
from understudy.stages.mend import Toolbox
from understudy.stages.repair import Repair
from understudy.stages.thinking import ThinkingTags
from understudy.stages.tidy import Tidy
from understudy.stages.toolcalls import ToolCalls
from understudy.stages.toolsyntax import SYNTAXES

SCHEMAS = {
    "Bash": json.dumps(
        {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    ).encode()
}
TOOLBOX = Toolbox(list(SCHEMAS.items()))
KNOWN = {"Bash", "bash"}


def line(*, opened=False, tools=True):
    """A pipeline as the gateway builds it, with every row and every stage."""
    new_id, count = ids(), itertools.count(1)
    rows, known = tuple(SYNTAXES.values()), KNOWN.__contains__
    stages = [
        Channels(lambda: f"call_{next(count)}"),
        ThinkingTags(begun="<think>\n" if opened else ""),
        Drafts(rows, known, SCHEMAS.get),
        ToolCalls(rows, known, SCHEMAS.get, lambda: f"call_{next(count)}"),
        Repair(TOOLBOX, ToolChoice(), lambda: new_id("toolu_"), tools=tools),
        Tidy(new_id),
    ]
    return Pipeline(stages)


def events_of(events, **settings):
    """What the client gets; fed one event at a time."""
    pipeline = line(**settings)
    return [out for event in events for out in pipeline.feed([event])] + pipeline.close()


HERMES = '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>'
XML = "<tool_call>\n<function=Bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
LS = ToolUse("toolu_1", "Bash", '{"command": "ls"}')
HEADERS = """<|channel|>analysis<|message|>hm<|end|>\
<|start|>assistant<|channel|>commentary to=functions.Bash <|constrain|>json<|message|>{"command": "ls"}<|call|>"""
CASES = {
    "text": ("Hi\n", [Text("Hi\n")], "end_turn"),
    "hermes": (HERMES, [LS], "tool_use"),
    "xml": (XML, [LS], "tool_use"),
    "everything": (
        f"<think>\nhm\n</think>\n\nLet me look.\n{XML}\n{HERMES}\n",
        [Thinking("hm"), Text("Let me look.\n"), LS, ToolUse("toolu_2", "Bash", '{"command": "ls"}')],
        "tool_use",
    ),
    "blanks around calls": (f"\n\n{XML}\n\n", [LS], "tool_use"),
    "the name mended": (HERMES.replace("Bash", "bash"), [LS], "tool_use"),
    "not to be mended": (f"a\n{HERMES.replace('command', 'order')}", [Text("a\n")], "tool_use"),
    "talk": (
        f"`{HERMES.splitlines()[0]}`\n```\n{XML}\n```",
        [Text(f"`<tool_call>`\n```\n{XML}\n```")],
        "end_turn",
    ),
    "call in thinking": (f"<think>\n{XML}\n</think>\nNo.", [Thinking(XML), Text("No.")], "end_turn"),
    "call instead of the end of thinking": (f"<think>\nhm\n{XML}", [Thinking("hm\n"), LS], "tool_use"),
    "messages with headers": (
        HEADERS,
        [Thinking("hm"), LS],
        "tool_use",
    ),
    "json alone": ('{"name": "Bash", "parameters": {"command": "ls"}}', [LS], "tool_use"),
    "nothing": ("", [], "end_turn"),
}


@pytest.mark.parametrize("case", CASES)
def test_messages(case):
    text, blocks, reason = CASES[case]
    for cuts in [(), range(len(text)), *([cut] for cut in range(1, len(text)))]:
        message = collect(legal(events_of(lawful(text, cuts))))
        assert list(message.blocks) == blocks, cuts
        assert message.stop_reason == reason


def test_words_that_must_not_become_commands():
    message = collect(events_of(lawful(f"a {XML}", [], "tool_use"), tools=False))
    assert (list(message.blocks), message.stop_reason) == ([Text("a ")], "end_turn")


def test_a_batch_is_the_same_as_its_events():
    events = lawful(CASES["everything"][0], range(5, 200, 5))
    pipeline = line()
    assert pipeline.feed(events) + pipeline.close() == events_of(events)


def test_a_cut_answer_is_never_a_finished_one():
    events = lawful(CASES["everything"][0], range(500))
    for size in range(len(events)):
        *_, last = legal(events_of(events[:size]))
        assert isinstance(last, Failed)
        assert isinstance(last.error, EngineLost)
        *rest, last = legal(events_of([*events[:size], Failed(EngineBusy("full"))]))
        assert isinstance(last, Failed)
        assert isinstance(last.error, EngineBusy)
        whole = sum(isinstance(event, BlockStart) and event.kind == "tool_use" for event in rest)
        said = "".join(event.text for event in events[:size] if isinstance(event, TextDelta))
        assert whole <= said.count("</function>") + said.count("}}\n</tool_call>")


@given(ANY, st.booleans(), st.booleans())
def test_the_grammar_holds(events, opened, tools):
    out = legal(events_of(events, opened=opened, tools=tools))
    assert [e for e in out if isinstance(e, Progress)] == [
        e
        for e in itertools.takewhile(lambda e: not isinstance(e, MessageStop | Failed), events)
        if isinstance(e, Progress)
    ]


PARTS = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            XML,
            HERMES,
            XML[:40],
            "<tool_call>",
            "</tool_call>",
            "<|channel|>analysis<|message|>",
            "<|end|>",
            "<|channel>thought",
            "<channel|>",
            "{",
            "[TOOL_CALLS]",
            "a",
            "\n",
            " ",
            "`",
            "```",
        ]
    ),
    max_size=8,
).map("".join)


@given(PARTS, st.lists(st.integers(0, 900), max_size=10), st.sampled_from(REASONS), st.booleans())
def test_cuts_do_not_matter(text, cuts, reason, opened):
    whole = collect(legal(events_of(lawful(text, (), reason), opened=opened)))
    assert collect(legal(events_of(lawful(text, cuts, reason), opened=opened))) == whole
    assert whole.id == MessageStart("msg_e").id
