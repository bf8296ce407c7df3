"""How good the classifier is on sources it has not seen: each source is left out once, and asked about.

*strict*: the task is the source's own. *lenient*: it is one that a sane judge would also take.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from msgspec import Struct

from training.fitting import Array, Matrix, fit, importance, targets
from training.reading import Prompt, known
from understudy.language.routes import TASKS
from understudy.routing.tasks import keyword

TEMPERATURES = np.geomspace(0.3, 3.0, 60)
LEVELS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Asked(Struct, frozen=True):
    """Prompts, and the score of each task for each of them."""

    prompts: list[Prompt]
    scores: Array

    def only(self, chosen: Callable[[Prompt], bool]) -> "Asked":
        """Those that are chosen."""
        kept = [i for i, prompt in enumerate(self.prompts) if chosen(prompt)]
        return Asked([self.prompts[i] for i in kept], self.scores[kept])

    def guesses(self) -> list[str]:
        """The best task for each."""
        return [TASKS[i] for i in self.scores.argmax(axis=1)]


def left_out(
    data: Matrix, prompts: Sequence[Prompt], sources: Iterable[str], told: Callable[[str], None]
) -> Asked:
    """Each source, asked about by a fit that has not seen it."""
    names = np.array([prompt.source for prompt in prompts])
    asked: list[Prompt] = []
    scores = []
    for source in sources:
        found = outside(data, prompts, names == source)
        told(f"{source}: {shares(found)}")
        asked += found.prompts
        scores.append(found.scores)
    return Asked(asked, np.concatenate(scores))


def outside(data: Matrix, prompts: Sequence[Prompt], out: Array) -> Asked:
    """The marked prompts, asked about by a fit to all others."""
    inside = [prompt for prompt, is_out in zip(prompts, out, strict=True) if not is_out]
    weights = fit(data.only(~out), targets(inside), importance(inside))
    return Asked(
        [prompt for prompt, is_out in zip(prompts, out, strict=True) if is_out],
        weights.scores(data.only(out)),
    )


def strict(prompts: Sequence[Prompt], guesses: Sequence[str]) -> float:
    """How many are the source's own task."""
    return float(np.mean([guess == prompt.task for prompt, guess in zip(prompts, guesses, strict=True)]))


def lenient(prompts: Sequence[Prompt], guesses: Sequence[str]) -> float:
    """How many a judge would take."""
    return float(np.mean([guess in prompt.accept for prompt, guess in zip(prompts, guesses, strict=True)]))


def shares(asked: Asked) -> str:
    """Strict and lenient, as they are printed."""
    guesses = asked.guesses()
    return f"{strict(asked.prompts, guesses):.3f} / {lenient(asked.prompts, guesses):.3f}"


def f1(prompts: Sequence[Prompt], guesses: Sequence[str], task: str) -> tuple[float, float, float]:
    """Precision, recall, and their harmonic mean."""
    pairs = [(prompt.task == task, guess == task) for prompt, guess in zip(prompts, guesses, strict=True)]
    both = sum(is_it and said for is_it, said in pairs)
    precision = both / max(sum(said for _, said in pairs), 1)
    recall = both / max(sum(is_it for is_it, _ in pairs), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def temperature(asked: Asked) -> float:
    """What the scores must be divided by so that a confidence is the chance of being right."""
    own = np.array([known(prompt.task) for prompt in asked.prompts])

    def surprise(by: float) -> float:
        chances = confidences(asked, by)
        return -float(np.log(chances[np.arange(len(own)), own] + 1e-9).mean())

    return float(min(TEMPERATURES, key=surprise))


def confidences(asked: Asked, by: float) -> Array:
    """Scores as chances."""
    scores = asked.scores / by
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def by_task(asked: Asked) -> str:
    """A table: each task, each language."""
    guesses = asked.guesses()
    languages = sorted({prompt.lang for prompt in asked.prompts})
    lines = [
        "| task | prompts | precision | recall | F1 |" + "".join(f" F1 {name} (n) |" for name in languages)
    ]
    lines.append("|---" * (5 + len(languages)) + "|")
    present = [task for task in TASKS if any(prompt.task == task for prompt in asked.prompts)]
    for task in present:
        number = sum(prompt.task == task for prompt in asked.prompts)
        precision, recall, both = f1(asked.prompts, guesses, task)
        cells = [_in_language(asked, task, language) for language in languages]
        lines.append(
            f"| {task} | {number} | {precision:.2f} | {recall:.2f} | {both:.2f} | {' | '.join(cells)} |"
        )
    macro = np.mean([f1(asked.prompts, guesses, task)[2] for task in present])
    return "\n".join([*lines, "", f"Macro-F1 over {len(present)} tasks: {macro:.3f}."])


def _in_language(asked: Asked, task: str, language: str) -> str:
    part = asked.only(lambda prompt: prompt.lang == language)
    number = sum(prompt.task == task for prompt in part.prompts)
    return f"{f1(part.prompts, part.guesses(), task)[2]:.2f} ({number})" if number else "-"


def by_source(asked: Asked) -> str:
    """A table: each source."""
    lines = ["| source left out | licence | prompts | strict / lenient |", "|---|---|---|---|"]
    for source in dict.fromkeys(prompt.source for prompt in asked.prompts):
        part = asked.only(lambda prompt, source=source: prompt.source == source)
        lines.append(f"| {source} | {part.prompts[0].lic} | {len(part.prompts)} | {shares(part)} |")
    return "\n".join(lines)


def by_confidence(asked: Asked, by: float) -> str:
    """A table: how much is above each level, and how good that is; what the keywords make of the rest."""
    chances = confidences(asked, by).max(axis=1)
    guesses = asked.guesses()
    lines = [
        "| level | share above | strict / lenient above | below: table | below: keywords first |",
        "|---|---|---|---|---|",
    ]
    for level in LEVELS:
        above, below = np.flatnonzero(chances >= level), np.flatnonzero(chances < level)
        worded = [(keyword(asked.prompts[i].text) or (guesses[i],))[0] for i in below]
        cells = (
            _both(asked, above, [guesses[i] for i in above]),
            _both(asked, below, [guesses[i] for i in below]),
        )
        lines.append(
            f"| {level} | {len(above) / len(guesses):.0%} | {cells[0]} | {cells[1]} | {_both(asked, below, worded)} |"
        )
    return "\n".join(lines)


def _both(asked: Asked, chosen: Array, guesses: list[str]) -> str:
    prompts = [asked.prompts[i] for i in chosen]
    return f"{strict(prompts, guesses):.2f} / {lenient(prompts, guesses):.2f}" if prompts else "-"
