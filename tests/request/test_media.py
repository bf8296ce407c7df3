"""Pictures and documents are found wherever they stand, and words take their places without touching anything else."""

import base64

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
from understudy.request.media import as_text, described, is_pdf, media, not_fetched, replaced
from understudy.request.prefix import broken_at, fingerprint

CAT, DOG, AWAY = Image("image/png", "Y2F0"), Image("image/jpeg", "ZG9n"), Image(url="https://a.example/b.png")
PDF, NOTE = Document("application/pdf", "JVBERg==", title="t"), Document("text/plain", text="note")
PLAIN = (
    Text("Hi"),
    Thinking("hm"),
    ToolUse("c1", "Read", "{}"),
    ToolReference("Web"),
    Unknown("x", "{}"),
    ToolResult("c0", (Text("done"), Unknown("y", "{}"))),
)


def asked(*turns, **more):
    return Request("m", tuple(Turn(role, blocks) for role, blocks in turns), raw=b"{}", **more)


FOUND = {
    "none": (asked(("user", PLAIN)), ()),
    "no turn": (asked(), ()),
    "in a turn": (asked(("user", (Text("Look"), CAT))), (CAT,)),
    "in a result": (asked(("user", (ToolResult("c", (Text("here"), CAT, PDF)),))), (CAT, PDF)),
    "in every role": (
        asked(("user", (CAT,)), ("assistant", (DOG,)), ("system", (AWAY,))),
        (CAT, DOG, AWAY),
    ),
    "in their order": (
        asked(("user", (DOG, ToolResult("c", (CAT,)), NOTE)), ("user", (PDF,))),
        (DOG, CAT, NOTE, PDF),
    ),
    "each once": (asked(("user", (CAT, CAT, ToolResult("c", (CAT,)))), ("user", (CAT, DOG))), (CAT, DOG)),
}


@pytest.mark.parametrize(("request_", "found"), FOUND.values(), ids=FOUND)
def test_what_is_found(request_, found):
    assert media(request_) == found


def test_words_take_every_place():
    cat, pdf = Text("a cat"), Document("application/pdf", text="the text", title="t")
    before = asked(
        ("user", (Text("Look"), CAT, DOG)),
        ("assistant", (ToolUse("c", "Read", "{}"),)),
        ("user", (ToolResult("c", (Text("here"), CAT, PDF), is_error=True), CAT)),
    )
    assert replaced(before, {CAT: cat, PDF: pdf}).turns == (
        Turn("user", (Text("Look"), cat, DOG)),
        Turn("assistant", (ToolUse("c", "Read", "{}"),)),
        Turn("user", (ToolResult("c", (Text("here"), cat, pdf), is_error=True), cat)),
    )


def test_without_words_it_is_the_same_request():
    before = asked(("user", (CAT,)))
    assert replaced(before, {}) is before


def test_the_clients_bytes_no_longer_say_what_is_asked():
    before = asked(("user", (CAT,)), tools=(Tool("Read"),), system=(Text("s"),), stream=True, user="u")
    after = replaced(before, {CAT: Text("a cat")})
    assert after.raw == b""
    assert (after.tools, after.system, after.stream, after.user) == (
        before.tools,
        before.system,
        True,
        "u",
    )


def test_what_is_not_replaced_stays_the_same_object():
    result, other = ToolResult("c", (Text("x"), DOG)), ToolResult("d", (CAT,))
    before = asked(("user", PLAIN), ("user", (result, other)), ("user", (DOG,)))
    after = replaced(before, {CAT: Text("a cat")})
    assert after.turns[0] is before.turns[0]
    assert after.turns[2] is before.turns[2]
    assert after.turns[1].blocks[0] is result
    assert after.turns[1].blocks[1] == ToolResult("d", (Text("a cat"),))


def test_a_verbatim_turn_stays_verbatim():
    before = Request("m", (Turn("assistant", (CAT,), verbatim="<raw>"),))
    assert replaced(before, {CAT: Text("a cat")}).turns[0].verbatim == "<raw>"


def test_the_next_turn_continues_the_prefix():
    words = {CAT: described("a cat", "eyes/vl"), DOG: described("a dog", "eyes/vl")}
    first = asked(("user", (Text("Look"), CAT)))
    second = asked(
        ("user", (Text("Look"), CAT)), ("assistant", (Text("I see"),)), ("user", (ToolResult("c", (DOG,)),))
    )
    before, now = (fingerprint(replaced(request, words)) for request in (first, second))
    assert broken_at(before, now) is None


KINDS = {  # document: whether it is a PDF, its text
    "a pdf": (PDF, True, None),
    "a picture": (CAT, False, None),
    "a note": (NOTE, False, None),
    "a pdf that is somewhere else": (Document("application/pdf", url="https://a.example/b.pdf"), False, None),
    "a pdf that has its text": (Document("application/pdf", text="x"), False, None),
    "something else": (Document("application/zip", "UEs="), False, None),
    "a text in base64": (
        Document("text/csv", base64.b64encode("ä,b".encode()).decode(), title="t.csv"),
        False,
        Document("text/csv", text="ä,b", title="t.csv"),
    ),
    "a text that is none": (Document("text/plain", base64.b64encode(b"\xff\xfe").decode()), False, None),
    "a text that is no base64": (Document("text/plain", "{}"), False, None),
    "an empty text": (Document("text/plain", text=""), False, None),
}


@pytest.mark.parametrize(("medium", "pdf", "text"), KINDS.values(), ids=KINDS)
def test_kinds_of_documents(medium, pdf, text):
    assert is_pdf(medium) == pdf
    assert as_text(medium) == text


def test_what_a_model_is_shown():
    assert described("It shows a cat.", "eyes/vl") == Text(
        "[A picture, which you cannot see. eyes/vl describes it:]\nIt shows a cat.\n[End of the picture.]"
    )
    assert not_fetched(AWAY) == Text(
        "[A picture at https://a.example/b.png, which was not fetched: ask for its content, or for the file.]"
    )
