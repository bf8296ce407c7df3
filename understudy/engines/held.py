"""An engine outside the house while nothing may leave it: shown to people, and never asked anything."""

from typing import NoReturn

from understudy.engines import Facts
from understudy.language.embedding import EmbeddingRequest
from understudy.language.errors import KeptHere
from understudy.language.events import Listener
from understudy.language.request import Request
from understudy.language.target import Model

WHY = 'held back by [privacy] mode = "local-only"'


class HeldEngine:
    """See `Engine`. It has no way to reach anything: there is nothing in it that could open a connection.

    Args:
        facts: what it would be.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    async def start(self) -> None:
        """Nothing."""

    async def models(self) -> tuple[Model, ...]:
        """Never asked for them."""
        return ()

    async def answer(self, request: Request, session: str, listener: Listener) -> None:
        """Refuses."""
        del request, session, listener
        self._refuse()

    async def embed(self, request: EmbeddingRequest) -> NoReturn:
        """Refuses."""
        del request
        self._refuse()

    async def count(self, request: Request) -> int | None:
        """Refuses."""
        del request
        self._refuse()

    async def aclose(self) -> None:
        """Nothing."""

    def _refuse(self) -> NoReturn:
        raise KeptHere(f"{self.facts.name} is {self.facts.held}")
