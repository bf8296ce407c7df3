"""/api/embed and /api/embeddings."""

import json

import pytest

from understudy.dialects.ollama_embeddings import parse, parse_old, write, write_old
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import BadRequest


@pytest.mark.parametrize(
    ("fields", "inputs", "dimensions"),
    [
        ({"input": "a"}, ("a",), None),
        ({"input": ["a", ""]}, ("a", ""), None),
        ({"input": "a", "dimensions": 8}, ("a",), 8),
        ({"input": "a", "dimensions": 0}, ("a",), None),
        ({"input": ""}, (), None),
        ({"input": []}, (), None),
        ({"input": None}, (), None),
        ({}, (), None),
        ({"input": "a", "truncate": True, "keep_alive": "5m", "options": {}}, ("a",), None),
    ],
)
def test_questions(fields, inputs, dimensions):
    assert parse(json.dumps({"model": "m"} | fields).encode()) == EmbeddingRequest("m", inputs, dimensions)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "missing request body"),
        (b"{}", "model"),
        (b'{"model":"m","input":5}', "input: invalid input type"),
        (b'{"model":"m","input":[5]}', "input: invalid input type"),
        (b'{"model":"m","dimensions":-1}', "dimensions"),
    ],
)
def test_wrong_questions_are_told_where(body, words):
    with pytest.raises(BadRequest) as caught:
        parse(body)
    assert words in caught.value.message


def test_answers():
    answer = Embeddings((b"[0.5,1]", b"[1,0]"), 7)
    found = json.loads(write(EmbeddingRequest("m", ("a", "b")), answer))
    assert (found["model"], found["embeddings"], found["prompt_eval_count"]) == ("m", [[0.5, 1], [1, 0]], 7)
    assert json.loads(write(EmbeddingRequest("m", ()), Embeddings(())))["embeddings"] == []


def test_the_older_form():
    assert parse_old(b'{"model":"m","prompt":"a"}') == EmbeddingRequest("m", ("a",))
    assert parse_old(b'{"model":"m","prompt":""}') == EmbeddingRequest("m", ())
    with pytest.raises(BadRequest, match="prompt"):
        parse_old(b'{"model":"m","prompt":["a"]}')
    assert json.loads(write_old(Embeddings((b"[0.5]",)))) == {"embedding": [0.5]}
    assert json.loads(write_old(Embeddings(()))) == {"embedding": []}
