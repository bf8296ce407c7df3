"""What is wrong with the rules of the settings, in words: rules that can never hold, and targets that are nowhere.

A warning, no refusal: a rule that does nothing harms nobody, and a model may be loaded later.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from understudy.language.routes import Pattern, Routing, When
from understudy.language.target import Standing
from understudy.routing.rules import BY_TASK
from understudy.routing.targets import CLAUDE, CODERS, GLOB, LARGEST, candidates, matching

FLAGS = ("background", "subagent", "agent", "images", "tools", "thinking", "web_search")
CLASSES = {"subagent": "subagent", "auxiliary": "background"}
"""Classes of requests that set a flag by themselves."""


def idle(routing: Routing, keys: Collection[str]) -> Iterator[str]:
    """Rules that no request can reach.

    Args:
        routing: `[routing]`.
        keys: the short names of the keys that are let in.
    """
    rules = routing.rules
    for number, rule in enumerate(rules, 1):
        where = f"rule {number} of the settings can never hold"
        if why := _contradiction(rule.when, keys):
            yield f"{where}: {why}"
        for before, other in enumerate(rules[: number - 1], 1):
            if _covers(other.when, rule.when):
                yield f"{where}: rule {before} holds wherever it would. Put it before that one"
                break


def nowhere(routing: Routing, models: Mapping[str, str], standing: Sequence[Standing]) -> Iterator[str]:
    """Targets that no engine has; while an engine is not up nobody can tell."""
    if not standing or any(row.state not in {"up", "held"} for row in standing):
        return
    here = candidates(standing)
    known = ", ".join(sorted({str(one.target) for one in here}))
    for where, pattern in _patterns(routing, models):
        if not matching(pattern, here):
            yield f"{where}: {pattern!r} is no target here. There are: {known}"


def _patterns(routing: Routing, models: Mapping[str, str]) -> Iterator[tuple[str, Pattern]]:
    """Every target that the settings name, and where; the words that mean whatever is there are left out."""
    rows = [(f"routing.tasks.{task}", targets) for task, targets in routing.tasks.items()]
    rows += [(f"rule {number} of the settings", rule.targets) for number, rule in enumerate(routing.rules, 1)]
    for where, targets in rows:
        for pattern in targets:
            if pattern not in {BY_TASK, CODERS, LARGEST, CLAUDE}:
                yield where, pattern
    for asked, name in models.items():
        if name != "auto" and name not in models:
            yield f"models.{asked}", name


def _contradiction(when: When, keys: Collection[str]) -> str:
    """Why a condition can never be met, "" where it can."""
    flag = CLASSES.get(when.request_class or "")
    if flag and getattr(when, flag) is False:
        return f"request_class {when.request_class!r} means {flag}"
    if when.key and when.key not in keys:
        return f"no key is called {when.key!r}"
    return ""


def _covers(wide: When, narrow: When) -> bool:
    """Whether one condition is met wherever the other is."""
    flags = all(getattr(wide, flag) in {None, getattr(narrow, flag)} for flag in FLAGS)
    tasks = not wide.tasks or (bool(narrow.tasks) and set(narrow.tasks) <= set(wide.tasks))
    tokens = wide.tokens_over is None or (
        narrow.tokens_over is not None and narrow.tokens_over >= wide.tokens_over
    )
    named = wide.request_class in {None, narrow.request_class} and wide.key in {"", narrow.key}
    return flags and tasks and tokens and named and _model_covers(wide.model, narrow.model)


def _model_covers(wide: str, narrow: str) -> bool:
    if wide in {"", "*", narrow}:
        return True
    return bool(narrow) and not GLOB.search(narrow) and fnmatchcase(narrow, wide)
