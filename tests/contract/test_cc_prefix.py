"""Section 4: what moves in the prompt, and how it is kept still. Compared are the bytes that an engine gets."""

import json

import pytest
from contract.claude import (
    call,
    compaction_request,
    environment,
    first_request,
    next_turn,
    result,
    subagent_request,
    system,
    text,
    tools,
    toolsearch_turn,
)
from contract.playhouse import (
    LOCAL,
    FakeEngine,
    answer,
    blocks,
    called,
    calls,
    message_texts,
    playhouse,
    rendered,
    replayed,
    thought,
)

from understudy.dialects import Quirks
from understudy.language.request import Text, Thinking, ToolUse
from understudy.request import prefix


def continues(before: dict, now: dict) -> None:
    """Everything but the messages is the same, and the messages only go on."""
    for name in before.keys() | now.keys():
        if name not in ("messages", "max_tokens", "options"):
            assert json.dumps(before.get(name)) == json.dumps(now.get(name)), name
    longer, shorter = now["messages"], before["messages"]
    for number, (old, new) in enumerate(zip(shorter[:-1], longer, strict=False)):
        assert json.dumps(old) == json.dumps(new), f"message {number}"
    last, grown = json.dumps(shorter[-1])[:-2], json.dumps(longer[len(shorter) - 1])
    assert grown.startswith(last), f"{last[-300:]} became {grown[: len(last) + 300][-600:]}"


@pytest.mark.requirement("CC-4.1", "CC-8.1")
@pytest.mark.parametrize("kind", LOCAL)
async def test_the_billing_line_is_in_no_prompt(kind):
    async with playhouse() as house:
        await house.told(first_request("one", nonce="4be"))
        await house.told(first_request("one", nonce="0c1", session="other"))
        await house.told(subagent_request())
    assert all("billing" not in rendered(request, kind).decode() for request in house.engine.asked)
    one, other = (rendered(request, kind) for request in house.engine.asked[:2])
    assert one == other


@pytest.mark.requirement("CC-4.2", "CC-4.3")
@pytest.mark.parametrize("kind", LOCAL)
async def test_marks_and_forms_are_not_part_of_the_prompt(kind):
    ask = first_request()
    plain = json.loads(json.dumps(ask.body["messages"]))
    plain[1]["content"] = environment()
    moved = json.loads(json.dumps(ask.body))
    moved["messages"][0]["content"][0]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
    moved["tools"][3]["cache_control"] = {"type": "ephemeral"}
    async with playhouse() as house:
        for variant in (ask, ask.but(messages=plain), ask.but(**moved)):
            await house.told(variant)
    one, *others = (rendered(request, kind) for request in house.engine.asked)
    assert others == [one, one]
    assert b"cache_control" not in one


@pytest.mark.requirement("CC-4.4", "CC-5.10")
@pytest.mark.parametrize("kind", LOCAL)
async def test_a_loaded_tool_appears_where_it_was_found(kind):
    async with playhouse(calls(("ToolSearch", {"query": "web"}, "e1")), answer("ok")) as house:
        first = first_request()
        reply = await house.ask(first)
        turn = toolsearch_turn(first, blocks(reply)[0]["id"], "WebFetch", "SendMessage")
        response = await house.ask(turn)
        assert response.headers["x-understudy-prefix"].startswith("kept")
        before, now = house.body(kind, 0), house.body(kind, 1)
    continues(before, now)
    tail = message_texts(now)[-1]
    assert "WebFetch" in tail
    assert '"url"' in tail, "its schema is there too"
    assert "SendMessage" in tail


REWRITES = [
    ("key order", {"description": "list", "command": "ls"}, {"command": "ls", "description": "list"}),
    ("cd is dropped", {"command": "cd /home/ada/plotter && ls"}, {"command": "ls"}),
    ("numbers", '{"command": "ls", "timeout": 5000.0}', {"command": "ls", "timeout": 5000}),
    ("strings", {"command": "ls", "timeout": "5000"}, {"command": "ls", "timeout": 5000}),
    (
        "booleans",
        {"command": "ls", "run_in_background": "false"},
        {"command": "ls", "run_in_background": False},
    ),
    ("spaces", '{ "command" :  "ls" }', {"command": "ls"}),
]


