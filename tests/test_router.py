"""The router: what is guessed once, remembered between turns, counted and logged; the decisions have tests of their own."""

import msgspec
import pytest

from understudy import router as module
from understudy.auth import Caller
from understudy.language import errors
from understudy.language.request import Prompt, Request, Text, Tool, ToolResult, Turn
from understudy.language.routes import Routing, Rule, When
from understudy.language.target import Home, Model, Standing
from understudy.observe.metrics import REGISTRY
from understudy.router import MAIN, SIDE, Found, Router, nothing_found, nothing_leaves, session_key
from understudy.routing.privacy import Finding, decide
from understudy.routing.scan import Spot
from understudy.store.sessions import Homes

CODER, LLAMA, QWEN = Model("qwen3-coder-30b"), Model("llama3.3-70b"), Model("qwen3-32b")
HOUSE = (Standing("one", "vllm", "up", (CODER, LLAMA)), Standing("two", "ollama", "up", (QWEN,)))
CLOUD = (*HOUSE, Standing("claude", "anthropic", "up", (Model("claude-opus-5"),), local=False))
AGENT = Caller(session="s-1")
TOOLS = (Tool("Bash"), Tool("Read"))
FIX = "Fix the bug in parser.py and run the tests"
POEM = "Write a poem about the sea"


def asking(text=FIX, model="auto", **more):
    return Request(model, (Turn("user", (Text(text),)),), **{"tools": TOOLS} | more)


def routed(settings=None, *, leaves=False, **more):
    mode = "open" if leaves else "local-only"
    models = more.pop("models", {"claude-*": "auto"})
    made = Router(settings or Routing(), models, Homes(), may_leave=lambda *_: decide(mode, ()), **more)
    made.homes = made._homes
    return made


def turn(router, request, caller=AGENT, standing=HOUSE, *, fails=(), tokens=1000):
    """A turn as the gateway does it: the first who does not fail answers. Gives the plan, who it was and the reason."""
    plan = router.plan(request, caller, standing)
    failures = []
    for target in plan.targets:
        reason = router.depart(plan, target, failures)
        if str(target) not in fails:
            router.arrive(plan, target, tokens, failures)
            return plan, str(target), reason
        failures.append((target, errors.EngineLost("gone")))
    router.strand(plan)
    return plan, "", ""


