"""Web search and web fetch on a local model, with the official SDK as the judge and a provider that really listens."""

import asyncio
from contextlib import asynccontextmanager

import anthropic
import msgspec
import pytest
from contract.playhouse import FakeEngine, answer, called, playhouse_served, rendered, settings
from contract.test_sdk import sdk
from media.tinypdf import pdf
from online.webserver import Reply, rows, web

from understudy.config import Batches, WebSettings
from understudy.engines import KINDS
from understudy.language import errors
from understudy.language.request import change

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
ASK = {"model": "m", "max_tokens": 1000, "tools": [SEARCH]}
LOOK = [{"role": "user", "content": "Look up cats."}]
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def looks(query="cats", call="c1", before="I look."):
    return answer(before, called("web_search", {"query": query}, call), stop="tool_use")


def reads(url, call="c1"):
    return answer(called("web_fetch", {"url": url}, call), stop="tool_use")


@asynccontextmanager
async def told(*answers, engine=None, pages=None, on=True, fetch=True, batches=None, **more):
    """An SDK client of a gateway with these answers; its web is ours."""
    async with web(pages or {"/search": rows("cats", "dogs")}) as site:
        found = WebSettings(
            **{"search": "searxng", "search_url": site.url} if on else {},
            fetch=fetch and on,
            private_hosts=("127.0.0.1",),
            **more,
        )
        plain = settings(names={"*": "auto"})
        loaded = change(plain, config=change(plain.config, web=found, batches=batches or Batches(on=False)))
        async with (
            playhouse_served(engines=[engine or FakeEngine(*answers)], loaded=loaded) as house,
            sdk(house, anthropic.AsyncAnthropic) as client,
        ):
            yield client, house.engine, site


async def asked(client, stream, **more):
    body = {**ASK, "messages": LOOK, **more}
    if not stream:
        return await client.messages.create(**body)
    async with client.messages.stream(**body) as found:
        return await found.get_final_message()


@BOTH
async def test_a_search(stream):
    said = "See https://docs.example/cats for more."
    async with told(looks(), answer(said)) as (client, engine, site):
        message = await asked(client, stream)
    text, call, result, final = message.content
    assert (text.text, final.text) == ("I look.", said)
    assert (call.type, call.name, call.input) == ("server_tool_use", "web_search", {"query": "cats"})
    assert call.id.startswith("srvtoolu_")
    assert (result.type, result.tool_use_id) == ("web_search_tool_result", call.id)
    assert [(hit.url, hit.title) for hit in result.content] == [
        ("https://docs.example/cats", "All about cats and more"),
        ("https://docs.example/dogs", "All about dogs and more"),
    ]
    (citation,) = final.citations
    assert (citation.type, citation.url) == ("web_search_result_location", "https://docs.example/cats")
    assert citation.cited_text == "An excerpt on cats."
    assert message.stop_reason == "end_turn"
    assert message.usage.server_tool_use.web_search_requests == 1
    assert message.usage.output_tokens == 14
    assert dict(site.asked[0].query_params) == {"q": "cats", "format": "json"}
    tool = engine.asked[0].tools[0]
    assert (tool.name, tool.kind) == ("web_search", "")
    assert turns(engine.asked[1])[:1] == turns(engine.asked[0])


def turns(request):
    return msgspec.json.decode(rendered(request, "vllm"))["messages"]


@BOTH
async def test_what_was_found_goes_on_in_the_same_bytes(stream):
    """The second round, and the client's next turn, only append to what the engine has read."""
    answers = looks(), answer("Cats."), answer("Dogs.")
    async with told(*answers) as (client, engine, _):
        message = await asked(client, stream)
        back = [block.model_dump(exclude_none=True) for block in message.content]
        again = [*LOOK, {"role": "assistant", "content": back}, {"role": "user", "content": "And dogs?"}]
        await asked(client, stream, messages=again)
        raw = await client.messages.with_raw_response.create(**ASK, messages=again)
    first, second, third, _ = (turns(request) for request in engine.asked)
    assert second[: len(first)] == first
    assert third[: len(second)] == second
    assert [turn["role"] for turn in third] == ["user", "assistant", "tool", "assistant", "user"]
    assert "An excerpt on cats." in third[2]["content"]
    assert raw.headers["x-understudy-prefix"].startswith("kept")
    assert len({rendered(change(request, turns=()), "vllm") for request in engine.asked}) <= 2  # max_tokens


