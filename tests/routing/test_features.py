import pytest

from understudy.language.request import (
    Image,
    Request,
    Text,
    ThinkingWish,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)
from understudy.language.routes import When
from understudy.routing.features import Features, holds, read

SEARCH = Tool("web_search", kind="web_search_20250305")
PICTURE = Image("image/png", "AAAA")


def user(*blocks):
    return Turn("user", blocks or (Text("Hi"),))


def ask(*turns, **more):
    return Request(more.pop("model", "auto"), turns or (user(),), **more)


ROWS = {  # request, what is known of its client: the features that are set
    "a chat": (ask(), {}, set()),
    "a chat with a function": (ask(tools=(Tool("weather"),)), {}, {"tools"}),
    "codex": (ask(tools=(Tool("apply_patch"),)), {}, {"tools", "agent"}),
    "claude code": (ask(tools=(Tool("Read"),)), {"session": "s"}, {"tools", "agent"}),
    "its sub-agent": (
        ask(tools=(Tool("Bash"),)),
        {"session": "s", "agent": "a"},
        {"tools", "agent", "subagent"},
    ),
    "a sub-agent by its class": (
        ask(tools=(Tool("Bash"),)),
        {"session": "s", "request_class": "subagent"},
        {"tools", "agent", "subagent", "request_class"},
    ),
    "its title": (ask(), {"session": "s"}, {"agent", "background", "beside"}),
    "its search": (ask(tools=(SEARCH,)), {"session": "s"}, {"agent", "background", "beside", "web_search"}),
    "by its class": (
        ask(tools=(Tool("x"),)),
        {"session": "s", "request_class": "auxiliary"},
        {"tools", "agent", "background", "beside", "request_class"},
    ),
    "haiku": (ask(model="claude-Haiku-4-5", tools=(Tool("weather"),)), {}, {"tools", "background"}),
    "a batch": (ask(), {"session": "b/1", "request_class": "batch"}, {"request_class"}),
    "thinking": (ask(thinking=ThinkingWish("adaptive")), {}, {"thinking"}),
    "no thinking": (ask(thinking=ThinkingWish("disabled")), {}, set()),
    "a picture": (ask(user(Text("see"), PICTURE)), {}, {"images"}),
    "a picture long ago": (ask(user(PICTURE), Turn("assistant", (Text("a cat"),)), user()), {}, {"images"}),
    "a picture from a tool": (ask(user(ToolResult("c", (PICTURE,)))), {}, {"images", "tool_loop"}),
    "the word alone": (ask(user(Text("an image")), raw=b'"an image"'), {}, set()),
    "results": (ask(user(ToolResult("c"))), {}, {"tool_loop"}),
    "results and a note behind": (
        ask(user(ToolResult("c")), Turn("system", (Text("x"),))),
        {},
        {"tool_loop"},
    ),
    "results before": (ask(user(ToolResult("c")), Turn("assistant", (Text("x"),)), user()), {}, set()),
    "begun": (ask(user(ToolResult("c")), Turn("assistant", (ToolUse("c", "x", "{}"),))), {}, set()),
    "nothing at all": (Request("auto", ()), {}, set()),
    "a key": (ask(), {"key": "12ab34cd"}, {"key"}),
}


@pytest.mark.parametrize(("request_", "client", "expected"), ROWS.values(), ids=ROWS)
def test_a_request_is_read(request_, client, expected):
    found = read(request_, 900, **client)
    set_ = {name for name in Features.__struct_fields__ if getattr(found, name)} - {"model", "tokens"}
    assert set_ == expected
    assert (found.model, found.tokens, found.least_tokens) == (request_.model, 900, 300)


PLAIN = Features("auto", 100)
FLAGS = ("background", "subagent", "agent", "images", "tools", "thinking", "web_search")


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_holds_both_ways(flag):
    with_it = Features("auto", **{flag: True})
    assert holds(When(**{flag: True}), with_it, None)
    assert not holds(When(**{flag: True}), PLAIN, None)
    assert holds(When(**{flag: False}), PLAIN, None)
    assert not holds(When(**{flag: False}), with_it, None)


CONDITIONS = {  # when: features that hold, features that do not
    "tokens": (When(tokens_over=99), Features("m", 100), Features("m", 99)),
    "class": (When(request_class="main"), Features("m", request_class="main"), PLAIN),
    "key": (When(key="k"), Features("m", key="k"), Features("m", key="l")),
    "model": (When(model="claude-h*"), Features("claude-haiku"), Features("claude-opus")),
    "two": (
        When(images=True, agent=False),
        Features("m", images=True),
        Features("m", images=True, agent=True),
    ),
}


@pytest.mark.parametrize(("when", "good", "bad"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions(when, good, bad):
    assert holds(when, good, None)
    assert not holds(when, bad, None)


def test_tasks():
    assert holds(When(), PLAIN, None)
    assert holds(When(tasks=("code", "math")), PLAIN, "math")
    assert not holds(When(tasks=("code",)), PLAIN, "math")
    assert not holds(When(tasks=("code",)), PLAIN, None)


def test_what_the_estimate_surely_means():
    assert [Features("m", tokens=tokens).least_tokens for tokens in (0, 2, 3, 3001)] == [0, 0, 1, 1000]


@pytest.mark.parametrize(
    ("images", "in_words", "sees"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_it_takes_eyes_where_there_are_pictures_and_nobody_describes_them(images, in_words, sees):
    assert Features("m", images=images, in_words=in_words).to_see is sees
