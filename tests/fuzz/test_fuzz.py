"""Every reader of other people's bytes under a fuzzer, for a short time each; `fuzzer.py` has the targets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import WIRES

from understudy.stages.toolsyntax import ROWS

pytest.importorskip("atheris", reason="atheris has wheels for Linux and Python 3.11 to 3.13 only")

FUZZER = Path(__file__).with_name("fuzzer.py")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "2"))
TOOL = '{"name": "get_time", "description": "d", "%s": {"type": "object", "properties": {"city": {"type": "string"}}}}'
FUNCTION = f'{{"type": "function", "function": {TOOL % "parameters"}}}'
MESSAGES = '"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": %s}]'
ANTHROPIC = (
    f'{{"model": "m", "max_tokens": 9, "system": [{{"type": "text", "text": "s"}}], "tools": [{TOOL % "input_schema"}], '
    + MESSAGES % '[{"type": "tool_use", "id": "t", "name": "get_time", "input": {"city": "P"}}]'
    + ', "thinking": {"type": "enabled", "budget_tokens": 1024}, "stop_sequences": ["x"], "tool_choice": {"type": "any"}}'
)
CALLS = '[{"id": "t", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}]'
SEEDS = {
    "anthropic-request": [ANTHROPIC],
    "anthropic-batch": [f'{{"requests": [{{"custom_id": "a", "params": {ANTHROPIC}}}]}}'],
    "openai-request": [
        f'{{"model": "m", "tools": [{FUNCTION}], {MESSAGES % "null"}, "stop": "x", "n": 2, "tool_choice": "auto"}}',
        f'{{"model": "m", "messages": [{{"role": "assistant", "tool_calls": {CALLS}}}, {{"role": "tool"}}]}}',
    ],
    "openai-completion": ['{"model": "m", "prompt": ["a"], "suffix": "b", "max_tokens": 3, "stream": true}'],
    "ollama-request": [
        f'{{"model": "m", "tools": [{FUNCTION}], {MESSAGES % "null"}, "options": {{"num_ctx": 1}}}}'
    ],
    "responses-request": [
        (
            '{"model": "m", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},'
            '{"type": "function_call", "call_id": "c", "name": "get_time", "arguments": "{}"}, '
            '{"type": "function_call_output", "call_id": "c", "output": "x"}], "reasoning": {"effort": "low"}, '
            '"tools": [{"type": "function", "name": "get_time", "parameters": {}}], "text": {"format": {"type": "text"}}}'
        )
    ],
    "model-text": [f"{chr(number)}Hm. {row.example}" for number, row in enumerate(ROWS)],
}
"""What each target is begun with; a stream's or a refusal's are the wires of its dialect."""


def seeds(target):
    dialect, _, kind = target.partition("-")
    if kind in {"stream", "refusal"}:
        return [
            path.read_bytes()
            for path in (WIRES / dialect).iterdir()
            if not path.name.endswith(".events.jsonl")
        ]
    return [text.encode() for text in SEEDS.get(target, [])]


def fuzz(target, folder):
    for number, seed in enumerate(seeds(target)):
        (folder / str(number)).write_bytes(seed)
    options = [f"-max_total_time={SECONDS}", "-timeout=10", "-max_len=4096", "-rss_limit_mb=2048", "-seed=1"]
    command = [sys.executable, str(FUZZER), target, *options, f"-artifact_prefix={folder}/", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "target",
    [
        *(
            f"{name}-{kind}"
            for name in ("anthropic", "openai", "ollama")
            for kind in ("stream", "refusal", "request")
        ),
        "anthropic-batch",
        "openai-completion",
        "responses-request",
        "model-text",
    ],
)
def test_no_bytes_are_found_that_break_it(target, tmp_path):
    assert seeds(target)
    ran = fuzz(target, tmp_path)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert "DONE" in ran.stderr, "it never came to an end of its own"


@pytest.mark.slow
def test_a_planted_bug_is_found(tmp_path):
    ran = fuzz("planted", tmp_path)
    assert ran.returncode != 0
    assert "ValueError: planted" in ran.stdout + ran.stderr
