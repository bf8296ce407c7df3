"""Finding fixed strings in text that comes in pieces, cut anywhere."""

import re
from collections.abc import Iterable


class Markers:
    """Some strings to look for. None of them may begin another one."""

    def __init__(self, markers: Iterable[str]) -> None:
        known = sorted(set(markers))
        self._whole = re.compile("|".join(map(re.escape, known)))
        self._first = re.compile("|".join(sorted({re.escape(marker[0]) for marker in known})))
        self._beginnings = frozenset(marker[:end] for marker in known for end in range(1, len(marker)))
        self._longest = max(map(len, known))

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """The first marker at or after `start`."""
        return self._whole.search(text, start)

    def unfinished(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a marker."""
        size = len(text)
        for first in self._first.finditer(text, max(0, size - self._longest + 1)):
            if text[first.start() :] in self._beginnings:
                return size - first.start()
        return 0