@pytest.mark.requirement("CC-4.5", "CC-8.10")
@pytest.mark.parametrize(
    ("written", "replay"), [row[1:] for row in REWRITES], ids=[row[0] for row in REWRITES]
)
async def test_the_engine_gets_its_own_call_back(written, replay):
    async with playhouse(
        calls(("Bash", written, "call#7 of model"), before="Let me look."), answer("ok")
    ) as house:
        first = first_request()
        reply = await house.ask(first)
        identity = blocks(reply)[1]["id"]
        assert identity.startswith("toolu_")
        turn = next_turn(first, replayed(reply, lambda _: replay), result(identity, "plot.py"))
        await house.told(turn)
        asked = house.engine.asked[-1]
    spoken = next(turn for turn in asked.turns if turn.role == "assistant")
    own = next(block for block in spoken.blocks if isinstance(block, ToolUse))
    assert own.id == "call#7 of model"
    again = json.loads(own.input)
    original = json.loads(written) if isinstance(written, str) else written
    assert list(again) == list(original), "its own order of keys"
    assert again["command"] == original["command"]
    body = house.body("vllm")
    results = [message for message in body["messages"] if message["role"] == "tool"]
    assert [row["tool_call_id"] for row in results] == ["call#7 of model"]


@pytest.mark.requirement("CC-4.5")
async def test_a_file_keeps_its_trailing_blanks():
    content = "a = 1  \nb = 2\t\n"
    stripped = "a = 1\nb = 2\n"
    given = {"content": content, "file_path": "/a.py"}
    async with playhouse(calls(("Write", given, "e1")), answer("ok")) as house:
        first = first_request()
        reply = await house.ask(first)
        block = blocks(reply)[0]
        assert block["input"] == given
        kept = [call(block["id"], "Write", file_path="/a.py", content=stripped)]
        await house.told(next_turn(first, kept, result(block["id"])))
    spoken = next(m for m in house.body("vllm")["messages"] if m["role"] == "assistant")
    assert json.loads(spoken["tool_calls"][0]["function"]["arguments"]) == given


@pytest.mark.requirement("CC-4.6")
async def test_text_behind_a_call_goes_back_to_its_place():
    given = answer("before", called("Bash", {"command": "ls"}, "e1"), "behind", stop="tool_use")
    async with playhouse(given, answer("ok")) as house:
        first = first_request()
        reply = await house.ask(first)
        kept = replayed(reply)
        client = sorted(kept, key=lambda block: block["type"] == "tool_use")
        assert [b["type"] for b in kept] == ["text", "tool_use", "text"]
        identity = kept[1]["id"]
        told = await house.told(next_turn(first, client, result(identity)))
    spoken = next(turn for turn in told.turns if turn.role == "assistant")
    assert [type(block) for block in spoken.blocks] == [Text, ToolUse, Text]


@pytest.mark.requirement("CC-4.7", "CC-8.37")
@pytest.mark.parametrize(
    "given",
    [
        answer("\n\n", called("Bash", {"command": "ls"}), stop="tool_use"),
        answer(thought("Hm."), " ", called("Bash", {"command": "ls"}), "\n", stop="tool_use"),
        answer(thought(""), "", called("Bash", {"command": "ls"}), stop="tool_use"),
    ],
)
async def test_no_blank_block_is_sent(given):
    async with playhouse(given) as house:
        response = await house.ask(first_request())
        whole = (await house.ask(first_request().whole())).json()["content"]
    for sent in (blocks(response), whole):
        assert [b["type"] for b in sent if b["type"] != "thinking"] == ["tool_use"]
        assert all(b["thinking"].strip() for b in sent if b["type"] == "thinking")


@pytest.mark.requirement("CC-4.8", "CC-8.6", "CC-8.19", "CC-6.31")
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("vllm", "reasoning"),
        ("llama-server", "reasoning_content"),
        ("sglang", "reasoning_content"),
        ("ollama", "thinking"),
    ],
)
async def test_reasoning_goes_back_in_the_field_the_engine_reads(kind, field):
    async with playhouse(answer(thought("Two files. "), "Done."), answer("ok")) as house:
        first = first_request()
        reply = await house.ask(first)
        kept = replayed(reply)
        assert kept[0] == {"type": "thinking", "thinking": "Two files. ", "signature": ""}
        for form in (kept, [{"type": "thinking", "thinking": "Two files. "}, kept[1]]):
            told = await house.told(next_turn(first, form))
            spoken = next(turn for turn in told.turns if turn.role == "assistant")
            assert spoken.blocks == (Thinking("Two files. "), Text("Done."))
            sent = next(m for m in house.body(kind)["messages"] if m["role"] == "assistant")
            assert (sent[field], sent["content"]) == ("Two files. ", "Done.")


