"""Which addresses a list of sites means, as Anthropic's `allowed_domains` and `blocked_domains` mean them.

    example.com            this host and those below it
    example.com/blog       what begins with this path
    example.com/*/news     a star stands for anything within the path

https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool, "Domain filtering".
"""

import re
from collections.abc import Iterable
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
    name, pattern = _read(site)
    return (host == name or host.endswith(f".{name}")) and pattern.match(path) is not None


@lru_cache(maxsize=512)
def _read(site: str) -> tuple[str, re.Pattern[str]]:
    """A site's host, and what its paths look like. A scheme in front of it is forgiven."""
    bare = re.sub(r"^[a-z]+://", "", site.strip().lower())
    host, _, path = bare.partition("/")
    steps = ".*".join(re.escape(step) for step in path.rstrip("/").split("*"))
    end = r"(?=/|$)" if path and not path.endswith("*") else ""
    return host.rstrip("."), re.compile(f"/{steps}{end}", re.IGNORECASE)
