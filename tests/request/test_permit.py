"""May a call of a web tool be run?"""

import pytest

from understudy.language.request import Request, Text, Turn
from understudy.language.web import Missed, ServerToolUse, WebTool
from understudy.request import permit

SEARCH, FETCH = WebTool("search"), WebTool("fetch")
URL = "https://a.example/x"
ASK = Request("m", (Turn("user", (Text(f"Read {URL}, or ftp://a.example/x"),)),))


@pytest.mark.parametrize(
    ("tool", "given", "wish"),
    [
        (SEARCH, '{"query": " cats "}', "cats"),
        (FETCH, f'{{"url": "{URL}"}}', URL),
        (SEARCH, f'{{"url": "{URL}"}}', ""),
        (SEARCH, '{"query": 5}', ""),
        (SEARCH, '{"query', ""),
        (FETCH, "[]", ""),
    ],
)
def test_what_is_wished(tool, given, wish):
    assert permit.wish(ServerToolUse("s", "w", given), tool) == wish


# wish, tool, uses, why not
REFUSED = [
    ("cats", SEARCH, 99, ""),
    ("cats", WebTool("search", max_uses=2), 1, ""),
    ("cats", WebTool("search", max_uses=2), 2, "max_uses_exceeded"),
    ("", SEARCH, 0, "invalid_tool_input"),
    ("c" * permit.QUERY_LENGTH, SEARCH, 0, ""),
    ("c" * (permit.QUERY_LENGTH + 1), SEARCH, 0, "query_too_long"),
    (URL, FETCH, 0, ""),
    (URL + "y" * permit.URL_LENGTH, FETCH, 0, "url_too_long"),
    ("ftp://a.example/x", FETCH, 0, "invalid_tool_input"),
    ("a.example/x", FETCH, 0, "invalid_tool_input"),
    (URL, WebTool("fetch", blocked=("a.example",)), 0, "url_not_allowed"),
    (URL, WebTool("fetch", allowed=("a.example",)), 0, ""),
    (URL, WebTool("fetch", from_user=False), 0, "url_not_in_prior_context"),
    (f"{URL}?secret=1", FETCH, 0, "url_not_in_prior_context"),
]


@pytest.mark.parametrize(("wish", "tool", "uses", "code"), REFUSED)
def test_why_a_call_is_refused(wish, tool, uses, code):
    assert permit.refused(wish, tool, ASK, uses) == (Missed(code) if code else None)
