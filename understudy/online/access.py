"""Access to the web: a model's call is judged, run as far as the settings allow, and its result cut to size.

A call never fails: whatever goes wrong is a result that says so, to the client in Anthropic's words, to the model in ours,
and to the log without a word of what was looked for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import Struct

from understudy.config import WebSettings
from understudy.language.request import Request
from understudy.language.web import Hit, Missed, Page, ServerToolUse, WebResult, WebTool
from understudy.observe import metrics
from understudy.observe.log import logger
from understudy.online.manners import Manners, ReadPdf
from understudy.online.providers import Provider, provider
from understudy.request import permit, served, sites

CHARACTERS = 3
"""Of a token, at least: what is cut by it fits."""
AT_ONCE = 4
"""Calls that are run at the same time, for everyone together."""

Found = tuple[Hit, ...] | Page | Missed
Way = Callable[[str, WebTool], Awaitable[Found]]
"""Runs a call that may be run: what is wished, and what the client lets be done."""


class Errand(Struct, frozen=True):
    """A call, and what must be known to run it.

    Attributes:
        call: as the model made it.
        tool: what the client lets be done.
        request: the conversation so far.
        uses: how often the tool was called before, for this question.
        tokens: the most there is room for; 0 where nobody knows.
    """

    call: ServerToolUse
    tool: WebTool
    request: Request
    uses: int
    tokens: int = 0


class Access:
    """Runs the calls of everyone.

    Args:
        settings: `[web]`.
        key: of the provider, if it wants one.
        now: the time, in ISO 8601.
        pdf: the text of a PDF in base64.
    """

    def __init__(self, settings: WebSettings, key: str, now: Callable[[], str], pdf: ReadPdf) -> None:
        self.rounds = settings.rounds
        self._settings = settings
        self._provider = provider(settings, key)
        self._manners = Manners(settings, pdf)
        self._now = now
        self._turnstile = asyncio.Semaphore(AT_ONCE)

    async def run(self, errand: Errand) -> WebResult:
        """What came of a call."""
        found = await self._found(errand)
        job = errand.tool.job
        metrics.WEB_CALLS.labels(job, found.code if isinstance(found, Missed) else "found").inc()
        return served.clipped(WebResult(errand.call.id, job, found), self._size(errand))

    def _size(self, errand: Errand) -> int:
        """Characters of a result."""
        limits = (self._settings.page_tokens, errand.tool.max_tokens, errand.tokens)
        return CHARACTERS * min(limit for limit in limits if limit)

    async def _found(self, errand: Errand) -> Found:
        tool, wish = errand.tool, permit.wish(errand.call, errand.tool)
        if (way := self._way(tool)) is None:
            logger().warning("web", job=tool.job, why=f"web.{tool.job} is off")
            return Missed("unavailable")
        if (refused := permit.refused(wish, tool, errand.request, errand.uses)) is not None:
            return refused
        try:
            async with self._turnstile, asyncio.timeout(self._manners.seconds):
                return await way(wish, tool)
        except TimeoutError:
            return Missed("unavailable" if tool.job == "search" else "url_not_accessible")

    def _way(self, tool: WebTool) -> Way | None:
        """How such a call is run; None where the settings do not allow it."""
        if tool.job == "search":
            return partial(self._search, self._provider) if self._provider else None
        return self._fetch if self._settings.fetch else None

    async def _search(self, provider: Provider, wish: str, tool: WebTool) -> Found:
        from understudy.online.search import search  # noqa: PLC0415 - httpx costs a tenth of a second, and most go without

        query = f"{wish} site:{tool.allowed[0]}" if len(tool.allowed) == 1 else wish
        found = await search(provider, query, self._manners)
        if isinstance(found, Missed):
            return found
        kept = [hit for hit in found if self._allowed(tool, hit.url)]
        return tuple(kept[: self._settings.results])

    async def _fetch(self, wish: str, tool: WebTool) -> Found:
        from understudy.online.fetch import fetch  # noqa: PLC0415 - see above

        return await fetch(wish, self._manners, partial(self._allowed, tool), self._now())

    def _allowed(self, tool: WebTool, url: str) -> bool:
        """By the client, and by whoever runs this gateway."""
        return sites.allowed(url, tool.allowed, tool.blocked) and sites.allowed(
            url, (), self._settings.blocked
        )
