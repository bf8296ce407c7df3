"""The words of `lexicon.txt` as keys of `traits.Sense`: hashes, not texts, go into the table."""

from pathlib import Path

import numpy as np

from understudy.routing import grams, traits

WORDS = Path(__file__).parent / "lexicon.txt"
SHORTEST = 4
"""English words of fewer letters get no endings."""


def groups(text: str) -> dict[str, list[str]]:
    """`[group]` headings and what stands below them."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            current += [word.strip() for word in line.split(",")]
    return found


def forms(word: str) -> list[str]:
    """An English word with the endings it may have; anything else as it is."""
    if not (word.isascii() and word.isalpha() and len(word) >= SHORTEST):
        return [word]
    endings = ["", "s", "ed", "ing", *(["es"] if word[-1] in "sxh" else [])]
    out = [word + ending for ending in endings]
    if word.endswith("e"):
        out += [f"{word}d", f"{word[:-1]}ing"]
    if word.endswith("y"):
        out += [f"{word[:-1]}ies", f"{word[:-1]}ied"]
    return out


def keys(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Where each word stands in `Sense`, and the number of its group; of two groups the first keeps a word."""
    taken: dict[int, int] = {}
    for number, words in enumerate(groups(text).values(), 1):
        for form in (form for word in words for form in forms(word)):
            key = _key(form)
            if key is not None:
                taken.setdefault(key, number)
    ordered = sorted(taken.items())
    return np.array([key for key, _ in ordered], np.uint32), np.array([n for _, n in ordered], np.uint8)


def sense() -> traits.Sense:
    """The lexicon, as the classifier looks it up."""
    places, numbers = keys(WORDS.read_text(encoding="utf-8"))
    table = np.zeros(1 << traits.SENSE_BITS, np.uint8)
    table[places] = numbers
    return table


def _key(form: str) -> int | None:
    """A single Latin letter, or more tokens than a gram has, is no key."""
    found = grams.read(form).grams
    length = len(found[0])
    if not 1 <= length <= grams.ORDERS or (len(form) == 1 and form.isascii()):
        return None
    return int(traits.gram_key(found[length - 1])[0])
