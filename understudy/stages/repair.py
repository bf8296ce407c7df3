"""Every tool call is mended, or it never leaves.

A call is held until its block is complete, because only then is it known whether it can be mended, and one that cannot
must leave no trace: the client would run it, or refuse it and keep it in the conversation, where it teaches the model
to repeat it. Nothing is lost by the wait; a client runs no call before it is whole. Instead of a call that was given
up, the answer stops with the reason tool_use: Claude Code then asks the model again, twice.

What the request forbids never leaves either: calls where none were allowed, of other tools than the one named, a second
one where they may not be parallel.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from understudy.language.events import (
    BlockStart,
    BlockStop,
    Event,
    Failed,
    InputDelta,
    MessageStop,
    Progress,
    StopReason,
    TextDelta,
    ThinkingDelta,
)
from understudy.language.request import ToolChoice, ToolUse
from understudy.stages.mend import Mended, Toolbox

Fate = Literal["clean", "repaired", "given up", "dropped"]


class Outcome(Struct, frozen=True):
    """What became of one call.

    Attributes:
        name: the tool; as the model gave it if the call was not sent.
        outcome: "clean": sent as it was; "repaired"; "given up": it could not be; "dropped": it was not allowed.
        rules: of the repair.
        reason: why it was not sent.
    """

    name: str
    outcome: Fate
    rules: tuple[str, ...] = ()
    reason: str = ""


class Repair:
    """The stage.

    Args:
        toolbox: the offered tools.
        choice: what the request allows.
        new_id: makes the id the client gets for a call.
        tools: False for a model whose words must never become commands: every call is dropped.

    Attributes:
        outcomes: one for each call that was whole, in order.
        ids: (client's id, engine's id) of each call that was sent.
        sent: what was sent, by the engine's id.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        choice: ToolChoice,
        new_id: Callable[[], str],
        *,
        tools: bool = True,
    ) -> None:
        self._toolbox = toolbox
        self._choice = choice
        self._new_id = new_id
        self._allowed = tools and choice.mode != "none"
        self._call: BlockStart | None = None
        self._pieces: list[str] = []
        self.outcomes: list[Outcome] = []
        self.ids: list[tuple[str, str]] = []
        self.sent: dict[str, ToolUse] = {}

    def passes(self, _event: TextDelta | ThinkingDelta) -> bool:
        """Whether no call is open."""
        return self._call is None

    def feed(self, event: Event) -> Sequence[Event]:
        """The event; a call when it is whole."""
        match event:
            case BlockStart("tool_use"):
                out = self._settled()
                self._call = event
                return out
            case InputDelta(json) if self._call:
                self._pieces.append(json)
                return ()
            case BlockStop() if self._call:
                return self._settled()
            case MessageStop():
                return [*self._settled(), self._stopped(event)]
            case Failed():
                self._forget()
                return (event,)
            case Progress():
                return (event,)
            case _:
                return [*self._settled(), event] if self._call else (event,)

    def close(self) -> Sequence[Event]:
        """A call that was cut is none."""
        self._forget()
        return ()

    def _forget(self) -> tuple[BlockStart | None, str]:
        held = self._call, "".join(self._pieces)
        self._call, self._pieces = None, []
        return held

    def _settled(self) -> list[Event]:
        """The call that was held, if it may leave."""
        call, arguments = self._forget()
        if call is None:
            return []
        mended = self._judged(call.name, arguments)
        if isinstance(mended, Outcome):
            self.outcomes.append(mended)
            return []
        self.outcomes.append(Outcome(mended.name, "repaired" if mended.rules else "clean", mended.rules))
        return self._send(call.id, mended)

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
        return mended

    def _send(self, engine_id: str, mended: Mended) -> list[Event]:
        client_id = self._new_id()
        self.ids.append((client_id, engine_id))
        self.sent[engine_id] = ToolUse(client_id, mended.name, mended.arguments)
        return [BlockStart("tool_use", client_id, mended.name), InputDelta(mended.arguments), BlockStop()]

    def _stopped(self, stop: MessageStop) -> MessageStop:
        reason = self._reason(stop.stop_reason)
        if reason == stop.stop_reason:
            return stop
        return MessageStop(reason, None, stop.usage)

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
