"""The sentences of engines whose model cannot see, in the envelopes they come in; and sentences that only look like them."""

import json

import pytest

from understudy.dialects import dialect
from understudy.dialects.refusal import refusal
from understudy.dialects.sight import PHRASES, blind
from understudy.language.errors import EngineBlind

SAID = {  # dialect, status, the engine's body
    "vllm": (
        "openai",
        400,
        {"error": {"message": "Qwen/Qwen3-32B is not a multimodal model", "type": "BadRequestError"}},
    ),
    "vllm, flat": ("openai", 400, {"object": "error", "message": "coder is not a multimodal model"}),
    "vllm, hyphenated": ("openai", 400, {"error": {"message": "m is not a multi-modal model"}}),
    "vllm with pictures switched off": (
        "openai",
        400,
        {"error": {"message": "At most 0 image(s) may be provided in one prompt."}},
    ),
    "vllm with pictures switched off, older": (
        "openai",
        400,
        {"message": "At most 0 images may be provided in one request."},
    ),
    "vllm, older": ("openai", 400, {"message": "Your model does not support multi-modal inputs"}),
    "llama.cpp": (
        "openai",
        500,
        {
            "error": {
                "code": 500,
                "message": "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
                "type": "server_error",
            }
        },
    ),
    "llama.cpp of 2025": (
        "openai",
        500,
        {"error": {"message": "image input is not supported by this server"}},
    ),
    "llama.cpp before it could": ("openai", 500, {"error": {"message": "unsupported content[].type"}}),
    "sglang": (
        "openai",
        400,
        {
            "object": "error",
            "message": "Multimodal inputs are not supported when --language-model-only is set; the encoder is not loaded.",
        },
    ),
    "lmstudio": ("openai", 400, {"error": "Model does not support images. Please use a model that does."}),
    "mlx": ("openai", 404, {"error": "Only 'text' content type is supported."}),
    "ollama": (
        "ollama",
        500,
        {"error": "failed to process inputs: this model is missing data required for image input"},
    ),
    "ollama's capabilities": ("ollama", 400, {"error": '"llama3" does not support vision'}),
    "ollama's cloud": ("ollama", 400, {"error": "this model does not support image input (ref: b8bd)"}),
    "openai": (
        "openai",
        400,
        {"error": {"message": "Invalid content type. image_url is only supported by certain models."}},
    ),
    "openrouter": ("openai", 404, {"error": {"message": "No endpoints found that support image input"}}),
    "deepseek": (
        "openai",
        422,
        {
            "error": {
                "message": "Failed to deserialize: messages[1]: unknown variant `image_url`, expected `text` at 1:9"
            }
        },
    ),
}


@pytest.mark.parametrize(("spoken", "status", "body"), SAID.values(), ids=SAID)
def test_it_is_understood(spoken, status, body):
    found = dialect(spoken).refusal(status, json.dumps(body).encode())
    assert type(found) is EngineBlind
    assert found.message in json.dumps(body).replace('\\"', '"'), "word for word"


def test_every_phrase_is_said_by_somebody():
    sentences = [json.dumps(body).replace('\\"', '"') for _, _, body in SAID.values()]
    assert [p.pattern for p in PHRASES if not any(p.pattern.search(s) for s in sentences)] == []


IN_A_STREAM = {
    "openai": b'data: {"error":{"message":"m is not a multimodal model","code":400}}\n\n',
    "ollama": b'{"error":"this model is missing data required for image input"}\n',
    "anthropic": (
        b'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error",'
        b'"message":"this model does not support image input"}}\n\n'
    ),
}


@pytest.mark.parametrize(("spoken", "data"), IN_A_STREAM.items())
def test_it_is_understood_in_a_stream(spoken, data):
    decoder = dialect(spoken).decoder(lambda prefix: f"{prefix}1")
    (failed,) = decoder.feed(data)
    assert type(failed.error) is EngineBlind


NOT_THIS = {  # status, words
    "a picture that is broken": (400, "Failed to load image: cannot identify image file"),
    "too many pictures": (400, "At most 10 image(s) may be provided in one prompt."),
    "a picture that is too large": (400, "image exceeds 5 MB maximum"),
    "sound": (500, "audio input is not supported - hint: you may need to provide the mmproj"),
    "tools": (400, '"llama3" does not support tools'),
    "an address": (400, "'url' field must be a base64 encoded image"),
    "busy": (503, "image input is not supported"),
    "a key": (401, "m is not a multimodal model"),
    "nothing": (400, ""),
}


@pytest.mark.parametrize(("status", "words"), NOT_THIS.values(), ids=NOT_THIS)
def test_other_refusals_are_other_refusals(status, words):
    assert blind(status, words) is None
    assert type(refusal(status, json.dumps({"error": words}).encode())) is not EngineBlind


def test_a_question_that_is_quoted_far_behind_the_sentence_says_nothing():
    """Only the sentence is looked at, and of that its beginning."""
    body = json.dumps({"error": "invalid value: " + "x" * 600 + " is not a multimodal model"}).encode()
    assert type(refusal(400, body)) is not EngineBlind
