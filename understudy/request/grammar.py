r"""A grammar for answers that hold tool calls as text: prose is free, and a call, once begun, is valid against its schema.

Written for LLGuidance (https://github.com/guidance-ai/llguidance, its Lark variant), which llama.cpp takes as a grammar.
It is used where the model's own text reaches us, so the calls have the syntax the model was trained on:

    start: (prose-up-to-opener call)* prose

`lazy` makes the prose end at the first opener. Only openers that are ordinary text can be written down: a model whose
opener is a special token could not call at all under such a grammar, so it gets none, unless it must call: then it calls
as Hermes does. A schema the library cannot take leaves the answer unconstrained; it is validated all the same when it
comes back.
"""

import json
import re
from functools import lru_cache

import msgspec
from msgspec import Struct

from understudy.language.request import Request, Tool, ToolChoice
from understudy.request.keywords import Node
from understudy.request.schema import TASTES, cut

TIGHT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""Without it the library allows any white space, and a small model fills its answer with it."""
HEAD = "%llguidance {}\n"
_VALUE_END = r"/(?s:.*)\n<\/parameter>\n/"


class Around(Struct, frozen=True):
    """What stands around the calls of one syntax: several in one list, or each by itself."""

    opener: str
    closer: str
    listed: bool = False


HERMES = Around("<tool_call>\n", "\n</tool_call>")
AROUND = {
    "hermes": HERMES,
    "qwen-xml": HERMES,
    "nemotron": Around("<TOOLCALL>[", "]</TOOLCALL>", listed=True),
    "tool-calls": Around("<tool_calls>[", "]</tool_calls>", listed=True),
    "functools": Around("functools[", "]", listed=True),
}
"""By the names of the syntaxes (`stages/toolsyntax.py`) whose openers are text."""


def answer_grammar(request: Request, syntax: str) -> str | None:
    """The grammar an answer to this request must follow; None where anything goes.

    Args:
        request: with the tools as the client offered them.
        syntax: how the model writes calls.
    """
    if request.format is not None and not request.tools:
        return f"{HEAD}start: %json {_tight(request.format)}\n"
    choice = request.tool_choice
    tools = tuple(
        tool
        for tool in request.tools
        if not tool.kind and (not choice.allowed or tool.name in choice.allowed)
    )
    if choice.mode == "tool":
        tools = tuple(tool for tool in tools if tool.name == choice.name) or tools
    if not tools or choice.mode == "none" or (syntax not in AROUND and not _must_call(choice)):
        return None
    return _calls(tools, choice, syntax)


def _must_call(choice: ToolChoice) -> bool:
    return choice.mode in ("any", "tool")


@lru_cache(maxsize=32)
def _calls(tools: tuple[Tool, ...], choice: ToolChoice, syntax: str) -> str:
    """Kept: the same tools come with every turn."""
    write = _xml_call if syntax == "qwen-xml" else _json_call
    around = AROUND.get(syntax, HERMES)
    names = [f"call_{place}" for place in range(len(tools))]
    rules = [write(name, tool) for name, tool in zip(names, tools, strict=True)]
    one = f"one: {' | '.join(names)}\n"
    return "".join([HEAD, _start(choice, around), _prose(around), _call(choice, around), one, *rules])


def _start(choice: ToolChoice, around: Around) -> str:
    opener = json.dumps(around.opener)
    if not choice.parallel:
        return f"start: {opener} call\n" if _must_call(choice) else "start: (to_call call)? PROSE\n"
    return (
        f"start: {opener} call (to_call call)*\n" if _must_call(choice) else "start: (to_call call)* PROSE\n"
    )


def _prose(around: Around) -> str:
    """Text without an opener, and text up to one."""
    opener = re.escape(around.opener.strip()).replace("/", r"\/")
    end = "\\n" if around.opener.endswith("\n") else ""
    return f"PROSE: /(?s:.*)/ & ~/(?s:.*){opener}(?s:.*)/\nto_call[lazy]: /(?s:.*){opener}{end}/\n"


def _call(choice: ToolChoice, around: Around) -> str:
    more = ' (", " one)*' if around.listed and choice.parallel else ""
    return f"call: one{more} {json.dumps(around.closer)}\n"


def _json_call(rule: str, tool: Tool) -> str:
    r"""`{"name": "Read", "arguments": {...}}`, spaced as models of this family write it."""
    before = json.dumps('{"name": ' + json.dumps(tool.name, ensure_ascii=False) + ', "arguments": ')
    return f'{rule}: {before} %json {_tight(tool.schema)} "}}"\n'


def _xml_call(rule: str, tool: Tool) -> str:
    r"""`<function=Read>\n<parameter=file_path>\n...\n</parameter>\n</function>`; text values are free."""
    small = _small(tool.schema)
    named, definitions = small.get("properties"), small.get("$defs")
    properties = list(named.items()) if isinstance(named, dict) else []
    shared = {"$defs": definitions} if definitions else {}
    values = [
        _xml_value(f"{rule}_{place}", name, schema, shared) for place, (name, schema) in enumerate(properties)
    ]
    names = [f"{rule}_{place}" for place in range(len(properties))]
    inside = f"({' | '.join(names)}){{0,{len(names)}}}" if names else ""
    opener = json.dumps(f"<function={tool.name}>\n", ensure_ascii=False)
    return f'{rule}: {opener} {inside} "</function>"\n' + "".join(values)


def _xml_value(rule: str, name: str, schema: object, shared: Node) -> str:
    opener = json.dumps(f"<parameter={name}>\n", ensure_ascii=False)
    if isinstance(schema, dict) and schema.get("type") in ("integer", "number", "boolean", "array", "object"):
        return f'{rule}: {opener} %json {_written({**schema, **shared})} "\\n</parameter>\\n"\n'
    return f"{rule}: {opener} {rule}_text\n{rule}_text[lazy]: {_VALUE_END}\n"


def _small(schema: bytes) -> Node:
    small: Node = msgspec.json.decode(cut(schema, TASTES["llguidance"]).schema)
    return small


def _tight(schema: bytes) -> str:
    return _written(_small(schema))


def _written(small: Node) -> str:
    """The schema for the library, with its one setting."""
    return json.dumps({"x-guidance": TIGHT, **small}, ensure_ascii=False)
