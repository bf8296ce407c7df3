"""Section 3: what is in the body, and what the engine gets of it."""

import itertools
import json

import pytest
from contract.claude import (
    HAIKU,
    Ask,
    big_request,
    call,
    environment,
    first_request,
    headers,
    next_turn,
    result,
    system,
    text,
    title_request,
    tool,
    tools,
    user_id,
)
from contract.playhouse import (
    CODER,
    LOCAL,
    answer,
    blocks,
    calls,
    ending,
    events,
    message_texts,
    playhouse,
    rendered,
    settings,
)

from understudy.language.target import Model
from understudy.stages.mend import Mended, Toolbox


def names_of(body):
    """Names of the tools in an engine's body."""
    return [row["function"]["name"] for row in body.get("tools") or []]


@pytest.mark.requirement("CC-3.1")
async def test_the_order_of_keys_means_nothing():
    ask = first_request()
    backwards = json.dumps(dict(reversed(ask.body.items()))).encode()
    async with playhouse() as house:
        await house.told(ask)
        response = await house.client.post(ask.path, content=backwards, headers=ask.headers)
        assert blocks(response) == [{"type": "text", "text": "hello"}]
        one, other = house.engine.asked
        assert one.turns == other.turns
        assert rendered(one, "vllm") == rendered(other, "vllm")
    assert list(json.loads(ask.content))[:3] == ["model", "messages", "system"]


@pytest.mark.requirement("CC-3.2", "CC-3.3", "CC-3.4")
@pytest.mark.parametrize("kind", LOCAL)
async def test_the_first_prompt_in_order(kind):
    async with playhouse() as house:
        await house.told(first_request("What does plot.py draw?"))
    messages = house.body(kind)["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    first, second = message_texts(house.body(kind))
    blocks_sent = system()
    assert first == f"{blocks_sent[1]['text']}\n\n{blocks_sent[2]['text']}"
    assert (
        second.index(environment())
        < second.index("this repository")
        < second.index("What does plot.py draw?")
    )
    assert second.endswith("What does plot.py draw?")


PLACES = {
    "last": [{"role": "user", "content": "a"}, {"role": "system", "content": "NOTE"}],
    "first": [{"role": "system", "content": "NOTE"}, {"role": "user", "content": "a"}],
    "alone": [{"role": "system", "content": "NOTE"}],
    "twice": [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "NOTE"},
        {"role": "system", "content": [text("more", cached=True)]},
    ],
    "after an answer": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": "NOTE"},
    ],
    "between call and result": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [call("t1", "Bash", command="ls")]},
        {"role": "system", "content": "NOTE"},
        {"role": "user", "content": [result("t1", "out")]},
    ],
    "behind a result": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [call("t1", "Bash", command="ls")]},
        {"role": "user", "content": [result("t1", "out")]},
        {"role": "system", "content": "NOTE"},
    ],
    "right after a compaction": [
        {"role": "user", "content": [text("This is what was done so far: nothing.")]},
        {"role": "system", "content": "NOTE"},
        {"role": "user", "content": "go on"},
    ],
}


@pytest.mark.requirement("CC-3.5", "CC-6.9", "CC-8.7", "CC-8.8")
@pytest.mark.parametrize("kind", LOCAL)
@pytest.mark.parametrize("messages", PLACES.values(), ids=PLACES.keys())
async def test_system_messages_anywhere(messages, kind):
    async with playhouse() as house:
        await house.told(first_request().but(messages=messages))
    body = house.body(kind)
    assert "NOTE" in "".join(message_texts(body))
    roles = [message["role"] for message in body["messages"]]
    assert roles[:2] == ["system", "user"]
    assert "system" not in roles[1:]
    spoken = [role for role in roles[1:] if role != "tool"]
    assert all(a != b for a, b in itertools.pairwise(spoken)) or roles.count("tool"), roles
    if "tool" in roles:
        assert roles[roles.index("tool") - 1] == "assistant", "results follow their calls at once"


@pytest.mark.requirement("CC-3.6", "CC-3.7", "CC-3.8")
@pytest.mark.parametrize("kind", LOCAL)
async def test_the_offered_tools(kind):
    ask = first_request().but(tools=tools("WebFetch", "mcp__clock__now"))
    async with playhouse() as house:
        await house.told(ask)
    offered = names_of(house.body(kind))
    assert offered == [row["name"] for row in tools() if row["name"] != "DeferredToolPlaceholder"]
    assert "DeferredToolPlaceholder" not in json.dumps(house.body(kind))
    assert "mcp__clock__now" not in json.dumps(house.body(kind)["tools"])


HARD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"^\d+\s?\w*$", "minLength": 1, "maxLength": 9},
        "url": {"type": "string", "format": "uri"},
        "mode": {"enum": ["a", "b"], "default": "a"},
        "count": {"type": "integer", "minimum": 1, "maximum": 5},
        "share": {"type": "number", "exclusiveMinimum": 0},
        "many": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "env": {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Z]+$"},
            "additionalProperties": {"type": "string"},
        },
    },
    "required": ["name"],
    "additionalProperties": False,
    "allOf": [{"required": ["name"]}],
    "if": {"required": ["url"]},
    "then": {"required": ["mode"]},
}


