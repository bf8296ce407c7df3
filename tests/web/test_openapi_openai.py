"""The shapes of OpenAI's APIs as `/docs` shows them: what is answered is what is described."""

import json

import msgspec
import pytest
from driver import Puppet, Visit, house

from understudy.web.openapi_openai import (
    ChatAnswer,
    ChatRequest,
    CompletionAnswer,
    CompletionRequest,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    OpenAIError,
)

ROWS = [
    ("/v1/chat/completions", ChatRequest, ChatAnswer, {"messages": [{"role": "user", "content": "Hi"}]}),
    ("/v1/completions", CompletionRequest, CompletionAnswer, {"prompt": "Hi"}),
    ("/v1/embeddings", EmbeddingsRequest, EmbeddingsAnswer, {"input": ["Hi"]}),
]


@pytest.mark.parametrize(("path", "asks", "answers", "body"), ROWS, ids=[row[0] for row in ROWS])
async def test_what_is_answered_is_what_is_described(path, asks, answers, body):
    asked = json.dumps({"model": "coder", **body}).encode()
    msgspec.json.decode(asked, type=asks)
    async with house(Puppet()) as built:
        visit = await Visit(built.app, path=path, body=asked)()
        wrong = await Visit(built.app, path=path, body=b"{}")()
    assert visit.status == 200
    msgspec.json.decode(visit.body, type=answers)
    assert wrong.status == 400
    msgspec.json.decode(wrong.body, type=OpenAIError)
