"""Message Batches, judged by the official SDK over a real socket: async, sync, and its beta namespace."""

import asyncio
from contextlib import asynccontextmanager

import anthropic
import pytest
from batching.rig import Desk
from contract.playhouse import playhouse_served

from understudy.config import Batches, Config, Loaded, Secrets, Server
from understudy.language.errors import EngineRefused

PARAMS = {"model": "auto", "max_tokens": 64}
COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


def request(name, **more):
    return {"custom_id": name, "params": PARAMS | {"messages": [{"role": "user", "content": name}]} | more}


@asynccontextmanager
async def served(tmp_path, desk):
    config = Config(Server(body_limit="1MB"), batches=Batches(file=str(tmp_path / "b.db"), quiet_seconds=0.0))
    async with playhouse_served(engines=[desk], loaded=Loaded(config, {}, Secrets())) as house:
        yield str(house.client.base_url)


def sdk(kind, url):
    return kind(base_url=url, api_key="none", max_retries=0, timeout=20)


@asynccontextmanager
async def batches(tmp_path, desk):
    async with served(tmp_path, desk) as url, sdk(anthropic.AsyncAnthropic, url) as client:
        yield client.messages.batches


async def ended(api, batch_id):
    async with asyncio.timeout(20):
        while (batch := await api.retrieve(batch_id)).processing_status != "ended":
            pass
    return batch


def counts(batch):
    return tuple(getattr(batch.request_counts, name) for name in COUNTS)


async def test_a_life_of_a_batch(tmp_path):
    desk = Desk(held=True, slots=4, faults={"bad": [EngineRefused("no such thing")]})
    async with batches(tmp_path, desk) as api:
        wrong = request("wrong")
        del wrong["params"]["messages"]
        new = await api.create(requests=[request("one"), request("bad"), wrong, request("two")])
        assert (new.type, new.processing_status, counts(new)) == (
            "message_batch",
            "in_progress",
            (4, 0, 0, 0, 0),
        )
        assert (new.ended_at, new.results_url, new.archived_at) == (None, None, None)
        assert (new.expires_at - new.created_at).total_seconds() == 86400
        with pytest.raises(anthropic.AnthropicError, match="Has it finished processing"):
            await api.results(new.id)
        desk.held = False
        desk.let("one", "bad", "two")
        batch = await ended(api, new.id)
        assert counts(batch) == (0, 2, 2, 0, 0)
        assert batch.ended_at >= batch.created_at
        found = {row.custom_id: row.result async for row in await api.results(new.id)}
    assert {name: result.type for name, result in found.items()} == {
        "one": "succeeded",
        "bad": "errored",
        "wrong": "errored",
        "two": "succeeded",
    }
    message = found["two"].message
    assert (message.content[0].text, message.model, message.usage.output_tokens) == (
        "about two",
        PARAMS["model"],
        2,
    )
    assert found["bad"].error.error.type == "invalid_request_error"
    assert found["bad"].error.error.message == "no such thing"
    assert found["wrong"].error.error.message == "messages: Field required"


async def test_cancel_and_delete(tmp_path):
    async with batches(tmp_path, Desk(held=True)) as api:
        new = await api.create(requests=[request("a"), request("b")])
        with pytest.raises(anthropic.BadRequestError, match="has not ended: cancel it"):
            await api.delete(new.id)
        canceling = await api.cancel(new.id)
        assert (canceling.processing_status, canceling.cancel_initiated_at is None) == ("canceling", False)
        assert counts(await ended(api, new.id)) == (0, 0, 0, 2, 0)
        assert [row.result.type async for row in await api.results(new.id)] == ["canceled", "canceled"]
        gone = await api.delete(new.id)
        assert (gone.id, gone.type) == (new.id, "message_batch_deleted")
        for call in (api.retrieve, api.cancel, api.delete, api.results):
            with pytest.raises(anthropic.NotFoundError, match="not found"):
                await call(new.id)


async def test_lists_are_walked_both_ways(tmp_path):
    async with batches(tmp_path, Desk(held=True)) as api:
        made = [(await api.create(requests=[request("a")])).id for _ in range(7)]
        assert [batch.id async for batch in api.list(limit=3)] == made[::-1]
        assert [batch.id async for batch in api.list()] == made[::-1]
        older = await api.list(limit=2, after_id=made[4])
        assert ([batch.id for batch in older.data], older.has_more) == ([made[3], made[2]], True)
        newer = [batch.id async for batch in api.list(limit=2, before_id=made[1])]
        assert sorted(newer) == sorted(made[2:])


WRONG = [
    ([], "requests: at least one request is required"),
    ([request("a"), request("a")], "requests.1.custom_id: 'a' names an earlier request"),
    ([request("a" * 65)], "requests.0.custom_id: it has to be 1 to 64"),
    ([{"custom_id": "a"}], "requests.0.params: Field required"),
]


@pytest.mark.parametrize(("requests", "words"), WRONG, ids=[row[1][:24] for row in WRONG])
async def test_wrong_batches(tmp_path, requests, words):
    async with batches(tmp_path, Desk()) as api:
        with pytest.raises(anthropic.BadRequestError) as raised:
            await api.create(requests=requests)
        assert raised.value.body["error"]["type"] == "invalid_request_error"
        assert words in raised.value.message
        with pytest.raises(anthropic.RequestTooLargeError):
            await api.create(requests=[request("a", system="x" * 2**20)])


async def test_the_sync_client_and_the_beta_one(tmp_path):
    async with served(tmp_path, Desk(slots=4)) as url:

        def asks():
            with sdk(anthropic.Anthropic, url) as client:
                out = []
                for api in (client.messages.batches, client.beta.messages.batches):
                    batch = api.create(requests=[request(f"r{n}") for n in range(30)])
                    while api.retrieve(batch.id).processing_status != "ended":
                        pass
                    out.append(
                        sorted(
                            row.custom_id for row in api.results(batch.id) if row.result.type == "succeeded"
                        )
                    )
                    assert api.delete(batch.id).id == batch.id
                return out

        found = await asyncio.to_thread(asks)
    assert found == [sorted(f"r{n}" for n in range(30))] * 2
