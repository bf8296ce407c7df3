"""A conversation stays with the target that holds its prefix; where it leaves, that has a reason and a price.

It leaves where another model is named (or a name for which a rule has other targets), where its target cannot be asked, or
may not be (what must not leave the house), and, but never while the model waits for the results of its calls, where there
are pictures that the target cannot see, or a prompt that cannot fit its window. Going back to a target that was down is
leaving, too: only where the settings say so.
"""

from collections.abc import Sequence

from understudy.language.errors import (
    EngineAway,
    EngineBlind,
    EngineBusy,
    EngineDenied,
    EngineError,
    EngineLost,
    EngineRefused,
    EngineTimeout,
    KeptHere,
    PromptTooLong,
    UnderstudyError,
)
from understudy.language.request import change
from understudy.language.routes import Routing
from understudy.language.target import Home, Leaving, Plan, Stay, Target
from understudy.routing.features import Features
from understudy.routing.rules import Choice, narrow
from understudy.routing.targets import Candidate, sees
from understudy.routing.tasks import Guess

WHY: dict[Leaving, str] = {
    "model": "another model is named",
    "down": "it cannot be asked now",
    "images": "it cannot see pictures",
    "overflow": "its window is too small",
    "privacy": "this question may not leave the house",
    "back": "the one that it was driven from is back",
    "task": "every turn chooses (routing.stay)",
}
FAULTS: tuple[tuple[type[UnderstudyError], str, str], ...] = (
    (EngineAway, "down", "is down"),
    (EngineBusy, "overloaded", "is overloaded"),
    (EngineTimeout, "down", "did not answer in time"),
    (EngineLost, "down", "is down"),
    (EngineBlind, "images", "cannot see pictures"),
    (EngineRefused, "refused", "refused the question"),
    (EngineDenied, "refused", "refused our key"),
    (PromptTooLong, "overflow", "has too small a window"),
    (KeptHere, "privacy", "may no longer be asked"),
)
"""Failures after which the next target is asked: a word for the metrics, and one for people."""


Failure = tuple[Target, UnderstudyError]
"""Who could not answer, and why."""


def settled(choice: Choice, stay: Stay, features: Features, settings: Routing) -> Plan:
    """The plan for a question of a conversation.

    Args:
        choice: who would answer the question if it stood alone.
        stay: where the conversation lives.
        features: what the question is like.
        settings: `[routing]`.
    """
    home, found, reason = stay.home, choice.found, choice.reason
    if home is not None and not (stay.follows and choice.by == "rule"):
        at_home = next((one for one in found if str(one.target) == home.target), None)
        leaving = _leaving(stay, home, at_home, choice, features=features, settings=settings)
        if at_home is not None and (not leaving or stay.follows):
            found = (at_home, *(one for one in found if one is not at_home))
            reason = reason if choice.by == "name" else f"{features.model}: {_staying(stay, choice.guess)}"
        elif not stay.follows:
            found = _first(found, home.driven if leaving == "back" else "")
            reason, stay = _left(reason, home, WHY[leaving]), change(stay, leaving=leaving)
    targets = tuple(one.target for one in found)
    if choice.guess is None:
        return Plan(targets, reason, by=choice.by, stay=stay)
    return Plan(targets, reason, choice.guess.task, choice.guess.confidence, choice.by, stay)


def _leaving(
    stay: Stay,
    home: Home,
    at_home: Candidate | None,
    choice: Choice,
    *,
    features: Features,
    settings: Routing,
) -> Leaving:
    """Why the conversation leaves its home, if it does."""
    if at_home is None and home.target in choice.shut:
        return "privacy"
    if at_home is None:
        return "model" if choice.by == "name" else "down"
    if features.tool_loop or choice.by == "name":
        return ""
    if choice.by == "rule" and home.asked != stay.asked and choice.found[0] is not at_home:
        return "model"
    if settings.come_back and any(str(one.target) == home.driven for one in choice.found):
        return "back"
    return "" if choice.found[0] is at_home else _better(choice.found[0], at_home, features, settings)


def _better(best: Candidate, at_home: Candidate, features: Features, settings: Routing) -> Leaving:
    """Why the conversation goes to the best target, if that is worth its prefix."""
    if not settings.stay:
        return "task"
    if features.to_see and sees(at_home) is False and sees(best) is not False:
        return "images"
    return "overflow" if narrow(at_home, features) and not narrow(best, features) else ""


def _staying(stay: Stay, guess: Guess | None) -> str:
    if stay.follows:
        return "an errand of a conversation that is there"
    return f"the conversation stays ({guess.task})" if guess else "the conversation stays"


def _first(found: Sequence[Candidate], name: str) -> tuple[Candidate, ...]:
    return tuple(sorted(found, key=lambda one: str(one.target) != name)) if name else tuple(found)


def _left(reason: str, home: Home, why: str) -> str:
    return f"{reason}; leaves {home.target}: {why}, and {home.tokens} tokens of its prefix are lost"


def told(plan: Plan, failures: Sequence[Failure]) -> str:
    """The reason of a plan, after these could not answer."""
    reason, home = plan.reason, plan.stay.home
    for target, error in failures:
        reason += f"; {target} {_fault(error)[2]}"
    if home and not plan.stay.leaving and any(str(target) == home.target for target, _ in failures):
        reason += f", and {home.tokens} tokens of its prefix are lost"
    return reason


def switched(plan: Plan, target: Target, failures: Sequence[Failure]) -> str:
    """Why a conversation is at another target than before, as a word of a short fixed set; "" where it is not."""
    home = plan.stay.home
    if home is None or plan.stay.follows or str(target) == home.target:
        return ""
    if plan.stay.leaving:
        return plan.stay.leaving
    error = next((error for failed, error in failures if str(failed) == home.target), None)
    return _fault(error)[1] if error else "down"


def moved(plan: Plan, target: Target, tokens: int, why: str) -> Home:
    """The home of a conversation that is answered there, with a prompt of so many tokens, for whatever reason."""
    home = plan.stay.home
    driven = home.driven if home else ""
    if home and why in {"down", "overloaded"} and not driven:
        driven = home.target
    driven = "" if driven == str(target) else driven
    return Home(str(target), tokens, plan.task, plan.confidence, driven, plan.stay.asked)


def passes_on(error: UnderstudyError) -> bool:
    """Whether another target may answer what this one could not."""
    return isinstance(error, EngineError | PromptTooLong | KeptHere) and _fault(error)[1] != ""


def worth_asking(target: Target, failures: Sequence[Failure]) -> bool:
    """Whether a target may do better than those before: a prompt that was too long wants a larger window."""
    too_long = [error.maximum for _, error in failures if isinstance(error, PromptTooLong)]
    return not too_long or not 0 < target.model.context <= max(too_long)


def last_word(failures: Sequence[Failure]) -> UnderstudyError:
    """What is said when nobody could answer: rather something that is over some time than something that is not."""
    errors = [error for _, error in reversed(failures)]
    return next((error for error in errors if error.retryable), errors[0])


def _fault(error: UnderstudyError) -> tuple[type[UnderstudyError], str, str]:
    found = (row for row in FAULTS if isinstance(error, row[0]))
    return next(found, (UnderstudyError, "", "failed"))
