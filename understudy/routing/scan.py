"""One text -> what in it is private, by kind and place; the private value itself is never part of a finding.

One pass over the text, in linear time, says which rules may hold at all (`linear.Any`), and only those are then looked
for one by one. What was found of a text is kept under its digest, so in the loop of an agent, who sends the whole history
with every turn, only the new tail is read.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import blake2b
from operator import itemgetter
from typing import Literal, NamedTuple

from msgspec import Struct

from understudy.language.kept import Kept
from understudy.routing import linear, personal, secretrules

Kind = Literal["secret", "personal", "word", "path", "pattern", "unread"]
KEPT = 8 << 20
"""Bytes of results kept: enough for some hundred conversations."""
DIGEST, MARK = 16, 4
"""Bytes of the digest of a text, and of the keyed hash of a value."""
COST = 64
"""Bytes a kept finding takes, roughly."""


class Spot(Struct, frozen=True, gc=False):
    """Something private in a text.

    Attributes:
        start: where it begins, in characters.
        length: how long it is.
        kind: what it is.
        rule: which rule found it.
        mark: a keyed hash of the value: the same value has the same mark, and nobody without the key can tell which.
    """

    start: int
    length: int
    kind: Kind
    rule: str
    mark: str


class Rule(NamedTuple):
    """What to look for: an RE2 pattern, whose first group is the value where it has one, and what must hold of it."""

    kind: Kind
    name: str
    pattern: str
    holds: Callable[[str], bool]


class Scanner:
    """Finds what is private in texts.

    Args:
        key: makes the marks; one that is random for each start of the gateway, or kept if marks are to outlast it.
        own: rules of the settings (`configured.rules`), besides those that come with the package.
    """

    def __init__(self, key: bytes, own: Iterable[Rule] = ()) -> None:
        self._key = key
        self._rules = (*BUILT_IN, *own)
        self._any = linear.Any(rule.pattern for rule in self._rules)
        self._kept: Kept[bytes, tuple[Spot, ...]] = Kept(KEPT)

    def spots(self, text: str) -> tuple[Spot, ...]:
        """What is private in a text, in the order of its places; none of them overlap."""
        data = text.encode("utf-8", "surrogatepass")
        digest = blake2b(data, digest_size=DIGEST).digest()
        known = self._kept.get(digest)
        if known is not None:
            return known
        found = _apart(self._found(text, data))
        return self._kept.put(digest, found, DIGEST + COST * (1 + len(found)))

    def mark(self, value: str) -> str:
        """The keyed hash of a value."""
        data = value.encode("utf-8", "surrogatepass")
        return blake2b(data, key=self._key, digest_size=MARK).hexdigest()

    def _found(self, text: str, data: bytes) -> list[tuple[int, int, Spot]]:
        """Each spot with its place and the number of its rule, by which it is preferred to others."""
        spots = []
        plain = len(data) == len(text)
        for number in self._any(data):
            rule = self._rules[number]
            for start, end in linear.values(linear.compiled(rule.pattern), data):
                value = data[start:end].decode("utf-8", "surrogatepass")
                if rule.holds(value):
                    begin = start if plain else len(data[:start].decode("utf-8", "surrogatepass"))
                    spot = Spot(begin, len(value), rule.kind, rule.name, self.mark(value))
                    spots.append((begin, number, spot))
        return spots


def looks_random(value: str, bits: float) -> bool:
    """Whether a value may be a secret: random enough, and not one of those that documentation writes."""
    low = value.lower()
    return entropy(value) >= bits and not any(word in low for word in secretrules.STAND_INS)


def is_name(value: str) -> bool:
    """Whether a value has neither a digit nor both cases: `max_tokens` is a word of somebody's program."""
    return value in {value.lower(), value.upper()} and not any(char.isdigit() for char in value)


def entropy(value: str) -> float:
    """Bits a character, by how often each occurs."""
    length = len(value)
    return -sum(count / length * math.log2(count / length) for count in Counter(value).values())


def _apart(found: list[tuple[int, int, Spot]]) -> tuple[Spot, ...]:
    """Of spots that overlap, the one that begins first; of those, the one whose rule comes first."""
    out: list[Spot] = []
    end = 0
    for start, _, spot in sorted(found, key=itemgetter(0, 1)):
        if start >= end:
            out.append(spot)
            end = start + spot.length
    return tuple(out)


def _secret(rule: secretrules.Rule) -> Rule:
    def holds(value: str) -> bool:
        return looks_random(value, rule.bits) and not (rule.mixed and is_name(value))

    return Rule("secret", rule.name, rule.pattern, holds)


BUILT_IN = (
    *(_secret(rule) for rule in secretrules.RULES),
    *(Rule("personal", row.name, row.pattern, row.holds) for row in personal.PATTERNS),
)
