"""The stages of one answer in their order: what an engine's events pass through on their way to the client.

thinking tags in text -> tool calls in text -> calls mended and validated -> grammar
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from understudy.language.events import Event
from understudy.language.message import Part
from understudy.language.request import Request, ToolUse, change
from understudy.language.target import Model
from understudy.stages import Pipeline, Stage, likeness
from understudy.stages.mend import Toolbox
from understudy.stages.repair import Held, Outcome, Repair
from understudy.stages.thinking import ThinkingTags
from understudy.stages.tidy import Tidy
from understudy.stages.toolcalls import ToolCalls
from understudy.stages.toolsyntax import SYNTAXES, Syntax, syntaxes_for

TAIL = 400
"""Characters at a template's end in which its generation prompt stands."""
OPENED = re.compile(r"<think>(?:\\n|\n)?\s*['\"]?\s*(?:[-+]?[}%]\}|$)")
"""The opening tag as the last thing a template writes."""


class Line:
    """All stages for one answer.

    Args:
        request: the question, with the tools the client offered.
        model: who answers; its name and template say in which syntax it writes calls.
        tool_syntax: "auto", "native" (the engine parses calls itself), or a row of SYNTAXES.
        tools: False for a model whose words must never become commands.
        raw: whether the engine gives the model's own text; others have taken the reasoning out of it already.
        new_id: makes the ids the client sees.
    """

    def __init__(
        self,
        request: Request,
        model: Model,
        tool_syntax: str,
        *,
        tools: bool,
        raw: bool,
        new_id: Callable[[str], str],
    ) -> None:
        schemas = {tool.name: tool.schema for tool in request.tools if not tool.kind}
        toolbox = Toolbox(list(schemas.items()))
        self._repair = Repair(
            toolbox, request.tool_choice, partial(new_id, "toolu_"), tools=tools, streams=request.stream
        )
        self._tidy = Tidy(new_id)
        stages: list[Stage] = []
        if request.prompt is None:  # what goes on from raw text is taken as it is
            stages.append(ThinkingTags(opened=raw and _opens_thinking(request, model)))
        syntaxes = _syntaxes(model, tool_syntax) if tools and schemas else ()
        self._calls: ToolCalls | None = None
        if syntaxes:
            offered = partial(_offered, schemas)
            self._calls = ToolCalls(syntaxes, offered, schemas.get, partial(new_id, "call_"))
            stages.append(self._calls)
        stages += [self._repair, self._tidy]
        self._pipeline = Pipeline(stages)
        self._clear = False  # as far as it has been looked at

    def passes(self, text: str) -> bool:
        """Whether more text of the text block that is open would pass at once, as it is: then it may go past the stages."""
        self._clear = self._clear or self._pipeline.clear()
        return self._clear and (self._calls is None or self._calls.plain(text))

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """What the client is told of these events."""
        self._clear = False
        return self._pipeline.feed(events) + self._tidied(self._repair.begun())

    def wanted(self) -> Sequence[Held]:
        """See `Repair.wanted`."""
        return self._repair.wanted()

    def again(self, lost: Held, name: str, arguments: str, output_tokens: int) -> list[Event]:
        """See `Repair.again`."""
        return self._tidied(self._repair.again(lost, name, arguments, output_tokens))

    def close(self) -> list[Event]:
        """The engine is done: whatever is still to be said."""
        return self._pipeline.close()

    def _tidied(self, events: Iterable[Event]) -> list[Event]:
        return [out for event in events for out in self._tidy.feed(event)]

    def ids(self) -> dict[str, str]:
        """The engine's id for each id the client was given; none where the turn cannot be replayed as the engine wrote it.

        Two calls may share an id, and only ours tell them apart; a call may have been written twice.
        """
        ids = dict(self._repair.ids)
        if any(outcome.outcome == "retried" for outcome in self._repair.outcomes):
            return {}
        return ids if len(set(ids.values())) == len(ids) else {}

    def outcomes(self) -> tuple[Outcome, ...]:
        """What became of each tool call."""
        return tuple(self._repair.outcomes)

    def replayable(self, blocks: Sequence[Part]) -> tuple[Part, ...]:
        """The engine's own blocks; a call that had to be mended goes back mended: templates choke on broken JSON.

        A call that never left is left out: nothing will ever answer it.
        """
        sent = self._repair.sent
        kept = [block for block in blocks if not isinstance(block, ToolUse) or block.id in sent]
        return tuple(
            change(block, name=sent[block.id].name, input=sent[block.id].input)
            if isinstance(block, ToolUse) and sent[block.id].input != block.input
            else block
            for block in kept
        )


def _offered(schemas: Mapping[str, bytes], name: str) -> bool:
    """Whether a name in the text is a tool's, or near enough to one's to be mended."""
    return name in schemas or likeness.tool(name, schemas) is not None


def _syntaxes(model: Model, tool_syntax: str) -> tuple[Syntax, ...]:
    if tool_syntax == "auto":
        return syntaxes_for(model.id, model.template)
    return () if tool_syntax == "native" else (SYNTAXES[tool_syntax],)


def _opens_thinking(request: Request, model: Model) -> bool:
    """Whether the prompt ends inside an open <think>, so that the answer starts there.

    Templates of models that always think end with the opening tag. Those of models that may think end with a choice: the
    opening tag, or an empty pair of tags where thinking is switched off.
    """
    tail = model.template[-TAIL:]
    if not OPENED.search(tail):
        return False
    return "</think>" not in tail or request.thinking.mode != "disabled"
