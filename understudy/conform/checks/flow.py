"""Checks of several questions at a time, and of clients that leave."""

import msgspec

from understudy.conform.asks import SHORT, ask, headers, system
from understudy.conform.exchange import Ask, Check, Fault, Plan, Scene, put
from understudy.conform.judging import sound

LEAVERS = 3
PATIENCE, TIMES = 5.0, 5
"""A question after those that were left may take so many seconds, or so many times as long as before."""


def _left(scene: Scene) -> Plan:
    """Asked before and after three clients that closed their connections in the middle of long answers."""
    quick = ask(scene, "Say yes.", max_tokens=1)
    before = yield from put(quick.once_more("before the leavers"))
    sound(before)
    long = ask(scene, "Count from 1 to 2000, in words, without leaving one out.", max_tokens=4096)
    left = yield tuple(
        msgspec.structs.replace(long, leave_after=1, again=f"leaver {number}") for number in range(LEAVERS)
    )
    for reply in left:
        if reply.status != 200:  # noqa: PLR2004
            sound(reply)
    after = yield from put(quick.once_more("after the leavers"))
    sound(after)
    allowed = max(PATIENCE, TIMES * before.seconds)
    if after.seconds > allowed:
        raise Fault(
            f"the next question took {after.seconds:.1f} s, and {before.seconds:.1f} s before",
            f"at most {allowed:.1f} s: an answer that nobody reads is given up",
        )
    return f"{before.seconds:.1f} s before, {after.seconds:.1f} s after"


def agent_ask(scene: Scene, number: int) -> Ask:
    """A sub-agent's question."""
    asked = ask(
        scene,
        f"You are agent {number}. Say your number.",
        system=system(scene, nonce=f"0{number}a", agent=True),
        max_tokens=SHORT,
    )
    return msgspec.structs.replace(asked, headers=headers(scene, agent=f"agent-{number}"))


def _agents(scene: Scene) -> Plan:
    main = ask(scene, "Say hello while the agents work.")
    replies = yield (main, *(agent_ask(scene, number) for number in (1, 2, 3)))
    answers = [sound(reply) for reply in replies]
    ids = [answer.id for answer in answers]
    if len(set(ids)) < len(ids):
        raise Fault(f"answers with the ids {', '.join(ids)}", "an answer of its own for everyone")
    return f"the slowest took {max(reply.seconds for reply in replies):.1f} s"


CHECKS = (
    Check(
        "flow.leave",
        ("CC-6.22", "CC-8.27"),
        "a client that leaves frees the server",
        "after Escape the next question waits behind one that nobody reads",
        _left,
    ),
    Check(
        "flow.agents",
        ("CC-1.8", "CC-2.8"),
        "three sub-agents are answered beside the main conversation",
        "sub-agents fail",
        _agents,
    ),
)
