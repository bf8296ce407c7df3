"""`understudy check`: the settings as they are understood, the engines as they answer, and what is wrong in words."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Struct

from understudy.cli.clientenv import advice
from understudy.cli.console import masked, stdout, table, tokens
from understudy.config import EngineSettings, Loaded, load, models_dir

if TYPE_CHECKING:
    from understudy.language.target import Standing

EXAMPLES = """\b
Examples:
  understudy check
  understudy check --config understudy.toml --json
"""
COUNTED = {"auth.key_hashes": "keys", "privacy.words": "words", "privacy.patterns": "patterns"}
"""Settings whose values are nobody's business: what there are so many of."""
SEARCH = "web.search_url"


class Setting(Struct):
    """A value, and where it came from."""

    path: str
    value: object
    source: str


class Model(Struct):
    """A model an engine has; the window in tokens, 0 where it does not tell."""

    id: str
    window: int


class EngineReport(Struct):
    """An engine and its answer."""

    name: str
    kind: str
    url: str
    state: str
    models: list[Model]
    detail: str = ""


class Report(Struct):
    """All of it. `ok` is whether there are no problems; notes are good to know and no fault."""

    ok: bool
    settings: list[Setting]
    secrets: dict[str, str]
    engines: list[EngineReport]
    problems: list[str]
    notes: list[str]


@click.command(epilog=EXAMPLES)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="Settings; default: understudy.toml here, if any.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def check(file: Path | None, *, as_json: bool) -> None:
    """Look at the settings, and ask the engines.

    The status is 1 if anything is wrong. Nothing is started, changed or downloaded. Secrets are shown as "set".
    """
    found = report(load(file))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        _print(found)
    click.get_current_context().exit(0 if found.ok else 1)


def report(loaded: Loaded) -> Report:
    """Everything there is to say.

    Raises:
        ConfigError: the settings cannot be used at all.
    """
    from understudy.app import gatekeeper
    from understudy.cli import casting

    gatekeeper(loaded)
    rows = casting.engines(loaded)
    standing = casting.standing(loaded, rows)
    found = list(_problems(loaded, standing))
    notes = list(_notes(loaded, rows))
    engines = [_engine(row, seen) for row, seen in zip(rows, standing, strict=True)]
    return Report(not found, settings(loaded), _secrets(loaded), engines, found, notes)


def settings(loaded: Loaded) -> list[Setting]:
    """Every setting with its effective value and its source."""
    return [
        Setting(path, _shown(path, value), loaded.sources.get(path, "default"))
        for path, value in _leaves(msgspec.to_builtins(loaded.config))
    ]


