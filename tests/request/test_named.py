"""Whether an address stands in a conversation."""

import pytest

from understudy.language.request import (
    Document,
    Image,
    Request,
    Text,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
)
from understudy.language.web import Hit, Missed, Page, ServerToolUse, Sources, WebResult, WebTool
from understudy.request.named import stands_in

URL = "https://a.example/x"
SAYS = f"see {URL}."
READ = ToolUse("t", "Read", "{}")
SEARCH = ServerToolUse("s", "web_search", "{}")


def user(*blocks):
    return Turn("user", blocks)


def model(*blocks):
    return Turn("assistant", blocks)


def found(what, job="search"):
    return model(SEARCH, WebResult("s", job, what))


# where it stands, turns, which source it is
PLACES = [
    ("the person's words", [user(Text(SAYS))], "user"),
    ("a document's text", [user(Document(text=SAYS))], "user"),
    ("a document's title", [user(Document(title=SAYS))], "user"),
    ("a document's address", [user(Document(url=URL))], "user"),
    ("a tool's result", [model(READ), user(ToolResult("t", (Text(SAYS),)))], "tools"),
    ("a document in a result", [model(READ), user(ToolResult("t", (Document(text=SAYS),)))], "tools"),
    ("a result of no call", [user(ToolResult("?", (Text(SAYS),)))], "tools"),
    ("a hit", [found((Hit("https://b.example", "B"), Hit(URL, "A")))], "web"),
    ("a hit's excerpt", [found((Hit("https://b.example", "B", SAYS),))], "web"),
    ("a page's address", [found(Page(URL, "A"), "fetch")], "web"),
    ("a page's words", [found(Page("https://b.example", "B", SAYS), "fetch")], "web"),
    ("the model's words", [model(Text(SAYS))], ""),
    ("the model's thoughts", [model(Thinking(SAYS))], ""),
    ("the model's call", [model(ToolUse("t", "Read", f'"{URL}"'))], ""),
    ("a search for it", [model(ServerToolUse("s", "web_search", f'"{URL}"'))], ""),
    ("a failure", [found(Missed(URL))], ""),
    ("a picture, a tool's name", [user(Image(url=SAYS), ToolReference(URL))], ""),
    ("nowhere in what was given", [model(READ), user(ToolResult("t", (Text("x"), Text("y"))))], ""),
    ("nowhere in what was found", [found((Hit("https://b.example", "B", "x"),))], ""),
    ("nowhere", [user(Text("see https://a.example/xy"))], ""),
]
TOOLS = {
    "user": WebTool("fetch", from_user=False),
    "tools": WebTool("fetch", from_tools=Sources("none")),
    "web": WebTool("fetch", from_web=Sources("none")),
}


@pytest.mark.parametrize(("turns", "source"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
def test_where_it_counts(turns, source):
    request = Request("m", tuple(turns))
    assert stands_in(URL, request, WebTool("fetch")) == bool(source)
    for name, tool in TOOLS.items():
        assert stands_in(URL, request, tool) == (bool(source) and name != source)


def test_tools_by_their_names():
    turns = (model(READ), user(ToolResult("t", (Text(SAYS),))))
    request = Request("m", turns)
    assert stands_in(URL, request, WebTool("fetch", from_tools=Sources("only", ("Read",))))
    assert not stands_in(URL, request, WebTool("fetch", from_tools=Sources("except", ("Read",))))


def test_no_address_stands_anywhere():
    assert not stands_in("two words", Request("m", (user(Text("two words")),)), WebTool("fetch"))
