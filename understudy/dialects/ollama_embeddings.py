"""Ollama's /api/embed, and the /api/embeddings that came before it, toward clients; engines are asked in OpenAI's words.

Without a text nothing is made: the model is only to be loaded.
"""

import msgspec
from msgspec import Raw, Struct

from understudy.dialects.ollama_parse import unreadable
from understudy.dialects.ollama_wire import ABSENT
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import BadRequest
from understudy.language.jsontext import BROKEN

_encode = msgspec.json.Encoder().encode
_input = msgspec.json.Decoder(str | list[str] | None).decode


class Ask(Struct):
    """The body of a question to /api/embed. What to do with texts that are too long is the engine's own business."""

    model: str
    input: Raw = ABSENT
    dimensions: int | None = None


class OldAsk(Struct):
    """The body of a question to /api/embeddings."""

    model: str
    prompt: str | None = None


_ask = msgspec.json.Decoder(Ask).decode
_old_ask = msgspec.json.Decoder(OldAsk).decode


def parse(body: bytes) -> EmbeddingRequest:
    """A question to /api/embed.

    Raises:
        BadRequest: it cannot be read; the message names the field.
    """
    try:
        ask = _ask(body)
    except BROKEN as error:
        raise unreadable("embed", body, error) from None
    if ask.dimensions is not None and ask.dimensions < 0:
        raise BadRequest("dimensions: must be 0 (the model's own) or more")
    return EmbeddingRequest(ask.model, _texts(ask.input), ask.dimensions or None)


def _texts(raw: Raw) -> tuple[str, ...]:
    if raw is ABSENT:
        return ()
    try:
        found = _input(raw)
    except BROKEN:
        raise BadRequest("input: invalid input type; it is a text, or a list of texts") from None
    return ((found,) if found else ()) if isinstance(found, str) else tuple(found or ())


def parse_old(body: bytes) -> EmbeddingRequest:
    """A question to /api/embeddings. Raises BadRequest naming the field."""
    try:
        ask = _old_ask(body)
    except BROKEN as error:
        raise unreadable("embeddings", body, error) from None
    return EmbeddingRequest(ask.model, (ask.prompt,) if ask.prompt else ())


def write(request: EmbeddingRequest, answer: Embeddings) -> bytes:
    """The answer of /api/embed."""
    return _encode(
        {
            "model": request.model,
            "embeddings": [Raw(vector) for vector in answer.vectors],
            "total_duration": 0,
            "load_duration": 0,
            "prompt_eval_count": answer.input_tokens,
        }
    )


def write_old(answer: Embeddings) -> bytes:
    """The answer of /api/embeddings."""
    return _encode({"embedding": Raw(answer.vectors[0]) if answer.vectors else []})
