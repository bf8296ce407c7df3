"""How the commands write: rich on a terminal, plain lines elsewhere."""

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn
    from rich.table import Table
    from rich.text import Text

PLAIN_WIDTH = 200
"""Columns where there is no terminal whose width counts: nothing is cut off in a pipe."""
STEPS = 10
"""Lines a progress bar leaves where there is no terminal."""


def stdout() -> "Console":
    """What a command was asked for."""
    return _console(stderr=False)


def stderr() -> "Console":
    """What is said beside it."""
    return _live[-1] if _live else _console(stderr=True)


_live: "list[Console]" = []
"""The console that a bar is drawn on now: only it can write above the bar."""


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else PLAIN_WIDTH)


def say(sentence: str, style: str = "") -> None:
    """A line on standard error."""
    from rich.text import Text

    _print(Text(sentence, style))


def warn(sentence: str) -> None:
    """A line on standard error that must be seen."""
    from rich.text import Text

    _print(Text.assemble(("warning: ", "bold yellow"), sentence))


def _print(text: "Text") -> None:
    """Between words where there is a terminal; in a pipe a sentence stays one line."""
    console = stderr()
    console.print(text, soft_wrap=not console.is_terminal)


def table(*columns: str, right: tuple[str, ...] = (), fold: tuple[str, ...] = ()) -> "Table":
    """A table without lines.

    Args:
        columns: headings.
        right: those of numbers.
        fold: those whose text may take several lines; the others are never cut.
    """
    from rich.table import Table

    out = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        out.add_column(
            name, justify="right" if name in right else "left", overflow="fold", no_wrap=name not in fold
        )
    return out


def tokens(count: int) -> str:
    """A number of tokens for people."""
    return f"{count:,}" if count else "not told"


def gigabytes(size: float) -> str:
    """Bytes for people, in the units disks are sold in."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"  # noqa: PLR2004 - a gigabyte


def masked(url: str) -> str:
    """An address without the user's name and password in it."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()


@contextmanager
def download_bar(what: str) -> Generator[Callable[[int, int], None], None, None]:
    """Shows bytes, rate and the time left; gives the function to call with bytes had and bytes in all.

    Ctrl-C inside says what is kept.
    """
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("[dim]left"),
        TimeRemainingColumn(compact=True),
    )
    fetched = [0, 0]

    try:
        with _progress(what, columns, lambda done, total: f"{gigabytes(done)} of {gigabytes(total)}") as show:

            def watch(done: int, total: int) -> None:
                fetched[:] = done, total
                show(done, total)

            yield watch
    except KeyboardInterrupt:
        say(kept(*fetched))
        raise


def kept(done: int, total: int) -> str:
    """What Ctrl-C leaves of a download."""
    if not total:
        return "stopped"
    return f"stopped; the {gigabytes(done)} of {gigabytes(total)} so far are kept: the same command goes on from there"


@contextmanager
def loading_bar(what: str) -> Generator[Callable[[float], None], None, None]:
    """Shows a share from 0 to 1; it begins with the first call, and there may be none."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with _progress(what, columns, lambda done, _total: f"{done / 10:.0f} %") as show:
        yield lambda share: show(round(share * 1000), 1000)


@contextmanager
def _progress(
    what: str, columns: "tuple[ProgressColumn, ...]", words: Callable[[int, int], str]
) -> Generator[Callable[[int, int], None], None, None]:
    """A bar on a terminal, that `say` and `warn` write above; lines elsewhere."""
    from rich.progress import Progress

    if not sys.stderr.isatty():
        yield _lines(lambda done, total: f"{what}: {words(done, total)}")
        return
    console = stderr()
    _live.append(console)
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            yield _bar(progress.add_task, progress.update, what)
    finally:
        _live.remove(console)


def _bar(add: Callable[..., object], update: Callable[..., None], what: str) -> Callable[[int, int], None]:
    """The bar starts at what was there before, so that the rate is the true one when a download goes on."""
    tasks: list[object] = []

    def show(done: int, total: int) -> None:
        if not tasks:
            tasks.append(add(what, total=total, completed=done))
        update(tasks[0], completed=done, total=total)

    return show


def _lines(sentence: Callable[[int, int], str]) -> Callable[[int, int], None]:
    """A line for each tenth that is done, and at least one a minute."""
    last = [-1, 0.0]

    def show(done: int, total: int) -> None:
        step, now = (done * STEPS // total if total else 0), time.monotonic()
        if step > last[0] or now - last[1] > 60:  # noqa: PLR2004 - seconds
            last[:] = [max(step, last[0]), now]
            click.echo(sentence(done, total), err=True)

    return show


def myself() -> str:
    """How to start this program from another terminal: by its name where that is on PATH, else by where it lies."""
    program = Path(sys.argv[0])
    if program.name != "understudy" or shutil.which("understudy"):
        return "understudy"
    return shlex.quote(str(program.absolute()))
