"""One question for each picture, in our words; what is answered is kept, and what goes wrong is said."""

import asyncio

import pytest
from media.eyes import SET, VISION_MODEL, counting, eyes, picture, pool_of
from web.driver import Puppet, call, say

from understudy.config import Images
from understudy.dialects import Quirks
from understudy.engines import Facts
from understudy.language import errors
from understudy.language.events import BlockStart, BlockStop, Failed, MessageStart, MessageStop, TextDelta
from understudy.language.request import Image, Text, ThinkingWish, Turn
from understudy.language.target import Model
from understudy.media.describer import CUT, QUESTION, Describer, sees
from understudy.observe.metrics import REGISTRY

CAT, DOG = picture(1), picture(2)


def outcomes(outcome):
    return REGISTRY.get_sample_value("understudy_pictures_total", {"outcome": outcome}) or 0


async def describer(engine, settings=SET):
    return Describer(await pool_of(*([engine] if engine else [])), settings, counting())


async def test_a_picture_is_described_once():
    before = outcomes("described"), outcomes("known")
    engine = eyes()
    asked = await describer(engine)
    assert asked.known(CAT) is None
    assert [await asked.describe(CAT) for _ in range(3)] == ["It shows a cat."] * 3
    assert asked.known(CAT) == "It shows a cat."
    assert len(engine.requests) == 1
    assert (outcomes("described"), outcomes("known")) == (before[0] + 1, before[1] + 2)


async def test_the_question():
    engine = eyes()
    await (await describer(engine, Images(describer="eyes/vl", max_tokens=77))).describe(CAT)
    (question,) = engine.requests
    assert question.model == "vl"
    assert question.turns == (Turn("user", (CAT, QUESTION)),)
    assert (question.sampling.max_tokens, question.sampling.temperature) == (77, 0.0)
    assert question.thinking == ThinkingWish("disabled")
    assert (question.tools, question.system, question.raw) == ((), (), b"")
    for wish in ("word for word", "layout", "what is written in it"):
        assert wish in QUESTION.text


async def test_equal_contents_are_equal_pictures():
    engine = eyes()
    asked = await describer(engine)
    await asked.describe(CAT)
    await asked.describe(Image("image/jpeg", CAT.data))
    assert len(engine.requests) == 1
    await asked.describe(DOG)
    assert len(engine.requests) == 2


async def test_equal_ones_in_flight_are_asked_once():
    gate = asyncio.Event()
    engine = eyes([gate, say("It shows a cat.")])
    asked = await describer(engine)
    wanted = [asyncio.ensure_future(asked.describe(CAT)) for _ in range(5)]
    await engine.asked.wait()
    gate.set()
    assert await asyncio.gather(*wanted) == ["It shows a cat."] * 5
    assert len(engine.requests) == 1


