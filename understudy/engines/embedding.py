"""Which model the embedded engine runs: the one named, else one that is here, else the best that fits and can be fetched.

Where there is neither file nor hub it is the rehearsal model, so that everything can be tried; it says so everywhere.
"""

from collections.abc import Callable
from pathlib import Path

import psutil
from msgspec import Struct

from understudy.config import Embedded, Secrets, size_bytes
from understudy.engines import catalog, hub
from understudy.engines.download import HubError, gigabytes
from understudy.engines.ggufinfo import BadModel, pick_context, sniff_gguf
from understudy.engines.tinygguf import write_rehearsal
from understudy.engines.worker import WorkerSettings
from understudy.language.target import Model

REHEARSAL = "rehearsal"
REHEARSAL_MEMORY = 1024**3
"""Bytes it is planned for where even less is free: it is so small that it runs anywhere."""
REHEARSAL_TITLE = "understudy rehearsal"
"""What the file of the rehearsal model calls itself: it is known by this wherever it lies, and never taken for a model."""
MEMORY_SHARE = 0.8
"""Of the memory that is free now: the rest is for the agent's own programs."""
COMFORTABLE_CONTEXT = 65536
"""Tokens a coding agent works well with; more memory than this is not taken unasked."""

Tell = Callable[[str], None]
OnProgress = Callable[[int, int], None]


class Embedding(Struct, frozen=True):
    """What to embed.

    Attributes:
        model: its name and window, as clients see them.
        settings: for the worker.
        rehearsal: whether it is only noise.
        why: how it was chosen, in words.
        name: of the engine.
    """

    model: Model
    settings: WorkerSettings
    rehearsal: bool
    why: str
    name: str = "embedded"


def choose(
    wanted: Embedded, secrets: Secrets, models_dir: Path, tell: Tell, on_progress: OnProgress
) -> Embedding:
    """Find or fetch the model.

    Args:
        wanted: `[embedded]` of the settings.
        secrets: hub mirror and token.
        models_dir: where models are kept.
        tell: told what is being done, in a sentence.
        on_progress: bytes fetched, bytes in all.

    Raises:
        UnderstudyError: the model that was named cannot be had or used. An unnamed one falls back to rehearsal.
    """
    free = free_memory()
    if wanted.model:
        spec = hub.parse_model_spec(wanted.model)
        path = _obtained(spec, secrets, models_dir, on_progress)
        return _embedding(path, wanted, f"{wanted.model} was named", free)
    for found in hub.models_on_disk(models_dir) if models_dir.exists() else []:
        try:
            chosen = _embedding(found.path, wanted, "it is on this machine already", free)
        except BadModel as error:
            tell(f"passing over {found.path.name}: {error.message}")
        else:
            if not chosen.rehearsal:
                return chosen
    row = catalog.best_fit(free) if wanted.hub else None
    if row is not None:
        tell(
            f"no engine found; fetching {row.name} ({gigabytes(row.bytes)}), the best that fits. {row.sentence}"
        )
        try:
            path = _obtained(hub.HubModel(row.repo, row.quant), secrets, models_dir, on_progress)
            return _embedding(path, wanted, f"the best recommended model that fits {gigabytes(free)}", free)
        except (HubError, BadModel) as error:
            tell(error.message)
    return rehearsal(wanted, models_dir)


def rehearsal(wanted: Embedded, models_dir: Path) -> Embedding:
    """The rehearsal model, written now: a few hundred kilobytes."""
    path = models_dir / "rehearsal" / "rehearsal.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rehearsal(path)
    free = max(free_memory(), REHEARSAL_MEMORY)
    return _embedding(path, wanted, "no engine, no model file and no hub were found", free)


def free_memory() -> int:
    """Bytes a model may take."""
    return int(psutil.virtual_memory().available * MEMORY_SHARE)


def _obtained(
    spec: hub.LocalModel | hub.HubModel, secrets: Secrets, models_dir: Path, on_progress: OnProgress
) -> Path:
    return hub.obtain(
        spec,
        models_dir,
        endpoint=secrets.hub_endpoint or None,
        token=secrets.hub_token or None,
        on_progress=on_progress,
    )


def _embedding(path: Path, wanted: Embedded, why: str, free: int) -> Embedding:
    facts = sniff_gguf(path)
    fitting = pick_context(facts, free, slots=wanted.slots)
    context = wanted.context or min(fitting, COMFORTABLE_CONTEXT)
    name = path.stem.lower()
    settings = WorkerSettings(
        model=str(path),
        key="",
        alias=name,
        context=context,
        slots=wanted.slots,
        threads=wanted.threads,
        batch=wanted.batch,
        cache_ram_mib=_cache_mib(wanted.cache_ram),
        mmproj=wanted.mmproj,
        raw_text=True,
    )
    if facts.name == REHEARSAL_TITLE:
        noise = Model(REHEARSAL, context, "Rehearsal model (noise)")
        return Embedding(noise, settings, rehearsal=True, why=why)
    model = Model(name, context, facts.name, facts.chat_template, facts.file_bytes)
    return Embedding(model, settings, rehearsal=False, why=why)


def _cache_mib(size: str) -> int:
    """Memory for evicted conversations: what the settings allow, and at most a quarter of what is free."""
    return min(size_bytes(size), psutil.virtual_memory().available // 4) // 1024**2
