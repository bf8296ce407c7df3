"""The small endpoints, in the shapes that Anthropic's clients read."""

import asyncio

import msgspec
import pytest
from driver import Puppet, Visit, ask, house, question
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route

from understudy.language import errors
from understudy.language.target import Model
from understudy.web.endpoints import Direct, ModelInfo, health, listed, paged

MODELS = (
    Model("qwen2.5-coder:7b", 32768, "Qwen Coder"),
    Model("org/model-GGUF:Q4_K_M", 0),
    Model("claude-like", 8192),
)
IDS = [
    "qwen2.5-coder:7b",
    "claude-local-qwen2.5-coder:7b",
    "org/model-GGUF:Q4_K_M",
    "claude-local-org/model-GGUF:Q4_K_M",
    "claude-like",
]


async def get(built, path, query=b"", method="GET", body=b""):
    return await Visit(built.app, method, path, body, query=query)()


# -- models -------------------------------------------------------------------------------------------------------


async def test_models_and_their_aliases():
    async with house(Puppet(models=MODELS), Puppet(models=MODELS[:1], name="twin")) as built:
        visit = await get(built, "/v1/models", b"limit=1000")
    assert visit.status == 200
    assert [row["id"] for row in visit.json["data"]] == IDS
    first = visit.json["data"][0]
    assert first["type"] == "model"
    assert first["display_name"] == "Qwen Coder"
    assert first["max_input_tokens"] == 32768
    assert visit.json["data"][2]["max_input_tokens"] is None
    assert visit.json["has_more"] is False
    assert (visit.json["first_id"], visit.json["last_id"]) == (IDS[0], IDS[-1])


PAGES = [
    ({"limit": "2"}, [0, 1], True),
    ({"limit": "2", "after_id": "b"}, [2, 3], True),
    ({"limit": "2", "after_id": "d"}, [4], False),
    ({"limit": "2", "before_id": "d"}, [1, 2], True),
    ({"limit": "2", "before_id": "b"}, [0], False),
    ({"limit": "1000", "before_id": "a"}, [], False),
    ({"limit": "5"}, [0, 1, 2, 3, 4], False),
    ({}, [0, 1, 2, 3, 4], False),
    ({"after_id": "gone"}, [0, 1, 2, 3, 4], False),
]


@pytest.mark.parametrize(("query", "expected", "more"), PAGES, ids=[str(p[0]) for p in PAGES])
def test_pages(query, expected, more):
    rows = [ModelInfo(name, name) for name in "abcde"]
    page = paged(rows, query)
    assert [row.id for row in page.data] == ["abcde"[n] for n in expected]
    assert page.has_more == more
    assert page.last_id == ("abcde"[expected[-1]] if expected else None)


def test_the_default_page_is_twenty_and_all_pages_are_all_models():
    rows = [ModelInfo(str(n), "") for n in range(45)]
    seen, query = [], {}
    while True:
        page = paged(rows, query)
        assert len(page.data) <= 20
        seen += page.data
        if not page.has_more:
            break
        query = {"after_id": page.last_id}
    assert seen == rows
    back, query = [], {"before_id": "44"}
    while True:
        page = paged(rows, query)
        back[:0] = page.data
        if not page.has_more:
            break
        query = {"before_id": page.first_id}
    assert back == rows[:44]


@pytest.mark.parametrize(
    "limit", [b"0", b"-1", b"1001", b"x", b"", b"1.5", b"%C2%B2", b"%D9%A3", b"9" * 5000], ids=lambda b: b[:8]
)
async def test_a_limit_that_is_none(limit):
    async with house(Puppet()) as built:
        visit = await get(built, "/v1/models", b"limit=" + limit)
    if limit:
        assert visit.status == 400
        assert visit.json["error"]["message"].startswith("limit: ")
        assert len(visit.body) < 400
    else:
        assert visit.status == 200  # an empty value is no value


