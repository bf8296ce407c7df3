"""Plain lines in a pipe, bars on a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from understudy.cli import console


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 MB"), (491_000_000, "491 MB"), (999_999_999, "1000 MB"), (18_556_689_568, "18.6 GB")],
)
def test_gigabytes(size, text):
    assert console.gigabytes(size) == text


def test_tokens():
    assert (console.tokens(65_536), console.tokens(0)) == ("65,536", "not told")


def test_a_download_in_a_pipe_is_a_line_a_tenth(capsys):
    with console.download_bar("fetching x") as show:
        for done in range(400, 1001, 10):
            show(done * 1_000_000, 1_000_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "fetching x: 400 MB of 1.0 GB"
    assert lines[-1] == "fetching x: 1.0 GB of 1.0 GB"
    assert len(lines) == 7


def test_loading_in_a_pipe(capsys):
    with console.loading_bar("loading x") as show:
        for share in (0.0, 0.05, 0.5, 0.55, 1.0):
            show(share)
    assert capsys.readouterr().err.splitlines() == ["loading x: 0 %", "loading x: 50 %", "loading x: 100 %"]


def test_sentences_stay_whole_in_a_pipe(capsys):
    console.warn("word " * 100)
    console.say("x" * 300, "dim")
    assert capsys.readouterr().err == f"warning: {'word ' * 100}\n{'x' * 300}\n"


SCRIPT = """
from understudy.cli.console import download_bar, loading_bar, say, stdout, table
with download_bar("fetching x") as show:
    show(400_000_000, 1_000_000_000)
    show(410_000_000, 1_000_000_000)
    say("above the bar")
with loading_bar("loading y") as show:
    show(0.25)
rows = table("A")
rows.add_row("cell")
stdout().print(rows)
say("done", "green")
"""


def on_terminal(script: str, **env: str) -> str:
    """What a terminal is sent."""
    ours, theirs = pty.openpty()
    base = {"PATH": os.defpath, "TERM": "xterm-256color", "COLUMNS": "100"}
    with os.fdopen(ours, "rb", buffering=0) as screen:
        done = subprocess.Popen(
            [sys.executable, "-c", script], stdout=theirs, stderr=theirs, stdin=theirs, env=base | env
        )
        os.close(theirs)
        out = b""
        try:
            while piece := screen.read(65536):
                out += piece
        except OSError:  # Linux says so when the other end is closed
            pass
        assert done.wait() == 0, out.decode()
    return out.decode()


def test_bars_on_a_terminal():
    seen = on_terminal(SCRIPT)
    assert "fetching x" in seen
    assert "41 %" in seen
    assert "above the bar\r\n" in seen
    assert "0.4/1.0 GB" in seen
    assert "loading y" in seen
    assert "25 %" in seen
    assert "\x1b[32mdone" in seen


def test_no_colour_is_honoured():
    assert "\x1b[32m" not in on_terminal(SCRIPT, NO_COLOR="1")


@pytest.mark.parametrize(
    ("done", "total", "words"),
    [
        (0, 0, "stopped"),
        (400_000_000, 10**9, "stopped; the 400 MB of 1.0 GB so far are kept: the same command goes on"),
    ],
)
def test_what_ctrl_c_leaves(done, total, words):
    assert console.kept(done, total).startswith(words)


@pytest.mark.parametrize(
    ("url", "shown"), [("http://h:1", "http://h:1"), ("http://u:p@h:1/x", "http://***@h:1/x"), ("", "")]
)
def test_masked(url, shown):
    assert console.masked(url) == shown


def test_a_bar_starts_at_what_was_there_before():
    calls: list[tuple[str, dict]] = []
    show = console._bar(
        lambda what, **more: calls.append((what, more)) or 7,
        lambda task, **more: calls.append((task, more)),
        "x",
    )
    show(400, 1000)
    show(410, 1000)
    assert calls == [
        ("x", {"total": 1000, "completed": 400}),  # or the rate would count the 400 as fetched in an instant
        (7, {"completed": 400, "total": 1000}),
        (7, {"completed": 410, "total": 1000}),
    ]


@pytest.mark.parametrize(
    ("program", "on_path", "shown"),
    [
        ("/a b/.venv/bin/understudy", False, "'/a b/.venv/bin/understudy'"),
        ("/x/.venv/bin/understudy", True, "understudy"),
        ("/x/bin/pytest", False, "understudy"),
    ],
)
def test_how_to_start_this_program_from_another_terminal(monkeypatch, tmp_path, program, on_path, shown):
    if on_path:
        (tmp_path / "understudy").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [program])
    assert console.myself() == shown
