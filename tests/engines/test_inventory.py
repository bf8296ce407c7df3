import json

import pytest

from understudy.engines import KINDS
from understudy.engines.inventory import COUNTS, LISTS, OLLAMA_CONTEXT
from understudy.language.errors import EngineBusy, EngineError, EngineLost, EngineRefused, NoTarget
from understudy.language.target import Model


def fetching(table, asked=None):
    """A fetch that answers from a table: bytes, JSON, an exception, or a function of the body."""

    async def fetch(method, path, body):
        if asked is not None:
            asked.append((f"{method} {path}", body))
        found = table.get(f"{method} {path}", NoTarget("no such path"))
        found = found(json.loads(body)) if callable(found) else found
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, bytes) else json.dumps(found).encode()

    return fetch


def test_every_kind_has_its_ways():
    for kind in KINDS.values():
        assert kind.inventory in LISTS
        assert not kind.count or kind.count in COUNTS


BLIND = ("images",)
V1, PROPS, V0 = "GET /v1/models", "GET /props", "GET /api/v0/models"
INFO = "GET /get_model_info"
TAGS, PS, SHOW = "GET /api/tags", "GET /api/ps", "POST /api/show"
ONE = {"data": [{"id": "m"}]}
LISTED = {  # inventory, answers: the models
    "vllm": ("openai", {V1: {"data": [{"id": "m", "max_model_len": 8192}]}}, (Model("m", 8192),)),
    "openrouter": (
        "openai",
        {V1: {"data": [{"id": "a", "context_length": 7}, {"id": "b"}]}},
        (Model("a", 7), Model("b")),
    ),
    "claude": ("anthropic", {V1: {"data": [{"id": "c", "display_name": "C"}]}}, (Model("c", 0, "C"),)),
    "nulls": (
        "openai",
        {V1: {"data": [{"id": "m", "max_model_len": None, "display_name": None}]}},
        (Model("m"),),
    ),
    "null for none": ("openai", {V1: {"data": None, "object": "list"}}, ()),
    "none": ("openai", {V1: {"data": []}}, ()),
    "the slot's window": (
        "llama-server",
        {
            V1: ONE,
            PROPS: {"default_generation_settings": {"n_ctx": 4096}, "chat_template": "T", "total_slots": 4},
        },
        (Model("m", 4096, "", "T"),),
    ),
    "props without numbers": (
        "llama-server",
        {V1: {"data": [{"id": "m", "max_model_len": 5}]}, PROPS: {"chat_template": None}},
        (Model("m", 5),),
    ),
    "props with nulls": (
        "llama-server",
        {V1: ONE, PROPS: {"default_generation_settings": None}},
        (Model("m"),),
    ),
    "llama.cpp without a projector": (
        "llama-server",
        {V1: ONE, PROPS: {"modalities": {"vision": False, "audio": False}}},
        (Model("m", lacks=BLIND),),
    ),
    "llama.cpp with one": (
        "llama-server",
        {V1: ONE, PROPS: {"modalities": {"vision": True}}},
        (Model("m"),),
    ),
    "llama.cpp before it told": ("llama-server", {V1: ONE, PROPS: {"modalities": {}}}, (Model("m"),)),
    "a text model of sglang": (
        "sglang",
        {V1: {"data": [{"id": "m", "max_model_len": 9}]}, INFO: {"has_image_understanding": False}},
        (Model("m", 9, lacks=BLIND),),
    ),
    "one of sglang that sees": ("sglang", {V1: ONE, INFO: {"has_image_understanding": True}}, (Model("m"),)),
    "sglang before it told": ("sglang", {V1: ONE, INFO: {"model_path": "m"}}, (Model("m"),)),
    "an older sglang": ("sglang", {V1: ONE, INFO: NoTarget("Not Found")}, (Model("m"),)),
    "lm studio": (
        "lmstudio",
        {
            V0: {
                "data": [
                    {"id": "a", "type": "llm", "loaded_context_length": 4096, "max_context_length": 9},
                    {"id": "b", "type": "vlm", "max_context_length": 9},
                    {"id": "e", "type": "embeddings"},
                    {"id": "f"},
                ]
            }
        },
        (Model("a", 4096, lacks=BLIND), Model("b", 9), Model("e", lacks=("chat",)), Model("f")),
    ),
    "an older lm studio": ("lmstudio", {V1: ONE}, (Model("m"),)),
    "lm studio's 200 for an unknown path": (
        "lmstudio",
        {V0: {"error": "Unexpected endpoint or method. (GET /api/v0/models)"}, V1: ONE},
        (Model("m"),),
    ),
    "lm studio with nothing": ("lmstudio", {V0: {"data": []}, V1: ONE}, ()),
}


@pytest.mark.parametrize(("inventory", "table", "models"), LISTED.values(), ids=LISTED)
async def test_models_are_listed(inventory, table, models):
    assert await LISTS[inventory](fetching(table)) == models


def shown(length=40960, capabilities=("completion", "tools", "thinking", "vision"), **fields):
    return {
        "model_info": {"q.context_length": length},
        "template": "T",
        "capabilities": capabilities,
        **fields,
    }


