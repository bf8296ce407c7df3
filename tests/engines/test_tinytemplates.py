"""What llama.cpp's own template engine makes of the templates."""

import httpx
import pytest

from understudy.engines.child import LlamaChild
from understudy.engines.tinygguf import write_scripted
from understudy.engines.tinytemplates import TEMPLATES
from understudy.engines.worker import WorkerSettings

TOOL = {
    "type": "function",
    "function": {"name": "Read", "description": "d", "parameters": {"type": "object"}},
}
CALL = {"id": "x", "type": "function", "function": {"name": "Read", "arguments": '{"b": 1, "a": "<é>"}'}}
MESSAGES = [
    {"role": "system", "content": "SYS"},
    {"role": "user", "content": "U1"},
    {"role": "assistant", "content": "A1", "reasoning_content": "T1", "tool_calls": [CALL, CALL]},
    {"role": "tool", "tool_call_id": "x", "content": "R1"},
    {"role": "tool", "tool_call_id": "x", "content": "R2"},
    {"role": "system", "content": "MID"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "x", "content": "R3"},
    {"role": "user", "content": "U2"},
]
THOUGHT = "<think>\nT1\n</think>\n\n"
HERMES = '<tool_call>\n{"name": "Read", "arguments": {"b": 1, "a": "<é>"}}\n</tool_call>'
XML = "<tool_call>\n<function=Read>\n<parameter=b>\n1\n</parameter>\n<parameter=a>\n<é>\n</parameter>\n"
XML += "</function>\n</tool_call>"


def conversation(call):
    return (
        "<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n"
        f"<|im_start|>assistant\n{THOUGHT}A1\n{call}\n{call}<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\nR1\n</tool_response>\n<tool_response>\nR2\n</tool_response><|im_end|>\n"
        "<|im_start|>system\nMID<|im_end|>\n"
        f"<|im_start|>assistant\n{call}<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\nR3\n</tool_response><|im_end|>\n"
        "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(("template", "call"), [("hermes", HERMES), ("qwen-xml", XML)])
async def test_tools_calls_and_results_are_rendered(tmp_path, template, call):
    write_scripted(tmp_path / "s.gguf", ["Hi."], template=template)
    async with (
        LlamaChild(WorkerSettings(model=str(tmp_path / "s.gguf"), key="k")) as child,
        httpx.AsyncClient() as http,
    ):

        async def render(**body):
            headers = {"Authorization": "Bearer k"}
            reply = await http.post(f"{child.url}/apply-template", json=body, headers=headers)
            return reply.json()["prompt"]

        with_tools = await render(messages=MESSAGES, tools=[TOOL])
        assert with_tools.startswith("<|im_start|>system\nSYS\n\nTools you may call")
        assert '\n{"type": "function", "function": {"name": "Read"' in with_tools
        assert with_tools.endswith("</tool_call>" + conversation(call))
        assert await render(messages=MESSAGES) == "<|im_start|>system\nSYS" + conversation(call)
        only_user = await render(messages=[{"role": "user", "content": "U"}], add_generation_prompt=False)
        assert only_user == "<|im_start|>user\nU<|im_end|>\n"


def test_plain_knows_nothing_of_tools():
    assert "tool" not in TEMPLATES["plain"]
