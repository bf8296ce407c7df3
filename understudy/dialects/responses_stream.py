"""The stream of the Responses API, written: events -> server-sent events, and the response object that they add up to.

    created, in_progress, (added, ..., done)*, completed
    in the background a `queued` comes before in_progress
    an answer that ran into its limit ends with `incomplete`, one that failed with `failed`

Every record is numbered, from 0. An item is closed only when it is known what comes after it: the last one of an answer that
ran into its limit is incomplete, and so it must be said.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from understudy.dialects import Told
from understudy.dialects.responses_object import Sheet, WireError, usage_of
from understudy.dialects.responses_output import PLAIN, SUMMARY, Output, Said, Shown, Step, Thought, call_of
from understudy.dialects.responses_tools import Way
from understudy.dialects.words import clean
from understudy.language.errors import (
    BadRequest,
    EngineError,
    EngineRefused,
    PromptTooLong,
    Refused,
    UnderstudyError,
)
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    SignatureDelta,
    StopReason,
    TextDelta,
    ThinkingDelta,
)

_json = msgspec.json.Encoder().encode

CUT: Final[Mapping[StopReason, str]] = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}
"""`incomplete_details.reason` of the reasons to stop that leave an answer incomplete."""
FAULTS: Final[tuple[tuple[type[UnderstudyError], str], ...]] = (
    (PromptTooLong, "context_length_exceeded"),
    (Refused, "rate_limit_exceeded"),
    (BadRequest, "invalid_prompt"),
    (EngineRefused, "invalid_prompt"),
    (UnderstudyError, "server_error"),
)
"""`error.code` of an answer that failed."""

GIVEN_UP: Final = "the model called a tool in a way that cannot be run: ask again"
"""An answer whose only call could not be mended: agents try again after a failure, and stop where there is no call.

