"""The question that only one call can answer, and what is read out of its answer."""

import pytest
from harness import ids

from understudy.dialects import Quirks
from understudy.language.events import (
    BlockStart,
    BlockStop,
    InputDelta,
    MessageStart,
    MessageStop,
    TextDelta,
    Usage,
)
from understudy.language.request import Request, Text, ThinkingWish, Tool, ToolChoice, ToolUse, Turn, change
from understudy.language.target import Model
from understudy.retry import SecondAnswer, once_more
from understudy.stages.line import Line

READ = Tool("Read", schema=b'{"type":"object"}')
SEARCH = Tool("web_search", kind="web_search_20250305")
ASK = Request("m", (Turn("user", (Text("Hi"),)),), tools=(READ, SEARCH), thinking=ThinkingWish("adaptive"))
ANY, NAMED = ToolChoice("any", parallel=False), ToolChoice("tool", "Read", parallel=False)

ROWS = [  # way, tool -> choice, format; None: it cannot be asked
    ("named", "Read", (NAMED, None)),
    ("named", "Fly", (ANY, None)),
    ("named", "web_search", (ANY, None)),
    ("required", "Read", (ANY, None)),
    ("required", "Fly", (ANY, None)),
    ("format", "Read", (ToolChoice(), READ.schema)),
    ("format", "Fly", None),
    ("", "Read", None),
]


@pytest.mark.parametrize(("way", "name", "asked"), ROWS)
def test_how_an_engine_is_held_to_a_call(way, name, asked):
    asking = once_more(ASK, name, Quirks(constrain=way))
    if asked is None:
        assert asking is None
        return
    choice, form = asked
    expected = change(ASK, thinking=ThinkingWish("disabled"), tool_choice=choice, format=form)
    assert asking == expected, "and nothing else has changed: the prompt is the same"


def heard(asking, name, *batches):
    line = Line(asking, Model("m"), "native", tools=True, raw=False, new_id=ids())
    second = SecondAnswer(asking, line, name)
    second.tell([MessageStart("m")])
    for batch in batches:
        if isinstance(batch, str):
            second.more(batch)
        else:
            second.tell(batch)
    return second.call()


CALL = [BlockStart("tool_use", "e1", "Read"), InputDelta("{}"), BlockStop()]
END = [MessageStop("tool_use", usage=Usage(9, None, 4))]
TEXT = [BlockStart("text"), TextDelta('{"a":')]


def test_a_call_is_read_out_of_its_answer():
    found, tokens = heard(once_more(ASK, "Read", Quirks()), "Read", CALL, END)
    assert (found.name, found.input, tokens) == ("Read", "{}", 4)


def test_arguments_written_as_the_whole_answer_are_a_call():
    asking = once_more(ASK, "Read", Quirks(constrain="format"))
    assert heard(asking, "Read", TEXT, " 1}", [BlockStop()], END) == (ToolUse("", "Read", '{"a": 1}'), 4)


NONE = {
    "text where a call was asked for": ("Read", [TEXT, [BlockStop()], END]),
    "another tool": ("Read", [[BlockStart("tool_use", "e1", "Bash"), InputDelta("{}"), BlockStop()], END]),
    "cut": ("Read", [CALL]),
    "nothing": ("Read", [END]),
}


@pytest.mark.parametrize("case", NONE)
def test_there_may_be_none(case):
    name, batches = NONE[case]
    bash = Tool("Bash", schema=b'{"type":"object"}')
    asking = change(once_more(ASK, name, Quirks()), tools=(READ, bash), tool_choice=ToolChoice("any"))
    assert heard(asking, name, *batches) is None