def count(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


# -- a task is guessed once, and the conversation stays ------------------------------------------------------------


def test_the_first_turn_goes_by_its_task():
    plan, target, reason = turn(routed(), asking())
    assert (plan.task, plan.by, target) == ("code", "task", "one/qwen3-coder-30b")
    assert reason == plan.reason
    assert reason.endswith("a coder model")


def test_later_turns_stay_whatever_they_read_like(monkeypatch):
    router = routed()
    turn(router, asking())
    monkeypatch.setattr(module.tasks, "guess", None)  # nobody asks again
    plan, target, reason = turn(router, asking(POEM))
    assert (plan.task, target) == ("code", "one/qwen3-coder-30b")
    assert reason == "auto: the conversation stays (code)"


def test_another_conversation_chooses_anew():
    router = routed()
    turn(router, asking())
    plan, target, _ = turn(router, asking(POEM, tools=()), Caller())
    assert (plan.task, target) == ("creative", "two/qwen3-32b")


def test_a_named_model_is_obeyed_and_the_price_is_said_and_counted(capsys):
    lost = count("understudy_conversation_moves_lost_tokens_total", reason="model")
    moves = count("understudy_conversation_moves_total", reason="model")
    router = routed()
    turn(router, asking(), tokens=12000)
    _, target, reason = turn(router, asking(model="llama3.3-70b"))
    assert target == "one/llama3.3-70b"
    assert reason.endswith(
        "leaves one/qwen3-coder-30b: another model is named, and 12000 tokens of its prefix are lost"
    )
    assert count("understudy_conversation_moves_total", reason="model") == moves + 1
    assert count("understudy_conversation_moves_lost_tokens_total", reason="model") == lost + 12000
    assert turn(router, asking())[1] == "one/llama3.3-70b"


def test_an_engine_that_is_lost_on_the_way_is_left_and_not_returned_to():
    moves = count("understudy_conversation_moves_total", reason="down")
    failovers = count("understudy_failovers_total", error="EngineLost")
    router = routed()
    turn(router, asking(), tokens=5000)
    _, target, reason = turn(router, asking(), fails=["one/qwen3-coder-30b"])
    assert target != "one/qwen3-coder-30b"
    assert "one/qwen3-coder-30b is down, and 5000 tokens of its prefix are lost" in reason
    assert count("understudy_conversation_moves_total", reason="down") == moves + 1
    assert count("understudy_failovers_total", error="EngineLost") == failovers + 1
    assert turn(router, asking())[1] == target


def test_where_nobody_answers_the_conversation_is_where_it_was():
    router = routed()
    turn(router, asking())
    everybody = ["one/qwen3-coder-30b", "one/llama3.3-70b", "two/qwen3-32b"]
    assert turn(router, asking(), fails=everybody)[1] == ""
    assert router.homes.find(f"s-1/{MAIN}") == Home(
        "one/qwen3-coder-30b", 1000, "code", pytest.approx(1, abs=0.7), asked="auto"
    )
    fresh = routed()
    turn(fresh, asking(), fails=everybody)
    assert len(fresh.homes) == 0


def test_while_an_answer_is_under_way_the_next_question_already_follows_it():
    router = routed()
    plan = router.plan(asking(), AGENT, HOUSE)
    router.depart(plan, plan.targets[1], [(plan.targets[0], errors.EngineBusy("full"))])
    assert router.plan(asking(), AGENT, HOUSE).targets[0] == plan.targets[1]


def test_an_answer_counts_by_what_chose_it():
    def counted(by):
        return count("understudy_routes_total", task="code", by=by)

    before = [counted(by) for by in ("task", "home")]
    router = routed()
    turn(router, asking())
    turn(router, asking())
    assert [counted(by) for by in ("task", "home")] == [before[0] + 1, before[1] + 1]


# -- errands -------------------------------------------------------------------------------------------------------


def test_an_errand_goes_where_its_conversation_lives_and_moves_nothing():
    router = routed()
    turn(router, asking())
    home = router.homes.find(f"s-1/{MAIN}")
    plan, target, reason = turn(router, asking("A title for this", "claude-haiku-4-5", tools=()), tokens=9)
    assert (target, reason) == (
        "one/qwen3-coder-30b",
        "claude-haiku-4-5: an errand of a conversation that is there",
    )
    assert plan.stay.session == f"s-1/{SIDE}"
    assert router.homes.find(f"s-1/{MAIN}") == home
    turn(router, asking("A title", tools=()), fails=["one/qwen3-coder-30b"])
    assert router.homes.find(f"s-1/{MAIN}") == home
    assert router.homes.find(f"s-1/{SIDE}") is None
    router.strand(plan)
    assert router.homes.find(f"s-1/{MAIN}") == home


def test_an_errand_before_its_conversation_and_a_session_without_tools_have_a_home_of_their_own():
    router = routed()
    _, first, _ = turn(router, asking(POEM, tools=()))
    assert turn(router, asking(FIX, tools=()))[1] == first
    assert router.homes.find(f"s-1/{SIDE}").target == first


def test_a_rule_sends_errands_elsewhere():
    router = routed(Routing(rules=(Rule(("llama",), When(background=True)),)))
    turn(router, asking())
    assert turn(router, asking("A title", "claude-haiku-4-5", tools=()))[1] == "one/llama3.3-70b"
    assert turn(router, asking())[1] == "one/qwen3-coder-30b"


def test_a_main_thread_keeps_one_target_through_a_session_with_sub_agents():
    """As Claude Code works: a title, the main thread, sub-agents beside it, tool loops, a compaction."""
    router = routed(Routing(rules=(Rule(("two/qwen3-32b",), When(subagent=True)),)))
    result = Request("claude-sonnet-5", (Turn("user", (ToolResult("t", (Text(POEM),)),)),), tools=TOOLS)
    sub = Caller(session="s-1", agent="a-7", request_class="subagent")
    went = {"main": [], "sub": []}
    turn(
        router,
        asking("A title", "claude-haiku-4-5", tools=()),
        Caller(session="s-1", request_class="auxiliary"),
    )
    for _ in range(3):
        went["main"].append(turn(router, asking(model="claude-sonnet-5"))[1])
        went["main"].append(turn(router, result)[1])
        went["sub"].append(
            turn(router, asking("Translate the readme into Chinese", "claude-sonnet-5"), sub)[1]
        )
    compacting = Caller(session="s-1", request_class="compaction")
    went["main"].append(turn(router, asking("Summarize", "claude-sonnet-5"), compacting)[1])
    assert set(went["main"]) == {"one/qwen3-coder-30b"}
    assert set(went["sub"]) == {"two/qwen3-32b"}


# -- raw text ------------------------------------------------------------------------------------------------------


def test_raw_text_has_no_conversation():
    router = routed()
    request = Request("auto", (), prompt=Prompt("def quicksort(array):\n    "))
    plan, _, _ = turn(router, request, Caller())
    assert (plan.stay.talk, len(router.homes)) == ("", 0)
    assert plan.task in {"code", "general"}


# -- what the client says ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "caller"),
    [
        (asking(task="creative"), AGENT),
        (asking(), Caller(session="s-1", task="creative")),
        (asking(task="creative"), Caller(session="s-1", task="code")),
        (asking(task="creative", model="qwen3-32b"), AGENT),
    ],
)
def test_a_task_that_is_said_counts_before_any_guess(request_, caller):
    plan = routed().plan(request_, caller, HOUSE)
    assert (plan.task, plan.confidence) == ("creative", 1.0)
    assert str(plan.targets[0]) == "two/qwen3-32b"


