"""Whole answers as the models of each family write them: reasoning, words and calls, through all stages."""
# ruff: noqa: E501 - what a model writes stands in one line

import itertools
import json
from collections import defaultdict

import msgspec
import pytest
from harness import legal
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.language.events import BlockStart, BlockStop, MessageStart, MessageStop, TextDelta
from understudy.language.message import collect
from understudy.language.request import Request, Text, Thinking, Tool, ToolUse
from understudy.language.target import Model
from understudy.stages.line import Line
from understudy.stages.reasoning import TAGS, WRAPPINGS
from understudy.stages.toolsyntax import ROWS

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "additionalProperties": False,
    }
).encode()
PYTHON = b'{"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}'
TOOLS = (Tool("get_time", schema=SCHEMA), Tool("get_weather", schema=SCHEMA), Tool("python", schema=PYTHON))
CHATML = "<|im_start|>assistant\n"
OPENED = f"{CHATML}<think>\n"
HERMES = '<tool_call>\n{"name": "get_time", "arguments": {"city": "Paris"}}\n</tool_call>'
XML = "<tool_call>\n<function=get_time>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>"
GLM = "<tool_call>get_time\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>"
DS = "｜"
R1 = (
    f"<{DS}tool▁calls▁begin{DS}><{DS}tool▁call▁begin{DS}>function<{DS}tool▁sep{DS}>get_time\n"
    f'```json\n{{"city": "Paris"}}\n```<{DS}tool▁call▁end{DS}><{DS}tool▁calls▁end{DS}>'
)
ARGS = '{"city": "Paris"}'
START = "<|start|>assistant"
NS = "]<]minimax[>["
TIME = ("get_time", {"city": "Paris"})
WEATHER = ("get_weather", {"city": "Bern", "days": 2})


def dsml(calls, blank=""):
    """V3.2 and V4; V4.1 has a blank before each word."""
    parameter = f'<｜DSML｜{blank}parameter name="city" string="true">Paris</｜DSML｜{blank}parameter>'
    inside = f'<｜DSML｜{blank}invoke name="get_time">\n{parameter}\n</｜DSML｜{blank}invoke>'
    return f"<｜DSML｜{calls}>\n{inside}\n</｜DSML｜{calls}>"


