"""Checks of questions: what Claude Code puts into them is taken, and nothing is refused that no answer needs."""

import json
from collections.abc import Callable
from typing import Final

from understudy.conform.answer import told
from understudy.conform.asks import (
    SHORT,
    TOOLS,
    ask,
    assistant,
    bodied,
    body,
    call,
    opening,
    operator,
    prose,
    result,
    say,
    user,
    user_id,
    written,
)
from understudy.conform.exchange import Ask, Check, Fault, Json, Plan, Scene, Undecided, put
from understudy.conform.judging import answered, growth, overflow, sound

YES: Final = "Say yes."
NOTE: Final = "The operator says: be kind."
HOLOGRAM: Final[Json] = {"type": "hologram", "source": {"type": "beam", "angle": 30}}
HUGE: Final = 128_000
"""`max_tokens` of the client with its newest models, and after an answer was cut."""


def wanting(**fields: object) -> Callable[[Scene], Ask]:
    """Makes a small question with these fields."""
    return lambda scene: ask(scene, YES, **fields)


# ---- turns of role system ----

LS: Final = assistant(call("toolu_ls1", "ring_bell", colour="red", times=1))
RANG: Final = user(result("toolu_ls1", "it rang"))
PLACES: Final[dict[str, tuple[Json, ...]]] = {
    "last": (user(YES), operator(NOTE)),
    "last, as a list": (user(YES), operator(NOTE, listed=True)),
    "second of three": (user(YES), operator(NOTE), user("Now.")),
    "after an answer": (user(YES), assistant("Yes."), operator(NOTE)),
    "between call and result": (user(YES), LS, operator(NOTE), RANG),
    "behind a result": (user(YES), LS, RANG, operator(NOTE)),
    "twice": (user(YES), operator(NOTE), operator(NOTE, listed=True)),
    "first": (operator(NOTE), user(YES)),
}


def _anywhere(scene: Scene) -> Plan:
    for place, turns in PLACES.items():
        reply = yield from put(ask(scene, *turns, tools=TOOLS))
        try:
            sound(reply)
        except Fault as fault:
            raise Fault(f"a turn of role system {place}: {fault.seen}", "an answer") from fault
    return ""


def _first(scene: Scene) -> Plan:
    """One that the window is too small for is no session at all, and must be known before it begins."""
    reply = yield from put(bodied(scene, opening(scene, max_tokens=SHORT)))
    sound(reply)
    return ""


def _sizes(scene: Scene) -> Plan:
    for kilobytes in (77, 126):
        made = opening(scene, max_tokens=1)
        missing = kilobytes * 1024 - len(written(made))
        made["messages"] = [*_turns(made), user(prose(missing, "files"))]
        reply = yield from put(bodied(scene, made))
        if overflow(reply):
            raise Undecided(f"the window is smaller than a question of {kilobytes} KB: {told(reply)}")
        sound(reply)
    return ""


def _turns(made: Json) -> list[object]:
    found = made["messages"]
    return found if isinstance(found, list) else []


def _backwards(scene: Scene) -> Ask:
    made = body(scene, user(YES), tools=TOOLS)
    return bodied(scene, json.dumps(dict(reversed(list(made.items())))).encode())


def _cached_everywhere(scene: Scene) -> Ask:
    mark: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    turns = (user(say("Look at this.", cached=True)), assistant("I do."), user({**say(YES), **mark}))
    return ask(scene, *turns, tools=[{**TOOLS[0], **mark}, *TOOLS[1:]])


def _odd_turn(scene: Scene) -> Ask:
    return ask(scene, user(YES), {**operator(NOTE), "output_config": {"effort": "low"}})


def _huge_limit(scene: Scene) -> Plan:
    asked = ask(scene, YES, max_tokens=HUGE)
    leaving = Ask(asked.body, asked.headers, leave_after=1)
    reply = yield from put(leaving)
    if reply.trouble or reply.status != 200:  # noqa: PLR2004
        raise Fault(told(reply), "an answer, with as many tokens as the window leaves")
    if b"event: error" in reply.body:
        raise Fault(f"an error event: {reply.body[:200].decode(errors='replace')}", "an answer")
    return ""