@BOTH
async def test_a_page(stream):
    page = Reply(b"<title>On cats</title><nav>menu</nav><h1>Cats</h1><p>They purr. <a href='/more'>More</a>")
    async with web({"/cats": page}) as shown:
        url = f"{shown.url}/cats"
        question = [{"role": "user", "content": f"Read {url}."}]
        async with told(reads(url), answer("They purr.")) as (client, engine, _):
            message = await asked(client, stream, tools=[FETCH], messages=question)
    call, result, final = message.content
    assert (call.name, call.input) == ("web_fetch", {"url": url})
    assert (result.type, result.content.type, result.content.url) == (
        "web_fetch_tool_result",
        "web_fetch_result",
        url,
    )
    document = result.content.content
    assert (document.title, document.source.data) == (
        "On cats",
        f"# Cats\n\nThey purr. More ({shown.url}/more)",
    )
    assert result.content.retrieved_at
    assert final.text == "They purr."
    assert message.usage.server_tool_use.web_fetch_requests == 1
    assert "They purr" in turns(engine.asked[1])[-1]["content"]


async def test_a_pdf():
    async with web({"/p.pdf": Reply(pdf("Cats purr."), type="application/pdf")}) as shown:
        question = [{"role": "user", "content": f"Read {shown.url}/p.pdf"}]
        async with told(reads(f"{shown.url}/p.pdf"), answer("They purr.")) as (client, engine, _):
            message = await asked(client, False, tools=[FETCH], messages=question)
    assert "Cats purr." in message.content[1].content.content.source.data
    assert "Cats purr." in turns(engine.asked[1])[-1]["content"]


async def code_of(client, **more):
    message = await asked(client, stream=False, **more)
    (result,) = (block for block in message.content if block.type.endswith("_tool_result"))
    assert message.stop_reason == "end_turn"
    assert message.usage.server_tool_use.web_search_requests == 0
    return result.content.error_code


NAMED = [{"role": "user", "content": "Read http://127.0.0.1:1/x and http://169.254.169.254/y please."}]
# what, the call, the tool, the error's code
REFUSED = [
    ("a page nobody named", "http://127.0.0.1:1/z", {}, "url_not_in_prior_context"),
    ("a page of the house", "http://169.254.169.254/y", {}, "url_not_allowed"),
    ("a site that is blocked", "http://127.0.0.1:1/x", {"blocked_domains": ["127.0.0.1"]}, "url_not_allowed"),
    ("another site", "http://127.0.0.1:1/x", {"allowed_domains": ["a.example"]}, "url_not_allowed"),
    ("nobody is there", "http://127.0.0.1:1/x", {}, "url_not_accessible"),
    ("no address of the web", "file:///etc/passwd", {}, "invalid_tool_input"),
    ("no use is left", "http://127.0.0.1:1/x", {"max_uses": 0}, "max_uses_exceeded"),
]


@pytest.mark.parametrize(("url", "more", "code"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED])
async def test_what_is_refused(url, more, code):
    async with told(reads(url), answer("No.")) as (client, engine, _):
        assert await code_of(client, tools=[{**FETCH, **more}], messages=NAMED) == code
    assert f"Error ({code})" in turns(engine.asked[1])[-1]["content"]


@pytest.mark.parametrize("tool", [SEARCH, FETCH], ids=["search", "fetch"])
async def test_nothing_leaves_the_house_unless_it_is_configured(tool):
    made = looks() if tool is SEARCH else reads("http://127.0.0.1:1/x")
    async with told(made, answer("I cannot.")) as (client, engine, _):
        pass
    async with told(made, answer("I cannot."), on=False) as (client, engine, site):
        assert await code_of(client, tools=[tool], messages=NAMED) == "unavailable"
    assert not site.asked
    assert "[web] of understudy.toml" in turns(engine.asked[1])[-1]["content"]


