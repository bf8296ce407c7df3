"""What is remembered of a conversation: how the engine wrote its turns, and what its last prompt looked like.

Bounded: the least recently used sessions are forgotten first. A forgotten session loses time, never an answer: the client's
own replay is used instead.
"""

from collections import OrderedDict

from understudy.language.request import Text, Thinking, ToolUse, Turn
from understudy.request.prefix import Fingerprint, Recalled

SESSION_COST = 2048
"""Bytes a session costs beside its turns."""


class Session:
    """One conversation with one target's model."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.fingerprint: Fingerprint = ()
        self.prompt_tokens = 0
        self.size = SESSION_COST
        self._turns: dict[str, Recalled] = {}

    def recall(self, tool_use_id: str) -> Recalled | None:
        """The turn in which the client saw this id."""
        return self._turns.get(tool_use_id)

    def remember(self, turn: Turn, ids: dict[str, str]) -> int:
        """Keep a turn under each of its client ids; gives the bytes it takes."""
        if not ids:
            return 0
        recalled = Recalled(turn, ids)
        for client_id in ids:
            self._turns[client_id] = recalled
        cost = _cost(turn)
        self.size += cost
        return cost

    def forget(self) -> int:
        """Drop the oldest turn; gives the bytes it took, 0 when there is none."""
        if not self._turns:
            return 0
        oldest = next(iter(self._turns.values()))
        for client_id in oldest.ids:
            self._turns.pop(client_id, None)
        freed = _cost(oldest.turn)
        self.size -= freed
        return freed


def _cost(turn: Turn) -> int:
    total = len(turn.verbatim or "")
    for block in turn.blocks:
        if isinstance(block, Text | Thinking):
            total += len(block.text)
        elif isinstance(block, ToolUse):
            total += len(block.input)
    return 2 * total + 512


class Sessions:
    """All sessions, within `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def of(self, key: str) -> Session:
        """The session of that key, new if it is unknown."""
        session = self._sessions.get(key)
        if session is None:
            session = self._sessions[key] = Session(key)
            self._used += session.size
            self._shrink()
        self._sessions.move_to_end(key)
        return session

    def remember(self, session: Session, turn: Turn, ids: dict[str, str]) -> None:
        """See `Session.remember`."""
        cost = session.remember(turn, ids)
        if self._sessions.get(session.key) is session:
            self._used += cost
            self._shrink()

    def _shrink(self) -> None:
        while self._used > self._limit and len(self._sessions) > 1:
            _, oldest = self._sessions.popitem(last=False)
            self._used -= oldest.size
        for session in self._sessions.values():  # one endless session: its oldest turns go
            while self._used > self._limit and (freed := session.forget()):
                self._used -= freed
