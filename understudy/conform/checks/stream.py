"""Checks of streams: every event, index and block where Claude Code expects it. All of them look at the same few answers."""

from collections.abc import Callable
from typing import Final

from understudy.conform.answer import Answer, heard
from understudy.conform.asks import forced, hello, thinking
from understudy.conform.exchange import Ask, Check, Fault, Level, Plan, Scene, Talk, Undecided, put
from understudy.conform.stream import Facet

PATIENCE: Final = 60.0
"""Seconds of silence after which something is wrong: Claude Code gives up at 300, and proxies in between long before."""
NEEDED: Final = 15.0
"""Seconds after which a ping should have come."""


def samples(scene: Scene) -> tuple[Ask, ...]:
    """The questions whose answers are looked at: words, a call, reasoning."""
    return hello(scene), forced(scene), thinking(scene)


def streams(scene: Scene) -> Talk[list[Answer]]:
    """The samples' answers. The plainest must be one; what may be refused is another check's business."""
    first, *others = samples(scene)
    found = [heard((yield from put(first)))]
    for ask in others:
        reply = yield from put(ask)
        try:
            found.append(heard(reply))
        except Fault:
            continue
    return found


def _faultless(facet: Facet) -> Callable[[Scene], Plan]:
    expected, trigger = EXPECTED[facet]

    def plan(scene: Scene) -> Plan:
        seen = False
        for answer in (yield from streams(scene)):
            if answer.streamed is None:
                continue
            if facet in answer.streamed.faults:
                raise Fault(answer.streamed.faults[facet], expected)
            seen |= not trigger or any(block.kind == trigger for block in answer.streamed.blocks)
        if not seen:
            raise Undecided(
                f"no {trigger} block came in any answer" if trigger else "no answer came as a stream"
            )
        return ""

    return plan


EXPECTED: Final[dict[Facet, tuple[str, str]]] = {
    "records": ("whole events, each with JSON as its data", ""),
    "event-lines": ("an `event:` line before the data, with the type that the data says", ""),
    "order": ("message_start, blocks, message_delta, message_stop, and nothing after it", ""),
    "indices": ("blocks numbered from 0 without holes, and deltas for a block that is there", ""),
    "blocks": ("one block at a time: start, deltas, stop, and then the next", ""),
    "starts": ("a block that opens empty; its content comes in deltas", ""),
    "fields": ("a content_block_start with all fields of its kind", ""),
    "deltas": ("deltas of the block's own kind", ""),
    "signature": (
        "one signature_delta, the last delta of a thinking block, an empty one if nothing signs",
        "thinking",
    ),
    "empty": ("no block, where the model said nothing", ""),
}
"""For each kind of fault: what is right, and the block without which nothing can be told."""


def _comes_as_stream(scene: Scene) -> Plan:
    for ask in samples(scene)[:2]:
        answer = heard((yield from put(ask)))
        if answer.streamed is None:
            raise Fault("a body of JSON for a question with stream: true", "server-sent events")
    return ""


def _content_type(scene: Scene) -> Plan:
    reply = yield from put(hello(scene))
    heard(reply)
    found = reply.headers.get("content-type", "")
    if not found.startswith("text/event-stream"):
        raise Fault(f"content-type: {found or 'none'}", "content-type: text/event-stream")
    return ""


def _uncompressed(scene: Scene) -> Plan:
    reply = yield from put(hello(scene).more(accept_encoding="gzip, deflate, br, zstd"))
    if reply.trouble or not reply.status:
        raise Fault(reply.trouble, "an answer")
    if found := reply.headers.get("content-encoding", "").removeprefix("identity"):
        raise Fault(f"content-encoding: {found} on a stream", "a stream that is not compressed")
    return ""


def _never_silent(scene: Scene) -> Plan:
    longest = 0.0
    for ask in samples(scene):
        reply = yield from put(ask)
        longest = max(longest, reply.silence)
        if longest > PATIENCE:
            raise Fault(
                f"{longest:.0f} s without a byte", f"a ping or a comment at least every {NEEDED:.0f} s"
            )
    return f"longest silence {longest:.1f} s" + (
        "" if longest > NEEDED else ": too short for a ping to be needed"
    )


def _facet(facet: Facet, needs: tuple[str, ...], says: str, costs: str, level: Level = "must") -> Check:
    return Check(f"stream.{facet}", needs, says, costs, _faultless(facet), level)


LOST: Final = "the block is lost, and with it text or a call"
CRASH: Final = "the client's SDK raises in the middle of an answer"
CHECKS: Final = (
    Check(
        "stream.comes",
        ("CC-1.1", "CC-6.19"),
        "a question with stream: true is answered with a stream",
        "the answer is thrown away, and the question comes again without streaming",
        _comes_as_stream,
    ),
    Check(
        "stream.content-type",
        (),
        "a stream has the content type of one",
        "browsers and some SDKs do not read it",
        _content_type,
        "should",
    ),
    Check(
        "stream.uncompressed",
        ("CC-2.11",),
        "a stream is not compressed, whatever the client accepts",
        "words arrive in bursts",
        _uncompressed,
        "should",
    ),
    _facet(
        "event-lines",
        ("CC-6.14",),
        "every event has its event: line",
        "the stream is thrown away, and the question comes again without streaming",
    ),
    _facet(
        "records", (), "every event is whole, and its data is JSON", "SDKs raise at such a record", "should"
    ),
    _facet(
        "order",
        ("CC-8.18",),
        "one message_start, then blocks, message_delta and message_stop, and nothing behind",
        CRASH,
    ),
    _facet("indices", ("CC-8.18",), "blocks are numbered from 0 without holes", CRASH),
    _facet("blocks", ("CC-6.15", "CC-8.18"), "every block is closed before the next one begins", LOST),
    _facet("starts", ("CC-6.15",), "a block opens empty, and its content comes in deltas", LOST),
    _facet("fields", (), "a block opens with all its fields", CRASH, "should"),
    _facet("deltas", ("CC-8.18",), "a block has deltas of its own kind", CRASH),
    _facet(
        "signature",
        ("CC-6.31",),
        "thinking ends with one signature, if only an empty one",
        "SDKs miss it",
        "should",
    ),
    _facet(
        "empty", ("CC-8.37",), "no block is sent that has nothing in it", "odd lines on the screen", "should"
    ),
    Check(
        "stream.silence",
        ("CC-6.20", "CC-6.21", "CC-8.26"),
        "headers and pings come while the model is silent",
        "the client gives up after 300 s and asks again from the beginning",
        _never_silent,
    ),
)
