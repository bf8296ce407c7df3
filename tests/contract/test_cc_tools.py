"""Section 5, and the lessons about tool calls: from the engine's words to a call that runs, and its result back."""

import json

import pytest
from contract.claude import call, first_request, next_turn, result, text
from contract.playhouse import (
    LOCAL,
    WHOLE,
    FakeEngine,
    answer,
    blocks,
    called,
    calls,
    ending,
    events,
    message_texts,
    playhouse,
    replayed,
    started,
)

from understudy.language.events import BlockStart, BlockStop, InputDelta, MessageStop
from understudy.language.target import Model

PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}
LS = [call("toolu_a", "Bash", command="ls")]
PREVIEW = (
    "<persisted-output>\nOutput too large (106KB). Saved to: /tmp/out.txt\n\nPreview (first 2KB):\n"
    + "x" * 2000
)

RESULTS = [
    pytest.param({"content": "plot.py\n"}, "plot.py\n", marks=pytest.mark.requirement("CC-5.1")),
    pytest.param({"content": [text("a"), text("b")]}, "a\n\nb", marks=pytest.mark.requirement("CC-5.1")),
    pytest.param({"content": "ok", "is_error": False}, "ok", marks=pytest.mark.requirement("CC-5.1")),
    pytest.param({"content": ""}, "", marks=pytest.mark.requirement("CC-5.1")),
    pytest.param({"content": []}, "", marks=pytest.mark.requirement("CC-5.1")),
    pytest.param(
        {"content": "Exit code 3\nout\nerr", "is_error": True},
        "Error: Exit code 3\nout\nerr",
        marks=pytest.mark.requirement("CC-5.2"),
    ),
    pytest.param(
        {"content": "(Bash completed with no output)"},
        "(Bash completed with no output)",
        marks=pytest.mark.requirement("CC-5.3"),
    ),
    pytest.param(
        {"content": "<tool_use_error>Error: No such tool available: Glob</tool_use_error>", "is_error": True},
        "<tool_use_error>Error: No such tool available: Glob</tool_use_error>",
        marks=pytest.mark.requirement("CC-5.4"),
    ),
    pytest.param({"content": PREVIEW}, PREVIEW, marks=pytest.mark.requirement("CC-5.8")),
]


@pytest.mark.parametrize("kind", LOCAL)
@pytest.mark.parametrize(("given", "told"), RESULTS)
async def test_what_the_model_reads_of_a_result(given, told, kind):
    async with playhouse() as house:
        await house.told(
            next_turn(first_request(), LS, {"type": "tool_result", "tool_use_id": "toolu_a", **given})
        )
    message = next(m for m in house.body(kind)["messages"] if m["role"] == "tool")
    assert message["content"] == told
    assert message["tool_call_id"] == "toolu_a"


@pytest.mark.requirement("CC-5.9")
@pytest.mark.parametrize("kind", LOCAL)
async def test_results_come_before_text(kind):
    turn = next_turn(first_request(), LS, text("By the way"), result("toolu_a", "plot.py"), text("hurry"))
    async with playhouse() as house:
        await house.told(turn)
    roles = [message["role"] for message in house.body(kind)["messages"]]
    assert roles[-3:] == ["assistant", "tool", "user"]
    assert message_texts(house.body(kind))[-2:] == ["plot.py", "By the way\n\nhurry"]


@pytest.mark.requirement("CC-5.7", "CC-8.30")
@pytest.mark.parametrize("place", ["in a result", "in the prompt"])
async def test_images_reach_an_engine_that_sees_and_are_named_to_others(place):
    ask = first_request().but(messages=[{"role": "user", "content": [text("What is this?"), PICTURE]}])
    if place == "in a result":
        ask = next_turn(first_request(), LS, result("toolu_a", [PICTURE]))
    async with playhouse() as house:
        await house.told(ask)
    seen = house.body("vllm")["messages"]
    urls = [
        p["image_url"]["url"]
        for m in seen
        if isinstance(m["content"], list)
        for p in m["content"]
        if "image_url" in p
    ]
    assert urls == ["data:image/png;base64,aGVsbG8="]
    assert [m["images"] for m in house.body("ollama")["messages"] if m.get("images")] == [["aGVsbG8="]]
    for kind in LOCAL:
        blind = house.body(kind, images=False)
        assert "aGVsbG8=" not in json.dumps(blind)
        assert "image" in "".join(message_texts(blind)[1:]), "the model is told that there was one"


