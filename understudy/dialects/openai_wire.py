"""The wire structs of OpenAI's Chat Completions (https://platform.openai.com/docs/api-reference/chat), both roles.

Fields that no one here reads are left out: msgspec skips them. Nulls are allowed wherever some engine writes one, and
each field that OpenAI does not have names the engine that does.
"""

from msgspec import Raw, Struct

ABSENT = Raw(b"")
"""Raw's None: a union of Raw and None cannot be decoded."""


def given(raw: Raw) -> bool:
    """Whether the field was there and not null."""
    return raw is not ABSENT and bytes(raw) != b"null"


# What an engine answers: a chunk of a stream, or the whole at once (`message` instead of `delta`).


class FunctionPart(Struct, gc=False):
    """A piece of a call. `arguments` is a string by the book; some engines send the object itself."""

    name: str | None = None
    arguments: Raw = ABSENT


class CallPart(Struct, gc=False):
    """A piece of one of several calls."""

    index: int | None = None
    id: str | None = None
    function: FunctionPart | None = None


class Delta(Struct, gc=False):
    """What is new. Reasoning has three spellings: DeepSeek, llama.cpp, SGLang; vLLM, OpenRouter; some servers on MLX."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_text: str | None = None
    refusal: str | None = None
    tool_calls: list[CallPart] | None = None
    function_call: FunctionPart | None = None


class LogprobsPart(Struct, gc=False):
    """Log probabilities of the tokens of a delta; /v1/completions has them in another form, which nobody reads."""

    content: Raw = ABSENT


class Choice(Struct, gc=False):
    """One of `n` answers; we ask for one. `stop_reason` (vLLM) and `matched_stop` (SGLang): stop string or token id.

    `text` stands instead of `delta` in an answer of /v1/completions.
    """

    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    text: str | None = None
    logprobs: LogprobsPart | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    matched_stop: int | str | None = None


class PromptDetails(Struct, gc=False):
    """How the prompt's tokens came about."""

    cached_tokens: int | None = None


class WireUsage(Struct, gc=False):
    """Tokens. `prompt_cache_hit_tokens` is DeepSeek's."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    prompt_cache_hit_tokens: int | None = None


class Timings(Struct, gc=False):
    """llama.cpp: cached, read and written tokens."""

    cache_n: int | None = None
    prompt_n: int | None = None
    predicted_n: int | None = None


class PromptProgress(Struct, gc=False):
    """llama.cpp with `return_progress`: tokens in all, from the cache, and done."""

    total: int = 0
    cache: int = 0
    processed: int = 0


class Chunk(Struct, gc=False):
    """One record of a stream, a whole answer, or an error."""

    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    model: str | None = None
    error: Raw = ABSENT
    object: str | None = None
    timings: Timings | None = None
    prompt_progress: PromptProgress | None = None


class Fault(Struct):
    """The inside of an error: `code` is a status with vLLM and llama.cpp, a word with OpenAI."""

    code: int | str | None = None
    type: str | None = None


class FaultRecord(Struct):
    """An error in a stream: {error: {...}}, {error: "text"}, or older vLLM's {object: "error", code, ...}."""

    error: Fault | str | None = None
    code: int | str | None = None
    type: str | None = None


# What a client asks.


class StreamOptions(Struct):
    """Of a stream."""

    include_usage: bool | None = None


class TemplateOptions(Struct):
    """`chat_template_kwargs` of vLLM, SGLang and llama.cpp: as much as we know of."""

    enable_thinking: bool | None = None


class AskedFunction(Struct):
    """A call of an earlier answer."""

    name: str
    arguments: str = ""


class AskedCall(Struct):
    """A call of an earlier answer and its id."""

    id: str = ""
    function: AskedFunction | None = None


class AskedMessage(Struct):
    """One message of the conversation."""

    role: str
    content: str | list[Raw] | None = None
    tool_calls: list[AskedCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class ImageUrl(Struct):
    """Where a picture is."""

    url: str


class File(Struct):
    """A document: its data: URL, or an id of something uploaded."""

    file_data: str | None = None
    filename: str | None = None


class AskedPart(Struct):
    """A part of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    file: File | None = None


class AskedToolFunction(Struct):
    """A function the model may call."""

    name: str
    description: str | None = None
    parameters: Raw = ABSENT


class AskedTool(Struct):
    """A tool; only functions can be carried."""

    type: str = "function"
    function: AskedToolFunction | None = None


class NamedFunction(Struct):
    """A function by its name."""

    name: str


class NamedChoice(Struct):
    """`tool_choice` as an object."""

    type: str = "function"
    function: NamedFunction | None = None


class SchemaFormat(Struct):
    """The schema of a `response_format`."""

    schema: Raw = ABSENT


class ResponseFormat(Struct):
    """What form the answer must have."""

    type: str
    json_schema: SchemaFormat | None = None


class Ask(Struct):
    """The body of a request."""

    model: str
    messages: list[AskedMessage]
    tools: list[AskedTool] | None = None
    tool_choice: str | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repeat_penalty: float | None = None  # llama.cpp, LM Studio
    repetition_penalty: float | None = None  # vLLM, SGLang
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: TemplateOptions | None = None
    user: str | None = None
    prompt_cache_key: str | None = None
    task_type: str | None = None  # ours
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Raw = ABSENT
    functions: Raw = ABSENT
    audio: Raw = ABSENT
    prediction: Raw = ABSENT
    web_search_options: Raw = ABSENT


class Wishes(Struct):
    """What a client wants of the form of a stream; read again from the raw body, as no engine needs to know it."""

    stream_options: StreamOptions | None = None
    return_progress: bool | None = None


# What we ask of an engine. `role` and `type` are tags, so that they always come first.


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    """Text beside pictures."""

    text: str


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url"):
    """A picture."""

    image_url: ImageUrl


class SystemMessage(Struct, frozen=True, tag_field="role", tag="system"):
    """The operator's words."""

    content: str


class UserMessage(Struct, frozen=True, tag_field="role", tag="user"):
    """The person's words."""

    content: str | list[TextPart | ImagePart]


class ToolMessage(Struct, frozen=True, tag_field="role", tag="tool"):
    """What a tool answered."""

    tool_call_id: str
    content: str


class CalledFunction(Struct, frozen=True):
    """A call the model made, its arguments as JSON text."""

    name: str
    arguments: str


class Called(Struct, frozen=True):
    """A call the model made."""

    id: str
    type: str
    function: CalledFunction


class AssistantMessage(Struct, frozen=True, tag_field="role", tag="assistant", omit_defaults=True):
    """An earlier answer.

    `content` is "" and never null beside tool calls: templates that write it out unasked print "None" for null (GLM,
    vLLM #54337), iterate over it (Qwen3-VL, mlx-vlm #1864) or make the model fall silent (LM Studio, openfox #117).
    """

    content: str
    reasoning_content: str = ""
    reasoning: str = ""
    thinking: str = ""
    tool_calls: tuple[Called, ...] = ()


EngineMessage = SystemMessage | UserMessage | ToolMessage | AssistantMessage


class OfferedFunction(Struct, frozen=True):
    """A function the model may call; `parameters` are the schema's own bytes."""

    name: str
    description: str
    parameters: Raw


class Offered(Struct, frozen=True, tag_field="type", tag="function"):
    """A tool the model may call."""

    function: OfferedFunction
