"""How the web is asked: with how much patience, for how much, whom we believe, and what we call ourselves."""

import ssl
from collections.abc import Awaitable, Callable
from functools import cached_property

from understudy import __version__
from understudy.config import WebSettings, size_bytes
from understudy.online.addresses import Resolve, resolved

ReadPdf = Callable[[str], Awaitable[str]]
"""What a model is shown of a PDF in base64; in every case something."""


class Manners:
    """The same for every question.

    Args:
        settings: `[web]`.
        pdf: the text of a PDF in base64.
        resolve: finds the addresses of a host.

    Attributes:
        seconds: the longest silence, and the longest way to a result.
        limit: bytes of a page, unpacked.
        trusted: hosts that may be within the house.
        agent: what we call ourselves.
    """

    def __init__(self, settings: WebSettings, pdf: ReadPdf, resolve: Resolve = resolved) -> None:
        self.seconds = settings.seconds
        self.limit = size_bytes(settings.page_limit)
        self.trusted = frozenset(settings.private_hosts)
        self.agent = f"understudy/{__version__}"
        self.pdf = pdf
        self.resolve = resolve

    @cached_property
    def ssl(self) -> ssl.SSLContext:
        """Whose certificates count; read when they are needed first."""
        return ssl.create_default_context()