# name and arguments as the engine wrote them, what leaves
MENDED = [
    pytest.param(
        "bash", {"command": "ls"}, ("Bash", {"command": "ls"}), marks=pytest.mark.requirement("CC-5.4")
    ),
    pytest.param(
        "functions.Bash",
        {"command": "ls"},
        ("Bash", {"command": "ls"}),
        marks=pytest.mark.requirement("CC-5.4"),
    ),
    pytest.param(
        "Read",
        {"file_path": "/a", "limit": "20"},
        ("Read", {"file_path": "/a", "limit": 20}),
        marks=pytest.mark.requirement("CC-5.5"),
    ),
    pytest.param(
        "Bash",
        {"command": "ls", "run_in_background": "false"},
        ("Bash", {"command": "ls", "run_in_background": False}),
        marks=pytest.mark.requirement("CC-5.5"),
    ),
    pytest.param(
        "Bash", '{"command": "ls"', ("Bash", {"command": "ls"}), marks=pytest.mark.requirement("CC-5.6")
    ),
    pytest.param(
        "Bash", "{'command': 'ls',}", ("Bash", {"command": "ls"}), marks=pytest.mark.requirement("CC-5.6")
    ),
    pytest.param(
        "Bash",
        '```json\n{"command": "ls"}\n```',
        ("Bash", {"command": "ls"}),
        marks=pytest.mark.requirement("CC-5.6"),
    ),
    pytest.param(
        "Bash",
        {"arguments": '{"command": "ls"}'},
        ("Bash", {"command": "ls"}),
        marks=pytest.mark.requirement("CC-8.12"),
    ),
    pytest.param(
        "Bash",
        {"arguments": {"command": "ls"}},
        ("Bash", {"command": "ls"}),
        marks=pytest.mark.requirement("CC-8.12"),
    ),
    pytest.param(
        "Bash",
        json.dumps(json.dumps({"command": "ls"})),
        ("Bash", {"command": "ls"}),
        marks=pytest.mark.requirement("CC-8.12"),
    ),
    pytest.param("ListAgents", "", ("ListAgents", {}), marks=pytest.mark.requirement("CC-6.17")),
    pytest.param("ListAgents", "{}", ("ListAgents", {}), marks=pytest.mark.requirement("CC-6.17")),
]


@pytest.mark.parametrize(("name", "arguments", "leaves"), MENDED)
async def test_a_call_is_put_right_before_the_client_sees_it(name, arguments, leaves):
    async with playhouse(answer(called(name, arguments), stop="tool_use")) as house:
        response = await house.ask(first_request())
        whole = (await house.ask(first_request().whole())).json()
    (block,) = blocks(response)
    assert (block["name"], block["input"]) == leaves
    assert ending(response)["delta"]["stop_reason"] == "tool_use"
    assert (whole["content"][0]["name"], whole["content"][0]["input"]) == leaves
    pieces = [e["delta"]["partial_json"] for e in events(response) if e["type"] == "content_block_delta"]
    assert pieces
    assert json.loads("".join(pieces)) == leaves[1]


BEYOND = {
    "no such tool": called("LaunchRocket", {"to": "moon"}),
    "nothing required is there": called("Write", {"colour": "red"}),
    "no JSON at all": called("Edit", "please edit the file"),
}


@pytest.mark.requirement("CC-6.28")
@pytest.mark.parametrize("given", BEYOND.values(), ids=BEYOND.keys())
async def test_a_call_beyond_repair_leaves_no_block(given):
    async with playhouse(answer("I try.", given, stop="tool_use")) as house:
        response = await house.ask(first_request())
    assert [block["type"] for block in blocks(response)] == ["text"]
    assert ending(response)["delta"]["stop_reason"] == "tool_use"


