"""What a text asks for, by a trained table.

    guess(asked(request), said=task_type)  ->  Guess("code", 0.93, "table", "it reads like code (93%)")

The tasks: code, mathematics, reasoning, documents, creative writing, translation, Chinese-language work, anything else.
Who says it counts before who guesses it: an explicit task wins. Else the table decides where it is sure enough, else the
keywords of `KEYWORDS`, else the table's best.

The table is data (`table.py`, made by `training/`): int8 weights of hashed grams, no texts. It is loaded once, at the
first question. docs/routing.md tells how it was measured.
"""

import re
from typing import Literal

from msgspec import Struct

from understudy.language.routes import TASKS, Task

Source = Literal["said", "table", "keywords", "kept"]
SURE = 0.4
"""Below this the keywords are asked first. The table is right as often as it says, so this is a chance of two in five."""

KEYWORDS: tuple[tuple[Task, tuple[str, ...]], ...] = (
    ("code", ("code", "review", "bug", "代码", "报错")),
    ("chinese", ("中文", "翻译", "古诗")),
    ("docs", ("explain", "document", "文档", "解释")),
    ("creative", ("create", "story", "故事")),
    ("reasoning", ("analyze", "strategy", "分析", "策略")),
)
"""The plain rules, asked in this order. English ones are whole words; Chinese has no word borders."""

NAMES: dict[str, Task] = {
    "coding": "code",
    "programming": "code",
    "mathematics": "math",
    "maths": "math",
    "analysis": "reasoning",
    "strategy": "reasoning",
    "document": "docs",
    "documents": "docs",
    "documentation": "docs",
    "writing": "creative",
    "story": "creative",
    "translate": "translation",
    "zh": "chinese",
    "chat": "general",
}
"""Other words people say for a task."""


class Guess(Struct, frozen=True):
    """A task, and how sure that is.

    Attributes:
        task: what the text asks for.
        confidence: the chance that it is so: 1 where it was said.
        by: who decided; "kept" is a guess from earlier in the conversation.
        why: the same in words, for the plan's reason.
    """

    task: Task
    confidence: float
    by: Source
    why: str


def guess(text: str, said: str = "", sure: float = SURE) -> Guess:
    """The task of a text.

    Args:
        text: the last text of the person who asks, without what a client added (`asked.asked`).
        said: the task in the client's own words, where it says one: `task_type`, a header, a tag of the system prompt.
            A word that names no task is not heeded; `named` tells the edge whether it does.
        sure: from which confidence the table decides alone.
    """
    told = named(said)
    if told:
        return Guess(told, 1.0, "said", f"the request says {told}")
    from understudy.routing.table import probabilities  # noqa: PLC0415 - brings numpy, which only this needs

    chances = probabilities(text)
    best = int(chances.argmax())
    task, chance = TASKS[best], float(chances[best])
    if chance < sure:
        found = keyword(text)
        if found:
            return Guess(found[0], chance, "keywords", f"{found[1]!r} speaks for {found[0]}")
    return Guess(task, chance, "table", f"it reads like {task} ({chance:.0%})")


def named(said: str) -> Task | None:
    """The task that a word means, or None."""
    word = said.strip().lower()
    return next((task for task in TASKS if task == word), NAMES.get(word))


def keyword(text: str) -> tuple[Task, str] | None:
    """The first of the plain rules that holds, and the word it holds by."""
    from understudy.routing import grams  # noqa: PLC0415 - it needs numpy, and was imported by who asks

    text = grams.cut(text).lower()
    words = frozenset(re.findall(r"[a-z]+", text))
    for task, marks in KEYWORDS:
        for mark in marks:
            if mark in words or (not mark.isascii() and mark in text):
                return task, mark
    return None
