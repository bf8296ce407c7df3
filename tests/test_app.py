"""The composition root: what the settings become, and the life of the whole."""

import asyncio
import re

import pytest
from web.driver import Puppet, Visit, house, question, turns

from understudy.app import Cast, House, gatekeeper, new_id, warnings
from understudy.auth import digest
from understudy.config import (
    Auth,
    Batches,
    Config,
    ConfigError,
    EngineSettings,
    Loaded,
    Privacy,
    Secrets,
    Server,
)
from understudy.engines.embedding import Embedding
from understudy.engines.held import HeldEngine
from understudy.engines.llamacpp import LlamaCpp
from understudy.engines.remote import RemoteEngine
from understudy.engines.worker import WorkerSettings
from understudy.language.errors import EngineBusy, EngineLost
from understudy.language.routes import Routing, Rule, When
from understudy.language.target import Model, Standing
from understudy.store.sqlite import StoreError


def loaded(secrets=None, **config):
    return Loaded(Config(**config), {}, secrets or Secrets())


def test_rules_are_held_against_the_keys_and_models_there_are():
    key = digest("k")
    rules = tuple(Rule(("m",), When(key=name)) for name in (key[:8], digest("other")[:8]))
    there = loaded(Secrets(master_key="k"), routing=Routing(rules=(*rules, Rule(("nope",)))))
    one, two = warnings(there, (Standing("e", "vllm", "up", (Model("m"),)),))
    assert one.startswith("rule 2 of the settings can never hold: no key is called")
    assert two == "rule 3 of the settings: 'nope' is no target here. There are: e/m"


def test_ids_look_like_the_apis_own_and_differ():
    found = {new_id("msg_") for _ in range(1000)}
    assert len(found) == 1000
    assert all(re.fullmatch(r"msg_[0-9A-Za-z]{24}", one) for one in found)


def test_engines_get_their_settings():
    rows = (
        EngineSettings("a", "ollama", "http://127.0.0.1:1/", images=False, thinking=False, slots=3),
        EngineSettings("b", "anthropic", "http://127.0.0.1:2", tool_syntax="hermes"),
        EngineSettings("c", "vllm", "http://127.0.0.1:3", images=True, thinking=True),
    )
    pool = House(loaded(Secrets(engine_keys={"b": "k"})), Cast(engines=rows)).pool
    assert pool.names == ("a", "b", "c")
    a, b, c = (pool.engine(name) for name in "abc")
    assert all(isinstance(engine, RemoteEngine) for engine in (a, b, c))
    assert a.facts.url == "http://127.0.0.1:1"
    assert (a.facts.quirks.images, a.facts.quirks.thinking_switch, a.facts.slots) == (False, "", 3)
    assert (b.facts.local, b.facts.raw, b.facts.tool_syntax) == (True, True, "hermes")
    assert b"k" in dict(b._headers).values()
    assert (c.facts.quirks.images, c.facts.quirks.thinking_switch) == (True, "template")


@pytest.mark.parametrize(
    ("mode", "said", "held"),
    [
        ("local-only", None, True),
        ("local-only", True, False),
        ("ask-free", None, False),
        ("open", None, False),
        ("open", False, False),
    ],
)
def test_nothing_is_built_that_could_reach_outside_while_nothing_may_leave(mode, said, held):
    row = EngineSettings("c", "anthropic", "https://api.anthropic.com", models=("m",), local=said)
    engine = House(loaded(privacy=Privacy(mode)), Cast(engines=(row,))).pool.engine("c")
    assert isinstance(engine, HeldEngine) is held
    assert bool(engine.facts.held) is held
    assert engine.facts.local is bool(said)


@pytest.mark.parametrize("rehearsal", [False, True])
def test_the_embedded_engine_comes_first(rehearsal):
    chosen = Embedding(Model("tiny"), WorkerSettings(model="/none.gguf", key=""), rehearsal, "why")
    rows = (EngineSettings("a", "ollama", "http://127.0.0.1:1"),)
    pool = House(loaded(), Cast(engines=rows, embedding=chosen)).pool
    assert pool.names == ("embedded", "a")
    engine = pool.engine("embedded")
    assert isinstance(engine, LlamaCpp)
    assert engine.facts.quirks.tools != rehearsal
    assert bool(engine.facts.notice) == rehearsal


class Watched(Puppet):
    """Notes its life."""

    def __init__(self, *answers, start=None, **more):
        super().__init__(*answers, **more)
        self.life = []
        self._start = start

    async def start(self):
        self.life.append("start")
        if isinstance(self._start, Exception):
            raise self._start
        if self._start is not None:
            await self._start.wait()

    async def aclose(self):
        self.life.append("close")


