"""`understudy serve`: the gateway, from an empty terminal to one that answers."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.port import reserved
from understudy.config import Loaded, load

if TYPE_CHECKING:
    from understudy.app import Cast

EXAMPLES = """\b
Examples:
  understudy serve                                  whatever engine runs here
  understudy serve --model ./qwen3-coder.gguf       a file, in a llama.cpp of our own
  understudy serve --model qwen3-coder-30b          fetched from the hub when it is missing
  understudy serve --model owner/name-GGUF:Q4_K_M   any GGUF on the hub
  understudy serve --config understudy.toml --port 8010
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="Settings; default: understudy.toml here, if any.",
)
@click.option("--host", help="Address to listen on; default 127.0.0.1. Others need UNDERSTUDY_MASTER_KEY.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; default 8000, 0 takes any.")
@click.option(
    "--model", help="Run this model in a llama.cpp of our own: FILE.gguf, a short name, owner/name:quant."
)
@click.option(
    "--context", type=click.IntRange(256), help="Its window in tokens; default: what fits, at most 65,536."
)
@click.option("--no-discover", is_flag=True, help="Do not look for engines on this machine.")
@click.option(
    "--log", type=click.Choice(["auto", "json", "console"]), help="Form of the log on standard error."
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Default: info.")
def serve(
    file: Path | None,
    host: str | None,
    port: int | None,
    model: str | None,
    context: int | None,
    *,
    no_discover: bool,
    log: str | None,
    log_level: str | None,
) -> None:
    """Start the gateway.

    It serves the engines of the settings; else those found on this machine (Ollama, vLLM, llama.cpp, LM Studio,
    SGLang); else a model that fits, fetched and run by itself.
    """
    options: dict[str, object] = {
        "server.host": host,
        "server.port": port,
        "embedded.model": model,
        "embedded.context": context,
        "discover.on": False if no_discover else None,
        "observe.log": log,
        "observe.level": log_level,
    }
    loaded = load(file, options)
    from understudy.app import gatekeeper
    from understudy.cli.run import perform
    from understudy.observe.log import set_up

    set_up(loaded.config.observe.log, loaded.config.observe.level)
    gatekeeper(loaded)  # says now, not after a download, that a key is missing
    with closing(reserved(loaded.config.server.host, loaded.config.server.port)) as listener:
        status = perform(loaded, _cast(loaded), listener)
    click.get_current_context().exit(status)


def _cast(loaded: Loaded) -> "Cast":
    """Who plays, with the progress of a download; Ctrl-C keeps what was fetched.

    Raises:
        UnderstudyError: a named engine or model cannot be used.
    """
    from understudy.cli import casting
    from understudy.cli.console import download_bar, say

    with download_bar("fetching the model") as show:
        return casting.cast(loaded, lambda sentence: say(sentence, "dim"), show)
