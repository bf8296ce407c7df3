"""Calls read off streamed text, however it is cut."""

import itertools
import time

import pytest
from anyevents import ANY, REASONS, lawful, run
from harness import ids, legal, merged
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.errors import EngineLost
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
)
from understudy.language.message import collect
from understudy.language.request import Text, ToolUse
from understudy.stages.tidy import Tidy
from understudy.stages.toolcalls import Made, Place, Reader, ToolCalls
from understudy.stages.toolsyntax import HERMES, QWEN_XML

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
    assert reader.place is Place.PROSE
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


def fed(*texts):
    """What the client gets at each piece."""
    stage = ToolCalls(BOTH, OFFERED.__contains__, schema_of, lambda: "call_1")
    for event in (MessageStart("m"), BlockStart("text")):
        stage.feed(event)
    return [list(stage.feed(TextDelta(text))) for text in texts]


def test_text_is_not_held_back():
    assert fed("a", "b < c", " <", "b>", "<tool_call", " x") == [
        [BlockStart("text"), TextDelta("a")],
        [TextDelta("b < c")],
        [TextDelta(" ")],
        [TextDelta("<b>")],
        [],
        [TextDelta("<tool_call x")],
    ]


def test_a_false_start_is_given_back_at_once():
    assert fed("<tool_call>", " is") == [[], [BlockStart("text"), TextDelta("<tool_call>"), TextDelta(" is")]]
    assert fed("<function=Wri", "te>") == [
        [],
        [BlockStart("text"), TextDelta("<function="), TextDelta("Write>")],
    ]


def test_a_call_is_given_at_its_end():
    call = [BlockStart("tool_use", "call_1", "Bash"), InputDelta(LS[1]), BlockStop()]
    assert fed("a", H[:-1], H[-1:], "b") == [
        [BlockStart("text"), TextDelta("a")],
        [],
        [BlockStop(), *call],
        [BlockStart("text"), TextDelta("b")],
    ]
    assert fed(X.removesuffix("\n</tool_call>")) == [call]


def test_plain_text_passes_as_it_is():
    stage = ToolCalls(BOTH, OFFERED.__contains__, schema_of, lambda: "call_1")
    for event in (BlockStart("text"), TextDelta("a")):
        stage.feed(event)
    delta = TextDelta("b")
    (same,) = stage.feed(delta)
    assert same is delta


def staged(events):
    return run(
        ToolCalls(BOTH, OFFERED.__contains__, schema_of, iter(["call_1", "call_2", "call_3"]).__next__),
        events,
    )


NATIVE = [BlockStart("tool_use", "e", "Bash"), InputDelta(f'{{"command": "{BARE}"}}'), BlockStop()]


def test_native_blocks_pass():
    events = [
        MessageStart("m"), Progress(1, 2, 0), BlockStart("thinking"), BlockStop(), *NATIVE,
        BlockStart("text"), TextDelta("a"), BlockStop(), MessageStop("end_turn"),
    ]  # fmt: skip
    assert staged(events) == events


def test_an_empty_text_block_leaves_none():
    start, end = MessageStart("m"), MessageStop("end_turn")
    assert staged([start, BlockStart("text"), BlockStop(), end]) == [start, end]


CALL = [BlockStart("tool_use", "call_1", "Bash"), InputDelta('{"command": "ls"}'), BlockStop()]
OPEN_CALL = H.removesuffix("\n</tool_call>")


@pytest.mark.parametrize("reason", REASONS)
def test_the_stop_reason_says_whether_a_call_without_its_end_is_one(reason):
    forgiven = reason in {"end_turn", "stop_sequence", "tool_use"}
    middle = CALL if forgiven else [BlockStart("text"), TextDelta(OPEN_CALL), BlockStop()]
    assert merged(staged(lawful(OPEN_CALL, [], reason))) == [
        MessageStart("msg_e", "m"),
        *middle,
        MessageStop(reason),
    ]


@pytest.mark.parametrize("after", [NATIVE, [BlockStart("text"), BlockStop()]])
def test_a_block_that_follows_ends_a_call(after):
    events = [
        MessageStart("m"),
        BlockStart("text"),
        TextDelta(OPEN_CALL),
        BlockStop(),
        Progress(1, 2, 0),
        *after,
    ]
    out = staged([*events, MessageStop("end_turn")])
    assert out == [
        MessageStart("m"),
        Progress(1, 2, 0),
        *CALL,
        *(after if after is NATIVE else []),
        MessageStop("end_turn"),
    ]


@pytest.mark.parametrize("end", [[Failed(EngineLost("gone"))], []])
def test_a_failure_gives_the_text_back_and_closes_nothing(end):
    out = merged(staged([MessageStart("m"), BlockStart("text"), TextDelta("a" + OPEN_CALL), *end]))
    assert out == [MessageStart("m"), BlockStart("text"), TextDelta("a" + OPEN_CALL), *end]


def test_backticks_end_with_their_block():
    events = [
        BlockStart("text"),
        TextDelta("```"),
        BlockStop(),
        BlockStart("text"),
        TextDelta(H),
        BlockStop(),
    ]
    out = staged([MessageStart("m"), *events, MessageStop("end_turn")])
    assert out[4:] == [*CALL, MessageStop("end_turn")]


def test_several_calls_have_their_own_ids():
    out = staged(lawful(H + BARE, []))
    assert [(e.id, e.name) for e in out if isinstance(e, BlockStart)] == [
        ("call_1", "Bash"),
        ("call_2", "Read"),
    ]


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


@given(FRAGMENTS, CUTS, st.sampled_from(REASONS))
def test_the_message_is_the_same_however_it_is_cut(text, cuts, reason):
    messages = [collect(legal(staged_freely(lawful(text, some, reason)))) for some in (cuts, ())]
    assert messages[0] == messages[1]
    assert all(isinstance(block, Text | ToolUse) for block in messages[0].blocks)


def staged_freely(events):
    count = itertools.count()
    return run(ToolCalls(BOTH, OFFERED.__contains__, schema_of, lambda: f"call_{next(count)}"), events)


@given(ANY)
def test_tidy_can_end_anything(events):
    legal(run(Tidy(ids()), staged_freely(events)))


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
