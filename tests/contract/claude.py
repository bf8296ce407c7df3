"""Questions as Claude Code asks them: key order, headers, blocks and their sizes (docs/claude-code.md). All texts are ours.

    first_request(), next_turn(before, ...), subagent_request(), title_request(), web_search_request(),
    compaction_request(before), count_tokens_request(), big_request(kilobytes=100)

Each gives an `Ask`: method, path, headers and body. Builders are deterministic: the same arguments give the same bytes.
"""

import copy
import json
from dataclasses import dataclass, field, replace

VERSION = "2.1.329"
SESSION = "5f1c2a40-93f5-4f6c-9f0e-0d7b6a1c2e33"
AGENT = "a9c41d07"
MODEL = "local-coder"
HAIKU = "claude-haiku-4-5-20251001"
CACHED = {"type": "ephemeral"}
DRAFT = "https://json-schema.org/draft/2020-12/schema"
BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,"
    "advanced-tool-use-2025-11-20,effort-2025-11-24"
)
ORDER = (
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "metadata",
    "max_tokens",
    "thinking",
    "context_management",
    "safeguards",
    "output_config",
    "stream",
)


@dataclass(frozen=True)
class Ask:
    """One HTTP request of the client."""

    body: dict
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "/v1/messages?beta=true"
    method: str = "POST"

    @property
    def content(self) -> bytes:
        """The body in the client's order of keys; keys it does not know stand last."""
        rank = {name: i for i, name in enumerate(ORDER)}
        ordered = sorted(self.body.items(), key=lambda pair: rank.get(pair[0], len(ORDER)))
        return json.dumps(dict(ordered), ensure_ascii=False, separators=(",", ":")).encode()

    def but(self, **changes) -> "Ask":
        """The same with other values at the top of its body; None takes a key out."""
        body = {**copy.deepcopy(self.body), **changes}
        return replace(self, body={k: v for k, v in body.items() if v is not None})

    def whole(self) -> "Ask":
        """The same without streaming: how the client repeats a question."""
        return self.but(stream=False)


def headers(
    *, session: str = SESSION, agent: str = "", hints: bool = False, key: str = "local"
) -> dict[str, str]:
    """Request headers of the client."""
    out = {
        "accept": "application/json",
        "accept-encoding": "gzip, deflate, br, zstd",
        "content-type": "application/json",
        "authorization": f"Bearer {key}",
        "user-agent": f"claude-cli/{VERSION} (external, sdk-cli)",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": BETAS,
        "anthropic-dangerous-direct-browser-access": "true",
        "x-app": "cli",
        "x-claude-code-session-id": session,
        "x-stainless-arch": "x64",
        "x-stainless-lang": "js",
        "x-stainless-os": "Linux",
        "x-stainless-package-version": "0.128.0",
        "x-stainless-retry-count": "0",
        "x-stainless-runtime": "node",
        "x-stainless-runtime-version": "v26.12.1",
        "x-stainless-timeout": "600",
    }
    if agent:
        out["x-claude-code-agent-id"] = agent
    if hints:
        kind = "subagent" if agent else "main"
        out["x-claude-code-request-class"] = kind
        out["x-claude-code-prompt-id"] = "0b2d6f0c-6a55-4f55-8f0e-6f1c2a4093f5"
        out["x-claude-1p-request-class"] = "blocking-subagent" if agent else "main"
    return out


