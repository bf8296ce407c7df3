"""Checks of the cached prefix: what Claude Code changes from turn to turn must not make the server read everything again.

Nobody outside sees a prompt. But a server that tells how many of its tokens came from the cache tells up to where it was
the same. So each check asks one question, then another that a right server renders as a continuation of the first, and
looks at the cached part. The weight lies in the messages: whatever is moved in front of them throws them away.
"""

from collections.abc import Callable
from typing import Final

from understudy.conform.answer import heard
from understudy.conform.asks import (
    PLACEHOLDER,
    TOOLS,
    assistant,
    bodied,
    body,
    call,
    operator,
    prose,
    result,
    say,
    schema,
    system,
    tool,
    user,
    user_id,
)
from understudy.conform.checks.flow import agent_ask
from understudy.conform.exchange import Ask, Check, Fault, Json, Plan, Scene, Talk, Undecided, put

SHARE: Final = 0.75
"""Of the first prompt's tokens so many must come from the cache. The rest is for caches that keep whole blocks only."""
WEIGHT: Final = 9000
"""Characters of the conversation's beginning."""
LATER: Final = tool("lift", prose(1200, "lifting"), schema({}), defer_loading=True)
FINDER: Final = tool("ToolSearch", "Finds tools.", schema({"query": {"type": "string"}}))
ENVIRONMENT: Final = prose(WEIGHT, "agents")


def _tools() -> list[Json]:
    return [*TOOLS, FINDER, PLACEHOLDER]


def _opening(scene: Scene, topic: str) -> list[Json]:
    """The first turn of a conversation that is like no other."""
    return [user(f"{topic}, {scene.salt}. {prose(WEIGHT, topic)}", "Ring the bell.")]


def _asked(scene: Scene, *turns: Json, **fields: object) -> Ask:
    return bodied(scene, body(scene, *turns, **{"tools": _tools(), "max_tokens": 1, **fields}))


def kept(first: Ask, then: Ask, *between: Ask) -> Talk[str]:
    """Whether the second question finds what the first has put into the cache.

    Raises:
        Verdict: it does not, or the server does not tell.
    """
    whole = heard((yield from put(first))).usage.prompt
    for other in between:
        heard((yield from put(other)))
    usage = heard((yield from put(then))).usage
    if usage.cached is None or not whole:
        raise Undecided("the server does not tell which tokens came from its cache")
    if usage.cached < SHARE * whole:
        if not usage.cached and not (yield from _tells(first)):
            raise Undecided("the server does not tell which tokens came from its cache, or has none")
        raise Fault(
            f"{usage.cached} of {usage.prompt} tokens came from the cache; the prompt before had {whole}",
            f"at least {SHARE:.0%} of these {whole}",
        )
    return f"{usage.cached} of {whole} tokens kept"


def _tells(ask_: Ask) -> Talk[bool]:
    """Whether the very same question, asked once more, comes from the cache."""
    usage = heard((yield from put(ask_.once_more("does the cache tell?")))).usage
    return bool(usage.cached)


# ---- what changes ----


def _turns(scene: Scene) -> Plan:
    turns = _opening(scene, "turns")
    first = _asked(scene, *turns)
    rung = assistant("I ring it.", call("toolu_p1", "ring_bell", colour="red", times=1))
    second = _asked(scene, *turns, rung, user(result("toolu_p1", prose(3000, "the bell"))))
    third = _asked(
        scene,
        *turns,
        rung,
        user(result("toolu_p1", prose(3000, "the bell"))),
        assistant("It rang."),
        user("Again."),
    )
    yield from kept(first, second)
    return (yield from kept(second, third))


def _billing(scene: Scene) -> Plan:
    turns = _opening(scene, "billing")
    other = _asked(scene, *turns, system=system(scene, nonce="0c1"))
    return (yield from kept(_asked(scene, *turns), other))


def _marks(scene: Scene) -> Plan:
    """The first question has its second turn as a list, and marks; the next one has a string there, and no marks."""
    (prompt,) = _opening(scene, "marks")
    marked = user(*(say(part) for part in _texts(prompt)[:-1]), say(_texts(prompt)[-1], cached=True))
    first = _asked(scene, marked, operator("Be kind. " + prose(2000, "kindness"), listed=True))
    then = _asked(
        scene,
        prompt,
        operator("Be kind. " + prose(2000, "kindness")),
        assistant("I am."),
        user(say("Go on.", cached=True)),
    )
    return (yield from kept(first, then))


def _texts(turn: Json) -> list[str]:
    content = turn["content"]
    return [str(block["text"]) for block in content] if isinstance(content, list) else []