@pytest.mark.requirement("CC-4.9")
@pytest.mark.parametrize(
    "given",
    [
        {"__unparsedToolInput": {"raw": '{"command": "ls', "len": 15}},
        "just a string",
        [1, 2],
        None,
        7,
    ],
)
@pytest.mark.parametrize("kind", LOCAL)
async def test_inputs_that_are_no_objects(given, kind):
    block = {"type": "tool_use", "id": "toolu_x", "name": "Bash", "input": given}
    async with playhouse() as house:
        await house.told(next_turn(first_request(), [block], result("toolu_x", "no", is_error=True)))
        spoken = next(m for m in house.body(kind)["messages"] if m["role"] == "assistant")
    assert spoken["tool_calls"][0]["function"]["name"] == "Bash"
    told = spoken["tool_calls"][0]["function"]["arguments"]
    told = told if kind == "ollama" else json.loads(told)
    assert isinstance(told, dict), "engines refuse the conversation where it is none"
    if isinstance(given, dict):
        assert told == {"input": '{"command": "ls'}, "the model's own words"


@pytest.mark.requirement("CC-4.10")
@pytest.mark.parametrize("kind", LOCAL)
async def test_results_come_in_the_order_of_the_calls(kind):
    given = calls(
        *(
            (name, {"file_path": f"/{name}"} if name == "Read" else {"command": "ls"}, f"e{i}")
            for i, name in enumerate(("Read", "Bash", "Read"))
        )
    )
    async with playhouse(given, answer("ok"), answer("ok")) as house:
        first = first_request()
        reply = await house.ask(first)
        ids = [block["id"] for block in blocks(reply)]
        assert len(set(ids)) == 3
        orders = ([2, 0, 1], [0, 1, 2])
        for order in orders:
            news = [result(ids[i], f"output {i}") for i in order]
            await house.told(next_turn(first, replayed(reply), *news))
    one, other = (house.body(kind, n) for n in (1, 2))
    assert one == other
    outputs = [m["content"] for m in one["messages"] if m["role"] == "tool"]
    assert outputs == ["output 0", "output 1", "output 2"]


@pytest.mark.requirement("CC-4.11")
@pytest.mark.parametrize("kind", LOCAL)
async def test_sessions_share_everything_up_to_the_prompt(kind):
    async with playhouse() as house:
        await house.told(first_request("What does plot.py draw?", session="one", nonce="aaa"))
        await house.told(first_request("Rename draw().", session="two", nonce="bbb"))
    one, other = (rendered(request, kind).decode() for request in house.engine.asked)
    shared = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    body = house.body(kind)
    assert body["messages"][0]["role"] == "system"
    assert one[shared:].startswith("What does plot.py draw?")


@pytest.mark.requirement("CC-4.12")
@pytest.mark.parametrize("kind", LOCAL)
async def test_ids_are_not_part_of_the_prompt(kind):
    async with playhouse() as house:
        await house.told(first_request(session="7d0f"))
        body = rendered(house.engine.asked[0], kind)
    assert b"7d0f" not in body
    assert b"d" * 64 not in body
    assert b"device_id" not in body


def conversation(turns):
    """Answers of an engine: text with a call, reasoning with two calls, in turn."""
    for n in range(turns):
        if n % 2:
            yield answer(
                thought(f"Step {n}."),
                called("Read", {"limit": n, "file_path": f"/part_{n}.py"}, f"e{n}"),
                called("Bash", {"description": "count", "command": f"wc -l part_{n}.py"}, f"f{n}"),
                stop="tool_use",
            )
        else:
            yield calls(
                ("Bash", {"timeout": 5000.0, "command": f"cat part_{n}.py"}, f"e{n}"), before=f"Part {n}."
            )


