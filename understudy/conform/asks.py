"""Questions as Claude Code asks them: headers, order of keys, kinds of blocks (docs/claude-code.md). All words are ours.

Nothing here is read from the machine it runs on: texts, tools and paths are made up, and the same for everyone but for the
scene's salt.
"""

import json
from collections.abc import Mapping
from typing import Final

from understudy.conform.exchange import COUNT, MESSAGES, Ask, Json, Scene

VERSION: Final = "2.1.329"
BETAS: Final = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,"
    "advanced-tool-use-2025-11-20,effort-2025-11-24"
)
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
HAIKU: Final = "claude-haiku-4-5-20251001"
SHORT: Final = 24
"""`max_tokens` where the form of an answer matters and not its length."""
ROOM: Final = 768
"""`max_tokens` where a call must be finished, by models that think first, too."""
_ORDER: Final = (
    *("model", "messages", "system", "tools", "tool_choice", "metadata", "max_tokens", "thinking"),
    *("context_management", "safeguards", "output_config"),
)
_FLAG: Final = {"type": "boolean", "default": False}


def headers(scene: Scene, agent: str = "") -> tuple[tuple[str, str], ...]:
    """The client's headers, without credentials."""
    out = {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": f"claude-cli/{VERSION} (external, sdk-cli)",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": BETAS,
        "anthropic-dangerous-direct-browser-access": "true",
        "x-app": "cli",
        "x-claude-code-session-id": scene.session,
        "x-stainless-lang": "js",
        "x-stainless-package-version": "0.128.0",
        "x-stainless-retry-count": "0",
        "x-stainless-timeout": "600",
    }
    return tuple((out | ({"x-claude-code-agent-id": agent} if agent else {})).items())


def written(body: Mapping[str, object]) -> bytes:
    """A body in the client's order of keys; `stream` is the last of them."""
    rank = {name: i for i, name in enumerate(_ORDER)}
    ordered = sorted(body.items(), key=lambda pair: (pair[0] == "stream", rank.get(pair[0], len(rank))))
    return json.dumps(dict(ordered), ensure_ascii=False, separators=(",", ":")).encode()


# ---- parts ----


def say(words: str, *, cached: bool = False) -> Json:
    """A text block."""
    return {"type": "text", "text": words} | ({"cache_control": {"type": "ephemeral"}} if cached else {})


def user(*content: Json | str) -> Json:
    """A turn of the user."""
    return {"role": "user", "content": [say(part) if isinstance(part, str) else part for part in content]}


def assistant(*content: Json | str) -> Json:
    """A turn of the assistant, as the client sends it back."""
    return {**user(*content), "role": "assistant"}


def operator(words: str, *, listed: bool = False) -> Json:
    """A turn of role system."""
    return {"role": "system", "content": [say(words, cached=True)] if listed else words}


def call(identity: str, name: str, **arguments: object) -> Json:
    """A call, as the client sends it back."""
    return {"type": "tool_use", "id": identity, "name": name, "input": arguments}


def result(identity: str, content: object = "done", **more: object) -> Json:
    """The result of a call."""
    return {"type": "tool_result", "tool_use_id": identity, "content": content, **more}


