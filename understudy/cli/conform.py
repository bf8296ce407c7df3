"""`understudy conform`: whether a server gives Claude Code what it needs, whoever's server it is."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec
from msgspec import Struct

from understudy.cli.console import say, stderr, stdout
from understudy.cli.visit import DEFAULT_URL
from understudy.config import visitor

if TYPE_CHECKING:
    from understudy.conform.exchange import Check, Dialect, Result, Scene
    from understudy.conform.forecast import Need
    from understudy.conform.report import Line, Report
    from understudy.conform.runner import Runner, Used

KEY_VARIABLE = "UNDERSTUDY_CONFORM_KEY"
"""Not UNDERSTUDY_KEY: that one is our own gateway's, and no other server is told it."""
MEGABYTE = 1024 * 1024
EXAMPLES = """\b
Examples:
  understudy conform                                     our own gateway, on its usual port
  understudy conform http://127.0.0.1:8080               llama.cpp's server, vLLM, Ollama, another gateway
  understudy conform URL --only 'stream.*' --verbose     some checks; with the command lines that repeat a failure
  understudy conform URL --only CC-6.10                  what stands for a row of docs/claude-code.md
  understudy conform URL --dialect openai                Chat Completions instead; also responses, ollama, all
  understudy conform --list                              the checks
\b
Status: 0 nothing failed, 1 something did, 2 it could not be run. With --strict what stayed undecided counts as failed.
"""


@click.command(epilog=EXAMPLES)
@click.argument("url", required=False)
@click.option(
    "--dialect",
    type=click.Choice(["anthropic", "openai", "responses", "ollama", "all"]),
    default="anthropic",
    show_default=True,
    help="What the server is asked in.",
)
@click.option("--model", default="", help="Default: the first that the server lists.")
@click.option(
    "--key",
    default="",
    envvar=KEY_VARIABLE,
    help=f"Of the server. Better in {KEY_VARIABLE}: others can see command lines. Our own gateway gets UNDERSTUDY_KEY.",
)
@click.option(
    "--only", "patterns", multiple=True, metavar="GLOB", help="Checks or requirements; may be repeated."
)
@click.option(
    "--context",
    type=click.IntRange(0),
    default=0,
    help="The model's window in tokens, if the server does not tell it.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=300.0,
    show_default=True,
    help="Seconds of silence that are borne.",
)
@click.option(
    "--max-prompt-bytes",
    type=click.IntRange(1024),
    default=4 * MEGABYTE,
    show_default=True,
    help="No larger question is asked.",
)
@click.option("--bad-key", is_flag=True, help="Try a wrong key, too.")
@click.option("--strict", is_flag=True, help="What stays undecided has failed.")
@click.option("--verbose", is_flag=True, help="With a curl line for each failure.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the questions of failures into this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--list", "listing", is_flag=True, help="Only list the checks.")
def conform(
    url: str | None,
    *,
    dialect: "Dialect | Literal['all']",
    model: str,
    key: str,
    patterns: tuple[str, ...],
    context: int,
    timeout: float,
    max_prompt_bytes: int,
    bad_key: bool,
    strict: bool,
    verbose: bool,
    save: Path | None,
    as_json: bool,
    listing: bool,
) -> None:
    """Check whether the server at URL gives Claude Code what it needs.

    URL is any server that speaks /v1/messages. It is asked as Claude Code asks, in texts that are made up: nothing of
    this machine is sent. Nothing is said of how good the model is: what only a better one would show stays undecided.

    With --dialect the clients of OpenAI's and Ollama's APIs are spoken for instead.
    """
    from understudy.conform.exchange import Scene

    checks = chosen(patterns, dialect)
    if listing:
        _list(checks)
        return
    about = visitor()
    scene = Scene(
        model,
        salt=uuid.uuid4().hex[:12],
        session=str(uuid.uuid4()),
        window=context,
        bad_key=bad_key,
        max_bytes=max_prompt_bytes,
    )
    ours = about.url or DEFAULT_URL
    errand = Errand(url or ours, key or (about.key if url in (None, ours) else ""), timeout, save)
    screen = Screen(checks, quiet=as_json, commands=verbose)
    report = asyncio.run(_run(errand, checks, scene, screen))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    bad = not report.ok or (strict and report.summary.undecided)
    click.get_current_context().exit(1 if bad else 0)


class CouldNot(click.ClickException):
    """There is no verdict at all."""

    exit_code = 2


class Errand(Struct, frozen=True):
    """Whom to ask, and how."""

    url: str
    key: str
    patience: float
    save: Path | None