@pytest.mark.parametrize(
    ("request_", "caller", "place"),
    [
        (asking(task="cooking" + 100 * "!"), Caller(), "task_type"),
        (asking(), Caller(task="cooking"), "x-understudy-task"),
    ],
)
def test_a_word_that_is_no_task_is_refused(request_, caller, place):
    with pytest.raises(
        errors.BadField, match=f"{place}: 'cooking.* is no task. Tasks are code, math"
    ) as error:
        routed().plan(request_, caller, HOUSE)
    assert len(error.value.message) < 200
    with pytest.raises(errors.BadField):
        routed().explain(request_, caller, HOUSE)


# -- privacy -------------------------------------------------------------------------------------------------------


def test_by_default_nothing_leaves_and_nobody_looks():
    assert not nothing_leaves(asking(), Caller()).leaves
    assert nothing_found(asking()) == ()
    plan = Router(Routing(), {}, Homes()).plan(asking(), AGENT, CLOUD)
    assert not any(target.engine == "claude" for target in plan.targets)


def test_what_may_leave_may_be_answered_outside():
    request = asking("Analyze the strategy: which of three plans is best, and why?", task="reasoning")
    assert str(routed(leaves=True).plan(request, Caller(), CLOUD).targets[0]) == "claude/claude-opus-5"
    assert str(routed().plan(request, Caller(), CLOUD).targets[0]) == "one/llama3.3-70b"


def test_a_conversation_outside_comes_home_when_something_private_is_said():
    verdicts = [decide("open", ()), decide("local-only", ())]
    router = Router(Routing(), {}, Homes(), may_leave=lambda *_: verdicts.pop(0))
    request = asking(task="reasoning")
    assert turn(router, request, standing=CLOUD)[1] == "claude/claude-opus-5"
    _, target, reason = turn(router, request, standing=CLOUD)
    assert target == "one/llama3.3-70b"
    assert "this question may not leave the house" in reason


# -- explained -----------------------------------------------------------------------------------------------------


