"""A JSON Schema, cut down to what an engine's grammar takes; and a question with all its schemas cut.

Engines turn a tool's schema into a grammar before they sample, and one keyword that the grammar's author did not foresee
costs the whole request: "failed to parse grammar", a crash, an answer without any constraint, or, worst, a grammar in
which the right arguments are impossible (ggml-org/llama.cpp#27580, lmstudio-bug-tracker#2220). So the engine gets a
smaller schema; the original stays with us, and what comes back is validated against the original.

    original -> cutting: plain keywords, no references, nothing that no grammar holds
             -> shaping: written so that this engine reads it as it is meant (`tastes`: one row an engine)

One law governs the cut: **it only ever widens**. Every instance that the original admits, the cut admits, and the
engine's reading of the cut admits as well; but for two things that each engine decides: the order of properties, and,
where a row `closes`, names of properties that no schema mentions.

Whatever changes the meaning is noted as a `Loss`: what, where, and why in words. A cut without losses means the same as
the original. What the grammar no longer holds is told to the model in the description, where the schema is part of the
prompt: `(format: uri)`.

Time is linear in the schema, with ceilings on what references and unions may add. A cut of a cut is itself.
"""

from functools import lru_cache
from typing import Final

import msgspec

from understudy.language.request import Request, Tool, change
from understudy.request.cutting import RUNS, plain
from understudy.request.keywords import Loss, Node
from understudy.request.shaping import shaped
from understudy.request.tastes import TASTES, GrammarTaste

__all__ = ["ANY_OBJECT", "TASTES", "Cut", "GrammarTaste", "Loss", "cut", "cut_request"]

ANY_OBJECT: Final = b'{"type":"object"}'


class Cut(msgspec.Struct, frozen=True):
    """A schema an engine takes, and what it no longer says.

    Attributes:
        schema: JSON; the input itself where nothing had to go.
        dropped: what was lost, in the order of the schema.
    """

    schema: bytes
    dropped: tuple[Loss, ...]


def cut(schema: bytes, taste: GrammarTaste) -> Cut:
    """Cut `schema` down to what `taste` takes, widening only. Never raises: what is no schema becomes "an object".

    Args:
        schema: a tool's input schema, or the format an answer must have: JSON.
        taste: a row of `TASTES`, or one's own.
    """
    if not taste.cuts:
        return Cut(schema, ())
    try:
        root = msgspec.json.decode(schema)
        if not isinstance(root, dict):
            return Cut(ANY_OBJECT, (Loss("", "", "it is no JSON object"),))
        small, losses = _cut(root, taste, nested_ids=schema.count(b'"$id"') > ("$id" in root))
        return Cut(schema if small == root else msgspec.json.encode(small), tuple(losses))
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested deeper than the interpreter goes
        return Cut(ANY_OBJECT, (Loss("", "", "it is no JSON, or nested too deeply"),))


def _cut(root: Node, taste: GrammarTaste, *, nested_ids: bool = False) -> tuple[Node, list[Loss]]:
    node, losses = plain(root, taste, nested_ids=nested_ids)
    small = shaped(node, taste, lambda where, what, why: losses.append(Loss(where, what, why)))
    for _ in range(
        RUNS if "$defs" in small else 0
    ):  # which of several intertwined definitions stay takes two looks
        again = shaped(plain(small, taste, nested_ids=False)[0], taste, _nothing_more)
        if again == small:
            break
        small = again
    return small, losses


def _nothing_more(where: str, what: str, why: str) -> None:
    """What is cut already loses nothing."""
    raise AssertionError(f"a cut schema lost something: {Loss(where, what, why)}")


def cut_request(request: Request, taste: GrammarTaste) -> tuple[Request, tuple[tuple[str, Loss], ...]]:
    """The question with the schemas of its tools and of its answer cut, and the losses with the names of the tools.

    The name is empty for the schema of the answer. Kept for the next turn, which brings the same tools.
    """
    tools, lost = _cut_tools(request.tools, taste)
    form = request.format
    if form is not None:
        found = cut(form, taste)
        form, lost = found.schema, (*lost, *(("", loss) for loss in found.dropped))
    return change(request, tools=tools, format=form), lost


@lru_cache(maxsize=64)
def _cut_tools(
    tools: tuple[Tool, ...], taste: GrammarTaste
) -> tuple[tuple[Tool, ...], tuple[tuple[str, Loss], ...]]:
    cuts = [(tool, cut(tool.schema, taste)) for tool in tools]
    lost = tuple((tool.name, loss) for tool, found in cuts for loss in found.dropped)
    return tuple(change(tool, schema=found.schema) for tool, found in cuts), lost
