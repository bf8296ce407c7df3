"""A right server's answers, recorded once, and changed where a wrong one would say something else."""

import asyncio
import json

from conform.broken import trial_of
from contract.playhouse import playhouse_served, settings
from msgspec.structs import replace

from understudy.conform.exchange import Ask, Reply, Scene
from understudy.conform.runner import Runner
from understudy.conform.stream import records
from understudy.engines.play import serving
from understudy.engines.scripted import ScriptedEngine, load


def of_gateway(checks):
    """What our own gateway answers to these checks, and the scene."""

    async def ask():
        engine = ScriptedEngine(load("conform"))
        async with playhouse_served(engines=[engine], loaded=settings(names={"*": "auto"})) as house:
            return await _asked(str(house.client.base_url), checks)

    return asyncio.run(ask())


def of_fake(kind, checks):
    """What our fake engine of this kind answers to these checks, and the scene."""

    async def ask():
        async with serving("conform", kind=kind) as played:
            return await _asked(played.url, checks)

    return asyncio.run(ask())


async def _asked(url, checks):
    async with Runner(url) as runner:
        scene = await runner.scene(Scene(""))
        results = {result.check.id: result async for result in runner.results(checks, scene)}
        return Recorded(dict(runner._known), scene, results)


class Recorded:
    """Answers by their questions.

    Attributes:
        results: of the checks, by their ids.
    """

    def __init__(self, known, scene, results):
        self.known, self.scene, self.results = known, scene, results

    def made(self, check, change=lambda _ask, reply: reply):
        """The check's result where each reply is changed by this."""
        return trial_of(check, lambda ask: change(ask, self.known[ask]), self.scene)


def whole(edit):
    """Bodies that are one JSON object, edited in place; or what the function gives."""

    def change(_ask, reply):
        if reply.status != 200 or not reply.body.startswith(b"{") or b"\n{" in reply.body:
            return reply
        body = json.loads(reply.body)
        return replace(reply, body=json.dumps(edit(body) or body).encode())

    return change


def streamed(edit):
    """The (event, data) pairs of streams, as others; data is an object, or text."""

    def change(_ask, reply):
        if not reply.headers.get("content-type", "").startswith("text/event-stream"):
            return reply
        pairs = [(name, json.loads(data) if data[0] == "{" else data) for name, data in records(reply.body)]
        return replace(reply, body=b"".join(_record(*pair) for pair in edit(pairs)))

    return change


def _record(name, data):
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def lined(edit):
    """The objects of a stream of lines, as others."""

    def change(_ask, reply):
        if reply.status != 200 or b"\n{" not in reply.body:
            return reply
        found = edit([json.loads(line) for line in reply.body.splitlines()])
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in found)
        return replace(reply, body=text.encode() + b"\n")

    return change


def refusing(word):
    """Questions that have this word in them are refused."""

    def change(ask: Ask, reply: Reply):
        return Reply(400, {}, b'{"error": {"message": "no", "type": "t"}}') if word in ask.body else reply

    return change