@pytest.mark.requirement("CC-6.16", "CC-8.11")
@pytest.mark.parametrize("ids", [("a", "b", "c"), ("a", "a", "a"), ("", "", ""), ("x:1/ü", "x 2", "x" * 300)])
async def test_parallel_calls_are_blocks_with_ids_of_their_own(ids):
    given = calls(*(("Bash", {"command": f"echo {n}"}, identity) for n, identity in enumerate(ids)))
    async with playhouse(given) as house:
        found = blocks(await house.ask(first_request()))
    assert [block["input"]["command"] for block in found] == ["echo 0", "echo 1", "echo 2"]
    assert len({block["id"] for block in found}) == 3
    assert all(block["id"].startswith("toolu_") for block in found)


@pytest.mark.requirement("CC-6.16", "CC-8.10")
async def test_two_engine_ids_that_are_the_same_do_not_mix_results_up():
    given = calls(("Bash", {"command": "a"}, "same"), ("Bash", {"command": "b"}, "same"))
    async with playhouse(given, answer("ok")) as house:
        first = first_request()
        reply = await house.ask(first)
        one, two = (block["id"] for block in blocks(reply))
        await house.told(next_turn(first, replayed(reply), result(two, "B"), result(one, "A")))
        messages = house.body("vllm")["messages"]
    spoken = next(m for m in messages if m["role"] == "assistant")
    sent = [(c["id"], json.loads(c["function"]["arguments"])["command"]) for c in spoken["tool_calls"]]
    results = [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]
    assert [command for _, command in sent] == ["a", "b"]
    assert [content for _, content in results] == ["A", "B"]


HERMES = '<tool_call>\n{"name": "%s", "arguments": {"command": "ls"}}\n</tool_call>'
QWEN = "<tool_call>\n<function=Bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
LEAKS = [
    pytest.param("hermes", "Let me look.\n" + HERMES % "Bash", ["text", "tool_use"]),
    pytest.param("qwen-xml", "Let me look.\n" + QWEN, ["text", "tool_use"]),
    pytest.param("hermes", HERMES % "LaunchRocket", ["text"], id="not offered"),
    pytest.param("hermes", "Write it like `" + HERMES % "Bash" + "`", ["text"], id="talked about"),
]


@pytest.mark.requirement("CC-6.30", "CC-8.13")
@pytest.mark.parametrize(("syntax", "words", "kinds"), LEAKS)
async def test_calls_in_the_models_own_syntax(syntax, words, kinds):
    async with playhouse(answer(words), tool_syntax=syntax) as house:
        response = await house.ask(first_request())
    found = blocks(response)
    assert [block["type"] for block in found] == kinds
    if kinds[-1] == "tool_use":
        assert (found[-1]["name"], found[-1]["input"]) == ("Bash", {"command": "ls"})
        assert found[0]["text"].strip() == "Let me look."
        assert ending(response)["delta"]["stop_reason"] == "tool_use"
    else:
        assert found[0]["text"] == words, "nothing of it is lost"


@pytest.mark.requirement("CC-8.13")
async def test_words_become_calls_for_models_known_by_name():
    models = (Model("Qwen2.5-Coder-7B-Instruct-GGUF", 32768),)
    engine = FakeEngine(answer(HERMES % "Bash"), models=models, tool_syntax="auto", counts=9000)
    async with playhouse(engines=[engine]) as house:
        assert blocks(await house.ask(first_request()))[0]["name"] == "Bash"


@pytest.mark.requirement("CC-8.14")
async def test_a_broken_tag_does_not_end_the_answer():
    words = "One.\n<tool_call>\n{broken</tool_cal\nTwo.\n" + HERMES % "Bash"
    async with playhouse(answer(words), tool_syntax="hermes") as house:
        found = blocks(await house.ask(first_request()))
    assert found[0]["text"].startswith("One.")
    assert "Two." in found[0]["text"]


@pytest.mark.requirement("CC-8.9")
async def test_arguments_in_many_pieces_arrive_whole():
    arguments = json.dumps({"command": "printf '%s' ü\n", "description": "prints"}, ensure_ascii=False)

    async def dribbles():
        yield [started(), BlockStart("tool_use", "e1", "Bash")]
        for character in arguments:
            yield [InputDelta(character)]
        yield [BlockStop(), MessageStop("tool_use", None, WHOLE)]

    async with playhouse(dribbles) as house:
        assert blocks(await house.ask(first_request()))[0]["input"] == json.loads(arguments)
