"""Texts as vectors: the question and its answer. It has no events: it comes whole, or not at all."""

from msgspec import Struct


class EmbeddingRequest(Struct, frozen=True):
    """Texts to be made vectors.

    Attributes:
        model: what the client asked for; the target's own name once a target is chosen.
        inputs: the texts, or their tokens' numbers.
        dimensions: how long the vectors shall be, for models that can choose; None for their own length.
        user: whom the client says it asks for.
        permit: what lets it out of the house (`Request.permit`).
    """

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    user: str = ""
    permit: str = ""


class Embeddings(Struct, frozen=True):
    """One vector for each text, in their order.

    Attributes:
        vectors: JSON text of a list of numbers each: nobody here counts with them.
        input_tokens: what was read.
    """

    vectors: tuple[bytes, ...]
    input_tokens: int = 0
