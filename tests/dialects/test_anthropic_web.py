"""Web search and web fetch on Anthropic's wire, both ways, with the official SDK's types as the judge."""

import json

import pytest
from anthropic.types import (
    Message as SdkMessage,
)
from anthropic.types import (
    RawContentBlockDeltaEvent,
    RawContentBlockStartEvent,
)
from harness import feed3, ids, legal
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.anthropic import DIALECT
from understudy.dialects.anthropic_web import opened, seal
from understudy.language.errors import BadRequest
from understudy.language.events import (
    BlockStart,
    BlockStop,
    CitationDelta,
    Failed,
    MessageStart,
    MessageStop,
    Served,
    TextDelta,
    Usage,
)
from understudy.language.message import Cited, Message, collect, replay
from understudy.language.request import Request, Text, Thinking, Tool, Turn, Unknown
from understudy.language.web import (
    Citation,
    Hit,
    Missed,
    OtherCitation,
    Page,
    ServerToolUse,
    Sources,
    WebResult,
    WebTool,
)

ASK = Request("m", ())
HIT = Hit("https://a.example", "A", "On a.", "2 days")
CALL = ServerToolUse("srvtoolu_1", "web_search", '{"query":"a"}')


def parsed(**body):
    hello = [{"role": "user", "content": "hello"}]
    return DIALECT.parse(json.dumps({"model": "m", "max_tokens": 5, "messages": hello, **body}).encode())


# ---- tools ----

TOOLS = [
    ({}, WebTool("search")),
    (
        {"max_uses": 3, "allowed_domains": ["a.example"], "blocked_domains": None},
        WebTool("search", 3, ("a.example",)),
    ),
    ({"blocked_domains": ["b.example"]}, WebTool("search", blocked=("b.example",))),
]
SOURCES = {
    "user_input": {"type": "none"},
    "client_tool_results": {"type": "only", "tools": [{"type": "tool", "name": "Read"}]},
    "server_tool_results": {"type": "except", "tools": [{"type": "tool", "name": "web_search"}]},
}


def test_other_tools_are_none_of_the_web():
    (tool,) = parsed(tools=[{"type": "code_execution_20250825", "name": "code_execution"}]).tools
    assert tool.web is None


@pytest.mark.parametrize("version", ["20250305", "20260209", "20300101"])
@pytest.mark.parametrize(("sent", "expected"), TOOLS)
def test_a_search_tool(sent, expected, version):
    kind = f"web_search_{version}"
    (tool,) = parsed(tools=[{"type": kind, "name": "web_search", **sent}]).tools
    assert tool == Tool("web_search", kind=kind, web=expected)


def test_a_fetch_tool():
    sent = {
        "type": "web_fetch_20260318",
        "name": "web_fetch",
        "max_content_tokens": 500,
        "url_sources": SOURCES,
        "citations": {"enabled": True},
    }
    (tool,) = parsed(tools=[sent]).tools
    assert tool.web == WebTool(
        "fetch",
        max_tokens=500,
        from_user=False,
        from_tools=Sources("only", ("Read",)),
        from_web=Sources("except", ("web_search",)),
    )


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"name": "look"}, "tools.0.name"),
        ({"name": "web_fetch"}, "tools.0.name"),
        ({"allowed_domains": ["a"], "blocked_domains": ["b"]}, "tools.0: allowed_domains"),
    ],
)
def test_a_tool_that_is_not_as_the_api_has_it(sent, problem):
    with pytest.raises(BadRequest, match=problem):
        parsed(tools=[{"type": "web_search_20250305", "name": "web_search", **sent}])


@pytest.mark.parametrize(
    "web",
    [
        WebTool("search"),
        WebTool("search", 3, ("a.example",)),
        WebTool("fetch", None, (), ("b.example",), 500),
        WebTool("fetch", from_user=False),
        WebTool("fetch", from_tools=Sources("only", ("Read",)), from_web=Sources("none")),
    ],
)
@pytest.mark.parametrize("deferred", [False, True])
def test_a_tool_survives_the_way_there_and_back(web, deferred):
    name = f"web_{web.job}"
    tool = Tool(name, kind=f"{name}_20260318", deferred=deferred, web=web)
    asked = Request("m", (Turn("user", (Text("a"),)),), tools=(tool,))
    assert DIALECT.parse(DIALECT.render(asked)).tools == (tool,)


# ---- blocks ----

