"""Several answers to one question: whole, in a stream, one of them failing."""

import json

import pytest
from driver import Puppet, Visit, house, say

from understudy.language import errors
from understudy.language.events import BlockStart, Failed, MessageStart, TextDelta, Usage

PATHS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
}
BEGUN = [MessageStart("m"), BlockStart("text"), TextDelta("par")]
BOTH = pytest.mark.parametrize("path", PATHS)


def asked(built, path, **more):
    return Visit(built.app, path=path, body={"model": "coder", **PATHS[path], **more})


def records(visit):
    return [
        json.loads(r.removeprefix("data: "))
        for r in visit.body.decode().split("\n\n")
        if r and r != "data: [DONE]"
    ]


def texts(chunks):
    """The text of each choice."""
    out = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            piece = choice["delta"].get("content") if "delta" in choice else choice["text"]
            out[choice["index"]] = out.get(choice["index"], "") + (piece or "")
    return out


@BOTH
async def test_whole(path):
    puppet = Puppet([say("one", usage=Usage(10, 0, 2))], [say("two", usage=Usage(10, 9, 3))], [say("three")])
    async with house(puppet) as built:
        visit = await asked(built, path, n=3, seed=5)()
    found = visit.json
    said = [c["message"]["content"] if "message" in c else c["text"] for c in found["choices"]]
    assert said == ["one", "two", "three"]
    assert [c["index"] for c in found["choices"]] == [0, 1, 2]
    assert [request.sampling.seed for request in puppet.requests] == [5, 6, 7]
    assert all(request.n == 1 for request in puppet.requests)
    assert found["usage"]["completion_tokens"] == 2 + 3 + Puppet().answers[0][0][-1].usage.output_tokens


@BOTH
async def test_streamed(path):
    puppet = Puppet([say("one", usage=Usage(10, 0, 2))], [say("two", usage=Usage(10, 9, 3))])
    async with house(puppet) as built:
        visit = await asked(built, path, n=2, stream=True, stream_options={"include_usage": True})()
    assert texts(records(visit)) == {0: "one", 1: "two"}
    assert visit.body.count(b"[DONE]") == 1
    assert visit.body.endswith(b"data: [DONE]\n\n")
    finishes = [c["finish_reason"] for r in records(visit) for c in r["choices"] if c["finish_reason"]]
    assert finishes == ["stop", "stop"]
    assert records(visit)[-1]["usage"]["completion_tokens"] == 5


@BOTH
@pytest.mark.parametrize("number", [0, 1, 2])
async def test_one_that_fails_ends_them_all(path, number):
    failing = [BEGUN, [Failed(errors.EngineLost("gone"))]]
    answers = [[say("fine")] if n != number else failing for n in range(3)]
    async with house(Puppet(*answers)) as built:
        streamed = await asked(built, path, n=3, stream=True)()
        puppet = Puppet(*answers)
    async with house(puppet) as built:
        whole = await asked(built, path, n=3)()
    assert records(streamed)[-1]["error"]["message"] == "gone"
    assert b"[DONE]" not in streamed.body
    assert whole.status == 502
    assert whole.json["error"]["message"] == "gone"
    assert len(puppet.requests) == number + 1


@BOTH
async def test_an_error_before_the_second_answer_is_an_event(path):
    async with house(Puppet([say("fine")], [errors.EngineRefused("no")])) as built:
        visit = await asked(built, path, n=2, stream=True)()
    assert visit.status == 200
    assert records(visit)[-1]["error"]["message"] == "no"
