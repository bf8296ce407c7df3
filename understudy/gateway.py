"""THE MAIN PATH: one request, top to bottom.

Request -> plan -> question (stable prefix, fits the window) -> engine -> stages -> events for the client
"""

import hashlib
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing

from understudy.auth import Caller
from understudy.config import Limits
from understudy.engines import Facts
from understudy.engines.pool import Pool
from understudy.language.errors import Bug, EngineError, PromptTooLong, UnderstudyError
from understudy.language.events import Event, Failed, MessageStop, Progress, Usage
from understudy.language.message import Collector, Message
from understudy.language.request import Request, Text, Turn, change
from understudy.language.target import Plan, Target
from understudy.observe import metrics
from understudy.request import prefix, window
from understudy.routing import rules
from understudy.stages.line import Line
from understudy.store.sessions import Session, Sessions
from understudy.tokens import Ruler, measure, upper_bound

HEADER_LENGTH = 500
"""Characters of a response header's value."""
NOT_PRINTED = re.compile(r"[^ -~]")


class Receipt:
    """What became of one request, filled in on the way: the response headers and the log line are read off it."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.first_event: float | None = None
        self.target: Target | None = None
        self.reason = ""
        self.notice = ""
        self.prefix = ""
        self.usage = Usage()
        self.estimated = False
        self.prompt_size = 0
        self.tool_calls: tuple[str, ...] = ()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """For the client, as far as they are known by now."""
        cached = self.usage.cached_tokens
        reuse = f"; cached={cached}/{self.usage.input_tokens}" if cached is not None else ""
        named = {
            "x-understudy-target": str(self.target or ""),
            "x-understudy-route": self.reason,
            "x-understudy-prefix": self.prefix + reuse,
            "x-understudy-notice": self.notice,
        }
        return [(name.encode(), _header(value)) for name, value in named.items() if value]


class Gateway:
    """Answers requests with the engines there are.

    Args:
        pool: the engines.
        sessions: what is remembered of conversations.
        names: `[models]` of the settings.
        new_id: makes ids from their prefix.
        limits: deadlines and defaults.
    """

    def __init__(
        self,
        pool: Pool,
        sessions: Sessions,
        names: Mapping[str, str],
        new_id: Callable[[str], str],
        limits: Limits,
    ) -> None:
        self.pool = pool
        self._sessions = sessions
        self._names = names
        self._new_id = new_id
        self._limits = limits
        self._rulers: dict[Target, Ruler] = {}

    async def answer(
        self, request: Request, caller: Caller, receipt: Receipt
    ) -> AsyncGenerator[list[Event], None]:
        """The answer's events, in batches as they come; always ends in exactly one terminal event.

        Raises:
            UnderstudyError: nothing has been said yet, and nobody could say it.
        """
        plan = rules.plan(request.model, self.pool.snapshot(), self._names)
        failure: EngineError = EngineError("the plan was empty")
        for target in self._home_first(plan, request, caller):
            receipt.target, receipt.reason = target, plan.reason
            said: Event | None = None
            try:
                async with aclosing(self._ask(target, request, caller, receipt)) as batches:
                    async for batch in batches:
                        if said is not None or _says_something(batch):
                            said = batch[-1]
                        yield batch
            except UnderstudyError as error:
                if said is not None:
                    if not isinstance(said, MessageStop | Failed):
                        yield [Failed(error)]
                    return
                if not (isinstance(error, EngineError) and error.retryable):
                    raise
                failure = error
                metrics.FAILOVERS.labels(type(error).__name__).inc()
            else:
                return
        raise failure

    async def whole(self, request: Request, caller: Caller, receipt: Receipt) -> Message:
        """The answer as one message.

        Raises:
            UnderstudyError: there is none.
        """
        collector = Collector()
        async with aclosing(self.answer(request, caller, receipt)) as batches:
            async for batch in batches:
                for event in batch:
                    collector.feed(event)
        if collector.message is None:
            raise Bug("an answer ended without its terminal event")
        return collector.message

    async def count(self, request: Request, caller: Caller, receipt: Receipt) -> int:
        """Prompt tokens, counted by the engine that would answer; `receipt.estimated` where it cannot count.

        Raises:
            UnderstudyError: nobody would answer.
        """
        plan = rules.plan(request.model, self.pool.snapshot(), self._names)
        target = receipt.target = self._home_first(plan, request, caller)[0]
        receipt.reason = plan.reason
        session = self._session(target, request, caller)
        return await self._tokens(target, self._question(target, request, session), receipt)

    # -- one target ---------------------------------------------------------------------------------------------

    async def _ask(
        self, target: Target, request: Request, caller: Caller, receipt: Receipt
    ) -> AsyncGenerator[list[Event], None]:
        """One target's answer, through the stages; a complete one is remembered."""
        facts = self.pool.engine(target.engine).facts
        receipt.notice = facts.notice
        session = self._session(target, request, caller)
        question = self._question(target, request, session)
        prompt = self._watch_prefix(question, session, receipt)
        line = self._line(question, target, facts)
        record = Collector()
        try:
            question = await self._fitted(target, question, receipt)
            async with aclosing(self.pool.answer(target, question, session.key)) as batches:
                async for batch in batches:
                    self._note(batch, record, receipt)
                    if session.fingerprint is not prompt and not isinstance(batch[-1], Progress | Failed):
                        session.fingerprint = prompt  # the engine has read it
                    if events := self._checked(line.feed(batch), target, facts, receipt):
                        if isinstance(events[-1], MessageStop):  # before the client can ask again
                            self._remember(session, record, line, facts)
                        yield events
        except PromptTooLong as error:
            raise self._with_numbers(error, target, receipt) from error
        if events := line.close():
            yield events
        self._tally(target, receipt, line)

    def _line(self, question: Request, target: Target, facts: Facts) -> Line:
        quirks = facts.quirks
        return Line(
            question,
            target.model,
            facts.tool_syntax,
            tools=quirks.tools,
            raw=quirks.raw_text,
            new_id=self._new_id,
        )

    def _home_first(self, plan: Plan, request: Request, caller: Caller) -> Sequence[Target]:
        """The plan's targets, the one that holds this conversation's prefix before the others."""
        if len(plan.targets) == 1:
            return plan.targets
        keys = {_session_key(target, request, caller): target for target in plan.targets}
        home = self._sessions.newest(keys)
        return plan.targets if home is None else sorted(plan.targets, key=lambda t: t != keys[home])

    def _session(self, target: Target, request: Request, caller: Caller) -> Session:
        return self._sessions.of(_session_key(target, request, caller))

    def _question(self, target: Target, request: Request, session: Session) -> Request:
        """What this target is asked. Toward the Claude API nothing is touched."""
        if not self.pool.engine(target.engine).facts.local:
            return request
        return change(prefix.stable(request, session.recall), model=target.model.id)

    def _watch_prefix(self, question: Request, session: Session, receipt: Receipt) -> prefix.Fingerprint:
        """Say whether this prompt continues the last one that was read, and what broke it if not; gives its marks."""
        now, before = prefix.fingerprint(question), session.fingerprint
        broken = prefix.broken_at(before, now)
        if not before:
            receipt.prefix = "new"
        elif broken is None:
            receipt.prefix = "kept"
        else:
            receipt.prefix = f"broken at {broken.place}; kept={broken.kept:.2f}"
        metrics.PREFIX_TURNS.labels(
            broken.place.partition(".")[0] if before and broken else receipt.prefix
        ).inc()
        return now

    async def _fitted(self, target: Target, question: Request, receipt: Receipt) -> Request:
        """`max_tokens` within what the window leaves; only a prompt near the window's edge is counted."""
        size = receipt.prompt_size = measure(question)
        limit, default = target.model.context, self._limits.default_max_tokens
        wanted = question.sampling.max_tokens or default
        asking = change(question, sampling=change(question.sampling, max_tokens=wanted))
        if not limit or window.surely_fits(asking, upper_bound(size), limit):
            return asking
        ruler = self._ruler(target)
        if ruler.learnt and window.surely_fits(asking, int(ruler.estimate(size) * 1.25), limit):
            return asking
        tokens = await self._tokens(target, question, receipt)
        doubt = ruler.doubt if receipt.estimated else 0.0
        return window.fitted(question, tokens, limit, default, doubt=doubt)

    async def _tokens(self, target: Target, question: Request, receipt: Receipt) -> int:
        """Asked of the engine where it can count; else estimated, from what its earlier prompts had."""
        counted = await self.pool.count(target, question)
        if counted is None:
            receipt.estimated = True
            return self._ruler(target).estimate(measure(question))
        return counted

    def _ruler(self, target: Target) -> Ruler:
        return self._rulers.setdefault(target, Ruler())

    def _with_numbers(self, error: PromptTooLong, target: Target, receipt: Receipt) -> PromptTooLong:
        """Claude Code decides by both numbers how much to compact: whatever the engine left out is filled in."""
        maximum = error.maximum or target.model.context
        tokens = error.tokens or self._ruler(target).estimate(receipt.prompt_size)
        return PromptTooLong(max(tokens, maximum + 1), maximum)

    def _checked(self, events: list[Event], target: Target, facts: Facts, receipt: Receipt) -> list[Event]:
        """An answer to a prompt that Ollama cut without a word is no answer: it lost the system prompt."""
        last = events[-1] if events else None
        if isinstance(last, Failed) and isinstance(last.error, PromptTooLong):
            return [*events[:-1], Failed(self._with_numbers(last.error, target, receipt))]
        if facts.kind != "ollama" or not isinstance(last, MessageStop):
            return events
        seen, limit = last.usage.input_tokens, target.model.context
        estimate = self._ruler(target).estimate(receipt.prompt_size)
        if limit and estimate > limit and limit // 2 <= seen < 0.7 * estimate:
            return [*events[:-1], Failed(PromptTooLong(estimate, limit))]
        return events

    def _note(self, batch: Sequence[Event], record: Collector, receipt: Receipt) -> None:
        """Keep what the engine itself wrote, and what it says of the prompt."""
        if receipt.first_event is None:
            receipt.first_event = time.perf_counter() - receipt.began
            metrics.FIRST_EVENT.observe(receipt.first_event)
        for event in batch:
            if isinstance(event, Progress):
                receipt.usage = Usage(event.total, event.cached)
            elif isinstance(event, MessageStop):
                receipt.usage = event.usage
            if not isinstance(event, Failed):
                record.feed(event)

    def _remember(self, session: Session, record: Collector, line: Line, facts: Facts) -> None:
        """The turn in the engine's own bytes, to be replayed instead of the client's version of it."""
        if record.message is None or not facts.local:
            return
        text = "".join(block.text for block in record.blocks if isinstance(block, Text))
        verbatim = text if facts.quirks.raw_text else None
        turn = Turn("assistant", line.replayable(record.message.blocks), verbatim)
        self._sessions.remember(session, turn, line.ids())

    def _tally(self, target: Target, receipt: Receipt, line: Line) -> None:
        usage = receipt.usage
        self._ruler(target).learn(receipt.prompt_size, usage.input_tokens)
        metrics.PROMPT_TOKENS.inc(usage.input_tokens)
        metrics.CACHED_TOKENS.inc(usage.cached_tokens or 0)
        metrics.OUTPUT_TOKENS.inc(usage.output_tokens)
        receipt.tool_calls = line.outcomes()
        for outcome in receipt.tool_calls:
            metrics.TOOL_CALLS.labels(outcome).inc()


