"""What settings say of routing: targets of a task, rules by what a request is like, and how a task's tokens are drawn.

They stand in the waist because both ends need them: the settings read them, the router goes by them.
"""

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

Task = Literal["code", "math", "reasoning", "docs", "creative", "translation", "chinese", "general"]
TASKS: tuple[Task, ...] = get_args(Task)

RequestClass = Literal["main", "subagent", "auxiliary", "compaction", "batch"]
"""What a client says its request is: Claude Code's hints, and ours for the requests of a batch."""

Pattern = Annotated[str, Meta(min_length=1)]
"""Which targets: see `routing.targets`."""


class When(Struct, frozen=True, forbid_unknown_fields=True):
    """What must hold for a rule; what is left out may be anything.

    Attributes:
        tasks: what is asked for is one of these.
        background: a small errand beside the conversation, or one for a haiku model.
        subagent: an agent asks that another one started.
        agent: a coding agent asks.
        images: there are pictures to look at.
        tools: tools of the client's own are offered.
        thinking: reasoning is wanted.
        web_search: a search of the web is offered as a tool.
        tokens_over: the prompt has more tokens than that, by an estimate.
        request_class: what the client says that its request is.
        key: the caller's key, by the short name that the log has for it.
        model: what the client asked for, with * and ?.
    """

    tasks: tuple[Task, ...] = ()
    background: bool | None = None
    subagent: bool | None = None
    agent: bool | None = None
    images: bool | None = None
    tools: bool | None = None
    thinking: bool | None = None
    web_search: bool | None = None
    tokens_over: Annotated[int, Meta(ge=0)] | None = None
    request_class: RequestClass | None = None
    key: str = ""
    model: str = ""


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """Where `when` holds, these targets come first, in their order."""

    targets: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    when: When = When()


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """How tokens are drawn for a task, where the client does not say."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=2)] | None = None


class Routing(Struct, frozen=True, forbid_unknown_fields=True):
    """The `[routing]` section.

    Attributes:
        sure: from which confidence on a guessed task decides alone; below it the keywords are asked first.
        stay: whether a conversation keeps its target.
        come_back: whether it goes back to a target that it left because it was down.
        tasks: the targets of a task, instead of the built-in ones.
        rules: asked in their order before the built-in ones; the first that holds decides.
        parameters: of a task, instead of the built-in ones.
    """

    sure: Annotated[float, Meta(ge=0, le=1)] = 0.4
    stay: bool = True
    come_back: bool = False
    tasks: dict[Task, Annotated[tuple[Pattern, ...], Meta(min_length=1)]] = {}
    rules: tuple[Rule, ...] = ()
    parameters: dict[Task, Parameters] = {}
