"""Stages: pure transducers of events. Each mends one thing between an engine's decoder and a client's encoder.

A stage takes an event and gives events, in order, at once where it can; `close` gives what it held back when the answer
was cut. Stages never see events out of grammar, and `tidy`, the last, never lets one out.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from understudy.language.events import Event, TextDelta, ThinkingDelta


class Stage(Protocol):
    """Events in, events out."""

    looks: bool
    """Whether `passes` depends on the text; else only on what was fed before."""

    def passes(self, event: TextDelta | ThinkingDelta) -> bool:
        """Whether it would give this event back as it is, and be none the wiser. Most of an answer does pass."""
        ...

    def feed(self, event: Event) -> Sequence[Event]:
        """What this event makes, often itself alone."""
        ...

    def close(self) -> Sequence[Event]:
        """The events are over: what was held back."""
        ...


class Pipeline:
    """Stages in a row, as one."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._checks = [stage.passes for stage in stages]
        self._looks = [stage.passes for stage in stages if stage.looks]
        self._clear = False

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """Events through all stages, one after the other."""
        self._clear = False
        out: list[Event] = []
        for event in events:
            self._pass(event, 0, out)
        return out

    def passes(self, text: str) -> bool:
        """Whether more text would come out as it is. Until the next `feed` only what looks at it need look again."""
        if not self._clear:
            event = TextDelta(text)
            self._clear = all(check(event) for check in self._checks)
        elif self._looks:
            event = TextDelta(text)
            for look in self._looks:
                if not look(event):
                    return False
        return self._clear

    def close(self) -> list[Event]:
        """Close each stage in turn, what it gives passing through the later ones."""
        out: list[Event] = []
        for place, stage in enumerate(self._stages, 1):
            for event in stage.close():
                self._pass(event, place, out)
        return out

    def _pass(self, event: Event, place: int, out: list[Event]) -> None:
        """One event through the stages from a place on."""
        if type(event) is TextDelta or type(event) is ThinkingDelta:
            for check in self._checks[place:] if place else self._checks:
                if not check(event):
                    break
                place += 1
        if place == len(self._stages):
            out.append(event)
        else:
            for each in self._stages[place].feed(event):
                self._pass(each, place + 1, out)
