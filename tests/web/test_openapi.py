"""The OpenAPI document: valid, without loose ends, and true."""

import warnings

import jsonschema_rs
import msgspec
import pytest
from driver import Puppet, Visit, ask, house

from understudy.config import Batches
from understudy.web.openapi import EXAMPLE, described


async def document():
    async with house(Puppet()) as built:
        visit = await Visit(built.app, "GET", "/openapi.json")()
    assert visit.status == 200
    return visit.json


def references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


async def test_it_is_openapi():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.openapi.models import OpenAPI  # noqa: PLC0415
    found = await document()
    assert found["openapi"].startswith("3.1")
    OpenAPI.model_validate(found)


async def test_every_reference_leads_somewhere():
    found = await document()
    used = set(references(found))
    assert used
    for reference in used:
        place = found
        for key in reference.removeprefix("#/").split("/"):
            place = place[key]
        assert place
    assert {r.rpartition("/")[2] for r in used} == set(found["components"]["schemas"])


async def test_every_endpoint_is_described_once():
    found = await document()
    operations = {(path, method) for path, item in found["paths"].items() for method in item}
    assert operations == {
        ("/v1/messages", "post"),
        ("/v1/messages/count_tokens", "post"),
        ("/v1/chat/completions", "post"),
        ("/v1/completions", "post"),
        ("/v1/embeddings", "post"),
        ("/v1/responses", "post"),
        ("/v1/responses/{response_id}", "get"),
        ("/v1/responses/{response_id}", "delete"),
        ("/v1/responses/{response_id}/cancel", "post"),
        ("/v1/responses/{response_id}/input_items", "get"),
        ("/v1/messages/batches", "post"),
        ("/v1/messages/batches", "get"),
        ("/v1/messages/batches/{batch_id}", "get"),
        ("/v1/messages/batches/{batch_id}", "delete"),
        ("/v1/messages/batches/{batch_id}/cancel", "post"),
        ("/v1/messages/batches/{batch_id}/results", "get"),
        ("/api/chat", "post"),
        ("/api/generate", "post"),
        ("/api/embed", "post"),
        ("/api/embeddings", "post"),
        ("/api/show", "post"),
        ("/api/tags", "get"),
        ("/api/ps", "get"),
        ("/api/version", "get"),
        ("/v1/models", "get"),
        ("/v1/models/{model_id}", "get"),
        ("/health", "get"),
        ("/metrics", "get"),
    }
    for path, item in found["paths"].items():
        for operation in item.values():
            assert operation["summary"]
            named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in named)
            assert path.count("{") == len(named)


def validator(document, name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema_rs.validator_for(schema, offline=True)


async def test_what_is_answered_is_what_is_described():
    found = await document()
    async with house(Puppet(count=3)) as built:
        pairs = {
            "MessageAnswer": await ask(built)(),
            "ErrorAnswer": await ask(built, model="nope")(),
            "ModelPage": await Visit(built.app, "GET", "/v1/models")(),
            "ModelInfo": await Visit(built.app, "GET", "/v1/models/coder")(),
            "Health": await Visit(built.app, "GET", "/health")(),
            "TokenCount": await Visit(
                built.app,
                path="/v1/messages/count_tokens",
                body={k: EXAMPLE[k] for k in ("model", "messages")},
            )(),
        }
    for name, visit in pairs.items():
        validator(found, name).validate(visit.json)


async def test_responses_are_answered_as_they_are_described():
    found = await document()
    async with house(Puppet(), models={"*": "auto"}) as built:
        asked = found["paths"]["/v1/responses"]["post"]["requestBody"]["content"]["application/json"]
        validator(found, "ResponsesRequest").validate(asked["example"])
        answer = await Visit(built.app, path="/v1/responses", body=asked["example"])()
        place = f"/v1/responses/{answer.json['id']}"
        background = {**asked["example"], "background": True}
        pairs = [
            ("ResponseAnswer", answer),
            ("ResponseAnswer", await Visit(built.app, path="/v1/responses", body=background)()),
            ("ResponseItems", await Visit(built.app, "GET", f"{place}/input_items")()),
            ("OpenAIError", await Visit(built.app, path=f"{place}/cancel")()),
            ("Deleted", await Visit(built.app, "DELETE", place)()),
            ("OpenAIError", await Visit(built.app, "GET", place)()),
        ]
    for name, visit in pairs:
        validator(found, name).validate(visit.json)


async def test_batches_are_what_is_described(tmp_path):
    found = await document()
    path = "/v1/messages/batches"
    example = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    validator(found, "BatchRequest").validate(example)
    async with house(Puppet(), batches=Batches(file=str(tmp_path / "b.db"))) as built:
        new = await Visit(built.app, path=path, body=example)()
        one = f"{path}/{new.json['id']}"
        while (batch := await Visit(built.app, "GET", one)()).json["ended_at"] is None:
            pass
        results = await Visit(built.app, "GET", f"{one}/results")()
        page = await Visit(built.app, "GET", path)()
        deleted = await Visit(built.app, "DELETE", one)()
    for name, visit in {"BatchAnswer": batch, "BatchPage": page, "BatchDeleted": deleted}.items():
        validator(found, name).validate(visit.json)
    validator(found, "BatchAnswer").validate(new.json)
    described = found["paths"][path + "/{batch_id}/results"]["get"]["responses"]["200"]["content"]
    assert list(described) == [results.headers["content-type"]]


async def test_the_example_is_valid_and_works():
    found = await document()
    validator(found, "MessagesRequest").validate(EXAMPLE)
    async with house(Puppet()) as built:
        visit = await Visit(built.app, body=EXAMPLE)()
    assert visit.status == 200


async def test_the_page_for_people():
    async with house(Puppet()) as built:
        visit = await Visit(built.app, "GET", "/docs")()
    assert visit.status == 200
    assert b"/openapi.json" in visit.body


async def test_the_document_is_made_once():
    async with house(Puppet()) as built:
        one = await Visit(built.app, "GET", "/openapi.json")()
        two = await Visit(built.app, "GET", "/openapi.json")()
    assert one.body == two.body


@pytest.mark.parametrize("part", [0, 1])
def test_it_is_plain_json(part):
    assert msgspec.json.decode(msgspec.json.encode(described()[part])) == described()[part]