def _named_blocks(scene: Scene) -> Plan:
    more = yield from growth(ask(scene, user(YES)), ask(scene, user(YES, HOLOGRAM)))
    if more < 1:
        raise Fault(
            "a block of unknown type costs no tokens: it was dropped", "a block that the model is told of"
        )
    return f"{more} tokens"


LADDER: Final = "the client asks up to six times, each time with less, and then gives up"
BREAKS: Final = "every session breaks at its first such turn"
CHECKS: Final = (
    Check(
        "body.first",
        ("CC-3.2", "CC-3.3", "CC-3.4", "CC-3.6", "CC-3.20"),
        "the first question of a session is answered: 49 KB, with everything that is in it",
        "no session begins",
        _first,
    ),
    Check(
        "body.sizes",
        ("CC-3.20",),
        "questions of 77 and 126 KB are answered, or refused as too long",
        "sessions end in an error instead of being compacted",
        _sizes,
    ),
    answered("body.order", ("CC-3.1",), "the order of keys means nothing", BREAKS, _backwards),
    Check(
        "body.system-turns",
        ("CC-3.4", "CC-3.5", "CC-6.9", "CC-8.7", "CC-8.8"),
        "turns of role system may stand anywhere, as a string or as a list",
        BREAKS,
        _anywhere,
    ),
    answered(
        "body.user-id",
        ("CC-3.10",),
        "metadata.user_id is any string",
        BREAKS,
        wanting(metadata={"user_id": "no json"}),
        wanting(metadata={"user_id": user_id("other")}),
        wanting(metadata=None),
    ),
    Check(
        "body.max-tokens",
        ("CC-3.11", "CC-6.11", "CC-8.21"),
        "max_tokens 128000 is taken, whatever the window",
        "every question is refused",
        _huge_limit,
    ),
    answered(
        "body.context-management",
        ("CC-3.15",),
        "context_management is taken",
        LADDER,
        wanting(context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}),
    ),
    answered(
        "body.effort",
        ("CC-3.16", "CC-6.13"),
        "output_config.effort is taken, by models that have none, too",
        "the client gives up at once",
        wanting(output_config={"effort": "high"}),
        wanting(output_config={"effort": "medium"}),
    ),
    answered(
        "body.turn-config", ("CC-3.17",), "a message may have an output_config of its own", LADDER, _odd_turn
    ),
    answered(
        "body.safeguards",
        ("CC-3.18",),
        "safeguards are taken",
        LADDER,
        wanting(
            safeguards=[{"type": "dangerous_tool_use", "classifier_context": {"rules": prose(1500, "rules")}}]
        ),
    ),
    answered(
        "body.sampling",
        ("CC-3.19", "CC-3.22"),
        "sampling may be set, and may be left open",
        LADDER,
        wanting(temperature=0.1, top_k=5),
        wanting(),
    ),
    answered(
        "body.unknown-fields",
        ("CC-3.22", "CC-6.8", "CC-8.33"),
        "unknown fields are ignored",
        LADDER,
        wanting(a_field_of_next_week={"deep": [1, None, {"er": True}]}),
        wanting(inference_geo="moon", speed="fast"),
    ),
    answered(
        "body.unknown-blocks",
        ("CC-8.33",),
        "unknown blocks are taken",
        LADDER,
        lambda scene: ask(scene, user(YES, HOLOGRAM)),
    ),
    Check(
        "body.blocks-named",
        ("CC-8.33",),
        "a block that cannot be passed on is named to the model",
        "the model answers as if it had not been there",
        _named_blocks,
        "should",
    ),
    answered(
        "body.cache-control",
        ("CC-4.2",),
        "cache_control may stand on any block and tool",
        BREAKS,
        _cached_everywhere,
    ),
)