@pytest.mark.parametrize("identity", IDS)
async def test_one_model_by_its_id(identity):
    async with house(Puppet(models=MODELS)) as built:
        visit = await get(built, f"/v1/models/{identity}")
    assert visit.status == 200
    assert visit.json["id"] == identity
    assert visit.json["type"] == "model"


async def test_a_model_that_is_not_here():
    async with house(Puppet(models=MODELS)) as built:
        visit = await get(built, "/v1/models/what/ever:1")
    assert visit.status == 404
    assert visit.json["error"]["type"] == "not_found_error"
    assert "qwen2.5-coder:7b" in visit.json["error"]["message"]


async def test_every_listed_id_can_be_asked():
    async with house(Puppet(models=MODELS)) as built:
        for identity in IDS:
            visit = await ask(built, model=identity)()
            assert visit.status == 200, identity
            assert visit.json["model"] == identity


def test_every_alias_contains_claude():
    async_rows = listed(
        tuple(
            health_row(Puppet(models=MODELS))
            for _ in range(1)  # one engine
        )
    )
    assert [row.id for row in async_rows if "claude" in row.id] == [IDS[1], IDS[3], IDS[4]]


def test_a_model_without_words_is_not_offered_to_claude_code():
    models = (Model("coder"), Model("nomic-embed-text"), Model("plain", lacks=("chat",)))
    rows = [row.id for row in listed((health_row(Puppet(models=models)),))]
    assert rows == ["coder", "claude-local-coder", "nomic-embed-text", "plain"]


def health_row(puppet):
    from understudy.language.target import Standing  # noqa: PLC0415

    return Standing(puppet.facts.name, puppet.facts.kind, "up", puppet.served)


# -- counting -----------------------------------------------------------------------------------------------------

COUNTED = {
    "model": "coder",
    "system": [{"type": "text", "text": "You are a coder.", "cache_control": {"type": "ephemeral"}}],
    "tools": [{"name": "Read", "description": "Reads", "input_schema": {"type": "object"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                },
            ],
        },
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "found"}]},
    ],
}


async def count(built, body):
    return await get(built, "/v1/messages/count_tokens", method="POST", body=body)


async def test_count_tokens_by_the_engine():
    async with house(puppet := Puppet(count=321)) as built:
        visit = await count(built, COUNTED)
    assert visit.status == 200
    assert visit.json == {"input_tokens": 321}
    assert "x-understudy-estimate" not in visit.headers
    assert not puppet.requests


@pytest.mark.parametrize("counted", [None, errors.EngineBusy("full"), errors.EngineLost("x")], ids=repr)
async def test_an_estimate_says_that_it_is_one(counted):
    async with house(Puppet(count=counted)) as built:
        visit = await count(built, COUNTED)
        without = await count(built, COUNTED | {"tools": []})
    assert visit.status == 200
    assert visit.headers["x-understudy-estimate"] == "true"
    assert visit.json["input_tokens"] > without.json["input_tokens"] > 1600  # the picture


async def test_twenty_six_counts_at_once():
    """Claude Code counts every tool by itself when it starts."""
    puppet = Puppet(count=7)
    async with house(puppet) as built:
        visits = [
            Visit(built.app, path="/v1/messages/count_tokens", body=COUNTED | {"tools": [t]}).start()
            for t in [{"name": f"T{n}", "input_schema": {"type": "object"}} for n in range(26)]
        ]
        await asyncio.gather(*(visit.over() for visit in visits))
    assert [visit.json["input_tokens"] for visit in visits] == [7] * 26
    assert puppet.counts == 26


async def test_counting_for_nobody():
    async with house(Puppet(models=errors.EngineLost("refused"))) as built:
        visit = await count(built, COUNTED)
    assert visit.status == 503
    async with house(Puppet()) as built:
        visit = await count(built, COUNTED | {"model": "nope"})
    assert visit.status == 404


# -- health, metrics, greetings -----------------------------------------------------------------------------------