def _leaves(values: dict[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, dict) and key != "models":
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _shown(path: str, value: object) -> object:
    """Without what must not be seen: keys' digests, private words, and passwords inside addresses."""
    if path in COUNTED and isinstance(value, list | tuple):
        return f"{len(value)} {COUNTED[path]}" if value else "none"
    if path == "engines" and isinstance(value, list | tuple):
        return [{**row, "url": masked(row["url"])} for row in value]
    if path == SEARCH and isinstance(value, str):
        return masked(value)
    return value


def _secrets(loaded: Loaded) -> dict[str, str]:
    held = loaded.secrets
    named = {f"key of engine {name}": key for name, key in held.engine_keys.items()}
    if variable := loaded.config.web.search_key_env:
        named[f"key of the search provider, {variable}"] = held.search_key
    found = {"UNDERSTUDY_MASTER_KEY": held.master_key, "HF_TOKEN": held.hub_token, **named}
    return {name: "set" if value else "not set" for name, value in found.items()}


def _engine(row: EngineSettings, seen: "Standing") -> EngineReport:
    models = [Model(m.id, m.context) for m in seen.models]
    return EngineReport(row.name, row.kind, masked(row.url), seen.state, models, seen.detail)


def _problems(loaded: Loaded, standing: tuple["Standing", ...]) -> Iterator[str]:
    """What is wrong, and what to do about it."""
    for row in standing:
        if row.state == "held":
            continue
        if row.state != "up":
            yield f"{row.engine}: {row.detail}. Start it, or take it out of the settings"
        elif not row.models:
            yield f"{row.engine} serves no model: load one into it"
        for model in row.models:
            if not model.context:
                yield f"{row.engine}/{model.id}: {advice(0)}"
    from understudy.app import warnings

    ids = {name for row in standing for m in row.models for name in (m.id, f"{row.engine}/{m.id}")}
    yield from warnings(loaded, standing)
    yield from _describer(loaded, standing, ids)


def _describer(loaded: Loaded, standing: tuple["Standing", ...], ids: set[str]) -> Iterator[str]:
    """Who describes pictures must be there, and must see."""
    name = loaded.config.images.describer
    if ids and name and name not in ids:
        yield f"images.describer: no engine has {name!r}. They have: {', '.join(sorted(ids))}"
    for row in standing:
        for model in row.models:
            if name not in (model.id, f"{row.engine}/{model.id}"):
                continue
            if "images" in model.lacks:
                yield f"images.describer: {name} cannot see pictures itself. Name a model that can"
            if not row.local:
                yield f"images.describer: {name} is outside the house. Name a model in it"


def _notes(loaded: Loaded, rows: tuple[EngineSettings, ...]) -> Iterator[str]:
    if not rows:
        yield _without_engine(loaded)
    if shutil.which("claude") is None:
        yield "Claude Code is not on PATH: npm install -g @anthropic-ai/claude-code"


def _without_engine(loaded: Loaded) -> str:
    """What `serve` would do without an engine."""
    from understudy.cli import casting
    from understudy.engines import hub
    from understudy.engines.catalog import best_fit
    from understudy.engines.embedding import REHEARSAL, free_memory

    wanted, _ = casting.own_model(loaded)
    name = (wanted or loaded.config.embedded).model
    if name:
        return f"no engine is used but our own llama.cpp, with {name}"
    directory = models_dir(loaded.config)
    here = hub.models_on_disk(directory) if directory.exists() else []
    if real := [model.path for model in here if model.path.stem != REHEARSAL]:
        return f"no engine was found; serve would run {real[0].name} from {directory}"
    row = best_fit(free_memory()) if loaded.config.embedded.hub else None
    if row is not None:
        return (
            f"no engine was found; serve would fetch {row.name} from the hub, or rehearse without a network"
        )
    return "no engine was found, and no model fits: serve would only rehearse, with random words"


# -- for the eye ---------------------------------------------------------------------------------------------------------


def _print(found: Report) -> None:
    from rich.text import Text

    console = stdout()
    console.print(Text("Settings", "bold"))
    rows = table("", "", "", fold=("",))
    rows.show_header = False
    for row in found.settings:
        style = "dim" if row.source == "default" else ""
        rows.add_row(Text("  " + row.path, style), Text(_words(row.value), style), Text(row.source, "dim"))
    for name, state in found.secrets.items():
        rows.add_row(Text("  " + name, "dim"), Text(state, "dim" if state == "not set" else ""), Text(""))
    console.print(rows)
    console.print(Text("\nEngines", "bold"))
    for engine in found.engines:
        _print_engine(engine)
    for note in found.notes:
        console.print(Text(f"  {note}", "dim"), soft_wrap=True)
    _print_verdict(found)


def _words(value: object) -> str:
    if value in ((), [], "", None):
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, dict):
        return " ".join(
            f"{key}={_words(item)}" for key, item in value.items() if item not in ((), [], "", None, 0)
        )
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print_engine(engine: EngineReport) -> None:
    from rich.text import Text

    colour = {"up": "green", "held": "dim"}.get(engine.state, "red")
    line = Text.assemble((f"  {engine.state:<6}", colour), f"{engine.name} ({engine.kind}) {engine.url}")
    if engine.state == "held":
        line.append(f"  {engine.detail}", "dim")
    stdout().print(line, soft_wrap=True)
    for model in engine.models:
        stdout().print(Text(f"          {model.id}  {tokens(model.window)} tokens", "dim"), soft_wrap=True)


def _print_verdict(found: Report) -> None:
    from rich.text import Text

    console = stdout()
    console.print()
    for problem in found.problems:
        console.print(Text.assemble(("problem: ", "bold red"), problem), soft_wrap=True)
    if found.ok:
        console.print(Text("everything is in order", "green"))
