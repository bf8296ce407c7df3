"""The response object of the Responses API: what was asked shown again, and what has become of it.

Every field that the API always gives is there. Not ours to give, and left out: `billing` and `tool_usage`, which count what
OpenAI sells, and a message's `phase`, which only its own models tell.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from understudy.dialects.responses_wire import Ask, AskedFormat, Reference, given
from understudy.dialects.words import clean
from understudy.language.events import Usage

_json = msgspec.json.encode
ENDED: Final = ("completed", "incomplete")
"""How an answer ends that may be gone on from."""


class Cached(Struct):
    """How the prompt's tokens came about."""

    cached_tokens: int
    cache_write_tokens: int = 0


class Reasoned(Struct):
    """What the answer's tokens went into."""

    reasoning_tokens: int


class WireUsage(Struct):
    """Tokens."""

    input_tokens: int
    input_tokens_details: Cached
    output_tokens: int
    output_tokens_details: Reasoned
    total_tokens: int


class WireReasoning(Struct):
    """What was asked of reasoning."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class WireFormat(Struct):
    """What form the text has."""

    type: str = "text"
    description: str | UnsetType | None = UNSET
    name: str | UnsetType = UNSET
    schema: Raw | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class WireText(Struct):
    """Of the text."""

    format: WireFormat
    verbosity: str


class WireError(Struct):
    """Why there is no answer."""

    code: str
    message: str


class Incomplete(Struct):
    """Why the answer is not whole."""

    reason: str


class WireResponse(Struct):
    """The response object."""

    id: str
    created_at: int
    status: str
    model: str
    output: Sequence[Raw]
    background: bool
    completed_at: int | None
    error: WireError | None
    incomplete_details: Incomplete | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    reasoning: WireReasoning
    safety_identifier: str | None
    store: bool
    temperature: float | None
    text: WireText
    tool_choice: Raw
    tools: Raw
    top_logprobs: int
    top_p: float | None
    truncation: str
    user: str | None
    usage: WireUsage | None
    conversation: Reference | UnsetType = UNSET
    prompt_cache_options: Raw | UnsetType = UNSET
    object: str = "response"
    service_tier: str = "default"
    moderation: None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0


class Sheet:
    """The response object of one exchange, at any time of it.

    Args:
        ask: the question.
        answer_id: what the answer is called.
        clock: seconds since 1970; asked when the answer begins and when it ends.
    """

    def __init__(self, ask: Ask, answer_id: str, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._ended: int | None = None
        self.id = answer_id
        self.created = int(clock())

    def body(
        self,
        status: str,
        output: Sequence[Raw] = (),
        usage: WireUsage | None = None,
        error: WireError | None = None,
        incomplete: str = "",
    ) -> bytes:
        """The object as it is now."""
        ask = self._ask
        return _json(
            WireResponse(
                self.id,
                self.created,
                status,
                clean(ask.model),
                output,
                background=bool(ask.background),
                completed_at=self._end() if status == "completed" else None,
                error=error,
                incomplete_details=Incomplete(incomplete) if incomplete else None,
                instructions=ask.instructions,
                max_output_tokens=ask.max_output_tokens,
                max_tool_calls=ask.max_tool_calls,
                metadata=ask.metadata or {},
                parallel_tool_calls=ask.parallel_tool_calls is not False,
                previous_response_id=ask.previous_response_id,
                prompt_cache_key=ask.prompt_cache_key,
                prompt_cache_retention=ask.prompt_cache_retention,
                reasoning=_reasoning(ask),
                safety_identifier=ask.safety_identifier,
                store=ask.store is not False,
                temperature=1.0 if ask.temperature is None else ask.temperature,
                text=_text(ask),
                tool_choice=ask.tool_choice if given(ask.tool_choice) else Raw(b'"auto"'),
                tools=ask.tools if given(ask.tools) else Raw(b"[]"),
                top_logprobs=ask.top_logprobs or 0,
                top_p=1.0 if ask.top_p is None else ask.top_p,
                truncation=ask.truncation or "disabled",
                user=ask.user,
                usage=usage,
                conversation=Reference(name) if (name := conversation_of(ask)) else UNSET,
                prompt_cache_options=ask.prompt_cache_options if given(ask.prompt_cache_options) else UNSET,
            )
        )

    def _end(self) -> int:
        """When it ended: once, for whoever reads it."""
        if self._ended is None:
            self._ended = int(self._clock())
        return self._ended


def conversation_of(ask: Ask) -> str:
    """The id of the conversation that is named; "" for none."""
    found = ask.conversation
    return found.id if isinstance(found, Reference) else found or ""


def usage_of(usage: Usage, thought: int, said: int) -> WireUsage:
    """Tokens, as the engine counted them.

    No engine tells how many went into reasoning: they are shared out by length.

    Args:
        usage: the engine's count.
        thought: characters of reasoning.
        said: characters of everything else.
    """
    share = round(usage.output_tokens * thought / (thought + said)) if thought else 0
    return WireUsage(
        usage.input_tokens,
        Cached(usage.cached_tokens or 0),
        usage.output_tokens,
        Reasoned(share),
        usage.input_tokens + usage.output_tokens,
    )


def _reasoning(ask: Ask) -> WireReasoning:
    wish = ask.reasoning
    if wish is None:
        return WireReasoning()
    summary = wish.summary or wish.generate_summary
    return WireReasoning(wish.effort, summary, wish.generate_summary, wish.context, wish.mode)


def _text(ask: Ask) -> WireText:
    wish = ask.text
    form = _format(wish.format) if wish and wish.format else WireFormat()
    return WireText(form, (wish and wish.verbosity) or "medium")


def _format(wish: AskedFormat) -> WireFormat:
    if wish.type != "json_schema":
        return WireFormat(wish.type)
    return WireFormat(
        wish.type, wish.description, wish.name or UNSET, wish.schema, strict=wish.strict is not False
    )