def chosen(patterns: Sequence[str], dialect: "Dialect | Literal['all']" = "anthropic") -> "list[Check]":
    """The checks that these patterns name, by their ids or by their requirements; all of the dialect without a pattern.

    Raises:
        click.BadParameter: a pattern names none.
    """
    from understudy.conform.checks import DIALECTS

    offered = [check for name, rows in DIALECTS.items() if dialect in (name, "all") for check in rows]

    def named(check: "Check", pattern: str) -> bool:
        return any(fnmatchcase(name, pattern) for name in (check.id, check.group, *check.needs))

    for pattern in patterns:
        if not any(named(check, pattern) for check in offered):
            raise click.BadParameter(
                f"{pattern!r} names no check of --dialect {dialect}: see --list", param_hint="--only"
            )
    return [check for check in offered if not patterns or any(named(check, pattern) for pattern in patterns)]


def _list(checks: "Sequence[Check]") -> None:
    for check in checks:
        click.echo(f"{check.id:<26} {check.level:<7} {' '.join(check.needs) or '-'}\n    {check.says}")


async def _run(errand: "Errand", checks: "Sequence[Check]", scene: "Scene", screen: "Screen") -> "Report":
    from understudy.conform.checks import CHECKS
    from understudy.conform.forecast import forecast
    from understudy.conform.runner import NoServer, Runner

    try:
        runner = Runner(errand.url, errand.key, errand.patience)
        async with runner:
            scene = await runner.scene(scene, scene.model)
            screen.begin(runner.url, scene, forecast([check for check in checks if check in CHECKS], scene))
            results: list[Result] = []
            try:
                with screen.progress() as told:
                    async for result in runner.results(checks, scene, told):
                        results.append(result)
                        screen.show(result)
                        _save(result, errand.save)
            finally:
                screen.end(results, runner.used)
    except NoServer as error:
        raise CouldNot(error.message) from error
    return _report(runner, scene, results)


def _report(runner: "Runner", scene: "Scene", results: "Sequence[Result]") -> "Report":
    from understudy import __version__
    from understudy.conform.report import Report, by_requirement, check_line, tally

    counts, used = tally(results), runner.used
    return Report(
        runner.url,
        scene.model,
        __version__,
        not counts.failed,
        counts,
        used.requests,
        used.prompt,
        used.answer,
        by_requirement(results),
        [check_line(result) for result in results],
    )


def _save(result: "Result", folder: Path | None) -> None:
    if folder is None or result.status != "fail":
        return
    from understudy.conform.report import saved

    folder.mkdir(parents=True, exist_ok=True)
    for name, content in saved(result):
        (folder / name).write_bytes(content)


class Screen:
    """What a person sees: results as lines on standard output, and what goes on now where there is a terminal.

    Args:
        checks: all that will be made.
        quiet: nothing on standard output: JSON comes there.
        commands: with command lines that repeat failures.
    """

    def __init__(self, checks: "Sequence[Check]", *, quiet: bool, commands: bool) -> None:
        self._quiet = quiet
        self._commands = commands
        self._checks = checks
        self._width = max((len(check.id) for check in checks), default=0)
        self._began = time.monotonic()
        self._console = stderr() if quiet else stdout()

    def begin(self, url: str, scene: "Scene", need: "Need") -> None:
        """Where, whom, and what it will take."""
        window = f", a window of {scene.window:,} tokens" if scene.window else ""
        say(f"{len(self._checks)} checks of {scene.model} at {url}{window}.")
        if not need.requests:
            say("Small requests, one to three for each. All texts are made up.", "dim")
            return
        say(
            f"About {need.requests} requests, {need.prompt:,} tokens of prompts and at most {need.answer:,} of answers; "
            f"the largest request has {need.bytes / MEGABYTE:.1f} MB. All texts are made up.",
            "dim",
        )

    @contextmanager
    def progress(self) -> "Generator[Callable[[Check], None], None, None]":
        """Tells which check is being made."""
        if not self._console.is_terminal:
            yield lambda _check: None
            return
        numbers = itertools.count(1)
        with self._console.status("") as status:
            yield lambda check: status.update(f"{next(numbers)} of {len(self._checks)}  {check.id}")

    def show(self, result: "Result") -> None:
        """One result."""
        if self._quiet:
            return
        from understudy.conform.report import lines

        for line in lines(result, self._width, commands=self._commands):
            self._print(line)

    def end(self, results: "Sequence[Result]", used: "Used") -> None:
        """The numbers, also of a run that was broken off."""
        from understudy.conform.report import summary, tally

        seconds = time.monotonic() - self._began
        if not self._quiet:
            self._print(summary(tally(results)))
        broken = "" if len(results) == len(self._checks) else f"broken off after {len(results)} checks; "
        tokens = f"{used.prompt:,} tokens of prompts, {used.answer:,} of answers"
        say(f"{broken}{used.requests} requests, {tokens}, {seconds:.0f} s", "dim")

    def _print(self, line: "Line") -> None:
        from rich.text import Text

        self._console.print(Text.assemble(*line.pieces), soft_wrap=True)
