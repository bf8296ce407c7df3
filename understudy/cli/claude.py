"""`understudy claude`: Claude Code, with the gateway that runs here."""

import os
import shutil
import sys
from collections.abc import Sequence
from typing import NoReturn

import click
import msgspec

from understudy.cli.clientenv import advice, client_environment, merged, settings, shell_lines
from understudy.cli.visit import DEFAULT_URL, Gateway, Health, ModelLine
from understudy.config import environment, visitor
from understudy.language.errors import EngineBusy, NoTarget

NOT_FOUND = 127
"""A shell's status for a program that is not there."""
AUTO = "auto"
PERMISSION_OPTIONS = (
    "--permission-mode",
    "--dangerously-skip-permissions",
    "--allow-dangerously-skip-permissions",
)
HEADLESS_OPTIONS = ("-p", "--print")
PERMISSION_HINT = (
    "Claude Code's automatic permission mode needs Anthropic's servers; "
    "understudy claude --permission-mode acceptEdits asks before commands only"
)

EXAMPLES = """\b
Examples:
  understudy claude                                  in the directory to work in
  understudy claude -p "what does this repository do?"
  understudy claude --permission-mode acceptEdits
  understudy claude --local-model qwen2.5-coder:32b
  eval "$(understudy claude --print-env)"; claude    the same by hand
  understudy claude --settings                       for ~/.claude/settings.json
"""


class Choice(msgspec.Struct, frozen=True):
    """The model Claude Code is started with, and where it is."""

    model: ModelLine
    engine: str
    notice: str = ""


@click.command(
    epilog=EXAMPLES,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[OPTIONS] [--]",
)
@click.option("--url", help=f"The gateway's address; default $UNDERSTUDY_URL, else {DEFAULT_URL}.")
@click.option(
    "--local-model", metavar="NAME", help="The model to work with; default: the best that is served."
)
@click.option("--print-env", is_flag=True, help="Only print the variables, as lines for a shell.")
@click.option(
    "--settings",
    "print_settings",
    is_flag=True,
    help="Only print them as JSON for settings.json. Followed by a value it is Claude Code's own option.",
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[CLAUDE'S OWN ARGUMENTS]...")
def claude(
    url: str | None, local_model: str | None, args: tuple[str, ...], *, print_env: bool, print_settings: bool
) -> None:
    """Start Claude Code with the local gateway.

    The options below come first; everything else is passed on to `claude` as it is. Variables that you have set
    yourself are kept, but for the address, the token and the model.
    """
    if print_settings and args:  # Claude Code has an option of this name too, but it takes a value
        print_settings, args = False, ("--settings", *args)
    about = visitor()
    gateway = Gateway(url or about.url or DEFAULT_URL, about.key)
    choice = chosen(gateway, local_model, args)
    model = choice.model
    ours = client_environment(
        gateway.url, about.key, model.id, model.window, name=model.display_name, where=choice.engine
    )
    if print_env:
        click.echo("\n".join(shell_lines(ours)))
    elif print_settings:
        click.echo(msgspec.json.format(msgspec.json.encode(settings(ours)), indent=2))
    else:
        program = _program()
        env, kept = merged(environment(), ours)
        _tell(choice, kept, args)
        start(program, args, env)


def chosen(gateway: Gateway, wanted: str | None, args: Sequence[str]) -> Choice:
    """The model to start with: the one wanted, else the one Claude's `--model` names, else the gateway's best.

    Raises:
        UnderstudyError: nobody answers, or the wanted model is not there.
    """
    health, models = gateway.health(), {row.id: row for row in gateway.models()}
    if not models:
        raise EngineBusy(
            f"the gateway at {gateway.url} has no model to offer now. {_standing(health)}".rstrip()
        )
    if wanted is not None and wanted not in models:
        raise NoTarget(f"no model {wanted!r} at {gateway.url}. There are: {', '.join(models)}")
    named = wanted or _named(args)
    if named not in models:  # also an alias of Claude Code's, such as "opus": all stand for the best
        named = gateway.target(AUTO)
    model = models.get(named) or next(iter(models.values()))
    engine = next((row for row in health.engines if model.id in row.models), None)
    return Choice(model, engine.name, engine.notice) if engine else Choice(model, "")


def _standing(health: Health) -> str:
    states = [f"{row.name} is {row.state}{': ' + row.detail if row.detail else ''}" for row in health.engines]
    return "; ".join(states) or health.next


def _named(args: Sequence[str]) -> str:
    """The value of Claude Code's own `--model`, or ""."""
    for at, arg in enumerate(args):
        if arg == "--model" and at + 1 < len(args):
            return args[at + 1]
        if arg.startswith("--model="):
            return arg.partition("=")[2]
    return ""


def start(program: str, args: Sequence[str], env: dict[str, str]) -> NoReturn:
    """Become that program: its terminal, its signals and its exit status are then nobody else's business."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(program, ["claude", *args], env)  # noqa: S606 - no shell is wanted


def _program() -> str:
    found = shutil.which("claude")
    if found is None:
        click.echo(
            f"{click.style('error:', fg='red', bold=True)} there is no `claude` on PATH. Install Claude Code: "
            "npm install -g @anthropic-ai/claude-code",
            err=True,
        )
        click.get_current_context().exit(NOT_FOUND)
    return found


def _tell(choice: Choice, kept: Sequence[str], args: Sequence[str]) -> None:
    """What there is to know before Claude Code takes the terminal."""
    from understudy.cli.console import say, tokens, warn

    quiet = any(option in args for option in HEADLESS_OPTIONS)
    if not quiet:
        say(
            f"{choice.model.id} on {choice.engine or 'the gateway'}, window {tokens(choice.model.window)}",
            "dim",
        )
    if choice.notice:
        warn(f"THE ANSWERS ARE NOISE - {choice.notice}")
    if said := advice(choice.model.window):
        warn(said)
    if kept:
        say(f"kept from your environment: {', '.join(kept)}", "dim")
    if not quiet and not any(arg.partition("=")[0] in PERMISSION_OPTIONS for arg in args):
        say(f"hint: {PERMISSION_HINT}", "dim")