Its last item is not said to be done: Codex keeps what is done, and would ask again behind it (seen with Codex 0.169).
"""

_AT_ONCE: Final = ((b"response.created", "in_progress"), (b"response.in_progress", "in_progress"))
_LATER: Final = (
    (b"response.created", "queued"),
    (b"response.queued", "queued"),
    (b"response.in_progress", "in_progress"),
)


class Wishes(Struct, frozen=True):
    """What the client wants of the form of an answer.

    Attributes:
        summary: reasoning is shown as a summary.
        seal: reasoning is packed, to be sent back (`reasoning.encrypted_content`); it is then shown only if asked for.
        background: the answer is queued first.
    """

    summary: bool = False
    seal: bool = False
    background: bool = False

    def shown(self) -> Shown | None:
        """How reasoning is shown."""
        if self.summary:
            return SUMMARY
        return None if self.seal else PLAIN


class Encoder:
    """Writes one answer. See `dialects.Encoder`.

    Args:
        sheet: makes the response object.
        ways: how calls are given back, by the name the model calls.
        wishes: of the client.
        ended: is told the whole answer.

    Attributes:
        status: of the answer, as far as it is now.
    """

    def __init__(
        self, sheet: Sheet, ways: Mapping[str, Way], wishes: Wishes, ended: Callable[[Told], None]
    ) -> None:
        self._sheet = sheet
        self._ways = ways
        self._wishes = wishes
        self._ended = ended
        self._key = sheet.id.partition("_")[2]
        self._unsaid = list(_LATER if wishes.background else _AT_ONCE)
        self.status = self._unsaid[0][1]
        self._number = 0
        self._head = b""
        self._open: Output | None = None
        self._stopped: Output | None = None
        self._pieces: list[str] = []
        self._thought = self._said = self._calls = 0
        self._shown: list[Raw] = []
        self._kept: list[bytes] = []
        self._over = False

    @property
    def ping(self) -> bytes:
        """What the API itself says into silence; a comment would not stop the clock of clients that count events."""
        begun = self._begin(1 if self._wishes.background else 0) if not self._number else b""
        return begun or self._record(b"keepalive", b"")

    def encode(self, events: Iterable[Event]) -> bytes:
        """The records of these events; empty when they say nothing in this dialect."""
        if self._over:
            return b""
        out = []
        for event in events:
            # Most are deltas; a match asks each of its cases in turn.
            if isinstance(event, TextDelta | ThinkingDelta):
                out.append(self.more(event.text))
            elif isinstance(event, InputDelta):
                out.append(self.more(event.json))
            else:
                out.append(self._turn(event))
                if isinstance(event, MessageStop | Failed):
                    break
        return b"".join(out)

    def pending(self) -> bytes:
        """The response object of an answer that goes on."""
        return self._sheet.body(self.status, self._shown)

    def cancelled(self) -> Told:
        """The answer, ended here because nobody wants it any more."""
        return Told("cancelled", self._sheet.body("cancelled", self._shown), ())

    # -- deltas -------------------------------------------------------------------------------------------------

    def more(self, text: str) -> bytes:
        """More of what is open, whatever it is."""
        self._pieces.append(text)
        if not (text and self._head):
            return b""
        number = self._number
        self._number = number + 1
        try:
            return b'%b%b,"sequence_number":%d}\n\n' % (self._head, _json(text), number)
        except UnicodeEncodeError:
            return b'%b%b,"sequence_number":%d}\n\n' % (self._head, _json(clean(text)), number)

    # -- everything else ----------------------------------------------------------------------------------------

    def _turn(self, event: Event) -> bytes:
        match event:
            case MessageStart():
                return self._begin()
            case BlockStart():
                closed = self._close("completed")
                self._open, self._pieces = self._output(event), []
                self._head = self._open.delta
                return closed + self._records(self._open.opening())
            case BlockStop():
                self._stopped, self._open, self._head = self._open, None, b""
                return b""
            case SignatureDelta(signature):
                if isinstance(self._open, Thought):
                    self._open.signature += signature
                return b""
            case MessageStop():
                return self._finish(event)
            case Failed(error):
                return self._fail(error)
            case _:  # progress has no form here
                return b""

    def _begin(self, but: int = 0) -> bytes:
        """Say that the answer has begun, as far as that is not said yet; the last `but` of it may wait."""
        out = []
        while len(self._unsaid) > but:
            kind, self.status = self._unsaid.pop(0)
            out.append(self._about(kind, self._sheet.body(self.status, self._shown)))
        return b"".join(out)

    def _output(self, start: BlockStart) -> Output:
        index = len(self._shown)
        key = f"{self._key}-{index}"
        if start.kind == "text":
            return Said(key, index)
        if start.kind == "thinking":
            return Thought(key, index, self._wishes.shown(), seal=self._wishes.seal)
        self._calls += 1
        way = self._ways.get(start.name) or Way("function", clean(start.name))
        return call_of(key, index, clean(start.id), way)

    def _close(self, status: str) -> bytes:
        """The item that has stopped, said to its end."""
        item, self._stopped = self._stopped, None
        if item is None:
            return b""
        text = "".join(self._pieces)
        if isinstance(item, Thought):
            self._thought += len(text)
        else:
            self._said += len(text)
        out = self._records(item.closing(text, status))
        shown = item.item(text, status, seal=False)
        self._shown.append(Raw(shown))
        self._kept.append(item.item(text, status, seal=True) if isinstance(item, Thought) else shown)
        return out

    def _finish(self, stop: MessageStop) -> bytes:
        if stop.stop_reason == "tool_use" and not self._calls:
            return self._fail(EngineError(GIVEN_UP))
        reason = CUT.get(stop.stop_reason, "")
        self.status = "incomplete" if reason else "completed"
        out = self._begin() + self._close(self.status)
        usage = usage_of(stop.usage, self._thought, self._said)
        return out + self._last(self._sheet.body(self.status, self._shown, usage, incomplete=reason))

    def _fail(self, error: UnderstudyError) -> bytes:
        begun = self._begin()
        self.status = "failed"
        self._stopped, self._open = self._open or self._stopped, None
        if self._stopped is not None:
            text = "".join(self._pieces)
            self._shown.append(Raw(self._stopped.item(text, "incomplete", seal=False)))
        code = next(code for kind, code in FAULTS if isinstance(error, kind))
        said = WireError(code, clean(error.message))
        return begun + self._last(self._sheet.body("failed", self._shown, error=said))

    def _last(self, body: bytes) -> bytes:
        self._over = True
        self._ended(Told(self.status, body, tuple(self._kept)))
        return self._about(b"response." + self.status.encode(), body)

    # -- records ------------------------------------------------------------------------------------------------

    def _records(self, steps: Iterable[Step]) -> bytes:
        return b"".join([self._record(kind, fields) for kind, fields in steps])

    def _about(self, kind: bytes, body: bytes) -> bytes:
        return self._record(kind, b'"response":' + body)

    def _record(self, kind: bytes, fields: bytes) -> bytes:
        self._number += 1
        own = fields + b"," if fields else b""
        return b'event: %b\ndata: {"type":"%b",%b"sequence_number":%d}\n\n' % (
            kind,
            kind,
            own,
            self._number - 1,
        )
