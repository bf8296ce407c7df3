"""How engines say that their model cannot see: a table of phrases, whichever dialect carries them.

Most engines do not tell beforehand; they refuse the first question that holds a picture. The statuses are of little help:
llama.cpp and Ollama call it a fault of their own (500), OpenRouter says that there is no such place (404).
"""

import re

from msgspec import Struct

from understudy.language.errors import EngineBlind

_STATUSES = frozenset({200, 400, 404, 415, 422, 500, 501})
"""Where such a refusal is looked for: 200 is an error inside a stream."""


class Phrase(Struct, frozen=True):
    """One way to say it."""

    engine: str
    pattern: re.Pattern[str]


def _phrase(engine: str, pattern: str) -> Phrase:
    return Phrase(engine, re.compile(pattern, re.IGNORECASE))


PHRASES = (
    # vllm/entrypoints/chat_utils.py, vllm/renderers: a text model; one whose pictures were switched off
    _phrase("vllm", r"is not a multi-?modal model"),
    _phrase("vllm", r"at most 0 image(?:s|\(s\))? may be provided"),
    _phrase("vllm", r"model does not support multi-?modal inputs"),
    # tools/server/server-common.cpp (oaicompat_chat_params_parse); before it could see at all
    _phrase("llama.cpp", r"image input is not supported"),
    _phrase("llama.cpp", r"unsupported content\[\]\.type"),
    # managers/tokenizer_manager.py
    _phrase("sglang", r"multimodal inputs are not supported when --language-model-only"),
    # lmstudio-ai/lmstudio-bug-tracker #362, #908; its MLX engine and mlx_lm.server take text only
    _phrase("lmstudio", r"model does not support images"),
    _phrase("mlx_lm", r"only 'text' content type is supported"),
    # model/model.go (ErrNoVisionModel), server/images.go (capabilities), its cloud (ollama/ollama #17301)
    _phrase("ollama", r"missing data required for image input"),
    _phrase("ollama", r"does not support vision"),
    _phrase("ollama, openai", r"does not support image inputs?\b"),
    _phrase("openai", r"image_url is only supported by certain models"),
    _phrase("openrouter", r"no endpoints found that support image input"),
    _phrase("deepseek", r"unknown variant `image_url`, expected `text`"),
)


def blind(status: int, words: str) -> EngineBlind | None:
    """Whether this refusal says that the model cannot see.

    Args:
        status: HTTP status of the answer, 200 for an error inside a stream.
        words: the engine's own sentence: not the whole body, which may quote the question.
    """
    if status in _STATUSES and any(phrase.pattern.search(words) for phrase in PHRASES):
        return EngineBlind(words)
    return None
