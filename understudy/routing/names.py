"""From the model name a client asked for to the targets it names.

In order: a name of `[models]`; a model's own id in the house, or "engine/model"; the `claude-local-` alias under which
Claude Code's discovery lists it; a pattern of `[models]` (first match); a model's own id outside the house. So `claude-*`
is answered here although the Claude API has models of such names. What `[models]` says may itself be one of its names,
and so on. "auto" names nothing: then the rules choose (`rules.py`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from understudy.language.errors import EngineBusy, KeptHere, NoTarget
from understudy.language.target import Model, Plan, Standing
from understudy.routing.targets import Candidate, candidates, ids, makes_vectors, matching

ALIAS = "claude-local-"
"""Claude Code keeps only discovered ids that contain "claude" (docs/claude-code.md, model discovery)."""
AUTO = "auto"
NO_VECTORS = "no embedding model here, by its name: name one, or `ollama pull nomic-embed-text`"
LATEST = ":latest"
"""What Ollama's clients put behind a name that has no tag."""
NAMES_SHOWN = 20


def alias(model_id: str) -> str:
    """The id under which Claude Code's discovery keeps a model."""
    return model_id if re.search("claude|anthropic", model_id, re.IGNORECASE) else ALIAS + model_id


def meant(asked: str, names: Mapping[str, str], here: Iterable[Candidate]) -> str:
    """What a client's model name stands for: an id, "engine/model", a pattern of targets, or "auto"."""
    if asked in names:
        return _followed(asked, names)
    own = {name for one in here for name in (ids(one) if one.local else (str(one.target),))}
    if asked in own:  # before the patterns: a model that is really called claude-something is meant
        return asked
    if asked.removesuffix(LATEST) in own:
        return asked.removesuffix(LATEST)
    if asked.startswith(ALIAS):
        return asked.removeprefix(ALIAS)
    fitting = next((name for name in names if fnmatchcase(asked, name)), None)
    return asked if fitting is None else _followed(fitting, names)


def _followed(name: str, names: Mapping[str, str]) -> str:
    """The end of a chain of names; one that leads into itself was refused when the settings were read."""
    seen: set[str] = set()
    while name in names and name not in seen:
        seen.add(name)
        name = names[name]
    return name


def named(
    asked: str, wanted: str, here: Sequence[Candidate], standing: Sequence[Standing]
) -> tuple[Sequence[Candidate], str]:
    """The targets that a name leads to, and why in words.

    Args:
        asked: what the client said.
        wanted: what that stands for. Only what the settings say may be a pattern.
        here: all there is.
        standing: the engines.

    Raises:
        NoTarget: nothing of that name is here; the message names the models there are.
        KeptHere: it names an engine that is held.
    """
    fitting = [one for one in here if wanted in ids(one)]
    if not fitting and wanted != asked and not asked.startswith(ALIAS):
        fitting = matching(wanted, here, asked)
    if not fitting:
        _refuse_held(wanted, standing)
    if not fitting and here:
        raise NoTarget(_not_found(asked, wanted, here))
    return fitting, f"{asked} names it" if wanted == asked else f"{asked} stands for {wanted}"


def plan(
    asked: str,
    standing: Sequence[Standing],
    names: Mapping[str, str],
    able: Callable[[Model], bool] = makes_vectors,
    missing: str = NO_VECTORS,
) -> Plan:
    """Who does something other than to hold conversations, such as to make vectors of texts.

    Args:
        asked: the model that is wanted; "auto" takes one that can, by its name.
        standing: the engines.
        names: `[models]` of the settings.
        able: whether a model can.
        missing: what to say where there is none.

    Raises:
        NoTarget: no engine has such a model.
        EngineBusy: the engines that would answer are down or still loading.
        KeptHere: it names an engine that is held.
    """
    here = candidates(standing)
    wanted = meant(asked, names, here)
    if wanted == AUTO:
        fitting: Sequence[Candidate] = [one for one in here if able(one.target.model)]
        reason = f"{asked} takes a model that can"
        if here and not fitting:
            raise NoTarget(missing)
    else:
        fitting, reason = named(asked, wanted, here, standing)
    up = at_work(fitting, standing)
    up.sort(key=lambda one: (not one.local, one.in_flight if wanted != AUTO else 0))
    return Plan(tuple(one.target for one in up), reason)


def at_work(fitting: Iterable[Candidate], standing: Sequence[Standing]) -> list[Candidate]:
    """Those that can be asked now.

    Raises:
        EngineBusy: none can, and why.
    """
    fitting = list(fitting)
    up = [one for one in fitting if one.up]
    if not up:
        engines = {one.target.engine for one in fitting}
        asleep = [row for row in standing if row.engine in engines]
        raise EngineBusy(_nobody(asleep or standing), retry_after=5)
    return up


def _refuse_held(wanted: str, standing: Iterable[Standing]) -> None:
    """Say why an engine that is named is never asked: it is outside the house, and nothing may leave."""
    for row in standing:
        if row.state == "held" and wanted.startswith(f"{row.engine}/"):
            raise KeptHere(f"{row.engine} is {row.detail}")


def _not_found(asked: str, wanted: str, here: Sequence[Candidate]) -> str:
    known = list(dict.fromkeys(one.target.model.id for one in here))
    more = f" and {len(known) - NAMES_SHOWN} more" if len(known) > NAMES_SHOWN else ""
    stands = "" if wanted == asked else f" (it stands for {wanted!r} in [models])"
    return f"model {asked!r} not found{stands}. Models here: {', '.join(known[:NAMES_SHOWN])}{more}, or auto"


def _nobody(standing: Sequence[Standing]) -> str:
    if not standing:
        return "no engine is running. Start one (ollama serve), or name one in understudy.toml"
    states = "; ".join(
        f"{row.engine} is {row.state}{': ' + row.detail if row.detail else ''}" for row in standing
    )
    return f"no engine can answer now: {states}"
