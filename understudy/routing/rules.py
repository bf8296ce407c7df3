"""Who answers, and why in words: from what a request is like and the engines as they are now to targets in order.

A model that is named is what was asked (`names.py`). "auto" goes by rules: those of the settings, then ours; the first that
holds decides, and behind its targets stand those of the task, then everything else that can answer. What a target cannot
do sets it behind all that can: it is a last resort, and never left out.

A target outside the house is only in the plan where the request may leave.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from understudy.language.errors import KeptHere
from understudy.language.routes import Pattern, Routing, Rule, Task, When
from understudy.language.target import Standing
from understudy.routing import names
from understudy.routing.features import Features, holds
from understudy.routing.privacy import Verdict
from understudy.routing.targets import (
    CLAUDE,
    CODERS,
    GLOB,
    LARGEST,
    Candidate,
    candidates,
    chats,
    codes,
    ids,
    matching,
    merit,
    outside,
    sees,
)
from understudy.routing.tasks import Guess

TARGETS: dict[Task, tuple[Pattern, ...]] = {
    "code": (CODERS,),
    "math": (LARGEST,),
    "reasoning": (CLAUDE, LARGEST),
    "docs": ("llama",),
    "creative": ("qwen",),
    "translation": ("qwen",),
    "chinese": ("qwen",),
    "general": ("llama",),
}
"""The targets of each task where the settings name none."""
BY_TASK = "task"
"""A pattern of a rule that stands for the targets of the task."""
AGENTS = Rule((CODERS,), When(agent=True, tasks=("docs", "general")))
"""The built-in rule: whoever works in a repository is answered by a model made for that, however the first question reads.
The conversation stays with its target, and its next turns will be work."""


class Choice(Struct, frozen=True):
    """Targets in order, and why.

    Attributes:
        found: those that can answer now; never empty.
        reason: in words.
        by: what decided.
        guess: what is asked for; None where that did not matter.
        shut: targets outside the house that this request may not go to.
    """

    found: tuple[Candidate, ...]
    reason: str
    by: Literal["name", "rule", "task"]
    guess: Guess | None = None
    shut: frozenset[str] = frozenset()


class Way(Struct, frozen=True):
    """What is tried in which order, and who says so."""

    patterns: tuple[Pattern, ...]
    said: str
    by: Literal["rule", "task"]


def choose(
    features: Features,
    settings: Routing,
    standing: Sequence[Standing],
    models: Mapping[str, str],
    *,
    guess: Callable[[], Guess],
    may_leave: Callable[[], Verdict],
) -> Choice:
    """The targets for a request.

    Args:
        features: what it is like.
        settings: `[routing]`.
        standing: every engine as it is now, in the order of preference.
        models: `[models]` of the settings.
        guess: says what it asks for; not asked where a model is named.
        may_leave: says whether it may leave the house; not asked where nothing outside could answer.

    Raises:
        NoTarget: no engine has the model that is named.
        EngineBusy: the engines that would answer are down or still loading.
        KeptHere: only an engine outside the house could, and it may not leave.
    """
    asked, here = features.model, candidates(standing)
    wanted = names.meant(asked, models, here)
    if wanted != names.AUTO:
        fitting, reason = names.named(asked, wanted, here, standing)
        up, verdict = _allowed(fitting, standing, may_leave)
        up.sort(key=lambda one: (not one.local, one.in_flight))
        return Choice(tuple(up), reason, "name", shut=_shut(fitting, verdict))
    up, verdict = _allowed(here, standing, may_leave)
    task = guess()
    way = _way(features, task, settings)
    found, taken = _in_order(way.patterns, up, features, task.task)
    words = [way.said, *_missing(way, taken, here, verdict), _taken(taken, found, features)]
    return Choice(tuple(found), f"{asked}: " + "; ".join(words), way.by, task, _shut(here, verdict))


def _allowed(
    fitting: Iterable[Candidate], standing: Sequence[Standing], may_leave: Callable[[], Verdict]
) -> tuple[list[Candidate], Verdict | None]:
    """Those that can be asked now and may be, and the verdict where it mattered."""
    fitting = list(fitting)
    up = names.at_work(fitting, standing)
    if all(one.local for one in up):
        return up, None
    verdict = may_leave()
    if verdict.leaves:
        return up, verdict
    inside = [one for one in up if one.local]
    if not inside:
        if ours := [one for one in fitting if one.local]:
            names.at_work(ours, standing)  # it is down, and will be back
        raise KeptHere(f"only {up[0].target} could answer, outside the house. {verdict.why}")
    return inside, verdict


def _shut(fitting: Iterable[Candidate], verdict: Verdict | None) -> frozenset[str]:
    if verdict is None or verdict.leaves:
        return frozenset()
    return frozenset(str(one.target) for one in fitting if not one.local)


def _way(features: Features, guess: Guess, settings: Routing) -> Way:
    """The first rule that holds, else the task."""
    by_task = settings.tasks.get(guess.task) or TARGETS[guess.task]
    for number, rule in enumerate(settings.rules, 1):
        if holds(rule.when, features, guess.task):
            own = tuple(p for one in rule.targets for p in (by_task if one == BY_TASK else (one,)))
            return Way(own + by_task, f"rule {number} of the settings", "rule")
    if holds(AGENTS.when, features, guess.task):
        return Way(AGENTS.targets + by_task, f"{guess.why}, and a coding agent asks", "task")
    return Way(by_task, guess.why, "task")


def _in_order(
    patterns: Iterable[Pattern], up: Sequence[Candidate], features: Features, task: Task
) -> tuple[list[Candidate], Pattern]:
    """Everybody who can answer, and the pattern that brought the first of them; "" where none did."""
    order: dict[str, Candidate] = {}
    brought = ""
    for pattern in patterns:
        found = matching(pattern, up, features.model)
        order |= {str(one.target): one for one in found if str(one.target) not in order}
        brought = brought or (pattern if found else "")
    working = features.agent or task == "code"
    rest = sorted(
        (one for one in up if one.local), key=lambda one: (working > codes(one.target.model), *merit(one))
    )
    for one in (*rest, *outside(up, features.model)):
        order.setdefault(str(one.target), one)
    return sorted(order.values(), key=lambda one: _unfit(one, features)), brought


def _unfit(one: Candidate, features: Features) -> tuple[int, ...]:
    """How little a target can do of what is asked; the least comes first."""
    blind = {True: 0, None: 0 if features.tools else 1, False: 2}[sees(one)] if features.to_see else 0
    return (
        not chats(one.target.model),
        features.tools and "tools" in one.lacks,
        narrow(one, features),
        blind,
    )


def narrow(one: Candidate, features: Features) -> bool:
    """Whether the prompt surely does not fit the target's window."""
    return 0 < one.target.model.context < features.least_tokens


