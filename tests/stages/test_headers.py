"""Headers whose tokens were left out."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.stages.headers import Headers


def told(text, cuts=()):
    headers = Headers()
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return "".join(headers.feed(text[a:b]) for a, b in itertools.pairwise(edges)) + headers.end()


S, F = "<|start|>assistant", "<|channel|>final<|message|>"
ARGS = '{"city": "Paris"}'
CALL = f" to=functions.f<|channel|>commentary<|message|>{ARGS}"
CASES = {
    "analysisWe look.": "<|channel|>analysis<|message|>We look.",
    "finalNoon.": "<|channel|>final<|message|>Noon.",
    "commentaryI look.": "<|channel|>commentary<|message|>I look.",
    "analysisWe look.assistantfinalNoon.": f"<|channel|>analysis<|message|>We look.<|end|>{S}{F}Noon.",
    f"commentary to=functions.f json{ARGS}": CALL,
    f"commentary to=functions.f{ARGS}": CALL,
    f"commentary to=functions.fjson{ARGS}": CALL,
    f" to=functions.fcommentary json{ARGS}": CALL,
    f"analysishm.assistantcommentary to=functions.f json{ARGS}": f"<|channel|>analysis<|message|>hm.<|end|>{S}{CALL}",
    f"analysishm.assistant to=functions.fcommentary{ARGS}": f"<|channel|>analysis<|message|>hm.<|end|>{S}{CALL}",
    "analysis to be sure": "<|channel|>analysis<|message|> to be sure",
    "analysisan assistant": "<|channel|>analysis<|message|>an assistant",
    "analysishm.assistant to=functions.f": "<|channel|>analysis<|message|>hm.<|end|>" + S + " to=functions.f",
    "analysishm.assistant to=functions.f!": "<|channel|>analysis<|message|>hm.<|end|>"
    + S
    + " to=functions.f!",
    "<|channel|>analysis<|message|>assistantfinal": "<|channel|>analysis<|message|>assistantfinal",
    "Noon.": "Noon.",
    "anal": "anal",
    "to": "to",
    "": "",
}


@pytest.mark.parametrize("text", CASES)
def test_tokens_are_put_in(text):
    for cuts in ((), range(len(text)), *([cut] for cut in range(1, len(text)))):
        assert told(text, cuts) == CASES[text], cuts


def test_whether_text_has_its_tokens():
    for text, plain in (("<|channel|>", True), ("Noon.", True), ("finalNoon.", False), ("fin", False)):
        headers = Headers()
        headers.feed(text)
        assert headers.plain() == plain


PARTS = st.lists(
    st.sampled_from(
        ["analysis", "final", "commentary", "assistant", " to=functions.f", "json", "{", "}", "a", " "]
    ),
    max_size=9,
).map("".join)


@given(PARTS, st.lists(st.integers(0, 100), max_size=8))
def test_cuts_do_not_matter(text, cuts):
    assert told(text, cuts) == told(text)
