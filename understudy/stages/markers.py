"""Finding fixed strings in text that comes in pieces, cut anywhere."""

import re
from collections.abc import Iterable
from typing import Final

NOTHING: Final = "(?!)"
"""A regular expression that fits nowhere."""


SIGN: Final = 3
"""So many characters at a marker's beginning tell it from nearly all other text."""


class Markers:
    """Some strings to look for. None of them may begin another one.

    Attributes:
        pattern: any of them, as a regular expression.
        signs: how any of them begins, or the beginning of that at the end of the text; cheaper to look for.
    """

    def __init__(self, markers: Iterable[str]) -> None:
        known = sorted(set(markers))
        self.pattern = "|".join(map(re.escape, known)) or NOTHING
        self.signs = _begun(sorted({marker[:SIGN] for marker in known}))
        self._whole = re.compile(self.pattern)
        self._first = re.compile("|".join(sorted({re.escape(marker[0]) for marker in known})))
        self._beginnings = frozenset(marker[:end] for marker in known for end in range(1, len(marker)))
        self._longest = max(map(len, known), default=0)

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """The first marker at or after `start`."""
        return self._whole.search(text, start)

    def match(self, text: str) -> re.Match[str] | None:
        """The marker that `text` begins with."""
        return self._whole.match(text)

    def begins(self, text: str) -> bool:
        """Whether all of `text` is the beginning of a marker."""
        return text in self._beginnings

    def unfinished(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a marker."""
        size = len(text)
        for first in self._first.finditer(text, max(0, size - self._longest + 1)):
            if text[first.start() :] in self._beginnings:
                return size - first.start()
        return 0


def _begun(markers: list[str]) -> str:
    """A regular expression for any of some sorted strings, and for what of them may stand at the end of a text.

    Its ways stand side by side, each with a letter of its own first: then `re` looks only where one of these letters is.
    """
    groups: dict[str, list[str]] = {}
    for marker in markers:
        groups.setdefault(marker[0], []).append(marker[1:])
    ways = (
        re.escape(first) + ("" if "" in rest else rf"(?:\Z|{_begun(rest)})") for first, rest in groups.items()
    )
    return "|".join(ways) or NOTHING
