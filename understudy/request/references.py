"""Where the `$ref`s of a document lead, while it is being cut: to something to inline, back to where they stand, nowhere.

A reference that leads back cannot be inlined. Engines that know recursion get a `$ref` into `$defs` for it; for the others
the schema ends there. Which targets are such is only known once they have been met inside themselves, so the document
is cut again with that knowledge (`met`).

A kept reference stands at a part of a value (a property, an element), never at the very start of the document or of a
definition: a grammar whose rule begins with itself is none, and chat templates look for the properties of a tool at the
root.
"""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

import msgspec

from understudy.request.keywords import Node, resolve

INLINED: Final = 1 << 20  # bytes of targets; a chain of 30 pairs would otherwise unfold into 2**30 schemas
_SIGNED: Final = re.compile(r"[A-Za-z0-9-]+-[0-9a-f]{8}-?\d*")  # a name that says which document it is from


class Way(Enum):
    """What to do with a reference."""

    ANYTHING = "the target is true"
    NOWHERE = "it leads nowhere, out of the document, or to too much"
    ITSELF = "it points at itself"
    BACK = "it leads back to where it stands"
    KEPT = "a `$ref` into `$defs`"
    INLINE = "the target's own words"


class References:
    """The references of one run over a document.

    Args:
        root: the document.
        recursive: targets known to lead back, by identity.
        followed: false where `$id`s below the root make references start elsewhere.
        shared_names: names of definitions must say which document they are from.

    Attributes:
        met: targets that were met inside themselves, by identity: two spellings, one target.
        waiting: definitions that a kept `$ref` names, and that are still to be cut.
    """

    def __init__(self, root: Node, recursive: frozenset[int], *, followed: bool, shared_names: bool) -> None:
        self.met: set[int] = set()
        self.waiting: list[tuple[Node, str]] = []
        self._root = root
        self._recursive = recursive
        self._followed = followed
        self._shared_names = shared_names
        self._left = INLINED
        self._names: dict[int, str] = {}
        self._open: set[int] = {id(root)}  # targets that are being inlined
        self._chain: set[int] = {id(root)}  # those of them that speak of the very same value
        self._at_start = True  # nothing of the document, or of a definition, has been written yet

    def lead(self, ref: object, *, alone: bool) -> tuple[Way, Node]:
        """Which way it is, and the target; `{}` where there is none.

        Args:
            ref: the value of `$ref`.
            alone: nothing stands beside it, so it may be kept.
        """
        target = resolve(self._root, ref) if self._followed else None
        if target is True:
            return Way.ANYTHING, {}
        if not isinstance(target, dict) or not self._affords(target):
            return Way.NOWHERE, {}
        if id(target) in self._chain:
            return Way.ITSELF, {}
        if id(target) in self._recursive and alone and not self._at_start:
            return Way.KEPT, target
        if id(target) in self._open:
            self.met.add(id(target))
            return Way.BACK, target
        return Way.INLINE, target

    def kept(self, target: Node, ref: str) -> Node:
        """The `$ref` to the target's definition."""
        if id(target) not in self._names:
            self._names[id(target)] = name = self._free_name(ref)
            self.waiting.append((target, name))
        return {"$ref": f"#/$defs/{self._names[id(target)]}"}

    @contextmanager
    def inlining(self, target: Node) -> Iterator[None]:
        """While the target's words stand for the reference."""
        self._open.add(id(target))
        self._chain.add(id(target))
        yield
        self._open.discard(id(target))
        self._chain.discard(id(target))

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While another value is spoken of: a part of the one before."""
        before = self._chain, self._at_start
        self._chain, self._at_start = set(), False
        yield
        self._chain, self._at_start = before

    def define(self, target: Node) -> None:
        """From here on a definition is written."""
        self._open, self._chain, self._at_start = {id(target)}, {id(target)}, True

    def _free_name(self, ref: str) -> str:
        base = re.sub(r"[^A-Za-z0-9-]", "", ref.rpartition("/")[2])[:40] or "root"
        if self._shared_names and not _SIGNED.fullmatch(base):
            base = f"{base}-{zlib.crc32(msgspec.json.encode(self._root)):08x}"
        taken, name, number = set(self._names.values()), base, 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        return name

    def _affords(self, target: Node) -> bool:
        if self._left > 0:
            self._left -= len(msgspec.json.encode(target))
        return self._left > 0
