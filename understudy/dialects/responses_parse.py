"""What a client of the Responses API asks -> the canonical question.

A conversation is a list of items, and one answer is several of them: reasoning, a message, each call. Neighbouring items of
the model become one turn again, so that it is the turn that the engine wrote; neighbouring results of tools become one turn
of the user's.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from understudy.dialects.responses_items import Piece, read_item
from understudy.dialects.responses_tools import NOTHING, Offer, joined, offered_name, read_tools
from understudy.dialects.responses_wire import (
    Ask,
    AskedChoice,
    AskedFormat,
    decoded,
    given,
    invalid,
    missing,
)
from understudy.language.errors import BadField
from understudy.language.request import (
    Block,
    Request,
    Sampling,
    Text,
    ThinkingWish,
    ToolChoice,
    ToolResult,
    Turn,
    change,
)

_ASK = msgspec.json.Decoder(Ask)
_CHOICE = msgspec.json.Decoder(str | AskedChoice)

_MODES: Final[Mapping[str, Literal["auto", "any", "none"]]] = {
    "auto": "auto",
    "required": "any",
    "none": "none",
}
_UNCARRIED: Final = ("context_management", "moderation")
_LISTED: Final = 20
"""Things that could not be carried that are named; a long history may hold hundreds."""


def read_ask(body: bytes) -> Ask:
    """The body, its items unread.

    Raises:
        BadField: it cannot be read.
    """
    ask = decoded(_ASK, body, "")
    if given(ask.prompt):
        raise BadField("prompt", "prompt: no stored prompts are kept here. Send their text as instructions")
    if ask.previous_response_id and ask.conversation:
        raise BadField(
            "previous_response_id",
            "Mutually exclusive parameters: 'conversation' and 'previous_response_id'. Send only one of them",
            "mutually_exclusive_parameters",
        )
    nothing = ask.input is None or (ask.input == [] and not ask.instructions)
    if nothing and not (ask.previous_response_id or ask.conversation):
        raise missing("input")
    if ask.background and ask.store is False:
        raise BadField("background", "background: an answer in the background must be kept: leave store out")
    return ask


def items_of(ask: Ask) -> list[bytes]:
    """The question's own items; a text is a message of the user's."""
    if isinstance(ask.input, str):
        return [msgspec.json.encode({"role": "user", "content": ask.input})]
    return [bytes(raw) for raw in ask.input or ()]


def parse(ask: Ask, history: Sequence[bytes], own: Sequence[bytes]) -> tuple[Request, Offer]:
    """The question, and the tools it offers.

    Args:
        ask: the body.
        history: the items of the answers before.
        own: the question's own items, references replaced by what they name.

    Raises:
        BadField: naming the field.
        NoTarget: a reference that nothing was found for.
    """
    before = [read_item(raw, "input") for raw in history]
    said = [read_item(raw, f"input[{number}]") for number, raw in enumerate(own)]
    if ask.store is not False:
        _check_reasoning(said)
    story = _Story()
    for piece in (*before, *said):
        story.add(piece)
    story.end()
    offer = joined(read_tools(ask.tools), *story.offers)
    choice, odd = _choice(ask, offer)
    instructions = (Text(ask.instructions),) if ask.instructions else ()
    request = Request(
        ask.model,
        tuple(story.turns),
        (*instructions, *story.system),
        offer.tools,
        choice,
        Sampling(ask.max_output_tokens, ask.temperature, ask.top_p),
        _thinking(ask),
        _format(ask.text.format if ask.text else None),
        bool(ask.stream),
        ask.prompt_cache_key or ask.safety_identifier or ask.user or "",
        dropped=(*_uncarried(ask), *offer.strange, *odd, *story.strange)[:_LISTED],
    )
    return request, offer


class _Story:
    """Items -> turns. A run of items is one turn: all that the model says, or all that tools answer it."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.offers: list[Offer] = []
        self.strange: list[str] = []
        self._run: list[Block] = []
        self._kind = ""
        self._calls: dict[str, bool] = {}
        self._ids: dict[str, str] = {}

    def add(self, piece: Piece) -> None:
        """The next item.

        Raises:
            BadField: it answers no call.
        """
        if not piece.known:
            self.strange.append(f"input of type {piece.kind}")
        if piece.offer is not NOTHING:
            self.offers.append(piece.offer)
        if piece.role == "assistant":
            if piece.call:
                self._calls.setdefault(piece.call, False)
                self._ids[piece.id] = piece.call
            self._add("assistant", piece.blocks)
        elif piece.call:
            self._add("answers", self._answered(piece))
        elif piece.role == "system" and not self.turns and not self._kind:
            self.system += [block for block in piece.blocks if isinstance(block, Text)]
        else:
            self._end_run()
            self.turns.append(Turn(piece.role, piece.blocks))

    def end(self) -> None:
        """Nothing follows. Every call has its result, as the API demands: templates without one fail, or invent it.

        Raises:
            BadField: one has none.
        """
        self._end_run()
        for call, answered in self._calls.items():
            if not answered:
                raise BadField("input", f"No tool output found for function call {call}.")

    def _add(self, kind: str, blocks: tuple[Block, ...]) -> None:
        if self._kind != kind:
            self._end_run()
            self._kind = kind
        self._run += blocks

    def _end_run(self) -> None:
        if self._run:  # an answer that says nothing is no turn
            self.turns.append(Turn("assistant" if self._kind == "assistant" else "user", tuple(self._run)))
        self._run, self._kind = [], ""

    def _answered(self, piece: Piece) -> tuple[Block, ...]:
        """Its blocks, under the id of the call that it answers; some name the call's item instead."""
        call = piece.call
        if call not in self._calls:
            call = self._ids.get(call, call)
        if call not in self._calls:
            raise BadField("input", f"No tool call found for function call output with call_id {call}.")
        self._calls[call] = True
        if call == piece.call:
            return piece.blocks
        return tuple(
            [change(block, tool_use_id=call) for block in piece.blocks if isinstance(block, ToolResult)]
        )


