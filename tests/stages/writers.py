"""How the models of each row write calls: what their templates render, as functions of (name, arguments) pairs."""

import json
from itertools import count

DS = "｜"


def dumps(value):
    return json.dumps(value, ensure_ascii=False)


def raw(value):
    """Text as it is, anything else as JSON: what templates write between tags."""
    return value if isinstance(value, str) else dumps(value)


def named(calls, arguments="arguments"):
    return [dumps({"name": name, arguments: args}) for name, args in calls]


def listed(opener, closer="", arguments="arguments"):
    return lambda calls: f"{opener}[{', '.join(named(calls, arguments))}]{closer}"


def each(opener, closer, between="\n", arguments="arguments"):
    return lambda calls: between.join(f"{opener}{one}{closer}" for one in named(calls, arguments))


def cohere(calls):
    rows = [
        dumps({"tool_call_id": str(place), "tool_name": name, "parameters": args})
        for place, (name, args) in enumerate(calls)
    ]
    return "[\n    " + ",\n    ".join(rows) + "\n]"


def tagged(call, pair, end, outer=("", ""), between="\n"):
    """Tags with named values inside."""

    def write(calls):
        number = count(1)
        bodies = [
            call.format(name=name, number=next(number))
            + "".join(pair(key, value) for key, value in args.items())
            + end
            for name, args in calls
        ]
        return outer[0] + between.join(bodies) + outer[1]

    return write


def parameter(key, value):
    return f"<parameter={key}>\n{raw(value)}\n</parameter>\n"


def named_parameter(space):
    return lambda key, value: f'<{space}parameter name="{key}">{raw(value)}</{space}parameter>\n'


def dsml(key, value):
    told = "true" if isinstance(value, str) else "false"
    return f'<｜DSML｜parameter name="{key}" string="{told}">{raw(value)}</｜DSML｜parameter>\n'


def pair(key, value):
    return f"<arg_key>{key}</arg_key>\n<arg_value>{raw(value)}</arg_value>\n"


def xtml(key, value):
    told = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}[
        type(value)
    ]
    return f'<|open|>argument key="{key}" type="{told}"<|sep|>{raw(value)}<|close|>argument<|sep|>'


def python(value):
    return repr(value)


def pythonic(calls):
    return [
        f"{name}({', '.join(f'{key}={python(value)}' for key, value in args.items())})"
        for name, args in calls
    ]


def gemma(quote):
    def write(value):
        match value:
            case str():
                return quote + value + quote
            case dict():
                return "{" + ",".join(f"{key}:{write(inner)}" for key, inner in value.items()) + "}"
            case list():
                return "[" + ",".join(map(write, value)) + "]"
            case _:
                return dumps(value)

    return write


def nested(token):
    def write(value):
        match value:
            case dict():
                return "".join(f"{token}<{key}>{write(inner)}{token}</{key}>" for key, inner in value.items())
            case list():
                return "".join(f"{token}<item>{write(inner)}{token}</item>" for inner in value)
            case _:
                return raw(value)

    def calls_of(calls):
        body = "".join(
            f'{token}<invoke name="{name}">{write(args)}{token}</invoke>\n' for name, args in calls
        )
        return f"{token}<tool_call>\n{body}{token}</tool_call>"

    return calls_of


def kimi(calls):
    inside = "".join(
        f"<|tool_call_begin|>functions.{name}:{place}<|tool_call_argument_begin|>{dumps(args)}<|tool_call_end|>"
        for place, (name, args) in enumerate(calls)
    )
    return f"<|tool_calls_section_begin|>{inside}<|tool_calls_section_end|>"


def deepseek(calls):
    inside = "\n".join(
        f"<{DS}tool▁call▁begin{DS}>function<{DS}tool▁sep{DS}>{name}\n```json\n{dumps(args)}\n```<{DS}tool▁call▁end{DS}>"
        for name, args in calls
    )
    return f"<{DS}tool▁calls▁begin{DS}>{inside}<{DS}tool▁calls▁end{DS}>"


def deepseek31(calls):
    inside = "".join(
        f"<{DS}tool▁call▁begin{DS}>{name}<{DS}tool▁sep{DS}>{dumps(args)}<{DS}tool▁call▁end{DS}>"
        for name, args in calls
    )
    return f"<{DS}tool▁calls▁begin{DS}>{inside}<{DS}tool▁calls▁end{DS}>"


def plamo(calls):
    def tag(name, inside):
        return f"<|plamo:begin_{name}:plamo|>{inside}<|plamo:end_{name}:plamo|>"

    return tag(
        "tool_requests",
        "".join(
            tag("tool_request", tag("tool_name", name) + tag("tool_arguments", dumps(args)))
            for name, args in calls
        ),
    )


def mcp(calls):
    return "\n".join(
        f"<use_mcp_tool>\n<server_name>s</server_name>\n<tool_name>{name}</tool_name>\n<arguments>\n{dumps(args)}\n"
        "</arguments>\n</use_mcp_tool>"
        for name, args in calls
    )


