"""An answer in rounds: a model calls a tool of the web, the gateway runs it, and the model goes on with what was found.

    question -> round -> calls -> results -> question with both -> round -> ... -> one answer, one usage, one end

The next round's question has what the client was told, and nothing else: it is the very question that the client would
ask by sending the answer back. So the prompt only grows, and an engine's cached prefix goes on.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from understudy.language.errors import UnderstudyError
from understudy.language.events import Event, Failed, Listener, MessageStop, Slow, told
from understudy.language.request import Request, change
from understudy.online.access import Access, Errand
from understudy.relay import Receipt, Said
from understudy.stages.serving import Serving

Ask = Callable[[Request, Listener], Awaitable[None]]
"""Asks one round of whoever answers; see `Gateway.answer`."""
SHARE = 4
"""A round's results may fill this part of the window: 1/SHARE."""


async def in_rounds(request: Request, ask: Ask, access: Access, receipt: Receipt, listener: Listener) -> None:
    """Tell the whole answer; the last event is terminal.

    Raises:
        UnderstudyError: nothing has been said yet, and nobody could say it.
    """
    serving, used, left = Serving(request), Counter[str](), access.rounds
    round_ = _Round(serving, listener)
    await ask(request, round_)
    while serving.waiting:
        left -= 1
        errands = _errands(serving, used, receipt)
        results = await asyncio.gather(*map(access.run, errands))
        events = serving.results(results, last=not left)
        await told(listener, events)
        if isinstance(events[-1], MessageStop):
            break
        receipt.said = Said.NOTHING  # of the next round
        try:
            await ask(serving.request, round_)
        except UnderstudyError as error:
            await told(listener, [Failed(error)])
    receipt.said = Said.ALL
    receipt.usage = change(receipt.usage, output_tokens=serving.written)


def _errands(serving: Serving, used: Counter[str], receipt: Receipt) -> list[Errand]:
    """The waiting calls, each with how often its tool was called before it."""
    window = receipt.target.model.context if receipt.target is not None else 0
    room = window // (SHARE * len(serving.waiting))
    errands = []
    for call in serving.waiting:
        errands.append(Errand(call, serving.tools[call.name], serving.request, used[call.name], room))
        used[call.name] += 1
    return errands


class _Round:
    """A `Listener` to every round, which tells the client one answer."""

    def __init__(self, serving: Serving, listener: Listener) -> None:
        self._serving = serving
        self._listener = listener

    def more(self, text: str) -> Slow:
        """See `Listener`."""
        self._serving.more(text)
        return self._listener.more(text)

    def tell(self, events: list[Event]) -> Slow:
        """See `Listener`."""
        out = self._serving.feed(events)
        return self._listener.tell(out) if out else None