async def test_health():
    async with house(
        Puppet(), Puppet(name="b", models=errors.EngineLost("refused"), notice="a notice")
    ) as built:
        visit = await get(built, "/health")
    assert visit.status == 200
    assert visit.json["status"] == "ok"
    assert [(e["name"], e["state"]) for e in visit.json["engines"]] == [("puppet", "up"), ("b", "down")]
    assert visit.json["engines"][1]["detail"] == "refused"
    assert visit.json["notice"] == "a notice"


@pytest.mark.parametrize(
    "engines", [[], [()], [errors.EngineLost("refused")]], ids=["none", "no model", "down"]
)
async def test_health_without_an_engine(engines):
    async with house(*(Puppet(models=m) for m in engines)) as built:
        visit = await get(built, "/health")
    assert visit.status == 503
    assert visit.json["status"] == "unavailable"
    assert "understudy check" in visit.json["next"]


async def test_health_needs_no_key_but_metrics_does():
    async with house(Puppet(), key="k") as built:
        assert (await get(built, "/health")).status == 200
        assert (await get(built, "/metrics")).status == 401


def test_health_of_nothing():
    assert health(()).status == "unavailable"


async def test_metrics_can_be_read():
    async with house(Puppet()) as built:
        await ask(built, stream=True)()
        visit = await get(built, "/metrics")
    families = {f.name: f for f in text_string_to_metric_families(visit.body.decode())}
    assert families["understudy_requests"].type == "counter"
    assert families["understudy_requests_in_flight"].samples[0].value == 0
    labels = [s.labels for s in families["understudy_requests"].samples]
    assert {"dialect": "anthropic", "mode": "stream", "outcome": "end_turn"} in labels
    assert all("coder" not in str(sample.labels) for f in families.values() for sample in f.samples)


@pytest.mark.parametrize("path", ["/", "/api/hello"])
async def test_hello(path):
    async with house(Puppet(), key="k" if path == "/" else "") as built:
        head = await get(built, path, method="HEAD")
        whole = await get(built, path)
    assert head.status == whole.status == 200
    assert head.body == b""
    assert b"understudy" in whole.body


async def test_telemetry_is_taken_and_dropped():
    async with house(Puppet()) as built:
        visit = await get(built, "/api/event_logging/batch", method="POST", body=b'{"events":[1]}')
        other = await get(built, "/api/event_logging/v2/batch", method="POST", body=b"not json")
    assert (visit.status, visit.json) == (200, {})
    assert other.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/v1/complete", 404),
        ("GET", "/v1/messages", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/health", 405),
    ],
)
async def test_paths_and_methods_that_do_not_exist(method, path, status):
    async with house(Puppet()) as built:
        visit = await get(built, path, method=method)
    assert visit.status == status
    assert visit.json["type"] == "error"
    assert visit.json["error"]["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    assert f"{method} {path}" in visit.json["error"]["message"]
    assert visit.json["request_id"] == visit.headers["request-id"]
    assert ("allow" in visit.headers) == (status == 405)


def test_the_shapes_are_json_of_their_own():
    raw = msgspec.json.encode(ModelInfo("a", "A"))
    assert msgspec.json.decode(raw, type=ModelInfo) == ModelInfo("a", "A")
    assert question()["model"] == "coder"


class Seen:
    """An application that only notes what reaches it."""

    def __init__(self):
        self.paths = []

    async def __call__(self, scope, receive, send):
        self.paths.append(scope.get("path"))


@pytest.mark.parametrize(
    ("kind", "method", "path", "short"),
    [
        ("http", "POST", "/a", True),
        ("http", "GET", "/a", False),
        ("http", "POST", "/b/c", False),
        ("http", "POST", "/nowhere", False),
        ("websocket", "POST", "/a", False),
    ],
)
async def test_only_plain_paths_of_the_table_go_the_short_way(kind, method, path, short):
    own, other = Seen(), Seen()
    table = [Route("/a", own, methods=["POST"]), Route("/b/{rest:path}", own, methods=["POST"])]
    await Direct(other, table)({"type": kind, "method": method, "path": path}, None, None)
    assert (own.paths, other.paths) == (([path], []) if short else ([], [path]))
