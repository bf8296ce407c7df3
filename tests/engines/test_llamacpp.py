"""The embedded engine, with real llama.cpp and a tiny scripted model: a child process that answers, dies and comes back."""

import asyncio
import os
import signal

import msgspec
import psutil
import pytest
from harness import pushed

from understudy.config import Limits
from understudy.engines import KINDS
from understudy.engines.ggufinfo import BadModel
from understudy.engines.llamacpp import EMBEDDED, LlamaCpp, SlotTable
from understudy.engines.remote import RemoteEngine
from understudy.engines.tinygguf import write_rehearsal, write_scripted
from understudy.engines.upstream import Upstream
from understudy.engines.worker import WorkerSettings
from understudy.language.embedding import EmbeddingRequest
from understudy.language.errors import EngineBlind, EngineError, EngineRefused
from understudy.language.events import Failed, MessageStop, Progress
from understudy.language.message import collect
from understudy.language.request import (
    Image,
    Prompt,
    Request,
    Sampling,
    Text,
    Tool,
    ToolChoice,
    Turn,
    change,
    text_of,
)
from understudy.language.target import Model

LONG = "Long answer.\n" + " ".join(f"word{n:05d}" for n in range(4000))
DEADLINE = 20.0


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "script.gguf"
    write_scripted(path, ["Hello there.", LONG])
    return path


@pytest.fixture
async def upstream():
    client = Upstream(connect_timeout=2.0)
    yield client
    await client.aclose()


@pytest.fixture
async def engine(path, upstream):
    made = engine_of(path, upstream)
    yield made
    await made.aclose()
    assert not workers()


def engine_of(path, upstream, *, slots=2, rehearsal=False, on_progress=lambda _share: None):
    settings = WorkerSettings(model=str(path), key="", context=32768, slots=slots, threads=1, raw_text=True)
    return LlamaCpp(
        "embedded",
        Model("script", 32768),
        settings,
        upstream,
        lambda prefix: f"{prefix}1",
        limits=Limits(health_seconds=5.0),
        rehearsal=rehearsal,
        on_progress=on_progress,
    )


