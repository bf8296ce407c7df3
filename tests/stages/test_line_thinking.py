"""Whether an answer starts inside <think>: templates decide, and the client's wish where a template leaves it open."""

import pytest

from understudy.language.events import BlockStart, BlockStop, MessageStart, MessageStop, TextDelta
from understudy.language.message import Message, collect
from understudy.language.request import Request, Text, Thinking, ThinkingWish
from understudy.language.target import Model
from understudy.stages.line import Line

ALWAYS = "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}"
CHOICE = (
    "{%- if enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- else %}{{- '<think>\\n' }}{%- endif %}{%- endif %}"
)
SWITCHED_OFF_ONLY = "{%- if enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"


@pytest.mark.parametrize(
    ("template", "wish", "raw", "opened"),
    [
        (ALWAYS, "unset", True, True),
        (ALWAYS, "disabled", True, True),
        (ALWAYS, "unset", False, False),
        (CHOICE, "unset", True, True),
        (CHOICE, "adaptive", True, True),
        (CHOICE, "disabled", True, False),
        (CHOICE, "unset", False, False),
        (SWITCHED_OFF_ONLY, "unset", True, False),
        ("", "unset", True, False),
        ("{{ '<|im_start|>assistant\n' }}", "unset", True, False),
    ],
)
def test_an_answer_starts_inside_thinking(template, wish, raw, opened):
    request = Request("m", (), thinking=ThinkingWish(wish))
    ids = iter(range(99))
    line = Line(
        request,
        Model("m", template=template),
        "auto",
        tools=True,
        raw=raw,
        new_id=lambda p: f"{p}{next(ids)}",
    )
    said = [
        MessageStart("msg"),
        BlockStart("text"),
        TextDelta("I wonder.\n</think>\n\nYes."),
        BlockStop(),
        MessageStop("end_turn"),
    ]
    message: Message = collect([*line.feed(said), *line.close()])
    if opened:
        assert message.blocks == (Thinking("I wonder."), Text("Yes."))
    else:
        assert not any(isinstance(block, Thinking) for block in message.blocks)
