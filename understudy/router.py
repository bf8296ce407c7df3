"""Who answers a request: what it asks for is guessed once, and its conversation stays with the target that holds its prefix.

    plan = router.plan(request, caller, standing)     targets in order, and why
    router.depart(plan, target, failures)             before a target is asked
    router.arrive(plan, target, tokens, failures)     when it has answered
    router.strand(plan)                               when nobody has

The decisions are pure (`routing/`); here is what is remembered between them, counted and logged.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from understudy.auth import Caller
from understudy.language.errors import BadField, UnderstudyError
from understudy.language.request import Request, Text, change
from understudy.language.routes import TASKS, Routing
from understudy.language.target import Home, Plan, Standing, Stay, Target
from understudy.observe import metrics
from understudy.observe.log import logger
from understudy.routing import features, names, rules, staying, tasks
from understudy.routing.asked import asked, plain, told
from understudy.routing.features import Features
from understudy.routing.privacy import Finding, Verdict, decide
from understudy.routing.staying import Failure
from understudy.routing.tasks import Guess
from understudy.store.sessions import Homes
from understudy.tokens import FIRST_GUESS, measure_asked

MAIN, SIDE = "/main", "/side"
UNKNOWN = Guess("general", 0.0, "kept", "nobody knows what it asks for")
REACH = 20_000
"""How much of a raw prompt is looked at, from its end."""
LONGEST_NAME = 200
"""Characters of a model's name that are remembered."""
NAMED = 40
"""Characters of a wrong word that an error repeats."""


def nothing_leaves(request: Request, caller: Caller) -> Verdict:
    """The verdict where nobody set up another one."""
    del request, caller
    return decide("local-only", ())


def nothing_found(request: Request) -> Sequence[Finding]:
    """Where nobody looks."""
    del request
    return ()


class Explanation(Struct, frozen=True):
    """A decision in words, for people, before anything is sent.

    Attributes:
        task: what the request asks for.
        confidence: how sure that is.
        target: who would answer first; "" for nobody.
        targets: all who could, in order.
        reason: why.
        findings: what is private in it: kinds and places, no values.
    """

    task: str
    confidence: float
    target: str
    targets: tuple[str, ...]
    reason: str
    findings: tuple["Found", ...]


class Found(Struct, frozen=True):
    """Something private: what kind, by which rule, where, and how long."""

    kind: str
    rule: str
    where: str
    start: int
    length: int


