r"""The bytes around the text of a stream's records, which stay the same from one record to the next.

    {"id":"c1","object":"chat.completion.chunk",...,"choices":[{"index":0,"delta":{"content":"  TEXT  "},...}]}
    '------------------------------- head --------------------------------------'      '------ tail -----'

A record with the head and the tail of one that said text and nothing else, and with a JSON string in between, says that
text and nothing else too: only the string need be read. Nothing is guessed; whatever differs is read as a whole.
"""

import re

import msgspec

from understudy.dialects.openai_wire import BROKEN, Choice, Chunk, Delta

_CONTENT = re.compile(rb'"content"\s*:\s*"((?:[^"\\]|\\.)*)"')
_PATIENCE = 4
"""Frames that may be learnt in vain: some engines number their records."""
_PROBE = "probe"

_string = msgspec.json.Decoder(str).decode
_chunk = msgspec.json.Decoder(Chunk).decode


class Frame:
    """Learns from whole records, and reads the text out of those that are framed alike."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._patience = _PATIENCE

    def text(self, record: bytes) -> str | None:
        """The text of a record that says nothing else; None for one that has to be read as a whole."""
        head, tail = self._head, self._tail
        if not head or not record.startswith(head) or not record.endswith(tail):
            return None
        try:
            found = _string(record[len(head) - 1 : len(record) - len(tail) + 1])
        except BROKEN:  # not one string: something else stands between head and tail
            return None
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
            self._head, self._tail = head, tail


def _only_text(chunk: Chunk) -> bool:
    """Whether all that this record says is a piece of text of the first choice."""
    choices = chunk.choices
    if choices is None or len(choices) != 1 or choices[0].delta is None:
        return False
    text = choices[0].delta.content
    return bool(text) and chunk == Chunk([Choice(delta=Delta(text))], model=chunk.model, object=chunk.object)
