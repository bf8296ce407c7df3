"""Models, targets and plans: what there is to ask, and in which order."""

from typing import Literal

from msgspec import Struct


class Model(Struct, frozen=True):
    """A model an engine serves.

    Attributes:
        id: the engine's own name for it.
        context: the window that really applies now, in tokens; 0 where the engine does not tell.
        display_name: for people; empty where there is none.
        template: its chat template's text, where the engine tells: it shows which tool syntax the model writes.
        size: bytes on disk, 0 where unknown: of two models the larger is usually the better.
        lacks: what the engine says it cannot do ("chat", "tools", "thinking", "images"): asked for, it would refuse.
    """

    id: str
    context: int = 0
    display_name: str = ""
    template: str = ""
    size: int = 0
    lacks: tuple[str, ...] = ()


class Target(Struct, frozen=True):
    """An engine and a model on it."""

    engine: str
    model: Model

    def __str__(self) -> str:
        return f"{self.engine}/{self.model.id}"


class Plan(Struct, frozen=True):
    """Targets in order of preference, and why in words. Never empty."""

    targets: tuple[Target, ...]
    reason: str


EngineState = Literal["starting", "up", "down"]


class Standing(Struct, frozen=True):
    """One engine at the moment a plan is made.

    Attributes:
        engine: its name.
        kind: its kind.
        state: whether it can be asked.
        models: what it serves; the last known ones while it is down.
        in_flight: answers it is working on for us.
        detail: what is wrong, in words; empty when nothing is.
        notice: what people must know of it.
        in_use: ids of the models that work on them.
    """

    engine: str
    kind: str
    state: EngineState
    models: tuple[Model, ...] = ()
    in_flight: int = 0
    detail: str = ""
    notice: str = ""
    in_use: tuple[str, ...] = ()
