"""Stages: pure transducers of events. Each mends one thing between an engine's decoder and a client's encoder.

A stage takes an event and gives events, in order, at once where it can; `close` gives what it held back when the answer
was cut. Stages never see events out of grammar, and `tidy`, the last, never lets one out.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from understudy.language.events import Event


class Stage(Protocol):
    """Events in, events out."""

    def feed(self, event: Event) -> Sequence[Event]:
        """What this event makes, often itself alone."""
        ...

    def clear(self) -> bool:
        """Whether the way is clear: more text of the text block that is open would pass at once, as it is."""
        ...

    def close(self) -> Sequence[Event]:
        """The events are over: what was held back."""
        ...


class Pipeline:
    """Stages in a row, as one."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """A batch through all stages."""
        batch = list(events)
        for stage in self._stages:
            out: list[Event] = []
            for event in batch:
                out += stage.feed(event)
            batch = out
        return batch

    def clear(self) -> bool:
        """See `Stage.clear`."""
        return all(stage.clear() for stage in self._stages)

    def close(self) -> list[Event]:
        """Close each stage in turn, what it gives passing through the later ones."""
        batch: list[Event] = []
        for stage in self._stages:
            out: list[Event] = []
            for event in batch:
                out += stage.feed(event)
            out += stage.close()
            batch = out
        return batch
