"""Events for property tests: in any order, or as a lawful answer whose text is cut anywhere."""

import itertools

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
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)

TEXTS = st.sampled_from(
    ["", " ", "\n", "a", "Hi", "`", "```", "<think>", "</think>", "<tool_call>", '{"name": "Bash"', "}"]
)
REASONS = ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"]

EVENTS = st.lists(
    st.one_of(
        st.just(MessageStart("msg_e", "m")),
        st.sampled_from([BlockStart("text"), BlockStart("thinking"), BlockStart("tool_use", "e", "Bash")]),
        TEXTS.map(TextDelta),
        TEXTS.map(ThinkingDelta),
        TEXTS.map(SignatureDelta),
        TEXTS.map(InputDelta),
        st.just(BlockStop()),
        st.just(Progress(1, 2, 0)),
    ),
    max_size=25,
)
ENDS = st.lists(
    st.one_of(
        st.sampled_from(REASONS).map(lambda reason: MessageStop(reason, None, Usage(1, None, 2))),
        st.builds(lambda: Failed(EngineLost("gone"))),
    ),
    max_size=2,
)
ANY = st.tuples(EVENTS, ENDS, EVENTS).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


def lawful(text, cuts, reason="end_turn"):
    """An answer of one text block, its text cut at these places."""
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    deltas = [TextDelta(text[a:b]) for a, b in itertools.pairwise(edges)]
    return [MessageStart("msg_e", "m"), BlockStart("text"), *deltas, BlockStop(), MessageStop(reason)]


def run(stage, events):
    """All a stage makes of these events."""
    out = []
    for event in events:
        out += stage.feed(event)
    return out + list(stage.close())
