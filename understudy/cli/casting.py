"""Who plays: the engines of the settings, else those found on this machine, else a model of our own.

An engine outside the house is asked beside these, not instead of them, and not at all while nothing may leave.
An entry of kind `llamacpp` in the settings, or `--model`, is a model of our own whatever else is found.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from understudy.config import ConfigError, Embedded, EngineSettings, Loaded, models_dir
from understudy.language.request import change

if TYPE_CHECKING:
    from understudy.app import Cast
    from understudy.engines.embedding import Embedding
    from understudy.language.target import Standing

CLOUD = "https://api.anthropic.com"
EMBEDDED_KIND = "llamacpp"
OPTION = "command line"
"""What `config.load` calls the source of an option."""

Tell = Callable[[str], None]
OnProgress = Callable[[int, int], None]


def cast(loaded: Loaded, tell: Tell, on_progress: OnProgress) -> "Cast":
    """The engines to serve with, a model downloaded if there is nothing else.

    Raises:
        UnderstudyError: a named engine or model cannot be used.
    """
    from understudy.app import Cast

    rows = engines(loaded)
    wanted, name = own_model(loaded)
    if wanted is None and any(not held(loaded, row) for row in rows):
        return Cast(rows)
    chosen = _embedding(loaded, wanted or loaded.config.embedded, tell, on_progress)
    return Cast(rows, change(chosen, name=name) if name else chosen)


def engines(loaded: Loaded) -> tuple[EngineSettings, ...]:
    """Engines that run outside of us: named, and found where the settings let us look.

    Raises:
        ConfigError: a named one lacks its address.
    """
    named = tuple(
        _addressed(row, loaded.secrets.ollama_host)
        for row in loaded.config.engines
        if row.kind != EMBEDDED_KIND
    )
    look = loaded.config.discover.on
    ours = any(row.kind == EMBEDDED_KIND for row in loaded.config.engines) or any(map(indoors, named))
    if look is False or (look is None and ours):
        return named
    urls = {row.url for row in named}
    return (*named, *(row for row in found(loaded) if row.url not in urls))


def indoors(row: EngineSettings) -> bool:
    """Whether an engine is in the house; one outside does not stand for those that may be found here."""
    from understudy.engines import KINDS
    from understudy.engines.locality import in_house

    return row.kind not in KINDS or in_house(row.url, own=KINDS[row.kind].own, said=row.local)


def held(loaded: Loaded, row: EngineSettings) -> bool:
    """Whether an engine is outside the house while nothing may leave it."""
    return loaded.config.privacy.mode == "local-only" and not indoors(row)


def own_model(loaded: Loaded) -> tuple[Embedded | None, str]:
    """The model of our own that was asked for, and the name of its engine; None and "" if none was.

    Raises:
        ConfigError: two were asked for.
    """
    embedded = loaded.config.embedded
    rows = [row for row in loaded.config.engines if row.kind == EMBEDDED_KIND]
    if len(rows) > 1:
        names = ", ".join(row.name for row in rows)
        raise ConfigError(
            f"engines: {names}: only one can be of kind llamacpp; run a llama-server for another model"
        )
    if loaded.sources.get("embedded.model") == OPTION:
        return embedded, rows[0].name if rows else ""
    if not rows:
        return None, ""
    row = rows[0]
    wanted = change(
        embedded,
        model=row.model or embedded.model,
        context=row.context or embedded.context,
        slots=row.slots or embedded.slots,
    )
    return wanted, row.name


def found(loaded: Loaded) -> tuple[EngineSettings, ...]:
    """Engines on their usual ports."""
    return asyncio.run(_discover(loaded))


async def _discover(loaded: Loaded) -> tuple[EngineSettings, ...]:
    from understudy.engines.discover import discover, well_known_ports
    from understudy.engines.upstream import Upstream

    looking = loaded.config.discover
    upstream = Upstream(connect_timeout=looking.timeout_seconds)
    try:
        return await discover(
            upstream,
            hosts=looking.hosts,
            ollama_host=loaded.secrets.ollama_host,
            patience=looking.timeout_seconds,
            ports=well_known_ports(),
        )
    finally:
        await upstream.aclose()


def standing(loaded: Loaded, rows: tuple[EngineSettings, ...]) -> tuple["Standing", ...]:
    """What these engines say of themselves now."""
    return asyncio.run(_standing(loaded, rows))


async def _standing(loaded: Loaded, rows: tuple[EngineSettings, ...]) -> tuple["Standing", ...]:
    from understudy.app import Cast, House

    house = House(loaded, Cast(rows))
    try:
        await house.pool.look()
        return house.pool.snapshot()
    finally:
        await house.upstream.aclose()


def _addressed(row: EngineSettings, ollama_host: str) -> EngineSettings:
    """With the address at which its kind usually listens, where the settings name none."""
    from understudy.engines import KINDS
    from understudy.engines.discover import ollama_url

    where = f"engines.{row.name}"
    if row.url or row.kind == "scripted":
        return row
    if row.kind == "ollama":
        return change(row, url=ollama_url(ollama_host))
    if row.kind == "anthropic":
        return change(row, url=CLOUD)
    ports = KINDS[row.kind].ports
    if not ports:
        raise ConfigError(f'{where}.url: where is it? Such as url = "http://127.0.0.1:8080"')
    return change(row, url=f"http://127.0.0.1:{ports[0]}")


def _embedding(loaded: Loaded, wanted: Embedded, tell: Tell, on_progress: OnProgress) -> "Embedding":
    from understudy.engines.embedding import choose

    return choose(wanted, loaded.secrets, models_dir(loaded.config), tell, on_progress)
