"""The rows whose models write a call as tags with named values inside."""

import re
from typing import Final

from msgspec.structs import replace

from understudy.stages.jsoncalls import Marked
from understudy.stages.syntax import NAME, Either, Lazy, Syntax, models
from understudy.stages.tagcalls import Tags

# --- <function=get_time><parameter=city>Paris</parameter></function> --------------------------------------------------

_OUTER: Final = r"(?:seed:)?tool_call>"
_FUNCTION: Final = Lazy(
    rf"""(?:<{_OUTER}\s*)?<function(?:\s*=|\s+name\s*=)\s*["']?([^>"'\n]+?)["']?\s*(?:>|(?=\n))"""
)
_PARAMETER: Final = r"param(?:eter)?"
_FUNCTION_TAGS: Final = Tags(
    call=_FUNCTION,
    begins=Lazy(rf"<function|<{_OUTER}"),
    end=Lazy("</function>"),
    outer_end=Lazy(f"</{_OUTER}"),
    value=Lazy(
        rf"""<{_PARAMETER}(?:\s*=\s*|\s+name\s*=\s*|\s+)["']?(?P<key>[^>"'\n]*?)["']?\s*(?:>|(?=\n))"""
    ),
    edge=Lazy(rf"<{_PARAMETER}(?:=|\s+name=)|(?P<end></{_PARAMETER}>)"),
    next=Lazy(r"\s*(?:</?(?:param|function|(?:seed:)?tool_call)|\Z)"),
    last_resort=Lazy(rf"(?P<end></{_PARAMETER}>)|\s*</function>|\s*</{_OUTER}"),
    framed=True,
)
QWEN_XML: Final = Syntax(
    name="qwen-xml",
    models="Qwen 3 Coder, Qwen 3.5, Nemotron 3, Step 3.5, MiMo V2; Functionary 3.1 (JSON inside)",
    example="<tool_call>\n<function=get_time>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
    names=models(r"qwen-?3-?coder|qwen-?3\.[5-9]|nemotron-?3|step-?3[.p][57]|mimo-?v2|functionary.*3\.1"),
    signs=("<function=", "<function name="),
    openers=("<tool_call>", "<function=", "<function name="),
    heads=("<tool_call><function", "<function=", "<functionname="),
    head=_FUNCTION,
    closers=("</function>", "</tool_call>"),
    tails=("</tool_call>",),
    parse=_FUNCTION_TAGS,
)
MINICPM: Final = Syntax(
    name="minicpm",
    models="MiniCPM 5",
    example='<function name="get_time"><param name="city">Paris</param></function>',
    names=models(r"minicpm-?5"),
    signs=('<param name="',),
    openers=("<function name=",),
    heads=("<functionname=",),
    head=_FUNCTION,
    closers=("</function>",),
    parse=replace(_FUNCTION_TAGS, framed=False, cdata=True),
)
SEED: Final = Syntax(
    name="seed",
    models="Seed-OSS",
    example="<seed:tool_call>\n<function=get_time>\n<parameter=city>Paris</parameter>\n</function>\n</seed:tool_call>",
    names=models(r"\bseed"),
    signs=("<seed:tool_call>",),
    openers=("<seed:tool_call>", "<function="),
    heads=("<seed:tool_call><function", "<function="),
    head=_FUNCTION,
    closers=("</function>", "</seed:tool_call>"),
    tails=("</seed:tool_call>",),
    parse=replace(_FUNCTION_TAGS, framed=False),
)

# --- <invoke name="get_time"><parameter name="city">Paris</parameter></invoke> ----------------------------------------

_SPACES: Final = ("", "｜DSML｜", "｜DSML｜ ", "｜GCML｜", "atem:", "steptml:")
_GROUPS: Final = (
    *("minimax:tool_call", "function_calls", "dots_function_call"),
    *(
        "｜DSML｜function_calls",
        "｜DSML｜tool_calls",
        "｜DSML｜ calls",
        "｜GCML｜tool_calls",
        "atem:function_calls",
    ),
)
_STEP: Final = (
    "<｜tool_calls_begin｜>",
    "<｜tool_call_begin｜>",
    "<｜tool_call_end｜>",
    "<｜tool_calls_end｜>",
)
_GROUP: Final = f"(?:{'|'.join(_GROUPS)})"
_BEFORE: Final = rf"(?:<{_GROUP}>\s*)?(?:(?:{_STEP[0]}\s*)?{_STEP[1]}\s*(?:[\w.-]*\s*<｜tool_sep｜>\s*)?)?"
_NAMED: Final = r"""\s+name=["']?([^"'>\n]+?)["']?\s*>"""


