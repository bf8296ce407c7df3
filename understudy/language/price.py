"""A price of tokens, and what an answer costs at it.

It stands in the waist because both ends need it: the settings read prices, the ledger counts by them.
"""

from typing import Annotated

from msgspec import Meta, Struct

from understudy.language.events import Usage

MILLION = 1_000_000

Dollars = Annotated[float, Meta(ge=0)]
"""For a million tokens."""


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """Dollars for a million tokens.

    Attributes:
        input: of the prompt.
        output: of the answer, thinking included.
        read: of the prompt, where it came from the cache; unset, a tenth of `input`.
        written: of the prompt, where it was written into the cache for five minutes; unset, `input` and a quarter.
        hour: where it was written for an hour; unset, twice `input`.
    """

    input: Dollars
    output: Dollars
    read: Dollars | None = None
    written: Dollars | None = None
    hour: Dollars | None = None


def cost_at(row: Price, usage: Usage) -> float:
    """What an answer costs at this price."""
    cached, written, hour = usage.cached_tokens or 0, usage.written_tokens, usage.hour_tokens
    fresh = max(usage.input_tokens - cached - written, 0)
    dollars = (
        fresh * row.input
        + cached * _set(row.read, row.input / 10)
        + (written - hour) * _set(row.written, row.input * 1.25)
        + hour * _set(row.hour, row.input * 2)
        + usage.output_tokens * row.output
    )
    return dollars / MILLION


def _set(value: float | None, usual: float) -> float:
    return usual if value is None else value


def dollars(sum_: float) -> str:
    """A sum for people; small ones are not rounded to nothing."""
    return f"${sum_:,.2f}" if not sum_ or sum_ >= 0.1 else f"${sum_:.4f}"  # noqa: PLR2004 - ten cents
