"""What tokens cost, in dollars: those that Claude answered, and what it would have cost where another model did.

From the price list of the Claude API (https://platform.claude.com/docs/en/about-claude/pricing), as of `AS_OF`. Prices
change: the settings' own rows (`[budget] prices`) come first, and cover engines that are not in the table.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from understudy.language.events import Usage
from understudy.language.price import Price, cost_at

AS_OF = "2026-10-24"

TABLE: tuple[tuple[str, Price], ...] = (
    ("*fable-5-1*", Price(10, 50, 0.25)),
    ("*mythos-5-1*", Price(10, 50, 0.25)),
    ("*fable*", Price(10, 50)),
    ("*mythos*", Price(10, 50)),
    ("*opus-5-5*", Price(4, 20, 0.2)),
    ("*opus-4-1*", Price(15, 75)),
    ("*opus-4-0*", Price(15, 75)),
    ("*opus-4-2025*", Price(15, 75)),
    ("*3-opus*", Price(15, 75)),
    ("*opus*", Price(5, 25)),
    ("*sonnet-5-5*", Price(2, 10, 0.1)),
    ("*sonnet-5*", Price(2, 10)),
    ("*sonnet*", Price(3, 15)),
    ("*haiku-5-5*", Price(0.1, 0.5)),
    ("*3-5-haiku*", Price(0.8, 4)),
    ("*3-haiku*", Price(0.25, 1.25)),
    ("*haiku*", Price(1, 5)),
)
"""By the model's name; the first row that fits. A family's last row is for models that are not here yet."""
LONG: dict[str, tuple[int, float]] = {"*haiku-5-5*": (100_000, 5.0)}
"""Rows whose prompts over so many tokens cost so many times as much, on every token of the request."""
DEAREST = Price(15, 75)
"""For a model without a price, where money is counted: rather too much than too little."""


def price(model: str, own: Mapping[str, Price]) -> Price | None:
    """The price of a model; None where nobody knows it.

    Args:
        model: its name.
        own: rows of the settings, by names with * and ?.
    """
    return next((row for pattern, row in own.items() if _fits(model, pattern)), None) or _listed(model)


def cost(model: str, usage: Usage, own: Mapping[str, Price]) -> float | None:
    """What an answer costs in dollars; None where the model has no price."""
    found = price(model, own)
    if found is None:
        return None
    return _times(model, usage, own) * cost_at(found, usage)


def _times(model: str, usage: Usage, own: Mapping[str, Price]) -> float:
    """How many times as much a long prompt costs; the settings' own rows know no such thing."""
    if any(_fits(model, pattern) for pattern in own):
        return 1.0
    for pattern, (limit, times) in LONG.items():
        if usage.input_tokens > limit and _fits(model, pattern):
            return times
    return 1.0


@lru_cache(maxsize=1024)
def _listed(model: str) -> Price | None:
    if "claude" not in model.lower():
        return None
    return next((row for pattern, row in TABLE if _fits(model, pattern)), None)


def _fits(model: str, pattern: str) -> bool:
    return fnmatchcase(model.lower(), pattern.lower())
