"""The tools of the Responses API: each is offered to the model as a function, and its calls are given back as what they are.

    function            as it is; one that a namespace holds under both names
    custom              a function with one text field, its grammar in the field's description; back as `custom_tool_call`
    local_shell, shell, apply_patch, tool_search (run by the client)
                        functions whose parameters are the API's own; back as their kinds of item (NATIVE)
    web_search, file_search, code_interpreter, mcp, ...
                        run by OpenAI's servers, which are not here: named as what could not be carried

A tool with `defer_loading` is left out of the prompt until a search finds it; where the client runs no search nobody would
ever find it, and it is offered like any other.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Raw, Struct

from understudy.dialects.responses_wire import AskedTool, GrammarFormat, decoded, given, missing, problem
from understudy.language.request import Tool, change

_TOOLS = msgspec.json.Decoder(list[AskedTool])
_TOOL = msgspec.json.Decoder(AskedTool)
_json = msgspec.json.encode
_object = msgspec.json.Decoder(dict[str, Raw]).decode

INPUT: Final = "input"
"""The one field of a custom tool."""
SEARCH: Final = "tool_search"
PLAIN_NAMESPACE: Final = "functions"
"""The namespace that functions without one are in."""


class Native(Struct, frozen=True):
    """A tool whose form is the API's own.

    Attributes:
        call: the item's type for a call.
        answer: the item's type for what came of it.
        mark: what the ids of such items begin with.
        field: where in the item the arguments stand.
        fixed: what stands there beside them.
        description: for the model, where the client gives none.
        schema: of the arguments.
    """

    call: str
    answer: str
    mark: str
    field: str
    fixed: Mapping[str, object]
    description: str = ""
    schema: bytes = b'{"type":"object","properties":{}}'


_COMMAND = (
    b'{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},'
    b'"description":"The program and its arguments."},"timeout_ms":{"type":"integer"},'
    b'"working_directory":{"type":"string"},"env":{"type":"object","additionalProperties":{"type":"string"}}},'
    b'"required":["command"],"additionalProperties":false}'
)
_COMMANDS = (
    b'{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"},'
    b'"description":"Shell commands, run one after another."},"timeout_ms":{"type":"integer"},'
    b'"max_output_length":{"type":"integer"}},"required":["commands"],"additionalProperties":false}'
)
_OPERATION = (
    b'{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},'
    b'"path":{"type":"string"},"diff":{"type":"string","description":"A V4A diff: lines that begin with + are added, '
    b'with - taken away, with a space kept; @@ leads to a place. None for delete_file."}},'
    b'"required":["type","path"],"additionalProperties":false}'
)
NATIVE: Final[Mapping[str, Native]] = {
    "local_shell": Native(
        "local_shell_call",
        "local_shell_call_output",
        "lsh",
        "action",
        {"type": "exec", "env": {}},
        "Runs a program on the user's machine and gives what it wrote.",
        _COMMAND,
    ),
    "shell": Native(
        "shell_call",
        "shell_call_output",
        "sh",
        "action",
        {},
        "Runs commands in a shell on the user's machine and gives what they wrote.",
        _COMMANDS,
    ),
    "apply_patch": Native(
        "apply_patch_call",
        "apply_patch_call_output",
        "apc",
        "operation",
        {},
        "Creates, changes or deletes one file.",
        _OPERATION,
    ),
    SEARCH: Native(
        "tool_search_call",
        "tool_search_output",
        "tsc",
        "arguments",
        {},
        "Finds tools that can be called from then on.",
    ),
}
"""Tools of the API's own that the client runs."""


class Way(Struct, frozen=True):
    """How calls of one function are given back.

    Attributes:
        kind: "function", "custom", or a row of NATIVE.
        name: the tool's, as the client knows it.
        namespace: where the client finds it; "" for none.
    """

    kind: str
    name: str
    namespace: str = ""


class Offer(Struct, frozen=True):
    """The tools of one request.

    Attributes:
        tools: for the model.
        ways: by the name the model is given.
        strange: what could not be offered, in words.
    """

    tools: tuple[Tool, ...] = ()
    ways: Mapping[str, Way] = {}
    strange: tuple[str, ...] = ()


NOTHING = Offer()


def offered_name(name: str, namespace: str | None) -> str:
    """What the model calls a tool: names are unique within a namespace only."""
    if not namespace or namespace in (name, PLAIN_NAMESPACE):
        return name
    return f"{namespace}{'' if namespace.endswith('__') or name.startswith('_') else '__'}{name}"


def read_tools(raw: Raw) -> Offer:
    """What a `tools` array offers.

    Raises:
        BadField: a tool that cannot be read.
    """
    return _kept(bytes(raw)) if given(raw) else NOTHING


def read_found(raw: Raw, place: str) -> Offer:
    """The tools that a search has found, or that are added in the middle of a conversation.

    Raises:
        BadField: a tool that cannot be read.
    """
    reader = _Reader(place, found=True)
    reader.read(decoded(_TOOLS, raw, place) if given(raw) else [])
    found = reader.offer()
    return Offer(tuple([change(tool, deferred=True) for tool in found.tools]), found.ways, found.strange)


