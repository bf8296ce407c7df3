import pytest

from understudy.language.request import Prompt, Request, Sampling, Text, Tool, Turn
from understudy.language.routes import TASKS, Parameters
from understudy.routing.parameters import PARAMETERS, filled

PLAIN = Request("m", (Turn("user", (Text("Hi"),)),))
GIVEN = Sampling(temperature=0.7, top_p=0.5, repeat_penalty=1.3, seed=1, stop=("x",))


def drawn(request=PLAIN, task="code", own=None, sampling=None, **more):
    found = filled(
        Request(request.model, request.turns, sampling=sampling or Sampling(), **more), task, own or {}
    )
    return found.sampling.temperature, found.sampling.top_p, found.sampling.repeat_penalty


ROWS = {"code": (0.1, 0.9, 1.1), "creative": (0.8, 0.95, 1.0), "translation": (0.3, 0.9, 1.05)}


@pytest.mark.parametrize("task", ["", *TASKS])
def test_a_task_has_its_parameters(task):
    assert drawn(task=task) == ROWS.get(task, (None, None, None))


def test_the_table_is_what_is_tested():
    assert {task: (p.temperature, p.top_p, p.repeat_penalty) for task, p in PARAMETERS.items()} == ROWS


SAID = {  # what the client says: what is drawn
    "all": (GIVEN, (0.7, 0.5, 1.3)),
    "temperature": (Sampling(temperature=0.7), (0.7, 0.9, 1.1)),
    "nothing hot": (Sampling(temperature=0.0), (0.0, 0.9, 1.1)),
    "top_p": (Sampling(top_p=1.0), (0.1, 1.0, 1.1)),
    "repeat": (Sampling(repeat_penalty=1.0), (0.1, 0.9, 1.0)),
    "frequency": (Sampling(frequency_penalty=0.0), (0.1, 0.9, None)),
    "presence": (Sampling(presence_penalty=0.5), (0.1, 0.9, None)),
}


@pytest.mark.parametrize(("sampling", "expected"), SAID.values(), ids=SAID)
def test_never_over_what_the_client_says(sampling, expected):
    assert drawn(sampling=sampling) == expected


def test_nothing_else_is_touched():
    found = filled(Request("m", (), sampling=Sampling(max_tokens=5, seed=1, stop=("x",))), "code", {})
    assert found.sampling == Sampling(5, 0.1, 0.9, seed=1, stop=("x",), repeat_penalty=1.1)


def test_calls_repeat_what_stands_in_the_prompt():
    assert drawn(tools=(Tool("Edit"),)) == (0.1, 0.9, None)
    assert drawn(tools=(Tool("Edit"),), sampling=Sampling(repeat_penalty=1.2)) == (0.1, 0.9, 1.2)


def test_raw_text_is_left_alone():
    request = Request("m", (), prompt=Prompt("def f("))
    assert filled(request, "code", {}) is request


def test_the_settings_come_first_and_may_say_nothing():
    own = {"code": Parameters(temperature=0.5), "docs": Parameters(top_p=0.8), "creative": Parameters()}
    assert drawn(own=own) == (0.5, None, None)
    assert drawn(task="docs", own=own) == (None, 0.8, None)
    assert drawn(task="creative", own=own) == (None, None, None)
    assert drawn(task="translation", own=own) == ROWS["translation"]
