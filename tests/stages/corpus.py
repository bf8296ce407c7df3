"""Broken tool calls, made from valid ones: seeded, by kind of failure, each labelled before anything tries to mend it.

    for broken in corpus():
        broken.name, broken.text        as a model might write them
        broken.tool, broken.arguments   what was meant
        broken.recoverable              whether that can be told from the text and the schemas alone

The kinds are those that users of gateways report (wrappers, doubled encoding, single quotes, cut answers, names of the
wrong server) and those that the grammar of JSON leaves to get wrong (each of its signs missing, doubled, or another).

**The rule of recoverability**, applied by each kind when the call is broken: every part of the meant call is in the text,
or follows from the schema alone, and no second reading has as much for it. What was cut off is not recoverable, nor is what
would have to be made up; nor an escape that JSON reads another way, nor a quote inside a string that could be its end.
"""

import json
import random
from dataclasses import dataclass
from functools import cache

import corpus_shapes  # noqa: F401 - importing them is what enters their kinds
import corpus_texts  # noqa: F401
from corpus_hand import KINDS, kind
from corpus_tools import calls

PER_KIND = 24


@dataclass(frozen=True)
class Broken:
    kind: str
    name: str
    text: str
    tool: str
    arguments: dict
    recoverable: bool


@cache
def corpus(seed=20, per_kind=PER_KIND):
    """All of them."""
    return tuple(broken for name in KINDS for broken in _of_kind(name, seed, per_kind))


def _of_kind(name, seed, wanted):
    rng = random.Random(f"{seed} {name}")  # noqa: S311 - the same ones every time are what is wanted
    source, seen = calls(f"{seed} {name}"), {}
    for _ in range(4_000):
        tool, arguments = next(source)
        made = KINDS[name](rng, tool, arguments)
        if made is None:
            continue
        parts = made if isinstance(made, tuple) else (made, True)
        called, text, recoverable = parts if len(parts) == 3 else (tool, *parts)
        seen.setdefault((called, text), Broken(name, called, text, tool, arguments, recoverable))
        if len(seen) == wanted:
            break
    return list(seen.values())


# --- two at once ------------------------------------------------------------------------------------------

PAIRS = [
    "missing-last-brace",
    "trailing-comma",
    "code-fence",
    "raw-line-breaks",
    "bare-keys",
    "prose-after",
    "python-words",
]


@kind
def several_at_once(rng, tool, arguments):
    """A value of the wrong type or a wrong name, in text that is not quite JSON."""
    broken = KINDS[
        rng.choice(["text-for-a-number", "property-in-another-case", "surplus-property", "wrapped"])
    ](rng, tool, arguments)
    if broken is None:
        return None
    inner = json.loads(broken)
    made = KINDS[rng.choice(PAIRS)](rng, tool, inner)
    return made if made is None or isinstance(made, tuple) else (made, True)


TEXTS = ["single-quotes", "bare-keys", "missing-comma", "trailing-comma", "comments", "raw-line-breaks", "python-literal",
         "doubled-comma", "quotes-within-quotes", "unescaped-backslashes", "half-quoted-keys", "odd-numbers"]  # fmt: skip
AROUND = [
    lambda text: f"```json\n{text}\n```",
    lambda text: f"Here it is:\n{text}",
    lambda text: f"{text}\n\nDone.",
    lambda text: f"{text}</tool_call>",
    lambda text: f"{text}}}",
]


@kind
def text_broken_twice(rng, tool, arguments):
    """Text that is not quite JSON, with something around it."""
    made = KINDS[rng.choice(TEXTS)](rng, tool, arguments)
    if made is None:
        return None
    text, recoverable = made if isinstance(made, tuple) else (made, True)
    return rng.choice(AROUND)(text), recoverable