def _missing(way: Way, taken: Pattern, here: Sequence[Candidate], verdict: Verdict | None) -> Iterator[str]:
    """What would have come first, and why it does not."""
    for pattern in way.patterns:
        if pattern == taken:
            return
        if pattern == CLAUDE and verdict is not None:
            yield f"Claude stays out ({verdict.why})"
        elif pattern == CLAUDE and way.by == "task":
            pass  # nobody asked for it
        else:
            yield f"{pattern} is down" if matching(pattern, here) else f"no {pattern} here"


def _taken(pattern: Pattern, found: Sequence[Candidate], features: Features) -> str:
    """Which of them is first, in words."""
    first = found[0]
    if len(found) == 1:
        return "the only model here"
    if not pattern:
        return "the best model here"
    brought = matching(pattern, found, features.model)
    if first not in brought:
        return f"{brought[0].target} {_cannot(brought[0], first, features)}"
    if pattern in (CODERS, LARGEST, CLAUDE):
        return {CODERS: "a coder model", LARGEST: "the largest model", CLAUDE: "Claude"}[pattern]
    if pattern in ids(first):
        return pattern
    return f"one like {pattern}" if GLOB.search(pattern) else f"a {pattern} model"


def _cannot(one: Candidate, better: Candidate, features: Features) -> str:
    """What a target cannot do that another can."""
    words = ("holds no conversations", "cannot call tools", "has too small a window", "cannot see pictures")
    pairs = zip(words, _unfit(one, features), _unfit(better, features), strict=True)
    return next(word for word, worse, good in pairs if worse > good)
