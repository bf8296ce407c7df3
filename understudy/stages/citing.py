"""Which of the pages that were found a text names: by address, or by title. Nothing else is taken for a citation.

A cloud API knows which sentence rests on which passage; a local model does not tell. So a page is cited by the block of text
that names it, and what is quoted of it is the beginning of what the model was shown: the page's own words, though
not always those that were meant.
"""

from collections.abc import Sequence

from understudy.language.address import sought
from understudy.language.web import Citation, Hit

QUOTED = 150
"""Characters of a page that are quoted, as in Anthropic's API."""
LEAST_TITLE = 16
"""Characters of a title that is surely meant where it stands: shorter ones are words like any others."""


def citations(text: str, hits: Sequence[tuple[str, Hit]]) -> tuple[Citation, ...]:
    """The pages that the text names, each once, in the order in which they were found.

    Args:
        text: a whole block of an answer.
        hits: each page with what points at it.
    """
    lower = text.casefold()
    found = {hit.url: (mark, hit) for mark, hit in reversed(hits) if _names(text, lower, hit)}
    return tuple(
        [
            Citation(hit.url, hit.title, hit.text[:QUOTED], mark)
            for mark, hit in hits
            if found.get(hit.url) == (mark, hit)
        ]
    )


def _names(text: str, lower: str, hit: Hit) -> bool:
    address = sought(hit.url)
    if address is not None and address.search(text):
        return True
    title = hit.title.casefold().strip()
    return len(title) >= LEAST_TITLE and title in lower