def ollama(show, *, names=("m",), running=()):
    tags = {"models": [{"name": name, "size": 5} for name in names]}
    return {TAGS: tags, PS: {"models": list(running)}, SHOW: show}


WINDOWS = {  # answers: the window
    "trained for more": (ollama(shown()), OLLAMA_CONTEXT),
    "trained for less": (ollama(shown(8192)), 8192),
    "loaded with more": (ollama(shown(), running=[{"name": "m", "context_length": 131072}]), 131072),
    "loaded with less": (ollama(shown(), running=[{"name": "m", "context_length": 4096}]), OLLAMA_CONTEXT),
    "another is loaded": (ollama(shown(), running=[{"name": "x", "context_length": 131072}]), OLLAMA_CONTEXT),
    "an older ps": (ollama(shown(), running=[{"name": "m"}]), OLLAMA_CONTEXT),
    "no length": (ollama(shown(model_info={})), OLLAMA_CONTEXT),
    "no information": (ollama(shown(model_info=None)), OLLAMA_CONTEXT),
    "length null": (ollama(shown(None)), OLLAMA_CONTEXT),
    "length a float": (ollama(shown(1e5)), OLLAMA_CONTEXT),
    "length a text": (ollama(shown("8192")), OLLAMA_CONTEXT),
    "length negative": (ollama(shown(-1)), OLLAMA_CONTEXT),
    "another length": (
        ollama(shown(model_info={"q.rope.original_context_length": 2, "q.context_length": 8192})),
        8192,
    ),
}


@pytest.mark.parametrize(("table", "window"), WINDOWS.values(), ids=WINDOWS)
async def test_the_window_ollama_is_asked_for(table, window):
    assert await LISTS["ollama"](fetching(table)) == (Model("m", window, "", "T", 5),)


LACKS = [  # capabilities: what is missing
    (None, ()),
    ([], ()),
    (["completion"], ("thinking", "tools", "images")),
    (["completion", "tools", "insert"], ("thinking", "images")),
    (["completion", "tools", "vision", "thinking"], ()),
]


@pytest.mark.parametrize(("capabilities", "lacks"), LACKS)
async def test_what_a_model_cannot_do(capabilities, lacks):
    (model,) = await LISTS["ollama"](fetching(ollama(shown(capabilities=capabilities))))
    assert model.lacks == lacks


async def test_a_model_for_embeddings_is_known_as_one():
    table = ollama(lambda body: shown(capabilities=["embedding" if body["model"] == "e" else "completion"]))
    table[TAGS] = {"models": [{"name": "e"}, {"name": "m"}]}
    found = {model.id: "chat" in model.lacks for model in await LISTS["ollama"](fetching(table))}
    assert found == {"e": True, "m": False}


@pytest.mark.parametrize(
    "error", [NoTarget("gone"), EngineRefused("broken"), EngineError("500"), b"<html>", b"\xff"]
)
async def test_one_bad_model_does_not_hide_the_others(error):
    table = ollama(lambda body: error if body["model"] == "bad" else shown(), names=("bad", "m"))
    models = await LISTS["ollama"](fetching(table))
    assert models == (Model("bad", OLLAMA_CONTEXT, size=5), Model("m", OLLAMA_CONTEXT, "", "T", 5))


@pytest.mark.parametrize("error", [EngineBusy("down"), EngineLost("cut")])
async def test_an_engine_that_is_lost_meanwhile_is_lost(error):
    with pytest.raises(type(error)):
        await LISTS["ollama"](fetching(ollama(error)))


async def test_no_models_at_all():
    assert await LISTS["ollama"](fetching({TAGS: {"models": None}, PS: {"models": None}})) == ()


NONSENSE = [
    b"",
    b"<html>",
    b"[]",
    b'{"data":{}}',
    b'{"data":[{}]}',
    b'{"data":[{"id":1}]}',
    b'{"data":"\xff"}',
    b"[" * 9999,
]


@pytest.mark.parametrize("body", NONSENSE)
async def test_nonsense_is_the_engines_error(body):
    with pytest.raises(EngineError, match="GET /v1/models answered with something unexpected"):
        await LISTS["openai"](fetching({V1: body}))


@pytest.mark.parametrize("body", [b"[]", b'{"models":[{"size":1}]}', b'{"models":3}'])
async def test_nonsense_of_ollama_too(body):
    with pytest.raises(EngineError, match="GET /api/tags"):
        await LISTS["ollama"](fetching({TAGS: body}))


@pytest.mark.parametrize(
    ("count", "path", "answer", "tokens"),
    [
        ("llama-server", "POST /v1/chat/completions/input_tokens", {"input_tokens": 3}, 3),
        ("vllm", "POST /tokenize", {"count": 4, "max_model_len": 9, "tokens": [1]}, 4),
        ("anthropic", "POST /v1/messages/count_tokens", {"input_tokens": 5}, 5),
        ("vllm", "POST /tokenize", {"error": "Unexpected endpoint"}, None),
    ],
)
async def test_a_count_is_asked_with_the_body(count, path, answer, tokens):
    asked = []
    assert await COUNTS[count](fetching({path: answer}, asked), b'{"x":1}') == tokens
    assert asked == [(path, b'{"x":1}')]
