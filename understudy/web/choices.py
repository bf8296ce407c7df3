"""Several answers to one question (`n`), one after the other: on local hardware the second finds the prompt in the cache."""

from collections.abc import Sequence

from understudy.auth import Caller
from understudy.dialects import SeveralEncoder
from understudy.gateway import Gateway
from understudy.language.events import Event, Failed, Listener, Slow
from understudy.language.message import Message
from understudy.language.request import Request, change
from understudy.relay import Receipt
from understudy.web.outlet import Outlet


async def all_whole(
    gateway: Gateway, request: Request, caller: Caller, receipt: Receipt
) -> Sequence[Message]:
    """Every answer.

    Raises:
        UnderstudyError: one of them failed.
    """
    receipts = [receipt, *(Receipt() for _ in range(request.n - 1))]
    messages = [
        await gateway.whole(_nth(request, number), caller, each) for number, each in enumerate(receipts)
    ]
    _sum_up(receipts)
    return messages


class InTurn:
    """Streams the answers, each whole before the next begins. What is told last is told to the outlet itself: it ends it.

    Args:
        gateway: who answers.
        request: the question.
        caller: who asks.
        receipt: of the first answer, and of all in the end.
        outlet: where they are written.
        encoder: writes them.
    """

    def __init__(
        self,
        gateway: Gateway,
        request: Request,
        caller: Caller,
        receipt: Receipt,
        *,
        outlet: Outlet,
        encoder: SeveralEncoder,
    ) -> None:
        self._gateway = gateway
        self._request = request
        self._caller = caller
        self._receipts = [receipt, *(Receipt() for _ in range(request.n - 1))]
        self._outlet = outlet
        self._encoder = encoder

    async def answer(self, listener: Listener) -> None:
        """All answers; see `Gateway.answer`."""
        *before, last = self._receipts
        for number, receipt in enumerate(before):
            part = _Part(self._outlet, self._encoder)
            await self._gateway.answer(_nth(self._request, number), self._caller, receipt, part)
            if part.failed:
                return
            self._encoder.another()
        await self._gateway.answer(_nth(self._request, len(before)), self._caller, last, listener)
        _sum_up(self._receipts)


class _Part:
    """A `Listener` for an answer after which another one comes: its end is not the end of the stream."""

    def __init__(self, outlet: Outlet, encoder: SeveralEncoder) -> None:
        self._outlet = outlet
        self._encoder = encoder
        self.failed = False

    def tell(self, events: list[Event]) -> Slow:
        """See `Listener`."""
        if isinstance(events[-1], Failed):
            self.failed = True
            return self._outlet.tell(events)
        data = self._encoder.encode(events)
        return self._outlet.write(data) if data else None

    def more(self, text: str) -> Slow:
        """See `Listener`."""
        return self._outlet.more(text)


def _nth(request: Request, number: int) -> Request:
    """The question for one answer; a seed that is given must not make them all the same."""
    sampling = request.sampling
    if sampling.seed is not None:
        sampling = change(sampling, seed=sampling.seed + number)
    return change(request, n=1, sampling=sampling)


def _sum_up(receipts: Sequence[Receipt]) -> None:
    """The first receipt speaks for all of them."""
    first = receipts[0]
    tokens = sum(receipt.usage.output_tokens for receipt in receipts)
    first.usage = change(first.usage, output_tokens=tokens)
