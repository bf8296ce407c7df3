"""Every tool call is mended, or it never leaves.

    held    --whole, mended, valid--------------------------> sent as a whole
    held    --its beginning is sure (stages/early.py)-------> begun --whole, mended, valid--> sent to its end
    held    --nothing can be made of it---------------------> given up: no trace of it has left
    begun   --what has left is contradicted by the rest-----> torn

A client runs no call before it is whole, so nothing is lost by the wait. What was given up or torn, the engine may be asked
for again (`wanted`, `again`). If that does not help, an answer with a call that was given up stops with the reason
tool_use and without the call, upon which Claude Code asks the model again, twice; a torn one has failed.

What the request forbids never leaves either: calls where none were allowed, of other tools than those named, a second
one where they may not be parallel.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from understudy.language.errors import EngineError
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    Failed,
    InputDelta,
    Logprobs,
    MessageStop,
    Progress,
    StopReason,
    TextDelta,
    ThinkingDelta,
)
from understudy.language.request import ToolChoice, ToolUse, change
from understudy.stages.early import Early
from understudy.stages.mend import Mended, Toolbox

Fate = Literal["clean", "repaired", "retried", "given up", "dropped"]


class Outcome(Struct, frozen=True):
    """What became of one call.

    Attributes:
        name: the tool; as the model gave it if the call was not sent.
        outcome: "clean": sent as it was; "repaired"; "retried": the engine wrote it once more; "given up": it could not be
            mended; "dropped": it was not allowed.
        rules: of the repair.
        reason: why it was not sent.
    """

    name: str
    outcome: Fate
    rules: tuple[str, ...] = ()
    reason: str = ""


class Held(Struct, eq=False):
    """A call that has not left yet, or not to its end.

    Attributes:
        start: how the engine began it.
        pieces: its arguments so far.
        early: what of them may leave before the end; None where nothing may.
        seen: how many of the pieces it has been shown.
        client_id: the id the client was given, once it was told.
        place: of its outcome, once it is known.
    """

    start: BlockStart
    pieces: list[str]
    early: Early | None = None
    seen: int = 0
    client_id: str = ""
    place: int = -1

    @property
    def written(self) -> str:
        """The arguments, as the model wrote them."""
        return "".join(self.pieces)


class Repair:
    """The stage.

    Args:
        toolbox: the offered tools.
        choice: what the request allows.
        new_id: makes the id the client gets for a call.
        tools: False for a model whose words must never become commands: every call is dropped.
        streams: whether the client reads a stream: then a call may begin to leave before it is whole.

    Attributes:
        outcomes: one for each call that was whole, in order.
        ids: (client's id, engine's id) of each call that was sent.
        sent: what was sent, by the engine's id.
    """

    looks = False

    def __init__(
        self,
        toolbox: Toolbox,
        choice: ToolChoice,
        new_id: Callable[[], str],
        *,
        tools: bool = True,
        streams: bool = False,
    ) -> None:
        self._toolbox = toolbox
        self._choice = choice
        self._new_id = new_id
        self._allowed = tools and choice.mode != "none"
        self._streams = streams
        self._held: Held | None = None
        self._torn: Held | None = None
        self._lost: list[Held] = []
        self._stop: MessageStop | None = None
        self.outcomes: list[Outcome] = []
        self.ids: list[tuple[str, str]] = []
        self.sent: dict[str, ToolUse] = {}

    def passes(self, _event: TextDelta | ThinkingDelta) -> bool:
        """Whether no call is open."""
        return self._held is None and self._torn is None and self._stop is None

    def feed(self, event: Event) -> Sequence[Event]:
        """The event; a call when it is whole."""
        match event:
            case _ if self._stop:
                return ()  # the last event has come, and waits for `close`
            case MessageStop():
                return [*self._settled(), *self._stopped(event)]
            case Failed():
                self._held = self._torn = None
                return (event,)
            case Progress() | Logprobs():
                return (event,)
            case _ if self._torn:
                return ()  # the client is in the middle of that call: nothing else can be said there
            case BlockStart("tool_use"):
                out = self._settled()
                self._held = Held(event, [], self._early(event.name))
                return out
            case InputDelta(json) if self._held:
                self._held.pieces.append(json)
                return ()
            case BlockStop() if self._held:
                return self._settled()
            case _:
                return [*self._settled(), event] if self._held else (event,)

    def begun(self) -> list[Event]:
        """Of a call that is still being written: what may leave now. To be asked when no more has arrived."""
        held = self._held
        if held is None or held.early is None or held.seen == len(held.pieces):
            return []
        text = held.early.feed("".join(held.pieces[held.seen :]))
        held.seen = len(held.pieces)
        if not text:
            return []
        if held.client_id:
            return [InputDelta(text)]
        held.client_id = self._new_id()
        return [BlockStart("tool_use", held.client_id, held.start.name), InputDelta(text)]

    def wanted(self) -> Sequence[Held]:
        """Calls that could not be mended, for which the engine may be asked once more, before `close`."""
        return tuple(self._lost) if self._stop is not None and self._stop.stop_reason != "max_tokens" else ()

    def again(self, lost: Held, name: str, arguments: str, output_tokens: int) -> list[Event]:
        """The engine wrote a wanted call once more: what leaves of it, which is nothing if that is no better."""
        if self._stop is not None:
            usage = self._stop.usage
            more = change(usage, output_tokens=usage.output_tokens + output_tokens)
            self._stop = change(self._stop, usage=more)
        mended = self._judged(name, arguments)
        events = self._send(lost, mended) if isinstance(mended, Mended) else None
        if events is None or not isinstance(mended, Mended):
            return []
        self._lost.remove(lost)
        self._torn = None
        self.outcomes[lost.place] = Outcome(mended.name, "retried", mended.rules)
        return events

    def close(self) -> Sequence[Event]:
        """A call that was cut is none; one that is torn leaves no answer."""
        self._held = None
        stop, self._stop = self._stop, None
        if self._torn is None:
            return () if stop is None else (self._reasoned(stop),)
        name, cut = self._torn.start.name, stop is not None and stop.stop_reason == "max_tokens"
        why = "max_tokens was reached in the middle of it" if cut else self.outcomes[self._torn.place].reason
        return (Failed(EngineError(f"the model's call of {name} cannot be run: {why}. Ask again")),)

    def _early(self, name: str) -> Early | None:
        """Only of calls that will surely be allowed, if they are well formed."""
        schema = self._toolbox.schema(name)
        named = self._choice.mode != "tool" or name == self._choice.name
        alone = not self.ids or self._choice.parallel
        return Early(schema) if self._streams and self._allowed and schema and named and alone else None

    def _settled(self) -> list[Event]:
        """The call that was held, if it may leave."""
        held, self._held = self._held, None
        if held is None:
            return []
        written = held.written
        mended = self._judged(held.start.name, written)
        if isinstance(mended, Mended):
            events = self._send(held, mended)
            if events is not None:
                fate: Fate = "repaired" if mended.rules else "clean"
                self.outcomes.append(Outcome(mended.name, fate, mended.rules))
                return events
            mended = Outcome(mended.name, "given up", reason="it does not go on as it began")
        held.place = len(self.outcomes)
        self.outcomes.append(mended)
        if mended.outcome == "given up":
            self._lost.append(held)
        self._torn = held if held.client_id else None
        return []

    def _judged(self, name: str, arguments: str) -> Mended | Outcome:
        if not self._allowed:
            return Outcome(name, "dropped", reason="no tool may be called here")
        if self.ids and not self._choice.parallel:
            return Outcome(name, "dropped", reason="one call at a time was asked for")
        mended = self._toolbox.mend(name, arguments)
        if not isinstance(mended, Mended):
            return Outcome(name, "given up", reason=mended.reason)
        if self._choice.mode == "tool" and mended.name != self._choice.name:
            return Outcome(name, "dropped", reason=f"only {self._choice.name} was asked for")
        if self._choice.allowed and mended.name not in self._choice.allowed:
            return Outcome(name, "dropped", reason=f"{mended.name} is not allowed here")
        return mended

    def _send(self, held: Held, mended: Mended) -> list[Event] | None:
        """The call, or the rest of it; None where what has left already is not the beginning of this."""
        if held.client_id and held.early is not None:
            rest = held.early.rest(held.written, mended.arguments)
            if rest is None or mended.name != held.start.name:
                return None
            arguments = held.written[: held.early.sent] + rest
            events: list[Event] = [InputDelta(rest), BlockStop()]
        else:
            held.client_id, arguments = self._new_id(), mended.arguments
            events = [BlockStart("tool_use", held.client_id, mended.name), InputDelta(arguments), BlockStop()]
        self.ids.append((held.client_id, held.start.id))
        self.sent[held.start.id] = ToolUse(held.client_id, mended.name, arguments)
        return events

    def _stopped(self, stop: MessageStop) -> Sequence[Event]:
        """The last event; it waits while there are calls that the engine may be asked for again."""
        if self._torn is None and (not self._lost or stop.stop_reason == "max_tokens"):
            return (self._reasoned(stop),)
        self._stop = stop
        return ()

    def _reasoned(self, stop: MessageStop) -> MessageStop:
        reason = self._reason(stop.stop_reason)
        return stop if reason == stop.stop_reason else MessageStop(reason, None, stop.usage)

    def _reason(self, reason: StopReason) -> StopReason:
        """Why the answer stops, now that some of its calls may be gone."""
        if reason == "max_tokens":
            return reason
        if any(outcome.outcome == "given up" for outcome in self.outcomes):
            return "tool_use"
        if self.ids:
            return "tool_use" if reason == "end_turn" else reason
        if reason == "tool_use" and not self._allowed:
            return "end_turn"  # to be asked again for what is not allowed would never end
        return reason
