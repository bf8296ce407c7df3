"""The prompts: those of a folder, and our own, filled into templates.

A folder holds `train.jsonl` and `dev.jsonl` with the fields of `Prompt`. It is named by an argument and never copied:
what is kept of a prompt is what its grams add to the weights. Our own stand in `prompts/`, in English and Chinese.
"""

import random
import re
from collections.abc import Iterator
from json import JSONDecoder
from pathlib import Path

import msgspec
from msgspec import Struct

from understudy.language.routes import TASKS, Task

PROMPTS = Path(__file__).parent / "prompts"
LANGUAGES = ("en", "zh")
OWN = "own-"
"""How the sources of our own prompts are called."""
FILLED, TRIES = 16, 3
"""How many prompts a template gives, and how often one that was there already is tried again."""
ACCEPTED: dict[Task, list[Task]] = {
    "code": ["code"],
    "math": ["math", "reasoning"],
    "reasoning": ["reasoning", "general"],
    "docs": ["docs", "general"],
    "creative": ["creative"],
    "translation": ["translation"],
    "chinese": ["chinese"],
    "general": ["general", "docs"],
}
"""What a judge would also take for one of our own prompts."""
HEADING = re.compile(r"\[(\w+)\]")


class Prompt(Struct):
    """One prompt.

    Attributes:
        text: as somebody wrote it.
        lang: en, zh, or other.
        task: what it is.
        accept: what a sane judge would also take.
        source: the collection it comes from.
        lic: the licence of that.
    """

    text: str
    lang: str
    task: Task
    accept: list[Task]
    source: str
    lic: str = ""


def read(folder: Path, name: str) -> list[Prompt]:
    """The prompts of `name`.jsonl."""
    text = (folder / f"{name}.jsonl").read_text(encoding="utf-8")
    return [msgspec.convert(value, Prompt) for value in _values(text)]


def _values(text: str) -> Iterator[object]:
    """JSON values one after the other; a text may hold a line break as it is."""
    decoder, place = JSONDecoder(strict=False), 0
    while found := re.compile(r"\S").search(text, place):
        value, place = decoder.raw_decode(text, found.start())
        yield value


def own(seed: int = 1) -> list[Prompt]:
    """Our own prompts; the same seed gives the same ones."""
    chance = random.Random(seed)  # noqa: S311 - no secret is drawn
    return [prompt for language in LANGUAGES for prompt in _filled(language, chance)]


def _filled(language: str, chance: random.Random) -> Iterator[Prompt]:
    words = _words((PROMPTS / f"words.{language}.txt").read_text(encoding="utf-8"))
    task: Task = "general"
    for line in (PROMPTS / f"{language}.txt").read_text(encoding="utf-8").splitlines():
        heading = HEADING.fullmatch(line)
        if heading:
            task = msgspec.convert(heading[1], Task)
        elif line and not line.startswith("#"):
            for text in _texts(line, words, chance):
                yield Prompt(text, language, task, ACCEPTED[task], OWN + language, "our own")


def _texts(template: str, words: dict[str, list[str]], chance: random.Random) -> list[str]:
    texts: dict[str, None] = {}
    for _ in range(FILLED * TRIES):
        texts[fill(template, words, chance).replace("\\n", "\n").replace("\\t", "\t")] = None
        if len(texts) == FILLED:
            break
    return list(texts)


def _words(text: str) -> dict[str, list[str]]:
    """`name: one | another`; a later line of the same name takes its place."""
    lines = (line.partition(": ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: [word.strip() or word for word in rest.split(" | ")] for name, _, rest in lines}


def fill(template: str, words: dict[str, list[str]], chance: random.Random) -> str:
    """A template with every `{name}` replaced by one of its words, and every `{one|another}` by one of these."""
    out, place = [], 0
    while place < len(template):
        choices, end = _choices(template, place) if template[place] == "{" else (None, place)
        if choices is None:
            out.append(template[place])
            place += 1
            continue
        chosen = chance.choice(words.get(choices[0], [f"{{{choices[0]}}}"]) if len(choices) == 1 else choices)
        named = len(choices) == 1 and choices[0] not in words
        out.append(chosen if named else fill(chosen, words, chance))
        place = end
    return "".join(out)


def _choices(template: str, start: int) -> tuple[list[str] | None, int]:
    """What stands between a brace and its fellow, split at bars; None where there is no fellow."""
    parts, depth = [""], 0
    for place in range(start + 1, len(template)):
        char = template[place]
        if char == "}" and depth == 0:
            return parts, place + 1
        depth += (char == "{") - (char == "}")
        if char == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return None, start


def known(task: str) -> int:
    """The number of a task."""
    return TASKS.index(msgspec.convert(task, Task))
