"""What is private in a request, where, and what may leave."""

import pytest

from understudy.language.request import (
    Document,
    Image,
    Request,
    Text,
    Thinking,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
)
from understudy.language.web import Hit, Missed, Page, ServerToolUse, WebResult
from understudy.routing import configured, privacy
from understudy.routing.privacy import Finding, decide, findings
from understudy.routing.scan import Scanner, Spot

TOKEN = "ghp_Xk29vPq81zLmAb37Qw6Er5TyUi0OpAsDfGhJ"
MAIL = "li.wei@corp.cn"
SCANNER = Scanner(b"key", configured.rules(paths=[".env", "secrets"]))


def request(*turns, **fields):
    return Request(model="m", turns=turns, **fields)


def user(*blocks):
    return Turn("user", blocks)


PLACES = {
    "system": (request(system=(Text("a"), Text(TOKEN))), [("system block 2", "github-token")]),
    "text": (request(user(Text("a")), user(Text(MAIL))), [("user turn 2", "email")]),
    "thinking": (request(Turn("assistant", (Thinking(MAIL),))), [("assistant turn 1", "email")]),
    "arguments": (
        request(
            Turn(
                "assistant",
                (ToolUse("t", "Bash", '{"command": "curl -u x", "n": [1, {"k": "' + MAIL + '"}]}'),),
            )
        ),
        [("assistant turn 1", "email")],
    ),
    "names of arguments": (
        request(Turn("assistant", (ToolUse("t", "Bash", '{"' + MAIL + '": null}'),))),
        [("assistant turn 1", "email")],
    ),
    "arguments that are no JSON": (
        request(Turn("assistant", (ToolUse("t", "B", MAIL),))),
        [("assistant turn 1", "email")],
    ),
    "arguments nested too deep": (
        request(Turn("assistant", (ToolUse("t", "B", "[" * 100_000 + f'"{MAIL}"' + "]" * 100_000),))),
        [("assistant turn 1", "email")],
    ),
    "what was looked for": (
        request(Turn("assistant", (ServerToolUse("s", "web_search", '{"query": "' + MAIL + '"}'),))),
        [("assistant turn 1", "email")],
    ),
    "pages that were found": (
        request(Turn("assistant", (WebResult("s", "search", (Hit("u", MAIL), Hit("u", "t", TOKEN))),))),
        [("assistant turn 1", "email"), ("assistant turn 1", "github-token")],
    ),
    "a page that was read": (
        request(Turn("assistant", (WebResult("s", "fetch", Page("u", "t", MAIL)),))),
        [("assistant turn 1", "email")],
    ),
    "a file that was read": (
        request(Turn("assistant", (WebResult("s", "fetch", Page("u", "t", data="aGk=")),))),
        [("assistant turn 1", "document")],
    ),
    "nothing that was found": (
        request(Turn("assistant", (WebResult("s", "fetch", Missed("unavailable")),))),
        [],
    ),
    "results": (
        request(user(ToolResult("t", (Text(MAIL), Text(TOKEN))))),
        [("user turn 1", "email"), ("user turn 1", "github-token")],
    ),
    "documents": (request(user(Document(text=MAIL))), [("user turn 1", "email")]),
    "titles": (request(user(Document(title=MAIL))), [("user turn 1", "email")]),
    "unknown blocks": (request(user(Unknown("x", '{"a": "' + MAIL + '"}'))), [("user turn 1", "email")]),
    "verbatim": (request(Turn("assistant", (), verbatim=MAIL)), [("assistant turn 1", "email")]),
    "tools": (request(tools=(Tool("send", MAIL),)), [("tool send", "email")]),
    "schemas": (
        request(tools=(Tool("send", schema=b'{"default": "li.wei@corp.cn"}'),)),
        [("tool send", "email")],
    ),
    "formats": (request(format=b'{"default": "li.wei@corp.cn"}'), [("output format", "email")]),
    "users": (request(user=MAIL), [("user", "email")]),
    "pictures": (request(user(Image(data="aGk="))), [("user turn 1", "picture")]),
    "documents in bytes": (request(user(Document(data="aGk="))), [("user turn 1", "document")]),
    "documents elsewhere": (
        request(user(ToolResult("t", (Document(url="https://x.org"),)))),
        [("user turn 1", "document")],
    ),
    "nothing": (request(user(Text("hello"), ToolReference("x")), format=b"{}"), []),
}


