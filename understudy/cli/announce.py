"""What `understudy serve` says when it is ready: where it is, who plays, and the one line that starts the client."""

from typing import TYPE_CHECKING

from understudy.app import Cast
from understudy.cli.clientenv import TIGHT, advice
from understudy.cli.console import masked, myself, stdout, table, tokens, warn
from understudy.cli.port import address
from understudy.cli.visit import DEFAULT_URL
from understudy.config import Loaded
from understudy.language.errors import UnderstudyError
from understudy.language.target import Standing, Target
from understudy.routing.features import Features
from understudy.routing.names import AUTO
from understudy.routing.privacy import decide
from understudy.routing.rules import choose
from understudy.routing.tasks import Guess

if TYPE_CHECKING:
    from rich.console import RenderableType

MODELS_SHOWN = 6


def announce(loaded: Loaded, cast: Cast, standing: tuple[Standing, ...], port: int) -> None:
    """Print it: a panel on a terminal, lines elsewhere."""
    url = address(loaded.config.server.host, port)
    facts = _facts(loaded, cast, standing, url)
    console = stdout()
    if console.is_terminal:
        console.print(_panel(facts))
    else:
        console.print(f"understudy is ready at {url}", soft_wrap=True)
        for name, value in facts[1:]:
            console.print(f"  {name:<8} {value}", soft_wrap=True, markup=False)
    console.file.flush()
    _warnings(loaded, cast, standing)


def _facts(loaded: Loaded, cast: Cast, standing: tuple[Standing, ...], url: str) -> list[tuple[str, str]]:
    """Names and values; the last one is what to do."""
    places = {row.name: masked(row.url) for row in cast.engines}
    facts = [("address", url)]
    facts += [("engine", _engine(row, places.get(row.engine, ""))) for row in standing]
    best = _best(loaded, standing)
    if best is not None:
        facts += [("model", best.model.id), ("window", f"{tokens(best.model.context)} tokens")]
        facts += _others(standing, best)
    facts += [("docs", f"{url}/docs"), ("health", f"{url}/health")]
    return [*facts, ("client", client_line(loaded, url))]


def client_line(loaded: Loaded, url: str) -> str:
    """The command that starts Claude Code with this gateway."""
    keyed = bool(loaded.config.auth.key_hashes or loaded.secrets.master_key)
    key = "UNDERSTUDY_KEY=... " if keyed else ""
    return f"{key}{myself()} claude" + ("" if url == DEFAULT_URL else f" --url {url}")


def _engine(row: Standing, url: str) -> str:
    kind = "our own llama.cpp" if row.kind == "llamacpp" else row.kind
    name = row.engine if row.engine == kind else f"{row.engine} ({kind})"
    why = row.detail if row.state == "held" else f"{row.state}{': ' + row.detail if row.detail else ''}"
    state = "" if row.state == "up" else f", {why}"
    return f"{name}{' at ' + url if url else ''}{state}"


def _best(loaded: Loaded, standing: tuple[Standing, ...]) -> Target | None:
    """The model that works for Claude Code, unless it asks for another."""
    try:
        choice = choose(
            Features(AUTO, agent=True, tools=True),
            loaded.config.routing,
            standing,
            {},
            guess=lambda: Guess("code", 1.0, "said", ""),
            may_leave=lambda: decide("local-only", ()),
        )
    except UnderstudyError:
        return None
    return choice.found[0].target


def _others(standing: tuple[Standing, ...], best: Target) -> list[tuple[str, str]]:
    ids = list(dict.fromkeys(m.id for row in standing for m in row.models if m.id != best.model.id))
    if not ids:
        return []
    more = f" and {len(ids) - MODELS_SHOWN} more: understudy models" if len(ids) > MODELS_SHOWN else ""
    return [("also", ", ".join(ids[:MODELS_SHOWN]) + more)]


def _panel(facts: list[tuple[str, str]]) -> "RenderableType":
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    rows = table("", "", fold=("",))
    rows.show_header = False
    for name, value in facts[:-1]:
        rows.add_row(Text(name, "dim"), Text(value))
    start = Text.assemble("\nIn another terminal:  ", (facts[-1][1], "bold green"))
    return Panel(
        Group(rows, start), title="understudy is ready", border_style="green", expand=False, padding=(0, 2)
    )


def _warnings(loaded: Loaded, cast: Cast, standing: tuple[Standing, ...]) -> None:
    from understudy.app import warnings

    for sentence in warnings(loaded, standing):
        warn(sentence)
    if cast.embedding is not None and cast.embedding.rehearsal:
        _rehearsal()
        return
    best = _best(loaded, standing)
    if best is None:
        warn("no engine can answer now; they are asked again every two seconds")
    elif not best.model.context:
        warn(f"{best} does not tell its window: set context in [[engines]]")
    elif best.model.context < TIGHT:
        warn(advice(best.model.context))


def _rehearsal() -> None:
    from rich.panel import Panel

    from understudy.cli.console import stderr

    me = myself()
    text = (
        "No engine, no model file and no hub were found, so the rehearsal model answers: its words are random. "
        "Everything can be tried with it but the work itself; it never calls a tool.\n\n"
        "Next, one of these, then start again:\n"
        f"  {me} serve --model FILE.gguf      a model file that you have\n"
        f"  {me} pull qwen3-4b                a model from the hub, where there is a network\n"
        "  ollama serve                            or any other engine\n"
        f"  {me} models --recommended         what fits this machine"
    )
    console = stderr()
    if console.is_terminal:
        console.print(
            Panel(text, title="REHEARSAL: THE ANSWERS ARE NOISE", style="bold yellow", expand=False)
        )
    else:
        warn(f"REHEARSAL: THE ANSWERS ARE NOISE\n{text}")
