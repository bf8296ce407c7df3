"""Who answers what: a table of requests, engines and settings, and what holds for all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.language.errors import EngineBusy, KeptHere, NoTarget
from understudy.language.routes import TASKS, Routing, Rule, When
from understudy.language.target import Model, Standing
from understudy.routing.features import Features
from understudy.routing.privacy import Verdict
from understudy.routing.rules import TARGETS, choose
from understudy.routing.tasks import Guess

GB = 10**9
NAMES = {"claude-*": "auto", "auto": "auto", "fast": "llama3.1:8b"}
LEAVES = Verdict(leaves=True, redacted=False, why="nothing private was found")
STAYS = Verdict(leaves=False, redacted=False, why="kept here: 1 e-mail")


def engine(name, *models, state="up", busy=0, local=True, lacks=()):
    rows = tuple(Model(m) if isinstance(m, str) else m for m in models)
    return Standing(name, "vllm", state, rows, busy, local=local, lacks=lacks)


HERE = engine(
    "e",
    "llama3.1:8b",
    "llama3.3:70b",
    "qwen3:32b",
    "qwen2.5-coder:32b",
    "deepseek-coder-v2:16b",
    "mistral-large:123b",
    "nomic-embed-text",
)
CLOUD = engine("cloud", "claude-opus-9", "claude-haiku-9", local=False)


def guessed(task):
    return Guess(task, 0.93, "table", f"it reads like {task} (93%)")


def made(task="code", *standing, settings=None, names=NAMES, verdict=STAYS, model="auto", **features):
    return choose(
        Features(model, **features),
        settings or Routing(),
        standing or (HERE,),
        names,
        guess=lambda: guessed(task),
        may_leave=lambda: verdict,
    )


def order(choice):
    return [str(one.target) for one in choice.found]


BUILT_IN = {
    "code": ("e/qwen2.5-coder:32b", "a coder model"),
    "math": ("e/mistral-large:123b", "the largest model"),
    "reasoning": ("e/mistral-large:123b", "the largest model"),
    "docs": ("e/llama3.3:70b", "a llama model"),
    "general": ("e/llama3.3:70b", "a llama model"),
    "creative": ("e/qwen3:32b", "a qwen model"),
    "translation": ("e/qwen3:32b", "a qwen model"),
    "chinese": ("e/qwen3:32b", "a qwen model"),
}


@pytest.mark.parametrize(("task", "first"), BUILT_IN.items(), ids=BUILT_IN)
def test_a_task_has_its_targets_without_any_settings(task, first):
    choice = made(task)
    assert order(choice)[0] == first[0]
    assert choice.reason == f"auto: it reads like {task} (93%); {first[1]}"
    assert (choice.by, choice.guess) == ("task", guessed(task))


def test_every_task_has_targets():
    assert set(TARGETS) == set(BUILT_IN) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_everybody_who_can_answer_is_in_the_plan_once(task):
    found = order(made(task))
    assert sorted(found) == sorted(f"e/{model.id}" for model in HERE.models)
    assert found[-1] == "e/nomic-embed-text", "what cannot chat is the last resort"


def rules(*rows):
    return Routing(rules=tuple(Rule(targets, When(**when)) for targets, when in rows))


SETTINGS = {  # settings, task, features: first target, reason
    "a task's own targets": (
        Routing(tasks={"code": ("deepseek", "coder")}),
        {},
        "e/deepseek-coder-v2:16b",
        "it reads like code (93%); a deepseek model",
    ),
    "a missing one is said": (
        Routing(tasks={"code": ("gpt-oss:20b", "*nemo*", "yi", "qwen3:32b")}),
        {},
        "e/qwen3:32b",
        "it reads like code (93%); no gpt-oss:20b here; no *nemo* here; no yi here; qwen3:32b",
    ),
    "none of them is here": (
        Routing(tasks={"code": ("gpt-oss:20b",)}),
        {},
        "e/qwen2.5-coder:32b",
        "it reads like code (93%); no gpt-oss:20b here; the best model here",
    ),
    "none of them, and another task": (
        Routing(tasks={"docs": ("gpt-oss:20b",)}),
        {"task": "docs"},
        "e/mistral-large:123b",
        "it reads like docs (93%); no gpt-oss:20b here; the best model here",
    ),
    "a glob": (Routing(tasks={"code": ("llama3.1*",)}), {}, "e/llama3.1:8b", "one like llama3.1*"),
    "the first rule that holds": (
        rules(
            (("qwen3:32b",), {"images": True}),
            (("llama3.1:8b",), {"tokens_over": 1000}),
            (("llama3.3:70b",), {}),
        ),
        {"tokens": 1001},
        "e/llama3.1:8b",
        "auto: rule 2 of the settings; llama3.1:8b",
    ),
    "a rule that does not hold": (
        rules((("llama3.1:8b",), {"tokens_over": 1000})),
        {"tokens": 1000},
        "e/qwen2.5-coder:32b",
        "it reads like code",
    ),
    "behind a rule stands the task": (
        rules((("gpt-oss:20b",), {})),
        {},
        "e/qwen2.5-coder:32b",
        "rule 1 of the settings; no gpt-oss:20b here; a coder model",
    ),
    "a rule that leaves it to the task": (
        rules((("task",), {"agent": True})),
        {"agent": True, "task": "docs"},
        "e/llama3.3:70b",
        "rule 1 of the settings; a llama model",
    ),
    "the settings' own task in a rule": (
        Routing(tasks={"docs": ("qwen3:32b",)}, rules=(Rule(("task",)),)),
        {"task": "docs"},
        "e/qwen3:32b",
        "rule 1 of the settings; qwen3:32b",
    ),
    "background": (
        rules((("llama3.1:8b",), {"background": True})),
        {"background": True},
        "e/llama3.1:8b",
        "rule 1",
    ),
    "a coding agent explains": (
        Routing(),
        {"agent": True, "task": "docs"},
        "e/qwen2.5-coder:32b",
        "it reads like docs (93%), and a coding agent asks; a coder model",
    ),
    "a coding agent asks for a poem": (
        Routing(),
        {"agent": True, "task": "creative"},
        "e/qwen3:32b",
        "it reads like creative (93%); a qwen model",
    ),
    "claude is wished for and not there": (
        Routing(tasks={"code": ("claude", "coder")}),
        {},
        "e/qwen2.5-coder:32b",
        "it reads like code (93%); a coder model",
    ),
    "a rule wishes for claude": (
        rules((("claude",), {})),
        {},
        "e/qwen2.5-coder:32b",
        "rule 1 of the settings; no claude here; a coder model",
    ),
}


@pytest.mark.parametrize(("settings", "features", "first", "reason"), SETTINGS.values(), ids=SETTINGS)
def test_rules_of_the_settings(settings, features, first, reason):
    choice = made(features.pop("task", "code"), settings=settings, **features)
    assert order(choice)[0] == first
    assert reason in choice.reason


def test_without_the_family_the_best_answers():
    small = engine("e", "phi4:14b", "gemma2:27b")
    choice = made("code", small)
    assert order(choice) == ["e/gemma2:27b", "e/phi4:14b"]
    assert choice.reason == "auto: it reads like code (93%); no coder here; the best model here"


def test_one_model_is_the_only_one():
    assert made("code", engine("e", "phi4")).reason.endswith("; the only model here")


def test_a_model_on_an_engine_that_is_down():
    choice = made("code", engine("a", "phi4", "gemma2"), engine("b", "starcoder2", state="down"))
    assert "coder is down; the best model here" in choice.reason


# -- what a target cannot do --------------------------------------------------------------------------------------

CANNOT = {  # models, features: order, reason
    "tools": (
        (Model("codellama:70b", lacks=("tools",)), "phi4:14b"),
        {"tools": True},
        ["phi4:14b", "codellama:70b"],
        "e/codellama:70b cannot call tools",
    ),
    "another coder has tools": (
        (Model("codellama:70b", lacks=("tools",)), "phi4:14b", "qwen2.5-coder:7b"),
        {"tools": True},
        ["qwen2.5-coder:7b", "phi4:14b", "codellama:70b"],
        "a coder model",
    ),
    "no tools are needed": (
        (Model("codellama:70b", lacks=("tools",)), "phi4"),
        {},
        ["codellama:70b", "phi4"],
        "a coder model",
    ),
    "window": (
        (Model("starcoder2:15b", 4096), Model("phi4", 32768), "unknown"),
        {"tokens": 3 * 4097},
        ["phi4", "unknown", "starcoder2:15b"],
        "e/starcoder2:15b has too small a window",
    ),
    "a window that may hold it": (
        (Model("starcoder2:15b", 4096), Model("phi4", 32768)),
        {"tokens": 3 * 4096},
        ["starcoder2:15b", "phi4"],
        "a coder model",
    ),
    "pictures": (
        (Model("starcoder2", lacks=("images",)), "phi4", "llava:7b"),
        {"images": True},
        ["llava:7b", "phi4", "starcoder2"],
        "e/starcoder2 cannot see pictures",
    ),
    "pictures and tools": (
        (Model("devstral", lacks=("images",)), "qwen-coder", "llava:7b"),
        {"images": True, "tools": True},
        ["qwen-coder", "llava:7b", "devstral"],
        "a coder model",
    ),
    "talk": (
        ("code-embed", "phi4"),
        {},
        ["phi4", "code-embed"],
        "e/code-embed holds no conversations",
    ),
}


@pytest.mark.parametrize(("models", "features", "expected", "reason"), CANNOT.values(), ids=CANNOT)
def test_what_a_target_cannot_do_sets_it_behind(models, features, expected, reason):
    choice = made("code", engine("e", *models), **features)
    assert order(choice) == [f"e/{name}" for name in expected]
    assert choice.reason.endswith(f"; {reason}")


def test_an_engine_may_lack_what_its_models_have():
    choice = made("code", engine("a", "starcoder2", lacks=("tools",)), engine("b", "phi4"), tools=True)
    assert order(choice) == ["b/phi4", "a/starcoder2"]


def test_of_two_engines_the_idle_one_is_first():
    busy, idle = engine("a", "m", busy=2), engine("b", "m", busy=1)
    assert order(made("code", busy, idle)) == ["b/m", "a/m"]
    assert order(made("code", busy, idle, model="m")) == ["b/m", "a/m"]
    assert order(made("code", engine("a", "m"), engine("b", "m"))) == ["a/m", "b/m"]


# -- names --------------------------------------------------------------------------------------------------------


def test_a_named_model_is_what_was_asked():
    asked = []
    choice = choose(
        Features("fast", agent=True, tools=True),
        rules((("coder",), {})),
        (HERE,),
        NAMES,
        guess=lambda: asked.append(1),
        may_leave=lambda: asked.append(2),
    )
    assert order(choice) == ["e/llama3.1:8b"]
    assert (choice.reason, choice.by, choice.guess) == ("fast stands for llama3.1:8b", "name", None)
    assert asked == [], "nobody looks at the text, and nothing would leave"
    with pytest.raises(NoTarget):
        made(model="nope")


@pytest.mark.parametrize("model", ["auto", "claude-sonnet-9", "claude-opus-9"])
def test_claudes_names_go_by_task(model):
    choice = made("docs", HERE, CLOUD, model=model)
    assert order(choice)[0] == "e/llama3.3:70b"
    assert choice.reason.startswith(f"{model}: it reads like docs")


# -- outside the house --------------------------------------------------------------------------------------------


def test_where_nothing_may_leave_nothing_outside_is_in_the_plan():
    choice = made("reasoning", HERE, CLOUD)
    assert not any(name.startswith("cloud/") for name in order(choice))
    assert choice.reason.endswith("; Claude stays out (kept here: 1 e-mail); the largest model")
    assert choice.shut == {"cloud/claude-opus-9", "cloud/claude-haiku-9"}


def test_where_it_may_leave_reasoning_goes_to_claude_and_all_else_to_it_last():
    choice = made("reasoning", HERE, CLOUD, verdict=LEAVES, model="claude-haiku-9")
    assert order(choice)[:2] == ["cloud/claude-haiku-9", "e/mistral-large:123b"]
    assert choice.reason == "claude-haiku-9: it reads like reasoning (93%); Claude"
    assert choice.shut == frozenset()
    code = order(made("code", HERE, CLOUD, verdict=LEAVES))
    assert code[0] == "e/qwen2.5-coder:32b"
    assert [name for name in code if name.startswith("cloud/")] == ["cloud/claude-opus-9"]


def test_the_last_in_the_house_comes_before_the_first_outside():
    found = order(made("code", engine("e", "phi4"), CLOUD, verdict=LEAVES))
    assert found == ["e/phi4", "cloud/claude-opus-9"]


def test_who_names_it_in_full_means_it_if_it_may():
    assert order(made("code", HERE, CLOUD, verdict=LEAVES, model="cloud/claude-opus-9")) == [
        "cloud/claude-opus-9"
    ]
    with pytest.raises(
        KeptHere, match=r"only cloud/claude-opus-9 could answer, outside the house. kept here: 1 e-mail"
    ):
        made("code", HERE, CLOUD, model="cloud/claude-opus-9")


def test_a_name_in_and_outside_the_house():
    both = engine("far", "m", local=False), engine("near", "m", busy=9)
    assert order(made("code", *both, verdict=LEAVES, model="m")) == ["near/m", "far/m"]
    kept = made("code", *both, model="m")
    assert (order(kept), kept.shut) == (["near/m"], {"far/m"})


def test_only_outside_is_up():
    with pytest.raises(KeptHere):
        made("code", CLOUD)
    with pytest.raises(EngineBusy, match="e is down"):
        made("code", CLOUD, engine("e", "m", state="down"))
    with pytest.raises(EngineBusy):
        made("code", engine("e", "m", state="down"))


# -- whatever there is --------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["qwen", "llama", "coder", "phi", "embed", "vl", "claude"])
MODELS = st.builds(
    lambda word, size, window, lacks: Model(f"{word}:{size}b", window, lacks=tuple(sorted(lacks))),
    WORDS,
    st.integers(1, 99),
    st.sampled_from([0, 2048, 131072]),
    st.sets(st.sampled_from(["tools", "images", "thinking"])),
)
ENGINES = st.lists(
    st.tuples(
        st.lists(MODELS, max_size=3),
        st.sampled_from(["up", "up", "down", "starting"]),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=4,
)
FLAGS = {
    name: st.booleans()
    for name in ("background", "subagent", "agent", "images", "tools", "thinking", "tool_loop")
}
PATTERNS = st.lists(
    st.sampled_from(["qwen", "claude", "largest", "*l*", "nowhere", "task", "coder"]), min_size=1
)
RULES = st.lists(
    st.builds(lambda p, flag: Rule(tuple(p), When(tools=flag)), PATTERNS, st.sampled_from([None, True]))
)


@given(
    ENGINES,
    st.sampled_from(TASKS),
    st.booleans(),
    RULES,
    st.builds(Features, st.sampled_from(["auto", "claude-x"]), st.integers(0, 10**5), **FLAGS),
)
def test_whatever_there_is(rows, task, leaves, own, features):
    standing = tuple(
        Standing(f"e{n}", "vllm", state, tuple(models), busy, local=local)
        for n, (models, state, local, busy) in enumerate(rows)
    )
    up = {
        f"{row.engine}/{model.id}": row.local for row in standing for model in row.models if row.state == "up"
    }
    verdict = LEAVES if leaves else STAYS
    try:
        choice = choose(
            features,
            Routing(rules=tuple(own)),
            standing,
            NAMES,
            guess=lambda: guessed(task),
            may_leave=lambda: verdict,
        )
    except (EngineBusy, KeptHere):
        assert not any(up.values()), "something in the house is up"
        assert not up or not leaves
        return
    found = order(choice)
    assert len(found) == len(set(found))
    assert {name for name, local in up.items() if local} <= set(found) <= set(up)
    assert leaves or all(up[name] for name in found), "nothing leaves"
    if features.tools:
        cannot = ["tools" in one.lacks for one in choice.found if "embed" not in one.target.model.id]
        assert cannot == sorted(cannot)
    assert choice.reason.startswith(f"{features.model}: ")
