"""OpenAI's Embeddings (https://platform.openai.com/docs/api-reference/embeddings), both roles: every engine has them.

The official clients ask for base64 and make numbers of it themselves; engines are asked for numbers, and base64 is ours.
"""

import base64
from array import array
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from understudy.dialects.openai_parse import refuse, wrong
from understudy.dialects.openai_wire import ABSENT, WireUsage, given
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import EngineError
from understudy.language.jsontext import BROKEN

INPUTS = 2048
"""Texts of one request, by the API's own limit."""

_json: Callable[[object], bytes] = msgspec.json.Encoder().encode
_INPUT = msgspec.json.Decoder(str | list[str | int | list[int]])


class Ask(Struct):
    """The body of a request."""

    model: str
    input: Raw = ABSENT
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class Row(Struct):
    """One vector."""

    embedding: Raw = ABSENT
    index: int = 0


class Answer(Struct):
    """What an engine answers."""

    data: list[Row]
    usage: WireUsage | None = None


_ASK = msgspec.json.Decoder(Ask)
_ANSWER = msgspec.json.Decoder(Answer)
_VECTOR = msgspec.json.Decoder(list[float])


class Question(Struct, frozen=True):
    """What a client asks, and in which form it wants the vectors."""

    request: EmbeddingRequest
    base64: bool


def parse(body: bytes) -> Question:
    """The question.

    Raises:
        BadRequest: it cannot be read; the message names the field.
    """
    try:
        ask = _ASK.decode(body)
    except BROKEN as error:
        refuse("", error)
    if ask.dimensions is not None and ask.dimensions < 1:
        raise wrong("dimensions", "must be 1 or more")
    request = EmbeddingRequest(ask.model, _inputs(ask.input), ask.dimensions, ask.user or "")
    return Question(request, ask.encoding_format == "base64")


def _inputs(raw: Raw) -> tuple[str | tuple[int, ...], ...]:
    if not given(raw):
        raise wrong("input", "missing; it is a text, or a list of texts")
    try:
        found: str | list[str | int | list[int]] = _INPUT.decode(raw)
    except BROKEN as error:
        raise wrong("input", "must be a text, a list of texts, or tokens' numbers") from error
    if isinstance(found, str):
        return (found,)
    numbers = [item for item in found if isinstance(item, int)]
    if numbers:  # one text, as its tokens
        if len(numbers) < len(found):
            raise wrong("input", "texts and numbers of tokens are mixed")
        return (tuple(numbers),)
    if not 1 <= len(found) <= INPUTS:
        raise wrong("input", f"from 1 to {INPUTS} texts can be asked for, not {len(found)}")
    return tuple(tuple(item) if isinstance(item, list) else str(item) for item in found)


def render(request: EmbeddingRequest) -> bytes:
    """The body for an engine."""
    body = {"model": request.model, "input": request.inputs, "encoding_format": "float"}
    return _json(body if request.dimensions is None else body | {"dimensions": request.dimensions})


def read(body: bytes, expected: int) -> Embeddings:
    """An engine's answer.

    Raises:
        EngineError: it is none, or has not as many vectors as there were texts.
    """
    try:
        answer = _ANSWER.decode(body)
    except BROKEN as error:
        raise EngineError(f"the engine's embeddings cannot be read: {error}") from error
    rows = sorted(answer.data, key=lambda row: row.index)
    if len(rows) != expected:
        raise EngineError(f"the engine sent {len(rows)} embeddings for {expected} texts")
    usage = answer.usage or WireUsage()
    return Embeddings(tuple(bytes(row.embedding) for row in rows), usage.prompt_tokens or 0)


def write(question: Question, answer: Embeddings) -> bytes:
    """The answer to a client."""
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector) if question.base64 else Raw(vector),
        }
        for index, vector in enumerate(answer.vectors)
    ]
    usage = {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens}
    return _json({"object": "list", "data": rows, "model": question.request.model, "usage": usage})


def _packed(vector: bytes) -> str:
    """32-bit floats, the lowest byte first.

    Raises:
        EngineError: the engine sent something else than numbers.
    """
    try:
        numbers = array("f", _VECTOR.decode(vector))
    except (*BROKEN, OverflowError) as error:
        raise EngineError(f"the engine's embeddings are no numbers: {error}") from error
    if array("H", [1]).tobytes() != b"\x01\x00":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