def workers():
    """Our worker processes that are alive."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and "understudy.engines.worker" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def started():
    """A worker process is there; it is still loading."""
    async with asyncio.timeout(DEADLINE):
        while not workers():  # noqa: ASYNC110 - processes send no events
            await asyncio.sleep(0)


def turn(role, text):
    return Turn(role, (Text(text),))


HI = Request("script", (turn("user", "Hi"),), sampling=Sampling(max_tokens=100))
MORE = Request(
    "script",
    (turn("user", "Hi"), turn("assistant", "Hello there."), turn("user", "More")),
    sampling=Sampling(max_tokens=20000),
)


async def answer(engine, request, session="s"):
    async with asyncio.timeout(DEADLINE):
        return collect([event async for batch in pushed(engine.answer, request, session) for event in batch])


async def slots(engine):
    """What llama.cpp itself says of its slots."""
    return msgspec.json.decode(await engine._remote._fetch("GET", "/slots", b""))


async def test_it_answers_and_counts_and_tells_its_window(engine):
    await engine.start()
    message = await answer(engine, HI)
    assert text_of(message.blocks) == "Hello there."
    assert message.stop_reason == "end_turn"
    assert await engine.count(HI) == message.usage.input_tokens
    (model,) = await engine.models()
    assert (model.id, model.context) == ("script", 32768)
    assert "im_start" in model.template
    assert len(workers()) == 1


PICTURE = Turn("user", (Image("image/png", "iVBORw0KGgo="), Text("What is that?")))


async def test_without_a_projector_it_says_that_it_cannot_see(engine, upstream):
    """Real llama.cpp, asked as a server whose model we know nothing of."""
    await engine.start()
    (model,) = await engine._remote.models()
    assert model.lacks == ("images",)
    facts = change(engine._remote.facts, quirks=KINDS["llama-server"].quirks)
    asked = RemoteEngine(facts, upstream, lambda prefix: f"{prefix}1", key=engine._child.key, kind=EMBEDDED)
    with pytest.raises(EngineBlind, match="image input is not supported"):
        await answer(asked, change(HI, turns=(PICTURE,)))


async def test_a_first_request_starts_it(engine):
    assert text_of((await answer(engine, HI)).blocks) == "Hello there."


async def test_many_first_requests_start_one_child(engine):
    answers = await asyncio.gather(*(answer(engine, HI, f"s{n}") for n in range(5)))
    assert {text_of(message.blocks) for message in answers} == {"Hello there."}
    assert len(workers()) == 1


async def test_a_session_finds_its_prefix_in_its_own_slot(engine):
    first = change_text(HI, "what a long question this is " * 9)
    await answer(engine, first, "a")
    await answer(engine, change_text(HI, "Something else entirely"), "b")
    turns = (*first.turns, turn("assistant", "Hello there."), turn("user", "and?"))
    message = await answer(engine, Request("script", turns, sampling=Sampling(max_tokens=5)), "a")
    assert message.usage.cached_tokens > message.usage.input_tokens // 2


@pytest.mark.parametrize("number", [2, 3])
async def test_the_table_foresees_which_slot_llama_cpp_takes(path, upstream, number):
    engine = engine_of(path, upstream, slots=number)
    table, foreseen, taken = SlotTable(number), [], []
    for session in "abacadbbcaacdb":
        lease = table.take(session)
        await answer(engine, change_text(HI, f"{session} asks something"), session)
        table.release(lease)
        foreseen.append(lease.slot)
        taken.append(max(await slots(engine), key=lambda slot: slot.get("id_task", -1))["id"])
    await engine.aclose()
    assert foreseen == taken


def change_text(request, text):
    return msgspec.structs.replace(request, turns=(turn("user", text),))


async def begun(engine, request=MORE):
    """An answer of which a piece has come."""
    batches = pushed(engine.answer, request, "s")
    async with asyncio.timeout(DEADLINE):
        async for batch in batches:
            if not isinstance(batch[-1], Progress):
                return batches
    raise AssertionError("it said nothing")


async def test_a_child_that_is_killed_fails_the_answer_and_comes_back(engine):
    batches = await begun(engine)
    (worker,) = workers()
    os.kill(worker.pid, signal.SIGSTOP)  # so that the answer cannot be over before the kill
    os.kill(worker.pid, signal.SIGKILL)
    events = [event async for batch in batches for event in batch]
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, EngineError)
    assert events[-1].error.retryable
    assert not any(isinstance(event, MessageStop) for event in events)
    assert text_of((await answer(engine, HI)).blocks) == "Hello there."  # at once: the very next request
    (other,) = workers()
    assert other.pid != worker.pid


async def test_a_child_that_died_while_idle_is_started_again(engine):
    await engine.start()
    for _ in range(2):
        (worker,) = workers()
        os.kill(worker.pid, signal.SIGKILL)
        assert text_of((await answer(engine, HI)).blocks) == "Hello there."
    assert len(workers()) == 1
    (worker,) = workers()
    os.kill(worker.pid, signal.SIGKILL)
    assert await engine.count(HI)
    (worker,) = workers()
    os.kill(worker.pid, signal.SIGKILL)
    assert await engine.models()


async def test_leaving_an_answer_frees_its_slot(engine):
    batches = await begun(engine)
    assert any(slot["is_processing"] for slot in await slots(engine))
    await batches.aclose()
    async with asyncio.timeout(DEADLINE):
        while any(slot["is_processing"] for slot in await slots(engine)):
            pass  # each look is a round trip
    assert text_of((await answer(engine, HI)).blocks) == "Hello there."


async def test_a_cancelled_answer_frees_its_slot(engine):
    async def read():
        async for batch in pushed(engine.answer, MORE, "s"):
            if not isinstance(batch[-1], Progress):
                reading.set()

    reading = asyncio.Event()
    task = asyncio.ensure_future(read())
    async with asyncio.timeout(DEADLINE):
        await reading.wait()
        task.cancel()
        await asyncio.wait((task,))
        while any(slot["is_processing"] for slot in await slots(engine)):
            pass


async def test_the_end_leaves_no_process_and_nothing_starts_again(path, upstream):
    engine = engine_of(path, upstream)
    await engine.start()
    await engine.aclose()
    assert not workers()
    for late in (engine.models(), engine.count(HI), answer(engine, HI), engine.start()):
        with pytest.raises(EngineError):
            await late
    await engine.aclose()
    assert not workers()


async def test_the_end_while_it_starts_leaves_no_process(path, upstream):
    engine = engine_of(path, upstream)
    starting = asyncio.ensure_future(engine.start())
    await started()
    await engine.aclose()
    await asyncio.wait((starting,))
    starting.exception()
    assert not workers()


async def test_who_leaves_while_it_loads_stops_it_for_nobody_else(path, upstream):
    loads = []
    engine = engine_of(path, upstream, on_progress=loads.append)
    first = asyncio.ensure_future(answer(engine, HI, "a"))
    second = asyncio.ensure_future(answer(engine, HI, "b"))
    await started()
    (worker,) = workers()
    first.cancel()
    assert text_of((await second).blocks) == "Hello there."
    assert [w.pid for w in workers()] == [worker.pid]
    await engine.aclose()


async def test_a_model_that_cannot_be_loaded(tmp_path, upstream):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"<html>")
    engine = engine_of(bad, upstream)
    with pytest.raises(BadModel, match="not a GGUF"):
        await engine.start()
    with pytest.raises(BadModel):
        await answer(engine, HI)
    await engine.aclose()
    assert not workers()


async def test_the_rehearsal_says_what_it_is_and_has_no_tools(tmp_path, upstream):
    write_rehearsal(tmp_path / "r.gguf")
    engine = engine_of(tmp_path / "r.gguf", upstream, rehearsal=True)
    assert "rehearsal" in engine.facts.notice
    assert not engine.facts.quirks.tools
    tool = Tool("Bash", schema=b'{"type":"object"}')
    asked = msgspec.structs.replace(HI, tools=(tool,), tool_choice=ToolChoice("any"))
    message = await answer(engine, asked)
    assert text_of(message.blocks)
    assert "Bash" not in text_of(message.blocks)
    await engine.aclose()


def test_what_the_facts_say(path):
    assert EMBEDDED.quirks.raw_text
    assert not EMBEDDED.ports


# -- the slot table -----------------------------------------------------------------------------------------------


def pins(slots, *steps):
    """Steps are "a" (a whole request of that session), "+a" (it begins) and "-a" (it ends); gives each one's pin."""
    table, held, out = SlotTable(slots), {}, []
    for step in steps:
        session = step.lstrip("+-")
        if not step.startswith("-"):
            lease = table.take(session)
            out.append(lease.pin)
            held.setdefault(session, []).append(lease)
        if not step.startswith("+"):
            table.release(held[session].pop(0))
    return out