# model, the end of the prompt, what it writes -> thinking, text, calls
CASES = [
    ("qwen2.5", CHATML, f"I look.\n{HERMES}", "", "I look.\n", [TIME]),
    ("qwen2.5", CHATML, f"{HERMES}\n{HERMES.replace('Paris', 'Bern')}", "", "", [TIME, ("get_time", {"city": "Bern"})]),
    ("qwen3", CHATML, f"<think>\nhm\n</think>\n\n{HERMES}", "hm", "", [TIME]),
    ("qwq", OPENED, f"hm\n</think>\n\nI look.\n{HERMES}", "hm", "I look.\n", [TIME]),
    ("qwq", OPENED, "hm\n</think>\n\nNoon.", "hm", "Noon.", []),
    ("qwen3.5", OPENED, f"hm\n</think>\n\n{XML}", "hm", "", [TIME]),
    ("qwen3.5", OPENED, f"hm\n{XML}", "hm\n", "", [TIME]),
    ("qwen3.5", OPENED, XML, "", "", [TIME]),
    ("qwen3.5", OPENED, f"I could call {XML}, but no.\n</think>\n\nNoon.", f"I could call {XML}, but no.", "Noon.", []),
    ("qwen3.5", f"{OPENED}\n</think>\n\n", XML, "", "", [TIME]),
    ("qwen2.5-coder", CHATML, f"So:\n```json\n{HERMES[12:-13]}\n```", "", "So:\n", [TIME]),
    ("qwen2.5-coder", CHATML, f"<tools>{HERMES[12:-13]}</tools>", "", "", [TIME]),
    ("hermes-3", CHATML, '{"name": "get_time", "arguments": {"city": "Paris"}}', "", "", [TIME]),
    ("ernie-4.5", OPENED, f"hm\n</think>\n\n\n<response>\nNoon.\n</response>\n{HERMES}", "hm", "Noon.", [TIME]),
    ("hunyuan-a13b", "", "<think>\nhm\n</think>\n<answer>\nNoon.\n</answer>", "hm", "Noon.", []),
    ("hunyuan-a13b", "", f'I look. <tool_calls>[{{"name": "get_time", "arguments": {ARGS}}}]</tool_calls>', "", "I look. ", [TIME]),
    ("hunyuan-a13b", "", f'<think>hm</think><answer><tool_calls>[{{"name": "get_time", "arguments": {ARGS}}}]</tool_calls></answer>', "hm", "", [TIME]),
    ("glm-4.6", "<|assistant|>\n", f"<think>hm</think>\nI look.\n{GLM}", "hm", "I look.\n", [TIME]),
    ("glm-4.6", "<|assistant|>\n<think></think>\n", f"{GLM}\n{GLM}", "", "", [TIME, TIME]),
    ("glm-4.7", "<|assistant|><think>", f"hm</think>{GLM}", "hm", "", [TIME]),
    ("ling-3.0", "<role>ASSISTANT</role>\n<think>", f"hm{GLM}\nSo.", "hm", "\nSo.", [TIME]),
    ("seed-oss", "<seed:bos>assistant\n", ("<seed:think>hm</seed:think>I look.\n<seed:tool_call>\n<function=get_time>\n"
     "<parameter=city>Paris</parameter>\n</function>\n</seed:tool_call>"), "hm", "I look.\n", [TIME]),
    ("minimax-m2", "]~b]ai\n<think>\n", ('hm\n</think>\n\n<minimax:tool_call>\n<invoke name="get_time">\n<parameter name="city">'
     'Paris</parameter>\n</invoke>\n<invoke name="get_weather">\n<parameter name="city">Bern</parameter>\n'
     '<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>'), "hm", "", [TIME, WEATHER]),
    ("minimax-m3", "]~b]ai\n", (f'<mm:think>hm</mm:think>I look.{NS}<tool_call>\n{NS}<invoke name="get_time">{NS}<city>Paris{NS}</city>'
     f'{NS}</invoke>\n{NS}<invoke name="get_weather">{NS}<city>Bern{NS}</city>{NS}<days>2{NS}</days>{NS}</invoke>\n{NS}</tool_call>'),
     "hm", "I look.", [TIME, WEATHER]),
    ("minimax-m1", "", f'<tool_calls>\n{{"name": "get_time", "arguments": {ARGS}}}\n</tool_calls>', "", "", [TIME]),
    ("deepseek-r1", "<｜Assistant｜><think>\n", f"hm\n</think>\n\nI look.\n{R1}", "hm", "I look.\n", [TIME]),
    ("deepseek-v3.2", "<｜Assistant｜><think>", f"hm</think>\n\n{dsml('function_calls')}", "hm", "", [TIME]),
    ("deepseek-v3.2", "<｜Assistant｜><think>", f"hm\n\n{dsml('function_calls')}", "hm\n\n", "", [TIME]),
    ("deepseek-v4", "<｜Assistant｜></think>", f"I look.\n\n{dsml('tool_calls')}", "", "I look.\n\n", [TIME]),
    ("deepseek-v4", "<｜Assistant｜></think>", dsml(" calls", " "), "", "", [TIME]),
    ("kimi-k2", "<|im_middle|>", (f"I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.get_time:0<|tool_call_argument_begin|>{ARGS}"
     "<|tool_call_end|><|tool_calls_section_end|>"), "", "I look.", [TIME]),
    ("kimi-k2", "<|im_middle|>", (f"<think>hm<|tool_calls_section_begin|><|tool_call_begin|>functions.get_time:0<|tool_call_argument_begin|>{ARGS}"
     "<|tool_call_end|><|tool_calls_section_end|>"), "hm", "", [TIME]),
    ("kimi-k2", "<|im_middle|>", f"<|tool_call_begin|>functions.get_time:0<|tool_call_argument_begin|>{ARGS}", "", "", [TIME]),
    ("kimi-k3", '<|open|>message role="assistant"<|sep|><|open|>think<|sep|>', ("hm<|close|>think<|sep|><|open|>response<|sep|>I look."
     '<|close|>response<|sep|><|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>argument key="city" type="string"'
     '<|sep|>Bern<|close|>argument<|sep|><|open|>argument key="days" type="number"<|sep|>2<|close|>argument<|sep|><|close|>call<|sep|>'
     "<|close|>tools<|sep|><|close|>message<|sep|><|end_of_msg|>"), "hm", "I look.", [WEATHER]),
    ("kimi-k3", "<|open|>think<|sep|>", "hm<|open|>response<|sep|>Noon.<|close|>response<|sep|><|close|>message<|sep|>", "hm", "Noon.", []),
    ("gpt-oss", START, f"<|channel|>analysis<|message|>hm<|end|>{START}<|channel|>final<|message|>Noon.<|return|>", "hm", "Noon.", []),
    ("gpt-oss", START, (f"<|channel|>analysis<|message|>hm<|end|>{START}<|channel|>commentary<|message|>I look.<|end|>{START}"
     f"<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{ARGS}<|call|>"), "hm", "I look.", [TIME]),
    ("gpt-oss", START, f" to=functions.get_time<|channel|>commentary <|constrain|>json<|message|>{ARGS}", "", "", [TIME]),
    ("gpt-oss", START, "analysisWe look.assistantfinalNoon.", "We look.", "Noon.", []),
    ("gpt-oss", START, f"analysisWe look.assistantcommentary to=functions.get_time json{ARGS}", "We look.", "", [TIME]),
    ("gpt-oss", START, f" to=functions.get_timecommentary json{ARGS}", "", "", [TIME]),
    ("muse", START, (f' to=self<|message|>hm<|eom|>{START} to=get_time<|message|><atem:function_calls>\n<atem:invoke name="get_time">\n'
     '<atem:parameter name="city">Paris</atem:parameter>\n</atem:invoke>\n</atem:function_calls>'), "hm", "", [TIME]),
    ("muse", START, (f' to=user<|message|>Noon.<|eom|>{START} to=get_time<|message|><atem:function_calls>\n<atem:invoke name="get_time">\n'
     '<atem:parameter name="city">Paris</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eot|>'), "", "Noon.", [TIME]),
    ("mistral-nemo", "", f'I look. [TOOL_CALLS][{{"name": "get_time", "arguments": {ARGS}, "id": "123456789"}}]', "", "I look. ", [TIME]),
    ("magistral", "", f"[THINK]hm[/THINK]I look.[TOOL_CALLS]get_time[ARGS]{ARGS}", "hm", "I look.", [TIME]),
    ("mistral-small-3.2", "", f"[TOOL_CALLS]get_time[CALL_ID]123456789[ARGS]{ARGS}[TOOL_CALLS]get_time[CALL_ID]abcdefghi[ARGS]{ARGS}",
     "", "", [TIME, TIME]),
    ("llama3.2", "", f'{{"name": "get_time", "parameters": {ARGS}}}', "", "", [TIME]),
    ("llama3.1", "", f'<|python_tag|>{{"name": "get_time", "parameters": {ARGS}}}<|eom_id|>', "", "", [TIME]),
    ("llama3.1", "", '<|python_tag|>get_time.call(city="Paris")', "", "", [TIME]),
    ("llama3.1", "", "<|python_tag|>print(1)\n", "", "", [("python", {"code": "print(1)\n"})]),
    ("llama3.1", "", f"<function=get_time>{ARGS}</function>", "", "", [TIME]),
    ("llama-4", "", '[get_time(city="Paris"), get_weather(city="Bern", days=2)]', "", "", [TIME, WEATHER]),
    ("functionary-v3.2", "\n\n>>>", "all\nNoon.", "", "Noon.", []),
    ("functionary-v3.2", "\n\n>>>", f"all\nI look.>>>get_time\n{ARGS}", "", "I look.", [TIME]),
    ("functionary-v3.2", "\n\n>>>", f'get_time\n{ARGS}\n>>>get_weather\n{{"city": "Bern", "days": 2}}', "", "", [TIME, WEATHER]),
    ("functionary-v3.2", "\n\n>>>", "python\nprint('x')", "", "", [("python", {"code": "print('x')"})]),
    ("command-r7b", "", (f'<|START_THINKING|>hm<|END_THINKING|><|START_ACTION|>[\n    {{"tool_call_id": "0", "tool_name": "get_time", '
     f'"parameters": {ARGS}}}\n]<|END_ACTION|>'), "hm", "", [TIME]),
    ("command-r7b", "", "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Noon.<|END_RESPONSE|>", "hm", "Noon.", []),
    ("command-r-plus", "", f'Plan: I look.\nAction:\n```json\n[\n    {{"tool_name": "get_time", "parameters": {ARGS}}}\n]\n```', "", "Plan: I look.\n", [TIME]),
    ("north-code", "<|CHATBOT_TOKEN|><|START_THINKING|>", "hm<|START_TEXT|>Noon.<|END_TEXT|><|END_OF_TURN_TOKEN|>", "hm", "Noon.", []),
    ("granite-3.3", "", "<think>hm</think><response>Noon.</response>", "hm", "Noon.", []),
    ("granite-3.2", "", "Here is my thought process: hm\n\nHere is my response: Noon.", "hm", " Noon.", []),
    ("granite-3.1", "", f'<|tool_call|>[{{"name": "get_time", "arguments": {ARGS}}}]', "", "", [TIME]),
    ("granite-20b-functioncalling", "", (f'<function_call> {{"name": "get_time", "arguments": {ARGS}}} <function_call> {{"name": "get_time", '
     f'"arguments": {ARGS}}}'), "", "", [TIME, TIME]),
    ("apertus", "", f'<|inner_prefix|>hm<|inner_suffix|>I look.<|tools_prefix|>[{{"get_time": {ARGS}}}]<|tools_suffix|>', "hm", "I look.", [TIME]),
    ("apriel-1.5", "<|assistant|>\n", f'<tool_calls>[{{"name": "get_time", "arguments": {ARGS}}}]</tool_calls>', "", "", [TIME]),
    ("apriel-1.6", "<|begin_assistant|>\nHere are my reasoning steps:\n", (f'hm\n[BEGIN FINAL RESPONSE]\n<tool_calls>[{{"name": "get_time", '
     f'"arguments": {ARGS}}}]</tool_calls>'), "Here are my reasoning steps:\nhm", "", [TIME]),
    ("nemotron-nano-v2", "<think>\n", f'hm\n</think>\n\nI look.\n<TOOLCALL>[{{"name": "get_time", "arguments": {ARGS}}}]</TOOLCALL>', "hm", "I look.\n", [TIME]),
    ("gemma-4", "<|turn>model\n", '<|channel>thought\nhm<channel|>I look.<|tool_call>call:get_weather{city:<|"|>Bern<|"|>,days:2}<tool_call|>',
     "hm", "I look.", [WEATHER]),
    ("lfm2.5", CHATML, '<think>hm</think>I look.<|tool_call_start|>[get_time(city="Paris")]<|tool_call_end|>', "hm", "I look.", [TIME]),
    ("lfm2", CHATML, '[get_time(city="Paris")]', "", "", [TIME]),
    ("olmo-3", CHATML, '<think>hm</think><function_calls>\nget_time(city="Paris")\n</function_calls>', "hm", "", [TIME]),
    ("gigachat3", "assistant<|role_sep|>\n", f'I look.<|message_sep|>\n\nfunction call<|role_sep|>\n{{"name": "get_time", "arguments": {ARGS}}}',
     "", "I look.", [TIME]),
    ("internlm2", "", f'I look.<|action_start|><|plugin|>\n{{"name": "get_time", "parameters": {ARGS}}}<|action_end|>', "", "I look.", [TIME]),
    ("longcat", "", f'<longcat_think>hm</longcat_think><longcat_tool_call>{{"name": "get_time", "arguments": {ARGS}}}</longcat_tool_call>', "hm", "", [TIME]),
    ("phi-4-mini", "", f'functools[{{"name": "get_time", "arguments": {ARGS}}}]', "", "", [TIME]),
    ("firefunction-v2", "", f' functools[{{"name": "get_time", "arguments": {ARGS}}}]', "", "", [TIME]),
    ("jamba", "", f' <tool_calls>[\n    {{"name": "get_time", "arguments": {ARGS}}}\n]</tool_calls>', "", "", [TIME]),
    ("xlam", "", f'<think>hm</think>[{{"name": "get_time", "arguments": {ARGS}}}]', "hm", "", [TIME]),
    ("xlam", "", f'I look.\n```json\n[{{"name": "get_time", "arguments": {ARGS}}}]\n```', "", "I look.\n", [TIME]),
    ("step3", "", ('I look.<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="get_time"><steptml:parameter '
     'name="city">Paris</steptml:parameter></steptml:invoke><｜tool_call_end｜><｜tool_calls_end｜>'), "", "I look.", [TIME]),
    ("mirothinker", OPENED, (f"hm\n</think>\n\n<use_mcp_tool>\n<server_name>clock</server_name>\n<tool_name>get_time</tool_name>\n<arguments>\n"
     f"{ARGS}\n</arguments>\n</use_mcp_tool>"), "hm", "", [TIME]),
    ("minicpm5", CHATML, '<function name="get_time"><param name="city">Paris</param></function>', "", "", [TIME]),
    ("solar-open2", "<|im:content|><|think:start|>", ("hm<|think:end|>I look.\n<|tool_call:start|>get_time\n<|tool_arg:start|>city"
     "<|tool_arg:value|>Paris<|tool_arg:end|>\n<|tool_call:end|>"), "hm", "I look.\n", [TIME]),
    ("inkling", "", ("<|message_model|><|content_thinking|>hm<|end_message|><|message_model|><|content_text|>I look.<|end_message|>"
     f'<|message_model|>get_time<|content_invoke_tool_json|>{{"name":"get_time","args":{ARGS}}}<|end_message|><|content_model_end_sampling|>'),
     "hm", "I look.", [TIME]),
]  # fmt: skip