def prose(size: int, topic: str) -> str:
    """About `size` characters of English about nothing."""
    line = f"When it comes to {topic}, read first, change little, and say what was done and what was not. "
    return (line * (size // len(line) + 1))[:size]


def text(words: str, *, cached: bool = False) -> dict:
    """A text block."""
    return {"type": "text", "text": words, **({"cache_control": CACHED} if cached else {})}


def system(*, nonce: str = "4be", agent: bool = False, cwd: str = "/home/ada/plotter") -> list[dict]:
    """The system prompt: billing, who, and how."""
    billing = f"x-anthropic-billing-header: cc_version={VERSION}.{nonce}; cc_entrypoint=sdk-cli;"
    how = prose(3400, "programming") + f"\nWorking directory: {cwd}\n" + prose(3300, "tools")
    return [
        text(billing + (" cc_is_subagent=true;" if agent else "")),
        text("You are a programming assistant that runs in a command line.", cached=True),
        text(how, cached=True),
    ]


def environment() -> str:
    """What the client says in its first system message."""
    deferred = ", ".join(DEFERRED)
    return f"Environment: linux, bash, git.\nTools that can be searched for: {deferred}.\n" + prose(
        8900, "agents"
    )


def schema(required: dict, optional: dict | None = None) -> dict:
    """An input schema as the client's tools have it."""
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def string(words: str = "", **more) -> dict:
    """The schema of a string."""
    return {"type": "string", **({"description": words} if words else {}), **more}


def tool(name: str, input_schema: dict, size: int = 1500) -> dict:
    """A tool of the client's own."""
    return {"name": name, "description": prose(size, f"the tool {name}"), "input_schema": input_schema}


FLAG = {"type": "boolean", "default": False}
DEFERRED = ("CronCreate", "NotebookEdit", "TaskStop", "WebFetch", "WebSearch", "mcp__clock__now")
SCHEMAS = {
    "Agent": schema({"description": string(), "prompt": string()}, {"model": string(enum=["opus", "haiku"])}),
    "Bash": schema(
        {"command": string("what to run")},
        {
            "timeout": {"type": "number", "maximum": 600000, "exclusiveMinimum": 0},
            "description": string(maxLength=200),
            "run_in_background": FLAG,
        },
    ),
    "Edit": schema(
        {"file_path": string("absolute"), "old_string": string(), "new_string": string()},
        {"replace_all": FLAG},
    ),
    "ListAgents": schema({}),
    "Read": schema(
        {"file_path": string("absolute")},
        {"offset": {"type": "integer", "minimum": 0}, "limit": {"type": "integer", "exclusiveMinimum": 0}},
    ),
    "ReportFindings": schema(
        {"findings": {"type": "array", "maxItems": 32, "items": schema({"summary": string()})}}
    ),
    "ScheduleWakeup": schema(
        {"delay": {"type": "number", "minimum": 60, "maximum": 3600}, "reason": string(minLength=1)}
    ),
    "Skill": schema({"skill": string(pattern=r"^[\w:-]+$")}, {"args": string()}),
    "ToolSearch": schema({"query": string()}, {"max_results": {"type": "number", "default": 5}}),
    "Workflow": schema({"url": string(format="uri"), "name": string(pattern=r"^\d+\s?\w*$")}),
    "Write": schema({"file_path": string("absolute"), "content": string()}),
    "WebFetch": schema({"url": string(format="uri"), "prompt": string()}),
    "SendMessage": {**schema({"to": string(), "message": string()}), "allOf": [{"required": ["to"]}]},
}


def tools(*loaded: str) -> list[dict]:
    """The twelve tools, and `loaded` deferred ones sorted in, as after a search for them."""
    out = [
        tool(name, SCHEMAS[name], 2600 if name in ("Bash", "Agent") else 1900)
        for name in SCHEMAS
        if name not in ("WebFetch", "SendMessage")
    ]
    out.append(
        {
            "name": "DeferredToolPlaceholder",
            "description": "Stands for tools that are not loaded yet.",
            "input_schema": {"type": "object", "properties": {}},
            "defer_loading": True,
        }
    )
    out += [{**tool(name, SCHEMAS.get(name, schema({}))), "defer_loading": True} for name in loaded]
    return sorted(out, key=lambda row: row["name"])


def user_id(session: str = SESSION) -> str:
    """`metadata.user_id`."""
    return json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": session})


def first_request(
    prompt: str = "What does plot.py draw?",
    *,
    model: str = MODEL,
    session: str = SESSION,
    nonce: str = "4be",
    hints: bool = False,
) -> Ask:
    """The first question of a session."""
    messages = [
        {
            "role": "user",
            "content": [
                text(f"<system-reminder>\n{prose(300, 'this repository')}\n</system-reminder>"),
                text(prompt),
            ],
        },
        {"role": "system", "content": [text(environment(), cached=True)]},
    ]
    body = {
        "model": model,
        "messages": messages,
        "system": system(nonce=nonce),
        "tools": tools(),
        "metadata": {"user_id": user_id(session)},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
    }
    return Ask(body, headers(session=session, hints=hints))


def result(call: str, content="done", **more) -> dict:
    """The result of a call."""
    return {"type": "tool_result", "tool_use_id": call, "content": content, **more}


def call(identity: str, name: str, **arguments) -> dict:
    """A call, as the client sends it back."""
    return {"type": "tool_use", "id": identity, "name": name, "input": arguments}


def next_turn(before: Ask, answer: list[dict], *news: dict, note: str = "") -> Ask:
    """The question after `answer` (its blocks as the client replays them): results, text; `note` is a system message behind.

    From the second question on the first system message is a plain string, and cache_control has moved to the end.
    """
    messages = [_settled(message) for message in copy.deepcopy(before.body["messages"])]
    messages.append({"role": "assistant", "content": answer})
    content = [dict(block) for block in news] or [text("Go on.")]
    content[-1]["cache_control"] = CACHED
    messages.append({"role": "user", "content": content})
    if note:
        messages.append({"role": "system", "content": note})
    return before.but(messages=messages)


def _settled(message: dict) -> dict:
    """A message that is no longer the newest."""
    content = message["content"]
    if isinstance(content, list):
        for block in content:
            block.pop("cache_control", None)
        if message["role"] == "system":
            content = "\n\n".join(block["text"] for block in content)
    return {**message, "content": content}


def toolsearch_turn(before: Ask, search: str, *found: str) -> Ask:
    """The question after a tool search that was the call `search` and found these tools."""
    references = [{"type": "tool_reference", "tool_name": name} for name in found]
    turn = next_turn(before, [call(search, "ToolSearch", query="web")], result(search, references))
    return turn.but(tools=tools(*found))


def compaction_request(before: Ask, nonce: str | None = None) -> Ask:
    """Auto-compaction: the same question with one more block. After it the billing line is another one."""
    messages = [_settled(message) for message in copy.deepcopy(before.body["messages"])]
    last = next(message for message in reversed(messages) if message["role"] == "user")
    last["content"].append(
        text("Write down all that matters of this conversation, in sections.", cached=True)
    )
    changed = before.but(messages=messages)
    return changed.but(system=system(nonce=nonce)) if nonce else changed


def subagent_request(
    prompt: str = "Find every caller of draw().", agent: str = AGENT, *, session: str = SESSION
) -> Ask:
    """The first question of a sub-agent."""
    body = first_request(prompt, session=session).body
    offered = [row for row in tools() if row["name"] in ("Bash", "Read", "ToolSearch")]
    return Ask(
        {**body, "system": system(nonce="07a", agent=True), "tools": offered},
        headers(session=session, agent=agent),
    )


TITLE = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


def title_request(prompt: str = "What does plot.py draw?", model: str = HAIKU) -> Ask:
    """The question for a session's title."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": [text(f"<session>{prompt}</session>")]}],
        "system": [text(system()[0]["text"]), text("Name the session in a few words.")],
        "tools": [],
        "metadata": {"user_id": user_id()},
        "max_tokens": 32000,
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": TITLE}},
        "stream": True,
    }
    return Ask(body, headers())


def web_search_request(query: str = "httpx timeouts") -> Ask:
    """The side question of the WebSearch tool."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": [text(f"Search the web for: {query}")]}],
        "system": [text(system()[0]["text"]), text("You search the web.")],
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}],
        "tool_choice": {"type": "auto"},
        "metadata": {"user_id": user_id()},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "stream": True,
    }
    return Ask(body, headers())


def count_tokens_request(words: str = "foo", *, offered: list[dict] | None = None) -> Ask:
    """The question for a count: no system, no max_tokens."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": words}],
        "tools": tools() if offered is None else offered,
    }
    beta = {"anthropic-beta": f"{BETAS},token-counting-2024-11-01"}
    return Ask(body, {**headers(), **beta}, "/v1/messages/count_tokens?beta=true")


def big_request(kilobytes: int = 100, *, session: str = SESSION) -> Ask:
    """A question late in a session: about so many kilobytes (at least 50), filled with reading files."""
    ask = first_request(session=session)
    number = 0
    while (missing := kilobytes * 1024 - len(ask.content)) > 400:
        number += 1
        listing = "\n".join(f"{i:5d}  value_{number}_{i} = measure({i} * {number})" for i in range(64))
        listing = listing[: max(1, min(len(listing), missing - 400))]
        identity = f"toolu_{number:022d}"
        read = [
            text(f"Reading part {number}."),
            call(identity, "Read", file_path=f"/home/ada/plotter/part_{number}.py"),
        ]
        ask = next_turn(ask, read, result(identity, listing))
    return ask
