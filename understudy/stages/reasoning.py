"""The ways in which models mark their reasoning, and their visible text, as tables. `thinking` reads them off a stream."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from understudy.stages.syntax import Lazy, models


class Tag(Struct, frozen=True):
    """How one family of models marks its reasoning.

    Attributes:
        opener, closer: what stands around it.
        ends: what also ends it, and belongs to what follows: the closer was forgotten.
        again: a token of the model's own, that nobody writes into prose: once it was seen, it counts anywhere.
        spoken: the opener is a sentence, and said, too.
        names: the models that mean it so; None: all.
    """

    opener: str
    closer: str
    ends: tuple[str, ...] = ()
    again: bool = False
    spoken: bool = False
    names: Lazy | None = None


class Wrapping(Struct, frozen=True):
    """What some models put around their visible text. It is left out.

    Attributes:
        opener, closer: what stands around the text.
        after: only where reasoning came before.
    """

    opener: str
    closer: str
    after: bool = False


_ACTION: Final = ("<|START_RESPONSE|>", "<|START_TEXT|>", "<|START_ACTION|>")
_XTML: Final = ("<|open|>response<|sep|>", "<|open|>tools<|sep|>")

TAGS: Final = (
    Tag("<think>", "</think>"),
    Tag("<thinking>", "</thinking>"),
    Tag("<reasoning>", "</reasoning>"),
    Tag("<thought>", "</thought>"),
    Tag("[THINK]", "[/THINK]"),
    Tag("<seed:think>", "</seed:think>"),
    Tag("<mm:think>", "</mm:think>", again=True),
    Tag("<longcat_think>", "</longcat_think>"),
    Tag("<|channel>thought", "<channel|>", again=True),
    Tag("<|START_THINKING|>", "<|END_THINKING|>", ends=_ACTION, again=True),
    Tag("<|inner_prefix|>", "<|inner_suffix|>", again=True),
    Tag("<|open|>think<|sep|>", "<|close|>think<|sep|>", ends=_XTML, again=True),
    Tag("<|message_model|><|content_thinking|>", "<|end_message|>"),
    Tag("<|think:start|>", "<|think:end|>"),
    Tag("<|begin_of_thought|>", "<|end_of_thought|>"),
    Tag("<ifm|think>", "</ifm|think>"),
    Tag("<ifm|think_fast>", "</ifm|think_fast>"),
    Tag("<ifm|think_faster>", "</ifm|think_faster>"),
    Tag("◁think▷", "◁/think▷"),
    Tag("[unused16]", "[unused17]"),
    Tag("<unused94>thought", "<unused95>"),
    Tag("Here is my thought process:", "Here is my response:", names=models("granite")),
    Tag("Here's my thought process:", "Here's my response:", names=models("granite")),
    Tag("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", spoken=True, names=models("apriel")),
)

WRAPPINGS: Final = (
    Wrapping("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    Wrapping("<|START_TEXT|>", "<|END_TEXT|>"),
    Wrapping("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
    Wrapping("<|message_model|><|content_text|>", "<|end_message|>"),
    Wrapping("<|begin_of_solution|>", "<|end_of_solution|>"),
    Wrapping(">>>all\n", ""),
    Wrapping("<answer>", "</answer>", after=True),
    Wrapping("<response>", "</response>", after=True),
)

STRAYS: Final = (
    '<|open|>message role="assistant"<|sep|>',
    "<|close|>message<|sep|>",
    "<|end_of_msg|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|content_model_end_sampling|>",
)
"""What may stand around all that, and is left out, too."""

HEADERS: Final = ("<|start|>assistant", ">>>")
"""What a prompt may end with besides."""


@lru_cache(maxsize=64)
def tags_for(model_name: str) -> tuple[Tag, ...]:
    """The tags that count in this model."""
    return tuple(tag for tag in TAGS if tag.names is None or tag.names.search(model_name))


def opened(template_end: str, tags: Iterable[Tag]) -> str:
    """The opening tag that is the last thing a template writes; empty if that is something else."""
    openers = "|".join(re.escape(tag.opener) for tag in tags)
    found = re.search(rf"({openers})(?:\\n|\n)?\s*['\"]?\s*(?:[-+]?[}}%]\}}|$)", template_end)
    return found[1] + "\n" if found else ""


def begun(prompt_end: str, tags: Iterable[Tag]) -> str:
    """The end of a prompt from the first mark on: what it has written of the answer."""
    marks = [mark for tag in tags for mark in (tag.opener, tag.closer)]
    marks += [*(wrapping.opener.rstrip() for wrapping in WRAPPINGS), *STRAYS, *HEADERS]
    found = re.search("|".join(map(re.escape, marks)), prompt_end)
    return prompt_end[found.start() :] if found else ""
