"""Targets and the patterns by which settings name them.

    "ollama/qwen3:32b"   an engine's model             "qwen3:32b"   a model, whichever engines have it
    "*coder*"            names with * ? [abc]          "qwen"        a family: names in which that word begins
    "coder"              models made for code          "largest"     all in the house, the largest first
    "claude"             each engine outside the house, with the model that was asked for, or else its first

What a model is good for is read off its name: engines tell no more (`docs/routing.md`).
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from msgspec import Struct

from understudy.language.target import Model, Standing, Target

CODER = re.compile(r"cod(e|er|estral)|devstral", re.IGNORECASE)
NO_CHAT = re.compile(r"embed|rerank|encoder|whisper|guard|\bbge-", re.IGNORECASE)
"""Names of models that do something else; most engines list them beside the others."""
EMBEDS = re.compile(r"embed|\bbge-|\bgte-|\be5-|minilm|arctic|paraphrase", re.IGNORECASE)
"""Names of models that make vectors."""
SEES = re.compile(
    r"(?<![a-z])vl(?![a-z])|vision|llava|pixtral|moondream|minicpm-v|gemma-?[34]|omni", re.IGNORECASE
)
"""Names of models that see pictures."""
SIZE = re.compile(r"(?<![a-z\d.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z\d])", re.IGNORECASE)
"""Parameters in a name: `32b`, `8x7b`, `0.5B`, `270m`. `a3b`, what is active of a mixture of experts, is none."""
BYTES_A_BILLION = 600_000_000
"""On disk, at the four to five bits that most people run."""
KINDRED = {
    "qwen": ("qwen", "qwq", "qvq"),
    "mistral": ("mistral", "mixtral", "ministral", "magistral", "codestral", "devstral"),
}
"""Families whose models go by several names."""
CODERS, LARGEST, CLAUDE = "coder", "largest", "claude"
GLOB = re.compile(r"[*?\[]")


class Candidate(Struct, frozen=True):
    """A target, and what matters of it for a choice.

    Attributes:
        target: the engine and the model.
        up: whether it can be asked now.
        local: whether what it is sent stays in the house.
        in_flight: answers its engine is working on.
        lacks: what it cannot do ("tools", "images").
    """

    target: Target
    up: bool = True
    local: bool = True
    in_flight: int = 0
    lacks: tuple[str, ...] = ()


def candidates(standing: Iterable[Standing]) -> list[Candidate]:
    """Every model of every engine, in the order of preference."""
    return [
        Candidate(
            Target(row.engine, model),
            row.state == "up",
            row.local,
            row.in_flight,
            row.lacks + model.lacks if row.lacks else model.lacks,
        )
        for row in standing
        for model in row.models
    ]


def ids(candidate: Candidate) -> tuple[str, ...]:
    """Every name it answers to; Ollama itself takes `qwen3` for `qwen3:latest`."""
    return _ids(candidate.target.engine, candidate.target.model.id)


@lru_cache(maxsize=4096)
def _ids(engine: str, model_id: str) -> tuple[str, ...]:
    names = (model_id, f"{engine}/{model_id}")
    return (*names, *(name.removesuffix(":latest") for name in names))


def matching(pattern: str, here: Sequence[Candidate], asked: str = "") -> list[Candidate]:
    """The targets that a pattern names, the best first.

    Args:
        pattern: of the settings.
        here: all there is.
        asked: the model that the client named: outside the house that very one is taken.
    """
    if pattern == CLAUDE:
        return outside(here, asked)
    if pattern == LARGEST:
        return sorted((one for one in here if one.local), key=merit)
    if pattern == CODERS:
        return sorted((one for one in here if codes(one.target.model)), key=merit)
    if exact := [one for one in here if pattern in ids(one)]:
        return sorted(exact, key=merit)
    if GLOB.search(pattern):
        return sorted((one for one in here if any(fnmatchcase(n, pattern) for n in ids(one))), key=merit)
    family = [one for one in here if _of_family(one.target.model.id, pattern)]
    return sorted(family, key=lambda one: (codes(one.target.model), *merit(one)))  # its coders are for code


def outside(here: Iterable[Candidate], asked: str = "") -> list[Candidate]:
    """One target of each engine outside the house: its own model of that name, else its first."""
    firsts: dict[str, Candidate] = {}
    for one in here:
        if not one.local and (one.target.engine not in firsts or one.target.model.id == asked):
            firsts[one.target.engine] = one
    return list(firsts.values())


def merit(one: Candidate) -> tuple[bool, float, int]:
    """What makes one target better than another of its kind: in the house, large, idle; the least is the best."""
    return not one.local, -billions(one.target.model), one.in_flight


def codes(model: Model) -> bool:
    """Whether a model is made for code."""
    return _says(CODER, model.id)


def chats(model: Model) -> bool:
    """Whether a model holds conversations, by what its engine says, or by its name."""
    return "chat" not in model.lacks and not _says(NO_CHAT, model.id)


def makes_vectors(model: Model) -> bool:
    """Whether a model is for embeddings, by what its engine says, or by its name."""
    return "chat" in model.lacks or _says(EMBEDS, model.id)


def looks(model: Model) -> bool:
    """Whether a model sees pictures, by its name."""
    return _says(SEES, model.id)


def sees(one: Candidate) -> bool | None:
    """Whether it sees pictures; None where neither its engine nor its name tells."""
    if "images" in one.lacks:
        return False
    return looks(one.target.model) or None


def billions(model: Model) -> float:
    """How many parameters a model has, in billions, by its name, else by its size on disk; 0 where neither tells."""
    return _billions(model.id) or model.size / BYTES_A_BILLION


@lru_cache(maxsize=4096)
def _says(pattern: re.Pattern[str], model_id: str) -> bool:
    return pattern.search(model_id) is not None


@lru_cache(maxsize=1024)
def _billions(model_id: str) -> float:
    found = SIZE.search(model_id)
    if found is None:
        return 0.0
    experts, number, unit = found.groups()
    return int(experts or 1) * float(number) / (1 if unit in "bB" else 1000)


@lru_cache(maxsize=4096)
def _of_family(model_id: str, word: str) -> bool:
    words = "|".join(re.escape(one) for one in KINDRED.get(word.lower(), (word,)))
    return re.search(rf"(?<![a-z])(?:{words})", model_id, re.IGNORECASE) is not None
