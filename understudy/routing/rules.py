"""From the model name a client asked for to a plan.

In order: a name of `[models]`, a model's own id or "engine/model", the `claude-local-` alias under which Claude Code's
discovery lists it, a pattern of `[models]` (first match). "auto" takes the best there is: a coder model before
others, a large one before a small one; one that cannot call tools, or cannot chat at all, comes last.
"""

import re
from collections.abc import Container, Mapping, Sequence
from fnmatch import fnmatchcase

from understudy.language.errors import EngineBusy, NoTarget
from understudy.language.target import Model, Plan, Standing, Target

ALIAS = "claude-local-"
"""Claude Code keeps only discovered ids that contain "claude" (docs/claude-code.md, model discovery)."""
AUTO = "auto"
CODER = re.compile(r"cod(e|er|estral)|devstral", re.IGNORECASE)
NO_CHAT = re.compile(r"embed|rerank|encoder|whisper|\bbge-", re.IGNORECASE)
"""Names of models that do something else; most engines list them beside the others."""
EMBEDS = re.compile(r"embed|\bbge-|\bgte-|\be5-|minilm|arctic|paraphrase", re.IGNORECASE)
"""Names of models that make vectors."""
LATEST = ":latest"
NAMES_SHOWN = 20


def plan(asked: str, standing: Sequence[Standing], names: Mapping[str, str], *, embeds: bool = False) -> Plan:
    """Targets for a client's model name.

    Args:
        asked: the request's `model`.
        standing: every engine, as it is now, in the order of preference.
        names: `[models]` of the settings.
        embeds: vectors are wanted, and "auto" means a model that makes them.

    Raises:
        NoTarget: no engine has such a model; the message names those there are.
        EngineBusy: the engines that would answer are down or still loading.
    """
    pairs = [(row, Target(row.engine, model)) for row in standing for model in row.models]
    wanted = _resolved(asked, names, {name for _, target in pairs for name in _ids(target)})
    if wanted == AUTO and embeds:
        fitting = [(row, target) for row, target in pairs if makes_vectors(target.model)]
        reason = f"{asked} takes a model that makes vectors"
        if pairs and not fitting:
            raise NoTarget(
                "no embedding model here, by its name: name one, or `ollama pull nomic-embed-text`"
            )
    elif wanted == AUTO:
        fitting, reason = sorted(pairs, key=_merit), f"{asked} takes the best model here"
    else:
        fitting = [(row, target) for row, target in pairs if wanted in _ids(target)]
        reason = f"{asked} names it" if wanted == asked else f"{asked} stands for {wanted}"
    if not fitting and pairs and wanted != AUTO:
        raise NoTarget(_not_found(asked, wanted, pairs))
    up = [(row, target) for row, target in fitting if row.state == "up"]
    if not up:
        asleep = list({row.engine: row for row, _ in fitting}.values())
        raise EngineBusy(_nobody(asleep or standing), retry_after=5)
    if wanted != AUTO:
        up.sort(key=lambda pair: pair[0].in_flight)
    return Plan(tuple(target for _, target in up), reason)


def makes_vectors(model: Model) -> bool:
    """Whether a model is for embeddings, by what its engine says, or by its name."""
    return "chat" in model.lacks or EMBEDS.search(model.id) is not None


def alias(model_id: str) -> str:
    """The id under which Claude Code's discovery keeps a model."""
    return model_id if re.search("claude|anthropic", model_id, re.IGNORECASE) else ALIAS + model_id


def _resolved(asked: str, names: Mapping[str, str], here: Container[str]) -> str:
    if asked in names:
        return names[asked]
    if asked in here:  # before the patterns: a model that is really called claude-something is meant
        return asked
    if asked.removesuffix(LATEST) in here:  # as Ollama's clients complete a name
        return asked.removesuffix(LATEST)
    if asked.startswith(ALIAS):
        return asked.removeprefix(ALIAS)
    for pattern, name in names.items():
        if fnmatchcase(asked, pattern):
            return name
    return asked


def _ids(target: Target) -> tuple[str, ...]:
    """Every name it answers to; Ollama itself takes `qwen3` for `qwen3:latest`."""
    names = (target.model.id, str(target))
    return (*names, *(name.removesuffix(LATEST) for name in names))


def _merit(pair: tuple[Standing, Target]) -> tuple[bool, bool, bool, bool, int]:
    row, target = pair
    model = target.model
    return (
        row.state != "up",
        "chat" in model.lacks or NO_CHAT.search(model.id) is not None,
        "tools" in model.lacks,
        CODER.search(model.id) is None,
        -model.size,
    )


def _not_found(asked: str, wanted: str, pairs: Sequence[tuple[Standing, Target]]) -> str:
    here = list(dict.fromkeys(target.model.id for _, target in pairs))
    more = f" and {len(here) - NAMES_SHOWN} more" if len(here) > NAMES_SHOWN else ""
    meant = "" if wanted == asked else f" (it stands for {wanted!r} in [models])"
    return f"model {asked!r} not found{meant}. Models here: {', '.join(here[:NAMES_SHOWN])}{more}, or auto"


def _nobody(standing: Sequence[Standing]) -> str:
    if not standing:
        return "no engine is running. Start one (ollama serve), or name one in understudy.toml"
    states = "; ".join(
        f"{row.engine} is {row.state}{': ' + row.detail if row.detail else ''}" for row in standing
    )
    return f"no engine can answer now: {states}"
