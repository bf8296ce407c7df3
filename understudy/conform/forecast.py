"""What a run will about need: the checks are made against the ideal server, and what they asked of it is added up."""

from collections.abc import Iterable

from msgspec import Struct

from understudy.conform.answer import OK, decoded, heard
from understudy.conform.exchange import COUNT, Ask, Check, Reply, Scene, Trial
from understudy.conform.ideal import MODEL, Ideal
from understudy.conform.values import number

USUAL_WINDOW = 65536
"""Tokens that are reckoned with where no window is told."""


class Need(Struct):
    """About how much.

    Attributes:
        prompt: tokens of prompts that are answered; what is refused as too long is not read.
        answer: tokens of answers, at most.
        bytes: of the largest question.
    """

    requests: int = 0
    prompt: int = 0
    answer: int = 0
    bytes: int = 0


def forecast(checks: Iterable[Check], scene: Scene) -> Need:
    """What these checks need in this scene."""
    window = scene.window or USUAL_WINDOW
    ideal, need, known = Ideal(window), Need(), dict[Ask, Reply]()
    playing = Scene(
        MODEL, (MODEL,), window, scene.salt, scene.session, scene.keyed, scene.bad_key, scene.max_bytes
    )
    for check in checks:
        trial = Trial(check, playing)
        while trial.asks:
            for ask in trial.asks:
                if ask not in known:
                    known[ask] = ideal(ask)
                    _add(need, ask, known[ask])
            trial.tell([known[ask] for ask in trial.asks])
    return need


def _add(need: Need, ask: Ask, reply: Reply) -> None:
    need.requests += 1
    need.bytes = max(need.bytes, len(ask.body))
    if ask.method != "POST" or ask.path == COUNT or reply.status != OK:
        return
    if ask.leave_after:
        return
    need.prompt += heard(reply).usage.prompt
    need.answer += number(decoded(ask.body), "max_tokens") or 0