@pytest.mark.requirement("CC-4.13", "CC-8.3", "CC-8.4")
@pytest.mark.parametrize("kind", LOCAL)
@pytest.mark.parametrize("notes", [False, True], ids=["plain", "a system message after every result"])
async def test_seventeen_turns_only_go_on(kind, notes):
    def rewrite(arguments):
        return dict(sorted(arguments.items()))

    async with playhouse(*conversation(17)) as house:
        ask = first_request()
        for n in range(17):
            reply = await house.ask(ask)
            if n:
                assert reply.headers["x-understudy-prefix"].startswith("kept"), reply.headers[
                    "x-understudy-prefix"
                ]
                continues(house.body(kind, -2), house.body(kind, -1))
            kept = replayed(reply, rewrite)
            ids = [block["id"] for block in kept if block["type"] == "tool_use"]
            news = [result(identity, f"{n} lines") for identity in reversed(ids)]
            ask = next_turn(ask, kept, *news, note=f"{1000 - n} tokens left" if notes else "")


@pytest.mark.requirement("CC-4.13")
async def test_the_models_own_text_goes_back_verbatim():
    written = 'Looking.\n<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>'
    engine = FakeEngine(answer(written), answer("ok"), quirks=Quirks(raw_text=True), tool_syntax="hermes")
    async with playhouse(engines=[engine]) as house:
        first = first_request()
        reply = await house.ask(first)
        kept = replayed(reply)
        assert kept[-1]["input"] == {"command": "ls"}
        told = await house.told(next_turn(first, kept, result(kept[-1]["id"], "plot.py")))
        sent = next(m for m in house.body("vllm", raw_text=True)["messages"] if m["role"] == "assistant")
    assert sent["content"] == written
    assert next(turn for turn in told.turns if turn.role == "assistant").verbatim == written


@pytest.mark.requirement("CC-4.14")
@pytest.mark.parametrize("kind", LOCAL)
async def test_a_compaction_continues_the_prompt(kind):
    async with playhouse() as house:
        turn = next_turn(first_request(), [text("It draws.")], text("And now?"))
        await house.told(turn)
        await house.told(compaction_request(turn))
        continues(house.body(kind, 0), house.body(kind, 1))
        after = first_request("The summary.", nonce="999").but(tools=tools())
        await house.told(after)
        assert house.body(kind)["messages"][0] == house.body(kind, 0)["messages"][0], (
            "the system prompt stays cached"
        )


@pytest.mark.requirement("CC-8.3")
@pytest.mark.parametrize("kind", LOCAL)
async def test_a_system_message_in_the_middle_is_rewritten_in_place(kind):
    turn = next_turn(first_request(), [text("It draws.")], text("And now?"), note="Plan mode is on.")
    later = next_turn(turn, [text("A plan.")], text("Do it."))
    async with playhouse() as house:
        await house.told(turn)
        await house.told(later)
    continues(house.body(kind, 0), house.body(kind, 1))
    words = message_texts(house.body(kind, 1))
    assert words[-3].index("And now?") < words[-3].index("Plan mode is on.")
    assert "<system-reminder>\nPlan mode is on.\n</system-reminder>" in words[-3]


@pytest.mark.requirement("CC-8.5")
async def test_the_answer_names_the_block_that_broke_the_prefix():
    first = first_request()
    turn = next_turn(first, [text("It draws.")], text("And now?"))
    edited = json.loads(json.dumps(turn.body["messages"]))
    edited[0]["content"][1]["text"] = "What did I ask?"
    moved = system(cwd="/elsewhere")
    async with playhouse() as house:
        assert (await house.ask(turn)).headers["x-understudy-prefix"].startswith("new")
        said = (await house.ask(turn.but(messages=edited))).headers["x-understudy-prefix"]
        assert said.startswith("broken at messages.0.content.2 user text; kept=")
        said = (await house.ask(turn.but(messages=edited, system=moved))).headers["x-understudy-prefix"]
        assert said.startswith("broken at system.1; kept=0.")
        fewer = turn.body["tools"][1:]
        said = (await house.ask(turn.but(messages=edited, system=moved, tools=fewer))).headers[
            "x-understudy-prefix"
        ]
        assert said.startswith("broken at tools.0 Agent; kept=0.00")


@pytest.mark.requirement("CC-8.20")
async def test_unsigned_reasoning_stays_away_from_an_engine_that_may_refuse_it():
    async with playhouse(answer(thought("Hm."), "So."), answer("ok"), kind="anthropic", local=True) as house:
        first = first_request()
        reply = await house.ask(first)
        told = await house.told(next_turn(first, replayed(reply)))
    sent = json.loads(rendered(prefix.change(told, raw=b""), "anthropic"))
    spoken = next(m for m in sent["messages"] if m["role"] == "assistant")
    assert [block["type"] for block in spoken["content"]] == ["text"]
