"""The program: quick help, errors as sentences, statuses."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from understudy import __version__
from understudy.cli import cli
from understudy.config import Config, ConfigError, Embedded, Visitor, load, models_dir, visitor
from understudy.language.errors import NoTarget


@pytest.fixture
def failing():
    """Adds a command that raises; gives the function that runs it."""

    def run(error: BaseException, **env: str):
        @click.command("fail")
        def fail() -> None:
            raise error

        cli.add_command(fail)
        return CliRunner().invoke(cli, ["fail"], env=env)

    yield run
    cli.commands.pop("fail", None)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (NoTarget("no such model"), 1, "error: no such model\n"),
        (ConfigError("server.port: too high"), 2, "error: server.port: too high\n"),
        (click.UsageError("odd"), 2, "Error: odd"),
        (KeyboardInterrupt(), 130, ""),
        (ZeroDivisionError("by zero"), 1, "error: ZeroDivisionError: by zero. This is a bug in understudy"),
    ],
)
def test_errors(failing, error, status, words):
    done = failing(error)
    assert done.exit_code == status
    assert words in done.stderr
    assert "Traceback" not in done.output


def test_a_bug_shows_its_trace_when_asked(failing):
    done = failing(ZeroDivisionError("by zero"), UNDERSTUDY_DEBUG="1")
    assert "Traceback" in done.stderr
    assert done.exit_code == 1


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_has_examples(command):
    done = CliRunner().invoke(cli, [command, "--help"])
    assert done.exit_code == 0
    assert "Examples:" in done.stdout
    assert f"understudy {command}" in done.stdout


def test_help_loads_nothing_heavy():
    script = (
        "import sys\nfrom understudy.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "print(sorted({'rich', 'httpx', 'fastapi', 'uvicorn', 'numpy', 'psutil'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "  serve    Start the gateway." in done.stdout


def test_version():
    assert CliRunner().invoke(cli, ["--version"]).stdout == f"understudy, version {__version__}\n"


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ({}, Visitor()),
        ({"URL": "http://h:1", "DEBUG": "1"}, Visitor("http://h:1", "", debug=True)),
        ({"MASTER_KEY": "m"}, Visitor(key="m")),
        ({"MASTER_KEY": "m", "KEY": "k"}, Visitor(key="k")),
    ],
)
def test_the_environment_of_a_visitor(monkeypatch, tmp_path, env, found):
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "KEY", "MASTER_KEY", "DEBUG"):
        monkeypatch.delenv(f"UNDERSTUDY_{name}", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(f"UNDERSTUDY_{name}", value)
    assert visitor() == found
    assert load().sources == {}  # and none of these is taken for a setting


def test_where_models_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", "/home/me")
    assert models_dir(Config()) == tmp_path / "understudy" / "models"
    assert str(models_dir(Config(embedded=Embedded(models_dir="~/models")))) == "/home/me/models"