TABLES = [
    (2, ["a", "a", "a"], [None, 1, 1]),
    (2, ["a", "b", "a", "b"], [None, None, 1, 0]),
    (2, ["a", "b", "c", "a"], [None, None, None, None]),  # c took a's slot
    (2, ["a", "b", "c", "b"], [None, None, None, 0]),
    (1, ["a", "b", "b", "a"], [None, None, 0, None]),
    (2, ["+a", "+b", "-a", "-b", "a", "b"], [None, None, 1, 0]),
    (1, ["+a", "+a", "-a", "-a", "a"], [None, 0, 0]),
    (1, ["+a", "+b", "-a", "-b", "a"], [None, None, None]),  # b waited: nobody knows what it overwrote
    (2, ["+a", "+a", "-a", "-a", "a"], [None, None, 0]),
]


@pytest.mark.parametrize(("number", "steps", "expected"), TABLES, ids=[" ".join(t[1]) for t in TABLES])
def test_slots_are_pinned_while_nobody_else_had_them(number, steps, expected):
    assert pins(number, *steps) == expected


def test_the_table_gives_back_what_it_took():
    table = SlotTable(3)
    leases = [table.take(f"s{n % 5}") for n in range(9)]
    for lease in leases:
        table.release(lease)
    assert table._busy == [0, 0, 0]


async def test_it_makes_no_vectors_and_says_what_does(path, upstream):
    with pytest.raises(EngineRefused, match="ollama pull"):
        await engine_of(path, upstream).embed(EmbeddingRequest("script", ("a",)))


async def test_it_goes_on_with_raw_text(engine):
    """Outside any conversation: what comes is whatever the weights say."""
    raw = Request("script", (), prompt=Prompt("Hi"), sampling=Sampling(max_tokens=5))
    message = await answer(engine, raw)
    assert message.usage.output_tokens <= 5


async def test_control_tokens_are_shown_and_the_last_one_is_not(tmp_path, upstream):
    """Some families mark their calls with them; the one that ends an answer is no part of it."""
    path = tmp_path / "control.gguf"
    call = '[TOOL_CALLS]Read[ARGS]{"path": "a.txt"}'
    write_scripted(path, [call], markers=["[TOOL_CALLS]"], control=["[TOOL_CALLS]"])
    engine = engine_of(path, upstream)
    message = await answer(engine, HI)
    assert text_of(message.blocks) == call
    await engine.aclose()
