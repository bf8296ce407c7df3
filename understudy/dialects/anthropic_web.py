"""Anthropic's web search and web fetch on the wire: tools, calls, results and citations, both ways.

https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool, .../web-fetch-tool. What a result says beside
its addresses and titles is meant for a model, and the API seals it (`encrypted_content`): ours stands there as base64, so
that clients carry it back to us, and nobody takes it for Anthropic's.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from understudy.dialects import sse
from understudy.dialects.anthropic_wire import (
    FetchError,
    SearchError,
    Source,
    UrlSources,
    WireCitation,
    WireCited,
    WireDocument,
    WireFetched,
    WireFetchResult,
    WireFilter,
    WireHit,
    WireNamed,
    WireSearchResult,
    WireServerToolUse,
    WireServerUsage,
    WireTool,
)
from understudy.dialects.words import clean
from understudy.language.errors import BadRequest
from understudy.language.message import Cited
from understudy.language.request import Tool
from understudy.language.web import (
    Citation,
    Hit,
    Job,
    Missed,
    OtherCitation,
    Page,
    ServerToolUse,
    Sources,
    WebResult,
    WebTool,
)

_JSON = msgspec.json.Encoder()
_json = _JSON.encode

OURS = "understudy."
"""What a sealed text of ours begins with."""
JOBS: dict[str, Job] = {"web_search": "search", "web_fetch": "fetch"}
"""What a tool does, by the API's name for it."""
WireResult = WireSearchResult | WireFetchResult
_CITATION = msgspec.json.Decoder(WireCitation)


# ---- sealed text ----


def seal(text: str) -> str:
    """Text that the client carries, and does not read."""
    return OURS + b64encode(clean(text).encode()).decode()


def opened(sealed: str) -> str | None:
    """The text again; None where it is not ours."""
    if not sealed.startswith(OURS):
        return None
    try:
        return b64decode(sealed.removeprefix(OURS), validate=True).decode()
    except (NotBase64, UnicodeDecodeError):
        return None


# ---- tools ----


def web_tool(tool: WireTool, kind: str, place: str) -> WebTool | None:
    """What a tool of this `type` may do; None where it is none of the web.

    Raises:
        BadRequest: it is one, and not as the API has it; `place` says which.
    """
    job = next((job for name, job in JOBS.items() if kind.startswith(f"{name}_")), None)
    if job is None:
        return None
    if tool.name not in JOBS or JOBS[tool.name] != job:
        raise BadRequest(f"{place}.name: Input should be 'web_{job}'")
    if tool.allowed_domains and tool.blocked_domains:
        raise BadRequest(f"{place}: allowed_domains and blocked_domains cannot be used together")
    sources = tool.url_sources or UrlSources()
    return WebTool(
        job,
        tool.max_uses,
        tuple(tool.allowed_domains or ()),
        tuple(tool.blocked_domains or ()),
        tool.max_content_tokens,
        sources.user_input is None or sources.user_input.type != "none",
        _sources(sources.client_tool_results),
        _sources(sources.server_tool_results),
    )


def _sources(wished: WireFilter | None) -> Sources:
    if wished is None:
        return Sources()
    return Sources(wished.type, tuple([tool.name for tool in wished.tools or ()]))


def written_tool(tool: Tool, web: WebTool) -> WireTool:
    """The same tool for a server that runs it itself."""
    unlimited = web.from_user and web.from_tools == web.from_web == Sources()
    return WireTool(
        tool.name,
        tool.kind or f"web_{web.job}_20250305",
        defer_loading=True if tool.deferred else None,
        max_uses=web.max_uses,
        allowed_domains=list(web.allowed) or None,
        blocked_domains=list(web.blocked) or None,
        max_content_tokens=web.max_tokens,
        url_sources=None
        if unlimited
        else UrlSources(
            WireFilter("all" if web.from_user else "none"), _filter(web.from_tools), _filter(web.from_web)
        ),
    )


def _filter(sources: Sources) -> WireFilter:
    return WireFilter(sources.mode, [WireNamed(name) for name in sources.tools] or None)


# ---- blocks, read ----


def served(block: WireServerToolUse | WireResult) -> ServerToolUse | WebResult | None:
    """A call or a result; None where it is none of the web."""
    if isinstance(block, WireServerToolUse):
        given = bytes(block.input).decode()
        return ServerToolUse(block.id, block.name, given) if block.name in JOBS else None
    call, content = block.tool_use_id, block.content
    match content:
        case SearchError(code):
            return WebResult(call, "search", Missed(code))
        case FetchError(code):
            return WebResult(call, "fetch", Missed(code))
        case WireFetched():
            page = _page(content)
            return None if page is None else WebResult(call, "fetch", page)
        case _:
            return WebResult(call, "search", tuple([_hit(hit) for hit in content]))


