"""What an engine's answer with an error status means: whose fault it is, and whether another engine may be asked.

Common to all dialects: they carry errors in different JSON, but mean the same by a status. The status decides; the text
is looked at only to tell a prompt that is too long, and a model that cannot see, from other wrong requests.
"""

import re

import msgspec
from msgspec import Struct

from understudy.dialects.overflow import overflow
from understudy.dialects.sight import blind
from understudy.language.errors import (
    EngineBusy,
    EngineDenied,
    EngineError,
    EngineRefused,
    EngineTimeout,
    NoTarget,
    TooLarge,
    UnderstudyError,
)
from understudy.language.jsontext import BROKEN

_SHOWN = 500
"""Characters of an engine's own words that are passed on."""


class _Inner(Struct):
    message: str = ""


class _Said(Struct):
    """An error body in the shapes engines use: {error: {message}}, {error}, {message}, {detail}."""

    error: _Inner | str | None = None
    message: str = ""
    detail: str = ""


_SAID = msgspec.json.Decoder(_Said)
_TAG = re.compile(r"<[^>]{0,200}>")


def refusal(status: int, body: bytes, retry_after: float | None = None) -> UnderstudyError:
    """The error that an engine's error answer stands for.

    Args:
        status: HTTP status, or the one that an error inside a stream corresponds to.
        body: bytes of the answer: any engine's error JSON, HTML of a proxy, or nothing.
        retry_after: seconds, from the answer's header.
    """
    words = said(body)
    return overflow(status, body) or blind(status, words) or classify(status, words, retry_after)


def said(body: bytes) -> str:
    """The engine's own sentence out of an error body, at most 500 characters; "" where there is none."""
    try:
        found = _SAID.decode(body)
    except BROKEN:
        return _shortened(_TAG.sub(" ", body[: 8 * _SHOWN].decode("utf-8", "replace")))
    inner = found.error.message if isinstance(found.error, _Inner) else found.error
    return _shortened(inner or found.message or found.detail)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def classify(status: int, message: str, retry_after: float | None = None) -> UnderstudyError:
    """The error of a status that is no overflow.

    Args:
        status: HTTP status of the engine's answer.
        message: the engine's own words, "" for none.
        retry_after: seconds it asked to wait.
    """
    words = f"{status}: {message}" if message else str(status)
    match status:
        case 401 | 403:
            # The caller has shown us a good key: this is about the one understudy shows to the engine.
            return EngineDenied(
                f"the engine refuses understudy's own key ({words}); set a valid key for this engine"
            )
        case 404:
            return NoTarget(f"the engine has no such model or path ({words})")
        case 408 | 504:
            return EngineTimeout(f"the engine did not answer in time ({words})", retry_after=retry_after)
        case 413:
            return TooLarge(f"the engine takes no request of this size ({words}); send less")
        case 429 | 503 | 529:
            return EngineBusy(f"the engine is busy ({words}); try again later", retry_after=retry_after)
        case _ if 400 <= status < 500:  # noqa: PLR2004 - the range of HTTP's client errors
            # Word for word: clients act on some of these sentences.
            return EngineRefused(message or f"the engine refuses the request ({status})")
        case _:
            return EngineError(f"the engine failed ({words}); its log says more", retry_after=retry_after)