@pytest.mark.requirement("CC-3.9", "CC-8.16", "CC-8.17")
async def test_schemas_are_cut_to_what_a_grammar_takes_and_validated_in_full():
    ask = first_request().but(tools=[*tools(), tool("Hard", HARD)])
    async with playhouse() as house:
        told = await house.told(ask)
    original = next(t for t in told.tools if t.name == "Hard")
    assert json.loads(original.schema) == HARD
    cut = next(
        row["function"] for row in house.body("llama-server")["tools"] if row["function"]["name"] == "Hard"
    )
    name = cut["parameters"]["properties"]["name"]
    assert name.pop("description") == r"(pattern: ^\d+\s?\w*$)", "the model is told what the grammar is not"
    words = json.dumps(cut["parameters"])
    for keyword in ("\\\\d", "\\\\w", "\\\\s", "propertyNames", '"if"', '"then"', "$schema"):
        assert keyword not in words, keyword
    assert cut["parameters"]["properties"].keys() == HARD["properties"].keys()
    assert cut["parameters"]["required"] == ["name"]
    assert len(house.body("llama-server")["tools"]) == 12, "one hard tool costs no other"
    box = Toolbox([("Hard", original.schema)])
    assert isinstance(box.mend("Hard", '{"name": "12 a"}'), Mended)
    assert not isinstance(box.mend("Hard", '{"name": "no digits"}'), Mended)


@pytest.mark.requirement("CC-3.10")
async def test_user_id_is_any_string_and_tells_sessions_apart():
    bare = {name: value for name, value in headers().items() if name != "x-claude-code-session-id"}
    async with playhouse() as house:
        for user in (user_id(), user_id("other"), "not json", ""):
            ask = Ask(first_request().but(metadata={"user_id": user}).body, bare)
            assert (await house.ask(ask)).headers["x-understudy-prefix"].startswith("new"), user
        again = await house.ask(Ask(first_request().but(metadata={"user_id": user_id()}).body, bare))
        assert again.headers["x-understudy-prefix"].startswith("kept")
        assert (await house.ask(first_request().but(metadata=None))).status_code == 200


@pytest.mark.requirement("CC-3.11", "CC-6.11", "CC-8.21")
@pytest.mark.parametrize(
    ("wish", "window", "prompt", "given"),
    [
        (32000, 131072, None, 32000),
        (128000, 131072, 12000, 131072 - 12000 - 16),
        (32000, 32768, 12000, 32768 - 12000 - 16),
        (128000, 0, None, 128000),
    ],
)
async def test_max_tokens_fits_the_window(wish, window, prompt, given):
    async with playhouse(models=(Model("m", window),), counts=prompt) as house:
        told = await house.told(first_request().but(max_tokens=wish))
    assert told.sampling.max_tokens == given
    assert house.body("vllm")["max_tokens"] == given
    assert house.body("ollama")["options"]["num_predict"] == given


WISHES = [
    pytest.param({"type": "adaptive", "display": "omitted"}, True, marks=pytest.mark.requirement("CC-3.12")),
    pytest.param({"type": "adaptive", "display": "updates"}, True, marks=pytest.mark.requirement("CC-3.12")),
    pytest.param(
        {"type": "enabled", "budget_tokens": 31999, "display": "omitted"},
        True,
        marks=pytest.mark.requirement("CC-3.13"),
    ),
    pytest.param({"type": "disabled"}, False, marks=pytest.mark.requirement("CC-3.14")),
    pytest.param(None, None, marks=pytest.mark.requirement("CC-3.14")),
    pytest.param({"type": "brand-new", "depth": 3}, None, marks=pytest.mark.requirement("CC-6.13")),
]


@pytest.mark.parametrize(("wish", "on"), WISHES)
async def test_thinking(wish, on):
    async with playhouse(answer("ok")) as house:
        await house.told(first_request().but(thinking=wish))
    assert house.body("vllm").get("chat_template_kwargs") == (
        None if on is None else {"enable_thinking": on, "preserve_thinking": True}
    )
    assert house.body("ollama").get("think") is on


@pytest.mark.requirement("CC-6.13")
async def test_thinking_and_effort_are_taken_for_a_model_that_has_neither():
    plain = Model("qwen-coder", 131072, lacks=("thinking", "tools", "images"))
    async with playhouse() as house:
        told = await house.told(first_request())
    body = json.loads(rendered(told, "ollama", models=(plain,)))
    assert body.get("think") is None
    assert not body.get("tools")


