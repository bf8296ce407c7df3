"""Placeholders: the same in each turn, in valid JSON, and put back whatever the cuts."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from understudy.routing import configured
from understudy.routing.privacy import findings
from understudy.routing.redact import PREFIX, Restorer, placeholder, redact, restored
from understudy.routing.scan import Scanner

TOKEN = "ghp_Xk29vPq81zLmAb37Qw6Er5TyUi0OpAsDfGhJ"
MAIL = "li.wei@corp.cn"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
SCANNER = Scanner(b"key", configured.rules(words=["Nova"], paths=["secrets"]))
NAME = placeholder("email", SCANNER.mark(MAIL))
JSON = f'{{"to": "{MAIL}"}}'


def request(*turns, **fields):
    return Request(model="m", turns=turns, **fields)


def everywhere():
    """A request with private things wherever a request has text."""
    return request(
        Turn(
            "user",
            (Text(f"mail {MAIL}"), Document(text=MAIL, title=MAIL), Unknown("x", JSON), ToolReference("t")),
        ),
        Turn(
            "assistant",
            (Thinking(MAIL, "sig"), ToolUse("t1", "Send", JSON), ToolUse("t2", "Send", MAIL)),
            verbatim=MAIL,
        ),
        Turn(
            "user", (ToolResult("t1", (Text(MAIL), Unknown("y", JSON), Document(text=MAIL)), is_error=True),)
        ),
        Turn("system", (Text(f"Nova {TOKEN}"),)),
        Turn(
            "assistant",
            (
                ServerToolUse("s1", "web_search", JSON),
                WebResult("s1", "search", (Hit("https://a.example", MAIL, MAIL),)),
                WebResult("s2", "fetch", Page("https://a.example", MAIL, MAIL)),
                WebResult("s3", "fetch", Missed("unavailable")),
            ),
        ),
        system=(Text(MAIL),),
        tools=(Tool("send", f"to {MAIL}", f'{{"default": "{MAIL}"}}'.encode()),),
        format=f'{{"default": "{MAIL}"}}'.encode(),
        user=MAIL,
        raw=MAIL.encode(),
    )


def test_nothing_private_is_left():
    safe = redact(everywhere(), SCANNER).request
    assert findings(safe, SCANNER) == ()
    text = repr(safe)
    assert not [value for value in (MAIL, TOKEN, "Nova") if value in text]
    assert safe.raw == b""


def test_all_else_stays():
    asked, safe = everywhere(), redact(everywhere(), SCANNER).request
    assert safe.turns[0].blocks[0] == Text(f"mail {NAME}")
    assert safe.turns[0].blocks[3] == ToolReference("t")
    assert safe.turns[1].blocks[0] == Thinking(NAME, "sig")
    assert safe.turns[1].verbatim == NAME
    assert safe.turns[2].blocks[0].is_error
    assert [turn.role for turn in safe.turns] == [turn.role for turn in asked.turns]
    assert safe.turns[4].blocks[1:] == (
        WebResult("s1", "search", (Hit("https://a.example", NAME, NAME),)),
        WebResult("s2", "fetch", Page("https://a.example", NAME, NAME)),
        WebResult("s3", "fetch", Missed("unavailable")),
    )
    assert safe.tools[0].name == "send"


def test_a_request_with_nothing_private_stays_as_it_is():
    asked = request(
        Turn("user", (Text("a"), Image(data="aGk="))),
        Turn("assistant", (ToolUse("t", "Bash", '{ "a" : [1.50, null] }'),)),
        tools=(Tool("x", schema=b'{ "type": "object" }'),),
    )
    assert redact(asked, SCANNER).request == asked
    assert redact(asked, SCANNER).values == {}


def test_arguments_stay_json():
    asked = request(
        Turn("assistant", (ToolUse("t", "Write", json.dumps({"content": KEY, MAIL: [MAIL, 1, None]})),))
    )
    safe = redact(asked, SCANNER)
    arguments = json.loads(safe.request.turns[0].blocks[0].input)
    assert KEY not in arguments["content"]
    assert arguments[NAME] == [NAME, 1, None]
    assert KEY in safe.values.values()


@pytest.mark.parametrize("depth", [400, 100_000])
def test_arguments_nested_too_deep_are_read_as_text(depth):
    nested = "[" * depth + f'"{MAIL}"' + "]" * depth
    safe = redact(request(Turn("assistant", (ToolUse("t", "Write", nested),))), SCANNER)
    assert safe.request.turns[0].blocks[0].input == nested.replace(MAIL, NAME)


def test_the_same_value_has_the_same_placeholder_in_every_turn_and_request():
    first = redact(request(Turn("user", (Text(f"a {MAIL}"),))), SCANNER)
    then = redact(request(Turn("user", (Text(f"a {MAIL}"),)), Turn("user", (Text(f"{MAIL} b"),))), SCANNER)
    assert then.request.turns[0] == first.request.turns[0]
    assert then.request.turns[1].blocks == (Text(f"{NAME} b"),)
    assert then.values == first.values == {NAME: MAIL}


def test_placeholders_are_no_findings():
    assert redact(redact(everywhere(), SCANNER).request, SCANNER).values == {}


def test_what_a_private_file_said_is_replaced_as_a_whole():
    asked = request(
        Turn("assistant", (ToolUse("t", "Read", '{"file_path": "secrets/a"}'),)),
        Turn("user", (ToolResult("t", (Text("line 1"), Image(data="aGk="), Text("line 2"))),)),
    )
    safe = redact(asked, SCANNER)
    (content,) = safe.request.turns[1].blocks[0].content
    assert safe.values[content.text] == "line 1\nline 2"
    assert content.text.startswith(f"{PREFIX}PRIVATE_FILE_")


VALUES = {placeholder("email", "00000001"): MAIL, placeholder("private-key", "00000002"): 'a "b"\n\\c'}
FIRST, SECOND = VALUES
ANSWERS = [
    "",
    "nothing",
    FIRST,
    f"mail {FIRST}, then {SECOND}.",
    f"{FIRST}{SECOND}{FIRST}",
    f"P{PREFIX}{FIRST[:-1]}",
    f"{PREFIX}{FIRST}",
    f"{FIRST[:-1]} {FIRST}x",
    f"{PREFIX}EMAIL_ffffffff stays",
    "PPPP",
]


def expected(text):
    for name, value in VALUES.items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize("text", ANSWERS)
def test_values_are_put_back_at_every_cut(text):
    assert restored(text, VALUES) == expected(text)
    for cut in range(len(text) + 1):
        restorer = Restorer(VALUES)
        assert restorer.feed(text[:cut]) + restorer.feed(text[cut:]) + restorer.close() == expected(text)
    restorer = Restorer(VALUES)
    assert "".join(map(restorer.feed, text)) + restorer.close() == expected(text)


@given(
    st.lists(st.sampled_from([FIRST, SECOND, FIRST[:9], SECOND[:20], "P", "x ", PREFIX]), max_size=6),
    st.data(),
)
def test_cuts_do_not_matter(parts, data):
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    restorer = Restorer(VALUES)
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join(map(restorer.feed, pieces)) + restorer.close() == restored(text, VALUES)


def test_only_what_may_be_a_placeholder_is_held_back():
    restorer = Restorer(VALUES)
    assert restorer.feed("hello P") == "hello "
    assert restorer.feed("eter") == "Peter"
    assert restorer.feed(FIRST[:-1]) == ""
    assert restorer.feed(FIRST[-1]) == MAIL
    assert restorer.close() == ""


def test_in_json_values_are_escaped():
    text = msgspec.json.encode({"text": SECOND}).decode()
    assert json.loads(restored(text, VALUES, in_json=True)) == {"text": VALUES[SECOND]}


def test_nothing_to_restore():
    assert restored("PRIVATE_X P", {}) == "PRIVATE_X P"
