"""The shapes of Ollama's API as `/docs` shows them: what is answered is what is described."""

import json

import msgspec
import pytest
from driver import Puppet, Visit, house

from understudy.web.openapi import described
from understudy.web.openapi_ollama import SHAPES, OllamaError, paths

BY_NAME = {shape.__name__: shape for shape in SHAPES}


def bare(_summary, answer, asked=None, example=None, **_more):
    """An operation of which only the shapes' names are left."""
    return [shape and shape["$ref"].rpartition("/")[2] for shape in (answer, asked)], example


def rows():
    refs, _ = msgspec.json.schema_components(SHAPES)
    for path, item in paths(dict(zip(SHAPES, refs, strict=True)), bare).items():
        for method, ((answer, asked), example) in item.items():
            yield pytest.param(method, path, BY_NAME[answer], BY_NAME.get(asked), example, id=path)


@pytest.mark.parametrize(("method", "path", "answer", "asked", "example"), list(rows()))
async def test_what_is_answered_is_what_is_described(method, path, answer, asked, example):
    body = json.dumps({**example, "stream": False, "model": "coder"}).encode() if example else b""
    if asked:
        msgspec.json.decode(json.dumps(example), type=asked)
    async with house(Puppet()) as built:
        visit = await Visit(built.app, method.upper(), path, body)()
        wrong = await Visit(built.app, "POST", path, b"[]")()
    assert visit.status == 200
    msgspec.json.decode(visit.body, type=answer)
    assert wrong.status in (400, 405)
    msgspec.json.decode(wrong.body, type=OllamaError)


def test_streams_are_described_where_there_are_some():
    found, _ = described()
    types = {
        path: list(item["post"]["responses"]["200"]["content"])
        for path, item in found.items()
        if "post" in item
    }
    assert types["/api/generate"] == types["/api/chat"] == ["application/json", "application/x-ndjson"]
    assert types["/api/embed"] == ["application/json"]