def answer(model, prompt_end, words, cuts):
    """The message that the client gets; its ids are counted by their kind, so that they do not tell of cuts."""
    counts = defaultdict(itertools.count)
    line = Line(
        Request("m", (), tools=TOOLS),
        Model(model),
        "auto",
        tools=True,
        raw=True,
        new_id=lambda prefix: f"{prefix}{next(counts[prefix])}",
        prompt_end=prompt_end,
    )
    edges = sorted({0, len(words), *cuts})
    deltas = [TextDelta(words[a:b]) for a, b in itertools.pairwise(edges)]
    events = [MessageStart("m"), BlockStart("text"), *deltas, BlockStop(), MessageStop("end_turn")]
    return collect(legal([*line.feed(events), *line.close()]))


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)])
def test_answers(case):
    model, prompt_end, words, thinking, text, calls = case
    for cuts in ((), range(len(words)), *([cut] for cut in range(1, len(words)))):
        blocks = answer(model, prompt_end, words, cuts).blocks
        assert "".join(block.text for block in blocks if isinstance(block, Thinking)) == thinking, cuts
        assert "".join(block.text for block in blocks if isinstance(block, Text)) == text, cuts
        assert [
            (block.name, msgspec.json.decode(block.input)) for block in blocks if isinstance(block, ToolUse)
        ] == calls, cuts


