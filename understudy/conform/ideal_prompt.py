"""What the ideal server shows its model: a question -> a prompt, in the form that changes least from turn to turn. Pure."""

from typing import Final

from understudy.conform.values import Object, at, obj, rows, text

BILLING: Final = "x-anthropic-billing-header:"
PLACEHOLDER: Final = "DeferredToolPlaceholder"


def prompt(body: Object) -> str:
    """Tools, system, turns."""
    tools = [obj(row) for row in rows(at(body, "tools"))]
    shown = [
        _tool(row)
        for row in tools
        if at(row, "defer_loading") is not True and text(row, "name") != PLACEHOLDER
    ]
    system = [part for part in _texts(at(body, "system")) if not part.startswith(BILLING)]
    library = {text(row, "name") or "": _tool(row) for row in tools}
    turns = [obj(row) for row in rows(at(body, "messages"))]
    if len(turns) > 1 and text(turns[1], "role") == "system":
        turns[:2] = [turns[1], turns[0]]
    return "\n".join([*shown, *system, *_turns(turns, library)])


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text(block, "text") or "" for block in rows(value)]


def _tool(row: Object) -> str:
    return f"tool {text(row, 'name')}: {text(row, 'description') or ''} {at(row, 'input_schema')}"


def _turns(turns: list[Object], library: dict[str, str]) -> list[str]:
    out: list[str] = []
    calls: list[str] = []
    for turn in turns:
        content = at(turn, "content")
        blocks = [obj(block) for block in rows(content)]
        if isinstance(content, str):
            blocks = [{"type": "text", "text": content}]
        asked = [text(block, "id") or "" for block in blocks if at(block, "type") == "tool_use"]
        calls = asked or calls
        out += [_block(block, library) for block in sorted(blocks, key=lambda block: _place(block, calls))]
    return out


def _place(block: Object, calls: list[str]) -> int:
    """Results first, in the order of their calls."""
    identity = text(block, "tool_use_id")
    if identity is None:
        return len(calls) + 1
    return calls.index(identity) if identity in calls else len(calls)


def _block(block: Object, library: dict[str, str]) -> str:
    match text(block, "type"):
        case "text":
            return text(block, "text") or ""
        case "thinking":
            return f"thought: {text(block, 'thinking')}"
        case "tool_use":
            return f"call {text(block, 'name')} {at(block, 'input')}"
        case "tool_result":
            content = at(block, "content")
            inside = (
                [content] if isinstance(content, str) else [_block(obj(b), library) for b in rows(content)]
            )
            return "\n".join(["the call failed" if at(block, "is_error") is True else "result", *inside])
        case "tool_reference":
            return library.get(text(block, "tool_name") or "", "an unknown tool")
        case kind:
            return f"[a block of type {kind}]"
