"""Texts as vectors, toward clients and toward engines."""

import json

import httpx
import openai
import pytest

from understudy.dialects.openai_embeddings import INPUTS, parse, read, render, write
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import BadField, EngineError


def asked(**more):
    return parse(json.dumps({"model": "m", "input": "a", **more}).encode())


INPUT = [  # as it was sent, as it is meant
    ("a", ("a",)),
    (["a", "b"], ("a", "b")),
    ([1, 2], ((1, 2),)),
    ([[1, 2], [3]], ((1, 2), (3,))),
    ([""], ("",)),
]


@pytest.mark.parametrize(("sent", "meant"), INPUT)
def test_what_is_to_be_embedded(sent, meant):
    assert asked(input=sent).request.inputs == meant


def test_the_rest():
    question = asked(dimensions=8, user="u", encoding_format="base64")
    assert question.request == EmbeddingRequest("m", ("a",), 8, "u")
    assert question.base64
    assert not asked(encoding_format="float").base64


WRONG = [
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": 5}, "input"),
    ({"input": ["a", 1]}, "input"),
    ({"input": ["a"] * (INPUTS + 1)}, "input"),
    ({"input": {"a": 1}}, "input"),
    ({"dimensions": 0}, "dimensions"),
    ({"dimensions": "x"}, "dimensions"),
    ({"encoding_format": "hex"}, "encoding_format"),
    ({"model": 5}, "model"),
]


@pytest.mark.parametrize(("more", "field"), WRONG)
def test_what_is_wrong_is_named(more, field):
    with pytest.raises(BadField) as caught:
        asked(**more)
    assert caught.value.field == field


def test_what_an_engine_is_asked():
    assert json.loads(render(EmbeddingRequest("e", ("a", (1, 2))))) == {
        "model": "e",
        "input": ["a", [1, 2]],
        "encoding_format": "float",
    }
    assert json.loads(render(EmbeddingRequest("e", ("a",), 8)))["dimensions"] == 8


def answer(*vectors, **more):
    rows = [{"embedding": v, "index": i} for i, v in enumerate(vectors)]
    return json.dumps({"data": list(reversed(rows)), **more}).encode()


def test_what_an_engine_answers():
    found = read(answer([1, 2.5], [3, 4], usage={"prompt_tokens": 9}), 2)
    assert [json.loads(vector) for vector in found.vectors] == [[1, 2.5], [3, 4]]
    assert found.input_tokens == 9
    assert read(answer([1]), 1).input_tokens == 0


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data": 5}', answer([1]), answer([1], [2], [3])])
def test_an_answer_that_is_none(body):
    with pytest.raises(EngineError):
        read(body, 2)


def client(content):
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=content, headers={"content-type": "application/json"})
    )
    return openai.OpenAI(
        api_key="k", base_url="http://engine/v1", http_client=httpx.Client(transport=transport)
    )


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_the_official_client_reads_it(encoding):
    """It asks for base64 when it is not told otherwise, and makes numbers of it."""
    more = {} if encoding is None else {"encoding_format": encoding}
    question = asked(input=["a", "b"], encoding_format=encoding or "base64")
    body = write(question, Embeddings((b"[0.5, -1]", b"[2,3]"), 4))
    found = client(body).embeddings.create(model="m", input=["a", "b"], **more)
    if encoding != "base64":
        assert [row.embedding for row in found.data] == [[0.5, -1.0], [2.0, 3.0]]
    assert [row.index for row in found.data] == [0, 1]
    assert (found.usage.prompt_tokens, found.usage.total_tokens, found.model) == (4, 4, "m")


@pytest.mark.parametrize("vector", [b'"abc"', b"[1, null]", b"[1e999]"])
def test_what_is_no_vector_cannot_be_packed(vector):
    with pytest.raises(EngineError):
        write(asked(encoding_format="base64"), Embeddings((vector,)))
