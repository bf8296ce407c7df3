"""Calls of tools that the gateway runs: taken out of what a model says, and told with their results as one answer.

    call of such a tool            -> Served(call), and it waits for its result
    any other event                -> itself
    the answer stops, calls wait   -> nothing yet: there will be another round
    results                        -> Served(result) each; the next round goes on in the same answer

It stands behind the grammar: what comes in obeys it, and what leaves does, over all rounds together. A text that names a
page that was found gets a citation before its block ends.
"""

from collections.abc import Iterable, Sequence

from understudy.language.events import (
    BlockStart,
    BlockStop,
    CitationDelta,
    Event,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Served,
    StopReason,
    TextDelta,
)
from understudy.language.message import Collector
from understudy.language.request import Block, Request, Text, ToolChoice, ToolUse, Turn, change
from understudy.language.web import Hit, ServerToolUse, WebResult, client_id
from understudy.stages.citing import citations


class Serving:
    """One answer in rounds.

    Args:
        request: the question.

    Attributes:
        request: the question, with what was said and found so far.
        tools: those that are run here, by name.
        waiting: calls of this round that want results.
        written: tokens, in all rounds.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.waiting: list[ServerToolUse] = []
        self.tools = {tool.name: tool.web for tool in request.tools if tool.web is not None}
        self._found = [hit for turn in request.turns for block in turn.blocks for hit in _hits(block)]
        self._said = Collector()
        self._call: BlockStart | None = None
        self._pieces: list[str] = []  # of the open call's input, or of the open text
        self._begun = False
        self._stop: MessageStop | None = None
        self._round, self.written = 0, 0

    def more(self, text: str) -> None:
        """Text that passes as it is."""
        self._said.more(text)
        self._pieces.append(text)

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """What the client is told of these events."""
        return [out for event in events for out in self._feed(event)]

    def _feed(self, event: Event) -> Sequence[Event]:
        match event:
            case TextDelta(text):
                self._pieces.append(text)
            case InputDelta(json) if self._call is not None:
                self._pieces.append(json)
                return ()
            case BlockStart():
                self._pieces.clear()
                if event.kind == "tool_use" and event.name in self.tools:
                    self._call = event
                    return ()
            case BlockStop():
                return self._closed(event)
            case MessageStart():
                if self._begun:
                    return ()
                self._begun = True
            case MessageStop():
                return self._stopped(event)
            case Failed():
                self.waiting.clear()
            case _:
                pass
        self._said.feed(event)
        return (event,)

    def _closed(self, stop: BlockStop) -> Sequence[Event]:
        text, start = "".join(self._pieces), self._call
        self._pieces.clear()
        if start is None:
            out: list[Event] = [*map(CitationDelta, citations(text, self._found)), stop]
        else:
            call = ServerToolUse(client_id(start.id), start.name, text)
            self._call = None
            self.waiting.append(call)
            out = [Served(call)]
        for event in out:
            self._said.feed(event)
        return out

    def _stopped(self, stop: MessageStop) -> Sequence[Event]:
        """The last event of the round, which is the answer's own where nothing waits. What was cut is not run."""
        self._round = stop.usage.output_tokens
        self.written += self._round
        stop = change(stop, usage=change(stop.usage, output_tokens=self.written))
        if self.waiting and stop.stop_reason != "max_tokens":
            self._stop = stop
            return ()
        self.waiting.clear()
        return (stop,)

    def results(self, results: Sequence[WebResult], *, last: bool) -> list[Event]:
        """What the waiting calls found: told to the client, and put into the question for the next round.

        Args:
            results: one for each call, in their order.
            last: whether there may be no other round: the client may go on by sending back what it was told.
        """
        said = [Text(block.text) if isinstance(block, Text) else block for block in self._said.blocks]
        others = any(isinstance(block, ToolUse) for block in said)
        self.request = _going_on(self.request, Turn("assistant", (*said, *results)), self._round)
        self._found += [hit for result in results for hit in _hits(result)]
        self._said = Collector()
        self.waiting.clear()
        out: list[Event] = [Served(result) for result in results]
        stop, self._stop = self._stop, None
        if stop is not None and (others or last):
            reason: StopReason = "tool_use" if others else "pause_turn"
            out.append(MessageStop(reason, None, stop.usage))
        return out


def _going_on(request: Request, turn: Turn, written: int) -> Request:
    """The question for the next round. A call that was demanded has been made; tokens that were written are used up."""
    sampling, choice = request.sampling, request.tool_choice
    if sampling.max_tokens is not None:
        sampling = change(sampling, max_tokens=max(1, sampling.max_tokens - written))
    if choice.mode in ("any", "tool"):
        choice = ToolChoice(parallel=choice.parallel, allowed=choice.allowed)
    return change(request, turns=(*request.turns, turn), sampling=sampling, tool_choice=choice, raw=b"")


def _hits(block: Block) -> list[tuple[str, Hit]]:
    """The pages in a search of ours, each with what points at it."""
    if not isinstance(block, WebResult) or not isinstance(block.found, tuple):
        return []
    return [(f"{block.tool_use_id}.{n}", hit) for n, hit in enumerate(block.found) if not hit.sealed]