def _invoke_tags(space: str) -> Tags:
    """The tags of one family, which differ in a word before their names."""
    return Tags(
        call=Lazy(f"{_BEFORE}<{space}invoke{_NAMED}"),
        begins=Lazy(f"<{space}invoke"),
        end=Lazy(f"</{space}invoke>"),
        outer_end=Lazy(f"</{_GROUP}>|{_STEP[2]}"),
        value=Lazy(
            rf"""<{space}parameter\s+name=["']?(?P<key>[^"'>\n]*?)["']?"""
            r"""(?:\s+(?P<type>string(?==["']?true))?[^>\n]*)?>"""
        ),
        edge=Lazy(f"<{space}parameter\\s+name=|(?P<end></{space}parameter>)"),
        next=Lazy(rf"\s*(?:</?{space}(?:parameter|invoke)|</{_GROUP}|\Z)"),
        last_resort=Lazy(rf"(?P<end></{space}parameter>)|\s*</{space}invoke>|\s*</{_GROUP}>"),
    )


INVOKE: Final = Syntax(
    name="invoke",
    models="MiniMax M2, DeepSeek V3.2 and V4, GigaChat 3.5, Step 3, dots, Muse; models that copy Claude",
    example='<minimax:tool_call>\n<invoke name="get_time">\n<parameter name="city">Paris</parameter>\n</invoke>\n'
    "</minimax:tool_call>",
    names=models(r"minimax-?m2|deepseek-?v(?:3\.2|4)|gigachat-?3\.5|dots|step-?3\b(?!\.)|muse"),
    signs=(
        "<minimax:tool_call>",
        "DSML",
        "GCML",
        "<dots_function_call>",
        "<steptml:invoke",
        "<atem:function_calls>",
    ),
    openers=(
        *(f"<{space}invoke name=" for space in _SPACES),
        *(f"<{group}>" for group in _GROUPS),
        *_STEP[:2],
    ),
    looks=Lazy(
        rf"<{_GROUP}>\s*(?:<.*)?|<(?:{'|'.join(_SPACES)})invoke name=.*|{_STEP[0]}\s*(?:<.*)?|{_STEP[1]}.*",
        re.DOTALL,
    ),
    head=Lazy(f"{_BEFORE}<(?:{'|'.join(_SPACES)})invoke{_NAMED}"),
    closers=(*(f"</{space}invoke>" for space in _SPACES), *(f"</{group}>" for group in _GROUPS)),
    tails=(*(f"</{group}>" for group in _GROUPS), *_STEP[2:]),
    parse=Either(tuple(map(_invoke_tags, _SPACES))),
)

# --- <tool_call>get_time<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call> -------------------------------

