"""Checks of tool results: taken in every form, and shown to the model. What it is not shown costs no tokens: that tells."""

import base64
import re
import struct
import zlib
from collections.abc import Callable
from typing import Final

from understudy.conform.answer import error_of, heard
from understudy.conform.asks import TOOLS, ask, assistant, call, prose, result, say, user
from understudy.conform.exchange import Ask, Check, Fault, Json, Plan, Reply, Scene, Undecided, put
from understudy.conform.judging import answered, growth, prompt_of, short

BLIND: Final = re.compile("image|picture|vision|multimodal|modalit", re.IGNORECASE)
"""How a refusal speaks of pictures."""
SIDE: Final = 64
"""Pixels of the picture's sides."""


def picture() -> Json:
    """A red square, as a block."""
    row = b"\0" + b"\xd0\x20\x20" * SIDE
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    pieces = [(b"IHDR", head), (b"IDAT", zlib.compress(row * SIDE, 9)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in pieces
    )
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png).decode()}
    return {"type": "image", "source": source}


def after(scene: Scene, *blocks: Json) -> Ask:
    """The question behind one call, with these blocks of the user's."""
    turns = (user("Ring it."), assistant("I ring it.", call("toolu_r1", "ring_bell", colour="red", times=1)))
    return ask(scene, *turns, user(*blocks), tools=TOOLS)


def answer_of(content: object = "it rang", **more: object) -> Json:
    """That call's result."""
    return result("toolu_r1", content, **more)


def _bare(scene: Scene) -> Ask:
    block = answer_of()
    del block["content"]
    return after(scene, block)


PREVIEW: Final = (
    "<persisted-output>\nOutput too large (106KB). Saved to: /tmp/out.txt\n\nPreview (first 2KB):\n"
    f"{prose(2000, 'output')}\n</persisted-output>"
)


def _two_calls(scene: Scene, *order: int) -> Ask:
    calls = [call(f"toolu_o{n}", "light_lamp", floor=n) for n in (1, 2)]
    results = [result(f"toolu_o{n}", f"floor {n} is lit") for n in order]
    return ask(scene, user("Light two floors."), assistant(*calls), user(*results), tools=TOOLS)


def _any_order(scene: Scene) -> Plan:
    one = prompt_of((yield from put(_two_calls(scene, 1, 2))))
    other = prompt_of((yield from put(_two_calls(scene, 2, 1))))
    if abs(one - other) > 2:  # noqa: PLR2004
        raise Fault(
            f"{one} tokens in the order of the calls, {other} in the other",
            "both results, each once",
        )
    return ""


def _failure(scene: Scene) -> Plan:
    """A word for another word may leave the number of tokens as it was: then the cache tells where the two prompts part."""
    behind = say(prose(3000, "bells"))
    good, bad = after(scene, answer_of("42"), behind), after(scene, answer_of("42", is_error=True), behind)
    more = yield from growth(good, bad)
    if more:
        return f"{more:+} tokens"
    same = heard((yield from put(bad.once_more("the same")))).usage
    other = heard((yield from put(good.once_more("the other")))).usage
    if not same.cached:
        raise Undecided("both prompts have as many tokens, and no cache tells them apart")
    if (same.cached or 0) <= (other.cached or 0) + 100:
        raise Fault(
            "a prompt with is_error is the same as one without",
            "a result that the model can tell from a good one",
        )
    return "as many tokens, but other ones"


def blind(reply: Reply) -> None:
    """Nothing where a picture was taken.

    Raises:
        Undecided: it was refused because this model sees none, and in words that say so.
    """
    message = error_of(reply)[1]
    if reply.status == 400 and BLIND.search(message):  # noqa: PLR2004
        raise Undecided(f"this model sees no pictures: {short(message)}")


def _seen(place: str) -> Callable[[Scene], Plan]:
    def plan(scene: Scene) -> Plan:
        image = picture()
        if place == "prompt":
            pair = ask(scene, user("What is this?")), ask(scene, user("What is this?", image))
        else:
            pair = after(scene, answer_of([say("read")])), after(scene, answer_of([say("read"), image]))
        blind((yield from put(pair[1])))
        more = yield from growth(*pair)
        if more < 1:
            raise Fault("an image costs no tokens: it was dropped", "the image, or a word that there was one")
        return f"{more} tokens"

    return plan


def _carried(scene: Scene) -> Plan:
    more = yield from growth(after(scene, answer_of("x")), after(scene, answer_of(prose(2000, "output"))))
    if not 2000 // 12 <= more <= 2200:  # noqa: PLR2004
        raise Fault(f"2000 more characters of a result, and {more} more tokens", "166 to 2200 more tokens")
    return f"2000 characters are {more} tokens"


BREAKS: Final = "every session breaks at its first such result"
UNSEEN: Final = "the model goes on as if nothing had come back"
CHECKS: Final = (
    answered(
        "results.forms",
        ("CC-5.1", "CC-5.3", "CC-5.8"),
        "a result may be a string, a list, empty, or absent",
        BREAKS,
        lambda scene: after(scene, answer_of("(Bash completed with no output)")),
        lambda scene: after(scene, answer_of([say("a"), say("b")])),
        lambda scene: after(scene, answer_of("", is_error=False)),
        lambda scene: after(scene, answer_of([])),
        lambda scene: after(scene, answer_of(PREVIEW)),
        _bare,
    ),
    Check("results.carried", ("CC-5.1", "CC-5.8"), "the whole result is in the prompt", UNSEEN, _carried),
    Check(
        "results.failure",
        ("CC-5.2",),
        "a failure reaches the model as one",
        "the model takes it for a success",
        _failure,
        "should",
    ),
    answered(
        "results.mixed",
        ("CC-5.9",),
        "results and text may stand in one turn, in any order",
        BREAKS,
        lambda scene: after(scene, answer_of(), say("By the way")),
        lambda scene: after(scene, say("By the way"), answer_of(), say("hurry")),
    ),
    Check(
        "results.any-order",
        ("CC-4.10",),
        "results may come in another order than the calls",
        "parallel tools break the session",
        _any_order,
    ),
    Check(
        "results.image",
        ("CC-5.7", "CC-8.30"),
        "an image in a result is taken, and shown or named to the model",
        "reading a picture breaks the session, or is forgotten",
        _seen("result"),
    ),
    Check(
        "results.prompt-image",
        ("CC-8.30",),
        "an image in a prompt is taken, and shown or named to the model",
        "a picture breaks the session, or is forgotten",
        _seen("prompt"),
    ),
)