def _hit(hit: WireHit) -> Hit:
    text = opened(hit.encrypted_content)
    sealed = hit.encrypted_content if text is None else ""
    return Hit(hit.url, hit.title, text or "", hit.page_age or "", sealed)


def _page(fetched: WireFetched) -> Page | None:
    source, title, at = fetched.content.source, fetched.content.title or "", fetched.retrieved_at or ""
    match source.type:
        case "text":
            return Page(fetched.url, title, source.data, source.media_type or "text/plain", "", at)
        case "base64":
            return Page(fetched.url, title, "", source.media_type, source.data, at)
        case _:
            return None


def citation(raw: Raw) -> Citation | OtherCitation:
    """A citation of a text."""
    try:
        read = _CITATION.decode(raw)
    except msgspec.ValidationError:
        return OtherCitation(bytes(raw).decode())
    return Citation(read.url, read.title or "", read.cited_text, read.encrypted_index)


# ---- blocks, written ----


def written(block: ServerToolUse | WebResult, given: Raw) -> WireServerToolUse | WireResult:
    """A call or a result; `given` is the call's input, fit for where it stands."""
    match block:
        case ServerToolUse(id=call, name=name):
            return WireServerToolUse(clean(call), clean(name), given)
        case WebResult(call, "search", Missed(code)):
            return WireSearchResult(clean(call), SearchError(code))
        case WebResult(call, _, tuple() as hits):
            return WireSearchResult(clean(call), [_wire_hit(hit) for hit in hits])
        case WebResult(call, _, Page() as page):
            return WireFetchResult(clean(call), _fetched(page))
        case _:
            return WireFetchResult(clean(block.tool_use_id), FetchError(_code(block)))


def _code(result: WebResult) -> str:
    return result.found.code if isinstance(result.found, Missed) else ""


def _wire_hit(hit: Hit) -> WireHit:
    return WireHit(clean(hit.url), clean(hit.title), hit.sealed or seal(hit.text), clean(hit.age) or None)


def _fetched(page: Page) -> WireFetched:
    source = (
        Source("base64", page.media_type, page.data)
        if page.data
        else Source("text", "text/plain", clean(page.text))
    )
    document = WireDocument(source, clean(page.title) or None)
    return WireFetched(clean(page.url), document, page.retrieved_at or None)


def wire_citation(found: Citation | OtherCitation) -> WireCitation | Raw:
    """A citation."""
    if isinstance(found, OtherCitation):
        return Raw(found.json.encode())
    return WireCitation(clean(found.url), clean(found.title), found.sealed, clean(found.text))


def wire_cited(text: Cited) -> WireCited:
    """A text with what it relies on."""
    return WireCited(clean(text.text), [wire_citation(one) for one in text.citations])


def events_of(index: int, block: WireServerToolUse | WireResult) -> bytes:
    """A block that comes whole, as it stands in a stream: a call's input comes as a delta all the same."""
    more = b""
    if isinstance(block, WireServerToolUse):
        text = bytes(block.input).decode()
        block, more = WireServerToolUse(block.id, block.name), _delta(index, b"input_json_delta", text)
    start = b'{"type":"content_block_start","index":%d,"content_block":%b}' % (index, _json(block))
    stop = b'{"type":"content_block_stop","index":%d}' % index
    return sse.record(b"content_block_start", start) + more + sse.record(b"content_block_stop", stop)


def _delta(index: int, kind: bytes, text: str) -> bytes:
    data = b'{"type":"content_block_delta","index":%d,"delta":{"type":"%b","partial_json":%b}}'
    return sse.record(b"content_block_delta", data % (index, kind, _json(text)))


def citation_event(index: int, found: Citation | OtherCitation) -> bytes:
    """What a text relies on, as it stands in a stream."""
    data = b'{"type":"content_block_delta","index":%d,"delta":{"type":"citations_delta","citation":%b}}'
    return sse.record(b"content_block_delta", data % (index, _json(wire_citation(found))))


def usage_of(blocks: Sequence[object]) -> WireServerUsage | None:
    """How often something was found or read, among an answer's blocks; None where nothing was tried."""
    results = [block for block in blocks if isinstance(block, WebResult)]
    done = [result.job for result in results if not isinstance(result.found, Missed)]
    return WireServerUsage(done.count("search"), done.count("fetch")) if results else None
