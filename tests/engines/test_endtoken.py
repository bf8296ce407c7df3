"""The end token is no part of the answer, however it comes; what only looks like it is."""

import pytest
from harness import Heard, merged
from hypothesis import given
from hypothesis import strategies as st

from understudy.engines.endtoken import ENDS, WithoutEnd
from understudy.language.errors import EngineLost
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    MessageStart,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
)

START, OPEN, CLOSE, STOP = MessageStart("m"), BlockStart("text"), BlockStop(), MessageStop("end_turn")


def told(*batches):
    """What comes out of these batches; a string is more text."""
    heard = Heard()
    cut = WithoutEnd(heard)
    for batch in batches:
        if isinstance(batch, str):
            cut.more(batch)
        else:
            cut.tell(batch)
    out = []
    while not heard.batches.empty():
        out += heard.batches.get_nowait()
    return merged(out)


def text(words):
    return [START, OPEN, *([TextDelta(words)] if words else []), CLOSE, STOP]


@pytest.mark.parametrize("end", ENDS)
def test_an_end_is_cut(end):
    assert told([START, OPEN], "Hi", end, [CLOSE, STOP]) == text("Hi")
    assert told([START, OPEN], f"Hi{end}", [CLOSE, STOP]) == text("Hi")
    assert told([START, OPEN, TextDelta("Hi"), TextDelta(end), CLOSE, STOP]) == text("Hi")
    assert told([START, OPEN], end, [CLOSE], [STOP]) == text("")


def test_what_is_followed_by_more_is_no_end():
    assert told([START, OPEN], "<|im_end|>", " is a token", [CLOSE, STOP]) == text("<|im_end|> is a token")
    assert told([START, OPEN], "<|im_end|>", "<|im_end|>", [CLOSE, STOP]) == text("<|im_end|>")
    thought = [BlockStart("thinking"), ThinkingDelta("hm"), CLOSE]
    assert told([START, OPEN], "</s>", thought) == [START, OPEN, TextDelta("</s>"), *thought]


def test_a_cut_answer_keeps_what_it_said():
    lost = Failed(EngineLost("gone"))
    assert told([START, OPEN], "a</s>", [lost]) == [START, OPEN, TextDelta("a</s>"), lost]
    assert told([Progress(1, 2, 0)]) == [Progress(1, 2, 0)]


@given(
    st.lists(st.sampled_from(["a", "<|im_end|>", "</s>", "<|im_", "end|>", " "]), max_size=8), st.booleans()
)
def test_only_the_last_end_is_lost(pieces, batched):
    words = "".join(pieces)
    batches = [[TextDelta(piece)] if batched else piece for piece in pieces]
    got = told([START, OPEN], *batches, [CLOSE, STOP])
    said = "".join(e.text for e in got if isinstance(e, TextDelta))
    assert words.startswith(said)
    assert words[len(said) :] in ("", *ENDS)