def step3(calls):
    def call(name, args):
        inside = "".join(
            f'<steptml:parameter name="{key}">{raw(value)}</steptml:parameter>' for key, value in args.items()
        )
        body = f'<steptml:invoke name="{name}">{inside}</steptml:invoke>'
        return f"<{DS}tool_call_begin{DS}>function<{DS}tool_sep{DS}>{body}<{DS}tool_call_end{DS}>"

    return f"<{DS}tool_calls_begin{DS}>" + "".join(call(*one) for one in calls) + f"<{DS}tool_calls_end{DS}>"


def ifm(calls):
    def call(name, args):
        inside = "".join(
            f"<ifm|arg_key>{key}</ifm|arg_key>\n<ifm|arg_value>{raw(value)}</ifm|arg_value>\n"
            for key, value in args.items()
        )
        return f"<ifm|tool_call>{name}\n{inside}</ifm|tool_call>"

    return "<ifm|tool_calls>\n" + "\n".join(call(*one) for one in calls) + "\n</ifm|tool_calls>"


FUNCTION = ("<function={name}>\n", parameter, "</function>")

WRITERS = {
    "hermes": {
        "template": each("<tool_call>\n", "\n</tool_call>"),
        "tight": each("<tool_call>", "</tool_call>", ""),
        "list": listed("<tool_call>\n", "\n</tool_call>"),
        "tools": each("<tools>\n", "\n</tools>"),
    },
    "qwen-xml": {
        "template": lambda calls: "\n".join(
            f"<tool_call>\n{tagged(*FUNCTION)([one])}\n</tool_call>" for one in calls
        ),
        "bare": tagged(*FUNCTION),
        "json": lambda calls: "".join(f"<function={name}>{dumps(args)}</function>" for name, args in calls),
    },
    "minicpm": {
        "template": tagged(
            '<function name="{name}">',
            lambda key, value: f'<param name="{key}">{raw(value)}</param>',
            "</function>",
        )
    },
    "seed": {
        "template": tagged(
            "<function={name}>\n",
            lambda key, value: f"<parameter={key}>{raw(value)}</parameter>\n",
            "</function>",
            ("<seed:tool_call>\n", "\n</seed:tool_call>"),
        )
    },
    "glm": {
        "template": tagged("<tool_call>{name}\n", pair, "</tool_call>"),
        "tight": tagged(
            "<tool_call>{name}",
            lambda key, value: f"<arg_key>{key}</arg_key><arg_value>{raw(value)}</arg_value>",
            "</tool_call>",
            between="",
        ),
    },
    "hunyuan": {
        "template": tagged(
            "<tool_call>{name}<tool_sep>\n", pair, "</tool_call>", ("<tool_calls>\n", "\n</tool_calls>")
        ),
        "labelled": tagged(
            "<tool_call:opensource>{name}<tool_sep:opensource>\n",
            lambda key, value: (
                f"<arg_key:opensource>{key}</arg_key:opensource>\n"
                f"<arg_value:opensource>{raw(value)}</arg_value:opensource>\n"
            ),
            "</tool_call:opensource>",
            ("<tool_calls:opensource>\n", "\n</tool_calls:opensource>"),
        ),
    },
    "invoke": {
        "minimax": tagged(
            '<invoke name="{name}">\n',
            named_parameter(""),
            "</invoke>",
            ("<minimax:tool_call>\n", "\n</minimax:tool_call>"),
        ),
        "claude": tagged(
            '<invoke name="{name}">\n',
            named_parameter(""),
            "</invoke>",
            ("<function_calls>\n", "\n</function_calls>"),
        ),
        "bare": tagged('<invoke name="{name}">\n', named_parameter(""), "</invoke>"),
        "deepseek 3.2": tagged(
            '<｜DSML｜invoke name="{name}">\n',
            dsml,
            "</｜DSML｜invoke>",
            ("<｜DSML｜function_calls>\n", "\n</｜DSML｜function_calls>"),
        ),
        "deepseek 4": tagged(
            '<｜DSML｜invoke name="{name}">\n',
            dsml,
            "</｜DSML｜invoke>",
            ("<｜DSML｜tool_calls>\n", "\n</｜DSML｜tool_calls>"),
        ),
        "gigachat 3.5": tagged(
            '<｜GCML｜invoke name="{name}">\n',
            named_parameter("｜GCML｜"),
            "</｜GCML｜invoke>",
            ("<｜GCML｜tool_calls>\n", "\n</｜GCML｜tool_calls>"),
        ),
        "dots": tagged(
            '<invoke name="{name}">\n',
            named_parameter(""),
            "</invoke>",
            ("<dots_function_call>\n", "\n</dots_function_call>"),
        ),
        "muse": tagged(
            '<atem:invoke name="{name}">\n',
            named_parameter("atem:"),
            "</atem:invoke>",
            ("<atem:function_calls>\n", "\n</atem:function_calls>"),
        ),
        "step 3": step3,
    },
    "minimax-m3": {"template": nested("]<]minimax[>["), "tokens left out": nested("")},
    "mistral": {
        "old": listed("[TOOL_CALLS] "),
        "new": lambda calls: "".join(f"[TOOL_CALLS]{name}[ARGS]{dumps(args)}" for name, args in calls),
        "with ids": lambda calls: "".join(
            f"[TOOL_CALLS]{name}[CALL_ID]12345678{place}[ARGS]{dumps(args)}"
            for place, (name, args) in enumerate(calls)
        ),
        "tokens left out": lambda calls: "".join(f"[TOOL_CALLS]{name}{dumps(args)}" for name, args in calls),
    },
    "deepseek": {"r1": deepseek, "v3.1": deepseek31},
    "kimi-k2": {"template": kimi},
    "kimi-k3": {
        "template": tagged(
            '<|open|>call tool="{name}" index="{number}"<|sep|>',
            xtml,
            "<|close|>call<|sep|>",
            ("<|open|>tools<|sep|>", "<|close|>tools<|sep|>"),
            "",
        )
    },
    "k2-horizon": {"xml": ifm, "json": each("<ifm|tool_call>", "</ifm|tool_call>")},
    "solar": {
        "template": tagged(
            "<|tool_call:start|>{name}\n",
            lambda key, value: f"<|tool_arg:start|>{key}<|tool_arg:value|>{raw(value)}<|tool_arg:end|>\n",
            "<|tool_call:end|>",
        )
    },
    "plamo": {"template": plamo},
    "mcp-xml": {"template": mcp},
    "functionary": {"template": lambda calls: "\n".join(f">>>{name}\n{dumps(args)}" for name, args in calls)},
    "harmony": {
        "in the channel": lambda calls: "<|start|>assistant".join(
            f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{dumps(args)}<|call|>"
            for name, args in calls
        )
    },
    "gemma4": {
        "template": lambda calls: "".join(
            f"<|tool_call>call:{name}{gemma('<|' + chr(34) + '|>')(args)}<tool_call|>" for name, args in calls
        )
    },
    "functiongemma": {
        "template": lambda calls: "".join(
            f"<start_function_call>call:{name}{gemma('<escape>')(args)}<end_function_call>"
            for name, args in calls
        )
    },
    "lfm2": {
        "template": lambda calls: f"<|tool_call_start|>[{', '.join(pythonic(calls))}]<|tool_call_end|>",
        "json": listed("<|tool_call_start|>", "<|tool_call_end|>"),
    },
    "llama4": {"template": lambda calls: f"<|python_start|>[{', '.join(pythonic(calls))}]<|python_end|>"},
    "olmo3": {
        "template": lambda calls: "<function_calls>\n" + "\n".join(pythonic(calls)) + "\n</function_calls>"
    },
    "llama": {
        "tagged": each("<|python_tag|>", "", "; ", "parameters"),
        "bare": each("", "", "; ", "parameters"),
    },
    "cohere": {"template": lambda calls: f"<|START_ACTION|>{cohere(calls)}<|END_ACTION|>"},
    "command-r": {"template": lambda calls: f"Action:\n```json\n{cohere(calls)}\n```"},
    "granite": {
        "template": listed("<|tool_call|>"),
        "phi": listed("<|tool_call|>", "<|/tool_call|>"),
        "20b": each("<function_call> ", "", ""),
    },
    "functools": {"template": listed("functools")},
    "nemotron": {"template": listed("<TOOLCALL>", "</TOOLCALL>")},
    "tool-calls": {
        "list": listed("<tool_calls>", "</tool_calls>"),
        "rows": lambda calls: "<tool_calls>\n" + "\n".join(named(calls)) + "\n</tool_calls>",
    },
    "apertus": {
        "template": lambda calls: (
            f"<|tools_prefix|>[{', '.join(dumps({name: args}) for name, args in calls)}]<|tools_suffix|>"
        )
    },
    "gigachat": {
        "3": each("<|message_sep|>\n\nfunction call<|role_sep|>\n", "", ""),
        "3, separator left out": each("function call<|role_sep|>\n", "", "<|message_sep|>\n\n"),
        "3.1": each("<|function_call|>", "", ""),
    },
    "longcat": {"template": each("<longcat_tool_call>\n", "\n</longcat_tool_call>")},
    "internlm": {
        "template": each("<|action_start|><|plugin|>\n", "<|action_end|>", "\n", "parameters"),
    },
    "inkling": {
        "template": lambda calls: "".join(
            f"<|message_model|>{name}<|content_invoke_tool_json|>{dumps({'name': name, 'args': args})}<|end_message|>"
            for name, args in calls
        )
    },
    "pangu": {"template": listed("[unused11]", "[unused12]")},
    "hyperclova": {"template": listed(" -> tool/function_call\n")},
    "xlam": {"fence": listed("```json\n", "\n```"), "bare": listed("")},
    "fenced": {"template": lambda calls: "```json\n" + "\n".join(named(calls)) + "\n```"},
    "pythonic": {"template": lambda calls: f"[{', '.join(pythonic(calls))}]"},
    "json": {
        "object": each("", ""),
        "list": listed(""),
        "openai": lambda calls: dumps(
            [{"type": "function", "function": {"name": name, "arguments": args}} for name, args in calls]
        ),
    },
}
"""By row, the ways in which its models write."""
