"""The trained table behind `tasks.guess`: hashed grams of a text, int8 weights, the chance of each task.

It is a module of its own because it needs numpy, which costs more memory and time to import than all other parts of a
routing together: it is imported with the first text that has to be guessed.
"""

from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from understudy.routing import grams, traits

TABLE = "tasks.npz"


class Table(Struct, frozen=True):
    """The trained weights.

    Attributes:
        weights: of each row for each task.
        scale: what one step of a weight is worth.
        bias: of each task.
        sense: the groups of words.
    """

    weights: NDArray[np.int8]
    scale: float
    bias: NDArray[np.float32]
    sense: traits.Sense


def probabilities(text: str) -> NDArray[np.float32]:
    """The chance of each task, in the order of TASKS."""
    table = load()
    scores = table.bias + table.scale * _sums(traits.fields(grams.read(text), table.sense), table.weights)
    grown = np.exp(scores - scores.max())
    chances: NDArray[np.float32] = grown / grown.sum()
    return chances


def _sums(fields: tuple[traits.Rows, ...], weights: NDArray[np.int8]) -> NDArray[np.float32]:
    factors = np.repeat(np.array(traits.shares(fields), np.float32), [len(rows) for rows in fields])
    chosen = weights.take(np.concatenate(fields), axis=0)  # take: ten times as fast as brackets
    sums: NDArray[np.float32] = factors @ chosen.astype(np.float32)
    return sums


@cache
def load() -> Table:
    """The table that comes with the package."""
    return unpacked(files("understudy.routing").joinpath(TABLE).read_bytes())


def unpacked(data: bytes) -> Table:
    """A table as `training` writes it."""
    with np.load(BytesIO(data), allow_pickle=False) as parts:
        sense = np.zeros(1 << traits.SENSE_BITS, np.uint8)
        sense[parts["keys"]] = parts["groups"]
        return Table(parts["weights"], float(parts["scale"]), parts["bias"], sense)
