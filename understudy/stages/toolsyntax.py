"""The syntaxes in which models write tool calls into their text, as a table, and which of them to look for.

A row is found by what a model's chat template shows, or else by the model's name. The likely rows come first; the others
follow, because models slip into what they were trained on, unless a row's openers stand in ordinary prose (`shy`).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from understudy.stages import channels, gemmacalls, jsoncalls, namedcalls, nestcalls, pythoncalls, tagrows
from understudy.stages.syntax import Syntax

ROWS: Final = (
    tagrows.MINICPM,
    tagrows.SEED,
    tagrows.HUNYUAN,
    tagrows.GLM,
    tagrows.INVOKE,
    nestcalls.MINIMAX_M3,
    tagrows.KIMI_K3,
    tagrows.K2_HORIZON,
    tagrows.SOLAR,
    tagrows.QWEN_XML,
    namedcalls.FUNCTIONARY,
    namedcalls.MISTRAL,
    namedcalls.DEEPSEEK,
    namedcalls.KIMI_K2,
    namedcalls.PLAMO,
    namedcalls.MIRO,
    channels.HARMONY,
    gemmacalls.GEMMA,
    gemmacalls.FUNCTION_GEMMA,
    pythoncalls.LFM,
    pythoncalls.LLAMA4,
    pythoncalls.OLMO,
    jsoncalls.COHERE,
    jsoncalls.COMMAND_R,
    jsoncalls.GRANITE,
    jsoncalls.FUNCTOOLS,
    jsoncalls.NEMOTRON,
    jsoncalls.TOOL_CALLS,
    jsoncalls.APERTUS,
    jsoncalls.GIGACHAT,
    jsoncalls.LONGCAT,
    jsoncalls.INTERNLM,
    jsoncalls.INKLING,
    jsoncalls.PANGU,
    jsoncalls.HYPERCLOVA,
    jsoncalls.XLAM,
    jsoncalls.HERMES,
    pythoncalls.LLAMA,
    jsoncalls.FENCED,
    pythoncalls.PYTHONIC,
    jsoncalls.JSON,
)
"""Every row, those with the telling signs before those that others show, too."""

SYNTAXES: Final = {row.name: row for row in ROWS}
"""The rows by their names in the settings."""

_BOLD: Final = (jsoncalls.HERMES, *(row for row in ROWS if not row.shy))
"""What is looked for in every model; Hermes first: what most of those write whose template and name say nothing."""


@lru_cache(maxsize=64)
def syntaxes_for(model_name: str, template: str | None) -> tuple[Syntax, ...]:
    """The syntaxes to look for, the likely ones first."""
    return tuple(dict.fromkeys((*likely(model_name, template), *_BOLD)))


def likely(model_name: str, template: str | None) -> Iterator[Syntax]:
    """The rows that the model's template shows, and then those that its name is known for."""
    yield from (row for row in ROWS if template and any(sign in template for sign in row.signs))
    yield from (row for row in ROWS if row.names and row.names.search(model_name))
