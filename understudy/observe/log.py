"""The log: one line a request. What people wrote, keys and file contents never reach it."""

import logging
import sys
from typing import Literal

import msgspec
import structlog


def set_up(form: Literal["auto", "json", "console"] = "auto", level: str = "info") -> None:
    """Structured lines to standard error: coloured on a terminal, JSON elsewhere."""
    pretty = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the default shows variables: prompts and keys
        )
        if pretty
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
            *(() if pretty else (structlog.processors.format_exc_info,)),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _json(event: object, **_: object) -> str:
    """One line; what JSON has no form for is shown as Python shows it."""
    return msgspec.json.encode(event, enc_hook=repr).decode()


_made: list[tuple[object, structlog.typing.FilteringBoundLogger]] = []
"""The logger, and the processors it was made with."""


def logger() -> structlog.typing.FilteringBoundLogger:
    """The one logger, as it is set up now. Making it costs more than a line, so it is kept until that changes."""
    processors = structlog.get_config()["processors"]
    if _made and _made[0][0] is processors:
        return _made[0][1]
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger("understudy").bind()
    _made[:] = [(processors, log)]
    return log
