"""Regular expressions in linear time: Google's RE2, typed.

The module `re` may take forever on a pattern of a few characters; RE2 takes time in proportion to the text, whatever the
pattern is. It knows neither look-around nor back-references, and refuses them. Texts are bytes: so are places in them.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Protocol, cast

import re2

MEMORY = 64 << 20
"""What an automaton may grow to. It takes a few megabytes, and is begun anew where it would take more."""
COUNT = re.compile(r"\{(\d+)(?:,\d*)?\}")
COMPILED = 512


class Match(Protocol):
    """Where a pattern matched."""

    def span(self, group: int = 0) -> tuple[int, int]:
        """Begin and end of a group; (-1, -1) where it took no part."""


class Pattern(Protocol):
    """A compiled pattern."""

    groups: int

    def search(self, data: bytes, start: int = 0) -> Match | None:
        """The first match from a place on."""


def values(pattern: Pattern, data: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of the pattern's first group, or of all of it, wherever it matches.

    The search goes on behind the group: what a pattern asks to stand after it may stand before the next.
    """
    group, place = min(pattern.groups, 1), 0
    while place <= len(data) and (match := pattern.search(data, place)):
        start, end = match.span(group)
        if end > start:
            yield start, end
        place = max(end, match.span()[0] + 1)


class Any:
    """Which of many patterns may occur in a text, in one pass.

    Here they do not count: `[0-9a-f]{32}` is `[0-9a-f]+`, since an automaton that counts for a hundred patterns at once
    has more states than a text has characters. So a pattern that is named need not match; one that is not named does not.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._set = re2.Set.SearchSet(_options())
        for pattern in patterns:
            self._set.Add(COUNT.sub(_uncounted, pattern))
        self._set.Compile()

    def __call__(self, data: bytes) -> list[int]:
        """Numbers of the patterns."""
        return cast("list[int] | None", self._set.Match(data)) or []


@lru_cache(COMPILED)
def compiled(pattern: str) -> Pattern:
    """A pattern.

    Raises:
        ValueError: it looks around or back, is broken, or is too large.
    """
    try:
        return cast("Pattern", re2.compile(pattern, _options()))
    except re2.error as error:
        said = error.args[0]
        raise ValueError(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from error


def _uncounted(count: re.Match[str]) -> str:
    return "*" if count[1] == "0" else "+"


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    return options
