"""What settings may say of routing, and what is refused of it."""

import msgspec
import pytest

from understudy.language.routes import TASKS, Parameters, Routing, Rule, When


def read(text):
    return msgspec.toml.decode(text, type=Routing)


def test_nothing_said_is_the_built_in_way():
    assert read("") == Routing()
    assert (Routing().sure, Routing().stay, Routing().come_back) == (0.4, True, False)
    assert (Routing().tasks, Routing().rules, Routing().parameters) == ({}, (), {})


def test_everything_said():
    found = read(
        """
        sure = 0.7
        stay = false
        [tasks]
        code = ["*coder*", "largest"]
        [[rules]]
        when = {background = true, tokens_over = 0, model = "claude-haiku-*"}
        targets = ["small"]
        [[rules]]
        targets = ["task"]
        [parameters.creative]
        temperature = 0.9
        """
    )
    assert found == Routing(
        0.7,
        stay=False,
        tasks={"code": ("*coder*", "largest")},
        rules=(
            Rule(("small",), When(background=True, tokens_over=0, model="claude-haiku-*")),
            Rule(("task",)),
        ),
        parameters={"creative": Parameters(0.9)},
    )


WRONG = {  # what stands there: where the error says it is
    "tasks = {cooking = ['m']}": "tasks",
    "tasks = {code = []}": "tasks",
    "tasks = {code = ['']}": "tasks",
    "rules = [{targets = []}]": "rules[0].targets",
    "rules = [{when = {tools = true}}]": "rules[0]",
    "rules = [{targets = ['m'], when = {tool = true}}]": "rules[0].when",
    "rules = [{targets = ['m'], when = {tasks = ['cooking']}}]": "rules[0].when.tasks[0]",
    "rules = [{targets = ['m'], when = {request_class = 'other'}}]": "rules[0].when.request_class",
    "rules = [{targets = ['m'], when = {tokens_over = -1}}]": "rules[0].when.tokens_over",
    "parameters = {code = {temperature = 3.0}}": "parameters",
    "parameters = {code = {top_p = 0.0}}": "parameters",
    "parameters = {code = {repeat_penalty = 0.0}}": "parameters",
    "sure = 1.5": "sure",
    "stick = true": "",
}


@pytest.mark.parametrize(("text", "where"), WRONG.items(), ids=WRONG)
def test_what_is_no_setting_is_refused_with_its_place(text, where):
    with pytest.raises(msgspec.ValidationError) as error:
        read(text)
    assert f"$.{where}" in str(error.value) or not where


def test_the_tasks_are_those_of_the_table():
    assert len(TASKS) == len(set(TASKS)) == 8
