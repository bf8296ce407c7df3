"""Answered questions of the Responses API, by the id of their answer: later questions go on from there.

Only the caller who made an answer can read it. What is kept is bounded in bytes: the answers least recently used go first,
and whoever goes on from an answer uses all those before it, so that no conversation loses its beginning before its end.
In memory a restart forgets everything. Another keeper (Redis) has the same five methods.
"""

from collections import OrderedDict
from typing import Protocol

from msgspec import Struct

from understudy.language.errors import BadField

RECORD_COST = 1024
"""Bytes of a record beside its texts."""
ITEM_COST = 64
"""Bytes of one item beside its text."""
GONE_ON_FROM = ("completed", "incomplete")
"""How an answer ends from which a question may go on."""


class Record(Struct, frozen=True):
    """One question and its answer.

    Attributes:
        owner: the caller's key, by its short name.
        id: of the answer.
        status: how it ended.
        body: the answer, as it is shown.
        asked: the question's own items.
        said: the answer's items.
        previous: the answer that this one goes on from; "" where it is a beginning.
        conversation: the conversation it belongs to, if it was given a name.
        background: whether it was answered in the background.
    """

    owner: str
    id: str
    status: str
    body: bytes
    asked: tuple[bytes, ...]
    said: tuple[bytes, ...]
    previous: str = ""
    conversation: str = ""
    background: bool = False


class Responses(Protocol):
    """Keeps records. Whoever asks is named first; what belongs to others does not exist for them."""

    async def keep(self, record: Record) -> None:
        """Keep one; it is now the newest of its conversation."""
        ...

    async def find(self, owner: str, answer: str) -> Record | None:
        """The record of that answer."""
        ...

    async def chain(self, owner: str, answer: str) -> list[Record]:
        """The record of that answer and all that it goes on from, newest first, as far as they are still kept."""
        ...

    async def newest(self, owner: str, conversation: str) -> str:
        """The newest answer of that conversation; "" where there is none."""
        ...

    async def drop(self, owner: str, answer: str) -> bool:
        """Forget one; False where there was none."""
        ...


async def history(store: Responses, owner: str, answer: str) -> tuple[bytes, ...]:
    """Everything that was said up to that answer, oldest first; () for "".

    Raises:
        BadField: it is not there, or something before it is not there any more.
    """
    records = await store.chain(owner, answer)
    missing = records[-1].previous if records else answer
    if records and records[0].status not in GONE_ON_FROM:
        missing = answer
    if missing:
        raise BadField(
            "previous_response_id",
            f"Previous response with id '{missing}' not found.",
            "previous_response_not_found",
        )
    return tuple([item for record in reversed(records) for item in (*record.asked, *record.said)])


class MemoryResponses:
    """See `Responses`. Within `limit` bytes; a record over it is not kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._records: OrderedDict[tuple[str, str], Record] = OrderedDict()
        self._newest: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._records)

    @property
    def used(self) -> int:
        """Bytes."""
        return self._used

    async def keep(self, record: Record) -> None:
        """Keep one, and make room for it."""
        self._forget((record.owner, record.id))
        if cost(record) > self._limit:
            return
        self._records[record.owner, record.id] = record
        self._used += cost(record)
        if record.conversation:
            self._newest[record.owner, record.conversation] = record.id
        await self.chain(record.owner, record.id)
        while self._used > self._limit:
            self._forget(next(iter(self._records)))

    async def find(self, owner: str, answer: str) -> Record | None:
        """The record of that answer."""
        return self._records.get((owner, answer))

    async def chain(self, owner: str, answer: str) -> list[Record]:
        """See `Responses.chain`. All of them are now the last to be forgotten, the oldest of them the very last."""
        out = []
        while (record := self._records.get((owner, answer))) is not None:
            out.append(record)
            self._records.move_to_end((owner, answer))
            answer = record.previous
        return out

    async def newest(self, owner: str, conversation: str) -> str:
        """The newest answer of that conversation."""
        return self._newest.get((owner, conversation), "")

    async def drop(self, owner: str, answer: str) -> bool:
        """Forget one."""
        return self._forget((owner, answer))

    def _forget(self, key: tuple[str, str]) -> bool:
        record = self._records.pop(key, None)
        if record is None:
            return False
        self._used -= cost(record)
        named = (record.owner, record.conversation)
        if self._newest.get(named) == record.id:
            del self._newest[named]
        return True


def cost(record: Record) -> int:
    """Bytes a record takes."""
    items = (*record.asked, *record.said)
    return RECORD_COST + len(record.body) + sum([ITEM_COST + len(item) for item in items])
