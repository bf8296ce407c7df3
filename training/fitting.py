"""A multinomial logistic regression over sparse rows, in numpy alone, so that whoever has the project can repeat it.

The function is convex and the method (L-BFGS with a step that must do good) has no chance in it: the same prompts give
the same weights.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from training.reading import OWN, Prompt, known
from understudy.language.routes import TASKS
from understudy.routing import grams, traits

PENALTY = 3e-5
SMOOTH = 0.2
"""How much of a prompt's weight goes to all the tasks a judge would take, instead of its own."""
STEPS, MEMORY = 50, 6
RAREST = 2
"""A row that fewer prompts have says nothing of others."""
OWN_WEIGHT = 4.0
"""Our own prompts count so much more than their number says."""
EVEN = 0.5
"""0: each prompt counts alike; 1: each source, and then each task, counts alike."""
ENOUGH, HALVINGS, DECREASE = 1e-7, 20, 1e-4

Array = np.ndarray


class Matrix(Struct, frozen=True):
    """Prompts as sparse rows: for each entry the prompt, the row of the table, and the value."""

    prompts: Array
    rows: Array
    values: Array
    size: int

    def only(self, chosen: Array) -> "Matrix":
        """The prompts that are marked, numbered anew."""
        numbers = np.cumsum(chosen) - 1
        kept = chosen[self.prompts]
        return Matrix(numbers[self.prompts[kept]], self.rows[kept], self.values[kept], int(chosen.sum()))


class Weights(Struct, frozen=True):
    """What was learnt: of each row for each task, and of each task."""

    rows: Array
    bias: Array

    def scores(self, matrix: Matrix) -> Array:
        """The score of each task for each prompt."""
        entries = self.rows.take(matrix.rows, axis=0)  # take: ten times as fast as brackets
        entries *= matrix.values[:, None]
        return _summed(entries, matrix.prompts, matrix.size) + self.bias


def matrix(texts: Sequence[str], sense: traits.Sense) -> Matrix:
    """Texts as rows, each field weighed as the classifier does."""
    parts: list[tuple[int, Array, float]] = []
    for number, text in enumerate(texts):
        fields = traits.fields(grams.read(text), sense)
        shares = traits.shares(fields)
        parts += [(number, rows, share) for rows, share in zip(fields, shares, strict=True)]
    lengths = [len(rows) for _, rows, _ in parts]
    return Matrix(
        np.repeat([number for number, _, _ in parts], lengths),
        np.concatenate([rows for _, rows, _ in parts]),
        np.repeat(np.array([share for _, _, share in parts], np.float32), lengths),
        len(texts),
    )


def targets(prompts: Sequence[Prompt]) -> Array:
    """What each prompt should be: mostly its task, a little of what a judge would also take."""
    out = np.zeros((len(prompts), len(TASKS)), np.float32)
    for row, prompt in zip(out, prompts, strict=True):
        for task in prompt.accept:
            row[known(task)] += SMOOTH / len(prompt.accept)
        row[known(prompt.task)] += 1 - row.sum()
    return out


def importance(prompts: Sequence[Prompt]) -> Array:
    """How much each prompt counts, so that neither a large source nor a frequent task drowns the others."""
    sources = Counter(prompt.source for prompt in prompts)
    out = np.array(
        [sources[p.source] ** -EVEN * (OWN_WEIGHT if p.source.startswith(OWN) else 1) for p in prompts]
    )
    tasks: Counter[str] = Counter()
    for prompt, weight in zip(prompts, out, strict=True):
        tasks[prompt.task] += weight
    out *= np.array([tasks[prompt.task] ** -EVEN for prompt in prompts])
    return (out / out.sum()).astype(np.float32)


def fit(data: Matrix, goals: Array, counts: Array) -> Weights:
    """The weights under which the prompts are likeliest, as long as they stay small."""
    used = np.flatnonzero(np.bincount(data.rows, minlength=traits.ROWS) >= RAREST)
    place = np.full(traits.ROWS, -1)
    place[used] = np.arange(len(used))
    kept = place[data.rows] >= 0
    small = Matrix(data.prompts[kept], place[data.rows[kept]], data.values[kept], data.size)
    found = _minimum(_loss(small, goals, counts[:, None], len(used)), (len(used) + 1) * len(TASKS))
    found = found.reshape(-1, len(TASKS))
    rows = np.zeros((traits.ROWS, len(TASKS)), np.float32)
    rows[used] = found[:-1]
    return Weights(rows, found[-1].astype(np.float32))


def _loss(data: Matrix, goals: Array, counts: Array, width: int) -> Callable[[Array], tuple[float, Array]]:
    order = np.argsort(data.rows, kind="stable")
    by_row = data.rows[order], data.prompts[order], data.values[order, None]

    def loss(point: Array) -> tuple[float, Array]:
        weights = point.reshape(-1, len(TASKS))
        scores = Weights(weights[:-1].astype(np.float32), weights[-1].astype(np.float32)).scores(data)
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        total = chances.sum(axis=1, keepdims=True)
        value = -float((counts * goals * (scores - np.log(total))).sum(dtype=np.float64))
        error = (chances / total - goals) * counts
        slope = np.empty_like(weights)
        slope[:-1] = (
            _summed(error.take(by_row[1], axis=0) * by_row[2], by_row[0], width) + PENALTY * weights[:-1]
        )
        slope[-1] = error.sum(axis=0)
        return value + PENALTY / 2 * float((weights[:-1] ** 2).sum()), slope.ravel()

    return loss


def _summed(entries: Array, numbers: Array, size: int) -> Array:
    """Entries added up by their number; the numbers must not fall."""
    out = np.zeros((size, entries.shape[1]), entries.dtype)
    if len(numbers):
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        out[numbers[starts]] = np.add.reduceat(entries, starts, axis=0)
    return out


def _minimum(function: Callable[[Array], tuple[float, Array]], size: int) -> Array:
    """L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5) with backtracking."""
    point = np.zeros(size)
    value, slope = function(point)
    past: deque[tuple[Array, Array]] = deque(maxlen=MEMORY)
    for _ in range(STEPS):
        way = _direction(slope, past)
        fall = float(way @ slope)
        step = 1.0 if past else 1.0 / max(float(np.abs(slope).max()), 1e-9)
        for _ in range(HALVINGS):
            there = point + step * way
            better, new = function(there)
            if better <= value + DECREASE * step * fall:
                break
            step /= 2
        past.append((there - point, new - slope))
        gained = value - better
        point, value, slope = there, better, new
        if gained < ENOUGH:
            break
    return point


def _direction(slope: Array, past: deque[tuple[Array, Array]]) -> Array:
    way = -slope
    shares = []
    for moved, bent in reversed(past):
        share = float(moved @ way) / float(moved @ bent)
        way = way - share * bent
        shares.append(share)
    if past:
        moved, bent = past[-1]
        way = way * (float(moved @ bent) / float(bent @ bent))
    for (moved, bent), share in zip(past, reversed(shares), strict=True):
        way = way + moved * (share - float(bent @ way) / float(moved @ bent))
    return way
