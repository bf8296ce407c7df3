"""The environment in which Claude Code works well with a local model: pure, a table of variables and why.

**The window.** Claude Code compacts a conversation when its prompt passes

    advertised window - min(max output, 20,000) - 13,000        (measured on 2.1.329)

and knows nothing of a model it has never heard of: it takes a million tokens for granted. The 13,000 are a reserve made for
windows of 200,000; of a small one they leave nothing (32,768 with the usual output is negative: it compacts for ever and
ends with "Autocompact is thrashing"). So an eighth of the window is reserved instead, at least what the request for a
summary adds and at most those 13,000, and the difference is added to the window that we advertise. A turn that still does
not fit gets "prompt is too long" from the gateway, with both numbers, upon which Claude Code compacts and goes on.

    window    max output   advertised   compacts at
     8,192         1,024       19,144         5,120     bare only (CLAUDE_CODE_SIMPLE=1)
    16,384         2,048       27,336        12,288     with fewer tools (--tools)
    32,768         4,096       41,672        24,576
    65,536         8,192       70,344        49,152
   131,072        16,384      131,072       101,688
   262,144        32,000      262,144       229,144

(Seen with the real client at 8, 16 and 32 thousand: no compaction below these numbers, one above.)
"""

import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

RESERVE = 13_000
"""Tokens Claude Code keeps free below its window before it compacts."""
OUTPUT_COUNTED = 20_000
"""Of the longest answer it sets aside at most this."""
SHARE = 8
"""An answer, and the reserve, may each take the window divided by this."""
LEAST_OUTPUT, MOST_OUTPUT = 1024, 32_000
LEAST_RESERVE = 2048
"""The request for a summary is the conversation and 6.3 KB more."""
OWN_PROMPT = 12_000
"""Tokens of Claude Code's own prompt with its usual tools (48.6 KB)."""
LEAN_PROMPT = 4_000
"""The same with the tools of LEAN_TOOLS only (16.5 KB)."""
BARE_PROMPT = 1_000
"""The same with CLAUDE_CODE_SIMPLE=1: three tools, nothing else (4.1 KB)."""
LEAN_TOOLS = "Bash,Read,Edit,Write"
TIGHT = 24_576
"""Below this a conversation with all tools is compacted at every other step."""
TOO_SMALL = 12_288
"""Below this it is so with LEAN_TOOLS, too."""
UNKNOWN_WINDOW = 32_768
"""Taken where the engine does not tell."""
PREFILL_MS = 1_800_000
"""A long prompt on a slow machine: the longest Claude Code lets itself be told to wait for a first byte."""
ANSWER_MS = 3_600_000
NO_KEY = "understudy"
"""Sent where the gateway asks for no key: without one Claude Code would want a login."""

UNSET = (
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
)
"""Taken out of the environment: Claude Code would ask whether to use the key, and send it here; or go to a cloud instead."""
OURS = ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_MODEL")
"""Set whatever the user has set: they are what the command is for."""
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
NO_PROXY = ("NO_PROXY", "no_proxy")
"""A proxy for the world must not be asked for the gateway beside us."""
TIERS = ("OPUS", "SONNET", "HAIKU", "FABLE")


class Budget(Struct, frozen=True):
    """How a window is used.

    Attributes:
        window: the real one, in tokens.
        max_output: the longest answer.
        advertised: what Claude Code is told.
        compacts_at: prompt tokens at which it compacts.
    """

    window: int
    max_output: int
    advertised: int
    compacts_at: int