# field, value: everything the client may add, today or next week
EXTRAS = [
    pytest.param(
        {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
        marks=pytest.mark.requirement("CC-3.15"),
    ),
    pytest.param(
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919", "trigger": {}}]}},
        marks=pytest.mark.requirement("CC-3.15"),
    ),
    pytest.param({"output_config": {"effort": "medium"}}, marks=pytest.mark.requirement("CC-3.16")),
    pytest.param(
        {"output_config": {"effort": "beyond", "tone": "dry"}}, marks=pytest.mark.requirement("CC-3.16")
    ),
    pytest.param(
        {"safeguards": [{"type": "dangerous_tool_use", "classifier_context": {"rules": "x" * 1500}}]},
        marks=pytest.mark.requirement("CC-3.18"),
    ),
    pytest.param(
        {"a_field_of_next_week": {"deep": [1, None, {"er": True}]}},
        marks=pytest.mark.requirement("CC-3.22", "CC-6.8", "CC-8.33"),
    ),
    pytest.param(
        {"service_tier": "auto", "container": None, "mcp_servers": []},
        marks=pytest.mark.requirement("CC-6.8"),
    ),
    pytest.param(
        {"inference_geo": "moon", "speed": "fast", "betas": ["x"]}, marks=pytest.mark.requirement("CC-6.8")
    ),
]


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: next(iter(extra)))
async def test_fields_that_are_never_refused(extra):
    async with playhouse() as house:
        usual = rendered(await house.told(first_request()), "vllm")
        response = await house.ask(first_request().but(**extra))
        assert blocks(response) == [{"type": "text", "text": "hello"}]
        assert rendered(house.engine.asked[-1], "vllm") == usual
        assert "safeguard" not in response.text, "no verdict is made up"


@pytest.mark.requirement("CC-3.16")
async def test_an_effort_and_a_schema_reach_engines_that_have_a_field():
    async with playhouse() as house:
        await house.told(title_request())
    assert house.body("openai", thinking_switch="effort")["reasoning_effort"] == "high"
    assert house.body("vllm")["response_format"]["type"] == "json_schema"


@pytest.mark.requirement("CC-3.17")
async def test_a_message_may_have_an_output_config_of_its_own():
    ask = first_request()
    odd = json.loads(json.dumps(ask.body["messages"]))
    odd[1]["output_config"] = {"effort": "low"}
    async with playhouse() as house:
        usual = await house.told(ask)
        assert (await house.told(ask.but(messages=odd))).turns == usual.turns


@pytest.mark.requirement("CC-3.19")
@pytest.mark.parametrize("kind", LOCAL)
async def test_open_sampling_is_left_to_the_engine(kind):
    async with playhouse() as house:
        await house.told(first_request())
    body = house.body(kind)
    flat = {**body, **body.get("options", {})}
    for name in ("temperature", "top_p", "top_k", "stop", "seed", "tool_choice", "min_p", "repeat_penalty"):
        assert name not in flat, name


@pytest.mark.requirement("CC-3.22")
async def test_an_extra_body_takes_effect():
    async with playhouse() as house:
        await house.told(first_request().but(temperature=0.1, top_k=5))
    assert house.body("vllm")["temperature"] == 0.1
    assert house.body("ollama")["options"]["top_k"] == 5


@pytest.mark.requirement("CC-3.20")
@pytest.mark.parametrize("kilobytes", [50, 77, 126, 600])
async def test_sizes(kilobytes):
    ask = big_request(kilobytes)
    assert abs(len(ask.content) - kilobytes * 1024) < 1024
    async with playhouse(models=(Model("m"),)) as house:
        assert blocks(await house.ask(ask)) == [{"type": "text", "text": "hello"}]


NAMES = ["local-coder", "qwen3-coder:30b", "org/Model-7B.Q4_K_M", "claude-opus-4-1", HAIKU, "模型"]


@pytest.mark.requirement("CC-3.21", "CC-8.34")
@pytest.mark.parametrize("name", NAMES)
async def test_a_model_keeps_its_name(name):
    models = (Model("aaa", 1000), Model(name, 131072)) if not name.startswith("claude") else (CODER,)
    async with playhouse(models=models, loaded=settings()) as house:
        response = await house.ask(first_request(model=name))
        assert events(response)[0]["message"]["model"] == name
        assert house.engine.asked[0].model == models[-1].id


@pytest.mark.requirement("CC-3.18")
async def test_a_dangerous_call_is_the_clients_to_judge():
    guards = [{"type": "dangerous_tool_use", "classifier_context": {}}]
    async with playhouse(calls(("Bash", {"command": "rm -rf build"}, "e1"))) as house:
        response = await house.ask(first_request().but(safeguards=guards))
        assert blocks(response)[0]["input"] == {"command": "rm -rf build"}
        assert set(ending(response)["delta"]) == {"stop_reason", "stop_sequence"}


@pytest.mark.requirement("CC-8.33")
@pytest.mark.parametrize("kind", LOCAL)
async def test_unknown_blocks_are_named_to_the_model(kind):
    odd = [text("look"), {"type": "hologram", "source": {"type": "beam"}}]
    async with playhouse() as house:
        await house.told(first_request().but(messages=[{"role": "user", "content": odd}]))
        assert "hologram" in message_texts(house.body(kind))[-1]
        inside = next_turn(first_request(), [call("t1", "Bash", command="ls")], result("t1", [*odd]))
        await house.told(inside)
        assert "hologram" in "".join(message_texts(house.body(kind)))
