"""The stages of one answer in their order: what an engine's events pass through on their way to the client.

thinking tags in text -> tool calls in text -> calls mended and validated -> grammar
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from understudy.language.events import Event
from understudy.language.message import Part
from understudy.language.request import Request, ToolUse, change
from understudy.language.target import Model
from understudy.stages import Pipeline, Stage, likeness
from understudy.stages.mend import Toolbox
from understudy.stages.repair import Repair
from understudy.stages.thinking import ThinkingTags
from understudy.stages.tidy import Tidy
from understudy.stages.toolcalls import ToolCalls
from understudy.stages.toolsyntax import SYNTAXES, Syntax, syntaxes_for


class Line:
    """All stages for one answer.

    Args:
        request: the question, with the tools the client offered.
        model: who answers; its name and template say in which syntax it writes calls.
        tool_syntax: "auto", "native" (the engine parses calls itself), or a row of SYNTAXES.
        tools: False for a model whose words must never become commands.
        new_id: makes the ids the client sees.
    """

    def __init__(
        self, request: Request, model: Model, tool_syntax: str, *, tools: bool, new_id: Callable[[str], str]
    ) -> None:
        schemas = {tool.name: tool.schema for tool in request.tools if not tool.kind}
        toolbox = Toolbox(list(schemas.items()))
        self._repair = Repair(toolbox, request.tool_choice, partial(new_id, "toolu_"), tools=tools)
        stages: list[Stage] = [ThinkingTags(opened=_opens_thinking(model))]
        syntaxes = _syntaxes(model, tool_syntax) if tools and schemas else ()
        if syntaxes:
            stages.append(ToolCalls(syntaxes, partial(_offered, schemas), schemas.get, partial(new_id, "call_")))
        stages += [self._repair, Tidy(new_id)]
        self._pipeline = Pipeline(stages)

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """What the client is told of these events."""
        return self._pipeline.feed(events)

    def close(self) -> list[Event]:
        """The engine is done: whatever is still to be said."""
        return self._pipeline.close()

    def ids(self) -> dict[str, str]:
        """The engine's id for each id the client was given; none if the engine gave two calls one id: ours tell them apart."""
        ids = dict(self._repair.ids)
        return ids if len(set(ids.values())) == len(ids) else {}

    def outcomes(self) -> tuple[str, ...]:
        """What became of each tool call: "clean", "repaired", "given up" or "dropped"."""
        return tuple(outcome.outcome for outcome in self._repair.outcomes)

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


def _opens_thinking(model: Model) -> bool:
    """Whether the template ends the prompt inside an open <think>: then the answer starts there."""
    tail = model.template.rstrip()[-400:]
    return "<think>\\n' }}" in tail and "</think>" not in tail
