"""Results as lines for people and as JSON for programs. Pure."""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct

from understudy.conform.exchange import Ask, Check, Result, Status

Style = Literal["", "dim", "bold", "green", "red", "yellow"]
WORDS: Final[dict[Status, tuple[str, Style]]] = {
    "pass": ("ok", "green"),
    "fail": ("FAIL", "red"),
    "undecided": ("?", "yellow"),
    "skipped": ("-", "dim"),
}
SHOWN_BODY: Final = 4096
"""Bytes of a body that still stand in a command line."""
MANY: Final = 3
"""Questions of a failure that are shown."""
APIS: Final = {
    "chat": "OpenAI's Chat Completions",
    "responses": "OpenAI's Responses API",
    "ollama": "Ollama's API",
}
"""What checks without a requirement stand for, by their group."""
DOCUMENT: Final = "docs/claude-code.md"


class Line(Struct, frozen=True):
    """A line, as pieces with their styles."""

    pieces: tuple[tuple[str, Style], ...]

    def __str__(self) -> str:
        return "".join(words for words, _ in self.pieces).rstrip()


def lines(result: Result, width: int, *, commands: bool = False) -> Iterator[Line]:
    """What is shown of one result.

    Args:
        result: it.
        width: columns of the longest id.
        commands: with the command lines that ask a failure's questions again.
    """
    word, style = WORDS[result.status]
    check = result.check
    weight: Style = "bold" if result.status == "fail" else ""
    note = f"  ({result.note})" if result.note else ""
    yield Line(((f"  {word:<6}", style), (f"{check.id:<{width}}  ", weight), (check.says, ""), (note, "dim")))
    if result.status != "fail":
        return
    rows = [
        ("seen", result.seen),
        ("expected", result.expected),
        (f"{check.level}, else", check.costs),
        ("stands for", _needs(check)),
    ]
    for name, words in rows:
        yield Line(((f"          {name:<15}", "dim"), (words, "")))
    if commands:
        for ask in result.asks[:MANY]:
            yield Line((("          repeat it      ", "dim"), (curl(ask), "")))


def _needs(check: Check) -> str:
    if not check.needs:
        return APIS.get(check.group, "the Messages API, as its SDKs read it")
    return f"{DOCUMENT}, {', '.join(name.removeprefix('CC-') for name in check.needs)}"


def curl(ask: Ask, url: str = "$URL") -> str:
    """A command line that asks the same; the key stays in the environment."""
    parts = ["curl", "-sN" if ask.method == "POST" else "-s", "--head" if ask.method == "HEAD" else ""]
    parts += [f'"{url}{ask.path}"', '-H "Authorization: Bearer $KEY"']
    parts += [
        f"-H {shlex.quote(f'{name}: {value}')}"
        for name, value in ask.headers
        if not name.startswith("x-stainless")
    ]
    if ask.body:
        large = len(ask.body) > SHOWN_BODY
        parts.append(
            "--data-binary @body.json" if large else f"-d {shlex.quote(ask.body.decode(errors='replace'))}"
        )
        parts.append(f"  # a body of {len(ask.body)} bytes: --save DIR writes it" if large else "")
    return " ".join(part for part in parts if part)


class Tally(Struct):
    """How many of each."""

    passed: int = 0
    failed_must: int = 0
    failed_should: int = 0
    undecided: int = 0
    skipped: int = 0

    @property
    def failed(self) -> int:
        """All failures."""
        return self.failed_must + self.failed_should


def tally(results: Iterable[Result]) -> Tally:
    """The numbers of a run."""
    out = Tally()
    for result in results:
        match result.status:
            case "pass":
                out.passed += 1
            case "fail" if result.check.level == "must":
                out.failed_must += 1
            case "fail":
                out.failed_should += 1
            case "undecided":
                out.undecided += 1
            case "skipped":
                out.skipped += 1
    return out


def summary(counts: Tally) -> Line:
    """The numbers in words."""
    failed = f"{counts.failed} failed"
    if counts.failed:
        failed += f" ({counts.failed_must} must, {counts.failed_should} should)"
    return Line(
        (
            (f"{counts.passed} passed", "green"),
            (", ", ""),
            (failed, "red" if counts.failed else ""),
            (f", {counts.undecided} undecided, {counts.skipped} skipped", ""),
        )
    )


def by_requirement(results: Sequence[Result]) -> dict[str, Status]:
    """Each requirement with the worst that its checks have found."""
    order: tuple[Status, ...] = ("skipped", "pass", "undecided", "fail")
    out: dict[str, Status] = {}
    for result in results:
        for need in result.check.needs:
            out[need] = max(out.get(need, "skipped"), result.status, key=order.index)
    return dict(
        sorted(out.items(), key=lambda pair: [int(n) for n in pair[0].removeprefix("CC-").split(".")])
    )


# ---- JSON ----


class CheckLine(Struct, omit_defaults=True):
    """One check in the JSON."""

    id: str
    status: Status
    level: str
    requirements: list[str]
    says: str
    costs: str
    note: str = ""
    seen: str = ""
    expected: str = ""
    repeat: list[str] = []


class Report(Struct):
    """All of it."""

    url: str
    model: str
    version: str
    ok: bool
    summary: Tally
    requests: int
    prompt_tokens: int
    answer_tokens: int
    requirements: dict[str, Status]
    checks: list[CheckLine]


def check_line(result: Result) -> CheckLine:
    """A result for a program."""
    check = result.check
    repeat = [curl(ask) for ask in result.asks[:MANY]] if result.status == "fail" else []
    return CheckLine(
        check.id,
        result.status,
        check.level,
        list(check.needs),
        check.says,
        check.costs,
        result.note,
        result.seen,
        result.expected,
        repeat,
    )


def saved(result: Result) -> Iterator[tuple[str, bytes]]:
    """File names and contents for a failure's questions."""
    for number, ask in enumerate(result.asks[:MANY]):
        name = f"{result.check.id}.{number}"
        head = {"method": ask.method, "path": ask.path, "headers": dict(ask.headers)}
        yield f"{name}.request.json", json.dumps(head, indent=2).encode()
        yield f"{name}.body.json", ask.body
