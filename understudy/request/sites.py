"""Which addresses a list of sites means, as Anthropic's `allowed_domains` and `blocked_domains` mean them.

    example.com            this host and those below it
    example.com/blog       what begins with this path
    example.com/*/news     a star stands for anything within the path

https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool, "Domain filtering".
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import urlsplit


def allowed(url: str, only: Iterable[str], never: Iterable[str]) -> bool:
    """Whether an address may be used.

    Args:
        url: the whole of it.
        only: the sites there are; none for all.
        never: the sites there are not.
    """
    try:
        parts = urlsplit(url)
        host, path = (parts.hostname or "").rstrip("."), parts.path or "/"
    except ValueError:
        return False
    names = list(only)
    return bool(host) and (not names or _among(host, path, names)) and not _among(host, path, never)


def _among(host: str, path: str, sites: Iterable[str]) -> bool:
    return any(_means(site, host, path) for site in sites)


def _means(site: str, host: str, path: str) -> bool:
    name, steps = _read(site)
    return (host == name or host.endswith(f".{name}")) and _fits(steps, path.lower())


@lru_cache(maxsize=512)
def _read(site: str) -> tuple[str, tuple[str, ...]]:
    """A site's host, and its path between the stars. A scheme in front of it is forgiven."""
    bare = re.sub(r"^[a-z]+://", "", site.strip().lower())
    host, _, path = bare.partition("/")
    return host.rstrip("."), tuple(f"/{path.rstrip('/')}".split("*"))


def _fits(steps: tuple[str, ...], path: str) -> bool:
    """Whether a path begins so. No regular expression: a client could write one that takes for ever."""
    *before, last = steps
    at = 0
    for number, step in enumerate(before):
        found = path.find(step, at)  # the leftmost leaves the most room
        if found < 0 or (number == 0 and found > 0):
            return False
        at = found + len(step)
    ends = (found + len(last) for found in _places(last, path, at) if before or found == 0)
    return any(last in ("", "/") or path[end : end + 1] in ("", "/") for end in ends)


def _places(step: str, path: str, at: int) -> Iterator[int]:
    while (found := path.find(step, at)) >= 0:
        yield found
        at = found + 1
