"""Text that stands in for what a wire has no place for: named, so that the model knows of it, and never nothing."""

from collections.abc import Mapping

from understudy.language.request import (
    Block,
    Document,
    Image,
    Text,
    Thinking,
    Tool,
    ToolReference,
    Unknown,
)

PLACEHOLDER = "DeferredToolPlaceholder"
"""Claude Code's stand-in for tools it has not loaded: no tool at all."""
BLIND = "[image omitted: this model cannot see images]"
_ERROR_LOOKED_FOR = 200
"""Characters of a failed tool's answer in which it may say itself that it failed."""


def clean(text: str) -> str:
    """The text fit for UTF-8: halves of a surrogate pair are joined, lone ones replaced. Repaired JSON may hold some."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def in_words(block: Block, tools: Mapping[str, Tool]) -> str:
    """A block where only text can stand; empty for a call or a result on the wrong side of the conversation."""
    match block:
        case Text(text) | Thinking(text):
            return text
        case Image():
            return BLIND
        case Document():
            return _document(block)
        case ToolReference(name):
            return _found(name, tools.get(name))
        case Unknown(kind):
            return f"[{kind} omitted: it cannot be shown to this model]"
        case _:
            return ""


def outcome(text: str, *, is_error: bool) -> str:
    """A tool's result, marked where it failed: these wires have no field for it, and an untold model believes it."""
    if not is_error or "error" in text[:_ERROR_LOOKED_FOR].lower():
        return text
    return f"Error: {text or 'the tool failed and said nothing'}"


def _document(document: Document) -> str:
    if document.text:
        return f"{document.title}\n\n{document.text}" if document.title else document.text
    what = document.title or document.url or "document"
    return f"[{what} omitted: {document.media_type or 'it'} cannot be shown to this model]"


def _found(name: str, tool: Tool | None) -> str:
    """A deferred tool, shown where it was found: among the tools it would change the prompt from its first byte on."""
    if tool is None:
        return f"Tool {name} was found."
    schema = tool.schema.decode("utf-8", "replace")
    return (
        f"Tool {name} can be called from now on.\n{tool.description}\nIts parameters as JSON Schema: {schema}"
    )
