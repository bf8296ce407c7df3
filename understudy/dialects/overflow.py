"""How engines say that a prompt does not fit their window: a table of phrases, whichever dialect carries them.

Every engine has its own sentence, several have had three, and gateways between quote each other. Claude Code compacts
its history when it reads Anthropic's sentence with both numbers, so the numbers are worth digging out.
"""

import re
from contextlib import suppress

import msgspec
from msgspec import Struct

from understudy.language.errors import PromptTooLong
from understudy.language.jsontext import BROKEN

_STATUSES = frozenset({200, 400, 413, 422, 500})
"""Where an overflow is looked for: 200 is an error inside a stream, 500 is how Ollama and LM Studio may answer."""

_READ = 64 * 1024
"""Bytes of an error body that are read: the sentence stands at its start."""


class Phrase(Struct, frozen=True):
    """One way to say it. Groups: `prompt`, `output`, `total` (prompt and output) and `maximum`, in tokens."""

    engine: str
    pattern: re.Pattern[str]


def _phrase(engine: str, pattern: str) -> Phrase:
    """A phrase from its pattern, in which N:name stands for a number."""
    return Phrase(
        engine, re.compile(re.sub(r"N:(\w+)", r"(?P<\1>\\d{1,15})", pattern), re.IGNORECASE | re.DOTALL)
    )


PHRASES = (
    _phrase("llama.cpp", r'n_prompt_tokens\\?"\s*:\s*N:prompt.{0,200}?n_ctx\\?"\s*:\s*N:maximum'),
    _phrase("llama.cpp", r'n_ctx\\?"\s*:\s*N:maximum.{0,200}?n_prompt_tokens\\?"\s*:\s*N:prompt'),
    _phrase(
        "llama.cpp", r"request \(N:prompt tokens\) exceeds the available context size \(N:maximum tokens"
    ),
    _phrase("llama.cpp", r"exceeds? the available context size|exceed_context_size_error"),
    _phrase("anthropic", r"prompt is too long: N:prompt tokens > N:maximum"),
    _phrase(
        "anthropic", r"input length and `?max_tokens`? exceed context limit: N:prompt \+ N:output > N:maximum"
    ),
    _phrase(
        "anthropic",
        r"input length.{0,60}exceeds? (?:the )?context limit|prompt is too long|input is too long",
    ),
    _phrase(
        "sglang",
        r"maximum context length of N:maximum tokens.{0,60}total of N:total tokens: N:prompt tokens from the input",
    ),
    _phrase(
        "sglang", r"input length \(N:prompt tokens\) exceeds the maximum allowed length \(N:maximum tokens"
    ),
    _phrase(
        "sglang", r"input \(N:prompt tokens\) is longer than the model'?s context length \(N:maximum tokens"
    ),
    _phrase(
        "vllm, openai",
        r"maximum context length is N:maximum tokens.{0,40}requested (?:about )?N:total tokens"
        r" \(N:prompt (?:in|of) .{0,40}?N:output (?:in|for|of)",
    ),
    _phrase(
        "vllm",
        r"is too large: N:output\..{0,20}maximum context length is N:maximum tokens and your request has N:prompt input",
    ),
    _phrase(
        "vllm",
        r"maximum context length is N:maximum tokens.{0,40}request has N:prompt input tokens"
        r"(?: plus N:output 'max_tokens')?",
    ),
    _phrase(
        "vllm",
        r"maximum context length is N:maximum tokens.{0,40}requested N:output output tokens and your prompt contains"
        r" (?:at least )?N:prompt input",
    ),
    _phrase("openai", r"maximum context length is N:maximum tokens.{0,60}resulted in N:prompt tokens"),
    _phrase(
        "openai", r"maximum context length is N:maximum tokens.{0,40}requested (?:about )?N:total tokens"
    ),
    _phrase(
        "vllm",
        r"passed N:prompt input tokens and requested N:output output tokens.{0,60}context length is only N:maximum",
    ),
    _phrase("vllm", r"prompt \(length N:prompt\) is longer than the maximum model length of N:maximum"),
    _phrase("openai", r"maximum context length (?:is|of) N:maximum tokens"),
    _phrase("openai", r"context_length_exceeded|exceeds the context window"),
    _phrase("lmstudio", r"n_keep:? \(?N:prompt\)?\s*>=?\s*n_ctx:? \(?N:maximum"),
    _phrase(
        "lmstudio", r"keep the first N:prompt tokens when .{0,120}context length of only N:maximum tokens"
    ),
    _phrase("lmstudio", r"greater than the context length"),
    _phrase(
        "ollama",
        r"input (?:length )?exceeds (?:the )?(?:maximum )?context length|exceeded max context length"
        r"|longer than the context length",
    ),
)
"""Most telling first: the first phrase that is found is believed."""


def overflow(status: int, body: bytes) -> PromptTooLong | None:
    """Whether this error answer says that the prompt does not fit.

    Args:
        status: HTTP status of the answer, 200 for an error inside a stream.
        body: its bytes, JSON or not.

    Returns:
        The error with the engine's numbers, 0 for a number it does not tell; or None. Where the prompt alone would fit
        and only prompt and `max_tokens` together do not, `tokens` is their sum, so that it exceeds `maximum` always.
    """
    if status not in _STATUSES:
        return None
    text = _plain(body)
    for phrase in PHRASES:
        if found := phrase.pattern.search(text):
            return _too_long({name: int(number) for name, number in found.groupdict(default="0").items()})
    return None


def _plain(body: bytes) -> str:
    r"""The text without JSON's escapes: Go writes `>` as `\u003e`."""
    text = body[:_READ]
    if b"\\u" in text:
        with suppress(*BROKEN):  # not JSON: the bytes are read as they are
            text = msgspec.json.encode(msgspec.json.decode(body))[:_READ]
    return text.decode("utf-8", "replace")


def _too_long(numbers: dict[str, int]) -> PromptTooLong:
    maximum, prompt = numbers.get("maximum", 0), numbers.get("prompt", 0)
    total = numbers.get("total", 0) or prompt + numbers.get("output", 0)
    return PromptTooLong(prompt if prompt > maximum else total, maximum)
