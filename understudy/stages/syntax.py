"""What a row of the table of tool-call syntaxes is: where a call may begin, and how it is read.

A row tells the reader where a call may begin (`openers`, `starts`), when it has become clear that it does not (`heads`,
`looks`, `head`), where it may end (`closers`), and how to read it (`parse`). A parser gets the text from the opener on,
and gives the calls and where they end, or None: this is no call, or not yet all of it. It is strict while more text may
come, because the end it sees may be a part of an argument (somebody writes a file about tool calls). Once the answer is
over (`over`), it forgives what is missing. Arguments keep the model's own bytes, broken ones too: putting them right is
`repair`'s part.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, Protocol

from msgspec import Struct

SchemaOf = Callable[[str], bytes | None]
"""The JSON Schema of the tool of that name; None where there is no such tool."""

NAME: Final = r"[\w.:/-]+"
"""What the name of a tool is made of, where nothing marks its end."""


class Lazy(Struct, frozen=True):
    """A regular expression that is compiled when it is first used: the table has hundreds, an answer needs a few."""

    pattern: str
    flags: int = 0

    def match(self, text: str, at: int = 0) -> re.Match[str] | None:
        """What the text has at this place."""
        return _compiled(self.pattern, self.flags).match(text, at)

    def search(self, text: str, at: int = 0) -> re.Match[str] | None:
        """What the text has from this place on."""
        return _compiled(self.pattern, self.flags).search(text, at)

    def fits(self, text: str) -> bool:
        """Whether it is all of the text."""
        return _compiled(self.pattern, self.flags).fullmatch(text) is not None

    def each(self, text: str, at: int = 0) -> Iterator[re.Match[str]]:
        """All that the text has from this place on."""
        return _compiled(self.pattern, self.flags).finditer(text, at)


@lru_cache(maxsize=1024)
def _compiled(pattern: str, flags: int) -> re.Pattern[str]:
    return re.compile(pattern, flags)


class Call(Struct, frozen=True):
    """One call, as the model wrote it.

    Attributes:
        name: of the tool.
        arguments: JSON text, or meant to be.
        id: the model's own name for the call, where it gave one.
    """

    name: str
    arguments: str
    id: str = ""


class Found(Struct, frozen=True):
    """Calls read off a text, and where in it they end."""

    calls: tuple[Call, ...]
    end: int


class Parse(Protocol):
    """Reads the calls that `text` begins with."""

    def __call__(self, text: str, schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """None if it does not begin with a whole call. `over`: no more text will come."""
        ...


class Either(Struct, frozen=True):
    """Models that write in more ways than one: the first that fits."""

    ways: tuple[Parse, ...]

    def __call__(self, text: str, schema_of: SchemaOf, /, *, over: bool) -> Found | None:
        """See `Parse`."""
        found = (way(text, schema_of, over=over) for way in self.ways)
        return next((calls for calls in found if calls), None)


class Syntax(Struct, frozen=True, kw_only=True, cache_hash=True):
    """One way to write tool calls.

    Attributes:
        name: what the settings call it.
        models: who writes so, for people.
        example: one call, for people and tests.
        names: finds the models by their name, for engines that do not tell the template.
        signs: what in a chat template shows the syntax; one of them is enough.
        openers: any of them may begin a call. None may be the beginning of another, of any row.
        starts: the same, but only where nothing else has been said: at the beginning of an answer, or after a call.
        heads: how a call goes on, blanks left out; text that leaves all of them is no call. None: anything may follow.
        looks: fits the beginning of a call, however little of it has come; text that it does not fit is no call.
        head: finds the first call's name, as the one group that fits, once it is there; it must be an offered tool's.
        closers: after each of them the text is parsed.
        tails: what may still follow a call and belongs to it.
        parse: see `Parse`.
        shy: looked for only in models that are known to write so: its openers stand in other models' prose, too.
        begun: what the prompt has written of the answer already.
    """

    name: str
    models: str
    example: str
    head: Lazy
    closers: tuple[str, ...]
    parse: Parse
    names: Lazy | None = None
    signs: tuple[str, ...] = ()
    openers: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    looks: Lazy | None = None
    tails: tuple[str, ...] = ()
    shy: bool = False
    begun: str = ""

    def likely(self, text: str) -> bool:
        """Whether `text`, from the opener on, may be the beginning of a call."""
        if self.heads:
            letters = "".join(text.split())
            if not any(letters.startswith(known) or known.startswith(letters) for known in self.heads):
                return False
        return self.looks is None or self.looks.fits(text)


def models(pattern: str) -> Lazy:
    """Finds model names."""
    return Lazy(pattern, re.IGNORECASE)
