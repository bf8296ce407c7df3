"""The canonical question: frozen, with defaults that say nothing."""

import msgspec
import pytest

from understudy.language.request import (
    Document,
    Image,
    Request,
    Sampling,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
    change,
    text_of,
)
from understudy.language.web import Hit, Missed, Page, ServerToolUse, WebResult

ASK = Request("m", (Turn("user", (Text("hello"),)),))


def test_the_defaults_ask_for_nothing():
    assert (ASK.tools, ASK.system, ASK.format, ASK.stream, ASK.user, ASK.dropped, ASK.raw) == (
        (),
        (),
        None,
        False,
        "",
        (),
        b"",
    )
    assert (ASK.tool_choice, ASK.sampling, ASK.thinking) == (
        ToolChoice("auto"),
        Sampling(),
        ThinkingWish("unset"),
    )
    assert set(msgspec.structs.asdict(Sampling()).values()) == {None, ()}
    assert ASK.tool_choice.parallel
    assert ASK.turns[0].verbatim is None


def test_a_tool_without_a_schema_takes_any_object():
    assert Tool("T") == Tool("T", "", b"{}", deferred=False, kind="")


def test_options_are_not_shared():
    one, two = Request("a", ()), Request("b", ())
    one.options["id_slot"] = 1
    assert two.options == {}


@pytest.mark.parametrize("part", [ASK, ASK.turns[0], ASK.sampling, Text("a"), Tool("T"), ToolResult("t")])
def test_everything_is_frozen(part):
    with pytest.raises(AttributeError):
        setattr(part, msgspec.structs.fields(part)[0].name, "other")


def test_a_change_is_a_copy():
    changed = change(ASK, model="other")
    assert (changed.model, ASK.model) == ("other", "m")
    assert changed.turns is ASK.turns


TEXTS = [
    ((), ""),
    ((Text("a"),), "a"),
    ((Text("a"), Text("b")), "a\n\nb"),
    ((Text("a"), Image(url="u"), Thinking("t"), ToolUse("i", "n", "{}"), Text("b")), "a\n\nb"),
    ((Document(text="d"), ToolResult("t", (Text("inside"),)), ToolReference("T"), Unknown("k", "{}")), ""),
]


@pytest.mark.parametrize(("blocks", "expected"), TEXTS)
def test_text_of(blocks, expected):
    assert text_of(blocks) == expected


@pytest.mark.parametrize(
    "block",
    [
        Text("a"),
        Image("image/png", "aGk="),
        Document(text="d", title="t"),
        Thinking("t", "s"),
        ToolUse("i", "n", "{}"),
        ToolReference("T"),
        Unknown("k", "{}"),
        ServerToolUse("s", "web_search", "{}"),
        WebResult("s", "search", (Hit("https://a.b", "A"),)),
        WebResult("s", "fetch", Page("https://a.b", "A", "words")),
        WebResult("s", "fetch", Missed("unavailable")),
        ToolResult("t", (Text("a"), Image(url="u"), ToolReference("T")), is_error=True),
    ],
)
def test_turns_can_be_kept_as_json(block):
    turn = Turn("user", (block,), "verbatim")
    assert msgspec.json.decode(msgspec.json.encode(turn), type=Turn) == turn
