"""The stages in their order, as one: what a client sees of what an engine wrote."""

import msgspec
import pytest
from harness import ids, legal
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    TextDelta,
    ThinkingDelta,
)
from understudy.language.message import collect
from understudy.language.request import (
    Request,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolChoice,
    ToolUse,
)
from understudy.language.target import Model
from understudy.stages.line import Line

SCHEMA = b'{"type":"object","properties":{"file_path":{"type":"string"}},"required":["file_path"]}'
READ = Tool("Read", schema=SCHEMA)
HERMES = '<tool_call>\n{"name": "Read", "arguments": {"file_path": "a"}}\n</tool_call>'
OPENING = "{{ '<|im_start|>assistant\\n<think>\\n' }}"
BEGIN, END = MessageStart("m"), MessageStop("end_turn")


def line(
    *,
    tools=(READ,),
    syntax="native",
    model=None,
    allowed=True,
    choice=None,
    raw=True,
    thinking="unset",
    **more,
):
    wish = ThinkingWish(thinking)
    request = Request("m", (), tools=tools, tool_choice=choice or ToolChoice(), thinking=wish)
    return Line(request, model or Model("m"), syntax, tools=allowed, raw=raw, new_id=ids(), **more)


def fates(one):
    return [outcome.outcome for outcome in one.outcomes()]


def text(words):
    return [BlockStart("text"), TextDelta(words), BlockStop()]


def call(arguments, identity="e1", name="Read"):
    return [BlockStart("tool_use", identity, name), InputDelta(arguments), BlockStop()]


def run(one, events, *, single=False):
    """The message; also fed event by event, it is the same."""
    batches = [[event] for event in events] if single else [events]
    out = [event for batch in batches for event in one.feed(batch)]
    return collect(legal(out + one.close()))


@given(
    st.lists(
        st.sampled_from(
            ["Hi", " ", "`", "```\n", "<think>", "</think>", "<tool_", "call>", HERMES, "{", "x" * 99]
        )
    ),
    st.sampled_from(["native", "hermes", "auto", "harmony"]),
    st.booleans(),
)
def test_text_that_goes_past_the_stages_is_what_they_would_have_made_of_it(pieces, syntax, raw):
    """`passes` promises: fed, it would come out at once and as it is, and nothing else would change."""
    model = Model("m", template=OPENING)
    one, other = (line(syntax=syntax, model=model, raw=raw) for _ in range(2))
    events = [BEGIN, BlockStart("text")]
    out, expected = one.feed(events), other.feed(events)
    for piece in pieces:
        made = other.feed([TextDelta(piece)])
        expected += made
        if one.passes(piece):
            assert made == [TextDelta(piece)]
            out += [TextDelta(piece)]
        else:
            out += one.feed([TextDelta(piece)])
    end = [BlockStop(), END]
    assert [*out, *one.feed(end), *one.close()] == [*expected, *other.feed(end), *other.close()]


def test_most_text_goes_past_the_stages():
    one = line(syntax="hermes")
    assert not one.passes("Hi"), "nothing is open"
    one.feed([BEGIN, BlockStart("text")])
    assert not one.passes("Hi"), "it may be the beginning of a tag"
    one.feed([TextDelta("Hi ")])
    assert one.passes("there")
    assert not one.passes("<tool_call>")
    assert not one.passes("`code`")
    one.feed([TextDelta("<tool_")])
    assert not one.passes("call>"), "something is held"
    one.feed([TextDelta("x")])
    assert one.passes("and on")
    one.feed([BlockStop()])
    assert not one.passes("Hi")
    assert not line(syntax="native").passes("Hi")


@pytest.mark.parametrize("single", [False, True])
def test_thinking_text_and_calls_written_as_text(single):
    words = f"<think>\nhm\n</think>\n\nOn it.\n{HERMES}"
    one = line(syntax="hermes")
    message = run(one, [BEGIN, *text(words), END], single=single)
    kinds = [type(block) for block in message.blocks]
    assert kinds == [Thinking, Text, ToolUse]
    assert message.blocks[0].text.strip() == "hm"
    assert message.blocks[1].text.strip() == "On it."
    assert msgspec.json.decode(message.blocks[2].input) == {"file_path": "a"}
    assert message.stop_reason == "tool_use"
    assert fates(one) == ["clean"]
    assert list(one.ids()) == [message.blocks[2].id]


SYNTAXES = [
    ("hermes", Model("m"), True),
    ("native", Model("qwen", template="<tool_call>"), False),
    ("auto", Model("qwen2.5-coder", template="<tool_call>"), True),
]


@pytest.mark.parametrize(("syntax", "model", "found"), SYNTAXES, ids=[s[0] for s in SYNTAXES])
def test_whether_text_is_searched_for_calls(syntax, model, found):
    message = run(line(syntax=syntax, model=model), [BEGIN, *text(HERMES), END])
    assert any(isinstance(block, ToolUse) for block in message.blocks) == found


@pytest.mark.parametrize(
    ("tools", "allowed"), [((), True), ((READ,), False), ((Tool("web_search", kind="web_search_1"),), True)]
)
def test_without_tools_nothing_becomes_a_call(tools, allowed):
    one = line(tools=tools, allowed=allowed, syntax="hermes")
    message = run(one, [BEGIN, *text(HERMES), *call('{"file_path":"a"}'), MessageStop("tool_use")])
    assert not [block for block in message.blocks if isinstance(block, ToolUse)]


