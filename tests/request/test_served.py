"""Tools that the gateway runs, as a local model sees them."""

import json

import pytest

from understudy.language.request import Request, Text, Thinking, Tool, ToolResult, ToolUse, Turn
from understudy.language.web import Hit, Missed, Page, ServerToolUse, WebResult, WebTool
from understudy.request import served
from understudy.tokens import measure

READ = Tool("Read", "reads", b'{"type":"object"}')
SEARCH = Tool("web_search", kind="web_search_20250305", web=WebTool("search"))
FETCH = Tool("web_fetch", kind="web_fetch_20250910", deferred=True, web=WebTool("fetch"))
OTHER = Tool("bash", kind="bash_20250124")
HIT = Hit("https://a.example", "A", "On a.", "a year ago")
PAGE = Page("https://a.example", "A", "All of a.")


def user(*blocks):
    return Turn("user", blocks)


def model(*blocks):
    return Turn("assistant", blocks)


def result(call, words, *, failed=False):
    return ToolResult(call, (Text(words),), failed)


def test_nothing_is_touched_where_there_is_nothing_to_do():
    request = Request("m", (user(Text("hi")), model(Text("ho"))), tools=(READ, OTHER))
    assert served.stripped(request) is request
    assert not served.wanted(request)


def test_tools_become_functions_and_stay_the_same_ones():
    tools = (READ, SEARCH, FETCH, OTHER)
    assert served.wanted(Request("m", (), tools=tools))
    found = served.offered(tools)
    assert (found[0], found[3]) == (READ, OTHER)
    assert [(tool.name, tool.kind, tool.deferred) for tool in found[1:3]] == [
        ("web_search", "", False),
        ("web_fetch", "", True),
    ]
    assert [json.loads(tool.schema)["required"] for tool in found[1:3]] == [["query"], ["url"]]
    assert served.offered(tuple(tools)) is found


def test_the_body_measures_no_more_what_is_asked():
    """Our functions are longer than the tools they stand for: the bound on tokens would be too low."""
    request = Request("m", (user(Text("hi")),), tools=(SEARCH,), raw=b'{"tools":[{"name":"web_search"}]}')
    stripped = served.stripped(request)
    assert stripped.raw == b""
    assert measure(stripped) > len(request.raw) + len(stripped.tools[0].schema)


def call(number, name="web_search"):
    return ServerToolUse(f"srvtoolu_{number}", name, '{"query":"q"}')


def house(number, name="web_search"):
    return ToolUse(f"toolu_{number}", name, '{"query":"q"}')


HITS = (HIT,)
WORDS = served.shown(WebResult("", "search", HITS))[0]


def hits(number):
    return WebResult(f"srvtoolu_{number}", "search", HITS)


# what, an answer's blocks, the turns it becomes
UNROLLED = [
    (
        "one round",
        [Thinking("hm"), Text("I look."), call(1), hits(1), Text("So.")],
        [
            model(Thinking("hm"), Text("I look."), house(1)),
            user(result("toolu_1", WORDS)),
            model(Text("So.")),
        ],
    ),
    (
        "two calls at once",
        [call(1), call(2), hits(2), hits(1)],
        [model(house(1), house(2)), user(result("toolu_1", WORDS), result("toolu_2", WORDS))],
    ),
    (
        "two rounds",
        [call(1), hits(1), call(2), hits(2), Text("So.")],
        [
            model(house(1)),
            user(result("toolu_1", WORDS)),
            model(house(2)),
            user(result("toolu_2", WORDS)),
            model(Text("So.")),
        ],
    ),
    (
        "a call of the client's beside it",
        [call(1), ToolUse("toolu_9", "Read", "{}"), hits(1)],
        [model(house(1), ToolUse("toolu_9", "Read", "{}")), user(result("toolu_1", WORDS))],
    ),
    (
        "a call without a result",
        [call(1), Text("never mind")],
        [model(house(1), Text("never mind")), user(result("toolu_1", served.NEVER, failed=True))],
    ),
    ("a result without a call", [hits(1), Text("So.")], [model(Text("So."))]),
    (
        "an id that is not ours",
        [ServerToolUse("x", "web_search", "{}"), WebResult("x", "search", HITS)],
        [model(ToolUse("x", "web_search", "{}")), user(result("x", WORDS))],
    ),
]


@pytest.mark.parametrize(("blocks", "turns"), [row[1:] for row in UNROLLED], ids=[row[0] for row in UNROLLED])
def test_an_answer_is_taken_apart(blocks, turns):
    ask, after = user(Text("q")), user(Text("go on"))
    request = Request("m", (ask, model(*blocks), after))
    assert served.stripped(request).turns == (ask, *turns, after)


SHOWN = [
    ((), served.NOTHING, False),
    ((HIT,), f"{served.STRANGERS}\n\nA\nhttps://a.example\na year ago\nOn a.", False),
    (
        (HIT, Hit("https://b.example", "B", sealed="xyz")),
        f"{served.STRANGERS}\n\nA\nhttps://a.example\na year ago\nOn a.\n\nB\nhttps://b.example\n{served.SEALED}",
        False,
    ),
    (PAGE, f"{served.STRANGERS}\n\nA\nhttps://a.example\n\nAll of a.", False),
    (
        Page("https://a.example", "", data="aGk="),
        f"{served.STRANGERS}\n\nhttps://a.example\n\n{served.UNREAD}",
        False,
    ),
    (Missed("url_too_long"), "Error (url_too_long): The address is too long.", True),
    (Missed("new_word"), "Error (new_word): it could not be done.", True),
]


@pytest.mark.parametrize(("found", "words", "failed"), SHOWN)
def test_what_a_model_reads(found, words, failed):
    assert served.shown(WebResult("s", "fetch", found)) == (words, failed)


def test_who_is_told_that_nothing_is_set_up():
    assert "[web] of understudy.toml" in served.shown(WebResult("s", "search", Missed("unavailable")))[0]


def clipped(found, size):
    return served.clipped(WebResult("s", "search", found), size).found


def test_what_is_too_long_is_cut():
    assert clipped(PAGE, 9) is PAGE
    assert clipped(PAGE, 3).text == "All" + served.CUT
    assert clipped(Missed("unavailable"), 1) == Missed("unavailable")
    two = (HIT, Hit("https://b.example", "B", "b" * 20))
    assert clipped(two, 25) is two
    assert [hit.text for hit in clipped(two, 20)] == ["On a.", "b" * 10]
