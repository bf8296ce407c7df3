"""Calls in JSON between markers, or alone: the parser, and the rows whose models write so.

Read as JSON, then with brackets missing or surplus, then up to the first closing marker.
"""

import re
from typing import Final

from msgspec import Struct

from understudy.stages.jsonread import HEAD, NAMED, NoCall, Reading, depth, value_end
from understudy.stages.syntax import Call, Found, Lazy, SchemaOf, Syntax, models

_SURPLUS: Final = Lazy(r"[\s,}\]]*")
_KEYED_NAME: Final = r"""\[?\s*\{\s*"([^"\n]*)"\s*:"""


class Marked(Struct, frozen=True):
    """The parser.

    Attributes:
        opener: fits the opener, the blanks after it included.
        closer: fits the closing marker, the blanks before it included; None: whole JSON is a whole call.
        reading: how the objects are read.
        alone: only calls if nothing else is said after them.
    """

    opener: Lazy
    closer: Lazy | None = None
    reading: Reading = Reading()
    alone: bool = False

    def __call__(self, text: str, _schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """See `Parse`."""
        opener = self.opener.match(text)
        if opener is None or (self.alone and not over):
            return None
        try:
            calls, end = self.reading.calls(text, opener.end())
        except NoCall:
            return None
        except (ValueError, RecursionError):
            found = self._nearly_json(text, opener.end(), over=over)
        else:
            found = self._closed(text, calls, end, over=over)
        return None if found and self.alone and text[found.end :].strip() else found

    def _closed(self, text: str, calls: tuple[Call, ...], end: int, *, over: bool) -> Found | None:
        """The calls, if nothing but surplus brackets stands between them and the closing marker."""
        if self.closer is None:
            return Found(calls, end)
        closer = self.closer.match(text, surplus(text, end))
        if closer:
            return Found(calls, closer.end())
        return Found(calls, end) if over else None

    def _nearly_json(self, text: str, start: int, *, over: bool) -> Found | None:
        head = HEAD.match(text, start)
        if head is None or (self.closer is None and not over):
            return None
        end = value_end(text, head.end())
        if end is None:
            return self._broken_json(text, head, over=over)
        calls = (Call(head[1], text[head.end() : end]),)
        return self._closed(text, calls, end if self.closer else surplus(text, end), over=over)

    def _broken_json(self, text: str, head: re.Match[str], *, over: bool) -> Found | None:
        """Up to the first closing marker; while more may come, only if that is inside neither brackets nor a string."""
        closer = self.closer.search(text, head.end()) if self.closer else None
        stop = closer.start() if closer else len(text)
        body = text[head.end() : stop]
        if not over and depth("{" + body) != 0:
            return None
        if self.closer is None and not body.rstrip().endswith(("}", "]")):
            return None
        arguments = body[:-1] if depth(body) == -1 and body.endswith("}") else body
        return Found((Call(head[1], arguments.strip()),), closer.end() if closer else stop)


def surplus(text: str, at: int) -> int:
    """The place after the brackets that are too many."""
    found = _SURPLUS.match(text, at)
    return found.end() if found else at


def _between(opener: str, closer: str | None, reading: Reading | None = None) -> Marked:
    """Regular expressions of the two markers."""
    end = Lazy(rf"\s*(?:{closer})") if closer else None
    return Marked(Lazy(rf"{opener}\s*"), end, reading or Reading())


def _head(opener: str, name: str = NAMED) -> Lazy:
    return Lazy(rf"(?:{opener})\s*{name}")


def _heads(*openers: str) -> tuple[str, ...]:
    return tuple("".join(opener.split()) + start for opener in openers for start in ("{", "[{"))


STRICT: Final = Reading(strict=True)
"""For JSON without a marker of its own: it may be an answer."""
_KEYS: Final = (
    *("name", "tool_name", "tool", "function", "tool_call", "function_call", "tool_calls"),
    *("arguments", "parameters", "id", "tool_call_id", "type"),
)
ALONE: Final = tuple(f'{start}"{key}"' for start in ("{", "[{") for key in _KEYS)
"""How such JSON begins."""

HERMES: Final = Syntax(
    name="hermes",
    models="Hermes, Qwen 2.5 and 3, Granite 4, ERNIE 4.5, MiMo, Reka, EXAONE 4, Kimi-VL, Trinity",
    example='<tool_call>\n{"name": "get_time", "arguments": {"city": "Paris"}}\n</tool_call>',
    names=models(r"hermes|qwen|ernie|reka|exaone|granite-?4|trinity|mimo"),
    signs=("<tool_call>",),
    openers=("<tool_call>", "<tools>"),  # <tools>: Qwen 2.5 Coder takes the tag its tools are listed in
    heads=_heads("<tool_call>", "<tools>"),
    head=_head("<tool_call>|<tools>"),
    closers=("</tool_call>", "</tools>"),
    parse=_between(r"<tool(?:_call|s)>", r"</tool(?:_call|s)>"),
)
TOOL_CALLS: Final = Syntax(
    name="tool-calls",
    models="Hunyuan A13B, Jamba, MiniMax M1, Apriel",
    example='<tool_calls>[{"name": "get_time", "arguments": {"city": "Paris"}}]</tool_calls>',
    names=models(r"hunyuan|jamba|minimax-?(?:text|m1)|apriel"),
    signs=("<tool_calls>",),
    openers=("<tool_calls>",),
    heads=_heads("<tool_calls>"),
    head=_head("<tool_calls>"),
    closers=("</tool_calls>",),
    parse=_between("<tool_calls>", "</tool_calls>"),
)
NEMOTRON: Final = Syntax(
    name="nemotron",
    models="Nemotron Nano 2, Llama Nemotron",
    example='<TOOLCALL>[{"name": "get_time", "arguments": {"city": "Paris"}}]</TOOLCALL>',
    names=models("nemotron"),
    signs=("<TOOLCALL>",),
    openers=("<TOOLCALL>",),
    heads=_heads("<TOOLCALL>"),
    head=_head("<TOOLCALL>"),
    closers=("</TOOLCALL>",),
    parse=_between("<TOOLCALL>", "</TOOLCALL>"),
)
LONGCAT: Final = Syntax(
    name="longcat",
    models="LongCat Flash",
    example='<longcat_tool_call>{"name": "get_time", "arguments": {"city": "Paris"}}</longcat_tool_call>',
    names=models("longcat"),
    signs=("<longcat_tool_call>",),
    openers=("<longcat_tool_call>",),
    heads=_heads("<longcat_tool_call>"),
    head=_head("<longcat_tool_call>"),
    closers=("</longcat_tool_call>",),
    parse=_between("<longcat_tool_call>", "</longcat_tool_call>"),
)
GRANITE: Final = Syntax(
    name="granite",
    models="Granite 3, Granite 20B FC, Phi 4 mini",
    example='<|tool_call|>[{"name": "get_time", "arguments": {"city": "Paris"}}]',
    names=models(r"granite-?(?:[23]|8b|20b|34b)|phi-?4-?mini"),
    signs=("<|tool_call|>", "<function_call>"),
    openers=("<|tool_call|>", "<function_call>"),
    heads=_heads("<|tool_call|>", "<function_call>"),
    head=_head(r"<\|tool_call\|>|<function_call>"),
    closers=("}", "]"),
    tails=("<|/tool_call|>", "</function_call>"),
    parse=_between(r"(?:<\|tool_call\|>|<function_call>)", None),
)
COHERE: Final = Syntax(
    name="cohere",
    models="Command R7B, Command A, North",
    example='<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "get_time", "parameters": {"city": "Paris"}}]'
    "<|END_ACTION|>",
    names=models(r"command-?(?:r7b|a\b)|c4ai|cohere|north"),
    signs=("<|START_ACTION|>",),
    openers=("<|START_ACTION|>",),
    heads=_heads("<|START_ACTION|>"),
    head=_head(r"<\|START_ACTION\|>"),
    closers=("<|END_ACTION|>",),
    parse=_between(r"<\|START_ACTION\|>", r"<\|END_ACTION\|>"),
)
COMMAND_R: Final = Syntax(
    name="command-r",
    models="Command R, Command R+",
    example='Action:\n```json\n[{"tool_name": "get_time", "parameters": {"city": "Paris"}}]\n```',
    names=models(r"command-?r(?!7b)"),
    signs=("Action:```json", "Action: ```json", "Write 'Action:' followed by"),
    openers=("Action:",),
    heads=_heads("Action:```json", "Action:```"),
    head=_head(r"Action:\s*```(?:json)?"),
    closers=("```",),
    parse=_between(r"Action:\s*```(?:json)?", "```"),
    shy=True,
)
INTERNLM: Final = Syntax(
    name="internlm",
    models="InternLM 2 and 3, Intern S1",
    example='<|action_start|><|plugin|>\n{"name": "get_time", "parameters": {"city": "Paris"}}<|action_end|>',
    names=models("intern"),
    signs=("<|action_start|>",),
    openers=("<|action_start|>",),
    heads=("<|action_start|><|plugin|>{", "<|action_start|>{"),
    head=_head(r"<\|action_start\|>\s*(?:<\|plugin\|>)?"),
    closers=("<|action_end|>",),
    parse=_between(r"<\|action_start\|>\s*(?:<\|plugin\|>)?", r"<\|action_end\|>"),
)
APERTUS: Final = Syntax(
    name="apertus",
    models="Apertus",
    example='<|tools_prefix|>[{"get_time": {"city": "Paris"}}]<|tools_suffix|>',
    names=models("apertus"),
    signs=("<|tools_prefix|>",),
    openers=("<|tools_prefix|>",),
    heads=_heads("<|tools_prefix|>"),
    head=_head(r"<\|tools_prefix\|>", _KEYED_NAME),
    closers=("<|tools_suffix|>",),
    parse=_between(r"<\|tools_prefix\|>", r"<\|tools_suffix\|>", Reading(keyed=True)),
)
GIGACHAT: Final = Syntax(
    name="gigachat",
    models="GigaChat 3",
    example='function call<|role_sep|>\n{"name": "get_time", "arguments": {"city": "Paris"}}',
    names=models("gigachat"),
    signs=("function call<|role_sep|>", "<|function_call|>"),
    openers=("<|message_sep|>\n\nfunction call<|role_sep|>\n", "<|function_call|>"),
    starts=("function call<|role_sep|>\n",),
    heads=(
        "<|message_sep|>functioncall<|role_sep|>{",
        "functioncall<|role_sep|>{",
        "<|function_call|>{",
    ),
    head=_head(r"(?:<\|message_sep\|>\s*)?function call<\|role_sep\|>|<\|function_call\|>"),
    closers=("}",),
    tails=("<|message_sep|>",),
    parse=_between(r"(?:(?:<\|message_sep\|>\s*)?function call<\|role_sep\|>|<\|function_call\|>)", None),
)
FUNCTOOLS: Final = Syntax(
    name="functools",
    models="Phi 4 mini, Firefunction 2",
    example='functools[{"name": "get_time", "arguments": {"city": "Paris"}}]',
    names=models(r"phi-?4-?mini|firefunction"),
    signs=("functools",),
    openers=("functools[",),
    heads=("functools[{",),
    head=_head("functools"),
    closers=("]",),
    parse=_between("functools", None),
    shy=True,
)
PANGU: Final = Syntax(
    name="pangu",
    models="openPangu",
    example='[unused11][{"name": "get_time", "arguments": {"city": "Paris"}}][unused12]',
    names=models("pangu"),
    signs=("[unused11]",),
    openers=("[unused11]",),
    heads=_heads("[unused11]"),
    head=_head(r"\[unused11\]"),
    closers=("[unused12]",),
    parse=_between(r"\[unused11\]", r"\[unused12\]"),
)
INKLING: Final = Syntax(
    name="inkling",
    models="Inkling",
    example='<|message_model|>get_time<|content_invoke_tool_json|>{"name": "get_time", "args": {"city": "Paris"}}'
    "<|end_message|>",
    names=models("inkling"),
    signs=("<|content_invoke_tool_json|>",),
    openers=("<|message_model|>", "<|content_invoke_tool_json|>"),
    looks=Lazy(r"<\|message_model\|>[\w.:/-]*(?:<.*)?|<\|content_invoke_tool_json\|>.*", re.DOTALL),
    head=_head(r"(?:<\|message_model\|>[^<]*)?<\|content_invoke_tool_json\|>"),
    closers=("<|end_message|>",),
    tails=("<|content_model_end_sampling|>",),
    parse=_between(r"(?:<\|message_model\|>[^<]*)?<\|content_invoke_tool_json\|>", r"<\|end_message\|>"),
)
HYPERCLOVA: Final = Syntax(
    name="hyperclova",
    models="HyperCLOVA X SEED Think 14B",
    example=' -> tool/function_call\n[{"name": "get_time", "arguments": {"city": "Paris"}}]',
    names=models(r"hyperclova.*14b"),
    signs=("-> tool/function_call",),
    openers=(" -> tool/function_call\n",),
    heads=_heads("->tool/function_call"),
    head=_head(r"\s*-> tool/function_call"),
    closers=("]",),
    parse=_between(r"\s*-> tool/function_call", None),
    shy=True,
)
XLAM: Final = Syntax(
    name="xlam",
    models="xLAM",
    example='```json\n[{"name": "get_time", "arguments": {"city": "Paris"}}]\n```',
    names=models("xlam"),
    openers=("```json",),
    starts=("[", "{"),
    heads=(*_heads("```json"), *ALONE),
    head=_head("(?:```json)?"),
    closers=("```", "]", "}"),
    tails=("```",),
    parse=_between("(?:```json)?", None, STRICT),
    shy=True,
)
FENCED: Final = Syntax(
    name="fenced",
    models="Qwen 2.5 Coder, where it ends its answer with a call in a code block",
    example='```json\n{"name": "get_time", "arguments": {"city": "Paris"}}\n```',
    names=models(r"qwen-?2\.5-?coder"),
    openers=("```json",),
    heads=_heads("```json"),
    head=_head("```json"),
    closers=("```",),
    parse=Marked(Lazy(r"```json\s*"), Lazy(r"\s*```"), STRICT, alone=True),
    shy=True,
)
JSON: Final = Syntax(
    name="json",
    models="any: JSON that an answer begins with, and that is nothing but calls of offered tools",
    example='{"name": "get_time", "arguments": {"city": "Paris"}}',
    starts=("{", "["),
    heads=ALONE,
    head=_head(""),
    closers=("}", "]"),
    tails=(";", ","),
    parse=_between("", None, STRICT),
)
