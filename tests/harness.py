"""How translators are tested: every wire whole, byte by byte, followed by rubbish, cut at random and cut short.

    from harness import feed3, cuts, truncations, wires

A subject is a zero-argument function that makes a fresh decoder (anything with feed(bytes) and close()).
"""

import asyncio
import itertools
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from understudy.dialects import Decoder
from understudy.language import errors
from understudy.language.events import (
    Event,
    Failed,
    Grammar,
    InputDelta,
    MessageStop,
    Progress,
    TextDelta,
    ThinkingDelta,
    word,
)

Make = Callable[[], Decoder]
WIRES = Path(__file__).parent / "wires"


def ids() -> Callable[[str], str]:
    """A `new_id` that counts: toolu_1, toolu_2, msg_3..."""
    count = iter(range(1, 10**9))
    return lambda prefix: f"{prefix}{next(count)}"


def legal(events: Iterable[Event]) -> list[Event]:
    """The events, once the grammar has seen them to a terminal event and nothing stands after it."""
    grammar, seen = Grammar(), []
    for event in events:
        assert grammar.allows(event), f"{word(event)} {grammar.state.value}, after {seen}"
        grammar.step(event)
        seen.append(event)
    assert isinstance(seen[-1] if seen else None, MessageStop | Failed), f"no terminal event: {seen}"
    return seen


class Heard:
    """A `Listener` that is never slow, and keeps what it was told."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[list[Event] | None] = asyncio.Queue()

    def tell(self, events: list[Event]) -> None:
        self.batches.put_nowait(list(events))

    def more(self, text: str) -> None:
        self.tell([TextDelta(text)])


async def pushed(answer: Callable[..., Awaitable[None]], *asked: object) -> AsyncGenerator[list[Event], None]:
    """The batches that an engine's `answer` tells, one by one; leaving the generator cancels the answer."""
    heard = Heard()
    answering = asyncio.ensure_future(answer(*asked, heard))
    answering.add_done_callback(lambda _: heard.batches.put_nowait(None))
    try:
        while (batch := await heard.batches.get()) is not None:
            yield batch
        await answering
    finally:
        answering.cancel()
        await asyncio.wait((answering,))


def feed(make: Make, pieces: Iterable[bytes]) -> list[Event]:
    """What a fresh decoder makes of these pieces, then closed; checked against the grammar."""
    decoder, out = make(), []
    for piece in pieces:
        out += decoder.feed(piece)
    return legal(out + decoder.close())


def by_events(make: Make, wire: bytes) -> list[Event]:
    """What a decoder makes of a wire that comes event by event, each asked first for its `text`."""
    decoder, out = make(), []
    for piece in re.findall(rb"(?s).+?\n\n|.+\Z", wire):
        text = decoder.text(piece)
        out += [TextDelta(text)] if text else decoder.feed(piece)
    return legal(out + decoder.close())


def merged(events: Iterable[Event]) -> list[Event]:
    """Neighbouring deltas of a kind joined, so that where they were split does not count. Failed compares by plain()."""
    out: list[Event] = []
    for event in events:
        match out[-1] if out else None, event:
            case TextDelta(a), TextDelta(b):
                out[-1] = TextDelta(a + b)
            case ThinkingDelta(a), ThinkingDelta(b):
                out[-1] = ThinkingDelta(a + b)
            case InputDelta(a), InputDelta(b):
                out[-1] = InputDelta(a + b)
            case _:
                out.append(event)
    return out


def plain(event: Event) -> dict:
    """One event as plain data, as it stands in a .events.jsonl file."""
    if isinstance(event, Failed):
        return {"event": "Failed", "error": type(event.error).__name__, "message": str(event.error)}
    row = {"event": type(event).__name__, **_listed(msgspec.to_builtins(event))}
    for money in ("written_tokens", "hour_tokens"):  # most wires know nothing of paid caches
        if not row.get("usage", {}).get(money, True):
            del row["usage"][money]
    return row


def _listed(value: object) -> object:
    """With lists where tuples are: JSON has no others."""
    match value:
        case dict():
            return {key: _listed(inner) for key, inner in value.items()}
        case tuple() | list():
            return [_listed(inner) for inner in value]
        case _:
            return value


def story(events: Iterable[Event]) -> list[dict]:
    """The whole answer as plain data: what tests compare."""
    return [plain(event) for event in merged(events)]


def feed3(make: Make, wire: bytes, *, trailing: bytes = b"\n: more\n\ndata: {}\n\n") -> list[Event]:
    """The events of a wire, the same whole, byte by byte and with bytes after its end."""
    whole = feed(make, [wire])
    single = feed(make, (wire[i : i + 1] for i in range(len(wire))))
    assert story(single) == story(whole), "fed byte by byte"
    assert story(by_events(make, wire)) == story(whole), (
        "fed event by event, the short way where there is one"
    )
    if isinstance(whole[-1], MessageStop):
        assert story(feed(make, [wire, trailing])) == story(whole), "with trailing bytes"
        assert story(feed(make, [wire + trailing])) == story(whole), "with trailing bytes in one piece"
    return whole


def cuts(make: Make, wire: bytes, *, times: int = 50, seed: int = 0) -> None:
    """Fed in random pieces, some of them empty, a wire means the same."""
    dice, expected = random.Random(seed), story(feed(make, [wire]))  # noqa: S311 - cuts, not secrets
    for _ in range(times):
        points = sorted(dice.randint(0, len(wire)) for _ in range(dice.randint(1, 12)))
        edges = [0, *points, len(wire)]
        pieces = [wire[a:b] for a, b in itertools.pairwise(edges)]
        assert story(feed(make, pieces)) == expected, f"cut at {points}"


def truncations(make: Make, wire: bytes, *, step: int = 1) -> Iterator[tuple[int, list[Event]]]:
    """(length, events) of every proper prefix; a prefix that is answered like the whole wire is the caller's to judge."""
    for length in range(0, len(wire), step):
        yield length, feed(make, [wire[:length]])


def never_finished_early(make: Make, wire: bytes, *, end: int, step: int = 1) -> None:
    """No prefix shorter than `end` bytes is a finished answer; `end` is where the wire's own end marker is complete."""
    for length, events in truncations(make, wire[:end], step=step):
        last = events[-1]
        assert isinstance(last, Failed), f"{length} of {end} bytes were taken for a finished answer"
        assert isinstance(last.error, errors.EngineError), f"{length} bytes: {last.error!r}"


def answer(events: Iterable[Event]) -> list[Event]:
    """The events without Progress: what the client sees."""
    return [event for event in events if not isinstance(event, Progress)]


def wires(dialect: str, suffix: str = "sse") -> list[Path]:
    """The wires of a dialect, written by hand or recorded; beside each lies its meaning (`meaning()`)."""
    found = sorted((WIRES / dialect).glob(f"*.{suffix}"))
    assert found, f"no wires of {dialect}"
    return found


def meaning(wire: Path) -> list[dict]:
    """What a wire means: its .events.jsonl, as story() writes it."""
    lines = wire.with_suffix(".events.jsonl").read_text(encoding="utf-8").splitlines()
    return [msgspec.json.decode(line) for line in lines]


def write_meaning(wire: Path, events: Iterable[Event]) -> None:
    """Write a wire's meaning; the difference is to be read before it is kept."""
    text = "".join(msgspec.json.encode(row).decode() + "\n" for row in story(events))
    wire.with_suffix(".events.jsonl").write_text(text, encoding="utf-8")