async def test_engines_start_before_and_close_after():
    one, told = Watched(), []
    built = House(loaded(), Cast(), engines=[one], on_ready=told.append)
    async with built.running():
        assert one.life == ["start"]
        assert told == [built.pool]
        assert built.pool.snapshot()[0].state == "up"
    assert one.life == ["start", "close"]
    assert len(asyncio.all_tasks()) == 1


async def test_an_engine_that_does_not_start_is_told_and_does_not_stop_the_others():
    told = []
    bad = Watched(start=EngineBusy("no memory"), name="bad", models=EngineLost("no memory"))
    good = Watched(name="good")
    built = House(
        loaded(), Cast(), engines=[bad, good], on_failure=lambda name, error: told.append((name, str(error)))
    )
    async with built.running():
        visit = await Visit(built.app, body=question())()
    assert told == [("bad", "no memory")]
    assert visit.status == 200
    assert bad.life == good.life == ["start", "close"]


async def test_a_start_that_is_cancelled_closes_everything():
    one = Watched(start=asyncio.Event())
    built = House(loaded(), Cast(), engines=[one])

    async def live():
        async with built.running():
            raise AssertionError("it never gets here")

    task = asyncio.ensure_future(live())
    while not one.life:  # the ledger is opened first, in a thread
        await built.ledger.rows(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.life == ["start", "close"]


@pytest.mark.parametrize("hops", range(6))
async def test_the_end_comes_even_when_an_engine_fails_at_that_moment(hops):
    """What wakes the watch and what ends it may come in the same turn of the loop: the end must not be lost."""
    built = House(loaded(), Cast(), engines=[Puppet([EngineBusy("full")])])
    async with asyncio.timeout(2) as patience:
        async with built.running():
            await turns(5)
            await Visit(built.app, body=question())()
            built.pool._look_now.set()
            await turns(hops)
    assert not patience.expired()


async def test_an_error_inside_closes_everything():
    one = Watched()
    with pytest.raises(ZeroDivisionError):
        async with House(loaded(), Cast(), engines=[one]).running():
            raise ZeroDivisionError
    assert one.life == ["start", "close"]


async def test_the_lifespan_of_the_application_is_the_houses():
    one = Watched()
    built = House(loaded(), Cast(), engines=[one])
    incoming, sent = asyncio.Queue(), asyncio.Queue()
    task = asyncio.ensure_future(built.app({"type": "lifespan", "asgi": {}}, incoming.get, sent.put))
    incoming.put_nowait({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    assert one.life == ["start"]
    incoming.put_nowait({"type": "lifespan.shutdown"})
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    await task
    assert one.life == ["start", "close"]


async def test_a_file_of_batches_that_cannot_be_used_is_told_before_an_engine_starts(tmp_path):
    (tmp_path / "b.db").mkdir()
    one = Watched()
    built = House(loaded(batches=Batches(file=str(tmp_path / "b.db"))), Cast(), engines=[one])
    with pytest.raises(StoreError, match="Is a directory"):
        async with built.running():
            pass
    assert one.life == ["close"]


async def test_a_runner_that_breaks_is_not_kept_quiet(monkeypatch, capsys):
    async def broken():
        raise ValueError("secret words")

    built = House(loaded(), Cast(), engines=[Puppet()])
    monkeypatch.setattr(built.batches, "run", broken)
    async with built.running():
        await turns()
    said = capsys.readouterr()
    assert "the runner of batches has ended" in said.out + said.err
    assert "secret words" not in said.out + said.err


def test_other_machines_need_a_key():
    with pytest.raises(ConfigError, match="key"):
        gatekeeper(loaded(server=Server(host="0.0.0.0")))
    gatekeeper(loaded(Secrets(master_key="k"), server=Server(host="0.0.0.0")))
    gatekeeper(loaded(auth=Auth(key_hashes=("0" * 64,)), server=Server(host="0.0.0.0")))


async def test_names_of_the_settings_are_used():
    async with house(Puppet(), models={"gpt-4": "coder"}) as built:
        assert (await Visit(built.app, body=question(model="gpt-4"))()).status == 200
        assert (await Visit(built.app, body=question(model="claude-opus-4"))()).status == 404


async def test_limits_of_the_settings_are_used():
    async with house(Puppet(), body_limit="10B") as built:
        assert (await Visit(built.app, body=question())()).status == 413


async def test_a_look_out_that_breaks_is_not_kept_quiet(monkeypatch, capsys):
    async def broken():
        raise ValueError("secret words")

    async with house(Puppet()) as built:
        pass
    monkeypatch.setattr(built.pool, "watch", broken)
    async with built.running():
        await turns()
    said = capsys.readouterr()
    assert "the look-out for engines has ended" in said.out + said.err
    assert "secret words" not in said.out + said.err