@pytest.mark.parametrize("at_once", [1, 2, 3])
async def test_no_more_than_are_allowed_at_the_same_time(at_once):
    gate = asyncio.Event()
    engine = eyes([gate, say("It shows a cat.")])
    asked = await describer(engine, Images(describer="eyes/vl", at_once=at_once))
    wanted = [asyncio.ensure_future(asked.describe(picture(n))) for n in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert engine.open == at_once
    gate.set()
    await asyncio.gather(*wanted)
    assert len(engine.requests) == 5


async def test_who_leaves_frees_the_engine():
    gate = asyncio.Event()
    engine = eyes([gate])
    asked = await describer(engine)
    wanted = asyncio.ensure_future(asked.describe(CAT))
    await engine.asked.wait()
    wanted.cancel()
    async with asyncio.timeout(5):
        await engine.left.wait()
    assert engine.open == 0


THOUGHT = [
    MessageStart("m"),
    BlockStart("text"),
    TextDelta("<think>\nA cat, I think.\n</think>\n\nIt shows a cat.\n"),
    BlockStop(),
    MessageStop("end_turn"),
]
ENDED = [*say("It shows a c")[:-1], MessageStop("max_tokens")]
SAID = {
    "plain": (say("It shows a cat."), "It shows a cat."),
    "in blanks": (say("\n\n It shows a cat. \n"), "It shows a cat."),
    "with thoughts": (THOUGHT, "It shows a cat."),
    "cut by its limit": (ENDED, "It shows a c" + CUT),
    "an engine that knows no limit": (say("x" * 1000), "x" * 80 + CUT),
    "as long as it may be": (say("x" * 80), "x" * 80),
    "with a call": (call("Read", "{}", text="It shows a cat."), "It shows a cat."),
}


@pytest.mark.parametrize(("batch", "said"), SAID.values(), ids=SAID)
async def test_what_is_taken_of_the_answer(batch, said):
    asked = await describer(eyes([batch]), Images(describer="eyes/vl", max_tokens=10))
    assert await asked.describe(CAT) == said


async def test_an_answer_in_pieces():
    class Pieces(Puppet):
        async def answer(self, request, session, listener):
            listener.tell([MessageStart("m"), BlockStart("text")])
            for piece in ("It shows", " a cat", "."):
                listener.more(piece)
            listener.tell([BlockStop(), MessageStop("end_turn")])

    asked = await describer(Pieces(name="eyes", models=(VISION_MODEL,)))
    assert await asked.describe(CAT) == "It shows a cat."


WORDS = "a picture could not be described by eyes/vl: "
FAILS = {  # what the engine does: the error, its words
    "busy": ([errors.EngineBusy("full", retry_after=7)], errors.EngineBusy, "full. Try again later"),
    "lost": ([errors.EngineLost("gone")], errors.EngineBusy, "gone. Try again later"),
    "cut": ([say("It sh")[:3]], errors.EngineBusy, "Try again later"),
    "failed in the stream": (
        [[*say("It sh")[:3], Failed(errors.EngineError("nonsense"))]],
        errors.EngineError,
        "nonsense",
    ),
    "blind": (
        [errors.EngineBlind("not a multimodal model")],
        errors.EngineError,
        "Set [images] describer to",
    ),
    "no such picture": (
        [errors.EngineRefused("cannot identify it")],
        errors.EngineRefused,
        "cannot identify it",
    ),
    "too large": ([errors.TooLarge("too large")], errors.EngineRefused, "Leave the picture out"),
    "over its window": ([errors.PromptTooLong(9, 8)], errors.EngineRefused, "prompt is too long"),
    "a wrong key": ([errors.EngineDenied("the key")], errors.EngineError, "the key"),
    "nothing": ([say("")], errors.EngineError, "it said nothing"),
    "only thoughts": ([say("<think>hm</think>")], errors.EngineError, "it said nothing"),
}


@pytest.mark.parametrize(("steps", "kind", "words"), FAILS.values(), ids=FAILS)
async def test_what_goes_wrong_is_said_and_not_kept(steps, kind, words):
    before = outcomes("failed")
    engine = eyes(steps, [say("It shows a cat.")])
    asked = await describer(engine)
    with pytest.raises(errors.EngineError) as found:
        await asked.describe(CAT)
    assert type(found.value) is kind
    assert found.value.message.startswith(WORDS)
    assert words in found.value.message
    assert outcomes("failed") == before + 1
    assert asked.known(CAT) is None
    assert await asked.describe(CAT) == "It shows a cat."


async def test_when_to_come_again_is_passed_on():
    asked = await describer(eyes([errors.EngineBusy("full", retry_after=7)]))
    with pytest.raises(errors.EngineBusy) as found:
        await asked.describe(CAT)
    assert found.value.retry_after == 7


async def test_one_that_takes_too_long_is_given_up():
    engine = eyes([asyncio.Event()])
    asked = await describer(engine, Images(describer="eyes/vl", timeout_seconds=0.01))
    with pytest.raises(errors.EngineBusy, match=r"no description in 0.01 s. Try again later"):
        await asked.describe(CAT)
    assert engine.open == 0


NOT_THERE = {  # engine, describer: the error, its words
    "no engine": (None, "eyes/vl", errors.EngineBusy, "no engine is running"),
    "down": (
        Puppet(name="eyes", models=errors.EngineLost("connection refused")),
        "eyes/vl",
        errors.EngineBusy,
        "connection refused",
    ),
    "another model": (eyes(), "eyes/other", errors.EngineError, "Models here: vl"),
    "a model that lacks it": (
        Puppet(name="eyes", models=(Model("vl", lacks=("images",)),)),
        "eyes/vl",
        errors.EngineError,
        "it cannot see pictures itself. Set [images] describer to a model that sees",
    ),
    "an engine that is set to get none": (
        eyes(quirks=Quirks(images=False)),
        "eyes/vl",
        errors.EngineError,
        "it cannot see pictures itself",
    ),
}


@pytest.mark.parametrize(("engine", "name", "kind", "words"), NOT_THERE.values(), ids=NOT_THERE)
async def test_who_is_not_there_or_cannot_see(engine, name, kind, words):
    asked = await describer(engine, Images(describer=name))
    with pytest.raises(errors.EngineError) as found:
        await asked.describe(CAT)
    assert type(found.value) is kind
    assert words in found.value.message
    if engine is not None:
        assert engine.requests == []


async def test_a_model_may_be_named_by_its_id_alone():
    asked = await describer(eyes(), Images(describer="vl"))
    assert await asked.describe(CAT) == "It shows a cat."


SEES = [
    (Quirks(), (), True),
    (Quirks(images=False), (), False),
    (Quirks(), ("images",), False),
    (Quirks(), ("tools", "thinking"), True),
]


@pytest.mark.parametrize(("quirks", "lacks", "seen"), SEES)
def test_who_sees(quirks, lacks, seen):
    assert sees(Facts("e", "vllm", quirks=quirks), Model("m", lacks=lacks)) == seen


async def test_nothing_of_a_picture_is_in_a_log(caplog, capfd):
    asked = await describer(eyes([say("A secret cat.")], [errors.EngineRefused("no")]))
    await asked.describe(CAT)
    with pytest.raises(errors.EngineRefused):
        await asked.describe(DOG)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_the_question_is_text():
    assert isinstance(QUESTION, Text)
    assert QUESTION.text.isascii()
