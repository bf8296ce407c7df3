"""Every engine's sentence for a full window, and sentences that only look like one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.overflow import PHRASES, overflow

# sentence, tokens, maximum
SENTENCES = [
    (
        (
            "You passed 9000 input tokens and requested 4096 output tokens. However, the model's context length is only "
            "8192 tokens, resulting in a maximum input length of 4096 tokens."
        ),
        9000,
        8192,
    ),
    ("The number of tokens to keep: n_keep (12000) >= n_ctx (4096)", 12000, 4096),
    ("the prompt is longer than the context length currently available to the model", 0, 0),
    ("prompt is too long: 213462 tokens > 200000 maximum", 213462, 200000),
    (
        "input length and `max_tokens` exceed context limit: 174167 + 64000 > 200000, decrease input length",
        238167,
        200000,
    ),
    ("input length exceeds context limit", 0, 0),
    ("Input is too long for requested model.", 0, 0),
    ("prompt is too long", 0, 0),
    (
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, "
            "1000 in the completion). Please reduce the length of the messages or completion."
        ),
        5000,
        4096,
    ),
    (
        (
            "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the "
            "messages, 10000 in the completion)."
        ),
        112946,
        16384,
    ),
    (
        (
            "This model's maximum context length is 8191 tokens, however you requested 10346 tokens (10346 in your prompt; "
            "5 for the completion). Please reduce your prompt; or completion length."
        ),
        10346,
        8191,
    ),
    (
        (
            "This endpoint's maximum context length is 4096 tokens. However, you requested about 5000 tokens (4900 of text "
            "input, 100 in the output)."
        ),
        4900,
        4096,
    ),
    (
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens. Please "
            "reduce the length of the messages."
        ),
        8545,
        8192,
    ),
    ("This model's maximum context length is 4097 tokens, however you requested 4226 tokens.", 4226, 4097),
    (
        (
            "This model's maximum context length is 2048 tokens. However, your request has 8000 input tokens. Please reduce "
            "the length of the input messages. (parameter=input_tokens, value=8000)"
        ),
        8000,
        2048,
    ),
    (
        (
            "This model's maximum context length is 2048 tokens. However, your request has 8 input tokens plus 2045 "
            "'max_tokens'. Please reduce one or the other."
        ),
        2053,
        2048,
    ),
    (
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 "
            "tokens and your request has 4000 input tokens (32000 > 32768 - 4000)."
        ),
        36000,
        32768,
    ),
    (
        (
            "This model's maximum context length is 32768 tokens. However, you requested 32000 output tokens and your "
            "prompt contains at least 769 input tokens, for a total of at least 32769 tokens."
        ),
        32769,
        32768,
    ),
    ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 5000, 4096),
    ("Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens).", 160062, 59862),
    ("The input (61709 tokens) is longer than the model's context length (40960 tokens).", 61709, 40960),
    (
        (
            "Requested token count exceeds the model's maximum context length of 202752 tokens. You requested a total of "
            "202941 tokens: 170941 tokens from the input messages and 32000 tokens for the completion."
        ),
        202941,
        202752,
    ),
    ("request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it", 9000, 8192),
    ("the request exceeds the available context size, try increasing it", 0, 0),
    ("Your input exceeds the context window of this model. Please adjust your input and try again.", 0, 0),
    ("maximum context length is 1000 tokens", 0, 1000),
    (
        (
            "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= "
            "n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input."
        ),
        13055,
        4096,
    ),
    (
        (
            "Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded with context "
            "length of only 7866 tokens, which is not enough."
        ),
        10136,
        7866,
    ),
    ("tokens to keep from the initial prompt is greater than the context length", 0, 0),
    ("the input length exceeds the context length", 0, 0),
    ("input exceeds maximum context length", 0, 0),
    ("prompt too long; exceeded max context length by 12 tokens", 0, 0),
]


@pytest.mark.parametrize(("sentence", "tokens", "maximum"), SENTENCES)
@pytest.mark.parametrize("shape", ["anthropic", "text", "plain", "quoted"])
def test_each_sentence_in_each_envelope(sentence, tokens, maximum, shape):
    bodies = {
        "anthropic": {"type": "error", "error": {"type": "invalid_request_error", "message": sentence}},
        "text": {"error": sentence},
        "quoted": {"error": {"message": "upstream: " + json.dumps({"error": sentence})}},
    }
    body = sentence.encode() if shape == "plain" else json.dumps(bodies[shape]).encode()
    found = overflow(400, body)
    assert found is not None
    assert (found.tokens, found.maximum) == (tokens, maximum)


LLAMA = {
    "code": 400,
    "message": "the request exceeds the available context size, try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 9001,
    "n_ctx": 8192,
}


@pytest.mark.parametrize("error", [LLAMA, dict(reversed(LLAMA.items()))])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_llama_cpp_tells_the_numbers_in_its_json(error, separators):
    body = json.dumps({"error": error}, separators=separators).encode()
    for text in (body, json.dumps({"error": {"message": body.decode()}}).encode()):
        found = overflow(400, text)
        assert found is not None
        assert (found.tokens, found.maximum) == (9001, 8192)


def test_gos_escaped_signs_are_read():
    found = overflow(400, rb'{"error":"prompt is too long: 12 tokens \u003e 10 maximum"}')
    assert found is not None
    assert (found.tokens, found.maximum) == (12, 10)


@pytest.mark.parametrize("cut", [b"\xff", b"{", b"[" * 100_000], ids=["no-utf8", "no-json", "too-deep"])
def test_escaped_signs_in_what_is_no_json_are_no_fault(cut):
    assert overflow(400, cut + rb'{"error":"\u003e"}') is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, True),
        (400, True),
        (413, True),
        (422, True),
        (500, True),
        (401, False),
        (404, False),
        (429, False),
        (503, False),
    ],
)
def test_the_status_comes_first(status, expected):
    assert (overflow(status, b"prompt is too long: 9 tokens > 8 maximum") is not None) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"error":"model not found"}',
        b'{"error":{"message":"max_tokens: 300000 > 128000, which is the maximum allowed number of output tokens"}}',
        b"messages.0.content: Field required",
        b"adaptive thinking is not supported",
        b"the request was too long in coming: timeout",
        b'{"n_ctx": 8192}',
        b"\\u broken \xff",
        b"[" * 100_000 + b"\\u",
    ],
)
def test_what_is_no_overflow(body):
    assert overflow(400, body) is None


@given(st.binary())
def test_no_bytes_hurt(body):
    overflow(400, body)
    overflow(400, b"maximum context length is 10 tokens " + body)


def test_a_long_body_is_quick():
    body = (b"maximum context length is 1 tokens requested 1 tokens (1 in " * 2000)[:60_000]
    assert overflow(400, body) is not None
    assert overflow(400, b"x" * 10_000_000 + b"prompt is too long") is None


def test_every_phrase_is_tested():
    texts = [sentence for sentence, *_ in SENTENCES] + [
        json.dumps({"error": LLAMA}),
        json.dumps(dict(reversed(LLAMA.items()))),
    ]
    for phrase in PHRASES:
        assert any(phrase.pattern.search(text) for text in texts), phrase
