"""Surgery on the client's own bytes: what must change does, and every other byte stays."""

import json

import pytest

from understudy.dialects.anthropic_handover import SEALED, Change, changed
from understudy.language.request import ToolResult, ToolUse

BODY = b"""{"model": "m", "max_tokens":1.0e3, "system":[{"type":"text","text":"x-anthropic-billing-header: v"}],
 "messages": [
  {"role":"user","content":"hi \\u00fc"},
  {"role":"assistant","content":[ {"type":"thinking","thinking":"t","signature":""} , {"type":"text","text":"a",
    "cache_control":{"type":"ephemeral"}}, {"type":"tool_use","id":"c:1","name":"R","input":"ls", "odd": 1e2}]},
  {"role":"user","content":[{"tool_use_id":"c:1","type":"tool_result","content":"r"}]}
 ], "thinking":{"type":"enabled","budget_tokens":9}, "context_management":{"edits":[
   {"type":"clear_thinking_20251015","keep":"all"},{"type":"clear_tool_uses_20250919"}]}, "beta_of_next_year":{"x":[1,2]}}"""


def test_nothing_to_change_changes_no_byte():
    assert changed(BODY, Change("m")) is BODY


def test_only_the_name_of_the_model_is_another():
    assert changed(BODY, Change("claude-opus-5")) == BODY.replace(b'"m"', b'"claude-opus-5"', 1)


def test_blocks_go_and_change_where_they_stand():
    call, result = ToolUse("toolu_1", "R", '{"input":"ls"}'), ToolResult("toolu_1")
    new = changed(BODY, Change("m", {(1, 0): None, (1, 2): call, (2, 0): result}))
    old = BODY.replace(b'{"type":"thinking","thinking":"t","signature":""} , ', b"")
    old = old.replace(b'"c:1"', b'"toolu_1"').replace(b'"input":"ls"', b'"input":{"input":"ls"}')
    assert new == old


def test_a_call_whose_input_is_an_object_keeps_its_bytes():
    body = b'{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"x y","input":{ "a":1 }}]}]}'
    assert changed(body, Change("m", {(0, 0): ToolUse("t", "R", '{ "a":1 }')})) == body.replace(b"x y", b"t")
    bare = b'{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"x y"}]}]}'
    assert changed(bare, Change("m", {(0, 0): ToolUse("t", "R", "{}")})) == bare.replace(b"x y", b"t")


def test_a_message_of_which_nothing_is_left_goes():
    sent = [message("user", "a"), message("assistant", {"type": "thinking"}), message("user", "b")]
    body = json.dumps({"model": "m", "messages": sent}).encode()
    new = json.loads(changed(body, Change("m", {(1, 0): None})))
    assert new["messages"] == [sent[0], sent[2]]


def test_an_edit_of_a_message_that_is_a_string_is_none():
    assert changed(BODY, Change("m", {(0, 0): None})) == BODY


def test_thinking_is_switched_off_with_all_that_needs_it():
    new = json.loads(changed(BODY, Change("m", unthinking=True)))
    assert new["thinking"] == {"type": "disabled"}
    assert new["context_management"] == {"edits": [{"type": "clear_tool_uses_20250919"}]}
    plain = b'{"model":"m","messages":[],"thinking":{"type":"enabled"}}'
    assert json.loads(changed(plain, Change("m", unthinking=True)))["thinking"] == {"type": "disabled"}


def message(role, *content):
    return {
        "role": role,
        "content": list(content) if len(content) != 1 or isinstance(content[0], dict) else content[0],
    }


RESULT = {"type": "tool_result", "tool_use_id": "c", "content": "r"}
FOLDS = [  # messages: after folding
    ([message("user", "a"), message("system", "s")], [message("user", "a"), message("user", "<s>")]),
    (
        [message("system", {"type": "text", "text": "s"}, {"type": "odd"}), message("user", "a")],
        [message("user", {"type": "text", "text": "<s>"}, {"type": "odd"}), message("user", "a")],
    ),
    (
        [message("assistant", "c"), message("system", "s"), message("user", RESULT), message("user", "x")],
        [message("assistant", "c"), message("user", RESULT), message("user", "<s>"), message("user", "x")],
    ),
    (
        [message("system", "s"), {"role": "user", "content": []}],
        [message("user", "<s>"), {"role": "user", "content": []}],
    ),
    ([message("system", "s"), {"role": "user"}], [message("user", "<s>"), {"role": "user"}]),
    ([{"content": "x"}], [{"content": "x"}]),
]


@pytest.mark.parametrize(("sent", "got"), FOLDS)
def test_system_messages_become_the_users(sent, got):
    body = json.dumps({"model": "m", "messages": sent}).encode()
    text = changed(body, Change("m", fold=True)).decode()
    text = text.replace("<system-reminder>\\n", "<").replace("\\n</system-reminder>", ">")
    assert json.loads(text)["messages"] == got


def search(found, call="s1"):
    return {"type": "web_search_tool_result", "tool_use_id": call, "content": found}


HIT = {"type": "web_search_result", "title": "T", "url": "https://t.example", "encrypted_content": ""}
THEIRS = HIT | {"encrypted_content": "E" * SEALED}
CALL = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
SEARCHES = [
    ([CALL, search([THEIRS])], [CALL, search([THEIRS])]),
    ([CALL, search({"type": "error"})], [CALL, search({"type": "error"})]),
    ([CALL, search([HIT])], [{"type": "text", "text": "Found on the web:\n- T: https://t.example"}]),
    (
        [CALL, CALL | {"id": "s2"}, search([HIT | {"title": None}])],
        [
            CALL | {"id": "s2"},
            {"type": "text", "text": "Found on the web:\n- https://t.example: https://t.example"},
        ],
    ),
    (
        [{"type": "text", "text": "web_search_tool_result"}],
        [{"type": "text", "text": "web_search_tool_result"}],
    ),
    (
        [search([HIT]), {"type": "text", "text": "server_tool_use"}],
        [
            {"type": "text", "text": "Found on the web:\n- T: https://t.example"},
            {"type": "text", "text": "server_tool_use"},
        ],
    ),
]


@pytest.mark.parametrize(("sent", "got"), SEARCHES)
def test_searches_that_were_not_the_apis_are_told_as_text(sent, got):
    body = json.dumps({"model": "m", "messages": [{"role": "assistant", "content": sent}]}).encode()
    assert json.loads(changed(body, Change("m")))["messages"][0]["content"] == got