@BOTH
async def test_no_more_uses_than_the_client_allows(stream):
    async with told(looks("a"), looks("b"), answer("Enough.")) as (client, _, site):
        message = await asked(client, stream, tools=[{**SEARCH, "max_uses": 1}])
    codes = [
        getattr(block.content, "error_code", "found")
        for block in message.content
        if block.type == "web_search_tool_result"
    ]
    assert codes == ["found", "max_uses_exceeded"]
    assert len(site.asked) == 1
    assert message.usage.server_tool_use.web_search_requests == 1


@BOTH
async def test_calls_side_by_side(stream):
    both = answer(
        called("web_search", {"query": "a"}, "c1"),
        called("web_search", {"query": "b"}, "c2"),
        stop="tool_use",
    )
    async with told(both, answer("Done.")) as (client, engine, site):
        message = await asked(client, stream)
    kinds = [block.type for block in message.content]
    assert kinds == ["server_tool_use"] * 2 + ["web_search_tool_result"] * 2 + ["text"]
    assert [block.tool_use_id for block in message.content[2:4]] == [
        block.id for block in message.content[:2]
    ]
    assert sorted(request.query_params["q"] for request in site.asked) == ["a", "b"]
    assert [turn["role"] for turn in turns(engine.asked[1])] == ["user", "assistant", "tool", "tool"]


@BOTH
async def test_a_call_of_the_clients_beside_one_of_ours(stream):
    """Ours is run, the client's is handed over; when its result comes, both stand where they were made."""
    bash = {"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}
    both = answer(
        called("web_search", {"query": "a"}, "c1"), called("Bash", {"command": "ls"}, "c2"), stop="tool_use"
    )
    async with told(both, answer("Done.")) as (client, engine, _):
        message = await asked(client, stream, tools=[SEARCH, bash])
        assert [block.type for block in message.content] == [
            "server_tool_use",
            "tool_use",
            "web_search_tool_result",
        ]
        assert message.stop_reason == "tool_use"
        assert len(engine.asked) == 1
        back = [block.model_dump(exclude_none=True) for block in message.content]
        result = {"type": "tool_result", "tool_use_id": message.content[1].id, "content": "a.txt"}
        again = [*LOOK, {"role": "assistant", "content": back}, {"role": "user", "content": [result]}]
        await asked(client, stream, tools=[SEARCH, bash], messages=again)
    last = turns(engine.asked[1])
    assert [turn["role"] for turn in last] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in last[1]["tool_calls"]] == [turn["tool_call_id"] for turn in last[2:]]
    assert last[3]["content"] == "a.txt"


@BOTH
async def test_a_model_that_never_ends_is_asked_to_pause(stream):
    async with told(looks(), rounds=2) as (client, engine, _):
        message = await asked(client, stream)
        assert message.stop_reason == "pause_turn"
        assert len(engine.asked) == 2
        back = [block.model_dump(exclude_none=True) for block in message.content]
        await asked(client, stream, messages=[*LOOK, {"role": "assistant", "content": back}])
    roles = [turn["role"] for turn in turns(engine.asked[2])]
    assert roles == ["user", "assistant", "tool", "assistant", "tool"]


@BOTH
async def test_a_demanded_call_is_demanded_once(stream):
    async with told(looks(), answer("Cats.")) as (client, engine, _):
        await asked(client, stream, tool_choice={"type": "tool", "name": "web_search"})
    assert [request.tool_choice.mode for request in engine.asked] == ["tool", "auto"]
    assert [request.sampling.max_tokens for request in engine.asked] == [1000, 993]


