"""A call that could not be mended, asked for once more: the same question, so that nothing but one valid call can answer it.

The prompt stays as it was, tools and all: the engine has just read it, and holds it in its cache. What changes is only what
may be written after it. How an engine can be held to that differs (`Quirks.constrain`):

    named      `tool_choice` naming the tool: its arguments are generated under its schema (vLLM, SGLang)
    required   `tool_choice` required: some call of the offered tools, under a grammar of them all (llama.cpp)
    format     a response format: the answer is the arguments and nothing else (Ollama, LM Studio)

Reasoning is switched off: what was to be thought has been thought.
"""

from understudy.dialects import Quirks
from understudy.language.events import Event, TextDelta
from understudy.language.message import Collector
from understudy.language.request import Request, Text, ThinkingWish, ToolChoice, ToolUse, change
from understudy.stages.line import Line


def once_more(question: Request, name: str, quirks: Quirks) -> Request | None:
    """The question that only a call can answer; None where this engine cannot be held to one.

    Args:
        question: as it was asked.
        name: the tool that was called, as the model wrote it: it may be none of the offered ones.
        quirks: the engine's.
    """
    tool = next((tool for tool in question.tools if tool.name == name and not tool.kind), None)
    asking = change(question, thinking=ThinkingWish("disabled"))
    if quirks.constrain == "format":
        return change(asking, format=tool.schema, tool_choice=ToolChoice()) if tool else None
    if quirks.constrain == "named" and tool:
        return change(asking, tool_choice=ToolChoice("tool", name, parallel=False))
    return change(asking, tool_choice=ToolChoice("any", parallel=False)) if quirks.constrain else None


class SecondAnswer:
    """A `Listener` for the answer to that question; no client is told of it.

    Args:
        asked: the question.
        line: the stages, made for it.
        name: the tool that was called.
    """

    def __init__(self, asked: Request, line: Line, name: str) -> None:
        self._asked = asked
        self._line = line
        self._name = name
        self._answer = Collector()

    def tell(self, events: list[Event]) -> None:
        """See `Listener`."""
        self._answer.tell(self._line.feed(events))

    def more(self, text: str) -> None:
        """See `Listener`."""
        self.tell([TextDelta(text)])

    def call(self) -> tuple[ToolUse, int] | None:
        """The call, whichever way it was written, and the tokens it took; None where there is none, or it was cut.

        Another tool's call counts only where the one that was called does not exist.
        """
        self._answer.tell(self._line.close())
        answer = self._answer.message
        if answer is None:
            return None
        offered = any(tool.name == self._name for tool in self._asked.tools)
        calls = [
            block
            for block in answer.blocks
            if isinstance(block, ToolUse) and (block.name == self._name or not offered)
        ]
        if not calls and self._asked.format is not None:
            text = "".join(block.text for block in answer.blocks if isinstance(block, Text))
            calls = [ToolUse("", self._name, text)]
        return (calls[0], answer.usage.output_tokens) if calls else None