CHOICE = "{% if on %}" + OPENING + "{% else %}{{ '<think></think>' }}{% endif %}"
HM = "hm</think>\nYes"
TEMPLATES = [  # template, raw text, the client's wish, what is written -> blocks
    (OPENING, True, "unset", HM, [Thinking, Text]),
    (OPENING, True, "disabled", HM, [Thinking, Text]),  # this model always thinks
    (OPENING, False, "unset", "Yes", [Text]),  # the engine took the reasoning out
    (CHOICE, True, "unset", HM, [Thinking, Text]),
    (CHOICE, True, "enabled", HM, [Thinking, Text]),
    (CHOICE, True, "disabled", "Yes", [Text]),
    ("", True, "unset", "<think>hm</think>Yes", [Thinking, Text]),
    ("", False, "unset", "<think>hm</think>Yes", [Thinking, Text]),
]


@pytest.mark.parametrize(("template", "raw", "wish", "words", "kinds"), TEMPLATES)
def test_a_template_may_open_the_thinking(template, raw, wish, words, kinds):
    one = line(model=Model("m", template=template), raw=raw, thinking=wish)
    message = run(one, [BEGIN, *text(words), END])
    assert [type(block) for block in message.blocks] == kinds


def test_calls_that_share_an_id_are_not_told_apart_and_so_not_remembered():
    one = line()
    message = run(
        one, [BEGIN, *call('{"file_path":"a"}'), *call('{"file_path":"b"}'), MessageStop("tool_use")]
    )
    assert len({block.id for block in message.blocks}) == 2
    assert one.ids() == {}


def test_what_goes_back_to_the_engine():
    events = [*call('{"file_path": "kept"}', "a"), *call('{"path":"mended",}', "b"), *call("{", "lost")]
    one = line()
    run(one, [BEGIN, *text("On it."), *events, MessageStop("tool_use")])
    own = (
        Thinking("hm"),
        Text("On it."),
        ToolUse("a", "Read", '{"file_path": "kept"}'),
        ToolUse("b", "Read", '{"path":"mended",}'),
        ToolUse("lost", "Read", "{"),
    )
    back = one.replayable(own)
    assert back[:3] == own[:3]
    assert (back[3].id, msgspec.json.decode(back[3].input)) == ("b", {"file_path": "mended"})
    assert len(back) == 4
    assert fates(one) == ["clean", "repaired", "given up"]
    assert list(one.ids().values()) == ["a", "b"]


def test_a_cut_answer_fails_and_says_so():
    one = line()
    out = [*one.feed([BEGIN, BlockStart("thinking"), ThinkingDelta("h")]), *one.close()]
    assert isinstance(legal(out)[-1], Failed)


def test_an_engine_that_says_nothing_failed():
    assert isinstance(legal(line().close())[0], Failed)


def test_a_choice_is_kept():
    one = line(choice=ToolChoice("none"))
    message = run(one, [BEGIN, *call('{"file_path":"a"}'), MessageStop("tool_use")])
    assert message.blocks == ()
    assert message.stop_reason == "end_turn"
    assert fates(one) == ["dropped"]


HARMONY = """<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.Read \
<|constrain|>json<|message|>{"file_path": "a"}<|call|>"""
WRITTEN = [  # model, syntax, raw, how the prompt ends, what is written
    (Model("gpt-oss:20b"), "auto", False, None, HARMONY),
    (Model("gpt-oss:20b"), "auto", True, None, HARMONY),
    (Model("m", template="<|channel|>"), "auto", True, None, f"<|start|>assistant{HARMONY}"),
    (Model("m"), "harmony", True, "<|start|>assistant", HARMONY),
    (Model("granite-3.2"), "auto", False, None, f"Here is my thought process: hm Here is my response:\n{HERMES}"),
    (Model("m"), "auto", True, "<|im_start|>assistant\n<think>\n", f"hm</think>{HERMES}"),
    (Model("m"), "auto", True, "<|im_start|>assistant\n<think>\n", f"hm{HERMES}"),
    (Model("m"), "auto", False, None, f"<think>hm{HERMES}"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "syntax", "raw", "prompt_end", "words"), WRITTEN)
def test_what_models_write(model, syntax, raw, prompt_end, words):
    one = line(model=model, syntax=syntax, raw=raw, prompt_end=prompt_end)
    message = run(one, [BEGIN, *text(words), END])
    assert [type(block) for block in message.blocks] == [Thinking, ToolUse]
    assert message.blocks[0].text.strip() == "hm"
    assert msgspec.json.decode(message.blocks[1].input) == {"file_path": "a"}


def test_an_answer_that_was_to_be_json_is_nothing_else():
    for form, said in ((b'{"type": "object"}', "{}"), (None, "```json\n{}\n```")):
        request = Request("m", (), format=form)
        one = Line(request, Model("m"), "auto", tools=True, raw=True, new_id=ids())
        message = run(one, [BEGIN, *text("<think>hm</think>```json\n{}\n```"), END])
        assert message.blocks == (Thinking("hm"), Text(said))


def test_a_prompt_may_have_written_whom_the_answer_is_for():
    model = Model("functionary-medium-v3.2")
    for words, kinds in (("all\nHi", [Text]), ('Read\n{"file_path": "a"}', [ToolUse]), ("", [])):
        message = run(line(model=model, syntax="auto", raw=True), [BEGIN, *text(words), END])
        assert [type(block) for block in message.blocks] == kinds
