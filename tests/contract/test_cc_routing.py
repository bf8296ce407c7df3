"""A session of Claude Code with a title, sub-agents, a search and a compaction, before engines that could all answer."""

from contract.claude import (
    MODEL,
    call,
    compaction_request,
    first_request,
    next_turn,
    result,
    subagent_request,
    title_request,
    web_search_request,
)
from contract.playhouse import CODER, FakeEngine, answer, playhouse

from understudy.config import Config, Loaded, Secrets
from understudy.language.errors import EngineLost
from understudy.language.routes import Routing, Rule, When
from understudy.language.target import Model

LLAMA, QWEN = Model("llama3.3-70b", 65536), Model("qwen3-32b", 65536)


def settings(*rules, **routing):
    return Loaded(Config(models={"*": "auto"}, routing=Routing(rules=rules, **routing)), {}, Secrets())


def troupe(*coder):
    return [
        FakeEngine(*(coder or [answer("hello")]), name="a", models=(CODER,)),
        FakeEngine(name="b", models=(LLAMA,)),
        FakeEngine(name="c", models=(QWEN,)),
    ]


class Session:
    """The whole of it, in the order in which the client asks; gives the targets by who asked."""

    def __init__(self, house):
        self.house = house
        self.went = {"title": [], "main": [], "sub": [], "search": []}
        self.reasons = []

    async def ask(self, who, ask):
        response = await self.house.ask(ask)
        assert response.status_code == 200, response.text
        self.went[who].append(response.headers["x-understudy-target"])
        self.reasons.append(response.headers["x-understudy-route"])
        return ask

    async def play(self):
        await self.ask("title", title_request())
        turn = await self.ask("main", first_request("What does plot.py draw?"))
        for number, note in enumerate(
            ("Write me a poem about it", "把它翻译成中文", "Which is the better strategy?")
        ):
            said = [call(f"toolu_{number}", "Read", file_path="/a")]
            turn = await self.ask("main", next_turn(turn, said, result(f"toolu_{number}"), note=""))
            sub = await self.ask("sub", subagent_request("Explain the document.", agent=f"agent-{number}"))
            await self.ask(
                "sub", next_turn(sub, [call("toolu_s", "Read", file_path="/b")], result("toolu_s"))
            )
            await self.ask("search", web_search_request())
            turn = await self.ask(
                "main", next_turn(turn, [{"type": "text", "text": "ok"}], {"type": "text", "text": note})
            )
        await self.ask("main", compaction_request(turn))
        return self.went


async def played(*rules, engines=None, **routing):
    async with playhouse(engines=engines or troupe(), loaded=settings(*rules, **routing)) as house:
        session = Session(house)
        return await session.play(), session.reasons


async def test_the_main_thread_keeps_one_target_through_all_turns():
    went, reasons = await played()
    assert set(went["main"]) == {f"a/{CODER.id}"}
    assert len(went["main"]) == 8
    assert set(went["search"]) == {f"a/{CODER.id}"}, "errands go where the conversation is"
    assert f"{MODEL}: the conversation stays" in " ".join(reasons)
    assert "lost" not in " ".join(reasons)


async def test_sub_agents_live_where_a_rule_sends_them_and_the_main_thread_stays():
    went, _ = await played(Rule(("qwen",), When(subagent=True)), Rule(("llama",), When(background=True)))
    assert set(went["main"]) == {f"a/{CODER.id}"}
    assert set(went["sub"]) == {f"c/{QWEN.id}"}
    assert set(went["search"]) | set(went["title"]) == {f"b/{LLAMA.id}"}


async def test_a_lost_engine_moves_it_once():
    engines = troupe(answer("hello"), answer("hello"), EngineLost("gone"), answer("back"))
    went, reasons = await played(Rule(("a/*",), When(agent=True)), engines=engines)
    assert went["main"][0] == f"a/{CODER.id}"
    assert len(set(went["main"][1:])) == 1
    assert went["main"][1] != f"a/{CODER.id}", "and it does not go back"
    assert sum("is down, and" in reason for reason in reasons) == 1


async def test_without_staying_every_turn_chooses():
    went, _ = await played(stay=False)
    assert len(set(went["main"])) > 1, "or the tests above show nothing"


async def test_a_model_that_the_user_chooses_moves_it_where_a_rule_knows_that_name():
    rules = (Rule(("qwen",), When(model="claude-opus-*")), Rule(("llama",), When(tasks=("creative",))))
    async with playhouse(engines=troupe(), loaded=settings(*rules)) as house:
        session = Session(house)
        turn = await session.ask("main", first_request("What does plot.py draw?"))
        for model in (MODEL, "claude-opus-5", "claude-opus-5", MODEL):
            words = [{"type": "text", "text": "ok"}], {"type": "text", "text": "Write a poem"}
            turn = await session.ask("main", next_turn(turn, *words).but(model=model))
    coder, qwen = f"a/{CODER.id}", f"c/{QWEN.id}"
    assert session.went["main"] == [coder, coder, qwen, qwen, qwen]
