"""The border of the house: which questions may leave, in which form, and what is written down of those that do.

    verdict = border.may_leave(request, caller)              for the plan
    crossing = border.crossing(request, caller, target)      what may be sent to a target outside, with a permit
    await border.declare(permit, body)                       asked by the engine, before the first byte leaves

An engine outside the house sends nothing without a permit, and a permit is good for one question and one target: it is made
here only, and sealed. So nothing leaves by a way that somebody forgot to guard.
"""

import hashlib
import hmac
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property

import msgspec
from msgspec import Struct

from understudy.auth import Caller
from understudy.config import ConfigError, Privacy
from understudy.language.embedding import EmbeddingRequest
from understudy.language.errors import KeptHere
from understudy.language.request import Request, Text, Turn, change
from understudy.language.target import Mode, Target
from understudy.routing import configured
from understudy.routing.privacy import Finding, Verdict, decide, findings, summary
from understudy.routing.redact import redact
from understudy.routing.scan import Scanner
from understudy.store.audit import Audit, Line
from understudy.store.sqlite import StoreError

STRICT: tuple[Mode, ...] = ("local-only", "ask-free", "open")
"""The strictest first."""
SESSIONS = 10_000
"""Sessions remembered for something private in them."""
HEADER = "X-Understudy-Privacy"
NOTHING: Mapping[str, str] = {}


class Permit(Struct, frozen=True):
    """What the audit says of a question that may leave."""

    key: str
    session: str
    target: str
    model: str
    why: str
    findings: dict[str, int]
    redacted: bool


class Crossing(Struct, frozen=True):
    """A question as it may go to a target.

    Attributes:
        request: with a permit, where that is outside the house.
        key: the caller's, by its short name.
        outside: whether it is.
        values: what the placeholders in it stand for.
    """

    request: Request
    key: str = ""
    outside: bool = False
    values: Mapping[str, str] = NOTHING


class Border:
    """See the module.

    Args:
        settings: `[privacy]`.
        audit: where it is written down what left.
        spent: why nothing more may be spent, in words; "" where it may.
        secret: seals permits, and makes hashes that nobody else can make.
        clock: seconds since 1970.

    Raises:
        ConfigError: a word, path or pattern of the settings cannot be used.
    """

    def __init__(
        self,
        settings: Privacy,
        audit: Audit,
        spent: Callable[[], str],
        secret: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._audit = audit
        self._spent = spent
        self._secret = secret
        self._clock = clock
        self._private: OrderedDict[str, str] = OrderedDict()
        try:
            self._own = configured.rules(settings.words, settings.paths, settings.patterns)
        except ValueError as error:
            raise ConfigError(f"privacy: {error}") from error

    @cached_property
    def _scanner(self) -> Scanner:
        """Made when something might leave: its automaton takes 23 MB."""
        return Scanner(self._secret, self._own)

    def findings(self, request: Request) -> tuple[Finding, ...]:
        """What is private in a request."""
        return findings(request, self._scanner)

    def may_leave(self, request: Request, caller: Caller) -> Verdict:
        """Whether it may go to a target outside the house."""
        return self._decided(request, caller)[0]

    def crossing(self, request: Request, caller: Caller, target: Target) -> Crossing:
        """What may be sent to a target outside, with its permit.

        Raises:
            KeptHere: nothing of it.
        """
        verdict, found = self._decided(request, caller)
        if not verdict.leaves:
            raise KeptHere(f"{target} is outside the house. {verdict.why}")
        counts = Counter(finding.spot.rule for finding in found)
        session = self._hash(caller.session.encode()) if caller.session else ""
        permit = Permit(
            caller.key, session, str(target), request.model, verdict.why, counts, verdict.redacted
        )
        if not verdict.redacted:
            return Crossing(change(request, permit=self._sealed(permit)), caller.key, outside=True)
        safe = redact(request, self._scanner)
        leaving = change(safe.request, permit=self._sealed(permit))
        return Crossing(leaving, caller.key, outside=True, values=safe.values)

    def embedding(self, request: EmbeddingRequest, caller: Caller, target: Target) -> EmbeddingRequest:
        """Texts to be made vectors, with a permit to go to a target outside. There are no placeholders in vectors.

        Raises:
            KeptHere: they may not.
        """
        texts = tuple(Text(text) for text in request.inputs if isinstance(text, str))
        asked = Request(request.model, (Turn("user", texts),), user=request.user)
        crossing = self.crossing(asked, caller, target)
        if crossing.values:
            raise KeptHere(f"{target} is outside the house, and there is something private in these texts")
        return change(request, permit=crossing.request.permit)

    async def declare(self, permit: str, body: bytes) -> None:
        """This body is about to leave with this permit: written down first.

        Raises:
            KeptHere: it has none, or it cannot be written down.
        """
        text, _, seal = permit.rpartition(".")
        if not hmac.compare_digest(self._seal(text), seal):
            raise KeptHere("this question has no permit to leave the house")
        said = msgspec.json.decode(text, type=Permit)
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        fields = {name: getattr(said, name) for name in said.__struct_fields__}
        try:
            self._audit.add(Line(at=now, bytes=len(body), digest=self._hash(body), **fields))
        except StoreError as error:
            raise KeptHere(f"what leaves is written down first, and {error.message}") from error

    def _decided(self, request: Request, caller: Caller) -> tuple[Verdict, tuple[Finding, ...]]:
        wish: Mode = caller.privacy or self._settings.mode
        mode = min(self._settings.mode, wish, key=STRICT.index)
        if mode == "local-only":
            return _asked_for(decide(mode, ()), wish, self._settings.mode), ()
        if why := self._spent():
            return Verdict(leaves=False, redacted=False, why=why), ()
        found = self.findings(request)
        verdict = _asked_for(decide(mode, found, redact=self._settings.redact), wish, self._settings.mode)
        return (self._lasting(verdict, caller.session, found) if mode == "ask-free" else verdict), found

    def _lasting(self, verdict: Verdict, session: str, found: tuple[Finding, ...]) -> Verdict:
        """A finding keeps its whole session here, its sub-agents and what comes after a compaction too."""
        if not session:
            return verdict
        if not verdict.leaves:
            self._private[session] = summary(found)
            self._private.move_to_end(session)
            if len(self._private) > SESSIONS:
                self._private.popitem(last=False)
        elif not verdict.redacted and session in self._private:
            why = f"kept here: this session had {self._private[session]}"
            return Verdict(leaves=False, redacted=False, why=why)
        return verdict

    def _sealed(self, permit: Permit) -> str:
        text = msgspec.json.encode(permit).decode()
        return f"{text}.{self._seal(text)}"

    def _seal(self, text: str) -> str:
        return hmac.digest(self._secret, b"permit\0" + text.encode(errors="surrogatepass"), "sha256").hex()

    def _hash(self, data: bytes) -> str:
        return hashlib.blake2b(data, digest_size=16, key=self._secret).hexdigest()


def _asked_for(verdict: Verdict, wish: Mode, mode: Mode) -> Verdict:
    """With the header named where that is stricter than the settings."""
    if STRICT.index(wish) >= STRICT.index(mode):
        return verdict
    return change(verdict, why=verdict.why.replace("privacy.mode is", f"{HEADER} is"))
