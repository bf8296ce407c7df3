"""What the ideal server shows its model, and what leaves it as it was."""

import pytest

from understudy.conform.ideal_prompt import prompt


def said(*content, role="user"):
    return {"role": role, "content": list(content)}


def words(text):
    return {"type": "text", "text": text}


def call(name, identity):
    return {"type": "tool_use", "id": identity, "name": name, "input": {}}


def result(identity, content, **more):
    return {"type": "tool_result", "tool_use_id": identity, "content": content, **more}


TOOL = {"name": "lift", "description": "Lifts.", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}]}, "Hi"),
        ({"system": "Be kind.", "messages": []}, "Be kind."),
        ({"system": [words("x-anthropic-billing-header: a"), words("Be kind.")]}, "Be kind."),
        ({"tools": [TOOL]}, "tool lift: Lifts. {'type': 'object'}"),
        ({"tools": [TOOL | {"defer_loading": True}]}, ""),
        ({"tools": [TOOL | {"name": "DeferredToolPlaceholder"}]}, ""),
        ({"messages": [said({"type": "hologram"})]}, "[a block of type hologram]"),
        ({"messages": [said({"type": "thinking", "thinking": "Hm"}, role="assistant")]}, "thought: Hm"),
        ({"messages": [said(result("a", "7", is_error=True))]}, "the call failed\n7"),
    ],
)
def test_parts(body, shown):
    assert prompt(body) == shown


def test_results_stand_in_the_order_of_their_calls_and_before_text():
    asked = said(call("a", "1"), call("b", "2"), role="assistant")
    one, other = result("1", "first"), result("2", [words("second")])
    shown = {
        prompt({"messages": [asked, said(*order)]})
        for order in ([one, other, words("x")], [other, one, words("x")], [words("x"), other, one])
    }
    assert shown == {"call a {}\ncall b {}\nresult\nfirst\nresult\nsecond\nx"}


def test_a_stranger_stands_behind_the_known_results():
    asked = said(call("a", "1"), role="assistant")
    assert prompt({"messages": [asked, said(result("9", "x"), result("1", "y"))]}).endswith(
        "result\ny\nresult\nx"
    )


def test_a_tool_is_shown_where_it_was_found():
    later = TOOL | {"defer_loading": True}
    found = result("1", [{"type": "tool_reference", "tool_name": "lift"}])
    assert prompt({"tools": [later], "messages": [said(found)]}).startswith("result\ntool lift: Lifts.")
    assert prompt({"messages": [said(found)]}) == "result\nan unknown tool"


def test_the_environment_stands_before_the_first_prompt():
    turns = [said(words("What?")), {"role": "system", "content": "The environment"}]
    assert prompt({"messages": turns}) == "The environment\nWhat?"
