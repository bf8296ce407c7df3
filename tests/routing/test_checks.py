import pytest

from understudy.language.routes import Routing, Rule, When
from understudy.language.target import Model, Standing
from understudy.routing.checks import idle, nowhere

CODE, ANY = When(tasks=("code",)), When()
IDLE = {  # conditions of rules in their order: the one that can never hold, and why
    "the same twice": ((CODE, CODE), 1, "rule 1 holds wherever it would"),
    "behind one for all": ((ANY, CODE), 1, "rule 1 holds"),
    "a narrower flag": ((When(images=True), When(images=True, tools=True)), 1, "rule 1 holds"),
    "fewer tasks": ((When(tasks=("code", "math")), CODE), 1, "rule 1 holds"),
    "more tokens": ((When(tokens_over=10), When(tokens_over=20)), 1, "rule 1 holds"),
    "as many tokens": ((When(tokens_over=10), When(tokens_over=10)), 1, "rule 1 holds"),
    "the same class": (
        (When(request_class="main"), When(request_class="main", tools=True)),
        1,
        "rule 1 holds",
    ),
    "the same key": ((When(key="k"), When(key="k", tools=True)), 1, "rule 1 holds"),
    "a model of a pattern": ((When(model="claude-*"), When(model="claude-opus")), 1, "rule 1 holds"),
    "any model": ((When(model="*"), When(model="gpt-*")), 1, "rule 1 holds"),
    "the second of three": ((CODE, When(images=True), When(images=True, agent=False)), 2, "rule 2 holds"),
    "a class that says otherwise": (
        (When(request_class="auxiliary", background=False),),
        0,
        "request_class 'auxiliary' means background",
    ),
    "a sub-agent that is none": ((When(request_class="subagent", subagent=False),), 0, "means subagent"),
    "a key that nobody has": ((When(key="12345678"),), 0, "no key is called '12345678'"),
}
FINE = {
    "another task": (CODE, When(tasks=("math",))),
    "more tasks": (CODE, When(tasks=("code", "math"))),
    "any task": (CODE, ANY),
    "another flag": (When(images=True), When(images=False)),
    "any flag": (When(images=True), When(tools=True)),
    "fewer tokens": (When(tokens_over=20), When(tokens_over=10)),
    "any length": (When(tokens_over=20), CODE),
    "another class": (When(request_class="main"), When(request_class="batch")),
    "any class": (When(request_class="main"), CODE),
    "another key": (When(key="k"), When(key="l")),
    "another model": (When(model="claude-*"), When(model="gpt-4")),
    "a wider pattern": (When(model="claude-o*"), When(model="claude-*")),
    "any model": (When(model="claude-*"), CODE),
    "a class as it is": (When(request_class="auxiliary", background=True),),
    "a class of no flag": (When(request_class="main", background=False),),
}


def rules(*whens):
    return Routing(rules=tuple(Rule(("coder",), when) for when in whens))


@pytest.mark.parametrize(("whens", "number", "why"), IDLE.values(), ids=IDLE)
def test_a_rule_that_can_never_hold(whens, number, why):
    found = list(idle(rules(*whens), {"k", "l"}))
    assert len(found) == 1
    assert found[0].startswith(f"rule {number + 1} of the settings can never hold: ")
    assert why in found[0]


@pytest.mark.parametrize("whens", FINE.values(), ids=FINE)
def test_a_rule_that_can(whens):
    assert list(idle(rules(*whens), {"k", "l"})) == []


UP = Standing("e", "vllm", "up", (Model("qwen3:8b"), Model("llama3")))
HELD = Standing("claude", "anthropic", "held", local=False)


def test_targets_that_are_nowhere():
    routing = Routing(
        tasks={"code": ("coder", "qwen", "e/qwen4"), "docs": ("llama*", "largest")},
        rules=(Rule(("claude", "task", "nope")), Rule(("e/llama3",))),
    )
    models = {"a": "qwen3:8b", "b": "gone", "c": "b", "auto": "auto", "claude-*": "auto"}
    assert list(nowhere(routing, models, (UP, HELD))) == [
        "routing.tasks.code: 'e/qwen4' is no target here. There are: e/llama3, e/qwen3:8b",
        "rule 1 of the settings: 'nope' is no target here. There are: e/llama3, e/qwen3:8b",
        "models.b: 'gone' is no target here. There are: e/llama3, e/qwen3:8b",
    ]


@pytest.mark.parametrize("state", ["down", "starting"])
def test_while_an_engine_is_not_up_nobody_can_tell(state):
    routing = Routing(tasks={"code": ("nope",)})
    assert list(nowhere(routing, {}, (UP, Standing("f", "vllm", state)))) == []
    assert list(nowhere(routing, {}, ())) == []
    assert len(list(nowhere(routing, {}, (UP,)))) == 1