BLOCKS = [
    CALL,
    ServerToolUse("srvtoolu_1", "web_fetch", '{"url":"https://a.example"}'),
    WebResult("srvtoolu_1", "search", (HIT, Hit("https://b.example", "B", sealed="theirs"))),
    WebResult("srvtoolu_1", "search", ()),
    WebResult("srvtoolu_1", "search", Missed("max_uses_exceeded")),
    WebResult("srvtoolu_1", "fetch", Missed("url_not_allowed")),
    WebResult("srvtoolu_1", "fetch", Page("https://a.example", "A", "words", retrieved_at="2026")),
    WebResult("srvtoolu_1", "fetch", Page("https://a.example", "", "", "application/pdf", "aGk=")),
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_survives_the_way_there_and_back(block):
    asked = Request("m", (Turn("assistant", (block,)),))
    assert DIALECT.parse(DIALECT.render(asked)).turns == asked.turns


STRANGE = [
    {"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "new"}},
    {
        "type": "web_fetch_tool_result",
        "tool_use_id": "s",
        "content": {
            "type": "web_fetch_result",
            "url": "u",
            "content": {"type": "document", "source": {"type": "file", "file_id": "f"}},
        },
    },
]


@pytest.mark.parametrize("sent", STRANGE)
def test_what_is_not_understood_is_kept_whole(sent):
    found = parsed(messages=[{"role": "assistant", "content": [sent]}])
    assert found.turns[0].blocks == (Unknown(sent["type"], json.dumps(sent)),)


def test_a_cited_text_is_a_text():
    cited = {"type": "text", "text": "a", "citations": [{"type": "new"}]}
    assert parsed(messages=[{"role": "assistant", "content": [cited]}]).turns[0].blocks == (Text("a"),)


@given(st.text())
def test_sealed_text_is_opened_again(text):
    clean = text.encode(errors="replace").decode()
    assert opened(seal(clean)) == clean


@pytest.mark.parametrize("sealed", ["", "EpQB", "understudy.=", "understudy.a", "understudy./w=="])
def test_what_others_sealed_stays_shut(sealed):
    assert opened(sealed) is None


# ---- answers ----

CITATIONS = (
    Citation("https://a.example", "A", "On a.", "srvtoolu_1.0"),
    OtherCitation(
        '{"type":"page_location","cited_text":"x","document_index":0,"start_page_number":1,"end_page_number":2}'
    ),
)
ANSWER = Message(
    "msg_1",
    "m",
    (
        CALL,
        WebResult("srvtoolu_1", "search", (HIT,)),
        ServerToolUse("srvtoolu_2", "web_fetch", '{"url":"https://a.example"}'),
        WebResult("srvtoolu_2", "fetch", Page("https://a.example", "A", "words", retrieved_at="2026-11-24")),
        ServerToolUse("srvtoolu_3", "web_fetch", ""),
        WebResult("srvtoolu_3", "fetch", Missed("url_not_allowed")),
        Cited("See A.", CITATIONS),
    ),
    "end_turn",
    usage=Usage(9, 4, 2),
)


def test_a_whole_answer_is_read_by_the_sdk():
    whole = json.loads(DIALECT.whole(ANSWER, ASK, "m"))
    read = SdkMessage.model_validate(whole)
    call, hits, _, page, empty, missed, text = read.content
    assert (call.name, call.input, empty.input) == ("web_search", {"query": "a"}, {})
    assert (hits.content[0].url, hits.content[0].page_age) == ("https://a.example", "2 days")
    assert opened(hits.content[0].encrypted_content) == "On a."
    assert (page.content.content.source.data, page.content.retrieved_at) == ("words", "2026-11-24")
    assert missed.content.error_code == "url_not_allowed"
    assert [found.type for found in text.citations] == ["web_search_result_location", "page_location"]
    assert read.usage.server_tool_use.model_dump() == {"web_search_requests": 1, "web_fetch_requests": 1}
    assert whole["usage"]["input_tokens"] == 5


def test_an_answer_without_them_says_nothing_of_them():
    plain = Message("msg_1", "m", (Text("a"),), "end_turn")
    whole = json.loads(DIALECT.whole(plain, ASK, "m"))
    assert "server_tool_use" not in whole["usage"]
    assert whole["content"] == [{"type": "text", "text": "a"}]


def streamed(events):
    encoder = DIALECT.encoder(ASK, "m")
    data = b"".join(encoder.encode([event]) for event in events)
    return [json.loads(record.partition("data: ")[2]) for record in data.decode().split("\n\n") if record]


def test_a_stream_is_read_by_the_sdk():
    events = legal(list(replay(ANSWER)))
    records = streamed(events)
    starts = [record for record in records if record["type"] == "content_block_start"]
    assert [record["index"] for record in starts] == list(range(7))
    kinds = [RawContentBlockStartEvent.model_validate(record).content_block.type for record in starts]
    assert kinds == [
        *("server_tool_use", "web_search_tool_result"),
        *("server_tool_use", "web_fetch_tool_result") * 2,
        "text",
    ]
    deltas = [record for record in records if record["type"] == "content_block_delta"]
    for record in deltas:
        RawContentBlockDeltaEvent.model_validate(record)
    inputs = [
        record["delta"]["partial_json"] for record in deltas if record["delta"]["type"] == "input_json_delta"
    ]
    assert inputs == ['{"query":"a"}', '{"url":"https://a.example"}', "{}"]
    cited = [record for record in deltas if record["delta"]["type"] == "citations_delta"]
    assert [record["index"] for record in cited] == [6, 6]
    assert records[-2]["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 1}


def test_bytes_do_not_depend_on_the_batches():
    events = list(replay(ANSWER))
    one = DIALECT.encoder(ASK, "m").encode(events)
    encoder = DIALECT.encoder(ASK, "m")
    assert b"".join(encoder.encode([event]) for event in events) == one


def test_surrogates_do_not_break_an_answer():
    broken = [
        MessageStart("m"),
        Served(ServerToolUse("s", "web_search", '{"query":"\ud800"}')),
        Served(WebResult("s", "search", (Hit("https://a.example", "\ud800", "\ud800", "\ud800"),))),
        BlockStart("text"),
        TextDelta("a"),
        CitationDelta(Citation("https://a.example", "\ud800", "\ud800")),
        BlockStop(),
        MessageStop("end_turn"),
    ]
    assert streamed(broken)[-1]["type"] == "message_stop"


# ---- answers, read ----


def record(kind, **more):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def block(index, block, *deltas):
    inside = [record("content_block_delta", index=index, delta=delta) for delta in deltas]
    start = record("content_block_start", index=index, content_block=block)
    return b"".join([start, *inside, record("content_block_stop", index=index)])


def read(*blocks):
    data = b"".join(
        [
            record("message_start", message={"id": "msg_1"}),
            *blocks,
            record("message_delta", delta={"stop_reason": "end_turn"}),
            record("message_stop"),
        ]
    )
    return collect(legal(feed3(lambda: DIALECT.decoder(ids()), data))).blocks


def test_an_answer_survives_the_way_there_and_back():
    data = DIALECT.encoder(ASK, "m").encode(replay(ANSWER))
    found = collect(legal(feed3(lambda: DIALECT.decoder(ids()), data))).blocks
    expected = list(ANSWER.blocks)
    expected[1] = WebResult("srvtoolu_1", "search", (HIT,))
    expected[4] = ServerToolUse("srvtoolu_3", "web_fetch", "{}")
    assert list(found) == expected


USE = {"type": "server_tool_use", "id": "s", "name": "web_search"}
MORE = {"type": "input_json_delta", "partial_json": '{"query":'}
CITED = {"type": "citations_delta", "citation": {"type": "web_search_result_location", "url": "u"}}


@pytest.mark.parametrize(
    ("blocks", "found"),
    [
        (
            [block(0, USE, MORE, {**MORE, "partial_json": '"a"}'})],
            (ServerToolUse("s", "web_search", '{"query":"a"}'),),
        ),
        ([block(0, {**USE, "input": {"query": "a"}})], (ServerToolUse("s", "web_search", '{"query": "a"}'),)),
        ([block(0, USE)], (ServerToolUse("s", "web_search", "{}"),)),
        ([block(0, {**USE, "name": "code_execution"}, MORE)], ()),
        ([block(0, {"type": "bash_code_execution_tool_result", "content": {}})], ()),
        ([block(0, {"type": "web_search_tool_result", "tool_use_id": "s", "content": 5})], ()),
        (
            [
                block(0, {"type": "text", "text": "a"}),
                block(0, {"type": "text"}, {"type": "text_delta", "text": "b"}),
            ],
            (Text("a"), Text("b")),
        ),
        ([block(0, {"type": "text", "text": "a"}, CITED)], (Cited("a", (Citation("u", ""),)),)),
        (
            [block(0, {"type": "text", "text": "a"}), record("content_block_delta", index=0, delta=CITED)],
            (Text("a"),),
        ),
        ([block(0, {"type": "thinking", "thinking": "a"}, CITED)], (Thinking("a"),)),
    ],
)
def test_what_is_read_of_a_stream(blocks, found):
    assert read(*blocks) == found


def test_a_call_that_was_cut_is_none():
    decoder = DIALECT.decoder(ids())
    start = record("content_block_start", index=0, content_block=USE)
    events = decoder.feed(record("message_start", message={"id": "msg_1"}) + start) + decoder.close()
    assert not any(isinstance(event, Served) for event in events)
    assert isinstance(legal(events)[-1], Failed)
