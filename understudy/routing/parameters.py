"""How tokens are drawn for a task, where the client does not say.

A penalty on repetition is left out where tools are offered: the arguments of a call repeat what stands in the prompt, a file
to be changed say, letter by letter, and a penalty makes them wrong.
"""

from collections.abc import Mapping
from typing import Literal

from understudy.language.request import Request, change
from understudy.language.routes import Parameters, Task

PARAMETERS: dict[Task, Parameters] = {
    "code": Parameters(0.1, 0.9, 1.1),
    "creative": Parameters(0.8, 0.95, 1.0),
    "translation": Parameters(0.3, 0.9, 1.05),
}
"""Of each task where the settings name none; other tasks are left to the engine."""
NONE = Parameters()


def filled(request: Request, task: Task | Literal[""], own: Mapping[Task, Parameters]) -> Request:
    """The request with the parameters of its task; whatever the client said stays, and raw text is left alone.

    Args:
        request: the question.
        task: what it asks for; "" where nobody knows.
        own: `routing.parameters` of the settings.
    """
    wish = (own.get(task) or PARAMETERS.get(task, NONE)) if task else NONE
    if request.prompt is not None or wish == NONE:
        return request
    said = request.sampling
    sampling = change(
        said,
        temperature=wish.temperature if said.temperature is None else said.temperature,
        top_p=wish.top_p if said.top_p is None else said.top_p,
        repeat_penalty=_penalty(request, wish),
    )
    return change(request, sampling=sampling)


def _penalty(request: Request, wish: Parameters) -> float | None:
    """The client's own, or ours where it gave none of any kind and offers no tools."""
    said = request.sampling
    given = (said.repeat_penalty, said.frequency_penalty, said.presence_penalty)
    if request.tools or any(value is not None for value in given):
        return said.repeat_penalty
    return wish.repeat_penalty