@pytest.mark.parametrize(("asked", "expected"), PLACES.values(), ids=PLACES)
def test_places(asked, expected):
    assert [(found.where, found.spot.rule) for found in findings(asked, SCANNER)] == expected


def reading(path):
    return request(
        Turn(
            "assistant",
            (ToolUse("toolu_1", "Read", f'{{"file_path": "{path}"}}'), ToolUse("toolu_2", "Read", "{}")),
        ),
        user(
            ToolResult("toolu_1", (Text("harmless"), Text("lines"))), ToolResult("toolu_2", (Text("other"),))
        ),
    )


def test_what_was_read_from_a_private_path_is_private_as_a_whole():
    found = findings(reading("/app/secrets/a.txt"), SCANNER)
    assert [(f.where, f.spot.kind, f.spot.rule, f.spot.length) for f in found] == [
        ("assistant turn 1", "path", "path", len("/app/secrets/a.txt")),
        ("user turn 2", "path", "private-file", len("harmless\nlines")),
    ]
    assert findings(reading("/app/public/a.txt"), SCANNER) == ()


def finding(rule="email", kind="personal", where="user turn 1"):
    return Finding(where, Spot(0, 5, kind, rule, "00"))


VERDICTS = [
    ("local-only", [], False, (False, False), "nothing leaves this machine"),
    ("local-only", [finding()], True, (False, False), "nothing leaves this machine"),
    ("ask-free", [], False, (True, False), "nothing private was found"),
    ("ask-free", [finding()], False, (False, False), "kept here: 1 email (user turn 1)"),
    ("ask-free", [finding()], True, (True, True), "leaves with placeholders for 1 email (user turn 1)"),
    ("ask-free", [finding("picture", "unread")], True, (False, False), "kept here: 1 picture (user turn 1)"),
    ("open", [], False, (True, False), "nothing private was found"),
    ("open", [finding()], False, (True, False), "although there is 1 email (user turn 1)"),
    ("open", [finding()], True, (True, True), "leaves with placeholders"),
]


@pytest.mark.parametrize(("mode", "found", "redact", "expected", "why"), VERDICTS)
def test_decide(mode, found, redact, expected, why):
    verdict = decide(mode, found, redact=redact)
    assert (verdict.leaves, verdict.redacted) == expected
    assert why in verdict.why


def test_a_summary_names_the_first_of_each_kind_and_not_all():
    found = [finding(rule, where=f"user turn {n}") for n, rule in enumerate("aabcdef", 1)]
    assert privacy.summary(found) == (
        "2 a (user turn 1), 1 b (user turn 3), 1 c (user turn 4), 1 d (user turn 5) and 2 more kinds"
    )


def test_no_value_is_told():
    asked = request(user(Text(f"{TOKEN} {MAIL}")))
    found = findings(asked, SCANNER)
    told = repr(found) + decide("ask-free", found).why
    assert TOKEN[4:12] not in told
    assert MAIL not in told


def test_in_a_loop_only_the_new_tail_is_scanned(monkeypatch):
    scanner, scanned = Scanner(b"key"), []
    find = scanner._found
    monkeypatch.setattr(scanner, "_found", lambda text, data: scanned.append(text) or find(text, data))
    turns = (user(Text("one")), Turn("assistant", (Text("two"),)))
    findings(request(*turns), scanner)
    scanned.clear()
    findings(request(*turns, user(Text("three"))), scanner)
    assert scanned == ["three"]
