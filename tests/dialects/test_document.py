"""docs/dialects.md: every field that we read or that an official SDK can send has its row, and no other has."""

import re
from pathlib import Path

import msgspec
import pytest
from anthropic.types import message_create_params as messages
from anthropic.types.beta import message_create_params as beta
from ollama import _types as ollama
from openai.types import completion_create_params as completions
from openai.types import embedding_create_params as embeddings
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from understudy.dialects import (
    anthropic_wire,
    client_dialect,
    ollama_embeddings,
    ollama_generate,
    ollama_wire,
    openai_completions,
    openai_embeddings,
    openai_wire,
    responses_parse,
    responses_wire,
)

DOCUMENT = (Path(__file__).parents[2] / "docs/dialects.md").read_text(encoding="utf-8")
WORDS = ("kept", "translated", "ignored", "ignored°", "refused")


def of_struct(kind):
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def of_sdk(*kinds):
    return {name for kind in kinds for name in kind.__required_keys__ | kind.__optional_keys__}


def of_model(kind):
    return set(kind.model_fields)


OLLAMA = {
    name: of_model(getattr(ollama, f"{name}Request")) for name in ("Chat", "Generate", "Embed", "Embeddings")
}
FIELDS = {  # path: what we read, what the SDK sends
    "/v1/messages": (
        of_struct(anthropic_wire.Body),
        of_sdk(messages.MessageCreateParamsStreaming, beta.MessageCreateParamsStreaming),
    ),
    "/v1/chat/completions": (of_struct(openai_wire.Ask), of_sdk(chat.CompletionCreateParamsStreaming)),
    "/v1/responses": (of_struct(responses_wire.Ask), of_sdk(responses.ResponseCreateParamsStreaming)),
    "/v1/completions": (
        of_struct(openai_completions.Ask),
        of_sdk(completions.CompletionCreateParamsStreaming),
    ),
    "/v1/embeddings": (of_struct(openai_embeddings.Ask), of_sdk(embeddings.EmbeddingCreateParams)),
    "/api/chat": (of_struct(ollama_wire.Ask), OLLAMA["Chat"]),
    "/api/generate": (of_struct(ollama_wire.AskGenerate), OLLAMA["Generate"]),
    "/api/embed": (of_struct(ollama_embeddings.Ask), OLLAMA["Embed"]),
    "/api/embeddings": (of_struct(ollama_embeddings.OldAsk), OLLAMA["Embeddings"]),
}


def rows(path):
    """Field, what becomes of it, and how."""
    part = DOCUMENT.split(f"\n## `POST {path}`\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| (\w*°?) \| (.*?) ?\|$", part, flags=re.MULTILINE)


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_has_its_row_and_no_other(path):
    ours, theirs = FIELDS[path]
    assert sorted(name for name, _, _ in rows(path)) == sorted(ours | theirs)


@pytest.mark.parametrize("path", FIELDS)
def test_a_row_says_what_becomes_of_its_field(path):
    ours, _ = FIELDS[path]
    for name, word, how in rows(path):
        assert word in WORDS, name
        assert name in ours or word == "ignored", f"{name} is {word}, but nobody reads it"
        assert how or word in ("kept", "translated"), f"{name}: why?"


def test_every_path_has_its_table():
    assert set(re.findall(r"^## `POST (\S+)`$", DOCUMENT, flags=re.MULTILINE)) == set(FIELDS)


VALUES = {
    "truncation": "auto",
    "top_logprobs": 3,
    "max_tool_calls": 3,
    "keep_alive": "5m",
    "truncate": True,
    "shift": True,
    "template": "{{ .Prompt }}",
    "context": [1],
}
"""Where an object will not do."""


def asked(body):
    ask = responses_parse.read_ask(body)
    return responses_parse.parse(ask, (), responses_parse.items_of(ask))[0]


SAID = [{"role": "user", "content": "hello"}]
BODIES = {
    "/v1/messages": (client_dialect("anthropic").parse, {"max_tokens": 9, "messages": SAID}),
    "/v1/chat/completions": (client_dialect("openai").parse, {"messages": SAID}),
    "/v1/responses": (asked, {"input": "hello"}),
    "/v1/completions": (client_dialect("openai_completions").parse, {"prompt": "hello"}),
    "/api/chat": (client_dialect("ollama").parse, {"messages": SAID}),
    "/api/generate": (ollama_generate.DIALECT.parse, {"prompt": "hello"}),
}


MARKED = [(path, name) for path in FIELDS for name, word, _ in rows(path) if word == "ignored°"]


@pytest.mark.parametrize(("path", "field"), MARKED)
def test_what_is_marked_is_named_in_the_log(path, field):
    parse, body = BODIES[path]
    assert parse(msgspec.json.encode({"model": "m", **body})).dropped == ()
    value = VALUES.get(field, {"type": "a"})
    assert parse(msgspec.json.encode({"model": "m", **body, field: value})).dropped == (field,)
