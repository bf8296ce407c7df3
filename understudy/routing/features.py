"""What a request is like, as far as routing minds: how long, with which wishes, and from what kind of client.

Everything is read off what the client sent. What it asks for is another matter: that is guessed (`tasks.py`).
"""

from fnmatch import fnmatchcase

from msgspec import Struct

from understudy.language.request import Image, Request, ToolResult
from understudy.language.routes import Task, When

AGENTS_TOOLS = frozenset(
    (
        *("bash", "shell", "local_shell", "exec_command", "execute_command", "run_command", "terminal"),
        *("edit", "multiedit", "write", "edit_file", "write_file", "write_to_file", "replace_in_file"),
        *("apply_patch", "str_replace_editor", "str_replace_based_edit_tool", "run_terminal_cmd"),
    )
)
"""Names, in small letters, of the tools with which coding agents run programs and change files (Claude Code, Codex, Cline,
Cursor and their kin): who offers one of them works in a repository."""
DOUBT = 3
"""By how much the estimate of a prompt's tokens may be too high (`tokens.GUESS_DOUBT`)."""


class Features(Struct, frozen=True):
    """See `language.routes.When`, whose conditions these answer.

    Attributes:
        model: what the client asked for.
        tokens: how long the prompt is, by an estimate.
        tool_loop: this turn answers calls of the model's: it is in the middle of something.
        beside: an errand beside the conversation of its session.
        in_words: pictures are put in words for a target that cannot see (`[images] describer`).
        key: the caller's key, by its short name.
    """

    model: str
    tokens: int = 0
    background: bool = False
    subagent: bool = False
    agent: bool = False
    images: bool = False
    tools: bool = False
    tool_loop: bool = False
    thinking: bool = False
    web_search: bool = False
    beside: bool = False
    in_words: bool = False
    request_class: str = ""
    key: str = ""

    @property
    def to_see(self) -> bool:
        """Whether it takes eyes to answer."""
        return self.images and not self.in_words

    @property
    def least_tokens(self) -> int:
        """What the prompt surely has: a smaller window cannot hold it."""
        return self.tokens // DOUBT


def read(
    request: Request,
    tokens: int,
    *,
    session: str = "",
    agent: str = "",
    request_class: str = "",
    key: str = "",
    in_words: bool = False,
) -> Features:
    """The features of a request.

    Args:
        request: the question.
        tokens: how long its prompt is, by an estimate.
        session: Claude Code's name for the session; "" from other clients.
        agent: its name for the sub-agent that asks; "" for the main thread.
        request_class: see `language.routes.RequestClass`; a word that is none of them is nothing to us.
        key: the caller's key, by its short name.
        in_words: whether pictures are put in words for a target that cannot see.
    """
    own = [tool.name.lower() for tool in request.tools if not tool.kind]
    session = "" if request_class == "batch" else session
    beside = request_class == "auxiliary" or (bool(session) and not own)
    return Features(
        request.model,
        tokens,
        background=beside or "haiku" in request.model.lower(),
        subagent=bool(agent) or request_class == "subagent",
        agent=bool(session) or any(name in AGENTS_TOOLS for name in own),
        images=_pictures(request),
        tools=bool(own),
        tool_loop=_answers_calls(request),
        thinking=request.thinking.mode in {"adaptive", "enabled"},
        web_search=any(tool.kind.startswith("web_search") for tool in request.tools),
        beside=beside,
        in_words=in_words,
        request_class=request_class,
        key=key,
    )


def holds(when: When, features: Features, task: Task | None) -> bool:
    """Whether a rule is for such a request; one for tasks is not where nobody knows the task."""
    return (
        (not when.tasks or task in when.tasks)
        and all(
            wanted is None or wanted is found
            for wanted, found in (
                (when.background, features.background),
                (when.subagent, features.subagent),
                (when.agent, features.agent),
                (when.images, features.images),
                (when.tools, features.tools),
                (when.thinking, features.thinking),
                (when.web_search, features.web_search),
            )
        )
        and (when.tokens_over is None or features.tokens > when.tokens_over)
        and (when.request_class is None or when.request_class == features.request_class)
        and (not when.key or when.key == features.key)
        and (not when.model or fnmatchcase(features.model, when.model))
    )


def _pictures(request: Request) -> bool:
    """Whether there is a picture anywhere. To search the body for one would take ten times as long."""
    return any(
        type(part) is Image
        for turn in request.turns
        for block in turn.blocks
        for part in (block.content if type(block) is ToolResult else (block,))
    )


def _answers_calls(request: Request) -> bool:
    """Whether the newest turn of the user's holds results; clients put notes of their own behind it."""
    last = next((turn for turn in reversed(request.turns) if turn.role != "system"), None)
    return last is not None and any(isinstance(block, ToolResult) for block in last.blocks)
