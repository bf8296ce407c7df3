"""Access to the web: a model's call is judged, run as far as the settings allow, and its result cut to size.

A call never fails: whatever goes wrong is a result that says so, to the client in Anthropic's words, to the model in ours,
and to the log without a word of what was looked for.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from understudy import __version__
from understudy.config import WebSettings, size_bytes
from understudy.language.request import Request
from understudy.language.web import Hit, Missed, Page, ServerToolUse, WebResult, WebTool
from understudy.observe import metrics
from understudy.observe.log import logger
from understudy.online.addresses import Resolve, resolved
from understudy.online.fetch import FetchFailed, Manners, fetch
from understudy.online.search import SearchFailed, provider, search
from understudy.request import permit, served, sites

AGENT = f"understudy/{__version__}"
CHARACTERS = 3
"""Of a token, at least: what is cut by it fits."""
AT_ONCE = 4
"""Calls that are run at the same time, for everyone together."""

Found = tuple[Hit, ...] | Page | Missed


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
        resolve: finds the addresses of a host.
    """

    def __init__(
        self, settings: WebSettings, key: str, now: Callable[[], str], resolve: Resolve = resolved
    ) -> None:
        self.rounds = settings.rounds
        self._settings = settings
        self._provider = provider(settings, key)
        self._now = now
        self._turnstile = asyncio.Semaphore(AT_ONCE)
        self._ssl = ssl.create_default_context()
        self._manners = Manners(
            settings.seconds,
            size_bytes(settings.page_limit),
            settings.private_hosts,
            self._ssl,
            AGENT,
            resolve,
        )

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
        wish = permit.wish(errand.call, errand.tool)
        if not (self._provider if errand.tool.job == "search" else self._settings.fetch):
            logger().warning("web", job=errand.tool.job, why=f"web.{errand.tool.job} is off")
            return Missed("unavailable")
        if (refused := permit.refused(wish, errand.tool, errand.request, errand.uses)) is not None:
            return refused
        run = self._search if errand.tool.job == "search" else self._fetch
        try:
            async with self._turnstile, asyncio.timeout(self._settings.seconds):
                return await run(wish, errand.tool)
        except TimeoutError:
            return Missed("unavailable" if errand.tool.job == "search" else "url_not_accessible")

    async def _search(self, wish: str, tool: WebTool) -> Found:
        if self._provider is None:
            return Missed("unavailable")
        query = f"{wish} site:{tool.allowed[0]}" if len(tool.allowed) == 1 else wish
        try:
            hits = await search(
                self._provider, query, seconds=self._settings.seconds, ssl=self._ssl, agent=AGENT
            )
        except SearchFailed as failure:
            logger().warning("web", job="search", why=failure.why)
            return failure.missed
        kept = [hit for hit in hits if self._allowed(tool, hit.url)]
        return tuple(kept[: self._settings.results])

    async def _fetch(self, wish: str, tool: WebTool) -> Found:
        try:
            return await fetch(wish, self._manners, partial(self._allowed, tool), self._now())
        except FetchFailed as failure:
            return failure.missed

    def _allowed(self, tool: WebTool, url: str) -> bool:
        """By the client, and by whoever runs this gateway."""
        return sites.allowed(url, tool.allowed, tool.blocked) and sites.allowed(
            url, (), self._settings.blocked
        )
