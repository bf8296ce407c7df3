"""What is remembered of a conversation: where it lives, how the engine wrote its turns, what its last prompt looked like.

Bounded: the least recently used sessions are forgotten first. A forgotten session loses time, never an answer: the client's
own replay is used instead.
"""

from collections import OrderedDict
from collections.abc import Callable
from sys import getsizeof

from understudy.language.request import Text, Thinking, ToolUse, Turn
from understudy.language.target import Home
from understudy.request.prefix import Fingerprint, Recalled

SESSION_COST = 2048
"""Bytes a session costs beside its turns and its fingerprint."""
TURN_COST = 512
CALL_COST = 512
"""Bytes of a tool call beside its text: the structs, both ids, and the entries that lead to them."""
HOMES = 20_000
"""Conversations whose home is known: some 10 MB, and more than anybody has in a day."""
MARK_COST = 256
"""Bytes of one mark of a fingerprint."""


class Session:
    """One conversation with one target's model.

    Args:
        key: which one.
        resized: told by how many bytes the session grew; negative when it shrank.
    """

    def __init__(self, key: str, resized: Callable[["Session", int], None]) -> None:
        self.key = key
        self.size = SESSION_COST
        self._resized = resized
        self._fingerprint: Fingerprint = ()
        self._turns: dict[str, Recalled] = {}

    @property
    def fingerprint(self) -> Fingerprint:
        """What the last prompt looked like; () where there was none, or it was forgotten."""
        return self._fingerprint

    @fingerprint.setter
    def fingerprint(self, now: Fingerprint) -> None:
        grown = MARK_COST * (len(now) - len(self._fingerprint))
        self._fingerprint = now
        self.size += grown
        self._resized(self, grown)

    def recall(self, tool_use_id: str) -> Recalled | None:
        """The turn in which the client saw this id."""
        return self._turns.get(tool_use_id)

    def remember(self, turn: Turn, ids: dict[str, str]) -> None:
        """Keep a turn under each of its client ids; whatever stood under one of them is forgotten."""
        if not ids:
            return
        before = self.size
        for client_id in ids:
            self._drop(self._turns.get(client_id))
        recalled = Recalled(turn, ids)
        self._turns |= dict.fromkeys(ids, recalled)
        self.size += _cost(recalled)
        self._resized(self, self.size - before)

    def forget(self) -> int:
        """Drop the oldest turn, after the last one the fingerprint; gives the bytes freed, 0 when nothing is left."""
        before = self.size
        if self._turns:
            self._drop(next(iter(self._turns.values())))
        else:
            self.size -= MARK_COST * len(self._fingerprint)
            self._fingerprint = ()
        return before - self.size

    def _drop(self, recalled: Recalled | None) -> None:
        if recalled is not None:
            for client_id in recalled.ids:
                del self._turns[client_id]
            self.size -= _cost(recalled)


def _cost(recalled: Recalled) -> int:
    turn = recalled.turn
    total = TURN_COST + CALL_COST * len(recalled.ids) + getsizeof(turn.verbatim)
    for block in turn.blocks:
        match block:
            case Text(text):
                total += getsizeof(text)
            case Thinking(text, signature):
                total += getsizeof(text) + getsizeof(signature)
            case ToolUse(name=name, input=json):
                total += getsizeof(name) + getsizeof(json)
            case _:
                pass  # nothing else stands in an answer
    return total


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
            session = self._sessions[key] = Session(key, self._resized)
            self._resized(session, session.size)
        self._sessions.move_to_end(key)
        return session

    def remember(self, session: Session, turn: Turn, ids: dict[str, str]) -> None:
        """See `Session.remember`."""
        session.remember(turn, ids)

    def _resized(self, session: Session, by: int) -> None:
        """Count it, if the session is still ours, and make room."""
        if self._sessions.get(session.key) is not session:
            return
        self._used += by
        while self._used > self._limit and len(self._sessions) > 1:
            _, oldest = self._sessions.popitem(last=False)
            self._used -= oldest.size
        for last in self._sessions.values():  # one endless session: its oldest turns go
            while self._used > self._limit and (freed := last.forget()):
                self._used -= freed


class Homes:
    """Where conversations live; the one that was asked least recently is forgotten first."""

    def __init__(self, limit: int = HOMES) -> None:
        self._limit = limit
        self._homes: OrderedDict[str, Home] = OrderedDict()

    def __len__(self) -> int:
        return len(self._homes)

    def find(self, talk: str) -> Home | None:
        """The home of a conversation."""
        home = self._homes.get(talk)
        if home is not None:
            self._homes.move_to_end(talk)
        return home

    def keep(self, talk: str, home: Home | None) -> None:
        """It lives there now; None for nowhere."""
        if home is None:
            self._homes.pop(talk, None)
            return
        self._homes[talk] = home
        self._homes.move_to_end(talk)
        if len(self._homes) > self._limit:
            self._homes.popitem(last=False)
