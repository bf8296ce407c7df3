"""The environment of Claude Code: the window's arithmetic, and what is kept of the user's own."""

import re
import subprocess

import pytest

from understudy.cli import clientenv
from understudy.cli.clientenv import (
    LEAST_OUTPUT,
    UNSET,
    advice,
    budget,
    client_environment,
    merged,
    settings,
    shell_lines,
)

URL = "http://127.0.0.1:8000"
SUMMARY = 1600
"""Tokens that Claude Code's request for a summary adds to the conversation (6.3 KB)."""


@pytest.mark.parametrize(
    ("window", "max_output", "advertised", "compacts_at"),
    [
        (8_192, 1_024, 19_144, 5_120),
        (16_384, 2_048, 27_336, 12_288),
        (32_768, 4_096, 41_672, 24_576),
        (65_536, 8_192, 70_344, 49_152),
        (131_072, 16_384, 131_072, 101_688),
        (262_144, 32_000, 262_144, 229_144),
        (0, 4_096, 41_672, 24_576),  # nobody told: 32,768
    ],
)
def test_budget(window, max_output, advertised, compacts_at):
    found = budget(window)
    assert (found.max_output, found.advertised, found.compacts_at) == (max_output, advertised, compacts_at)
    if window:
        row = f"{window:,} {max_output:,} {advertised:,} {compacts_at:,}"
        assert row in re.sub(" +", " ", clientenv.__doc__), "the table of the docstring says something else"


@pytest.mark.parametrize(
    "window", [8_192, 9_000, 12_288, 20_000, 24_576, 40_960, 100_000, 103_999, 104_001, 10**6]
)
def test_a_conversation_at_the_trigger_still_fits_with_its_summary(window):
    found = budget(window)
    seen_by_the_client = found.advertised - min(found.max_output, 20_000) - 13_000
    assert found.compacts_at == seen_by_the_client > 0
    assert found.compacts_at + SUMMARY + min(found.max_output, 20_000) <= window
    assert found.max_output >= LEAST_OUTPUT


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (0, "does not tell its window"),
        (4096, "CLAUDE_CODE_SIMPLE=1"),
        (8192, "too small"),
        (16384, "--tools Bash,Read,Edit,Write"),
        (24575, "tight"),
        (24576, ""),
        (200_000, ""),
    ],
)
def test_advice(window, words):
    said = advice(window)
    assert words in said
    assert bool(said) == bool(words)


def test_every_name_of_a_model_is_the_local_one():
    env = client_environment(URL, "", "org/qwen:7b", 65_536, name="Qwen", where="ollama")
    models = {name for name in env if name.endswith("_MODEL")}
    assert models == {
        "ANTHROPIC_MODEL",
        "CLAUDE_CODE_SUBAGENT_MODEL",
        *(f"ANTHROPIC_DEFAULT_{tier}_MODEL" for tier in ("OPUS", "SONNET", "HAIKU", "FABLE")),
    }
    assert {env[name] for name in models} == {"org/qwen:7b"}
    assert env["ANTHROPIC_DEFAULT_HAIKU_MODEL_NAME"] == env["ANTHROPIC_CUSTOM_MODEL_OPTION_NAME"] == "Qwen"
    assert env["ANTHROPIC_DEFAULT_HAIKU_MODEL_DESCRIPTION"] == "65,536 tokens, ollama"
    assert env["ANTHROPIC_BASE_URL"] == URL
    assert (env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"]) == ("70344", "8192")


@pytest.mark.parametrize(("key", "token"), [("", "understudy"), ("sk-local", "sk-local")])
def test_token(key, token):
    assert client_environment(URL, key, "m", 0)["ANTHROPIC_AUTH_TOKEN"] == token


@pytest.mark.parametrize(
    ("own", "kept", "after"),
    [
        ({}, (), {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "8192"}),
        (
            {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "99"},
            ("CLAUDE_CODE_MAX_OUTPUT_TOKENS",),
            {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "99"},
        ),
        ({"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "8192"}, (), {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "8192"}),
        ({"DISABLE_TELEMETRY": ""}, ("DISABLE_TELEMETRY",), {"DISABLE_TELEMETRY": ""}),
        ({"ANTHROPIC_BASE_URL": "https://else.where"}, (), {"ANTHROPIC_BASE_URL": URL}),
        ({"ANTHROPIC_AUTH_TOKEN": "theirs"}, (), {"ANTHROPIC_AUTH_TOKEN": "understudy"}),
        ({"ANTHROPIC_MODEL": "opus"}, (), {"ANTHROPIC_MODEL": "m"}),
        ({"ANTHROPIC_API_KEY": "sk"}, (), {"ANTHROPIC_API_KEY": None}),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, (), {"CLAUDE_CODE_USE_BEDROCK": None}),
        ({"PATH": "/bin"}, (), {"PATH": "/bin", "NO_PROXY": None}),
        ({"HTTP_PROXY": "http://p"}, (), {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}),
        ({"https_proxy": "http://p", "NO_PROXY": "a, 127.0.0.1"}, (), {"NO_PROXY": "a,127.0.0.1"}),
    ],
)
def test_merged(own, kept, after):
    env, names = merged(own, client_environment(URL, "", "m", 65_536))
    assert names == kept
    assert {name: env.get(name) for name in after} == after


def test_shell_lines_survive_a_shell():
    name = 'it\'s a "model" $HOME `x`; y'
    lines = shell_lines(client_environment(URL, "", "m", 0, name=name))
    script = "\n".join([*lines, 'printf %s "$ANTHROPIC_DEFAULT_OPUS_MODEL_NAME|${ANTHROPIC_API_KEY-gone}"'])
    done = subprocess.run(
        ["/bin/sh", "-euc", script], env={"ANTHROPIC_API_KEY": "sk"}, capture_output=True, check=True
    )
    assert done.stdout.decode() == f"{name}|gone"
    assert {f"unset {name}" for name in UNSET} <= set(lines)


def test_settings_are_claude_codes():
    found = settings(client_environment(URL, "", "m", 0))
    assert found["model"] == "m"
    assert found["permissions"] == {"defaultMode": "acceptEdits"}
    assert found["env"]["ANTHROPIC_BASE_URL"] == URL
    assert "ANTHROPIC_MODEL" not in found["env"], "it would win over the setting"
