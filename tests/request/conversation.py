"""Requests as Claude Code sends them, turn by turn, with all the changes it makes to what it sent before.

A story is a list of steps. `body(story, n)` is the client's n-th request; `engine_turns(story)` is what the engine wrote.
"""

import json
from dataclasses import dataclass, field, replace

from understudy.language.request import Text, Thinking, ToolUse, Turn
from understudy.request.prefix import Recalled

CACHE = {"cache_control": {"type": "ephemeral"}}
PIXEL = "iVBORw0KGgo="


@dataclass(frozen=True)
class Call:
    """A tool call: `order` is its place among the results (completion), `load` the tools a search found."""

    name: str
    arguments: dict
    result: str = "done"
    order: int = 0
    load: tuple[str, ...] = ()
    image: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Step:
    """An answer of the engine and what the client adds to it. No calls: the person speaks next."""

    text: str
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    says: str = ""
    system: tuple[str, ...] = ()


@dataclass(frozen=True)
class Story:
    """One session; the last four say what the client changes from request to request."""

    steps: tuple[Step, ...]
    prompt: str = "Rename the function `total` to `sum_of` in the ledger package."
    index_one: str | None = "Working directory: /home/ada/ledger\nDeferred tools: Fetch, Notes"
    opening: tuple[str, ...] = ()
    tools: tuple[str, ...] = ("Bash", "Edit", "Read", "Write")
    billing: bool = True
    rewrites: bool = True
    moves_cache: bool = True
    seed: dict = field(default_factory=dict)


def reminder(text: str) -> str:
    return f"<system-reminder>\n{text}\n</system-reminder>"


def tool(name: str, *, deferred: bool = False) -> dict:
    schema = {"type": "object", "properties": {"value": {"type": "string"}, "also": {"type": "string"}}}
    out = {"name": name, "description": f"Does what {name} does.", "input_schema": schema}
    return {**out, "defer_loading": True} if deferred else out


def client_id(step: int, call: int) -> str:
    return f"toolu_{step}_{call}"


def body(story: Story, n: int) -> bytes:
    """The n-th request, 0 for the first: the prompt and n steps."""
    loaded = {name for step in story.steps[:n] for call in step.calls for name in call.load}
    tools = [tool(name) for name in story.tools] + [tool("DeferredToolPlaceholder", deferred=True)]
    tools += [tool(name, deferred=True) for name in loaded]
    messages = _messages(story, n)
    if story.moves_cache and isinstance(messages[-1]["content"], list) and messages[-1]["content"]:
        messages[-1]["content"][-1] |= CACHE
    request = {
        "model": "local",
        "messages": messages,
        "system": _system(story, n),
        "tools": sorted(tools, key=lambda row: row["name"]),
        "metadata": {"user_id": json.dumps({"session_id": f"s{n}"})},
        "max_tokens": 32000 - n,
        "stream": True,
    }
    return json.dumps(request, ensure_ascii=False).encode()


def _system(story: Story, n: int) -> list[dict]:
    bill = f"x-anthropic-billing-header: cc_version=2.1.329.{n:03x}; cc_entrypoint=sdk-cli;"
    blocks = [{"type": "text", "text": bill}] if story.billing else []
    texts = ("You help with code.", "Be brief. Look before you change anything.")
    return blocks + [{"type": "text", "text": text, **CACHE} for text in texts]


def _text(text: str, *, as_list: bool) -> list[dict] | str:
    return [{"type": "text", "text": text}] if as_list else text


def _messages(story: Story, n: int) -> list[dict]:
    parts = (reminder("Project notes: use tabs."), *story.opening, story.prompt)
    out = [{"role": "user", "content": [{"type": "text", "text": text} for text in parts]}]
    if story.index_one is not None:
        out.append({"role": "system", "content": _text(story.index_one, as_list=n == 0)})
    for number, step in enumerate(story.steps[:n]):
        out.append({"role": "assistant", "content": _assistant(story, step, number)})
        out.append({"role": "user", "content": _user(step, number, last=number == n - 1)})
        last = number == n - 1
        out += [{"role": "system", "content": _text(words, as_list=last)} for words in step.system]
    return out


def _assistant(story: Story, step: Step, number: int) -> list[dict]:
    out = [{"type": "thinking", "thinking": step.thinking, "signature": ""}] if step.thinking else []
    out += [{"type": "text", "text": step.text}] if step.text.strip() else []
    for place, call in enumerate(step.calls):
        arguments = dict(sorted(call.arguments.items())) if story.rewrites else call.arguments
        row = {"type": "tool_use", "id": client_id(number, place), "name": call.name, "input": arguments}
        out.append(row)
    return out or [{"type": "text", "text": "(empty)"}]


def _user(step: Step, number: int, *, last: bool) -> list[dict] | str:
    if not step.calls:
        return _text(step.says or "Go on.", as_list=last)
    ordered = sorted(enumerate(step.calls), key=lambda pair: pair[1].order)
    out = [_result(call, client_id(number, place)) for place, call in ordered]
    return out + ([{"type": "text", "text": step.says}] if step.says else [])


def _result(call: Call, given: str) -> dict:
    content: object = call.result
    if call.load:
        content = [{"type": "tool_reference", "tool_name": name} for name in call.load]
    elif call.image:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "text", "text": call.result}, {"type": "image", "source": source}]
    row = {"type": "tool_result", "tool_use_id": given, "content": content}
    return {**row, "is_error": True} if call.failed else row


def engine_text(call: Call) -> str:
    """The arguments in the model's own order and spacing."""
    return json.dumps(call.arguments, ensure_ascii=False, indent=1)


def engine_turns(story: Story) -> dict[str, Recalled]:
    """What a session remembers: the engine's own turn under each id that the client has of it."""
    out: dict[str, Recalled] = {}
    for number, step in enumerate(story.steps):
        ids = {client_id(number, place): f"call{number}{place}" for place in range(len(step.calls))}
        blocks = (Thinking(step.thinking),) if step.thinking else ()
        blocks += (Text(step.text),) if step.text else ()
        named = zip(ids.values(), step.calls, strict=True)
        blocks += tuple(ToolUse(engine, call.name, engine_text(call)) for engine, call in named)
        out |= dict.fromkeys(ids, Recalled(Turn("assistant", blocks), ids))
    return out


def without_habits(story: Story) -> Story:
    """The same session from a client that changes nothing."""
    return replace(story, billing=False, rewrites=False, moves_cache=False)
