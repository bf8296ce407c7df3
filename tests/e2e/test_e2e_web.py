"""The real Claude Code searches the web, and its model runs here: the provider is the only one who hears of it."""

import json

import pytest
from e2e.stage import answer, call, engine_bodies, hermes, script, scripted, text
from online.webserver import rows, web

SAID = "All about cats and more: see https://docs.example/cats."
FORMS = {
    "native": [call("web_search", query="cats")],
    "hermes": [text(f"I look.\n{hermes('web_search', query='cats')}")],
}


def work(looks):
    """The main conversation asks for a search; the side question that Claude Code makes of it calls our tool."""
    return script(
        answer(text(SAID), offers="web_search", tool_result="An excerpt on cats."),
        answer(text("I could not search."), offers="web_search", tool_result="Error (unavailable)"),
        answer(*looks, offers="web_search"),
        answer(text("Cats purr."), tool_result="docs.example/cats"),
        answer(text("Nobody could search."), tool_result="I could not search."),
        answer(call("WebSearch", query="cats")),
    )


@pytest.mark.parametrize(("form", "kind"), [("native", "vllm"), ("native", "ollama"), ("hermes", "vllm")])
async def test_a_search(tmp_path, form, kind):
    async with web({"/search": rows("cats", "dogs")}) as site:
        on = {"UNDERSTUDY_WEB__SEARCH": "searxng", "UNDERSTUDY_WEB__SEARCH_URL": site.url}
        async with scripted(tmp_path, work(FORMS[form]), kind=kind, **on) as stage:
            session = (await stage.claude("Search for cats.", tools="WebSearch,Read")).check()
            told = await stage.metrics()
            bodies = engine_bodies(stage)
    assert session.answer == "Cats purr."
    assert session.calls() == ["WebSearch"]
    assert session.failures() == []
    (result,) = session.results()
    assert "https://docs.example/cats" in json.dumps(result)
    assert SAID in result["content"]
    assert [request.query_params["q"] for request in site.asked] == ["cats"]
    assert told['understudy_web_calls_total{job="search",outcome="found"}'] == 1
    first, second = (body for body in bodies if body["tools"][0]["function"]["name"] == "web_search")
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert second["tools"] == first["tools"]


async def test_a_search_that_nobody_set_up(tmp_path):
    async with scripted(tmp_path, work(FORMS["native"])) as stage:
        session = (await stage.claude("Search for cats.", tools="WebSearch,Read")).check()
        told = await stage.metrics()
        log = stage.log()
    assert session.answer == "Nobody could search."
    assert told['understudy_web_calls_total{job="search",outcome="unavailable"}'] == 1
    assert [row["why"] for row in log if row["event"] == "web"] == ["web.search is off"]
