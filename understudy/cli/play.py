"""`understudy play`: a fake engine that answers from a script, to try out and to test what asks engines."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from understudy.engines.play import Played

KINDS = ("vllm", "llama-server", "ollama", "lmstudio", "sglang", "openai", "anthropic")
EXAMPLES = """\b
Examples:
  understudy play                                        a greeting, as vLLM, on port 8001
  understudy play --as ollama --port 11434               where Ollama is looked for
  understudy play agent --set cwd=/tmp/trial             writes, edits and reads a file with Claude Code's tools
  understudy play my.jsonl --pace 0.02 --context 8192    50 records a second, a small window
"""


@click.command(epilog=EXAMPLES)
@click.argument("script", default="hello")
@click.option(
    "--as",
    "kind",
    type=click.Choice(KINDS),
    default="vllm",
    show_default=True,
    help="What it pretends to be.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True, help="0 takes any.")
@click.option(
    "--context", type=click.IntRange(1), default=65536, show_default=True, help="Its window in tokens."
)
@click.option("--model", default="scripted-coder", show_default=True, help="The name of its model.")
@click.option(
    "--pace", type=click.FloatRange(0), help="Seconds between two records; default: as fast as it goes."
)
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="What {NAME} in the script stands for."
)
def play(
    script: str,
    *,
    kind: str,
    host: str,
    port: int,
    context: int,
    model: str,
    pace: float | None,
    pairs: tuple[str, ...],
) -> None:
    """Play SCRIPT as an engine: no model runs, the answers are written down.

    SCRIPT is a file of JSON lines, or one that comes along: hello (a greeting), agent (a short session of a coding
    agent; {cwd} is this directory unless it is set), conform (does what `understudy conform` asks of a model).
    """
    from understudy.engines.play import serving
    from understudy.engines.scripted import load

    told = load(script, {"cwd": str(Path.cwd()), **variables(pairs)})
    stage = serving(told, kind=kind, host=host, port=port, context=context, model=model, pace=pace, keep=0)
    try:
        with asyncio.Runner(loop_factory=_loop) as runner:
            runner.run(_play(stage, f"{model} as {kind}"))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def variables(pairs: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE, taken apart.

    Raises:
        click.BadParameter: one of them has no `=`.
    """
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r}: write NAME=VALUE", param_hint="--set")
    return dict(pair.split("=", 1) for pair in pairs)


async def _play(stage: AbstractAsyncContextManager["Played"], what: str) -> None:
    async with stage as played:
        click.echo(f"{what} on {played.url}: a script, no model. Ctrl-C ends it.")
        await asyncio.Event().wait()


def _loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()
