"""Calls as a name and then JSON, with markers around them: the parser, and the rows whose models write so.

[TOOL_CALLS]Read[ARGS]{"file_path": "a"}
"""

import re
from typing import Final

from msgspec import Struct

from understudy.stages.jsoncalls import Marked, surplus
from understudy.stages.jsonread import NAMED, depth, value_end
from understudy.stages.syntax import NAME, Call, Either, Found, Lazy, SchemaOf, Syntax, models
from understudy.stages.typed import PYTHON, Types, quoted


class Named(Struct, frozen=True):
    """The parser.

    Attributes:
        head: fits the opener up to the arguments; its groups: `name`, and `id` where the model gives one.
        closer: fits the closing marker, the blanks before it included; None: whole JSON is a whole call.
        code: what follows may be code instead, to the end of the answer, if the tool runs Python.
    """

    head: Lazy
    closer: Lazy | None = None
    code: bool = False

    def __call__(self, text: str, schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """See `Parse`."""
        head = self.head.match(text)
        if head is None:
            return None
        start = head.end()
        end = value_end(text, start) if text[start : start + 1] == "{" else start
        if end is None:
            return self._broken(text, head, over=over)
        if end == start:
            return self._bare(text, head, schema_of, over=over)
        return self._closed(text, _call(head, text[start:end]), end, over=over)

    def _closed(self, text: str, call: Call, end: int, *, over: bool) -> Found | None:
        if self.closer is None:
            return Found((call,), end)
        closer = self.closer.match(text, surplus(text, end))
        if closer:
            return Found((call,), closer.end())
        return Found((call,), end) if over else None

    def _bare(self, text: str, head: re.Match[str], schema_of: SchemaOf, *, over: bool) -> Found | None:
        """No object where the arguments should be: none were given, or code was."""
        closer = self.closer.match(text, head.end()) if self.closer else None
        if closer:
            return Found((_call(head, "{}"),), closer.end())
        code = text[head.end() :]
        if not (self.code and over and head["name"] in PYTHON and code.strip()):
            return None
        key = Types(schema_of(head["name"])).only_text()
        return Found((_call(head, f"{{{quoted(key)}: {quoted(code)}}}"),), len(text)) if key else None

    def _broken(self, text: str, head: re.Match[str], *, over: bool) -> Found | None:
        """Up to the first closing marker; while more may come, only if that is inside neither brackets nor a string."""
        closer = self.closer.search(text, head.end()) if self.closer else None
        stop = closer.start() if closer else len(text)
        body = text[head.end() : stop]
        if not over and (closer is None or depth(body) != 0):
            return None
        return Found((_call(head, body.strip()),), closer.end() if closer else stop)


def _call(head: re.Match[str], arguments: str) -> Call:
    return Call(head["name"], arguments, head.groupdict().get("id") or "")


# --- the rows -------------------------------------------------------------------------------------------------------

_MISTRAL_HEAD: Final = (
    rf"\[TOOL_CALLS\]\s*(?P<name>{NAME})\s*(?:\[CALL_ID\](?P<id>[\w-]*)\s*)?(?:\[ARGS\]\s*)?(?=\{{)"
)
_DEEPSEEK_HEAD: Final = (
    r"(?:<｜tool[▁_ ]calls(?:[▁_ ]begin)?｜>\s*)?<｜tool[▁_ ]call[▁_ ]begin｜>\s*"
    rf"(?:function\s*<｜tool[▁_ ]sep｜>)?(?P<name>{NAME})\s*(?:<｜tool[▁_ ]sep｜>\s*(?=[{{<])|```(?:json)?\s*)"
)
_KIMI_HEAD: Final = (
    r"(?:<\|tool_calls_section_begin\|>\s*)?<\|tool_call_begin\|>\s*"
    r"(?P<id>(?:functions?[.:])?(?P<name>[\w./-]+)(?::\d+)?)\s*<\|tool_call_argument_begin\|>\s*"
)
_PLAMO_HEAD: Final = (
    r"(?:<\|plamo:begin_tool_requests:plamo\|>\s*)?<\|plamo:begin_tool_request:plamo\|>\s*"
    r"<\|plamo:begin_tool_name:plamo\|>\s*(?P<name>[^<]*?)\s*<\|plamo:end_tool_name:plamo\|>\s*"
    r"<\|plamo:begin_tool_arguments:plamo\|>\s*"
)
_MIRO_HEAD: Final = (
    r"<use_mcp_tool>\s*(?:<server_name>[^<]*</server_name>\s*)?<tool_name>\s*(?P<name>[^<]*?)\s*</tool_name>\s*"
    r"<arguments>\s*"
)

MISTRAL: Final = Syntax(
    name="mistral",
    models="Mistral, Ministral, Magistral, Devstral, Codestral, Pixtral, in both generations",
    example='[TOOL_CALLS]get_time[ARGS]{"city": "Paris"}',
    names=models("mistral|mixtral|ministral|magistral|devstral|codestral|pixtral"),
    signs=("[TOOL_CALLS]",),
    openers=("[TOOL_CALLS]",),
    looks=Lazy(r"\[TOOL_CALLS\]\s*(?:[\[{].*|[\w.:/-]*\s*(?:[\[{].*)?)", re.DOTALL),
    head=Lazy(rf"\[TOOL_CALLS\]\s*(?:{NAMED}|({NAME})\s*[\[{{])"),
    closers=("}", "]"),
    parse=Either((Named(Lazy(_MISTRAL_HEAD)), Marked(Lazy(r"\[TOOL_CALLS\]\s*")))),
)
DEEPSEEK: Final = Syntax(
    name="deepseek",
    models="DeepSeek V2.5, V3, R1 and V3.1",
    example='<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_time<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜>'
    "<｜tool▁calls▁end｜>",
    names=models(r"deepseek"),
    signs=("<｜tool▁call▁begin｜>", "<｜tool▁calls▁begin｜>"),
    openers=(
        *("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁calls｜>"),
        *("<｜tool_calls_begin｜>", "<｜tool_call_begin｜>", "<｜tool calls begin｜>"),
    ),
    head=Lazy(_DEEPSEEK_HEAD.replace("?P<name>", "")),
    closers=("<｜tool▁call▁end｜>", "<｜tool_call_end｜>", "<｜tool call end｜>"),
    tails=("<｜tool▁calls▁end｜>", "<｜tool_calls_end｜>", "<｜tool calls end｜>"),
    parse=Named(Lazy(_DEEPSEEK_HEAD), Lazy(r"\s*(?:```)?\s*<｜tool[▁_ ]call[▁_ ]end｜>")),
)
KIMI_K2: Final = Syntax(
    name="kimi-k2",
    models="Kimi K2, K2 Thinking and K2.5",
    example="<|tool_calls_section_begin|><|tool_call_begin|>functions.get_time:0<|tool_call_argument_begin|>"
    '{"city": "Paris"}<|tool_call_end|><|tool_calls_section_end|>',
    names=models(r"kimi-?(?:k2|linear)|moonlight"),
    signs=("<|tool_calls_section_begin|>", "<|tool_call_begin|>"),
    openers=("<|tool_calls_section_begin|>", "<|tool_call_begin|>"),
    head=Lazy(
        r"(?:<\|tool_calls_section_begin\|>\s*)?<\|tool_call_begin\|>\s*(?:functions?[.:])?([\w./-]+)(?:[:<])"
    ),
    closers=("<|tool_call_end|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>"),
    tails=("<|tool_calls_section_end|>",),
    parse=Named(
        Lazy(_KIMI_HEAD),
        Lazy(r"\s*(?:<\|tool_call_end\|>|(?=<\|tool_call(?:s_section_end|_begin)\|>))"),
    ),
)
PLAMO: Final = Syntax(
    name="plamo",
    models="PLaMo 3",
    example="<|plamo:begin_tool_requests:plamo|><|plamo:begin_tool_request:plamo|><|plamo:begin_tool_name:plamo|>"
    'get_time<|plamo:end_tool_name:plamo|><|plamo:begin_tool_arguments:plamo|>{"city": "Paris"}'
    "<|plamo:end_tool_arguments:plamo|><|plamo:end_tool_request:plamo|><|plamo:end_tool_requests:plamo|>",
    names=models("plamo"),
    signs=("<|plamo:begin_tool_request",),
    openers=("<|plamo:begin_tool_requests:plamo|>", "<|plamo:begin_tool_request:plamo|>"),
    head=Lazy(_PLAMO_HEAD.replace("?P<name>", "")),
    closers=("<|plamo:end_tool_request:plamo|>",),
    tails=("<|plamo:end_tool_requests:plamo|>",),
    parse=Named(
        Lazy(_PLAMO_HEAD),
        Lazy(r"\s*<\|plamo:end_tool_arguments:plamo\|>\s*<\|plamo:end_tool_request:plamo\|>"),
    ),
)
MIRO: Final = Syntax(
    name="mcp-xml",
    models="MiroThinker",
    example="<use_mcp_tool>\n<server_name>clock</server_name>\n<tool_name>get_time</tool_name>\n<arguments>\n"
    '{"city": "Paris"}\n</arguments>\n</use_mcp_tool>',
    names=models("mirothinker"),
    signs=("<use_mcp_tool>",),
    openers=("<use_mcp_tool>",),
    heads=("<use_mcp_tool><server_name>", "<use_mcp_tool><tool_name>"),
    head=Lazy(_MIRO_HEAD.replace("?P<name>", "")),
    closers=("</use_mcp_tool>",),
    parse=Named(Lazy(_MIRO_HEAD), Lazy(r"\s*</arguments>\s*</use_mcp_tool>")),
)
FUNCTIONARY: Final = Syntax(
    name="functionary",
    models="Functionary 3.2",
    example='>>>get_time\n{"city": "Paris"}',
    names=models(r"functionary.*3\.2"),
    signs=(">>>all",),
    openers=(">>>",),
    looks=Lazy(r">>>[\w.:/-]*(?:\n.*)?", re.DOTALL),
    head=Lazy(rf">>>({NAME})\n"),
    closers=("}",),
    tails=(">>>all\n",),
    parse=Named(Lazy(rf">>>(?P<name>{NAME})\n\s*"), code=True),
    shy=True,
    begun=">>>",
)