def budget(window: int) -> Budget:
    """The use of a window; 0 is one that nobody told."""
    window = window or UNKNOWN_WINDOW
    max_output = min(max(window // SHARE, LEAST_OUTPUT), MOST_OUTPUT)
    reserve = min(max(window // SHARE, LEAST_RESERVE), RESERVE)
    advertised = window + RESERVE - reserve
    return Budget(window, max_output, advertised, advertised - min(max_output, OUTPUT_COUNTED) - RESERVE)


def advice(window: int) -> str:
    """What to know of a window before Claude Code is started; empty where it is large enough."""
    if not window:
        return (
            f"the engine does not tell its window; {UNKNOWN_WINDOW:,} tokens are assumed. "
            "Set CLAUDE_CODE_MAX_CONTEXT_TOKENS, or context in [[engines]] of understudy.toml"
        )
    if window >= TIGHT:
        return ""
    small = (
        f"a window of {window:,} tokens is {'tight' if window >= TOO_SMALL else 'too small'} for Claude Code"
    )
    remedy = f"With a few tools it takes {LEAN_PROMPT:,}: understudy claude --tools {LEAN_TOOLS}"
    if window < TOO_SMALL:
        remedy = f"Bare it takes {BARE_PROMPT:,}: CLAUDE_CODE_SIMPLE=1 understudy claude"
    return (
        f"{small}, whose own prompt takes about {OWN_PROMPT:,}. {remedy}. Or give the engine 32,768 or more"
    )


def client_environment(
    url: str, token: str, model: str, window: int, *, name: str = "", where: str = ""
) -> dict[str, str]:
    """The variables to set.

    Args:
        url: of the gateway.
        token: a key it knows, or "".
        model: the id of the model.
        window: its real window in tokens, 0 where unknown.
        name: of the model, for people.
        where: the engine that has it, for people.
    """
    use = budget(window)
    shown = name or model
    about = f"{use.window:,} tokens" + (f", {where}" if where else "")
    out = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": token or NO_KEY,
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_CUSTOM_MODEL_OPTION": model,
        "ANTHROPIC_CUSTOM_MODEL_OPTION_NAME": shown,
        "CLAUDE_CODE_SUBAGENT_MODEL": model,
    }
    for tier in TIERS:
        variable = f"ANTHROPIC_DEFAULT_{tier}_MODEL"
        out |= {variable: model, f"{variable}_NAME": shown, f"{variable}_DESCRIPTION": about}
    return out | {
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(use.advertised),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(use.max_output),
        "API_TIMEOUT_MS": str(ANSWER_MS),
        "CLAUDE_STREAM_FIRST_BYTE_TIMEOUT_MS": str(PREFILL_MS),
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",  # a block whose text changes: it costs the prefix
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",  # /model lists what is served here
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",  # says which request is the main one
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


def merged(own: Mapping[str, str], ours: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The user's environment with ours in it, and the names of theirs that were kept because they differ.

    What the user set stays, but for OURS; UNSET is taken out.
    """
    kept = tuple(k for k, v in ours.items() if k not in OURS and k in own and own[k] != v)
    out = {k: v for k, v in own.items() if k not in UNSET}
    out |= {k: v for k, v in ours.items() if k not in kept}
    if any(own.get(name) for name in PROXIES):
        out |= {
            name: _joined(own.get(name, ""), urlsplit(ours["ANTHROPIC_BASE_URL"]).hostname)
            for name in NO_PROXY
        }
    return out, kept


def _joined(names: str, host: str | None) -> str:
    """A NO_PROXY list with the gateway's host in it."""
    listed = [name.strip() for name in names.split(",") if name.strip()]
    return ",".join(dict.fromkeys([*listed, *([host] if host else [])]))


def shell_lines(ours: Mapping[str, str]) -> list[str]:
    """The same for a shell: `eval "$(understudy claude --print-env)"`."""
    gone = [f"unset {name}" for name in UNSET]
    return [*gone, *(f"export {name}={shlex.quote(value)}" for name, value in ours.items())]


def settings(ours: Mapping[str, str]) -> dict[str, object]:
    """The same for Claude Code's settings.json.

    Its usual permission mode, "auto", has Anthropic's servers judge each command; nobody does that here.
    """
    env = {name: value for name, value in ours.items() if name != "ANTHROPIC_MODEL"}
    return {"env": env, "model": ours["ANTHROPIC_MODEL"], "permissions": {"defaultMode": "acceptEdits"}}
