"""Questions as a coding agent asks them: about 100 KB, of which the tools are 30 KB, in several conversations."""

import json

SESSIONS = 8
TURNS = 4
"""Requests of each conversation, each one turn longer than the one before."""
MODEL = "qwen3-coder-30b"
PACED = "qwen3-coder-30b-paced"
TOOLS = 20
SYSTEM_BYTES, TOOL_BYTES, RESULT_BYTES = 14_000, 1_500, 5_000
STEPS = 10
"""Tool calls before the first request of a conversation."""
_WORDS = (
    "read",
    "the",
    "file",
    "and",
    "say",
    "what",
    "function",
    "returns",
    "when",
    "argument",
    "is",
    "empty",
    "gone",
)


def prose(size: int, seed: int) -> str:
    """About `size` characters, different for each seed."""
    words, length, i = [], 0, seed
    while length < size:
        word = _WORDS[i % len(_WORDS)] if i % 7 else f"item_{seed}_{i}"
        words.append(word + ("\n" if i % 11 == 0 else ""))
        length += len(word) + 1
        i += 1
    return " ".join(words)


def _tool(i: int) -> dict:
    properties = {
        f"field_{j}": {"type": "string", "description": prose(90, 100 * i + j), "minLength": j}
        for j in range(6)
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": ["field_0"],
        "additionalProperties": False,
    }
    room = TOOL_BYTES - len(json.dumps(schema))
    return {"name": f"Tool{i}", "description": prose(max(60, room), i), "input_schema": schema}


def _step(session: int, i: int) -> list[dict]:
    call = f"toolu_{session:04d}{i:04d}"
    asked = {
        "type": "tool_use",
        "id": call,
        "name": f"Tool{i % TOOLS}",
        "input": {"field_0": f"src/part_{i}.py"},
    }
    said = {"type": "text", "text": prose(200, session + i)}
    result = {"type": "tool_result", "tool_use_id": call, "content": prose(RESULT_BYTES, 1000 * session + i)}
    return [{"role": "assistant", "content": [said, asked]}, {"role": "user", "content": [result]}]


def question(session: int, turn: int, *, stream: bool, model: str = MODEL) -> bytes:
    """One request's body."""
    opening = {"role": "user", "content": [{"type": "text", "text": prose(600, session)}]}
    steps = [message for i in range(STEPS + turn) for message in _step(session, i)]
    return json.dumps(
        {
            "model": model,
            "messages": [opening, *steps],
            "system": [
                {"type": "text", "text": "You work on a repository.", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": prose(SYSTEM_BYTES, 7), "cache_control": {"type": "ephemeral"}},
            ],
            "tools": [_tool(i) for i in range(TOOLS)],
            "metadata": {"user_id": f"user_{session}"},
            "max_tokens": 8192,
            "thinking": {"type": "disabled"},
            "stream": stream,
        },
        separators=(",", ":"),
    ).encode()


def short_question(session: int) -> bytes:
    """A request whose body costs nothing to speak of: what is measured is its answer."""
    ask = {"role": "user", "content": f"Say many words, {session}."}
    return json.dumps({"model": PACED, "messages": [ask], "max_tokens": 8192, "stream": True}).encode()


def heads(session: int, length: int) -> bytes:
    """The head of a request, with the fields a coding agent sends."""
    lines = (
        "POST /v1/messages HTTP/1.1",
        "host: 127.0.0.1",
        "connection: keep-alive",
        "accept: application/json",
        "content-type: application/json",
        "anthropic-version: 2023-06-01",
        "anthropic-beta: interleaved-thinking-2025-05-14",
        "user-agent: bench/1.0 (external, cli)",
        "x-app: cli",
        f"x-claude-code-session-id: session-{session}",
        "accept-language: *",
        f"content-length: {length}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