_LABEL: Final = r"(?::\w+)?>"
_PAIRED: Final = Lazy(
    rf"(?:<tool_calls{_LABEL}\s*)?<tool_call{_LABEL}\s*({NAME})\s*(?:<tool_sep{_LABEL}\s*)?(?=<arg_key|</tool_call|<end_of|{{)"
)
_PAIR_TAGS: Final = Tags(
    call=_PAIRED,
    begins=Lazy("<tool_call"),
    end=Lazy(f"(?:</tool_call|<end_of_tool_call){_LABEL}"),
    outer_end=Lazy(f"</tool_calls{_LABEL}"),
    value=Lazy(rf"<arg_key{_LABEL}(?P<key>[^<]*)</arg_key{_LABEL}\s*<arg_value{_LABEL}"),
    edge=Lazy(f"<arg_key{_LABEL}|(?P<end></arg_value{_LABEL})"),
    next=Lazy(r"\s*(?:<arg_key|</tool_call|<end_of_tool_call|\Z)"),
    last_resort=Lazy(rf"(?P<end></arg_value{_LABEL})|\s*(?:</tool_call|<end_of_tool_call){_LABEL}"),
)
GLM: Final = Syntax(
    name="glm",
    models="GLM 4.5 to 5, Ling 3, Spark 2.5, Laguna, HyperCLOVA X SEED Think",
    example="<tool_call>get_time\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
    names=models(r"glm-?(?:4\.[5-9]|[5-9])|\bling-?3|\bring-?3|spark|laguna|hyperclova"),
    signs=("<arg_key>",),
    openers=("<tool_call>",),
    looks=Lazy(r"<tool_call>\s*[\w.:/-]*\s*(?:[<{].*)?", re.DOTALL),
    head=_PAIRED,
    closers=("</tool_call>",),
    parse=_PAIR_TAGS,
)
HUNYUAN: Final = Syntax(
    name="hunyuan",
    models="Hunyuan 3",
    example="<tool_calls>\n<tool_call>get_time<tool_sep>\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
    "</tool_call>\n</tool_calls>",
    names=models(r"\bhy-?[34]|hunyuan-?[34]"),
    signs=("<tool_sep",),
    openers=("<tool_calls>", "<tool_call>", "<tool_calls:opensource>", "<tool_call:opensource>"),
    looks=Lazy(
        rf"<tool_calls{_LABEL}\s*(?:<[\w:]*(?:>\s*[\w.:/-]*\s*(?:<.*)?)?)?|<tool_call{_LABEL}\s*[\w.:/-]*\s*(?:<.*)?",
        re.DOTALL,
    ),
    head=_PAIRED,
    closers=(
        *("</tool_call>", "</tool_call:opensource>", "<end_of_tool_call:opensource>", "<end_of_tool_call>"),
        *("</tool_calls>", "</tool_calls:opensource>"),
    ),
    tails=("</tool_calls>", "</tool_calls:opensource>"),
    parse=_PAIR_TAGS,
)
_IFM: Final = Lazy(
    rf"(?:<ifm\|tool_calls>\s*)?<ifm\|tool_call>\s*({NAME})\s*(?=<(?:ifm\|arg_key|/ifm\|tool_call)>)"
)
K2_HORIZON: Final = Syntax(
    name="k2-horizon",
    models="K2 Horizon",
    example="<ifm|tool_call>get_time\n<ifm|arg_key>city</ifm|arg_key>\n<ifm|arg_value>Paris</ifm|arg_value>\n"
    "</ifm|tool_call>",
    names=models("k2-?(?:horizon|v3)"),
    signs=("<ifm|tool_call>",),
    openers=("<ifm|tool_calls>", "<ifm|tool_call>"),
    head=_IFM,
    closers=("</ifm|tool_call>",),
    tails=("</ifm|tool_calls>",),
    parse=Either(
        (
            Tags(
                call=_IFM,
                begins=Lazy(r"<ifm\|tool_call>"),
                end=Lazy(r"</ifm\|tool_call>"),
                outer_end=Lazy(r"</ifm\|tool_calls>"),
                value=Lazy(
                    r"<ifm\|arg_key>(?P<key>[^<]*)</ifm\|arg_key>\s*"
                    r"(?:<ifm\|arg_type>(?P<type>[^<]*)</ifm\|arg_type>\s*)?<ifm\|arg_value>"
                ),
                edge=Lazy(r"<ifm\|arg_key>|(?P<end></ifm\|arg_value>)"),
                next=Lazy(r"\s*(?:<ifm\|arg_key>|</ifm\|tool_call>|\Z)"),
                last_resort=Lazy(r"(?P<end></ifm\|arg_value>)|\s*</ifm\|tool_call>"),
            ),
            Marked(
                Lazy(r"(?:<ifm\|tool_calls>\s*)?<ifm\|tool_call>\s*"),
                Lazy(r"\s*</ifm\|tool_call>"),
            ),
        )
    ),
)
_SOLAR: Final = Lazy(r"<\|tool_call:start\|>\s*([^\s<]+)\s*(?=<\|tool_)")
SOLAR: Final = Syntax(
    name="solar",
    models="Solar Open 2",
    example="<|tool_call:start|>get_time\n<|tool_arg:start|>city<|tool_arg:value|>Paris<|tool_arg:end|>\n"
    "<|tool_call:end|>",
    names=models("solar-?open"),
    signs=("<|tool_call:start|>",),
    openers=("<|tool_call:start|>",),
    head=_SOLAR,
    closers=("<|tool_call:end|>",),
    parse=Tags(
        call=_SOLAR,
        begins=Lazy(r"<\|tool_call:start\|>"),
        end=Lazy(r"<\|tool_call:end\|>"),
        outer_end=Lazy("(?!)"),
        value=Lazy(r"<\|tool_arg:start\|>(?P<key>[^<]*)<\|tool_arg:value\|>"),
        edge=Lazy(r"<\|tool_arg:start\|>|(?P<end><\|tool_arg:end\|>)"),
        next=Lazy(r"\s*(?:<\|tool_arg:start\|>|<\|tool_call:end\|>|\Z)"),
        last_resort=Lazy(r"(?P<end><\|tool_arg:end\|>)|\s*<\|tool_call:end\|>"),
    ),
)
_XTML: Final = Lazy(r'(?:<\|open\|>tools<\|sep\|>\s*)?<\|open\|>call tool="([^"<]+)"[^<]*<\|sep\|>')
KIMI_K3: Final = Syntax(
    name="kimi-k3",
    models="Kimi K3",
    example='<|open|>tools<|sep|><|open|>call tool="get_time" index="1"<|sep|><|open|>argument key="city" '
    'type="string"<|sep|>Paris<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>',
    names=models("kimi-?k3"),
    signs=("<|open|>",),
    openers=("<|open|>tools<|sep|>", "<|open|>call tool="),
    head=_XTML,
    closers=("<|close|>call<|sep|>", "<|close|>tools<|sep|>"),
    tails=("<|close|>tools<|sep|>", "<|close|>message<|sep|>", "<|end_of_msg|>"),
    parse=Tags(
        call=_XTML,
        begins=Lazy(r"<\|open\|>call"),
        end=Lazy(r"<\|close\|>call<\|sep\|>"),
        outer_end=Lazy(r"<\|close\|>tools<\|sep\|>"),
        value=Lazy(r'<\|open\|>argument key="(?P<key>[^"<]*)"(?:\s+type="(?P<type>[^"<]*)")?[^<]*<\|sep\|>'),
        edge=Lazy(r"<\|open\|>argument key=|(?P<end><\|close\|>argument<\|sep\|>)"),
        next=Lazy(r"\s*(?:<\|open\|>argument|<\|close\|>(?:call|tools)|\Z)"),
        last_resort=Lazy(r"(?P<end><\|close\|>argument<\|sep\|>)|\s*<\|close\|>(?:call|tools)<\|sep\|>"),
    ),
)
