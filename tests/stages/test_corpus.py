"""The corpus of broken calls: how many of them are mended to what was meant, and that none leaves invalid.

Two halves, counted apart, because each flatters in its own way. `corpus` breaks valid calls by kind, in thousands, and
knows only the kinds that somebody thought of; `corpus_wild` was written by hand, call by call, in the manner of models.
"""

import json
from collections import Counter

import jsonschema_rs
import pytest
from corpus import Broken, corpus
from corpus_tools import TOOLS, schemas
from corpus_wild import WILD

from understudy.stages.mend import Mended, Toolbox

FLOOR = 0.95
KINDS = 60
BOX = Toolbox(schemas())
ORACLES = {name: jsonschema_rs.validator_for(schema) for name, schema in TOOLS.items()}
HAND = tuple(
    Broken(f"by hand {i}", name, text, tool, arguments, arguments is not None)
    for i, (name, text, tool, arguments) in enumerate(WILD)
)
OTHER_SEEDS = (1, 2, 3)  # nobody looked at these while the rules were written


def same(ours, theirs):
    """To Python, 1, 1.0 and True would be equal."""
    return json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)


def fate(broken):
    """What became of one: mended, wrong, refused, or invalid."""
    result = BOX.mend(broken.name, broken.text)
    if not isinstance(result, Mended):
        assert result.reason
        return "refused"
    value = json.loads(result.arguments)
    if not ORACLES[result.name].is_valid(value):
        return "invalid"
    return "mended" if result.name == broken.tool and same(value, broken.arguments) else "wrong"


def counted(cases, *, recoverable):
    return Counter(fate(broken) for broken in cases if broken.recoverable is recoverable)


def test_the_corpus_is_what_it_says():
    cases = corpus()
    assert len({broken.kind for broken in cases}) >= KINDS
    assert len({(broken.name, broken.text) for broken in cases}) >= 1_500
    assert len({(name, text) for name, text, *_ in WILD}) == len(WILD) >= 200
    for broken in (*cases, *HAND):
        assert broken.arguments is None or ORACLES[broken.tool].is_valid(broken.arguments)


def test_none_of_them_is_sound_already():
    """A call that needs no mending would only flatter."""
    results = [BOX.mend(broken.name, broken.text) for broken in (*corpus(), *HAND)]
    assert [result for result in results if isinstance(result, Mended) and not result.rules] == []


@pytest.mark.parametrize(
    "cases", [corpus(), HAND, *map(corpus, OTHER_SEEDS)], ids=["made", "by hand", *map(str, OTHER_SEEDS)]
)
def test_nearly_all_are_mended_and_none_is_invalid(cases):
    meant, unclear = counted(cases, recoverable=True), counted(cases, recoverable=False)
    assert meant["invalid"] == unclear["invalid"] == 0
    assert meant["mended"] >= FLOOR * meant.total(), meant
    assert meant["wrong"] <= 0.005 * meant.total(), meant
    assert unclear["wrong"] <= 0.01 * unclear.total(), unclear


def test_no_kind_is_left_behind():
    """A high share over all must not hide a kind of which hardly any is mended."""
    cases = [broken for seed in OTHER_SEEDS for broken in corpus(seed)]
    for kind in {broken.kind for broken in cases}:
        counts = counted([broken for broken in cases if broken.kind == kind], recoverable=True)
        assert counts["mended"] >= 0.85 * counts.total(), (kind, counts)


@pytest.mark.parametrize("broken", HAND, ids=lambda broken: broken.kind)
def test_by_hand_no_guess_is_wrong(broken):
    """By hand, also those that are not mended are refused: never another call than the one that was meant."""
    assert fate(broken) in ({"mended", "refused"} if broken.recoverable else {"refused"})
