"""Checks of counting and of refusals: the numbers and sentences by which Claude Code knows what to do next."""

from typing import Final

from understudy.conform.answer import OK, Answer, decoded, error_of, heard, told
from understudy.conform.asks import (
    TOOLS,
    ask,
    assistant,
    bodied,
    body,
    call,
    counted,
    prose,
    result,
    user,
)
from understudy.conform.exchange import (
    COUNT,
    Ask,
    Check,
    Fault,
    Json,
    Plan,
    Reply,
    Scene,
    Skipped,
    Talk,
    Undecided,
    put,
)
from understudy.conform.judging import TOO_LONG, overflow, refused, short
from understudy.conform.values import number

AT_A_TIME: Final = 26
"""Counts that `/context` asks for at once."""
START: Final = 64 * 1024
STEP: Final = 4
"""Where a search for an unknown window begins, and by what it grows."""
BYTES_PER_TOKEN: Final = 6
"""More than English has: a prompt made by it does not fit."""
ABSENT: Final = (404, 405, 501)


# ---- counting ----


def _count(reply: Reply) -> int:
    """Tokens.

    Raises:
        Verdict: there is no such thing here, or it is no count.
    """
    if reply.status in ABSENT:
        raise Skipped("there is no count_tokens: the client estimates by itself")
    found = number(decoded(reply.body), "input_tokens")
    if reply.trouble or reply.status != OK or not found or found < 1:
        raise Fault(told(reply), '{"input_tokens": N}')
    return found


def _counts(scene: Scene) -> Plan:
    return f"{_count((yield from put(counted(scene, 'foo'))))} tokens"


def _all_counts(scene: Scene) -> Plan:
    asks = tuple(counted(scene, "foo" + " more" * n) for n in range(AT_A_TIME))
    found = [_count(reply) for reply in (yield asks)]
    if found != sorted(found) or found[0] == found[-1]:
        raise Fault(
            f"counts of {found[0]} to {found[-1]} for prompts that grow", "an answer to each question"
        )
    return ""


def _everything_counts(scene: Scene) -> Plan:
    base: list[Json] = [user("Write it.")]
    written = assistant(call("toolu_c1", "ring_bell", colour="red", note=prose(4000, "a call")))
    grown = [*base, written, user(result("toolu_c1", prose(4000, "a result")))]
    short_call = assistant(call("toolu_c1", "ring_bell", colour="red", note="x"))
    steps = {
        "a call": (
            counted(scene, *base, short_call, user(result("toolu_c1", "x"))),
            counted(scene, *base, written, user(result("toolu_c1", "x"))),
        ),
        "a result": (counted(scene, *base, written, user(result("toolu_c1", "x"))), counted(scene, *grown)),
        "a tool": (
            counted(scene, "foo", tools=()),
            counted(scene, "foo", tools=[{**TOOLS[0], "description": prose(4000, "a tool")}]),
        ),
    }
    for what, (before, after) in steps.items():
        less = _count((yield from put(before)))
        more = _count((yield from put(after))) - less
        if more < 4000 // 12:
            raise Fault(f"4000 characters in {what}, and {more} more tokens", f"at least {4000 // 12}")
    return ""


def _agrees(scene: Scene) -> Plan:
    """Asked with the same fields that the question has, its system prompt included."""
    made = body(scene, user("Say yes.", prose(2000, "counting")), tools=TOOLS, max_tokens=1)
    count = _count(
        (
            yield from put(
                bodied(scene, {k: v for k, v in made.items() if k not in ("max_tokens", "stream")}, COUNT)
            )
        )
    )
    used = heard((yield from put(bodied(scene, made)))).usage.prompt
    if not used:
        raise Undecided("the server does not tell how many tokens a prompt has")
    if abs(count - used) > used * 0.2:
        raise Fault(f"{count} tokens counted, {used} used", "the same number, within a fifth")
    return f"{count} counted, {used} used"


# ---- refusals ----

WRONG: Final[dict[str, tuple[str, ...]]] = {
    "no messages": ("messages",),
    "no max_tokens": ("max_tokens",),
    "no model": ("model",),
}


def _broken(scene: Scene) -> Plan:
    reply = yield from put(bodied(scene, b'{"model": '))
    refused(reply, 400, "invalid_request_error")
    return ""


def _lacking(scene: Scene) -> Plan:
    for what, fields in WRONG.items():
        made = {name: value for name, value in body(scene, user("Say yes.")).items() if name not in fields}
        reply = yield from put(bodied(scene, made))
        message = refused_because(what, reply)
        if fields[0] not in message:
            raise Fault(f"{what}: {short(message)!r}", f"a sentence that names {fields[0]}")
    turn = {"role": "king", "content": "Say yes."}
    refused_because("a role that there is not", (yield from put(bodied(scene, body(scene, turn)))))
    return ""


