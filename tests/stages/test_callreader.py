"""Text and calls, read off a text however it is cut."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.stages.callreader import Made, Place, Reader
from understudy.stages.jsoncalls import HERMES, JSON, XLAM
from understudy.stages.namedcalls import MISTRAL
from understudy.stages.pythoncalls import PYTHONIC
from understudy.stages.tagrows import INVOKE, QWEN_XML

OFFERED = {"Bash", "Read"}
BOTH = (HERMES, QWEN_XML)
H = '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>'
X = "<tool_call>\n<function=Bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
BARE = "<function=Read>\n<parameter=path>\na\n</parameter>\n</function>"
LS = ("Bash", '{"command": "ls"}')
READ = ("Read", '{"path": "a"}')


def schema_of(name):
    return b'{"properties": {"command": {"type": "string"}, "path": {"type": "string"}}}'


def read(text, cuts=(), *, syntaxes=BOTH, complete=True):
    """Text and calls in order; a call is a pair."""
    reader = Reader(syntaxes, OFFERED.__contains__, schema_of)
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [piece for a, b in itertools.pairwise(edges) for piece in reader.feed(text[a:b])]
    pieces += reader.end(complete=complete)
    assert reader.place is Place.START
    assert "".join(piece if isinstance(piece, str) else piece.raw for piece in pieces) == text, (
        "something is lost"
    )
    return joined(pieces)


def joined(pieces):
    out = []
    for piece in pieces:
        if isinstance(piece, Made):
            out += [(call.name, call.arguments) for call in piece.calls]
        elif out and isinstance(out[-1], str):
            out[-1] += piece
        else:
            out.append(piece)
    return out


CASES = {
    "text": ("Hello <b>you</b> `x`", ["Hello <b>you</b> `x`"]),
    "nothing": ("", []),
    "hermes": (H, [LS]),
    "xml": (X, [LS]),
    "xml without outer tags": (BARE, [READ]),
    "closing tag without an opener": (f"{BARE}\n</tool_call>", [READ]),
    "text around": (f"Let me look.\n{H}\nDone.", ["Let me look.\n", LS, "\nDone."]),
    "text around xml": (f"Let me look.\n{X}\nDone.", ["Let me look.\n", LS, "\nDone."]),
    "several": (f"{H}\n{X}{BARE}", [LS, "\n", LS, READ]),
    "several in one tag": (f"<tool_call>\n{BARE}\n{BARE}\n</tool_call>", [READ, "\n", READ]),
    "no closing tag": (H.removesuffix("</tool_call>"), [LS, "\n"]),
    "no closing tag of xml": (X.removesuffix("</tool_call>"), [LS, "\n"]),
    "no closing tags": (X.removesuffix("\n</function>\n</tool_call>"), [LS]),
    "no closing tag of the first": (f"{H.removesuffix('</tool_call>')}{X}", [LS, "\n", LS]),
    "not offered": ('<tool_call>{"name": "Write", "arguments": {}}</tool_call>', 1),
    "not offered, in a list": ('<tool_call>[{"name": "Bash"}, {"name": "Write"}]</tool_call>', 1),
    "not offered xml": ("<function=Write></function>", 1),
    "not offered, then one": (f"<function=Write></function>{BARE}", ["<function=Write></function>", READ]),
    "an empty tag": ("<tool_call></tool_call>", 1),
    "talk of the tag": ("The <tool_call> tag is followed by JSON.", 1),
    "talk, then a call": (f"The <tool_call> tag:\n{H}", ["The <tool_call> tag:\n", LS]),
    "talk of html": ("<function>x</function> and <tool>", 1),
    "opener twice": (f"<tool_call>{H}", ["<tool_call>", LS]),
    "broken json, then one": (f'<tool_call>{{"x": 1}}</tool_call>{H}', ['<tool_call>{"x": 1}</tool_call>', LS]),
    "cut opener": ("Hello <tool_ca", 1),
    "a bracket at the end": ("a <", 1),
    "in backticks": (
        "Write `<function=Bash></function>` or\n" + BARE,
        ["Write `<function=Bash></function>` or\n", READ],
    ),
    "a lone backtick": (f"the ` key\n{H}", ["the ` key\n", LS]),
    "a lone backtick, then a pair": ("the ` key\nand `<function=Bash></function>`", 1),
    "in a fence": (f"So:\n```\n{X}\n```\n", 1),
    "in a fence of its language": (f"So:\n```xml\n{X}\n``\n```\n{X}", [f"So:\n```xml\n{X}\n``\n```\n", LS]),
    "in a long fence": (f"````\n```\n{X}\n```\n````\n{X}", [f"````\n```\n{X}\n```\n````\n", LS]),
    "in an open fence": (f"```\n{X}", 1),
    "between double backticks": (f"``<function=Bash>` </function>`` \n{X}", ["``<function=Bash>` </function>`` \n", LS]),
    "backticks in arguments": (BARE.replace("\na\n", "\na`b\n") + X, [("Read", '{"path": "a`b"}'), LS]),
    "blanks after a call": (H + " " * 300, [LS, " " * 300]),
    "many blanks before the tail": (BARE + " " * 300 + "</tool_call>", [READ, " " * 300 + "</tool_call>"]),
    "many blanks in the head": ("<tool_call>" + "\n" * 300 + "{", 1),
    "a call from here on": ('<tool_call>{"name": "Bash", "arguments": {"command": "l', [("Bash", '{"command": "l')]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_read(case):
    text, expected = CASES[case]
    expected = [text] if expected == 1 else expected
    assert read(text) == expected
    assert read(text, range(len(text))) == expected, "letter by letter"
    for cut in range(1, len(text)):
        assert read(text, [cut]) == expected, cut


J = '{"name": "Bash", "arguments": {"command": "ls"}}'
START_CASES = {
    "json": (J, [LS]),
    "after blanks": (f" \n{J}", [" \n", LS]),
    "after many blanks": (" " * 300 + J, 1),
    "after words": (f"So: {J}", 1),
    "after a call": (f"{J}\n{J}", [LS, "\n", LS]),
    "in a row": (f"{J}; {J}", [LS, " ", LS]),
    "after a call of another row": (f"{H}\n{J}", [LS, "\n", LS]),
    "then words": (f"{J} Done.", [LS, " Done."]),
    "then words and json": (f"{J} Done. {J}", [LS, f" Done. {J}"]),
    "in a fence": (f"```\n{J}\n```", 1),
    "a list": (f"[{J}, {J}]", [LS, LS]),
    "python": ('[Bash(command="ls")]', [LS]),
    "another row's opener": (f"[x] {H}", ["[x] ", LS]),
    "a longer opener": (f"[TOOL_CALLS][{J}]", [LS]),
    "an answer": ('{"answer": 42}', 1),
    "an answer with a name": ('{"name": "Bob", "arguments": {}}', 1),
    "cut": (J[:-5], 1),
    "blanks alone": (" \n", 1),
}


@pytest.mark.parametrize("case", START_CASES)
def test_what_only_begins_an_answer(case):
    text, expected = START_CASES[case]
    expected = [text] if expected == 1 else expected
    rows = (HERMES, MISTRAL, PYTHONIC, JSON)
    assert read(text, syntaxes=rows) == expected
    assert read(text, range(len(text)), syntaxes=rows) == expected
    for cut in range(1, len(text)):
        assert read(text, [cut], syntaxes=rows) == expected, cut


def test_what_is_plain():
    reader = Reader((HERMES,), OFFERED.__contains__, schema_of)
    assert not reader.plain("a")
    reader.feed("a")
    assert reader.plain("b < c")
    assert not reader.plain("b `")
    assert not reader.plain("b <")
    reader.feed("`")
    assert not reader.plain("c")
    reader.feed("c")
    assert reader.plain("<tool_call>")
    assert not reader.plain("d`")
    assert not reader.plain("d\n")
    reader.feed("\n```\n")
    assert reader.plain("<tool_call>\n")


def test_it_may_be_left_out():
    reader = Reader((HERMES, JSON), OFFERED.__contains__, schema_of, starts=False)
    assert joined([*reader.feed(J), *reader.feed(H), *reader.end(complete=True)]) == [J, LS]


FENCE_CASES = {
    "a call": (f"So:\n```json\n[{J}]\n```\nDone.", ["So:\n", LS, "\nDone."]),
    "other json": ('```json\n{"a": 1}\n```', 1),
    "other code": (f"```js\n{J}\n```", 1),
    "a call in other code": (f"```js\n```json\n{J}\n```\n```", 1),
    "after it a call": (f"```json\n{{}}\n```\n{H}", ["```json\n{}\n```\n", LS]),
    "backticks at the end": ("a ``", 1),
    "a longer fence": (f"````json\n{J}\n````", 1),
}


@pytest.mark.parametrize("case", FENCE_CASES)
def test_openers_that_are_fences(case):
    text, expected = FENCE_CASES[case]
    expected = [text] if expected == 1 else expected
    for cuts in ((), range(len(text)), *([cut] for cut in range(1, len(text)))):
        assert read(text, cuts, syntaxes=(XLAM, HERMES)) == expected, cuts


def test_several_tails():
    text = f"{INVOKE.example}<｜tool_call_end｜> <｜tool_calls_end｜>!"
    for cuts in ((), range(len(text))):
        pieces = read(text.replace("get_time", "Bash").replace("city", "command"), cuts, syntaxes=(INVOKE,))
        assert pieces == [("Bash", '{"command": "Paris"}'), "!"]


def test_only_the_given_syntaxes_are_read():
    assert read(X, syntaxes=(HERMES,)) == [X]
    assert read(H, syntaxes=(QWEN_XML,)) == [H]


UNFINISHED = [
    H.removesuffix("</tool_call>"),
    H[:40],
    X[: X.index("</function>")],
    X[: X.index("</parameter>")],
    "<tool_call>",
    "<tool",
]


@pytest.mark.parametrize("text", UNFINISHED)
def test_of_a_cut_answer_nothing_is_forgiven(text):
    assert read(text, complete=False) == [text]
    assert read(f"a{H}b{text}", complete=False) == ["a", LS, "b" + text]
    assert read(f"a{H}b{text}", range(200), complete=False) == ["a", LS, "b" + text]


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            H, X, BARE, H[:-12], X[:-12], "<tool_call>", "</tool_call>", "<function=Bash>", "<function=No>", "</function>",
            "<parameter=command>", "</parameter>", '{"name": "Bash"', ', "arguments": {', "}", "}}", '"', "\\", "`", "```",
            "\n", " ", "<", "</", "tool_call", "text", "<function name=", "[", "]",
        ]
    ),
    max_size=14,
).map("".join)  # fmt: skip
CUTS = st.lists(st.integers(0, 3000), max_size=12)


@given(FRAGMENTS, CUTS, st.booleans())
def test_nothing_is_lost_and_cuts_do_not_matter(text, cuts, complete):
    assert read(text, cuts, complete=complete) == read(text, complete=complete)


REPEATED = [
    "<function=Bash>\n",
    '<tool_call>{"name": "Bash"',
    '<tool_call>{"name": "Bash", "arguments": {"</tool_call>',
    "<tool_call>",
    "<tool_call>\n",
    X[:45],
    f"{X[:70]}</function>",
    f"{BARE[:30]}</parameter> x</function>",
    "`",
]


@pytest.mark.parametrize("text", REPEATED)
@pytest.mark.parametrize("complete", [True, False])
def test_a_model_that_repeats_itself_is_still_read_quickly(text, complete):
    began = time.process_time()
    in_pieces = read(text * 3_000, range(0, len(text) * 3_000, 20), complete=complete)
    assert in_pieces == read(text * 3_000, complete=complete)
    assert time.process_time() - began < 10


def test_many_closing_tags_are_still_quick():
    content = "</function>\\n" * 3_000
    text = f'<tool_call>{{"name": "Bash", "arguments": {{"command": "{content}</tool_call>{content}"}}}}</tool_call>'
    began = time.process_time()
    assert read(text, range(0, len(text), 7)) == [
        ("Bash", f'{{"command": "{content}</tool_call>{content}"}}')
    ]
    assert time.process_time() - began < 5
