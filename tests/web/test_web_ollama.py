"""Ollama's API: the simple generate, who streams, what is told of models, what is refused."""

import json

import pytest
from driver import Puppet, Visit, house, say

from understudy.dialects import Quirks
from understudy.engines import KINDS, Facts
from understudy.language import errors
from understudy.language.events import BlockStart, Failed, MessageStart, TextDelta
from understudy.language.target import Model, Standing
from understudy.web.ollama import KEPT, capabilities, details, digest, in_use, tagged

AGENT = b"user-agent"
GO = (AGENT, b"ollama/0.13.0 (amd64 linux) Go/go1.24")
CURL = (AGENT, b"curl/8.5.0")


async def asked(built, path="/api/generate", method="POST", headers=(CURL,), body=None):
    return await Visit(built.app, method, path, json.dumps(body or {}).encode(), headers=headers)()


def lines(visit):
    assert visit.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in visit.body.splitlines()]


# -- generate -----------------------------------------------------------------------------------------------------


async def test_one_prompt_is_enough():
    puppet = Puppet([say("Bonjour")])
    async with house(puppet) as built:
        visit = await asked(
            built, body={"prompt": "Hello", "task_type": "translation", "temperature": 0.2, "maxTokens": 50}
        )
    assert visit.headers["content-type"] == "application/json"
    found = visit.json
    assert (found["response"], found["model"], found["task"], found["done"]) == (
        "Bonjour",
        "auto",
        "translation",
        True,
    )
    [request] = puppet.requests
    assert (request.task, request.sampling.max_tokens, request.sampling.temperature) == (
        "translation",
        50,
        0.2,
    )
    assert found["created_at"] > "2026"
    assert not found["created_at"].startswith("1970")


@pytest.mark.parametrize(
    ("headers", "stream", "streamed"),
    [
        ((CURL,), None, False),
        ((), None, False),
        ((GO,), None, True),
        ((CURL,), True, True),
        ((GO,), False, False),
        ((GO,), True, True),
        (((AGENT, b"Mozilla/5.0 ollama/1"),), None, False),
    ],
)
async def test_who_streams(headers, stream, streamed):
    async with house(Puppet([say("Hello")])) as built:
        visit = await asked(built, headers=headers, body={"prompt": "Hi", "stream": stream})
    if streamed:
        assert [line["response"] for line in lines(visit)] == ["Hello", ""]
    else:
        assert visit.json["response"] == "Hello"


async def test_an_unknown_task_is_refused_in_ollamas_words():
    async with house(Puppet()) as built:
        visit = await asked(built, body={"prompt": "Hi", "task_type": "cooking"})
    assert visit.status == 400
    assert visit.json == {"error": "task_type: 'cooking' is none of code, translation, creative, general"}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/generate", {"prompt": ""}), ("/api/chat", {"messages": []}), ("/api/chat", {})],
)
@pytest.mark.parametrize(("keep", "reason"), [(None, "load"), (0, "unload")])
async def test_a_model_is_only_loaded(path, body, keep, reason):
    puppet = Puppet()
    async with house(puppet) as built:
        visit = await asked(built, path, body={"model": "coder", "stream": False, "keep_alive": keep, **body})
        streamed = await asked(
            built, path, body={"model": "coder", "stream": True, "keep_alive": keep, **body}
        )
        nobody = await asked(built, path, body={"model": "nope", **body})
    assert puppet.requests == []
    assert visit.json["done_reason"] == reason
    assert [line["done_reason"] for line in lines(streamed)] == [reason]
    assert nobody.status == 404
    assert "nope" in nobody.json["error"]


async def test_an_answer_that_breaks_off_ends_in_an_error_line():
    broken = [[MessageStart("m"), BlockStart("text"), TextDelta("a")], [Failed(errors.EngineLost("gone"))]]
    async with house(Puppet(broken)) as built:
        visit = await asked(
            built, "/api/chat", body={"model": "coder", "messages": [{"role": "user", "content": "Hi"}]}
        )
    assert lines(visit)[-1] == {"error": "gone"}


# -- embeddings ---------------------------------------------------------------------------------------------------


async def test_vectors():
    puppet = Puppet(models=(Model("coder"), Model("nomic-embed-text")))
    async with house(puppet) as built:
        many = await asked(built, "/api/embed", body={"model": "auto", "input": ["a", "b"]})
        one = await asked(built, "/api/embeddings", body={"model": "nomic-embed-text", "prompt": "a"})
        none = await asked(built, "/api/embed", body={"model": "nomic-embed-text", "input": []})
        nobody = await asked(built, "/api/embed", body={"model": "nope", "input": []})
    assert len(many.json["embeddings"]) == 2
    assert many.headers["x-understudy-target"] == "puppet/nomic-embed-text"
    assert one.json["embedding"] == many.json["embeddings"][0]
    assert none.json["embeddings"] == []
    assert nobody.status == 404
    assert [request.model for request in puppet.embedded] == ["nomic-embed-text", "nomic-embed-text"]


# -- models -------------------------------------------------------------------------------------------------------

MODELS = (
    Model("qwen2.5-coder:7b-instruct-q4_K_M", 32768, size=4_700_000_000, template="T"),
    Model("org/Llama-3.2-3B-AWQ", 0, lacks=("tools",)),
    Model("all-minilm", 512, lacks=("chat", "tools", "thinking", "images")),
)