def prose(size: int, topic: str) -> str:
    """About `size` characters of English about nothing."""
    line = f"On {topic}: look first, change little, keep what works, and tell what was left undone. "
    return (line * (size // len(line) + 1))[:size]


def schema(required: Mapping[str, object], optional: Mapping[str, object] | None = None) -> Json:
    """An input schema as the client's tools have it."""
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def tool(name: str, words: str, input_schema: object, **more: object) -> Json:
    """A tool of the client's own."""
    return {"name": name, "description": words, "input_schema": input_schema, **more}


BELL: Final = tool(
    "ring_bell",
    "Rings a bell of the tower. One call rings one bell.",
    schema(
        {
            "colour": {"type": "string", "enum": ["red", "green", "blue"]},
            "times": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        {"quietly": _FLAG},
    ),
)
LAMP: Final = tool(
    "light_lamp",
    "Lights the lamp of a floor.",
    schema(
        {"floor": {"type": "integer", "minimum": 0, "maximum": 40}},
        {"note": {"type": "string", "maxLength": 80}},
    ),
)
ROOMS: Final = tool("list_rooms", "Lists all rooms. Takes no arguments.", schema({}))
TOOLS: Final = (BELL, LAMP, ROOMS)
PLACEHOLDER: Final = tool(
    "DeferredToolPlaceholder",
    "Stands for tools that are not loaded yet.",
    {"type": "object", "properties": {}},
    defer_loading=True,
)


# ---- questions ----


def system(scene: Scene, *, nonce: str = "4be", agent: bool = False, size: int = 400) -> list[object]:
    """The system prompt: a line about billing, who, and how."""
    billing = f"x-anthropic-billing-header: cc_version={VERSION}.{nonce}; cc_entrypoint=sdk-cli;"
    return [
        say(billing + (" cc_is_subagent=true;" if agent else "")),
        say("You are a helpful assistant that runs in a command line.", cached=True),
        say(f"This is run {scene.salt}. Be brief. " + prose(size, "work"), cached=True),
    ]


def user_id(session: str) -> str:
    """`metadata.user_id`: JSON inside a string."""
    return json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": session})


def body(scene: Scene, *messages: Mapping[str, object], **fields: object) -> Json:
    """The body of a small question; a field that is None or has no tools in it is left out."""
    out: Json = {
        "model": scene.model,
        "messages": list(messages),
        "system": system(scene),
        "metadata": {"user_id": user_id(scene.session)},
        "max_tokens": SHORT,
        "stream": True,
        **fields,
    }
    return {name: value for name, value in out.items() if value is not None and value != ()}


def ask(scene: Scene, *messages: Json | str, **fields: object) -> Ask:
    """A small question: these turns, or this prompt."""
    turns = [user(turn) if isinstance(turn, str) else turn for turn in messages]
    return bodied(scene, body(scene, *turns, **fields))


def bodied(scene: Scene, content: Mapping[str, object] | bytes, path: str = MESSAGES) -> Ask:
    """A question with this body, as it stands."""
    return Ask(content if isinstance(content, bytes) else written(content), headers(scene), path)


def hello(scene: Scene, **fields: object) -> Ask:
    """The plainest question. Many checks look at its one answer."""
    return ask(scene, "Say hello, and a sentence about the weather.", **fields)


def forced(scene: Scene, name: str = "", **fields: object) -> Ask:
    """A question that must be answered with a call: of this tool, or of any."""
    choice: Json = {"type": "tool", "name": name} if name else {"type": "any"}
    words = f"Use the tool {name or 'ring_bell'} now: the red bell, twice; the lamp of floor 3."
    given: Json = {"tool_choice": choice, "max_tokens": ROOM, "thinking": {"type": "disabled"}}
    return ask(scene, words, **{"tools": TOOLS, **given, **fields})


def thinking(scene: Scene, **fields: object) -> Ask:
    """A question with reasoning."""
    wish = {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}
    return ask(scene, "Is 91 a prime number?", **{"thinking": wish, "max_tokens": 2048, **fields})


def counted(scene: Scene, *messages: Json | str, **fields: object) -> Ask:
    """A question for a count: no system prompt, no `max_tokens`."""
    turns = [user(turn) if isinstance(turn, str) else turn for turn in messages]
    absent = dict.fromkeys(("system", "max_tokens", "metadata", "stream"))
    made = body(scene, *turns, **{"tools": TOOLS, **absent, **fields})
    return bodied(scene, made, COUNT).more(anthropic_beta=f"{BETAS},token-counting-2024-11-01")


# ---- the session as it really begins ----

_NAMES: Final = (
    "Agent",
    "Bash",
    "Edit",
    "ListAgents",
    "Read",
    "ReportFindings",
    "Skill",
    "ToolSearch",
    "Workflow",
    "Write",
)
_STRING: Final[Json] = {"type": "string"}
_OWN: Final[dict[str, Json]] = {
    "Bash": schema(
        {"command": _STRING},
        {"timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 600000}, "run_in_background": _FLAG},
    ),
    "Edit": schema(
        {"file_path": _STRING, "old_string": _STRING, "new_string": _STRING}, {"replace_all": _FLAG}
    ),
    "Read": schema({"file_path": _STRING}, {"offset": {"type": "integer", "minimum": 0}}),
    "ReportFindings": schema(
        {"findings": {"type": "array", "maxItems": 32, "items": schema({"summary": _STRING})}}
    ),
    "Skill": schema({"skill": {"type": "string", "pattern": r"^[\w:-]+$"}}),
    "ToolSearch": schema({"query": _STRING}, {"max_results": {"type": "number", "default": 5}}),
    "Workflow": schema({"url": {"type": "string", "format": "uri"}}),
    "Write": schema({"file_path": _STRING, "content": _STRING}),
}


def session_tools() -> list[Json]:
    """Tools in the number and size of the client's own: about 31 KB."""
    made = [tool(name, prose(2700, f"the tool {name}"), _OWN.get(name, schema({}))) for name in _NAMES]
    return sorted([*made, PLACEHOLDER], key=lambda row: str(row["name"]))


def opening(scene: Scene, **fields: object) -> Json:
    """The body of a session's first question, with all that the client puts into it: 49 KB."""
    reminder = f"<system-reminder>\n{prose(300, 'this repository')}\n</system-reminder>"
    turns = (user(reminder, "What does plot.py draw?"), operator(prose(9300, "agents"), listed=True))
    rest: Json = {
        "system": system(scene, size=6700),
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
    }
    return body(scene, *turns, tools=session_tools(), **{**rest, **fields})
