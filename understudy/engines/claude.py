"""The Claude API: the client's own bytes, but for what it would refuse of a conversation that other models had a part in.

What can be known is changed before (`request.handover`). What only the API knows it says in a refusal, before anything is
told: thinking of another account or conversation that looks signed, and system messages for a model that has no place for
them. That is remembered, mended, and asked once more.
"""

import re
from collections import OrderedDict
from functools import cached_property

from understudy.dialects import verbatim_dialect
from understudy.engines.remote import RemoteEngine
from understudy.language.errors import EngineRefused
from understudy.language.events import Listener
from understudy.language.request import Request
from understudy.request.handover import applied, edits, marks

UNSIGNED = re.compile(r"thinking\W.*(signature|cannot be modified|bound to)|signature\W.*thinking", re.DOTALL)
"""Thinking that it does not take for its own, or not at this place: "messages.1.content.0: Invalid `signature` in `thinking`
block", "`thinking` blocks in the latest assistant message cannot be modified"."""
SYSTEM = re.compile(r"\brole\b.*system|system.*\brole\b", re.DOTALL | re.IGNORECASE)
"""No place for system messages in the conversation: 'messages: Unexpected role "system"'."""
REMEMBERED = 20_000
"""Marks of thinking that was refused."""


class Claude(RemoteEngine):
    """See `RemoteEngine`."""

    @cached_property
    def _refused(self) -> OrderedDict[str, None]:
        """Marks of thinking that it refused."""
        return OrderedDict()

    @cached_property
    def _folded(self) -> set[str]:
        """Models that have no place for system messages."""
        return set()

    def render(self, request: Request) -> bytes:
        """The body: the client's bytes with what must change, where it speaks this dialect; else one of ours."""
        what = edits(request, self._refused)
        if self.carries(request):
            return verbatim_dialect(self._kind.dialect).handed_over(
                request, what.blocks, unthinking=what.unthinking, fold=request.model in self._folded
            )
        return super().render(applied(request, what))

    async def answer(self, request: Request, session: str, listener: Listener) -> None:
        """See `Engine.answer`."""
        try:
            await super().answer(request, session, listener)
        except EngineRefused as error:
            if not self._learnt(request, error.message):
                raise
            await super().answer(request, session, listener)

    def _learnt(self, request: Request, words: str) -> bool:
        """Whether a refusal says something new, so that the question would be another one now."""
        if UNSIGNED.search(words):
            new = marks(request) - self._refused.keys()
            self._refused.update(dict.fromkeys(sorted(new)))
            while len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)
            return bool(new)
        if SYSTEM.search(words) and request.model not in self._folded:
            self._folded.add(request.model)
            return self.carries(request) and any(turn.role == "system" for turn in request.turns)
        return False
