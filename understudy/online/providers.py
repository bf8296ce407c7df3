"""Who is asked for a search: whatever answers a GET with JSON will do, and SearXNG is such a one.

https://docs.searxng.org/dev/search_api.html
"""

from msgspec import Struct

from understudy.config import WebSettings


class Provider(Struct, frozen=True):
    """How a provider is asked, and where in its answer things are.

    Attributes:
        url: with `{query}` in it.
        results: the way to the list, as names with dots between; "" where the answer is the list.
        fields: the names of address, title, text and age in each item; age may be missing.
        headers: sent along.
    """

    url: str
    results: str
    fields: tuple[str, ...]
    headers: dict[str, str] = {}


def provider(settings: WebSettings, key: str) -> Provider | None:
    """The one that the settings name; None where search is off."""
    value = f"Bearer {key}" if settings.search_key_header.lower() == "authorization" else key
    headers = {settings.search_key_header: value} if key else {}
    if settings.search == "searxng":
        base = settings.search_url.rstrip("/")
        fields = ("url", "title", "content", "publishedDate")
        return Provider(f"{base}/search?q={{query}}&format=json", "results", fields, headers)
    if settings.search == "json":
        return Provider(settings.search_url, settings.search_results, settings.search_fields, headers)
    return None
