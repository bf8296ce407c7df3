import pytest

from understudy.language.errors import EngineBusy, NoTarget
from understudy.language.target import Model, Standing
from understudy.routing.rules import ALIAS, NAMES_SHOWN, alias, plan

GB = 2**30
NAMES = {
    "fast": "small",
    "gpt-[34]*": "qwen-coder:30b",
    "claude-haiku-*": "small",
    "claude-*": "auto",
    "auto": "auto",
}


def engine(name, *models, state="up", busy=0, detail=""):
    rows = tuple(Model(m) if isinstance(m, str) else m for m in models)
    return Standing(name, "ollama", state, rows, busy, detail)


HERE = (
    engine("one", Model("general", size=40 * GB), Model("small", size=GB)),
    engine("two", Model("qwen-coder:30b", size=18 * GB), "claude-distill", "llama:latest"),
)
FOUND = {  # asked: target, why
    "small": ("one/small", "small names it"),
    "one/small": ("one/small", "one/small names it"),
    "claude-distill": ("two/claude-distill", "claude-distill names it"),
    "two/claude-distill": ("two/claude-distill", "two/claude-distill names it"),
    "fast": ("one/small", "fast stands for small"),
    "gpt-4": ("two/qwen-coder:30b", "gpt-4 stands for qwen-coder:30b"),
    "claude-haiku-4-5": ("one/small", "claude-haiku-4-5 stands for small"),
    "claude-sonnet-4-5": ("two/qwen-coder:30b", "claude-sonnet-4-5 takes the best model here"),
    "auto": ("two/qwen-coder:30b", "auto takes the best model here"),
    ALIAS + "small": ("one/small", "claude-local-small stands for small"),
    ALIAS + "qwen-coder:30b": ("two/qwen-coder:30b", "claude-local-qwen-coder:30b stands for qwen-coder:30b"),
    "llama": ("two/llama:latest", "llama names it"),
    "two/llama": ("two/llama:latest", "two/llama names it"),
    "llama:latest": ("two/llama:latest", "llama:latest names it"),
    "small:latest": ("one/small", "small:latest stands for small"),
}


@pytest.mark.parametrize(("asked", "target", "why"), [(k, *v) for k, v in FOUND.items()])
def test_a_name_leads_to_its_target(asked, target, why):
    made = plan(asked, HERE, NAMES)
    assert str(made.targets[0]) == target
    assert made.reason == why


@pytest.mark.parametrize(
    "asked", ["gpt-5", "Small", "", "one/", "nobody/small", ALIAS, ALIAS + "nothing", "sm*"]
)
def test_an_unknown_name_names_the_models_there_are(asked):
    with pytest.raises(NoTarget) as caught:
        plan(asked, HERE, NAMES)
    assert repr(asked) in caught.value.message
    assert "general, small, qwen-coder:30b, claude-distill, llama:latest, or auto" in caught.value.message


def test_a_setting_that_leads_nowhere_is_named():
    with pytest.raises(NoTarget, match=r"'x' not found \(it stands for 'gone' in \[models\]\)"):
        plan("x", HERE, {"x": "gone"})


def test_many_models_are_not_all_listed():
    many = engine("e", *(f"m{i:02}" for i in range(NAMES_SHOWN + 3)))
    with pytest.raises(NoTarget, match="m19 and 3 more, or auto"):
        plan("x", (many,), {})


DOWN = {  # engines, asked: what is said
    "no engine": ((), "auto", "no engine is running"),
    "all down": ((engine("a", "m", state="down", detail="refused"),), "m", "a is down: refused"),
    "loading": ((engine("a", state="starting"),), "m", "a is starting"),
    "up, but empty": ((engine("a", detail="it serves no model"),), "m", "a is up: it serves no model"),
    "its engine": ((engine("a", "m", state="down"), engine("b", "n")), "m", "now: a is down"),
    "both": (
        (engine("a", "m", state="down"), engine("b", "m", state="starting")),
        "m",
        "a is down; b is starting",
    ),
}


@pytest.mark.parametrize(("standing", "asked", "said"), DOWN.values(), ids=DOWN)
def test_nobody_up_is_busy_and_says_who(standing, asked, said):
    with pytest.raises(EngineBusy) as caught:
        plan(asked, standing, {})
    assert said in caught.value.message
    assert caught.value.retry_after == 5
    assert "b is up" not in caught.value.message


def order(*standing, asked="auto"):
    return [str(target) for target in plan(asked, standing, {}).targets]


def test_auto_prefers_coders_then_size():
    rows = engine(
        "e", Model("g1", size=1), Model("g9", size=9), Model("x-Coder", size=2), Model("devstral", size=3)
    )
    assert order(rows) == ["e/devstral", "e/x-Coder", "e/g9", "e/g1"]


def test_auto_takes_what_cannot_call_tools_or_chat_last():
    rows = engine(
        "e",
        Model("nomic-embed-text", size=99),
        Model("bge-m3", size=98),
        Model("minilike", size=97, lacks=("chat",)),
        Model("codellama", size=50, lacks=("tools",)),
        Model("plain", size=1),
        Model("sees-nothing-coder", size=1, lacks=("images", "thinking")),
    )
    assert order(rows) == [
        "e/sees-nothing-coder",
        "e/plain",
        "e/codellama",
        "e/nomic-embed-text",
        "e/bge-m3",
        "e/minilike",
    ]


def test_ties_go_in_the_order_of_preference():
    assert order(engine("b", "m", "n"), engine("a", "m")) == ["b/m", "b/n", "a/m"]


def test_auto_leaves_out_what_is_down():
    assert order(engine("a", Model("coder", size=9), state="down"), engine("b", "m")) == ["b/m"]


def test_of_two_engines_with_a_model_the_idle_one_is_first():
    busy, idle = engine("a", "m", busy=2), engine("b", "m", busy=1)
    assert order(busy, idle, asked="m") == ["b/m", "a/m"]
    assert order(engine("a", "m"), engine("b", "m"), asked="m") == ["a/m", "b/m"]
    assert order(busy, idle, asked="a/m") == ["a/m"]


def test_exact_names_come_before_patterns_and_patterns_in_order():
    names = {"g*": "small", "gpt*": "general", "gpt": "auto"}
    assert str(plan("gpt", HERE, names).targets[0]) == "two/qwen-coder:30b"
    assert str(plan("gpt-x", HERE, names).targets[0]) == "one/small"


@pytest.mark.parametrize(
    ("model", "shown"),
    [("qwen", ALIAS + "qwen"), ("my-Claude", "my-Claude"), ("anthropic/x", "anthropic/x"), ("", ALIAS)],
)
def test_the_alias_is_what_discovery_keeps(model, shown):
    assert alias(model) == shown


def test_vectors_are_made_by_models_that_make_them():
    rows = [engine("one", Model("coder")), engine("two", Model("nomic-embed-text"), Model("bge-m3"))]
    assert [str(t) for t in plan("auto", rows, {}, embeds=True).targets] == [
        "two/nomic-embed-text",
        "two/bge-m3",
    ]
    said = [engine("one", Model("coder")), engine("two", Model("plain", lacks=("chat",)))]
    assert [str(t) for t in plan("auto", said, {}, embeds=True).targets] == ["two/plain"]
    assert [str(t) for t in plan("coder", rows, {}, embeds=True).targets] == ["one/coder"], (
        "what is named is asked"
    )
    with pytest.raises(NoTarget, match="no embedding model"):
        plan("auto", rows[:1], {}, embeds=True)
    with pytest.raises(EngineBusy):
        plan("auto", [], {}, embeds=True)
