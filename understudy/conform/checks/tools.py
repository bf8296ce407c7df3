"""Checks of tools that are offered: whatever schema they have, however many they are, and those that are loaded later."""

from typing import Final

from understudy.conform.answer import heard, told
from understudy.conform.asks import (
    BELL,
    PLACEHOLDER,
    TOOLS,
    ask,
    assistant,
    call,
    forced,
    prose,
    result,
    schema,
    tool,
    user,
)
from understudy.conform.exchange import Ask, Check, Fault, Json, Plan, Scene, Skipped, Undecided, put
from understudy.conform.judging import answered, called, growth, overflow, refused, sound

SIXTY: Final = 60
BIG: Final = 2 * 1024 * 1024
HARD: Final = tool(
    "book_room",
    "Books a room.",
    {
        **schema(
            {"name": {"type": "string", "pattern": r"^\d+\s?\w*$", "minLength": 1, "maxLength": 9}},
            {
                "url": {"type": "string", "format": "uri"},
                "share": {"type": "number", "exclusiveMinimum": 0},
                "guests": {"type": "array", "items": {"$ref": "#/$defs/guest"}, "maxItems": 3},
                "labels": {
                    "type": "object",
                    "propertyNames": {"pattern": "^[A-Z]+$"},
                    "additionalProperties": {"type": "string"},
                },
                "from": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
            },
        ),
        "$defs": {
            "guest": {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
        },
        "allOf": [{"required": ["name"]}],
        "if": {"required": ["url"]},
        "then": {"required": ["name"]},
    },
)
SEARCH: Final[Json] = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def _hard(scene: Scene) -> Ask:
    return ask(scene, "Say yes.", tools=[*TOOLS, HARD], max_tokens=1)


def _hard_called(scene: Scene) -> Plan:
    tools = [*TOOLS, HARD]
    asked = forced(scene, "book_room", tools=tools)
    answer = heard((yield from put(asked)))
    if answer.stop_reason == "max_tokens" or not any(part.name == "book_room" for part in answer.calls):
        raise Undecided("the model did not finish a call of it")
    called(answer, tools)
    return ""


def _many(scene: Scene) -> Plan:
    made = [
        tool(f"tool_{number}", prose(200, f"tool {number}"), BELL["input_schema"]) for number in range(SIXTY)
    ]
    reply = yield from put(ask(scene, "Say yes.", tools=made, max_tokens=1))
    if overflow(reply):
        raise Undecided(f"the window is smaller than {SIXTY} tools: {told(reply)}")
    sound(reply)
    return ""


def _big(scene: Scene) -> Plan:
    if scene.max_bytes < BIG + 20_000:
        raise Skipped(f"larger than --max-prompt-bytes {scene.max_bytes}")
    fields = {
        f"field_{number}": {"type": "string", "description": prose(1000, "a field")}
        for number in range(BIG // 1060)
    }
    reply = yield from put(
        ask(scene, "Say yes.", tools=[tool("form", "A form.", schema({}, fields))], max_tokens=1)
    )
    if reply.status == 200:  # noqa: PLR2004
        sound(reply)
        return "answered"
    if not overflow(reply):
        raise Fault(told(reply), "an answer, or a refusal that says that it is too long")
    if reply.status == 413:  # noqa: PLR2004
        refused(reply, 413, "request_too_large")
    return f"refused as too long: {told(reply)}"


def _deferred(scene: Scene) -> Plan:
    """What a model cannot see costs no tokens."""
    heavy = tool("heavy", prose(3000, "heavy things"), schema({}))
    later = {**heavy, "defer_loading": True}
    full = yield from growth(_offering(scene), _offering(scene, heavy))
    kept = yield from growth(_offering(scene), _offering(scene, later, PLACEHOLDER))
    if full < 100:  # noqa: PLR2004
        raise Undecided(f"a tool of 3000 characters costs {full} tokens: the numbers show nothing")
    if kept > full * 0.3:
        raise Fault(
            f"a deferred tool costs {kept} tokens, a loaded one {full}", "no tokens before it was found"
        )
    return f"{full} tokens loaded, {kept} deferred"


def _offering(scene: Scene, *more: Json) -> Ask:
    return ask(scene, "Say yes.", tools=[*TOOLS, *more], max_tokens=1)


def _search(scene: Scene, content: object) -> Ask:
    later = tool("heavy", prose(3000, "heavy things"), schema({}), defer_loading=True)
    finder = tool("ToolSearch", "Finds tools.", schema({"query": {"type": "string"}}))
    turns = (user("Lift it."), assistant(call("toolu_s1", "ToolSearch", query="heavy")))
    return ask(
        scene, *turns, user(result("toolu_s1", content)), tools=[finder, later, PLACEHOLDER], max_tokens=1
    )


REFERENCE: Final = ({"type": "tool_reference", "tool_name": "heavy"},)


def _found(scene: Scene) -> Plan:
    more = yield from growth(_search(scene, "nothing found"), _search(scene, list(REFERENCE)))
    whole = yield from growth(
        _offering(scene), _offering(scene, tool("heavy", prose(3000, "heavy things"), schema({})))
    )
    if more < whole * 0.5:
        raise Fault(f"the reference adds {more} tokens, the tool has {whole}", "the tool, where it was found")
    return f"{more} tokens"


BLOCKS: Final = "one tool of many makes every question fail"
CHECKS: Final = (
    answered(
        "tools.schemas",
        ("CC-3.9", "CC-8.16", "CC-8.17"),
        "patterns, references, conditions and formats in schemas are taken",
        BLOCKS,
        _hard,
    ),
    Check(
        "tools.hard-valid",
        ("CC-8.16",),
        "a call of a tool with a hard schema fits it",
        "the client refuses the call, and the model must try again",
        _hard_called,
        "should",
    ),
    Check("tools.sixty", ("CC-3.20",), "60 tools are taken", BLOCKS, _many),
    Check(
        "tools.big",
        ("CC-6.7",),
        "2 MB of tools are answered, or refused as too long",
        "the server falls, or hangs",
        _big,
    ),
    answered(
        "tools.server",
        ("CC-1.7", "CC-8.31"),
        "a server tool without a schema is taken",
        "a web search breaks the session",
        lambda scene: ask(scene, "Say yes.", tools=[SEARCH], tool_choice={"type": "auto"}, max_tokens=1),
    ),
    Check(
        "tools.deferred",
        ("CC-3.6", "CC-3.7"),
        "a deferred tool is not in the prompt before it was found",
        "tens of thousands of tokens in every question",
        _deferred,
        "should",
    ),
    answered(
        "tools.reference",
        ("CC-5.10",),
        "the result of a tool search is taken",
        "the session breaks at the first tool search",
        lambda scene: _search(scene, list(REFERENCE)),
    ),
    Check(
        "tools.found",
        ("CC-5.10",),
        "a tool that was found is shown to the model",
        "the model does not know how to call it",
        _found,
        "should",
    ),
)
