r"""Arguments that are packed in something, taken out: texts, lists of one, wrappers of other formats.

    {"name": "Read", "arguments": "{\"file_path\": \"a\"}"}     the call inside its own arguments
    {"type": "object", "properties": {"file_path": "a"}}        the schema that the model was shown, filled in
    [{"content": "a", "status": "pending"}]                     the value of the only property that is required

Taken out is only what has nothing beside it that could be lost, and that names no other tool.
"""

from collections.abc import Iterator
from typing import Final

from understudy.stages.conversions import NO, parsed
from understudy.stages.likeness import folded
from understudy.stages.shape import Node, Shape

WRAPPINGS: Final = 4  # how often arguments were seen packed into each other, and one more

_WRAPPERS: Final = frozenset(
    {"arguments", "parameters", "input", "args", "params", "kwargs", "argument", "inputs"}
    | {
        f"{of}{what}"
        for of in ("tool", "function", "action")
        for what in ("input", "args", "arguments", "parameters")
    }
    | {"function", "toolcall", "functioncall", "toolcalls"}
    | {"properties"}  # a model that answers with the schema it was shown, filled in
)
_NAMES: Final = ("name", "tool", "toolname", "function", "functionname", "action")
_BESIDE_WRAPPER: Final = frozenset({*_NAMES, "type", "id", "callid", "toolcallid"})
_OF_A_SCHEMA: Final = frozenset(
    {"type", "required", "additionalproperties", "schema", "title", "description"}
)


def unwrap(value: object, shape: Shape) -> object:
    """Arguments inside a string, inside a list of one, or inside {"name": ..., "arguments": ...} or {"Tool": ...}."""
    for _ in range(WRAPPINGS):
        for rule, inner in _unwrapped(value, shape):
            if inner is not NO:
                value = inner
                shape.used(rule)
                break
        else:
            break
    return value


def is_packed(value: object, shape: Shape) -> bool:
    """Whether arguments that an open schema admits as they stand are plainly inside a wrapper."""
    known = shape.properties(shape.root)
    if not isinstance(value, dict) or not (value and known) or known.keys() & value.keys():
        return False
    inner = unwrap(value, Shape(shape.root, shape.tool))
    return isinstance(inner, dict) and inner is not value and (not inner or bool(known.keys() & inner.keys()))


def _unwrapped(value: object, shape: Shape) -> Iterator[tuple[str, object]]:
    if value is None or (value == [] and not shape.required(shape.root)):
        yield "null-arguments", {}
    elif isinstance(value, str):
        inner = parsed(value) if value.strip() else {}
        yield "text-arguments", inner if isinstance(inner, dict | list | str) else NO
    elif isinstance(value, list):
        yield "only-property", _as_only_property(value, shape)
        yield "list-of-one", _alone(value)
    elif isinstance(value, dict):
        yield "wrapper", _inside_wrapper(value, shape)
        yield "only-property", _as_only_property([value], shape)
        yield "only-property", _under_another_name(value, shape)


def _alone(value: list[object]) -> object:
    return value[0] if len(value) == 1 and isinstance(value[0], dict) else NO


def _as_only_property(elements: list[object], shape: Shape) -> object:
    """Elements of the list that is the only property a tool requires, without that property around them."""
    known, required = shape.properties(shape.root), shape.required(shape.root)
    if len(required) != 1 or not elements:
        return NO
    (name,) = required
    if shape.kinds(known.get(name)) != frozenset({"array"}):
        return NO
    item = shape.items(known[name], 0)
    wanted = shape.required(item)
    fits = all(
        isinstance(each, dict) and wanted <= each.keys() and not known.keys() & each.keys()
        for each in elements
    )
    return {name: elements} if wanted and fits else NO


def _under_another_name(value: Node, shape: Shape) -> object:
    """{"items": [...]}, where the list that a tool requires is called todos, and nothing else is there."""
    (inner,) = value.values() if len(value) == 1 else (None,)
    same = value.keys() & shape.properties(shape.root).keys()
    return _as_only_property(inner, shape) if isinstance(inner, list) and not same else NO


def _inside_wrapper(value: Node, shape: Shape) -> object:
    """Only if nothing but the wrapper is there, and no other tool is named.

    A wrapper that is also the name of a property is one if what the tool requires is inside and not beside it.
    """
    known, required = shape.properties(shape.root), shape.required(shape.root)
    tool = folded(shape.tool)
    meant = {folded(name) for name in known}
    wrappers = [
        key for key in value if _wraps(key, value[key], tool) and (key in known or folded(key) not in meant)
    ]
    rest = {key for key in value if key not in wrappers}
    if len(wrappers) != 1 or known.keys() & rest or not _may_be_beside(wrappers[0], rest):
        return NO
    named = [value[key] for key in rest if folded(key) in _NAMES]
    if not all(isinstance(name, str) and folded(name) == tool for name in named):
        return NO
    inner = _opened(value[wrappers[0]])
    if inner is NO and wrappers[0] not in known:
        return _as_only_text(value[wrappers[0]], shape)
    if not isinstance(inner, dict):
        return NO
    means_itself = wrappers[0] in known and not (required and required <= inner.keys())
    return NO if means_itself else inner


def _as_only_text(value: object, shape: Shape) -> object:
    """For {"input": "ls"}, {"command": "ls"}, where a tool requires one text and nothing else."""
    required = shape.required(shape.root)
    if not isinstance(value, str) or value.lstrip()[:1] in ("[", "{") or len(required) != 1:
        return NO
    (name,) = required
    return (
        {name: value} if shape.kinds(shape.properties(shape.root).get(name)) == frozenset({"string"}) else NO
    )


def _wraps(key: str, value: object, tool: str) -> bool:
    """Whether a member may hold the arguments; {"function": "Read"} only names the tool."""
    name = folded(key)
    return name == tool or (name in _WRAPPERS and not (name in _NAMES and isinstance(value, str)))


def _may_be_beside(wrapper: str, rest: set[str]) -> bool:
    allowed = _OF_A_SCHEMA if wrapper == "properties" else _BESIDE_WRAPPER
    return allowed.issuperset(map(folded, rest))


def _opened(inner: object) -> object:
    """What is in a wrapper: an object, its text, or a list of just one."""
    if inner is None or inner == "":
        return {}
    inner = parsed(inner) if isinstance(inner, str) else inner
    return _alone(inner) if isinstance(inner, list) else inner