def joined(first: Offer, *others: Offer) -> Offer:
    """All of them; where two tools have one name, the first is meant."""
    tools = {tool.name: tool for tool in first.tools}
    ways, strange = dict(first.ways), list(first.strange)
    for other in others:
        for tool in other.tools:
            tools.setdefault(tool.name, tool)
        ways = {**other.ways, **ways}
        strange += other.strange
    added = len(tools) > len(first.tools)  # else the very same tuple: caches are keyed by it
    return Offer(tuple(tools.values()) if added else first.tools, ways, tuple(strange))


@lru_cache(maxsize=32)
def _kept(raw: bytes) -> Offer:
    """Kept: the same tools come with every turn, and the same bytes give the same object."""
    tools = decoded(_TOOLS, raw, "tools")
    reader = _Reader("tools")
    reader.read(tools)
    offer = reader.offer()
    if any(tool.type == SEARCH and tool.execution == "client" for tool in tools):
        return offer
    return Offer(
        tuple([change(tool, deferred=False) if tool.deferred else tool for tool in offer.tools]),
        offer.ways,
        offer.strange,
    )


class _Reader:
    """Tools of a list, and of the namespaces in it; a function that had to be found first is a namespace of its own."""

    def __init__(self, place: str, *, found: bool = False) -> None:
        self._place = place
        self._found = found
        self._tools: dict[str, Tool] = {}
        self._ways: dict[str, Way] = {}
        self._strange: list[str] = []

    def offer(self) -> Offer:
        return Offer(tuple(self._tools.values()), self._ways, tuple(self._strange))

    def read(self, tools: list[AskedTool]) -> None:
        for number, tool in enumerate(tools):
            place = f"{self._place}[{number}]"
            if tool.type == "namespace":
                self._namespace(tool, place)
            elif tool.type in ("function", "custom"):
                itself = self._found or tool.defer_loading
                self._named(tool, place, (tool.name or "") if itself else "")
            elif self._is_ours(tool):
                self._native(tool, place)
            else:
                self._strange.append(f"{place} of type {tool.type}")

    def _namespace(self, space: AskedTool, place: str) -> None:
        name = _name(space, place)
        words = f"\n[{name}: {space.description}]" if space.description else ""
        for number, raw in enumerate(space.tools or ()):
            inner = f"{place}.tools[{number}]"
            tool = decoded(_TOOL, raw, inner)
            if tool.type not in ("function", "custom"):
                self._strange.append(f"{inner} of type {tool.type}")
                continue
            tool.description = f"{tool.description or ''}{words}"
            words = ""  # what is said of all is said once
            self._named(tool, inner, name)

    def _named(self, tool: AskedTool, place: str, namespace: str) -> None:
        name = _name(tool, place)
        schema = _custom(tool.format) if tool.type == "custom" else _parameters(tool, place)
        shown = offered_name(name, namespace)
        made = Tool(shown, tool.description or "", schema, deferred=tool.defer_loading is True)
        self._add(made, Way(tool.type, name, namespace), place)

    def _is_ours(self, tool: AskedTool) -> bool:
        """Whether the client runs it."""
        if tool.type == SEARCH:
            return tool.execution == "client"
        if tool.type == "shell" and tool.environment is not None:
            return tool.environment.type == "local"
        return tool.type in NATIVE

    def _native(self, tool: AskedTool, place: str) -> None:
        native = NATIVE[tool.type]
        schema = bytes(tool.parameters) if given(tool.parameters) else native.schema
        made = Tool(tool.type, tool.description or native.description, schema)
        self._add(made, Way(tool.type, tool.type), place)

    def _add(self, tool: Tool, way: Way, place: str) -> None:
        if tool.name in self._tools:
            self._strange.append(f"{place}: a second tool called {tool.name}")
            return
        self._tools[tool.name], self._ways[tool.name] = tool, way


def _name(tool: AskedTool, place: str) -> str:
    if not tool.name:
        raise missing(f"{place}.name")
    return tool.name


def _parameters(tool: AskedTool, place: str) -> bytes:
    schema = bytes(tool.parameters) if given(tool.parameters) else b"{}"
    if not schema.startswith(b"{"):
        raise problem(msgspec.ValidationError("Expected `object`, got another type"), f"{place}.parameters")
    return schema


def _custom(form: GrammarFormat | None) -> bytes:
    """The schema of a function that takes one text."""
    words = "The whole input, as plain text."
    if form is not None and form.definition:
        words = (
            f"The whole input, as text that this {form.syntax or 'lark'} grammar allows:\n{form.definition}"
        )
    field = {"type": "string", "description": words}
    return _json(
        {
            "type": "object",
            "properties": {INPUT: field},
            "required": [INPUT],
            "additionalProperties": False,
        }
    )


# ---- calls of them, both ways ----


def as_arguments(text: str) -> str:
    """A custom tool's input as the arguments of the function it was offered as."""
    return _json({INPUT: text}).decode()


def as_text(arguments: str) -> str:
    """The other way round; arguments of another form are the text themselves."""
    try:
        return _INPUT(arguments).input
    except msgspec.DecodeError:
        return arguments


class _Input(Struct):
    input: str


_INPUT = msgspec.json.Decoder(_Input).decode


def in_place(native: Native, arguments: str) -> Raw:
    """The arguments of a native call as they stand in its item; what is no object stays the text it is."""
    try:
        return Raw(_json({**native.fixed, **_object(arguments)}))
    except msgspec.DecodeError:
        return Raw(_json(arguments))