async def test_tags():
    async with house(Puppet(models=MODELS), Puppet(models=MODELS[:1], name="twin", kind="vllm")) as built:
        visit = await asked(built, "/api/tags", "GET")
        head = await asked(built, "/api/tags", "HEAD")
    rows = visit.json["models"]
    assert [row["name"] for row in rows] == [row["model"] for row in rows] == [model.id for model in MODELS]
    assert rows[0]["size"] == 4_700_000_000
    assert rows[0]["details"]["format"] == "gguf"
    assert len({row["digest"] for row in rows}) == 3
    assert all(len(row["digest"]) == 64 for row in rows)
    assert head.status == 200


def test_nothing_to_list():
    assert tagged(()).models == []


def test_a_digest_is_of_the_model():
    assert digest(MODELS[0]) == digest(Model(MODELS[0].id, 1, size=4_700_000_000, template="T"))
    assert digest(MODELS[0]) != digest(Model(MODELS[0].id, 1, size=1, template="T"))


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("qwen2.5-coder:7b-instruct-q4_K_M", "ollama", ("gguf", "qwen", "7B", "Q4_K_M")),
        ("org/Llama-3.2-3B-AWQ", "vllm", ("safetensors", "llama", "3B", "AWQ")),
        ("gpt-oss:20b-mxfp4", "ollama", ("gguf", "gpt", "20B", "MXFP4")),
        ("phi-3.5b", "ollama", ("gguf", "phi", "3.5B", "")),
        ("m/128k-fp16", "llamacpp", ("gguf", "k", "", "FP16")),
        ("1234", "openai", ("gguf", "model", "", "")),
    ],
)
def test_what_a_name_tells(name, kind, expected):
    found = details(Model(name), kind)
    assert (found.format, found.family, found.parameter_size, found.quantization_level) == expected
    assert found.families == [found.family]


SEES_ALL = KINDS["ollama"].quirks


@pytest.mark.parametrize(
    ("lacks", "quirks", "expected"),
    [
        ((), SEES_ALL, ["completion", "tools", "vision", "thinking"]),
        (("tools", "thinking", "images"), SEES_ALL, ["completion"]),
        (("images",), Quirks(), ["completion", "tools"]),
        ((), Quirks(tools=False, images=False), ["completion"]),
        (("chat",), SEES_ALL, ["embedding"]),
    ],
)
def test_capabilities(lacks, quirks, expected):
    assert capabilities(Model("m", lacks=lacks), Facts("e", "ollama", quirks=quirks)) == expected


async def test_show():
    async with house(Puppet(models=MODELS, quirks=SEES_ALL)) as built:
        found = (await asked(built, "/api/show", body={"model": MODELS[0].id})).json
        older = (await asked(built, "/api/show", body={"name": MODELS[1].id + ":latest"})).json
        best = (await asked(built, "/api/show", body={"model": "auto"})).json
        nobody = await asked(built, "/api/show", body={"model": "nope"})
        unnamed = await asked(built, "/api/show", body={})
        broken = await asked(built, "/api/show", body=[1])
    assert found["model_info"] == {
        "general.architecture": "qwen",
        "general.basename": MODELS[0].id,
        "qwen.context_length": 32768,
    }
    assert found["capabilities"] == ["completion", "tools", "vision", "thinking"]
    assert (found["template"], found["parameters"].split()) == ("T", ["num_ctx", "32768"])
    assert found["details"]["quantization_level"] == "Q4_K_M"
    assert older["model_info"] == {"general.architecture": "llama", "general.basename": MODELS[1].id}
    assert older["parameters"] == ""
    assert best == found
    assert (nobody.status, unnamed.status, broken.status) == (404, 400, 400)
    assert unnamed.json == {"error": "model is required"}


def test_what_is_in_use():
    one, two = Model("one", 4096, size=5), Model("two")
    standing = (
        Standing("a", "ollama", "up", (one, two), in_use=("two",)),
        Standing("b", "vllm", "up", (one,)),
        Standing("c", "vllm", "down", (Model("gone"),)),
    )
    rows = in_use(standing, 0.0).models
    assert [(row.name, row.expires_at) for row in rows] == [
        ("two", "1970-01-01T00:05:00.000000Z"),
        ("one", KEPT),
    ]
    assert (rows[1].size, rows[1].size_vram, rows[1].context_length) == (5, 5, 4096)


async def test_ps_and_version():
    async with house(Puppet()) as built:
        running = await asked(built, "/api/ps", "GET")
        version = await asked(built, "/api/version", "GET")
    assert [row["name"] for row in running.json["models"]] == ["coder"]
    assert version.json["version"].count(".") == 2


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("POST", "/api/create", "create"),
        ("POST", "/api/pull", "pull"),
        ("POST", "/api/push", "push"),
        ("POST", "/api/copy", "cp"),
        ("DELETE", "/api/delete", "rm"),
        ("HEAD", "/api/blobs/sha256:1", "create"),
        ("POST", "/api/blobs/sha256:1", "create"),
    ],
)
async def test_models_are_not_managed_here(method, path, what):
    async with house(Puppet()) as built:
        visit = await asked(built, path, method, body={"model": "m"})
    assert visit.status == 403
    assert f"ollama {what}`" in visit.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "dialect"),
    [
        ("POST", "/api/nowhere", 404, "ollama"),
        ("GET", "/api/chat", 405, "ollama"),
        ("POST", "/api/hello", 405, "anthropic"),
        ("GET", "/api/event_logging/batch", 405, "anthropic"),
    ],
)
async def test_errors_are_in_the_words_of_whose_path_it_is(method, path, status, dialect):
    async with house(Puppet()) as built:
        visit = await asked(built, path, method)
    assert visit.status == status
    assert isinstance(visit.json["error"], str if dialect == "ollama" else dict)