def refused_because(what: str, reply: Reply) -> str:
    """The message of a 400; whatever else came is told with what was wrong in the question."""
    try:
        return refused(reply, 400, "invalid_request_error")
    except Fault as fault:
        raise Fault(f"{what}: {fault.seen}", fault.expected) from fault


def _final(scene: Scene) -> Plan:
    reply = yield from put(bodied(scene, b'{"model": '))
    if reply.status != 400:  # noqa: PLR2004
        raise Undecided(f"a broken body is no 400 here: {told(reply)}")
    if reply.headers.get("x-should-retry") != "false":
        raise Fault("a 400 without x-should-retry: false", "x-should-retry: false")
    return ""


# ---- too long ----


def _oversize(scene: Scene) -> Talk[tuple[Ask, Reply]]:
    """A prompt that does not fit, and what came back: by the window where it is told, else it grows until it does not."""
    size = min(scene.window * BYTES_PER_TOKEN or START, scene.max_bytes)
    while True:
        asked = ask(
            scene,
            user(f"Run {scene.salt}. " + prose(size, "length")),
            assistant("Yes."),
            user("Go on."),
            max_tokens=1,
        )
        reply = yield from put(asked)
        if reply.trouble or reply.status != OK:
            return asked, reply
        answer = _not_cut(heard_or_refused(reply), size)
        if size * STEP > scene.max_bytes:
            raise Undecided(
                f"{size} bytes ({answer.usage.prompt} tokens) were answered; --max-prompt-bytes allows no more"
            )
        size *= STEP


def heard_or_refused(reply: Reply) -> Answer:
    """An answer to a prompt that may be too long.

    Raises:
        Fault: the refusal came inside a stream that had begun.
    """
    try:
        return heard(reply)
    except Fault as fault:
        raise Fault(f"status 200, and then {fault.seen}", "status 400, before the stream begins") from fault


def _not_cut(answer: Answer, size: int) -> Answer:
    tokens = answer.usage.prompt
    if tokens and tokens < size // 15:
        raise Fault(
            f"a prompt of {size} bytes was answered as {tokens} tokens: it was cut without a word",
            "status 400",
        )
    return answer


def _too_long(scene: Scene) -> Plan:
    asked, reply = yield from _oversize(scene)
    _known(reply)
    whole = bodied(scene, asked.body.replace(b'"stream":true', b'"stream":false'))
    _known((yield from put(whole)))
    return short(error_of(reply)[1])


def _known(reply: Reply) -> None:
    if not overflow(reply):
        raise Fault(told(reply), "status 400 with 'prompt is too long: N tokens > M maximum'")


def _numbers(scene: Scene) -> Plan:
    _, reply = yield from _oversize(scene)
    if reply.status == 413:  # noqa: PLR2004
        raise Undecided("the limit of a body's size came before the window's")
    found = TOO_LONG.search(error_of(reply)[1])
    if not found or not int(found[1]) > int(found[2]) > 0:
        raise Fault(told(reply), "'prompt is too long: N tokens > M maximum', with N > M")
    refused(reply, 400, "invalid_request_error")
    return f"{found[1]} > {found[2]}"


LATE: Final = "compaction comes too late, or never"
DIES: Final = "the session ends, instead of being compacted"
CHECKS: Final = (
    Check(
        "count.there",
        ("CC-1.5", "CC-6.12"),
        "count_tokens counts a question without system and max_tokens",
        LATE,
        _counts,
    ),
    Check(
        "count.at-once",
        ("CC-1.6",),
        "26 counts at a time are all answered",
        "/context shows nothing",
        _all_counts,
    ),
    Check("count.everything", ("CC-8.24",), "calls, results and tools count", LATE, _everything_counts),
    Check(
        "count.agrees", ("CC-8.24",), "the count is that of the engine that answers", LATE, _agrees, "should"
    ),
    Check(
        "errors.shape",
        ("CC-6.3",),
        "an error has the API's shape",
        "SDKs cannot tell what is wrong",
        _broken,
        "should",
    ),
    Check(
        "errors.fields",
        ("CC-6.3",),
        "a field that is missing or wrong is a 400 that names it",
        "nobody finds the mistake",
        _lacking,
        "should",
    ),
    Check(
        "errors.final",
        ("CC-6.3",),
        "x-should-retry: false stands with errors that will not get better",
        "the client asks up to six times",
        _final,
        "should",
    ),
    Check(
        "errors.too-long",
        ("CC-6.10", "CC-7.4", "CC-8.22", "CC-8.23"),
        "a prompt that does not fit is a 400 that the client knows, before the stream begins",
        DIES,
        _too_long,
    ),
    Check(
        "errors.too-long-numbers",
        ("CC-6.10", "CC-7.4", "CC-8.22"),
        "it says 'prompt is too long: N tokens > M maximum'",
        "the client does not know how much to drop",
        _numbers,
        "should",
    ),
)
