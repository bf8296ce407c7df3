"""A page's HTML as text that a model can read: its words in their order, headings, lists, and where its links lead.

Pure. What is no content for a reader (scripts, styles, menus) is left out. Where a page marks its main part, there is
nothing but that part; a page that marks it and leaves it empty is shown whole.

Strangers write these pages, so the time it takes grows with their length and with nothing else. The parser of the standard
library gives no such promise: 40,000 opened comments take it a second, and some marks break it.
"""

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urljoin

from msgspec import Struct

RAW = frozenset({"script", "style"})
"""Elements whose content has no tags but their own end."""
SILENT = re.compile("template|noscript|svg|math|iframe|object|canvas|nav|footer|aside|button|select")
"""Elements without words for a reader."""
BLOCKS = re.compile(
    "address|article|blockquote|br|dd|div|dl|dt|fieldset|figcaption|figure|h[1-6]|header|hr|li|main|ol|p|pre|"
    "section|table|tbody|t[dhr]|thead|ul"
)
"""Elements that begin a line."""
HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
MAIN = ("main", "article")
BLANK = "\ue000"
"""A blank that means something: it is of a program's text."""
_KEPT = {ord(" "): BLANK, ord("\t"): BLANK * 4}
ENOUGH = 200
"""Characters of a marked main part that are surely more than a frame."""


def page_text(html: str, url: str) -> tuple[str, str]:
    """A page's title and its text.

    Args:
        html: its source.
        url: its address; links are completed by it.
    """
    reader = _Reader(url)
    for piece in _pieces(html):
        reader.read(piece)
    main = _tidied("".join(reader.main))
    title = " ".join("".join(reader.title).split())
    return title, main if len(main) >= ENOUGH else _tidied("".join(reader.text))


def _tidied(text: str) -> str:
    """Single blanks, and one empty line at most."""
    lines = [line.strip() for line in re.sub(r"[^\S\n]+", " ", text).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip().replace(BLANK, " ")


# ---- tags and text ----


class _Tag(Struct, frozen=True):
    """A tag; `attributes` are not read yet."""

    name: str
    attributes: str = ""
    closes: bool = False


TAG_LENGTH = 4096
"""Characters of a tag that is read; longer ones are passed over."""
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>"'<]*)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s=/"'>]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""")


def _pieces(html: str) -> Iterator[_Tag | str]:
    """Tags, and the text between them. No character is looked at again by a later search."""
    at = 0
    while (start := html.find("<", at)) >= 0:
        yield unescape(html[at:start])
        at, piece = _marked(html, start)
        yield piece
    yield unescape(html[at:])


def _marked(html: str, start: int) -> tuple[int, _Tag | str]:
    """Where what begins with this sign is over, and what it is. What never ends takes the rest of the page with it."""
    if html.startswith("<!--", start):
        return _after("-->", html, start), ""
    if found := _TAG.match(html, start, start + TAG_LENGTH):
        tag = _Tag(found[2].lower(), found[3], bool(found[1]))
        return _after_raw(tag, html, found.end()), tag
    if html[start + 1 : start + 2].isalpha() or html.startswith(("<!", "<?", "</"), start):
        return _after(">", html, start), ""
    return start + 1, "<"


def _after(end: str, html: str, start: int) -> int:
    at = html.find(end, start)
    return len(html) if at < 0 else at + len(end)


def _after_raw(tag: _Tag, html: str, at: int) -> int:
    if tag.name not in RAW or tag.closes:
        return at
    found = re.compile(f"</{tag.name}", re.IGNORECASE).search(html, at)
    return found.start() if found else len(html)


def _attributes(tag: _Tag) -> dict[str, str]:
    return {
        name.lower(): unescape(double or single or bare).strip()
        for name, double, single, bare in _ATTRIBUTE.findall(tag.attributes)
    }


# ---- reading ----


class _Reader:
    """Follows the tags, however they are nested: pages of the web are seldom well formed."""

    def __init__(self, url: str) -> None:
        self.title: list[str] = []
        self.text: list[str] = []
        self.main: list[str] = []
        self._url = url
        self._silent = ""
        self._depth = 0  # of the silent element, within others of its name
        self._inside = 0
        self._pre = 0
        self._in_title = False
        self._link = ""

    def read(self, piece: _Tag | str) -> None:
        """The next piece of the page."""
        if isinstance(piece, str):
            self._words(piece)
        elif self._silent:
            if piece.name == self._silent:
                self._depth += -1 if piece.closes else 1
                self._silent = self._silent if self._depth else ""
        elif piece.name == "title":
            self._in_title = not piece.closes
        elif piece.closes:
            self._end(piece.name)
        else:
            self._begin(piece)

    def _words(self, text: str) -> None:
        if self._silent:
            return
        if self._in_title:
            self.title.append(text)
        else:
            self._write(text.translate(_KEPT) if self._pre else re.sub(r"\s+", " ", text))

    def _begin(self, tag: _Tag) -> None:
        name = tag.name
        self._inside += name in MAIN
        self._pre += name == "pre"
        if SILENT.fullmatch(name):
            self._silent, self._depth = name, 1
        elif BLOCKS.fullmatch(name):
            self._write("\n" if name in ("br", "li", "td", "th", "tr") else "\n\n")
            self._write(HEADINGS.get(name, "- " if name == "li" else ""))
        elif name == "a":
            self._link = self._target(_attributes(tag).get("href", ""))
        elif name == "img" and (words := _attributes(tag).get("alt")):
            self._write(f"[{words}]")
        elif name == "base":
            self._url = self._joined(_attributes(tag).get("href", "")) or self._url

    def _end(self, name: str) -> None:
        if name == "a" and self._link:
            self._write(f" ({self._link})")
            self._link = ""
        if BLOCKS.fullmatch(name) and name != "br":
            self._write("\n")
        self._pre = max(0, self._pre - (name == "pre"))
        self._inside = max(0, self._inside - (name in MAIN))

    def _target(self, href: str) -> str:
        """Where a link leads; "" for places within the page, and for what is no page."""
        target = self._joined(href)
        follows = target.startswith(("http://", "https://")) and not href.startswith("#")
        return target if href and follows else ""

    def _joined(self, href: str) -> str:
        try:
            return urljoin(self._url, href)
        except ValueError:  # an address that nobody could follow
            return ""

    def _write(self, text: str) -> None:
        self.text.append(text)
        if self._inside:
            self.main.append(text)
