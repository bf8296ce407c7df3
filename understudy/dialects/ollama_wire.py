"""The wire structs of Ollama's /api/chat and /api/generate, both roles (ollama/ollama `api/types.go`).

Nulls are allowed wherever Go would write or read one. A message looks the same in a question and in an answer.
"""

import msgspec
from msgspec import Raw, Struct, field

from understudy.dialects.words import clean
from understudy.language.jsontext import BROKEN

ABSENT = Raw(b"")
"""Raw's None: a union of Raw and None cannot be decoded. Fields left at this very object are not written."""


class CallFunction(Struct, omit_defaults=True):
    """What is called. `arguments` is a JSON object; `index` counts the calls of an answer."""

    name: str
    arguments: Raw = ABSENT
    index: int | None = None


class ChatCall(Struct, omit_defaults=True):
    """A tool call. Ollama gives ids since 0.12; older versions, and clients, leave them out."""

    function: CallFunction
    id: str | None = None


class ChatMessage(Struct, omit_defaults=True):
    """A message, of a question and of an answer alike."""

    role: str = ""
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[ChatCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OfferedFunction(Struct):
    """What a tool is called, and what it takes."""

    name: str
    description: str = ""
    parameters: Raw = Raw(b"{}")


class Offered(Struct):
    """A tool the model may call."""

    function: OfferedFunction
    type: str = "function"


class Options(Struct, omit_defaults=True):
    """The sampling of a question. Other options are the engine's."""

    num_predict: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repeat_penalty: float | None = None
    stop: list[str] | str | None = None


class Given(Struct):
    """Options in their place, so that an error names the path."""

    options: Options | None


class Ask(Struct, omit_defaults=True):
    """A question; without messages, the wish that the model be loaded.

    `truncate` and `shift` are in no documentation, only in `api/types.go`.
    """

    model: str
    messages: list[ChatMessage] | None = None
    stream: bool | None = None
    tools: list[Offered] | None = None
    format: Raw = ABSENT
    options: Raw = ABSENT
    think: bool | str | None = None
    keep_alive: int | float | str | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class Generate(Struct, omit_defaults=True):
    """A question to /api/generate, as an engine is asked: `raw` keeps the template away from the prompt.

    With a `suffix` the template is what puts the two around the gap, so it is needed.
    """

    model: str
    prompt: str
    suffix: str = ""
    raw: bool = False
    stream: bool = False
    options: Raw = ABSENT
    keep_alive: int | float | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class AskGenerate(Struct):
    """A client's question to /api/generate: Ollama's fields, and the four of understudy's simple form."""

    model: str | None = None
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: Raw = ABSENT
    raw: bool | None = None
    images: list[str] | None = None
    stream: bool | None = None
    format: Raw = ABSENT
    options: Raw = ABSENT
    think: bool | str | None = None
    keep_alive: int | float | str | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    task_type: str | None = None
    temperature: float | None = None
    max_tokens: int | None = field(default=None, name="maxTokens")


# An answer.


class ErrorObject(Struct):
    """An error as some servers put it in Ollama's place."""

    message: str = ""


class Line(Struct, omit_defaults=True):
    """One line of an answer, or all of it. `response` and `thinking` are /api/generate's, `task` is understudy's own."""

    model: str | None = None
    created_at: str | None = None
    message: ChatMessage | None = None
    response: str | None = None
    thinking: str | None = None
    task: str | None = None
    done: bool = False
    done_reason: str | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    logprobs: Raw = ABSENT
    error: str | ErrorObject | None = None
    status: int | None = None


_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Raw]).decode


def object_of(text: str) -> Raw:
    """A tool call's input as the JSON object this wire demands; text that is none becomes the object's one value."""
    text = clean(text)
    try:
        _object(text)
    except BROKEN:
        return Raw(_encode({"input": text})) if text.strip() else Raw(b"{}")
    # A line of ndjson may hold no line end; between JSON's tokens, and only there, there might be some.
    return Raw((msgspec.json.format(text, indent=-1) if "\n" in text or "\r" in text else text).encode())


def text_from(arguments: Raw) -> str:
    """A call's arguments as JSON text, in the bytes they came in. Some servers send the text itself, as a string."""
    data = bytes(arguments)
    if data[:1] == b'"':
        return msgspec.json.decode(data, type=str)
    return "{}" if data in {b"", b"null"} else data.decode()
