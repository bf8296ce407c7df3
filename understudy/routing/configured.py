"""What the settings call private, as rules of the scanner: words, paths and globs, patterns.

- A **word** is found whatever its case, and whole where it begins or ends with a Latin letter or a digit.
- A **path** or **glob** is found wherever it is written. `*` and `?` stop at a slash, `**` does not. Without a slash in
  front it may stand in any folder; a folder covers what is in it. `privacy.findings` also withholds what a tool
  answered to a call that named it.
- A **pattern** is a regular expression of RE2's. What that engine cannot do in linear time (look-around,
  back-references) is refused when the settings are read, as is what matches nothing at all: a pattern of the settings
  cannot make the gateway hang.
"""

import re
from collections.abc import Iterable

from understudy.routing.linear import compiled
from understudy.routing.scan import Rule

NAME = r"[^\s/\\\"'`<>|*?:;,()\[\]{}]"
"""A character of a file's name, as names are written in text."""
SLASH = r"[/\\]"
BEFORE, AFTER = r"(?m)(?:^|[^\w.~-])", r"(?:$|[^\w.-]|\.(?:\s|$))"
PIECES = re.compile(r"\*\*[/\\]?|\*|\?|[/\\]|[^*?/\\]+")
SHORTEST = 2
"""A word of one letter is in every text."""


def rules(
    words: Iterable[str] = (), paths: Iterable[str] = (), patterns: Iterable[str] = ()
) -> tuple[Rule, ...]:
    """The rules of `[privacy]`.

    Raises:
        ValueError: one of them cannot be used; the message says which and why.
    """
    return (
        *(Rule("word", "word", _word(word), _anything) for word in words),
        *(Rule("path", "path", _path(path), _anything) for path in paths),
        *(Rule("pattern", "pattern", _pattern(pattern), _anything) for pattern in patterns),
    )


def _word(word: str) -> str:
    word = word.strip()
    if len(word) < SHORTEST:
        raise ValueError(f"the private word {word!r} is too short: it would be found everywhere")
    left = r"\b" if _latin(word[0]) else ""
    right = r"\b" if _latin(word[-1]) else ""
    return f"(?i){left}{re.escape(word)}{right}"


def _path(path: str) -> str:
    path = path.strip()
    if not re.search(r"[^*?/\\.]", path):
        raise ValueError(f"the private path {path!r} would match every file: name a folder or a kind of file")
    anywhere = (
        "" if path[0] in "/\\~" or path[1:2] == ":" else rf"(?:{SLASH}|~|[A-Za-z]:)?(?:{NAME}+{SLASH})*"
    )
    body = "".join(_piece(piece) for piece in PIECES.findall(path.rstrip("/\\")))
    return f"{BEFORE}({anywhere}{body}(?:{SLASH}{NAME}+)*){AFTER}"


def _piece(piece: str) -> str:
    if piece == "**":
        return rf"(?:{NAME}+{SLASH})*{NAME}*"
    if piece.startswith("**"):
        return rf"(?:{NAME}+{SLASH})*"
    if piece in "/\\":
        return SLASH
    return {"*": f"{NAME}*", "?": NAME}.get(piece) or re.escape(piece)


def _pattern(pattern: str) -> str:
    try:
        found = compiled(pattern).search(b"")
    except ValueError as error:
        raise ValueError(
            f"the private pattern {pattern!r} cannot be used: {error}. "
            "Patterns are RE2's (https://github.com/google/re2/wiki/Syntax): no look-around, no back-references"
        ) from error
    if found:
        raise ValueError(
            f"the private pattern {pattern!r} matches the empty text: it would be found everywhere"
        )
    return pattern


def _latin(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


def _anything(_value: str) -> bool:
    return True
