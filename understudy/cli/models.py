"""`understudy models` and `understudy pull`: what is served, what could be, and fetching it."""

from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Struct

from understudy.cli.console import download_bar, gigabytes, say, stdout, table, tokens
from understudy.cli.visit import DEFAULT_URL, Gateway, Health, ModelLine, NotRunning
from understudy.config import Loaded, load, models_dir, visitor
from understudy.language.errors import BadRequest

if TYPE_CHECKING:
    from understudy.engines.catalog import Recommended
    from understudy.language.target import Standing

MODELS_EXAMPLES = """\b
Examples:
  understudy models
  understudy models --recommended     which models could be fetched, and what fits this machine
  understudy models --json | jq -r .[].model
"""
PULL_EXAMPLES = """\b
Examples:
  understudy pull qwen3-coder-30b                       a short name: understudy models --recommended
  understudy pull unsloth/Qwen3-4B-Instruct-2507-GGUF   its best quantisation
  understudy pull owner/name-GGUF:Q5_K_M                this one
"""


class Served(Struct):
    """A line of `understudy models`."""

    model: str
    engine: str
    kind: str
    state: str
    window: int
    """Tokens; 0 where the engine does not tell."""


class Offered(Struct):
    """A line of `understudy models --recommended`."""

    name: str
    repository: str
    bytes: int
    memory: int
    window: int
    fits: bool
    here: bool
    sentence: str


@click.command(epilog=MODELS_EXAMPLES)
@click.option("--url", help=f"The gateway's address; default $UNDERSTUDY_URL, else {DEFAULT_URL}.")
@click.option("--recommended", is_flag=True, help="Models that can be fetched by a short name.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def models(url: str | None, *, recommended: bool, as_json: bool) -> None:
    """List the models that are served.

    A running gateway is asked; without one, the engines of this machine.
    """
    if recommended:
        _show_offered(offered(), as_json=as_json)
        return
    rows, source = _served(url)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    if not rows:
        say(
            f"no models: {source}. understudy serve fetches one that fits; understudy models --recommended shows which"
        )
        return
    _show_served(rows)
    say(source, "dim")


def _served(url: str | None) -> tuple[list[Served], str]:
    """The rows, and in words where they are from."""
    about = visitor()
    gateway = Gateway(url or about.url or DEFAULT_URL, about.key)
    try:
        health = gateway.health()
    except NotRunning:
        if url or about.url:
            raise  # a gateway was named: the engines of this machine are not what was asked for
        from understudy.cli.casting import engines, standing

        loaded = load()
        rows = by_engine(standing(loaded, engines(loaded)))
        return rows, "no gateway runs" + ("; these engines do" if rows else ", and no engine")
    return by_gateway(health, gateway.models()), f"served at {gateway.url}"


def by_gateway(health: Health, rows: tuple[ModelLine, ...]) -> list[Served]:
    """A gateway's models, each under every engine that has it."""
    windows = {row.id: row.window for row in rows}
    return [
        Served(model, engine.name, engine.kind, engine.state, windows.get(model, 0))
        for engine in health.engines
        for model in engine.models
    ]


def by_engine(rows: tuple["Standing", ...]) -> list[Served]:
    """The engines' own models."""
    return [Served(m.id, row.engine, row.kind, row.state, m.context) for row in rows for m in row.models]


def _show_served(rows: list[Served]) -> None:
    from rich.text import Text

    out = table("MODEL", "ENGINE", "WINDOW", "STATE", right=("WINDOW",), fold=("MODEL",))
    for row in rows:
        style = "green" if row.state == "up" else "yellow"
        out.add_row(Text(row.model), Text(row.engine), tokens(row.window), Text(row.state, style))
    stdout().print(out)


# -- the catalog ---------------------------------------------------------------------------------------------------------


def offered() -> list[Offered]:
    """The catalog, held against this machine."""
    from understudy.engines.catalog import CATALOG
    from understudy.engines.embedding import free_memory

    loaded, free = load(), free_memory()
    return [_offered(row, free, loaded) for row in CATALOG]


def _offered(row: "Recommended", free: int, loaded: Loaded) -> Offered:
    from understudy.engines import hub

    directory = models_dir(loaded.config)
    here = directory.exists() and hub.find_on_disk(hub.HubModel(row.repo, row.quant), directory) is not None
    repository = f"{row.repo}:{row.quant}"
    fits = row.memory <= free
    return Offered(row.name, repository, row.bytes, row.memory, row.context, fits, here, row.sentence)


def _show_offered(rows: list[Offered], *, as_json: bool) -> None:
    from rich.text import Text

    from understudy.engines.embedding import free_memory

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    out = table("NAME", "FITS", "DOWNLOAD", "MEMORY", "", right=("DOWNLOAD", "MEMORY"), fold=("",))
    for row in rows:
        fits = Text("here", "green") if row.here else Text("yes", "green") if row.fits else Text("no", "red")
        style = "" if row.fits or row.here else "dim"
        sizes = (gigabytes(row.bytes), gigabytes(row.memory))
        out.add_row(Text(row.name, style), fits, *sizes, Text(row.sentence, style))
    stdout().print(out)
    say(f"free for a model: {gigabytes(free_memory())}. Fetch one: understudy pull NAME", "dim")


# -- fetching ------------------------------------------------------------------------------------------------------------


@click.command(epilog=PULL_EXAMPLES)
@click.argument("spec", metavar="MODEL")
def pull(spec: str) -> None:
    """Fetch a model from the hub, and print where it is.

    Ctrl-C keeps what was fetched; the same command goes on from there. HF_ENDPOINT names a mirror, HF_TOKEN a token.
    """
    from understudy.engines import hub

    wanted = hub.parse_model_spec(spec)
    if isinstance(wanted, hub.LocalModel):
        raise BadRequest(f"{spec} is a file already: understudy serve --model {spec}")
    loaded = load()
    directory, secrets = models_dir(loaded.config), loaded.secrets
    if found := hub.find_on_disk(wanted, directory) if directory.exists() else None:
        say(f"it is here already ({gigabytes(found.bytes)})", "dim")
        click.echo(str(found.path))
        return
    with download_bar(f"fetching {wanted.repo}") as show:
        path = hub.obtain(
            wanted,
            directory,
            endpoint=secrets.hub_endpoint or None,
            token=secrets.hub_token or None,
            on_progress=show,
        )
    click.echo(str(path))
