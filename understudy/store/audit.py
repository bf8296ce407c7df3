"""What left the house, line by line: JSON that is only ever added to. It holds hashes and counts, never a content."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from understudy.store.sqlite import StoreError


class Line(Struct, frozen=True):
    """One question on its way out.

    Attributes:
        at: when, UTC.
        key: whose, by the key's short name; "" where keys are off.
        session: a keyed hash of the client's session; "" where it names none.
        target: who is asked.
        model: what the client named.
        why: what allowed it, in words.
        findings: how many of each rule were found in it.
        redacted: whether it left with placeholders in their place.
        bytes: how long the body is.
        digest: a keyed hash of it: the same body has the same one until the gateway is started again.
    """

    at: str
    key: str
    session: str
    target: str
    model: str
    why: str
    findings: dict[str, int]
    redacted: bool
    bytes: int
    digest: str


class Audit:
    """Adds lines to a file, which is made with the first.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def add(self, line: Line) -> None:
        """One more. It is with the operating system when this returns.

        Raises:
            StoreError: it could not be written.
        """
        try:
            if self._file < 0:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            data = msgspec.json.encode(line) + b"\n"
            if os.write(self._file, data) < len(data):
                raise StoreError(f"{self._path} cannot grow: make room on its disk")
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