@BOTH
async def test_an_engine_that_fails_in_a_later_round(stream):
    async with told(looks(), errors.EngineError("nonsense")) as (client, _, _):
        with pytest.raises(anthropic.APIStatusError) as failure:
            await asked(client, stream)
    assert "nonsense" in str(failure.value)


@BOTH
async def test_a_call_that_was_cut_is_not_run(stream):
    cut = answer(called("web_search", {"query": "a"}), stop="max_tokens")
    async with told(cut) as (client, engine, site):
        message = await asked(client, stream)
    assert message.stop_reason == "max_tokens"
    assert not site.asked
    assert len(engine.asked) == 1


async def test_a_provider_that_does_not_work():
    for pages, code in [
        ({"/search": Reply(b"", 500)}, "unavailable"),
        ({"/search": Reply(b"", 429)}, "too_many_requests"),
        ({"/search": Reply(b"<html>")}, "unavailable"),
    ]:
        async with told(looks(), answer("No."), pages=pages) as (client, _, _):
            assert await code_of(client) == code


async def test_sites_that_a_search_may_not_show():
    async with told(looks(), answer("Cats.")) as (client, _, site):
        message = await asked(client, False, tools=[{**SEARCH, "allowed_domains": ["docs.example/dogs"]}])
    assert [hit.url for hit in message.content[2].content] == ["https://docs.example/dogs"]
    assert site.asked[0].query_params["q"] == "cats site:docs.example/dogs"


async def test_a_tool_that_is_not_as_the_api_has_it():
    async with told(answer("x")) as (client, _, _):
        for wrong in (
            {**SEARCH, "allowed_domains": ["a"], "blocked_domains": ["b"]},
            {**SEARCH, "name": "look"},
        ):
            with pytest.raises(anthropic.BadRequestError, match=r"tools\.0"):
                await client.messages.create(**{**ASK, "tools": [wrong]}, messages=LOOK)


async def test_the_tool_is_counted():
    async with told(answer("x")) as (client, engine, _):
        await client.messages.count_tokens(model="m", messages=LOOK, tools=[SEARCH])
    assert [tool.name for tool in engine.counted[0].tools] == ["web_search"]


async def test_an_engine_that_gives_raw_text_gets_its_own_bytes_back():
    """The embedded engine reads the call of the first round as it wrote it: the cached prefix goes on."""
    raw = 'I look. <tool_call>{"name":  "web_search", "arguments": {"query": "cats"}}</tool_call>'
    quirks = change(KINDS["llama-server"].quirks, raw_text=True)
    engine = FakeEngine(
        answer(raw), answer("Cats."), kind="llama-server", quirks=quirks, tool_syntax="hermes"
    )
    async with told(engine=engine) as (client, _, _):
        message = await asked(client, stream=True)
        back = [block.model_dump(exclude_none=True) for block in message.content]
        again = [*LOOK, {"role": "assistant", "content": back}, {"role": "user", "content": "And dogs?"}]
        await asked(client, stream=True, messages=again)
    assert [block.type for block in message.content] == [
        *("text", "server_tool_use", "web_search_tool_result", "text"),
    ]
    assert [turn.verbatim for turn in engine.asked[1].turns] == [None, raw, None]
    assert engine.asked[2].turns[:3] == engine.asked[1].turns


async def test_a_batch_may_search_too(tmp_path):
    batches = Batches(file=str(tmp_path / "b.db"), quiet_seconds=0.0)
    async with told(looks(), answer("Cats."), batches=batches) as (client, _, site):
        batch = await client.messages.batches.create(
            requests=[{"custom_id": "a", "params": {**ASK, "messages": LOOK}}]
        )
        async with asyncio.timeout(10):
            while (await client.messages.batches.retrieve(batch.id)).processing_status != "ended":  # noqa: ASYNC110 - as a client does
                await asyncio.sleep(0.01)
        (row,) = [row async for row in await client.messages.batches.results(batch.id)]
    assert [block.type for block in row.result.message.content] == [
        *("text", "server_tool_use", "web_search_tool_result", "text"),
    ]
    assert len(site.asked) == 1
