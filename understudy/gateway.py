"""THE MAIN PATH: one request, top to bottom.

Request -> plan -> question (readable, stable prefix, fits the window) -> engine -> stages -> events for the client
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from understudy.auth import Caller
from understudy.border import NOTHING, Border, Crossing
from understudy.config import Limits
from understudy.engines import Facts
from understudy.engines.pool import Pool
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import EngineBlind, EngineError, PromptTooLong, UnderstudyError
from understudy.language.events import Listener, MessageStart, MessageStop, told
from understudy.language.message import Collector, Message
from understudy.language.request import NOTHING_PASSED, Request, change
from understudy.language.target import Plan, Target
from understudy.ledger import Ledger
from understudy.media.readable import Media
from understudy.observe import metrics
from understudy.online.access import Access
from understudy.relay import Receipt, Relay, Said, with_numbers
from understudy.request import prefix, served, window
from understudy.retry import SecondAnswer, once_more
from understudy.rounds import in_rounds
from understudy.router import Explanation, Router
from understudy.routing import parameters
from understudy.routing.redact import Restorer
from understudy.routing.staying import Failure, last_word, passes_on, worth_asking
from understudy.stages.line import Line
from understudy.stages.repair import Held
from understudy.store.sessions import Session, Sessions
from understudy.tokens import Ruler, measure, upper_bound


class Gateway:
    """Answers requests with the engines there are.

    Args:
        pool: the engines.
        router: who answers what.
        sessions: what is remembered of conversations.
        new_id: makes ids from their prefix.
        limits: deadlines and defaults.
        border: what may leave the house.
        ledger: what is spent and saved.
        media: pictures and documents for models that take only text.
        access: to the web, for models that are offered it.
    """

    def __init__(
        self,
        pool: Pool,
        router: Router,
        sessions: Sessions,
        new_id: Callable[[str], str],
        limits: Limits,
        *,
        border: Border,
        ledger: Ledger,
        media: Media,
        access: Access,
    ) -> None:
        self.pool = pool
        self._router = router
        self._sessions = sessions
        self._new_id = new_id
        self._limits = limits
        self._border = border
        self._ledger = ledger
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
        request = change(request, passed=caller.passed)
        plan = self._router.plan(request, caller, self.pool.snapshot())
        receipt.task = plan.task
        if request.asks_nothing:
            receipt.target, receipt.reason = plan.targets[0], plan.reason
            await told(listener, [MessageStart(self._new_id("msg_")), MessageStop("end_turn")])
            return
        failures: list[Failure] = []
        for target in plan.targets:
            if not worth_asking(target, failures):
                continue
            receipt.target, receipt.reason = target, self._router.depart(plan, target, failures)
            try:
                crossing = self._crossing(target, request, caller)
                await self._counted(target, crossing, plan, receipt, listener)
            except UnderstudyError as error:
                if receipt.said is Said.ALL:
                    return
                if receipt.said is Said.SOME or not passes_on(error):
                    raise
                failures.append((target, error))
            else:
                self._router.arrive(plan, target, receipt.usage.input_tokens, failures)
                return
        self._router.strand(plan)
        raise last_word(failures)

    async def whole(self, request: Request, caller: Caller, receipt: Receipt) -> Message:
        """The answer as one message.

        Raises:
            UnderstudyError: there is none.
        """
        collector = Collector()
        await self.answer(request, caller, receipt, collector)
        return collector.finished()

    async def embed(self, request: EmbeddingRequest, caller: Caller, receipt: Receipt) -> Embeddings:
        """Texts as vectors, by the first target that answers.

        Raises:
            UnderstudyError: none does.
        """
        plan = self._router.embedders(request.model, self.pool.snapshot())
        if not request.inputs:
            return Embeddings(())
        failure: EngineError = EngineError("the plan was empty")
        for target in plan.targets:
            receipt.target, receipt.reason = target, plan.reason
            if not self.pool.engine(target.engine).facts.local:
                request = self._border.embedding(request, caller, target)
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
        return self.answerers(model)[0]

    async def count(self, request: Request, caller: Caller, receipt: Receipt) -> int:
        """Prompt tokens, counted by the engine that would answer; `receipt.estimated` where it cannot count.

        Raises:
            UnderstudyError: nobody would answer.
        """
        request = change(request, passed=caller.passed)
        plan = self._router.plan(request, caller, self.pool.snapshot())
        target = receipt.target = plan.targets[0]
        receipt.reason = plan.reason
        request = self._crossing(target, request, caller).request
        request = await self._media.countable(request, target, receipt)
        question = self._question(target, request, plan, self._session(target, plan))
        return await self._tokens(target, question, receipt)

    def explain(self, request: Request, caller: Caller) -> Explanation:
        """What would become of a request; nothing is asked of anybody.

        Raises:
            BadRequest: the task that the client says is none.
        """
        return self._router.explain(request, caller, self.pool.snapshot())

    def answerers(self, model: str) -> Sequence[Target]:
        """Who may answer a question of which only the model's name is known, the likeliest first.

        Raises:
            UnderstudyError: nobody.
        """
        return self._router.answerers(model, self.pool.snapshot())

    # -- one target ---------------------------------------------------------------------------------------------

    async def _counted(
        self, target: Target, crossing: Crossing, plan: Plan, receipt: Receipt, listener: Listener
    ) -> None:
        """One target's answer, and in the ledger what there was of it."""
        asked, outside = crossing.request, crossing.outside
        try:
            with self._held(target, asked) if outside else nullcontext():
                await self._seen(target, crossing, plan, receipt, listener)
        finally:
            if receipt.said is not Said.NOTHING:
                self._ledger.enter(
                    target,
                    receipt.usage,
                    asked=asked.model,
                    key=crossing.key,
                    task=plan.task,
                    outside=outside,
                )

    def _held(self, target: Target, request: Request) -> AbstractContextManager[None]:
        """What an answer from outside costs at least counts while it lasts."""
        return self._ledger.hold(target, self._ruler(target).estimate(measure(request)))

    async def _seen(
        self, target: Target, crossing: Crossing, plan: Plan, receipt: Receipt, listener: Listener
    ) -> None:
        """One target's answer; asked once more, in words, where it turns out that it cannot see the pictures."""
        try:
            await self._ask(target, crossing, plan, receipt, listener)
        except EngineBlind:
            if receipt.said is not Said.NOTHING or not self._media.found_blind(crossing.request, target):
                raise
            await self._ask(target, crossing, plan, receipt, listener)

    async def _ask(
        self, target: Target, crossing: Crossing, plan: Plan, receipt: Receipt, listener: Listener
    ) -> None:
        """One target's answer, through the stages."""
        facts = self.pool.engine(target.engine).facts
        receipt.notice = facts.notice
        session = self._session(target, plan)
        request = await self._media.readable(crossing.request, target, receipt)
        question = self._question(target, request, plan, session)
        prompt = self._watch_prefix(question, session, receipt)
        line, ruler = self._line(question, target, facts, crossing.values), self._ruler(target)
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

    def _crossing(self, target: Target, request: Request, caller: Caller) -> Crossing:
        """The request as it may go to this target: with a permit where that is outside the house.

        Raises:
            KeptHere: it may not.
        """
        if self.pool.engine(target.engine).facts.local:
            return Crossing(request, caller.key)
        return self._border.crossing(request, caller, target)

    def _line(
        self, question: Request, target: Target, facts: Facts, values: Mapping[str, str] = NOTHING
    ) -> Line:
        quirks = facts.quirks
        return Line(
            question,
            target.model,
            facts.tool_syntax,
            tools=quirks.tools,
            raw=quirks.raw_text,
            new_id=self._new_id,
            restorer=partial(Restorer, values) if values else None,
        )

    def _session(self, target: Target, plan: Plan) -> Session:
        """The conversation with one target: another model wrote other bytes."""
        return self._sessions.of(f"{plan.stay.session}|{target}")

    def _question(self, target: Target, request: Request, plan: Plan, session: Session) -> Request:
        """What this target is asked. Where the client's bytes pass, nothing is touched."""
        facts = self.pool.engine(target.engine).facts
        if facts.raw:
            return change(request, model=target.model.id)
        drawn = parameters.filled(served.stripped(request), plan.task, self._router.settings.parameters)
        passed = request.passed if facts.pass_key else NOTHING_PASSED
        return change(prefix.stable(drawn, session.recall), model=target.model.id, passed=passed)

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
        """`max_tokens` within what the window leaves; only a prompt near the window's edge is counted.

        What passes untouched is left as it is.
        """
        size = receipt.prompt_size = measure(question)
        if self.pool.engine(target.engine).facts.raw:
            return question
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