def _session_key(target: Target, request: Request, caller: Caller) -> str:
    """A conversation with one target: another model wrote other bytes."""
    return f"{session_key(request, caller)}|{target}"


def session_key(request: Request, caller: Caller) -> str:
    """Which conversation a request belongs to: Claude Code's headers, else the user named in the body and its opening.

    Side questions of the same session (a title, a web search) have no tools of the client's: they are kept apart, or each
    would seem to break the main thread's prefix.
    """
    main = "main" if any(not tool.kind for tool in request.tools) else "side"
    if caller.session:
        return f"{caller.session}/{caller.agent}/{main}"
    opening = f"{request.user}\0{_first_user_text(request)}"
    return hashlib.sha256(f"{caller.key}\0{opening}".encode(errors="replace")).hexdigest()[:24] + "/" + main


def _header(value: str) -> bytes:
    """A header's value: names in it are the client's, and may be anything."""
    return NOT_PRINTED.sub("?", value[:HEADER_LENGTH]).encode()


def _says_something(batch: Sequence[Event]) -> bool:
    """Whether the answer has begun.

    Raises:
        UnderstudyError: it failed before: as good as an exception, another target may be asked.
    """
    for event in batch:
        if isinstance(event, Failed):
            raise event.error
        if not isinstance(event, Progress):
            return True
    return False


def _first_user_text(request: Request) -> str:
    for turn in request.turns:
        if turn.role == "user":
            return next((block.text for block in turn.blocks if isinstance(block, Text)), "")
    return ""
