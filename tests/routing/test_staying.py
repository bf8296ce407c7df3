"""A conversation keeps its target, and leaves it for a stated reason only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.language import errors
from understudy.language.routes import Routing
from understudy.language.target import Home, Model, Plan, Stay, Target
from understudy.routing.features import Features
from understudy.routing.rules import Choice
from understudy.routing.staying import (
    FAULTS,
    WHY,
    last_word,
    moved,
    passes_on,
    settled,
    switched,
    told,
    worth_asking,
)
from understudy.routing.targets import Candidate
from understudy.routing.tasks import Guess

CODE = Guess("code", 0.9, "kept", "it is about code")


def one(name, *, window=0, lacks=(), local=True):
    return Candidate(Target("e", Model(name, window, lacks=lacks)), local=local, lacks=lacks)


A, B = one("a"), one("b")
BLIND, SMALL = one("a", lacks=("images",)), one("a", window=1000)
HOME = Home("e/a", 12000, "code", 0.9)


def plan(
    found, home=HOME, *, by="task", follows=False, shut=(), settings=None, guess=CODE, asked="", **features
):
    choice = Choice(tuple(found), "auto: it is about code; a coder model", by, guess, frozenset(shut))
    stay = Stay("s/side", "s/main", home, follows=follows, asked=asked)
    return settled(choice, stay, Features("auto", **features), settings or Routing())


def order(made):
    return [str(target) for target in made.targets]


LONG = {"tokens": 3 * 1001}
BACK = Routing(come_back=True)
DRIVEN = Home("e/a", 12000, "code", 0.9, driven="e/b")
ROWS = {  # found in their order, home, more: targets, why it leaves
    "it stays": ([B, A], HOME, {}, ["e/a", "e/b"], ""),
    "although a rule would have it elsewhere": ([B, A], HOME, {"by": "rule"}, ["e/a", "e/b"], ""),
    "unless the client names another model, for which the rule is": (
        [B, A],
        HOME,
        {"by": "rule", "asked": "opus"},
        ["e/b", "e/a"],
        "model",
    ),
    "but not in the middle of a tool loop": (
        [B, A],
        HOME,
        {"by": "rule", "asked": "opus", "tool_loop": True},
        ["e/a", "e/b"],
        "",
    ),
    "another name is no reason without a rule": ([B, A], HOME, {"asked": "opus"}, ["e/a", "e/b"], ""),
    "nor where the rule has the same": ([A, B], HOME, {"by": "rule", "asked": "opus"}, ["e/a", "e/b"], ""),
    "there is no home yet": ([B, A], None, {}, ["e/b", "e/a"], ""),
    "its target is down": ([B], HOME, {}, ["e/b"], "down"),
    "in the middle of a tool loop, too": ([B], HOME, {"tool_loop": True}, ["e/b"], "down"),
    "another model is named": ([B], HOME, {"by": "name"}, ["e/b"], "model"),
    "its own model is named": ([B, A], HOME, {"by": "name"}, ["e/a", "e/b"], ""),
    "pictures it can see": ([B, A], HOME, {"images": True}, ["e/a", "e/b"], ""),
    "pictures it cannot see": ([B, BLIND], HOME, {"images": True}, ["e/b", "e/a"], "images"),
    "pictures in words": ([B, BLIND], HOME, {"images": True, "in_words": True}, ["e/a", "e/b"], ""),
    "pictures nobody can see": (
        [one("b", lacks=("images",)), BLIND],
        HOME,
        {"images": True},
        ["e/a", "e/b"],
        "",
    ),
    "pictures that only one without tools can see": (
        [BLIND, one("b", lacks=("tools",))],
        HOME,
        {"images": True},
        ["e/a", "e/b"],
        "",
    ),
    "pictures in a tool loop": ([B, BLIND], HOME, {"images": True, "tool_loop": True}, ["e/a", "e/b"], ""),
    "it is blind, and there are no pictures": ([B, BLIND], HOME, {}, ["e/a", "e/b"], ""),
    "too long for its window": ([B, SMALL], HOME, LONG, ["e/b", "e/a"], "overflow"),
    "perhaps too long": ([B, SMALL], HOME, {"tokens": 3000}, ["e/a", "e/b"], ""),
    "too long for everybody": ([one("b", window=900), SMALL], HOME, LONG, ["e/a", "e/b"], ""),
    "too long in a tool loop": ([B, SMALL], HOME, LONG | {"tool_loop": True}, ["e/a", "e/b"], ""),
    "it may not leave the house": ([B], HOME, {"shut": ["e/a"]}, ["e/b"], "privacy"),
    "another may not": ([B, A], HOME, {"shut": ["e/c"]}, ["e/a", "e/b"], ""),
    "its old home is back": ([B, A], DRIVEN, {}, ["e/a", "e/b"], ""),
    "and the settings say so": ([A, B], DRIVEN, {"settings": BACK}, ["e/b", "e/a"], "back"),
    "not in a tool loop": ([A, B], DRIVEN, {"settings": BACK, "tool_loop": True}, ["e/a", "e/b"], ""),
    "its old home is not back": ([A, one("c")], DRIVEN, {"settings": BACK}, ["e/a", "e/c"], ""),
    "it never had another": ([B, A], HOME, {"settings": BACK}, ["e/a", "e/b"], ""),
    "every turn chooses": ([B, A], HOME, {"settings": Routing(stay=False)}, ["e/b", "e/a"], "task"),
    "and chooses the same": ([A, B], HOME, {"settings": Routing(stay=False)}, ["e/a", "e/b"], ""),
    "but not in a tool loop": (
        [B, A],
        HOME,
        {"settings": Routing(stay=False), "tool_loop": True},
        ["e/a", "e/b"],
        "",
    ),
    "an errand goes where its conversation is": ([B, A], HOME, {"follows": True}, ["e/a", "e/b"], ""),
    "but not against a rule": ([B, A], HOME, {"follows": True, "by": "rule"}, ["e/b", "e/a"], ""),
    "nor where nobody is": ([B], HOME, {"follows": True}, ["e/b"], ""),
}


@pytest.mark.parametrize(("found", "home", "more", "targets", "leaving"), ROWS.values(), ids=ROWS)
def test_who_answers_a_conversation(found, home, more, targets, leaving):
    made = plan(found, home, **more)
    assert order(made) == targets
    assert made.stay.leaving == leaving
    assert (made.stay.home, made.stay.talk, made.stay.session) == (home, "s/main", "s/side")
    assert (made.task, made.confidence) == ("code", 0.9)
    if leaving:
        price = f"; leaves e/a: {WHY[leaving]}, and 12000 tokens of its prefix are lost"
        assert made.reason == f"auto: it is about code; a coder model{price}"


REASONS = {
    "stays": ({}, "auto: the conversation stays (code)"),
    "errand": ({"follows": True}, "auto: an errand of a conversation that is there"),
    "named": ({"by": "name", "guess": None}, "auto: it is about code; a coder model"),
}


@pytest.mark.parametrize(("more", "reason"), REASONS.values(), ids=REASONS)
def test_the_reason_says_that_it_stays(more, reason):
    assert plan([B, A], **more).reason == reason


def test_nobody_looked_at_what_is_asked_for():
    made = plan([A], by="name", guess=None)
    assert (made.task, made.confidence, made.by) == ("", 0.0, "name")


# -- on the way ---------------------------------------------------------------------------------------------------

STAYS = Plan((A.target, B.target), "stays", stay=Stay("s", "s", HOME))
LEAVES = Plan((B.target, A.target), "leaves", stay=Stay("s", "s", HOME, "images"))
NEW = Plan((A.target, B.target), "new", "code", 0.9, stay=Stay("s", "s"))
BUSY, LOST, LATE = errors.EngineBusy("full"), errors.EngineLost("gone"), errors.EngineTimeout("late")
LONG_PROMPT, REFUSED, DENIED, UNSEEING = (
    errors.PromptTooLong(9, 8),
    errors.EngineRefused("no"),
    errors.EngineDenied("key"),
    errors.EngineBlind("dark"),
)


def failed(error, candidate=A):
    return [(candidate.target, error)]


MOVES = {  # plan, target, failures: the word for it
    "at home": (STAYS, A, [], ""),
    "busy": (STAYS, B, failed(BUSY), "overloaded"),
    "away": (STAYS, B, failed(errors.EngineAway("nobody")), "down"),
    "lost": (STAYS, B, failed(LOST), "down"),
    "late": (STAYS, B, failed(LATE), "down"),
    "long": (STAYS, B, failed(LONG_PROMPT), "overflow"),
    "refused": (STAYS, B, failed(REFUSED), "refused"),
    "blind": (STAYS, B, failed(UNSEEING), "images"),
    "denied": (STAYS, B, failed(DENIED), "refused"),
    "passed over": (STAYS, B, [], "down"),
    "left": (LEAVES, B, [], "images"),
    "left, and driven on": (LEAVES, one("c"), failed(BUSY, B), "images"),
    "left, and back": (LEAVES, A, failed(BUSY, B), ""),
    "new": (NEW, B, failed(BUSY), ""),
    "errand": (Plan((A.target,), "", stay=Stay("s", "s", HOME, follows=True)), B, failed(BUSY), ""),
}


@pytest.mark.parametrize(("made", "candidate", "failures", "word"), MOVES.values(), ids=MOVES)
def test_why_a_conversation_moved(made, candidate, failures, word):
    assert switched(made, candidate.target, failures) == word
    assert word in {"", *WHY, *(row[1] for row in FAULTS)}


def test_the_reason_tells_of_failures_and_their_price():
    assert told(STAYS, []) == "stays"
    lost = ", and 12000 tokens of its prefix are lost"
    assert told(STAYS, failed(BUSY)) == f"stays; e/a is overloaded{lost}"
    assert (
        told(STAYS, [*failed(LOST), *failed(LATE, B)])
        == f"stays; e/a is down; e/b did not answer in time{lost}"
    )
    assert told(LEAVES, failed(REFUSED, B)) == "leaves; e/b refused the question"
    assert told(LEAVES, failed(BUSY)) == "leaves; e/a is overloaded", "the price has been named"
    assert told(NEW, failed(LONG_PROMPT)) == "new; e/a has too small a window"
    assert told(STAYS, failed(errors.Bug("x"), B)) == "stays; e/b failed"


HOMES = {  # plan, target, why: where it lives afterwards
    "new": (NEW, A, "", Home("e/a", 7, "code", 0.9)),
    "stays": (STAYS, A, "", Home("e/a", 7)),
    "driven": (STAYS, B, "down", Home("e/b", 7, driven="e/a")),
    "driven by work": (STAYS, B, "overloaded", Home("e/b", 7, driven="e/a")),
    "left": (LEAVES, B, "images", Home("e/b", 7)),
    "driven on": (
        Plan((A.target,), "", stay=Stay("s", "s", DRIVEN)),
        one("c"),
        "down",
        Home("e/c", 7, driven="e/b"),
    ),
    "stays where it was driven to": (
        Plan((A.target,), "", stay=Stay("s", "s", DRIVEN)),
        A,
        "",
        Home("e/a", 7, driven="e/b"),
    ),
    "back": (Plan((B.target,), "", stay=Stay("s", "s", DRIVEN, "back")), B, "back", Home("e/b", 7)),
}


@pytest.mark.parametrize(("made", "candidate", "why", "home"), HOMES.values(), ids=HOMES)
def test_where_it_lives_afterwards(made, candidate, why, home):
    assert moved(made, candidate.target, 7, why) == home


PASSES = [
    *[(BUSY, True), (LOST, True), (LATE, True), (LONG_PROMPT, True), (REFUSED, True), (DENIED, True)],
    *[(errors.EngineError("nonsense"), False), (errors.BadRequest("x"), False), (errors.Bug("x"), False)],
    (errors.Refused("too often"), False),
]


@pytest.mark.parametrize(("error", "on"), PASSES, ids=[type(error).__name__ for error, _ in PASSES])
def test_who_passes_on(error, on):
    assert passes_on(error) is on


@pytest.mark.parametrize(
    ("failures", "window", "worth"),
    [
        ([], 10, True),
        (failed(BUSY), 10, True),
        (failed(errors.PromptTooLong(200, 100)), 100, False),
        (failed(errors.PromptTooLong(200, 100)), 101, True),
        (failed(errors.PromptTooLong(200, 100)), 0, True),
        ([*failed(errors.PromptTooLong(9, 5)), *failed(errors.PromptTooLong(200, 100))], 50, False),
    ],
)
def test_a_longer_window_is_wanted(failures, window, worth):
    assert worth_asking(Target("e", Model("m", window)), failures) is worth


def test_the_last_word_is_rather_one_that_may_change():
    assert last_word(failed(REFUSED)) is REFUSED
    assert last_word([*failed(BUSY), *failed(REFUSED)]) is BUSY
    assert last_word([*failed(REFUSED), *failed(LOST)]) is LOST
    assert last_word([*failed(BUSY), *failed(LOST)]) is LOST
    assert last_word([*failed(LONG_PROMPT), *failed(REFUSED)]) is REFUSED


LACKS = st.sets(st.sampled_from(["tools", "images"])).map(tuple)
CANDIDATES = st.lists(
    st.builds(one, st.sampled_from("abcdef"), window=st.sampled_from([0, 1000, 100000]), lacks=LACKS),
    min_size=1,
    unique_by=lambda c: str(c.target),
)


@given(
    CANDIDATES, st.sampled_from(["e/a", "e/b", "e/z"]), st.booleans(), st.integers(0, 400000), st.booleans()
)
def test_nobody_is_lost_and_it_stays_unless_there_is_a_reason(found, name, images, tokens, loop):
    made = plan(found, Home(name, 5), images=images, tokens=tokens, tool_loop=loop)
    assert sorted(order(made)) == sorted(str(c.target) for c in found)
    here = name in order(made)
    assert (order(made)[0] == name) == (here and not made.stay.leaving)
    assert here or made.stay.leaving == "down"
    assert not (here and loop and made.stay.leaving), "never inside a tool loop"
