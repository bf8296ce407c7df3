"""Checks of whole answers: their shape, how they end, and the tokens they tell."""

from typing import Final

from understudy.conform.answer import Usage, decoded, heard
from understudy.conform.asks import ROOM, ask, hello, prose
from understudy.conform.checks.stream import streams
from understudy.conform.exchange import Check, Fault, Plan, Scene, Undecided, put
from understudy.conform.judging import STOPS, growth, prompt_of, short
from understudy.conform.values import at, rows, text

MARKS: Final = ("e", "a", "o", "i")
"""Stop sequences that nearly every sentence meets within a word; more than four are too many for some engines."""
NAMES: Final = frozenset(
    {"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"}
)
MORE: Final = 4000
"""Characters by which a prompt is made longer."""
FEWEST, MOST = MORE // 12, MORE + 200
"""Tokens that these can have, from the largest vocabulary to one that has nothing but bytes."""


def _shape(scene: Scene) -> Plan:
    reply = yield from put(hello(scene, stream=False))
    answer = heard(reply)
    if answer.streamed is not None:
        raise Fault("a stream for a question with stream: false", "one message")
    if not reply.headers.get("content-type", "").startswith("application/json"):
        raise Fault(f"content-type: {reply.headers.get('content-type')}", "content-type: application/json")
    body = decoded(reply.body)
    for name, good in (
        ("id", bool(text(body, "id"))),
        ("role", text(body, "role") == "assistant"),
        ("model", bool(text(body, "model"))),
        ("stop_reason", answer.stop_reason is not None),
        ("content", all(text(block, "type") for block in rows(at(body, "content")))),
        ("usage", at(body, "usage", "input_tokens") is not None),
    ):
        if not good:
            raise Fault(f"{name}: {short(str(at(body, name)))}", f"a message with its {name}")
    return ""


def _ids(scene: Scene) -> Plan:
    one = heard((yield from put(hello(scene)))).id
    other = heard((yield from put(hello(scene).once_more("ids")))).id
    if not one or one == other:
        raise Fault(f"two answers with the id {one!r}", "an id of its own for every answer")
    return ""


# ---- endings ----


def _cut(scene: Scene) -> Plan:
    for stream in (True, False):
        reply = yield from put(ask(scene, "Write a long story about a river.", max_tokens=1, stream=stream))
        answer = heard(reply)
        output = answer.usage.output or 0
        if answer.stop_reason == "end_turn" and not answer.text.strip():
            raise Undecided("the model said nothing, and ended by itself")
        if answer.stop_reason != "max_tokens":
            raise Fault(f"stop_reason {answer.stop_reason!r} with max_tokens 1", "stop_reason 'max_tokens'")
        if output > 1:
            raise Fault(f"{output} tokens of answer with max_tokens 1", "1 token")
    return ""


def _stopped(scene: Scene) -> Plan:
    asked = ask(scene, "Say hello in one sentence.", stop_sequences=list(MARKS), max_tokens=ROOM)
    answer = heard((yield from put(asked)))
    said = f"stop_reason {answer.stop_reason!r}, stop_sequence {answer.stop_sequence!r}, text {short(answer.text)!r}"
    expected = (
        f"the text up to the first of {', '.join(MARKS)}, and stop_reason 'stop_sequence' with that one"
    )
    if any(mark in answer.text for mark in MARKS):
        raise Fault(said, expected)
    if answer.stop_reason == "stop_sequence":
        if answer.stop_sequence not in MARKS:
            raise Fault(said, expected)
        return ""
    if answer.stop_reason == "max_tokens" or not (answer.text or answer.stop_sequence):
        raise Undecided(f"the model said nothing that has one of them ({said})")
    raise Fault(said, expected)


def _known_ends(scene: Scene) -> Plan:
    for answer in (yield from streams(scene)):
        if answer.stop_reason not in STOPS:
            raise Fault(f"stop_reason {answer.stop_reason!r}", f"one of {', '.join(sorted(STOPS))}")
    return ""


