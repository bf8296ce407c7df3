import pytest

from understudy.language.errors import EngineBusy, KeptHere, NoTarget
from understudy.language.target import Model, Standing
from understudy.routing import names
from understudy.routing.names import ALIAS, NAMES_SHOWN, alias, meant, plan
from understudy.routing.targets import candidates, looks

GB = 2**30
NAMES = {
    "fast": "small",
    "faster": "fast",
    "gpt-[34]*": "qwen-coder:30b",
    "gpt-5*": "fast",
    "big": "*coder*",
    "claude-haiku-*": "small",
    "claude-*": "auto",
    "auto": "auto",
}


def engine(name, *models, state="up", busy=0, detail="", local=True):
    rows = tuple(Model(m) if isinstance(m, str) else m for m in models)
    return Standing(name, "ollama", state, rows, busy, detail, local=local)


HERE = (
    engine("one", Model("general", size=40 * GB), Model("small", size=GB)),
    engine("two", Model("qwen-coder:30b", size=18 * GB), "claude-distill", "llama:latest"),
    engine("cloud", "claude-opus-9", local=False),
)
FOUND = {  # asked: targets, why
    "small": (["one/small"], "small names it"),
    "one/small": (["one/small"], "one/small names it"),
    "claude-distill": (["two/claude-distill"], "claude-distill names it"),
    "two/claude-distill": (["two/claude-distill"], "two/claude-distill names it"),
    "fast": (["one/small"], "fast stands for small"),
    "faster": (["one/small"], "faster stands for small"),
    "gpt-4": (["two/qwen-coder:30b"], "gpt-4 stands for qwen-coder:30b"),
    "gpt-5.1": (["one/small"], "gpt-5.1 stands for small"),
    "big": (["two/qwen-coder:30b"], "big stands for *coder*"),
    "claude-haiku-4-5": (["one/small"], "claude-haiku-4-5 stands for small"),
    ALIAS + "small": (["one/small"], "claude-local-small stands for small"),
    ALIAS + "qwen-coder:30b": (
        ["two/qwen-coder:30b"],
        "claude-local-qwen-coder:30b stands for qwen-coder:30b",
    ),
    "llama": (["two/llama:latest"], "llama names it"),
    "two/llama": (["two/llama:latest"], "two/llama names it"),
    "llama:latest": (["two/llama:latest"], "llama:latest names it"),
    "small:latest": (["one/small"], "small:latest stands for small"),
    "cloud/claude-opus-9": (["cloud/claude-opus-9"], "cloud/claude-opus-9 names it"),
}


def found(asked, standing=HERE, models=NAMES):
    here = candidates(standing)
    fitting, reason = names.named(asked, meant(asked, models, here), here, standing)
    return [str(one.target) for one in fitting], reason


@pytest.mark.parametrize(("asked", "leads"), FOUND.items(), ids=FOUND)
def test_a_name_leads_to_its_targets(asked, leads):
    assert found(asked) == leads


@pytest.mark.parametrize("asked", ["auto", "claude-sonnet-4-5", "claude-opus-9"])
def test_what_names_nothing_is_for_the_rules(asked):
    """`claude-*` is answered here, although there is a model of that name outside the house."""
    assert meant(asked, NAMES, candidates(HERE)) == "auto"


def test_without_a_pattern_the_names_outside_are_good():
    assert found("claude-opus-9", models={}) == (["cloud/claude-opus-9"], "claude-opus-9 names it")


def test_exact_names_come_before_patterns_and_patterns_in_order():
    models = {"g*": "small", "gpt*": "general", "gpt": "llama"}
    assert found("gpt", models=models)[0] == ["two/llama:latest"]
    assert found("gpt-x", models=models)[0] == ["one/small"]


def test_a_circle_has_an_end():
    """The settings are refused; whoever makes names otherwise must not hang."""
    assert meant("a", {"a": "b", "b": "a"}, ()) == "a"


@pytest.mark.parametrize(
    "asked",
    ["gpt-7", "Small", "", "one/", "nobody/small", ALIAS, ALIAS + "nothing", ALIAS + "*", "sm*", "coder"],
)
def test_an_unknown_name_names_the_models_there_are(asked):
    with pytest.raises(NoTarget) as caught:
        found(asked, HERE[:2])
    assert repr(asked) in caught.value.message
    assert "general, small, qwen-coder:30b, claude-distill, llama:latest, or auto" in caught.value.message


def test_a_setting_that_leads_nowhere_is_named():
    with pytest.raises(NoTarget, match=r"'x' not found \(it stands for 'gone' in \[models\]\)"):
        found("x", models={"x": "gone"})


def test_many_models_are_not_all_listed():
    many = engine("e", *(f"m{i:02}" for i in range(NAMES_SHOWN + 3)))
    with pytest.raises(NoTarget, match="m19 and 3 more, or auto"):
        found("x", (many,), {})


@pytest.mark.parametrize("rows", [(), HERE], ids=["alone", "among others"])
def test_a_held_engine_says_why(rows):
    held = engine("far", state="held", detail="held back", local=False)
    with pytest.raises(KeptHere, match="far is held back"):
        found("far/claude-opus-9", (*rows, held))
    assert found("small", (*HERE, held))[0] == ["one/small"]


def test_a_model_whose_name_begins_like_a_held_engine_is_meant():
    held = engine("far", state="held", local=False)
    assert found("far/m", (engine("near", "far/m"), held))[0] == ["near/far/m"]


@pytest.mark.parametrize(
    ("model", "shown"),
    [("qwen", ALIAS + "qwen"), ("my-Claude", "my-Claude"), ("anthropic/x", "anthropic/x"), ("", ALIAS)],
)
def test_the_alias_is_what_discovery_keeps(model, shown):
    assert alias(model) == shown


# -- vectors ------------------------------------------------------------------------------------------------------

MAKERS = (engine("one", "coder"), engine("two", "nomic-embed-text", "bge-m3"))


@pytest.mark.parametrize(
    ("asked", "targets"),
    [("auto", ["two/nomic-embed-text", "two/bge-m3"]), ("coder", ["one/coder"])],
    ids=["by what it makes", "what is named is asked"],
)
def test_vectors_are_made_by_models_that_make_them(asked, targets):
    assert [str(target) for target in plan(asked, MAKERS, {}).targets] == targets


def test_vectors_are_made_in_the_house_first_and_by_the_idle():
    far, near = engine("far", "text-embedding-9", local=False), engine("near", "nomic-embed", busy=9)
    assert [t.engine for t in plan("auto", (far, near), {}).targets] == ["near", "far"]
    busy, idle = engine("a", "m", busy=2), engine("b", "m", busy=1)
    assert [t.engine for t in plan("m", (busy, idle), {}).targets] == ["b", "a"]
    assert [
        t.engine for t in plan("auto", (engine("a", "e5-x", busy=2), engine("b", "e5-x")), {}).targets
    ] == ["a", "b"]


def test_nobody_makes_vectors():
    with pytest.raises(NoTarget, match="no embedding model"):
        plan("auto", MAKERS[:1], {})
    with pytest.raises(EngineBusy):
        plan("auto", [], {})


def test_another_art_is_found_by_its_own_names():
    seeing = engine("three", "qwen2.5vl:7b")
    assert [str(t) for t in plan("auto", (*MAKERS, seeing), {}, looks, "none").targets] == [
        "three/qwen2.5vl:7b"
    ]
    with pytest.raises(NoTarget, match="nobody sees"):
        plan("auto", MAKERS, {}, looks, "nobody sees")


# -- nobody -------------------------------------------------------------------------------------------------------

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
