"""The wire structs of OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses): clients' questions.

Unknown fields are skipped: clients send new ones every month, and no answer depends on them. Fields that are only shown
again stay raw JSON. How a wrong field is named is here too: the API tells its path apart from the sentence.
"""

import re
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from understudy.language.errors import BadField
from understudy.language.jsontext import BROKEN

T = TypeVar("T")


ABSENT = Raw(b"")
"""Raw's None: a union of Raw and None cannot be decoded."""


def given(raw: Raw) -> bool:
    """Whether the field was there and not null."""
    return bytes(raw) not in (b"", b"null")


# ---- what a client asks ----


class AskedReasoning(Struct):
    """How much reasoning, and how it is shown; `generate_summary` is the old name of `summary`."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class AskedFormat(Struct):
    """What form the answer must have."""

    type: str
    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class AskedText(Struct):
    """Of the text of the answer."""

    format: AskedFormat | None = None
    verbosity: str | None = None


class Reference(Struct):
    """Something named by its id."""

    id: str


class Ask(Struct):
    """The body of `POST /v1/responses`. The limits are the API's."""

    model: str
    input: str | list[Raw] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | Reference | None = None
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    include: list[str] | None = None
    tools: Raw = ABSENT
    tool_choice: Raw = ABSENT
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=16)] | None = None
    max_tool_calls: int | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    reasoning: AskedReasoning | None = None
    text: AskedText | None = None
    truncation: str | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: Raw = ABSENT
    service_tier: str | None = None
    task_type: str | None = None  # ours
    prompt: Raw = ABSENT
    context_management: Raw = ABSENT
    moderation: Raw = ABSENT


class ItemKind(Struct):
    """What an item is: its `type`, or what stands for it."""

    type: str | None = None
    role: str | None = None
    id: str | None = None


class Item(Struct):
    """An item of any kind; which fields it has goes by its `type`. An item with a role and no type is a message."""

    type: str | None = None
    role: str | None = None
    content: str | list[Raw] | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    output: Raw = ABSENT
    summary: list[Raw] | None = None
    encrypted_content: str | None = None
    action: Raw = ABSENT
    operation: Raw = ABSENT
    tools: Raw = ABSENT
    execution: str | None = None
    status: str | None = None


class Part(Struct):
    """A part of a message's content, or of a tool's output."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None


class ShellOutcome(Struct):
    """How a command ended."""

    type: str
    exit_code: int | None = None


class ShellOutput(Struct):
    """What one command of a `shell_call` wrote."""

    stdout: str = ""
    stderr: str = ""
    outcome: ShellOutcome | None = None


class GrammarFormat(Struct):
    """What a custom tool takes: any text, or what a grammar allows."""

    type: str
    syntax: str | None = None
    definition: str | None = None


class Place(Struct):
    """Where a shell runs."""

    type: str


class AskedTool(Struct):
    """A tool of any kind; which fields it has goes by its `type`."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    defer_loading: bool | None = None
    format: GrammarFormat | None = None
    tools: list[Raw] | None = None
    execution: str | None = None
    environment: Place | None = None


class AskedChoice(Struct):
    """`tool_choice` as an object: one tool, or some of them (`allowed_tools`)."""

    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: "list[AskedChoice] | None" = None


# ---- what is wrong with it ----

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<place>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_OTHER_TYPE = re.compile(r"Expected `(.*)`, got `(.*)`")


def decoded(decoder: "msgspec.json.Decoder[T]", raw: bytes | Raw, place: str) -> T:
    """What stands at `place`.

    Raises:
        BadField: it is something else.
    """
    try:
        return decoder.decode(raw)
    except BROKEN as error:
        raise problem(error, place) from error


def problem(error: Exception, place: str = "") -> BadField:
    """The sentence and the path of what msgspec found."""
    found = _PLACE.fullmatch(str(error))
    what, inner = (found["what"], found["place"] or "") if found else (str(error), "")
    path = f"{place}{'' if inner.startswith('[') or not (place and inner) else '.'}{inner}"
    if not isinstance(error, msgspec.ValidationError):
        return BadField(path, f"The body is not valid JSON: {what}")
    if absent := _MISSING.fullmatch(what):
        return missing(f"{path}.{absent[1]}" if path else absent[1])
    named = f"'{path}'" if path else "the body"
    if other := _OTHER_TYPE.fullmatch(what):
        sentence = f"Invalid type for {named}: expected {other[1]}, but got {other[2]} instead."
        return BadField(path, sentence, "invalid_type")
    return BadField(path, f"Invalid value for {named}: {what}", "invalid_value")


def missing(path: str) -> BadField:
    """A field that must be there and is not."""
    return BadField(path, f"Missing required parameter: '{path}'.", "missing_required_parameter")


def invalid(path: str, value: str, supported: str) -> BadField:
    """A field with a value that is none of those it may have."""
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
    return BadField(
        path, f"Invalid value: '{shown}' in '{path}'. Supported values are: {supported}.", "invalid_value"
    )


_SHOWN = 60
"""Characters of a wrong value that an error repeats."""
