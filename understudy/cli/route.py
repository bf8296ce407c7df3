"""`understudy route`: who would answer a request, and why, before anything is sent."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, get_args

import click
import msgspec
from msgspec import Struct

from understudy.cli.console import say, stdout
from understudy.cli.visit import DEFAULT_URL, Gateway, NotRunning
from understudy.config import load, visitor
from understudy.language.errors import BadRequest
from understudy.language.routes import TASKS, RequestClass

if TYPE_CHECKING:
    from understudy.config import Loaded

AUTO = "auto"

EXAMPLES = """\b
Examples:
  understudy route "translate this into Chinese: good morning"
  understudy route --model claude-haiku-4-5 --as auxiliary "a title for this"
  git diff | understudy route - --json
  understudy route --request body.json            a whole request, as clients send it to /v1/messages
  understudy route --config new.toml "fix this"   by these settings, without a gateway
"""


class Found(Struct, frozen=True):
    """Something private in the request, as a gateway tells it."""

    kind: str
    rule: str
    where: str
    start: int
    length: int


class Explained(Struct, frozen=True):
    """A decision, as a gateway tells it: see `router.Explanation`."""

    task: str
    confidence: float
    target: str
    targets: tuple[str, ...]
    reason: str
    findings: tuple[Found, ...] = ()


@click.command(epilog=EXAMPLES)
@click.argument("text", default="")
@click.option(
    "--request", "file", type=click.File("rb"), help="A whole request in Anthropic's dialect; - for stdin."
)
@click.option("--model", help=f"What the client asks for; default {AUTO}, or what the request says.")
@click.option("--task", type=click.Choice(TASKS), help="Say the task, instead of having it guessed.")
@click.option("--as", "kind", type=click.Choice(get_args(RequestClass)), help="The kind of request it is.")
@click.option("--config", type=click.Path(path_type=Path), help="Decide here, by these settings.")
@click.option("--url", help=f"The gateway's address; default $UNDERSTUDY_URL, else {DEFAULT_URL}.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def route(
    text: str,
    file: BinaryIO | None,
    *,
    model: str | None,
    task: str | None,
    kind: str | None,
    config: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Explain which model would answer TEXT, and why. Nothing is asked of any model.

    TEXT is a question; - reads it from standard input. A running gateway decides; without one, or with --config, it is
    decided here, and the engines are looked at. The status is 1 if nobody would answer.
    """
    body = _with(file.read() if file is not None else _question(text), model, task)
    answer, source = _explained(body, kind or "", config, url)
    found = msgspec.json.decode(answer, type=Explained)
    if as_json:
        click.echo(msgspec.json.format(answer, indent=2))
    else:
        _print(found)
        say(source, "dim")
    click.get_current_context().exit(0 if found.target else 1)


def _question(text: str) -> bytes:
    question = sys.stdin.read() if text == "-" else text
    if not question.strip():
        raise BadRequest("there is no question: give a TEXT, - for standard input, or --request FILE")
    return msgspec.json.encode({"messages": [{"role": "user", "content": question}]})


def _with(body: bytes, model: str | None, task: str | None) -> bytes:
    """The request with what the options say."""
    try:
        request = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise BadRequest(f"--request: that is no JSON object: {error}") from error
    said = {"model": model or ("" if "model" in request else AUTO), "task_type": task}
    return msgspec.json.encode({**request, **{key: value for key, value in said.items() if value}})


def _explained(body: bytes, kind: str, config: Path | None, url: str | None) -> tuple[bytes, str]:
    """The explanation, and in words who gave it."""
    about = visitor()
    if config is None:
        gateway = Gateway(url or about.url or DEFAULT_URL, about.key)
        try:
            return gateway.explain(body, kind), f"decided by the gateway at {gateway.url}"
        except NotRunning:
            if url or about.url:
                raise  # a gateway was named: settings of this folder are not what was asked for
    return asyncio.run(_here(load(config), body, kind)), "decided here: no gateway was asked"


async def _here(loaded: "Loaded", body: bytes, kind: str) -> bytes:
    from understudy.app import Cast, House
    from understudy.auth import Caller
    from understudy.cli import casting
    from understudy.dialects import counting_dialect

    request = counting_dialect("anthropic").parse_count(body)
    rows = await asyncio.to_thread(casting.engines, loaded)
    house = House(loaded, Cast(rows))
    try:
        await house.ledger.open()  # a budget that is spent counts
        await house.pool.look()
        return msgspec.json.encode(house.gateway.explain(request, Caller(request_class=kind)))
    finally:
        await house.upstream.aclose()
        await house.ledger.aclose()


def _print(found: Explained) -> None:
    from rich.text import Text

    rows = [
        ("task", Text(f"{found.task} ({found.confidence:.2f})")),
        ("target", Text(found.target or "nobody", "bold green" if found.target else "bold red")),
        ("reason", Text(found.reason)),
    ]
    if len(found.targets) > 1:
        rows.append(("else", Text(", ".join(found.targets[1:]))))
    rows += [
        ("private", Text(f"{one.kind} ({one.rule}) in {one.where}, character {one.start}"))
        for one in found.findings
    ]
    for name, value in rows:
        stdout().print(Text.assemble((f"{name:<9}", "dim"), value), soft_wrap=True)