def test_an_explanation_says_it_all_and_remembers_nothing():
    spot = Spot(4, 8, "secret", "aws-key", "m")
    router = routed(findings=lambda _: (Finding("turns[0]", spot),))
    told = router.explain(asking(), AGENT, HOUSE)
    assert (told.task, told.target) == ("code", "one/qwen3-coder-30b")
    assert told.targets == ("one/qwen3-coder-30b", "one/llama3.3-70b", "two/qwen3-32b")
    assert 0 < told.confidence <= 1
    assert told.reason == router.plan(asking(), AGENT, HOUSE).reason
    assert told.findings == (Found("secret", "aws-key", "turns[0]", 4, 8),)
    assert len(router.homes) == 0
    assert msgspec.json.decode(msgspec.json.encode(told))["findings"][0]["rule"] == "aws-key"


def test_where_nobody_could_answer_the_explanation_says_why():
    told = routed().explain(asking(), AGENT, ())
    assert (told.task, told.target, told.targets) == ("code", "", ())
    assert told.reason.startswith("no engine is running")
    assert routed().explain(asking(model="nope"), AGENT, HOUSE).reason.startswith("model 'nope' not found")


def test_a_named_model_is_explained_with_the_task_it_would_have_had():
    told = routed().explain(asking(POEM, "llama3.3-70b", tools=()), Caller(), HOUSE)
    assert (told.task, told.target) == ("creative", "one/llama3.3-70b")
    assert told.reason == "llama3.3-70b names it"


# -- others --------------------------------------------------------------------------------------------------------


def test_who_makes_vectors():
    standing = (*HOUSE, Standing("three", "ollama", "up", (Model("nomic-embed-text"),)))
    assert [str(t) for t in routed().embedders("auto", standing).targets] == ["three/nomic-embed-text"]


def test_who_may_answer_a_question_of_which_only_the_name_is_known():
    router = routed(Routing(rules=(Rule(("two/qwen3-32b",), When(request_class="batch")),)))
    assert [str(t) for t in router.answerers("claude-opus-5", CLOUD)] == [
        *("two/qwen3-32b", "one/llama3.3-70b", "one/qwen3-coder-30b")
    ]
    with pytest.raises(errors.NoTarget):
        router.answerers("nope", HOUSE)


# -- sessions ------------------------------------------------------------------------------------------------------


def test_two_callers_of_one_opening_share_nothing():
    request = Request("m", (Turn("user", (Text("Hi"),)),), tools=(Tool("T"),))
    keys = {
        session_key(request, Caller(key="a")),
        session_key(request, Caller(key="b")),
        session_key(request, Caller(session="s")),
        session_key(request, Caller(session="s", agent="x")),
        session_key(Request("m", request.turns), Caller(session="s")),
        session_key(Request("m", request.turns, user="u", tools=request.tools), Caller()),
        session_key(Request("m", ()), Caller()),
        session_key(Request("m", (), user="u"), Caller()),
    }
    assert len(keys) == 8
    assert not any("Hi" in key for key in keys)


def test_a_user_has_as_many_sessions_as_conversations():
    def opening(*words):
        return Request("m", tuple(Turn("user", (Text(word),)) for word in words), user="app")

    assert session_key(opening("Hi"), Caller()) == session_key(opening("Hi", "more"), Caller())
    assert session_key(opening("Hi"), Caller()) != session_key(opening("Ho"), Caller())


def test_the_opening_is_the_first_text_of_the_user():
    said, hi = Turn("assistant", (Text("Hello"),)), Turn("user", (Text("Hi"),))
    assert session_key(Request("m", (said, hi)), Caller()) == session_key(Request("m", (hi,)), Caller())
    assert session_key(Request("m", (said,)), Caller()) == session_key(Request("m", ()), Caller())


def test_an_auxiliary_request_with_tools_is_beside_the_conversation():
    auxiliary = Caller(session="s", request_class="auxiliary")
    assert session_key(asking(), auxiliary) == f"s/{SIDE}"
    assert session_key(asking(), Caller(session="s")) == f"s/{MAIN}"
