"""The corpus of broken calls: how many of them are mended to what was meant, and that none leaves invalid.

Two halves, counted apart, because each flatters in its own way. `corpus` breaks valid calls by kind, in thousands, and
knows only the kinds that somebody thought of; `corpus_wild` was written by hand, call by call, in the manner of models.
"""

import json
import random
from collections import Counter
from pathlib import Path

import jsonschema_rs
import pytest
from corpus import Broken, corpus
from corpus_hand import dumped
from corpus_texts import raw, singly
from corpus_tools import TOOLS, schemas
from corpus_wild import WILD

import understudy
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


def as_json(text):
    return json.dumps(text, ensure_ascii=False)


def unescaped(text):
    return as_json(text).replace('\\"', '"')


HANDS = {
    "quotes as they are": {"string": unescaped},
    "and bare keys": {"string": unescaped, "key": str},
    "and line breaks": {"string": lambda text: raw(text).replace('\\"', '"')},
    "single quotes as they are": {"string": lambda text: singly(text).replace("\\'", "'")},
    "triple quotes": {"string": lambda text: f'"""{text}"""', "key": as_json},
    "backticks": {"string": lambda text: f"`{text}`", "key": as_json},
}
SOURCES = sorted(Path(understudy.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("end", ["", "}", "\n```"], ids=["no brace", "whole", "fence"])
@pytest.mark.parametrize("hand", HANDS)
def test_code_is_never_cut_short(hand, end):
    """Our own code, in strings that nobody escaped: mended to the letter, or refused. Half a file is another file."""
    rng, told = random.Random(hand), Counter()  # noqa: S311 - the same lines every time are what is wanted
    for path in SOURCES:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        start = rng.randrange(len(lines))
        content = "".join(lines[start : start + rng.choice([1, 2, 8])])
        arguments = {"file_path": path.name, "content": content}
        text = f"{dumped(arguments, **HANDS[hand])[:-1]}{end}"
        result = BOX.mend("Write", text)
        told[isinstance(result, Mended)] += 1
        if isinstance(result, Mended):
            assert json.loads(result.arguments) == arguments, text
    assert told[True] > told[False]  # a reader that gives up whenever there is a quote would pass, too


@pytest.mark.parametrize("broken", HAND, ids=lambda broken: broken.kind)
def test_by_hand_no_guess_is_wrong(broken):
    """By hand, also those that are not mended are refused: never another call than the one that was meant."""
    assert fate(broken) in ({"mended", "refused"} if broken.recoverable else {"refused"})