MARKS = [mark for row in (*TAGS, *WRAPPINGS) for mark in (row.opener, row.closer) if mark]
HEADERS = [
    "<|channel|>analysis<|message|>",
    "<|channel|>final<|message|>",
    "<|start|>assistant",
    "<|end|>",
    " to=functions.get_time",
    "analysis",
    "assistantfinal",
]
WORDS = ["a", "Hi there.", "\n", " ", "<", "`", "```json\n", "```", "{", "[", "}"]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(MARKS),
        st.sampled_from([row.example for row in ROWS]),
        st.sampled_from(HEADERS),
        st.sampled_from(WORDS),
    ),
    max_size=7,
).map("".join)


@settings(deadline=None)
@given(
    st.sampled_from(["m", "gpt-oss", "granite-3.2", "gemma-4", "functionary-3.2", "xlam"]),
    st.sampled_from(["", "<think>\n", START, ">>>", "<|START_THINKING|>"]),
    TEXTS,
    st.lists(st.integers(0, 1500), max_size=8),
)
def test_cuts_do_not_matter(model, prompt_end, words, cuts):
    inside = [cut % (len(words) + 1) for cut in cuts]
    assert answer(model, prompt_end, words, inside) == answer(model, prompt_end, words, ())
    assert answer(model, prompt_end, words, range(len(words))) == answer(model, prompt_end, words, ())
