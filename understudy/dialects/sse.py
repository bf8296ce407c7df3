"""Framing: server-sent events and newline-delimited JSON, bytes <-> records.

The event stream format is the HTML Standard's (https://html.spec.whatwg.org/multipage/server-sent-events.html): LF, CR or
CRLF end a line, a blank line ends an event, `:` starts a comment, several `data:` lines are one text. Engines write one
`data:` line an event, and that is the fast path; the rest is slower and right.
"""

from understudy.language.errors import EngineError

RECORD_LIMIT = 16 * 1024 * 1024
"""Bytes of one record before an engine is taken to have gone mad."""


class _Lines:
    """Bytes -> complete lines. A CR at the end waits: an LF may follow."""

    def __init__(self, limit: int) -> None:
        self._rest = b""
        self._limit = limit

    @property
    def idle(self) -> bool:
        """Whether nothing waits for its end."""
        return not self._rest

    def feed(self, data: bytes) -> list[bytes]:
        text = self._rest + data if self._rest else data
        if b"\r" in text:
            held = b"\r" if text.endswith(b"\r") else b""
            body = text[:-1] if held else text
            text = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        lines = text.split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > self._limit:
            raise EngineError(f"the engine sent a line of over {self._limit} bytes")
        return lines

    def close(self) -> bytes:
        rest, self._rest = self._rest.removesuffix(b"\r"), b""
        return rest


class SseReader:
    """Bytes -> the data of each complete event. Event names are not kept: every dialect repeats them in its JSON."""

    def __init__(self, limit: int = RECORD_LIMIT) -> None:
        self._lines = _Lines(limit)
        self._limit = limit
        self._data: list[bytes] = []
        self._size = 0
        self.idle = True
        """Whether nothing has begun that waits for its end."""

    def feed(self, data: bytes) -> list[bytes]:
        """The events that these bytes complete.

        Raises:
            EngineError: an event over the limit.
        """
        if self.idle and len(data) <= self._limit and (found := _plain(data)):
            return found
        out = []
        for line in self._lines.feed(data):
            if line.startswith(b"data:"):
                self._take(line[6:] if line[5:6] == b" " else line[5:])
            elif not line and self._data:
                out.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data, self._size = [], 0
        self.idle = self._lines.idle and not self._data
        return out

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise EngineError(f"the engine sent an event of over {self._limit} bytes")
        self._data.append(piece)

    def close(self) -> list[bytes]:
        """Nothing: by the standard an event without its blank line is discarded, and a cut one must not count."""
        self._data = []
        return []


def _plain(data: bytes) -> list[bytes]:
    """The records of bytes that are whole events of one `data: ` line each, as nearly all are; else nothing."""
    if not (data.startswith(b"data: ") and data.endswith(b"\n\n")) or b"\r" in data:
        return []
    found = data[6:-2].split(b"\n\ndata: ")
    # Only the two line ends of each event, and not one more: then there is nothing else in between.
    return found if data.count(b"\n") == 2 * len(found) else []


class LineReader:
    """Bytes -> the non-blank lines of an ndjson stream."""

    def __init__(self, limit: int = RECORD_LIMIT) -> None:
        self._lines = _Lines(limit)

    def feed(self, data: bytes) -> list[bytes]:
        """The records that these bytes complete.

        Raises:
            EngineError: a line over the limit.
        """
        return [line for line in self._lines.feed(data) if line.strip()]

    def close(self) -> list[bytes]:
        """A last line without its line end is still a record; whether it is whole JSON its reader will see."""
        rest = self._lines.close()
        return [rest] if rest.strip() else []


def record(event: bytes, data: bytes) -> bytes:
    """One server-sent event."""
    return b"event: " + event + b"\ndata: " + data + b"\n\n"
