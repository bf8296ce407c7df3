"""A small web: a search provider and pages, on a port of the loopback interface, which counts what it is asked.

async with web({"/page": Reply(b"<p>words</p>")}) as site:
    site.url, site.asked
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from contract.playhouse import served
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route


@dataclass
class Reply:
    body: bytes = b""
    status: int = 200
    type: str = "text/html; charset=utf-8"
    headers: dict = field(default_factory=dict)


@dataclass
class Site:
    url: str = ""
    asked: list = field(default_factory=list)

    @property
    def paths(self):
        return [request.url.path for request in self.asked]


def json(value, status=200):
    return Reply(msgspec.json.encode(value), status, "application/json")


def rows(*names, base="https://docs.example"):
    """A provider's answer, as SearXNG gives it."""
    return json(
        {
            "query": "q",
            "results": [
                {
                    "url": f"{base}/{name}",
                    "title": f"All about {name} and more",
                    "content": f"An excerpt on {name}.",
                    "publishedDate": None,
                    "score": 1.5,
                }
                for name in names
            ],
        }
    )


@asynccontextmanager
async def web(pages):
    """Serves these pages; a page may be a function of the request."""
    site = Site()

    async def answer(request):
        site.asked.append(request)
        reply = pages.get(request.url.path, Reply(b"nothing here", 404))
        if callable(reply):
            reply = reply(request)
            reply = await reply if hasattr(reply, "__await__") else reply
        headers = {"content-type": reply.type} if reply.type else {}
        return Response(reply.body, reply.status, {**headers, **reply.headers})

    async with served(Starlette(routes=[Route("/{path:path}", answer)])) as url:
        site.url = url
        yield site
