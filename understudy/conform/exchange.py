"""The words of the kit: what is asked, what came back, and how a check goes on from one to the other. Pure.

A check is a conversation. Its plan yields what is to be asked (one question, or several at the same time), is sent what
came back, and ends by returning a note (it passed) or by raising a `Verdict`. It touches no network: whoever can turn an
`Ask` into a `Reply` can drive it.

    trial = Trial(check, scene)
    while trial.asks:
        trial.tell(tuple(reply_to(ask) for ask in trial.asks))
    trial.result
"""

from collections.abc import Callable, Generator, Sequence
from typing import Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

Json = dict[str, object]
Level = Literal["must", "should"]
Credentials = Literal["both", "bearer", "x-api-key", "one-wrong", "wrong"]
Dialect = Literal["anthropic", "openai", "responses", "ollama"]
Status = Literal["pass", "fail", "undecided", "skipped"]
MESSAGES = "/v1/messages?beta=true"
COUNT = "/v1/messages/count_tokens?beta=true"
LISTING = "/v1/models?limit=1000"


class Ask(Struct, frozen=True):
    """One HTTP request.

    Attributes:
        body: its bytes; empty for GET and HEAD.
        headers: without credentials, which only the runner knows.
        credentials: in which headers the key goes.
        leave_after: bytes of the answer after which the connection is closed; 0 reads to the end.
        again: tells apart what is the same byte for byte, and is to be asked once more. Otherwise its reply is used again.
    """

    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    path: str = MESSAGES
    method: str = "POST"
    credentials: Credentials = "both"
    leave_after: int = 0
    again: str = ""

    def more(self, **headers: str | None) -> "Ask":
        """With these headers changed (underscores stand for hyphens); None takes one out."""
        new = {name.replace("_", "-"): value for name, value in headers.items()}
        old = {name: value for name, value in self.headers if name not in new}
        kept = old | {name: value for name, value in new.items() if value is not None}
        return msgspec.structs.replace(self, headers=tuple(kept.items()))

    def once_more(self, why: str) -> "Ask":
        """The same, to be asked again."""
        return msgspec.structs.replace(self, again=why)


class Reply(Struct, frozen=True):
    """What came back.

    Attributes:
        status: 0 where there was no answer at all; then `trouble` says why.
        headers: by lower-case name.
        trouble: what went wrong with the connection, in words; empty if nothing did.
        seconds: from the request to the last byte.
        silence: the longest time in it without a byte.
    """

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""
    trouble: str = ""
    seconds: float = 0.0
    silence: float = 0.0


class Scene(Struct, frozen=True):
    """Where the checks are made.

    Attributes:
        model: the name that is asked for.
        models: the ids that the server lists.
        window: of the model in tokens, 0 where nobody told it.
        salt: differs from run to run, and stands in every prompt: no earlier run's cache may answer for this one.
        session: the id of this run's session.
        keyed: whether there is a key.
        bad_key: whether a wrong key may be tried.
        max_bytes: how large a request may become.
    """

    model: str
    models: tuple[str, ...] = ()
    window: int = 0
    salt: str = "0000"
    session: str = "00000000-0000-4000-8000-000000000000"
    keyed: bool = False
    bad_key: bool = False
    max_bytes: int = 4 * 1024 * 1024


class Verdict(Exception):
    """How a check ends that has not passed."""

    status: Status = "fail"


class Fault(Verdict):
    """The server did something else than it must."""

    def __init__(self, seen: str, expected: str) -> None:
        super().__init__(seen)
        self.seen = seen
        self.expected = expected


class Undecided(Verdict):
    """What the model said, or what the server tells, does not show it."""

    status = "undecided"


class Skipped(Verdict):
    """It was not asked for, or there is nothing to be asked."""

    status = "skipped"


_T = TypeVar("_T")
Step: TypeAlias = tuple[Ask, ...]
Talk: TypeAlias = Generator[Step, tuple[Reply, ...], _T]
"""Part of a plan, that finds something out."""
Plan: TypeAlias = Talk[str]
"""Gives a note, "" for none."""


def put(ask: Ask) -> Talk[Reply]:
    """Ask one question, and wait for what comes back."""
    (reply,) = yield (ask,)
    return reply


class Check(Struct, frozen=True):
    """One thing that is tried and judged.

    Attributes:
        id: group and name, as `--only` takes them.
        needs: the requirements it stands for: CC-6.14 is row 6.14 of docs/claude-code.md. Without any, it is what the API
            says, and other clients than Claude Code rely on.
        says: what a right server does.
        costs: what happens where it is not so.
        plan: how it is found out.
        level: "must" where Claude Code loses something or stops, "should" where it copes at a price.
    """

    id: str
    needs: tuple[str, ...]
    says: str
    costs: str
    plan: Callable[[Scene], Plan]
    level: Level = "must"

    @property
    def group(self) -> str:
        """The part of its id before the dot."""
        return self.id.partition(".")[0]


class Result(Struct, frozen=True):
    """What became of a check.

    Attributes:
        note: of a pass, or why there is no verdict.
        seen: of a failure: what the server did.
        expected: of a failure: what a right one does.
        asks: the questions it ended with.
        requests: how many questions it needed.
    """

    check: Check
    status: Status
    note: str = ""
    seen: str = ""
    expected: str = ""
    asks: Step = ()
    requests: int = 0


class Trial:
    """A check while it is made.

    Attributes:
        asks: what is to be asked next, at the same time; empty at the end.
        result: how it ended; None before.
    """

    def __init__(self, check: Check, scene: Scene) -> None:
        self.asks: Step = ()
        self.result: Result | None = None
        self._check = check
        self._plan = check.plan(scene)
        self._last: Step = ()
        self._requests = 0
        self._go_on(None)

    def tell(self, replies: Sequence[Reply]) -> None:
        """What came back for `asks`, in their order."""
        self._go_on(tuple(replies))

    def _go_on(self, replies: tuple[Reply, ...] | None) -> None:
        try:
            self.asks = next(self._plan) if replies is None else self._plan.send(replies)
        except StopIteration as end:
            self._end("pass", note=end.value or "")
        except Fault as fault:
            self._end("fail", seen=fault.seen, expected=fault.expected)
        except Verdict as verdict:
            self._end(verdict.status, note=str(verdict))
        else:
            self._last = self.asks
            self._requests += len(self.asks)

    def _end(self, status: Status, note: str = "", seen: str = "", expected: str = "") -> None:
        self.asks = ()
        self.result = Result(self._check, status, note, seen, expected, self._last, self._requests)
