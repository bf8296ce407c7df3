"""One target's answer on its way to the client: through the stages, measured, and remembered when it is complete."""

import re
import time
from collections.abc import Sequence
from enum import Enum
from typing import Final

from understudy.engines import Facts
from understudy.language.errors import EngineLost, PromptTooLong, UnderstudyError
from understudy.language.events import (
    Event,
    Failed,
    InputDelta,
    Listener,
    MessageStop,
    Progress,
    Slow,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.message import Collector
from understudy.language.request import Text, ToolUse, Turn
from understudy.language.target import Target
from understudy.observe import metrics
from understudy.request.prefix import Fingerprint
from understudy.stages.line import Line
from understudy.stages.repair import Held
from understudy.store.sessions import Session
from understudy.tokens import Ruler

HEADER_LENGTH = 500
"""Characters of a response header's value."""
NOT_PRINTED = re.compile(r"[^ -~]")


class Said(Enum):
    """How much of an answer the client has been told."""

    NOTHING = "nothing, or how the prompt is read"
    SOME = "some of it: nobody else can be asked"
    ALL = "its last event"


class Receipt:
    """What became of one request, filled in on the way: the response headers and the log line are read off it."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.first_event: float | None = None
        self.said = Said.NOTHING
        self.target: Target | None = None
        self.reason = ""
        self.notice = ""
        self.media = ""
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
            "x-understudy-media": self.media,
        }
        return [(name.encode(), _header(value)) for name, value in named.items() if value]


_DELTAS: Final = frozenset({TextDelta, ThinkingDelta, InputDelta})
_ENDS: Final = frozenset({MessageStop, Failed})
_SOME: Final = Said.SOME  # a member of an Enum is looked up through its class each time


class Relay:
    """Is told what the engine says, and tells the client what the stages make of it.

    Args:
        target: who answers.
        facts: of its engine.
        session: the conversation with this target.
        prompt: what the question looks like, to be compared with the next one's.
        line: the stages.
        ruler: what is known of the target's tokens.
        receipt: filled in.
        listener: the client's side.

    Attributes:
        lost: whether the engine broke off in the middle.
    """

    def __init__(
        self,
        target: Target,
        facts: Facts,
        *,
        session: Session,
        prompt: Fingerprint,
        line: Line,
        ruler: Ruler,
        receipt: Receipt,
        listener: Listener,
    ) -> None:
        self._target = target
        self._facts = facts
        self._session = session
        self._prompt = prompt
        self._line = line
        self._passes = line.passes
        self._ruler = ruler
        self._receipt = receipt
        self._listener = listener
        self._record = Collector()  # what the engine itself wrote
        self._failure: UnderstudyError | None = None
        self.lost = False

    def more(self, text: str) -> Slow:
        """See `Listener`. This runs for every piece of nearly every answer."""
        if not self._passes(text):
            return self.tell([TextDelta(text)])
        self._record.more(text)
        return self._listener.more(text)

    def tell(self, batch: list[Event]) -> Slow:
        """What the engine says next."""
        for event in batch:
            if type(event) in _DELTAS:
                self._record.feed(event)
            else:
                self._note(event)
        return self._pass(self._line.feed(batch))

    def wanted(self) -> Sequence[Held]:
        """Calls of this answer that could not be mended, and for which the engine may be asked again before `close`."""
        return self._line.wanted()

    async def again(self, lost: Held, call: ToolUse, output_tokens: int) -> None:
        """The engine wrote such a call once more."""
        if (slow := self._pass(self._line.again(lost, call.name, call.input, output_tokens))) is not None:
            await slow

    async def close(self) -> None:
        """The engine has said all it will.

        Raises:
            UnderstudyError: it failed before the client was told anything.
        """
        if (slow := self._pass(self._line.close())) is not None:
            await slow
        if self._failure is not None:
            raise self._failure
        self._tally()

    def _pass(self, events: list[Event]) -> Slow:
        """On to the client. A failure it need not see in the middle of an answer is kept for `close`."""
        if not events:
            return None
        if self._receipt.said is not _SOME or type(events[-1]) in _ENDS:
            events = self._judged(events)
        return self._listener.tell(events) if events else None

    def _judged(self, events: list[Event]) -> list[Event]:
        """The first events, and the last ones; none where the client need not see them."""
        receipt = self._receipt
        if receipt.said is Said.ALL:
            return []
        if type(events[-1]) in _ENDS:
            events = self._ending(events)
        last = events[-1]
        if receipt.said is Said.NOTHING and isinstance(last, Failed):
            self._failure = last.error
            return []
        if not isinstance(last, Progress):
            receipt.said = Said.ALL if type(last) in _ENDS else _SOME
            if not isinstance(last, Failed):
                self._session.fingerprint = self._prompt  # the engine has read it
        return events

    def _note(self, event: Event) -> None:
        """Keep what the engine itself wrote, and what it tells of the prompt."""
        receipt = self._receipt
        if receipt.first_event is None:
            receipt.first_event = time.perf_counter() - receipt.began
            metrics.FIRST_EVENT.observe(receipt.first_event)
        if isinstance(event, Progress):
            receipt.usage = Usage(event.total, event.cached)
        elif isinstance(event, MessageStop):
            receipt.usage = event.usage
        self._record.feed(event)

    def _ending(self, events: list[Event]) -> list[Event]:
        """The last events. An answer is remembered before the client can ask again."""
        last = events[-1]
        if isinstance(last, Failed):
            self.lost = isinstance(last.error, EngineLost)
            if isinstance(last.error, PromptTooLong):
                error = with_numbers(last.error, self._target, self._ruler, self._receipt)
                return [*events[:-1], Failed(error)]
        elif isinstance(last, MessageStop):
            if (cut := self._cut_prompt(last.usage)) is not None:
                return [*events[:-1], Failed(cut)]
            self._remember()
        return events

    def _cut_prompt(self, usage: Usage) -> PromptTooLong | None:
        """An answer to a prompt that Ollama cut without a word is no answer: it lost the system prompt."""
        limit = self._target.model.context
        if self._facts.kind != "ollama" or not limit:
            return None
        estimate = self._ruler.estimate(self._receipt.prompt_size)
        if estimate > limit and limit // 2 <= usage.input_tokens < 0.7 * estimate:
            return PromptTooLong(estimate, limit)
        return None

    def _remember(self) -> None:
        """The turn in the engine's own bytes, to be replayed instead of the client's version of it."""
        answer = self._record.message
        if answer is None or not self._facts.local:
            return
        text = "".join(block.text for block in answer.blocks if isinstance(block, Text))
        verbatim = text if self._facts.quirks.raw_text and self._line.one_message else None
        self._session.remember(
            Turn("assistant", self._line.replayable(answer.blocks), verbatim), self._line.ids()
        )

    def _tally(self) -> None:
        usage = self._receipt.usage
        self._ruler.learn(self._receipt.prompt_size, usage.input_tokens)
        metrics.PROMPT_TOKENS.inc(usage.input_tokens)
        metrics.CACHED_TOKENS.inc(usage.cached_tokens or 0)
        metrics.OUTPUT_TOKENS.inc(usage.output_tokens)
        outcomes = self._line.outcomes()
        self._receipt.tool_calls = tuple(outcome.outcome for outcome in outcomes)
        for outcome in outcomes:
            metrics.TOOL_CALLS.labels(outcome.outcome).inc()
            for rule in outcome.rules:
                metrics.TOOL_REPAIRS.labels(rule).inc()


def with_numbers(error: PromptTooLong, target: Target, ruler: Ruler, receipt: Receipt) -> PromptTooLong:
    """Claude Code decides by both numbers how much to compact: whatever the engine left out is filled in."""
    maximum = error.maximum or target.model.context
    tokens = error.tokens or ruler.estimate(receipt.prompt_size)
    return PromptTooLong(max(tokens, maximum + 1), maximum)


def _header(value: str) -> bytes:
    """A header's value: names in it are the client's, and may be anything."""
    return NOT_PRINTED.sub("?", value[:HEADER_LENGTH]).encode()