class Router:
    """See the module.

    Args:
        settings: `[routing]`.
        models: `[models]` of the settings.
        homes: where conversations live.
        may_leave: whether a request may go to a target outside the house.
        findings: what is private in it.
        in_words: whether pictures are put in words for a target that cannot see.
    """

    def __init__(
        self,
        settings: Routing,
        models: Mapping[str, str],
        homes: Homes,
        may_leave: Callable[[Request, Caller], Verdict] = nothing_leaves,
        findings: Callable[[Request], Sequence[Finding]] = nothing_found,
        *,
        in_words: bool = False,
    ) -> None:
        self.settings = settings
        self._models = models
        self._homes = homes
        self._may_leave = may_leave
        self._findings = findings
        self._in_words = in_words

    def plan(self, request: Request, caller: Caller, standing: Sequence[Standing]) -> Plan:
        """Targets in order, and why. Nothing is remembered of it.

        Raises:
            NoTarget: no engine has the model that is named.
            EngineBusy: the engines that would answer are down or still loading.
            KeptHere: only an engine outside the house could, and the request may not leave.
            BadField: the task that the client says is none.
        """
        found = features.read(
            request,
            int(measure_asked(request) * FIRST_GUESS),
            session=caller.session,
            agent=caller.agent,
            request_class=caller.request_class,
            key=caller.key,
            in_words=self._in_words,
        )
        stay, said = self._stay(request, caller, found), _said(request, caller)
        choice = rules.choose(
            found,
            self.settings,
            standing,
            self._models,
            guess=lambda: said or self._guess(request, stay.home),
            may_leave=lambda: self._may_leave(request, caller),
        )
        if said and choice.guess is None:
            choice = change(choice, guess=said)
        return staying.settled(choice, stay, found, self.settings)

    def depart(self, plan: Plan, target: Target, failures: Sequence[Failure]) -> str:
        """A target is asked now: the conversation lives there. Gives the reason in words."""
        if failures:
            metrics.FAILOVERS.labels(type(failures[-1][1]).__name__).inc()
        stay = plan.stay
        if stay.talk and not stay.follows:
            why = staying.switched(plan, target, failures)
            tokens = stay.home.tokens if stay.home else 0
            self._homes.keep(stay.talk, staying.moved(plan, target, tokens, why))
        return staying.told(plan, failures)

    def arrive(self, plan: Plan, target: Target, tokens: int, failures: Sequence[Failure]) -> None:
        """It has answered a prompt of so many tokens."""
        stay = plan.stay
        by = "home" if stay.home and stay.home.target == str(target) else plan.by
        metrics.ROUTES.labels(plan.task or "none", by).inc()
        if not stay.talk or stay.follows:
            return
        why = staying.switched(plan, target, failures)
        self._homes.keep(stay.talk, staying.moved(plan, target, tokens, why))
        if why and stay.home:
            metrics.SWITCHES.labels(why).inc()
            metrics.LOST_PREFIX.labels(why).inc(stay.home.tokens)
            logger().info(
                "conversation moved",
                reason=why,
                left=stay.home.target,
                target=str(target),
                lost_tokens=stay.home.tokens,
            )

    def strand(self, plan: Plan) -> None:
        """Nobody has answered: the conversation is where it was."""
        stay = plan.stay
        if stay.talk and not stay.follows:
            self._homes.keep(stay.talk, stay.home)

    def explain(self, request: Request, caller: Caller, standing: Sequence[Standing]) -> Explanation:
        """What would become of a request.

        Raises:
            BadField: the task that the client says is none.
        """
        guess = _said(request, caller) or self._guess(request, None)
        found = tuple(
            Found(one.spot.kind, one.spot.rule, one.where, one.spot.start, one.spot.length)
            for one in self._findings(request)
        )
        try:
            plan = self.plan(request, caller, standing)
        except UnderstudyError as error:
            return Explanation(guess.task, guess.confidence, "", (), error.message, found)
        targets = tuple(str(target) for target in plan.targets)
        task, sure = (plan.task, plan.confidence) if plan.task else (guess.task, guess.confidence)
        return Explanation(task, round(sure, 3), targets[0], targets, plan.reason, found)

    def embedders(self, asked: str, standing: Sequence[Standing]) -> Plan:
        """Who makes vectors of texts. See `names.plan`."""
        return names.plan(asked, standing, self._models)

    def answerers(self, asked: str, standing: Sequence[Standing]) -> tuple[Target, ...]:
        """Who may answer a question of which only the model's name is known, the likeliest first.

        Raises:
            UnderstudyError: nobody; see `plan`.
        """
        choice = rules.choose(
            Features(asked, request_class="batch"),
            self.settings,
            standing,
            self._models,
            guess=lambda: UNKNOWN,
            may_leave=lambda: self._may_leave(Request(asked, ()), Caller()),
        )
        return tuple(one.target for one in choice.found)

    def _stay(self, request: Request, caller: Caller, found: Features) -> Stay:
        base, side = _session(request, caller)
        session, asked = base + side, request.model[:LONGEST_NAME]
        if request.prompt is not None:
            return Stay(session)
        if found.beside and (home := self._homes.find(base + MAIN)):
            return Stay(session, base + MAIN, home, follows=True, asked=asked)
        return Stay(session, session, self._homes.find(session), asked=asked)

    def _guess(self, request: Request, home: Home | None) -> Guess:
        """What is asked for: what the conversation is about, else what its last human text reads like."""
        if home is not None and home.task and self.settings.stay:
            return Guess(home.task, home.confidence, "kept", f"it is about {home.task}")
        text = asked(request) if request.prompt is None else plain(request.prompt.text[-REACH:])
        return tasks.guess(text, told(request), self.settings.sure)


def session_key(request: Request, caller: Caller) -> str:
    """Which session a request belongs to: Claude Code's headers, else the user named in the body and its opening.

    Errands of the same session (a title, a web search) have no tools of the client's: they are kept apart, or each would
    seem to break the main thread's prefix.
    """
    return "".join(_session(request, caller))


def _session(request: Request, caller: Caller) -> tuple[str, str]:
    """The conversation, and whether this is its main thread or beside it."""
    errand = caller.request_class == "auxiliary" or all(tool.kind for tool in request.tools)
    side = SIDE if errand else MAIN
    if caller.session:
        return f"{caller.session}/{caller.agent}", side
    opening = f"{caller.key}\0{request.user}\0{_first_user_text(request)}"
    return hashlib.sha256(opening.encode(errors="replace")).hexdigest()[:24], side


def _first_user_text(request: Request) -> str:
    for turn in request.turns:
        if turn.role == "user":
            return next((block.text for block in turn.blocks if isinstance(block, Text)), "")
    return ""


def _said(request: Request, caller: Caller) -> Guess | None:
    """The task that the client says, in the body before the header.

    Raises:
        BadField: it is none.
    """
    word, place = (request.task, "task_type") if request.task else (caller.task, "x-understudy-task")
    if not word:
        return None
    if tasks.named(word) is None:
        shown = word[:NAMED]
        raise BadField(place, f"{place}: {shown!r} is no task. Tasks are {', '.join(TASKS)}")
    return tasks.guess("", word)
