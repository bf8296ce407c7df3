"""`python -m understudy` is the command line."""

import runpy
import sys

import pytest

from understudy import __version__


def test_it_is_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["understudy", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("understudy", run_name="__main__")
    assert end.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_importing_it_does_nothing(capsys):
    runpy.run_module("understudy.__main__", run_name="imported")
    assert capsys.readouterr().out == ""
