import io
import json
import sys

import pytest
import structlog

from understudy.observe import log


class Screen(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self.isatty = lambda: terminal


@pytest.fixture
def shown(monkeypatch):
    """Sets the log up on a made-up standard error and gives what is written there."""

    def set_up(*, terminal=False, **settings):
        screen = Screen(terminal=terminal)
        monkeypatch.setattr(sys, "stderr", screen)
        log.set_up(**settings)
        return screen

    yield set_up
    structlog.reset_defaults()


def test_a_line_is_json_where_nobody_looks(shown):
    screen = shown()
    log.logger().info("request", status=200, model="Größe")
    line = json.loads(screen.getvalue())
    assert (line["event"], line["level"], line["status"], line["model"]) == ("request", "info", 200, "Größe")
    assert line["timestamp"].endswith("Z")


def test_a_line_is_readable_on_a_terminal(shown):
    screen = shown(terminal=True)
    log.logger().info("request", status=200)
    assert "\x1b[" in screen.getvalue()
    assert "request" in screen.getvalue()


@pytest.mark.parametrize(("form", "terminal", "as_json"), [("json", True, True), ("console", False, False)])
def test_the_form_can_be_chosen(shown, form, terminal, as_json):
    screen = shown(form=form, terminal=terminal)
    log.logger().info("request")
    assert screen.getvalue().startswith("{") is as_json
    assert "\x1b[" not in screen.getvalue()


@pytest.mark.parametrize(
    ("level", "events"), [("debug", "diwe"), ("info", "iwe"), ("warning", "we"), ("error", "e")]
)
def test_levels(shown, level, events):
    screen = shown(level=level)
    logger = log.logger()
    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)(name[0])
    assert "".join(json.loads(line)["event"] for line in screen.getvalue().splitlines()) == events


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_where_but_no_variables(shown, form):
    screen = shown(form=form)
    prompt = "what a person wrote: " + "sesame"
    try:
        [].index(len(prompt))
    except ValueError:
        log.logger().exception("bug")
    assert "ValueError" in screen.getvalue()
    assert "test_log.py" in screen.getvalue()
    assert "person wrote: sesame" not in screen.getvalue()
