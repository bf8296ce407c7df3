r"""The bytes around the text of a stream's records, which stay the same from one record to the next.

    {"id":"c1","object":"chat.completion.chunk",...,"choices":[{"index":0,"delta":{"content":"  TEXT  "},...}]}
    '------------------------------- head --------------------------------------'      '------ tail -----'

A record with the head and the tail of one that said text and nothing else, and with a JSON string in between, says that
text and nothing else too: only the string need be read. Nothing is guessed; whatever differs is read as a whole.
"""

import re

import msgspec

from understudy.dialects.openai_wire import Choice, Chunk, Delta
from understudy.language.jsontext import BROKEN

_CONTENT = re.compile(rb'"content"\s*:\s*"((?:[^"\\]|\\.)*)"')
_PATIENCE = 4
"""Frames that may be learnt in vain: some engines number their records."""
_PROBE = "probe"

_string = msgspec.json.Decoder(str).decode
_chunk = msgspec.json.Decoder(Chunk).decode


class Frame:
    """Learns from whole records, and reads the text out of those that are framed alike."""

    def __init__(self) -> None:
        self._record = _Ends()
        self._event = _Ends()
        self._patience = _PATIENCE

    def text(self, record: bytes) -> str:
        """The text of a record that says nothing else; "" for one that has to be read as a whole."""
        return self._between(self._record, record)

    def event_text(self, data: bytes) -> str:
        """The same, for bytes that are one whole server-sent event with such a record; "" for all others."""
        return self._between(self._event, data)

    def _between(self, ends: "_Ends", data: bytes) -> str:
        if not (data.startswith(ends.head) and data.endswith(ends.tail)):
            return ""
        try:
            found = _string(data[ends.start : len(data) - ends.rest])
        except BROKEN:  # not one string: something else stands between head and tail
            return ""
        if self._patience < _PATIENCE:
            self._patience += 1
        return found

    def learn(self, record: bytes, chunk: Chunk) -> None:
        """Take the frame of a record that was read, if it says text and nothing else."""
        if self._patience == 0 or not _only_text(chunk):
            return
        self._patience -= 1
        place = _CONTENT.search(record)
        if place is None:
            return
        head, tail = record[: place.start(1)], record[place.end(1) :]
        probe = _chunk(head + _PROBE.encode() + tail)
        if _only_text(probe) and probe.choices and probe.choices[0] == Choice(delta=Delta(_PROBE)):
            self._record = _Ends(head, tail)
            self._event = _Ends(b"data: " + head, tail + b"\n\n")


class _Ends:
    """What stands before and after a string, its quotes included; `start` and `rest` are where these begin."""

    def __init__(self, head: bytes = b"?", tail: bytes = b"") -> None:
        self.head = head  # no record begins with a question mark
        self.tail = tail
        self.start = len(head) - 1
        self.rest = len(tail) - 1


def _only_text(chunk: Chunk) -> bool:
    """Whether all that this record says is a piece of text of the first choice."""
    choices = chunk.choices
    if choices is None or len(choices) != 1 or choices[0].delta is None:
        return False
    text = choices[0].delta.content
    return bool(text) and chunk == Chunk([Choice(delta=Delta(text))], model=chunk.model, object=chunk.object)