def _notes(scene: Scene) -> Plan:
    """A turn of role system behind every result, as the client tells how many tokens are left."""
    turns = _opening(scene, "notes")
    for number in (1, 2):
        rung = assistant(call(f"toolu_n{number}", "ring_bell", colour="red", times=number))
        turns += [
            rung,
            user(result(f"toolu_n{number}", prose(2000, "a bell"))),
            operator(f"{9 - number}0000 tokens are left."),
        ]
    return (yield from kept(_asked(scene, *turns[:4]), _asked(scene, *turns)))


def _loaded(scene: Scene) -> Plan:
    """A tool is found, and from then on stands among the others, in the order of the alphabet."""
    turns = _opening(scene, "tools")
    found = user(result("toolu_f1", [{"type": "tool_reference", "tool_name": "lift"}]))
    then = _asked(
        scene,
        *turns,
        assistant(call("toolu_f1", "ToolSearch", query="lift")),
        found,
        tools=sorted([*_tools(), LATER], key=lambda row: str(row["name"])),
    )
    before = _asked(scene, *turns, tools=sorted(_tools(), key=lambda row: str(row["name"])))
    return (yield from kept(before, then))


def _overtaken(scene: Scene) -> Plan:
    """Two long results, in the order of their calls and in the other."""
    turns = (
        user(f"Order, {scene.salt}. Light two floors."),
        assistant(*(call(f"toolu_q{n}", "light_lamp", floor=n) for n in (1, 2))),
    )
    results = [result(f"toolu_q{n}", f"{n}: " + prose(WEIGHT // 2, f"floor {n}")) for n in (1, 2)]
    return (
        yield from kept(_asked(scene, *turns, user(*results)), _asked(scene, *turns, user(*results[::-1])))
    )


def _results_first(scene: Scene) -> Plan:
    """A text that stood in front of the result would push it on."""
    turns = (
        user(f"Mixed, {scene.salt}. Ring it."),
        assistant(call("toolu_m1", "ring_bell", colour="red", times=1)),
    )
    back = result("toolu_m1", prose(WEIGHT, "the bell"))
    return (
        yield from kept(
            _asked(scene, *turns, user(back)), _asked(scene, *turns, user(back, "By the way, hurry."))
        )
    )


def _compacted(scene: Scene) -> Plan:
    turns = [*_opening(scene, "compaction"), assistant("I rang it."), user("And?")]
    longer = [*turns[:-1], user("And?", "Write down all that matters of this conversation, in sections.")]
    return (yield from kept(_asked(scene, *turns), _asked(scene, *longer)))


def _sessions(scene: Scene) -> Plan:
    """Two sessions that differ in their prompts, ids and billing lines, and not in the 9 KB behind the prompt."""

    def begins(words: str, session: str, nonce: str) -> Ask:
        turns = user(words), operator(f"{scene.salt}: {ENVIRONMENT}", listed=True)
        return _asked(
            scene, *turns, system=system(scene, nonce=nonce), metadata={"user_id": user_id(session)}
        )

    one, other = begins("What is this?", "one", "4be"), begins("Where is it?", "other", "0c1")
    return (yield from kept(one, other.more(x_claude_code_session_id="another")))


def _agents(scene: Scene) -> Plan:
    """A sub-agent asks between two turns of the main conversation."""
    turns = _opening(scene, "agents")
    then = _asked(scene, *turns, assistant("I rang it."), user("Again."))
    return (yield from kept(_asked(scene, *turns), then, agent_ask(scene, 7), agent_ask(scene, 8)))


AGAIN: Final = "the whole conversation is read again: seconds or minutes, every time"


def _check(name: str, needs: tuple[str, ...], says: str, plan: Callable[[Scene], Plan]) -> Check:
    return Check(f"prefix.{name}", needs, says, AGAIN, plan, "should")


CHECKS: Final = (
    _check("turns", ("CC-4.13",), "every turn's prompt begins with all of the turn before", _turns),
    _check("billing", ("CC-4.1", "CC-8.1"), "the billing line is not part of the prompt", _billing),
    _check("marks", ("CC-4.2", "CC-4.3"), "cache_control, and list or string, make no difference", _marks),
    _check("notes", ("CC-8.3", "CC-8.4"), "a turn of role system in the middle stays where it is", _notes),
    _check("tools", ("CC-4.4",), "a tool that was loaded does not go in front of the conversation", _loaded),
    _check("results", ("CC-4.10",), "results are read in the order of their calls", _overtaken),
    _check("results-first", ("CC-5.9",), "results are read before the text beside them", _results_first),
    _check("compaction", ("CC-1.9", "CC-4.14"), "a compaction goes on from the last prompt", _compacted),
    _check(
        "sessions", ("CC-4.11", "CC-4.12"), "new sessions share what is the same in all of them", _sessions
    ),
    _check(
        "agents", ("CC-2.8",), "a sub-agent in between does not cost the main conversation its cache", _agents
    ),
)
