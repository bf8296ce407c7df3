"""A page's HTML as text that a model can read: its words in their order, headings, lists, and where its links lead.

Pure. What is no content for a reader (scripts, styles, menus) is left out. Where a page marks its main part, there
is nothing but that part; a page that marks it and leaves it empty is shown whole.
"""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

SILENT = re.compile(
    "script|style|template|noscript|svg|math|iframe|object|canvas|nav|footer|aside|button|select"
)
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
    reader.feed(html)
    reader.close()
    main = _tidied("".join(reader.main))
    title = " ".join("".join(reader.title).split())
    return title, main if len(main) >= ENOUGH else _tidied("".join(reader.text))


def _tidied(text: str) -> str:
    """Single blanks, and one empty line at most."""
    lines = [line.strip() for line in re.sub(r"[^\S\n]+", " ", text).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip().replace(BLANK, " ")


class _Reader(HTMLParser):
    """Follows the tags, however they are nested: pages of the web are seldom well formed."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.text: list[str] = []
        self.main: list[str] = []
        self._url = url
        self._silent: list[str] = []
        self._inside = 0
        self._pre = 0
        self._in_title = False
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "base":
            self._url = self._joined(dict(attrs).get("href") or "") or self._url
        elif SILENT.fullmatch(tag):
            self._silent.append(tag)
        elif tag == "title" and not self._silent:
            self._in_title = True
        elif not self._silent:
            self._inside += tag in MAIN
            self._pre += tag == "pre"
            self._begin(tag, dict(attrs))

    def _begin(self, tag: str, attrs: dict[str, str | None]) -> None:
        if BLOCKS.fullmatch(tag):
            self._write("\n" if tag in ("br", "li", "td", "th", "tr") else "\n\n")
            self._write(HEADINGS.get(tag, "- " if tag == "li" else ""))
        elif tag == "a":
            self._link = self._target(attrs.get("href") or "")
        elif tag == "img" and attrs.get("alt"):
            self._write(f"[{attrs['alt']}]")

    def _target(self, href: str) -> str:
        """Where a link leads; "" for places within the page, and for what is no page."""
        target = self._joined(href.strip())
        follows = target.startswith(("http://", "https://")) and not href.startswith("#")
        return target if href and follows else ""

    def _joined(self, href: str) -> str:
        try:
            return urljoin(self._url, href)
        except ValueError:  # an address that nobody could follow
            return ""

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif tag == "title":
            self._in_title = False
        elif not self._silent:
            if tag == "a" and self._link:
                self._write(f" ({self._link})")
                self._link = ""
            if BLOCKS.fullmatch(tag) and tag != "br":
                self._write("\n")
            self._pre = max(0, self._pre - (tag == "pre"))
            self._inside = max(0, self._inside - (tag in MAIN))

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._silent:
            self._write(data.translate(_KEPT) if self._pre else re.sub(r"\s+", " ", data))

    def _write(self, text: str) -> None:
        self.text.append(text)
        if self._inside:
            self.main.append(text)