def _calls_end_so(scene: Scene) -> Plan:
    answers = yield from streams(scene)
    calling = [answer for answer in answers if answer.calls and answer.stop_reason != "max_tokens"]
    if not calling:
        raise Undecided("no answer had a finished call in it")
    for answer in calling:
        if answer.stop_reason != "tool_use":
            raise Fault(f"stop_reason {answer.stop_reason!r} after a call", "stop_reason 'tool_use'")
    return ""


# ---- usage ----


def _told(scene: Scene) -> Plan:
    for stream in (True, False):
        usage = heard((yield from put(hello(scene, stream=stream)))).usage
        if not usage.prompt or not usage.output:
            way = "a stream" if stream else "a message"
            raise Fault(f"{_words(usage)} in {way}", "the tokens of prompt and answer")
    return ""


def _names(scene: Scene) -> Plan:
    for stream in (True, False):
        answer = heard((yield from put(hello(scene, stream=stream))))
        if missing := NAMES - answer.first_usage.given:
            way = "message_start" if stream else "a message"
            raise Fault(f"the usage of {way} has no {', '.join(sorted(missing))}", "all four numbers")
        if answer.streamed and not any(at(end, "usage", "output_tokens") for end in answer.streamed.endings):
            raise Fault("message_delta has no output_tokens", "the tokens of the answer, at its end")
    return ""


def _grows(scene: Scene) -> Plan:
    longer = ask(scene, "Say hello, and a sentence about the weather.", prose(MORE, "the weather"))
    more = yield from growth(hello(scene), longer)
    if not FEWEST <= more <= MOST:
        raise Fault(f"{MORE} more characters, and {more} more tokens", f"{FEWEST} to {MOST} more tokens")
    return f"{MORE} characters are {more} tokens"


def _stable(scene: Scene) -> Plan:
    asks = hello(scene), hello(scene).once_more("usage"), hello(scene, stream=False)
    counts = []
    for asked in asks:
        counts.append(prompt_of((yield from put(asked))))
        if abs(counts[-1] - counts[0]) > 2 + counts[0] // 50:
            shown = ", ".join(map(str, counts))
            raise Fault(
                f"the same prompt had {shown} tokens", "the same sum of fresh and cached tokens each time"
            )
    return ""


def _words(usage: Usage) -> str:
    return f"{usage.prompt} tokens of prompt, {usage.output} of answer"


BLIND: Final = "the client compacts by these numbers: too late, or again and again"
CHECKS: Final = (
    Check(
        "whole.shape",
        ("CC-1.10",),
        "without streaming there comes one message, with everything in it",
        "the repeat after a broken stream fails as well",
        _shape,
    ),
    Check(
        "whole.ids",
        ("CC-8.38",),
        "an answer has an id of its own: it is not an older one, shown again",
        "an agent gets an answer to another turn",
        _ids,
        "should",
    ),
    Check(
        "ends.max-tokens",
        ("CC-6.25",),
        "an answer cut by its limit says max_tokens, and keeps the limit",
        "half an answer is taken for a whole one",
        _cut,
    ),
    Check(
        "ends.stop-sequence",
        ("CC-6.34",),
        "an answer ended by a stop sequence says so, and which",
        "Claude Code sends none; other clients do",
        _stopped,
        "should",
    ),
    Check(
        "ends.known",
        ("CC-6.26", "CC-6.34"),
        "stop reasons are those of the API, and never model_context_window_exceeded",
        "that one is asked again three times, and nothing is compacted",
        _known_ends,
    ),
    Check(
        "ends.tool-use",
        ("CC-6.27",),
        "an answer with a call stops with tool_use",
        "SDKs take the answer for finished, and run nothing",
        _calls_end_so,
        "should",
    ),
    Check("usage.told", ("CC-6.32",), "the tokens of prompt and answer are told", BLIND, _told),
    Check(
        "usage.names", (), "usage has all four numbers", "typed SDKs raise, or show nothing", _names, "should"
    ),
    Check(
        "usage.grows", ("CC-7.3", "CC-8.25"), "a longer prompt has more tokens, in proportion", BLIND, _grows
    ),
    Check(
        "usage.stable",
        ("CC-7.3",),
        "a prompt has the same tokens whether they came from a cache or not, streamed or not",
        BLIND,
        _stable,
    ),
)
