"""THE MAIN PATH: one request, top to bottom.

Request -> plan -> question (readable, stable prefix, fits the window) -> engine -> stages -> events for the client
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from understudy.auth import Caller
from understudy.config import Limits
from understudy.engines import Facts
from understudy.engines.pool import Pool
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import EngineBlind, EngineError, PromptTooLong
from understudy.language.events import Listener, MessageStart, MessageStop, told
from understudy.language.message import Collector, Message
from understudy.language.request import Request, Text, change
from understudy.language.target import Plan, Target
from understudy.media.readable import Media
from understudy.observe import metrics
from understudy.online.access import Access
from understudy.relay import Receipt, Relay, Said, with_numbers
from understudy.request import prefix, served, window
from understudy.retry import SecondAnswer, once_more
from understudy.rounds import in_rounds
from understudy.routing import rules
from understudy.stages.line import Line
from understudy.stages.repair import Held
from understudy.store.sessions import Session, Sessions
from understudy.tokens import Ruler, measure, upper_bound


class Gateway:
    """Answers requests with the engines there are.

    Args:
        pool: the engines.
        sessions: what is remembered of conversations.
        names: `[models]` of the settings.
        new_id: makes ids from their prefix.
        limits: deadlines and defaults.
        media: pictures and documents for models that take only text.
        access: to the web, for models that are offered it.
    """

    def __init__(
        self,
        pool: Pool,
        sessions: Sessions,
        names: Mapping[str, str],
        new_id: Callable[[str], str],
        limits: Limits,
        *,
        media: Media,
        access: Access,
    ) -> None:
        self.pool = pool
        self._sessions = sessions
        self._names = names
        self._new_id = new_id
        self._limits = limits
        self._media = media
        self._access = access
        self._rulers: dict[Target, Ruler] = {}

    async def answer(self, request: Request, caller: Caller, receipt: Receipt, listener: Listener) -> None:
        """Tell the answer as it comes; the last event is terminal. Calls of web tools are run on the way.

        Raises:
            UnderstudyError: nothing has been said yet, and nobody could say it.
        """
        if not served.wanted(request):
            await self._by_plan(caller, receipt, request, listener)
            return
        await in_rounds(request, partial(self._by_plan, caller, receipt), self._access, receipt, listener)

    async def _by_plan(self, caller: Caller, receipt: Receipt, request: Request, listener: Listener) -> None:
        """One round: the first target that answers."""
        plan = rules.plan(request.model, self.pool.snapshot(), self._names)
        if request.asks_nothing:
            receipt.target, receipt.reason = plan.targets[0], plan.reason
            await told(listener, [MessageStart(self._new_id("msg_")), MessageStop("end_turn")])
            return
        failure: EngineError = EngineError("the plan was empty")
        for target in self._home_first(plan, request, caller):
            receipt.target, receipt.reason = target, plan.reason
            try:
                await self._seen(target, request, caller, receipt, listener)
            except EngineError as error:
                if receipt.said is Said.ALL:
                    return
                if receipt.said is Said.SOME or not error.retryable:
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
        await self.answer(request, caller, receipt, collector)
        return collector.finished()

    async def embed(self, request: EmbeddingRequest, receipt: Receipt) -> Embeddings:
        """Texts as vectors, by the first target that answers.

        Raises:
            UnderstudyError: none does.
        """
        plan = rules.plan(request.model, self.pool.snapshot(), self._names, embeds=True)
        if not request.inputs:
            return Embeddings(())
        failure: EngineError = EngineError("the plan was empty")
        for target in plan.targets:
            receipt.target, receipt.reason = target, plan.reason
            try:
                return await self.pool.embed(target, change(request, model=target.model.id))
            except EngineError as error:
                if not error.retryable:
                    raise
                failure = error
                metrics.FAILOVERS.labels(type(error).__name__).inc()
        raise failure

    def find(self, model: str) -> Target:
        """Who would answer for a model's name.

        Raises:
            UnderstudyError: nobody would.
        """
        return rules.plan(model, self.pool.snapshot(), self._names).targets[0]

    async def count(self, request: Request, caller: Caller, receipt: Receipt) -> int:
        """Prompt tokens, counted by the engine that would answer; `receipt.estimated` where it cannot count.

        Raises:
            UnderstudyError: nobody would answer.
        """
        plan = rules.plan(request.model, self.pool.snapshot(), self._names)
        target = receipt.target = self._home_first(plan, request, caller)[0]
        receipt.reason = plan.reason
        session = self._session(target, request, caller)
        request = await self._media.countable(request, target, receipt)
        return await self._tokens(target, self._question(target, request, session), receipt)

    # -- one target ---------------------------------------------------------------------------------------------

    async def _seen(
        self, target: Target, request: Request, caller: Caller, receipt: Receipt, listener: Listener
    ) -> None:
        """One target's answer; asked once more, in words, where it turns out that it cannot see the pictures."""
        try:
            await self._ask(target, request, caller, receipt, listener)
        except EngineBlind:
            if receipt.said is not Said.NOTHING or not self._media.found_blind(request, target):
                raise
            await self._ask(target, request, caller, receipt, listener)

    async def _ask(
        self, target: Target, request: Request, caller: Caller, receipt: Receipt, listener: Listener
    ) -> None:
        """One target's answer, through the stages."""
        facts = self.pool.engine(target.engine).facts
        receipt.notice = facts.notice
        session = self._session(target, request, caller)
        request = await self._media.readable(request, target, receipt)
        question = self._question(target, request, session)
        prompt = self._watch_prefix(question, session, receipt)
        line, ruler = self._line(question, target, facts), self._ruler(target)
        relay = Relay(
            target,
            facts,
            session=session,
            prompt=prompt,
            line=line,
            ruler=ruler,
            receipt=receipt,
            listener=listener,
        )
        try:
            question = await self._fitted(target, question, receipt)
            await self.pool.answer(target, question, session.key, relay)
            for lost in relay.wanted()[: self._limits.tool_retries]:
                await self._once_more(lost, target, question, session, relay)
        except PromptTooLong as error:
            raise with_numbers(error, target, ruler, receipt) from error
        await relay.close()
        if relay.lost:
            self.pool.look_soon()

    async def _once_more(
        self, lost: Held, target: Target, question: Request, session: Session, relay: Relay
    ) -> None:
        """Ask for a call again that could not be mended, the engine held to its schema."""
        facts, name = self.pool.engine(target.engine).facts, lost.start.name
        asking = once_more(question, name, facts.quirks)
        if asking is None:
            return
        second = SecondAnswer(asking, self._line(change(asking, stream=False), target, facts), name)
        try:
            await self.pool.answer(target, asking, session.key, second)
        except EngineError as error:
            metrics.TOOL_RETRIES_FAILED.labels(type(error).__name__).inc()
            return  # the answer stands as it is, without the call
        if (found := second.call()) is not None:
            await relay.again(lost, *found)

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
        question = served.stripped(request)
        return change(prefix.stable(question, session.recall), model=target.model.id)

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


def _first_user_text(request: Request) -> str:
    for turn in request.turns:
        if turn.role == "user":
            return next((block.text for block in turn.blocks if isinstance(block, Text)), "")
    return ""
