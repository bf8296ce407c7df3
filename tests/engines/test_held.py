import pytest

from understudy.engines import Facts, held
from understudy.engines.held import WHY, HeldEngine
from understudy.engines.pool import Pool
from understudy.language.embedding import EmbeddingRequest
from understudy.language.errors import KeptHere
from understudy.language.message import Collector
from understudy.language.request import Request
from understudy.language.target import Model, Target

CLOUD = HeldEngine(Facts("claude", "anthropic", "https://api.anthropic.com", local=False, held=WHY))
ASK = Request("m", ())
QUESTIONS = {
    "answer": lambda: CLOUD.answer(ASK, "s", Collector()),
    "embed": lambda: CLOUD.embed(EmbeddingRequest("m", ("a",))),
    "count": lambda: CLOUD.count(ASK),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
async def test_it_refuses_everything(ask):
    with pytest.raises(KeptHere, match=r'claude is held back by \[privacy\] mode = "local-only"'):
        await ask()


def test_it_knows_nothing_that_could_reach_anybody():
    assert not {"Upstream", "socket", "httpx"} & set(vars(held))
    assert set(vars(CLOUD)) == {"facts"}


async def test_the_pool_shows_it_and_leaves_it_alone(monkeypatch):
    async def never(_self):
        raise AssertionError("it was asked")

    monkeypatch.setattr(HeldEngine, "models", never)
    pool = Pool([CLOUD])
    await pool.start()
    await pool.look()
    (row,) = pool.snapshot()
    assert (row.state, row.detail, row.local, row.models) == ("held", WHY, False, ())
    with pytest.raises(KeptHere):
        await pool.count(Target("claude", Model("m")), ASK)
    await pool.aclose()


async def test_it_serves_nothing():
    assert await CLOUD.models() == ()
    await CLOUD.start()
    await CLOUD.aclose()
