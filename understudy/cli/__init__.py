"""The command line: one module a command, heavy parts imported only when a command needs them.

Every `UnderstudyError` becomes one line on standard error; the status is 1, or 2 for a wrong setting or option, 130 after
Ctrl-C. A traceback is shown for a bug of ours only, and only with UNDERSTUDY_DEBUG.
"""

import sys
import traceback
from typing import Any

import click

from understudy import __version__
from understudy.cli import chat, check, claude, conform, models, play, serve
from understudy.config import ConfigError, visitor
from understudy.language.errors import UnderstudyError

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""
WRONG_SETTING = 2


class Failure(click.ClickException):
    """An error as the command line shows it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance all the same

    def show(self, file: Any = None) -> None:
        """One line on standard error, with `error:` in red on a terminal."""
        del file
        click.echo(f"{click.style('error:', fg='red', bold=True)} {self.message}", err=True)


class Commands(click.Group):
    """The group that turns our errors into sentences and statuses."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one needs them."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            Failure: it could not be done; click shows it and exits.
        """
        try:
            return super().invoke(ctx)
        except UnderstudyError as error:
            status = WRONG_SETTING if isinstance(error, ConfigError) else 1
            raise Failure(str(error), status) from error
        except KeyboardInterrupt as error:
            raise click.exceptions.Exit(INTERRUPTED) from error
        except (click.ClickException, click.Abort, click.exceptions.Exit, OSError):
            raise  # click knows what to do with its own, and with a reader that went away
        except Exception as error:
            if visitor().debug:
                traceback.print_exc()
            raise Failure(_bug(error), 1) from error


def _bug(error: Exception) -> str:
    return f"{type(error).__name__}: {error}. This is a bug in understudy; the same with UNDERSTUDY_DEBUG=1 shows where"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Two lines are enough to begin: `understudy serve` here, `understudy claude` in another terminal.",
)
@click.version_option(__version__, prog_name="understudy")
def cli() -> None:
    """Run Claude Code, and any Anthropic client, on models you own."""


# A further command is imported above and named here, where `understudy --help` shall list it.
for _command in (
    serve.serve,
    claude.claude,
    chat.chat,
    models.models,
    models.pull,
    check.check,
    conform.conform,
    play.play,
):
    cli.add_command(_command)


def main() -> None:
    """The program `understudy`."""
    sys.exit(cli(prog_name="understudy"))
