"""The stages of one answer in their order: what an engine's events pass through on their way to the client.

messages with headers -> thinking tags in text -> calls in thinking -> tool calls in text -> JSON without its fence
-> calls mended and validated -> grammar
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from understudy.language.events import Event
from understudy.language.message import Part
from understudy.language.request import Request, ToolUse, change
from understudy.language.target import Model
from understudy.stages import Pipeline, Stage, channels, likeness
from understudy.stages.channels import Channels
from understudy.stages.drafts import Drafts
from understudy.stages.mend import Toolbox
from understudy.stages.reasoning import begun, opened, tags_for
from understudy.stages.repair import Held, Outcome, Repair
from understudy.stages.syntax import Syntax
from understudy.stages.thinking import ThinkingTags
from understudy.stages.tidy import Tidy
from understudy.stages.toolcalls import ToolCalls
from understudy.stages.toolsyntax import SYNTAXES, syntaxes_for
from understudy.stages.unfence import Unfence

TAIL = 400
"""Characters at a template's end in which its generation prompt stands."""


class Line:
    """All stages for one answer.

    Args:
        request: the question, with the tools the client offered.
        model: who answers; its name and template say in which syntax it writes calls.
        tool_syntax: "auto", "native" (the engine parses calls itself), or a row of SYNTAXES.
        tools: False for a model whose words must never become commands.
        raw: whether the engine gives the model's own text; others have taken the reasoning out of it already.
        new_id: makes the ids the client sees.
        prompt_end: how the rendered prompt ends, where that is known; else the template tells.
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
        prompt_end: str | None = None,
    ) -> None:
        schemas = {tool.name: tool.schema for tool in request.tools if not tool.kind}
        toolbox = Toolbox(list(schemas.items()))
        self._repair = Repair(
            toolbox, request.tool_choice, partial(new_id, "toolu_"), tools=tools, streams=request.stream
        )
        self._tidy = Tidy(new_id)
        self.one_message = True
        """Whether an answer is one message, whose text can be given back as it is; else it is several, with headers."""
        stages: list[Stage] = [self._repair, self._tidy]
        if request.prompt is None:  # what goes on from raw text is taken as it is
            syntaxes = _syntaxes(model, tool_syntax)
            begun = _begun(request, model, syntaxes, prompt_end) if raw or prompt_end is not None else ""
            calls = syntaxes if tools and schemas else ()
            harmony = channels.used(model.id, model.template) or tool_syntax == channels.HARMONY.name
            self.one_message = not harmony
            stages = [*_readers(request, model, calls, new_id, begun=begun, harmony=harmony), *stages]
        self._pipeline = Pipeline(stages)
        self.passes = self._pipeline.passes
        """Whether more text of the text block that is open would pass at once, as it is: then it may go past the stages."""

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """What the client is told of these events."""
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


def _readers(
    request: Request,
    model: Model,
    syntaxes: Sequence[Syntax],
    new_id: Callable[[str], str],
    *,
    begun: str,
    harmony: bool,
) -> list[Stage]:
    """The stages that read what the model itself wrote, for engines that do not."""
    call_id = partial(new_id, "call_")
    stages: list[Stage] = []
    if harmony:
        stages.append(Channels(call_id, begun=begun))
        begun = ""
    stages.append(ThinkingTags(tags_for(model.id), begun=begun))
    if syntaxes:
        schemas = {tool.name: tool.schema for tool in request.tools if not tool.kind}
        offered = partial(_offered, schemas)
        stages.append(Drafts(syntaxes, offered, schemas.get))
        stages.append(ToolCalls(syntaxes, offered, schemas.get, call_id))
    if request.format is not None:
        stages.append(Unfence())
    return stages


def _offered(schemas: Mapping[str, bytes], name: str) -> bool:
    """Whether a name in the text is a tool's, or near enough to one's to be mended."""
    return name in schemas or likeness.tool(name, schemas) is not None


def _syntaxes(model: Model, tool_syntax: str) -> tuple[Syntax, ...]:
    if tool_syntax == "auto":
        return syntaxes_for(model.id, model.template)
    return () if tool_syntax == "native" else (SYNTAXES[tool_syntax],)


def _begun(request: Request, model: Model, syntaxes: Sequence[Syntax], prompt_end: str | None) -> str:
    """What the prompt has written of the answer already: a header, an opening tag.

    Templates of models that always think end with the opening tag. Those of models that may think end with a choice: the
    opening tag, or an empty pair of tags where thinking is switched off.
    """
    tags = tags_for(model.id)
    if prompt_end is not None:
        return begun(prompt_end, tags)
    if channels.used(model.id, model.template):
        return channels.BEGUN
    if syntaxes and syntaxes[0].begun:
        return syntaxes[0].begun
    tail = model.template[-TAIL:]
    opener = opened(tail, tags)
    may_be_off = any(tag.closer in tail for tag in tags)
    return "" if may_be_off and request.thinking.mode == "disabled" else opener