def _check_reasoning(said: Sequence[Piece]) -> None:
    """Reasoning that was kept goes with the item it led to. Without an id, or with `store: false`, it may stand alone.

    Raises:
        BadField: it stands alone.
    """
    for number, piece in enumerate(said):
        if piece.kind == "reasoning" and piece.id:
            after = said[number + 1] if number + 1 < len(said) else None
            if after is None or not after.id:
                raise BadField(
                    "input",
                    f"Item '{piece.id}' of type 'reasoning' was provided without its required following item.",
                )


# ---- the rest of the question ----


def _choice(ask: Ask, offer: Offer) -> tuple[ToolChoice, list[str]]:
    """Which calls are wanted, and what of that could not be carried."""
    parallel = ask.parallel_tool_calls is not False
    wish = decoded(_CHOICE, ask.tool_choice, "tool_choice") if given(ask.tool_choice) else "auto"
    if isinstance(wish, str):
        mode = _MODES.get(wish)
        if mode is None:
            raise invalid("tool_choice", wish, "'none', 'auto', and 'required'")
        if mode == "any" and not given(ask.tools) and not offer.tools:
            raise BadField("tool_choice", "Tool choice 'required' must be specified with 'tools' parameter.")
        return ToolChoice(mode if offer.tools else "auto", parallel=parallel), []
    if wish.type == "allowed_tools":
        return _allowed(wish, offer, parallel=parallel)
    name = _chosen(wish)
    if name in offer.ways:
        return ToolChoice("tool", name, parallel), []
    if wish.type in ("function", "custom"):
        raise BadField("tool_choice", f"Tool choice '{wish.name}' not found in 'tools' parameter.")
    return ToolChoice(parallel=parallel), [f"tool_choice of type {wish.type}"]


def _allowed(wish: AskedChoice, offer: Offer, *, parallel: bool) -> tuple[ToolChoice, list[str]]:
    """Some of the tools. They all stay in the prompt: a list that changes would cost its whole prefix."""
    names = tuple([name for tool in wish.tools or () if (name := _chosen(tool)) in offer.ways])
    if not names:
        return ToolChoice("none", parallel=parallel), ["tool_choice allows no tool that is offered"]
    forced: Literal["any", "auto"] = "any" if wish.mode == "required" else "auto"
    if forced == "any" and len(names) == 1:
        return ToolChoice("tool", names[0], parallel), []
    return ToolChoice(forced, parallel=parallel, allowed=names), []


def _chosen(wish: AskedChoice) -> str:
    """The name by which the model knows the tool."""
    return offered_name(wish.name, wish.namespace) if wish.name else wish.type


def _thinking(ask: Ask) -> ThinkingWish:
    effort = (ask.reasoning and ask.reasoning.effort) or ""
    if not effort:
        return ThinkingWish()
    return ThinkingWish("disabled") if effort == "none" else ThinkingWish("enabled", effort=effort)


def _format(wish: AskedFormat | None) -> bytes | None:
    if wish is None or wish.type == "text":
        return None
    if wish.type == "json_object":
        return b'{"type":"object"}'
    if wish.type != "json_schema":
        raise invalid("text.format.type", wish.type, "'json_object', 'json_schema', and 'text'")
    if not given(wish.schema):
        raise missing("text.format.schema")
    if not bytes(wish.schema).startswith(b"{"):
        raise BadField(
            "text.format.schema", "Invalid type for 'text.format.schema': expected an object", "invalid_type"
        )
    return bytes(wish.schema)


def _uncarried(ask: Ask) -> list[str]:
    """What was asked for that no engine here does."""
    out = [name for name in _UNCARRIED if given(getattr(ask, name))]
    if ask.text and ask.text.verbosity not in (None, "medium"):
        out.append("text.verbosity")
    if ask.truncation not in (None, "disabled"):
        out.append("truncation")
    if ask.top_logprobs:
        out.append("top_logprobs")
    if ask.max_tool_calls is not None:
        out.append("max_tool_calls")
    return out
