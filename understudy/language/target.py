"""Models, targets and plans: what there is to ask, and in which order."""

from typing import Literal

from msgspec import Struct

from understudy.language.routes import Task


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


Leaving = Literal["", "model", "down", "images", "overflow", "privacy", "back", "task"]
"""Why a conversation leaves the target that holds its prefix: it does not; another model was named; that target cannot be
asked; there are pictures it cannot see; the prompt does not fit; it is outside the house, and the question may not leave;
the one that it was driven from is back; the settings let every turn choose."""


class Home(Struct, frozen=True):
    """The target that holds a conversation's prefix.

    Attributes:
        target: its engine and model, as `str(Target)`.
        tokens: how long the last prompt was: what is lost where the conversation leaves.
        task: what the conversation is about.
        confidence: how sure that is.
        driven: the target that it left because that was down; "" for none.
        asked: the model that the client named.
    """

    target: str
    tokens: int = 0
    task: Task | Literal[""] = ""
    confidence: float = 0.0
    driven: str = ""
    asked: str = ""


class Stay(Struct, frozen=True):
    """Where the conversation of a question lives.

    Attributes:
        session: the name of the session that the question is in, for what is remembered of its turns.
        talk: the conversation whose home counts: the same, or the one that this is an errand of; "" for none.
        home: what is known of it from before.
        leaving: why it leaves that.
        follows: this is an errand beside the conversation: it goes where that lives, and moves nothing.
        asked: the model that the client names.
    """

    session: str = ""
    talk: str = ""
    home: Home | None = None
    leaving: Leaving = ""
    follows: bool = False
    asked: str = ""


class Plan(Struct, frozen=True):
    """Targets in order of preference, and why in words. Never empty.

    Attributes:
        task: what is asked for; "" where nobody looked.
        confidence: how sure that is.
        by: what decided: a model's name, a rule of the settings, or the task.
        stay: where its conversation lives.
    """

    targets: tuple[Target, ...]
    reason: str
    task: Task | Literal[""] = ""
    confidence: float = 0.0
    by: Literal["name", "rule", "task"] = "name"
    stay: Stay = Stay()


EngineState = Literal["starting", "up", "down", "held"]
"""`held` is one that is outside the house while nothing may leave it: it is never asked."""


Mode = Literal["local-only", "ask-free", "open"]
"""Which requests may go to targets outside the house: none, those without a finding, all."""


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
        local: whether what it is sent stays in the house.
        lacks: what it cannot do with any model ("tools", "images"), besides what each of them lacks.
        in_use: ids of the models that work on them.
    """

    engine: str
    kind: str
    state: EngineState
    models: tuple[Model, ...] = ()
    in_flight: int = 0
    detail: str = ""
    notice: str = ""
    local: bool = True
    lacks: tuple[str, ...] = ()
    in_use: tuple[str, ...] = ()
