"""Scripts: what each line means, what is chosen, and where an error is."""

import pytest

from understudy.engines.script import (
    Answer,
    Call,
    Fault,
    Pause,
    Say,
    ScriptError,
    Told,
    When,
    answered,
    parse,
)
from understudy.language.events import Progress
from understudy.language.request import Request, Text, Tool, ToolResult, Turn

STEPS = [  # lines, the steps of their answer
    ('{"text": "Hello"}', [Say("text", ("Hello",))]),
    ('{"text": ""}', [Say("text", ())]),
    ('{"thinking": "Hm"}', [Say("thinking", ("Hm",))]),
    ('{"chunk": 2}\n{"text": "Hello"}', [Say("text", ("He", "ll", "o"))]),
    ('{"chunk": 2}\n{"chunk": 0}\n{"text": "Hello"}', [Say("text", ("Hello",))]),
    ('{"repeat": 3, "text": "w "}', [Say("text", ("w ",) * 3)]),
    ('{"call": {"name": "Write", "input": {"a": [1, "x"]}}}', [Call("Write", ('{"a": [1, "x"]}',))]),
    ('{"call": {"name": "List"}}', [Call("List", ("{}",))]),
    (r'{"call": {"name": "Write", "raw": "{\"a\": "}}', [Call("Write", ('{"a": ',))]),
    ('{"chunk": 3}\n{"call": {"name": "W", "input": {"a":1}}}', [Call("W", ('{"a', '":1', "}"))]),
    ('{"delay": 0.5}', [Pause(0.5)]),
    ('{"progress": {"processed": 5, "total": 9}}', [Progress(5, 9, 0)]),
    ('{"fault": "cut"}', [Fault("cut")]),
    ('{"fault": "error", "status": 503, "message": "busy"}', [Fault("error", 503, "busy")]),
    ('# a remark\n\n  \n{"text": "\u2028"}', [Say("text", ("\u2028",))]),
]


@pytest.mark.parametrize(("text", "steps"), STEPS)
def test_lines_are_steps(text, steps):
    assert parse(text).answers == (Answer("", tuple(steps)),)


def test_an_answer_has_an_end_and_tokens():
    script = parse(
        '{"answer": "a", "when": {"turn": 2, "model": "m"}}\n{"stop": "stop_sequence", "sequence": "#"}\n'
        '{"usage": {"input_tokens": 7, "output_tokens": 0}}\n{"answer": "b"}\n{"stop": "refusal"}'
    )
    told = Told(7, None, 0)
    assert script.answers == (
        Answer("a", (), When(turn=2, model="m"), "stop_sequence", "#", told),
        Answer("b", stop="refusal"),
    )


def test_the_chunk_size_belongs_to_its_answer():
    script = parse('{"answer": "a"}\n{"chunk": 1}\n{"text": "xy"}\n{"answer": "b"}\n{"text": "xy"}')
    assert [answer.steps for answer in script.answers] == [
        (Say("text", ("x", "y")),),
        (Say("text", ("xy",)),),
    ]


def test_variables_are_put_in_as_text():
    line = '{"needs": ["cwd"]}\n{"call": {"name": "R", "input": {"p": "{cwd}/a", "f": "{other}"}}}'
    script = parse(line, {"cwd": 'C:\\ü "x"'})
    assert script.answers[0].steps == (Call("R", ('{"p": "C:\\\\ü \\"x\\"/a", "f": "{other}"}',)),)


ERRORS = [  # text, what the error says
    ("", "s.jsonl:2: there is no answer"),
    ("# nothing", "s.jsonl:2: there is no answer"),
    ('{"text": "a"}\n{"text": ', "s.jsonl:2: Input data was truncated"),
    ('{"text": "a"}\n\n{"txet": "b"}', "s.jsonl:3: Object contains unknown field `txet`"),
    ("[1]", "s.jsonl:1: Expected `object`, got `array`"),
    ("{}", "s.jsonl:1: a line does one thing, this one does nothing"),
    ('{"text": "a", "thinking": "b"}', "s.jsonl:1: a line does one thing, this one does text and thinking"),
    ('{"text": "a", "when": {}}', "s.jsonl:1: when belongs to answer, not to text"),
    ('{"delay": 1, "repeat": 2}', "s.jsonl:1: repeat belongs to text or thinking, not to delay"),
    ('{"text": "a", "status": 500}', "s.jsonl:1: status belongs to fault"),
    ('{"delay": -1}', "s.jsonl:1: Expected `float` >= 0"),
    ('{"fault": "fire"}', "s.jsonl:1: Invalid enum value 'fire'"),
    ('{"fault": "error", "status": 200}', "s.jsonl:1: Expected `int` >= 400"),
    ('{"answer": "a", "when": {"trun": 1}}', "s.jsonl:1: Object contains unknown field `trun`"),
    ('{"text": "a"}\n{"cycle": true}', "s.jsonl:2: cycle must stand before the first answer"),
    ('{"fault": "reset"}\n{"text": "a"}', "s.jsonl:2: nothing can follow a reset"),
    ('{"needs": ["cwd"]}', "s.jsonl:1: the script needs cwd: give it with --set cwd=VALUE"),
    ('{"text": "\ud800"}', "s.jsonl:1: "),
    ("[" * 100_000, "s.jsonl:1: "),
]


@pytest.mark.parametrize(("text", "said"), ERRORS)
def test_errors_name_the_file_and_the_line(text, said):
    with pytest.raises(ScriptError) as caught:
        parse(text, source="s.jsonl")
    assert caught.value.message.startswith(said)


def asked(*turns: Turn, model: str = "m", tools: tuple[Tool, ...] = ()) -> Request:
    return Request(model, turns, tools=tools)


USER = Turn("user", (Text("please write"),))
SAID = Turn("assistant", (Text("please wait"),))
RESULT = Turn("user", (ToolResult("c", (Text("file written"),)),))
REMINDER = Turn("system", (Text("a reminder"),))

MATCHES = [
    (When(), asked(USER), True),
    (When(turn=0), asked(USER), True),
    (When(turn=1), asked(USER), False),
    (When(turn=1), asked(USER, SAID, RESULT), True),
    (When(contains="write"), asked(USER), True),
    (When(contains="write"), asked(USER, SAID, RESULT), False),
    (When(contains="wait"), asked(USER, SAID, USER), False),
    (When(contains="write"), asked(SAID, USER, REMINDER), True),
    (When(tool_result="written"), asked(USER, SAID, RESULT), True),
    (When(tool_result="written"), asked(USER, SAID, RESULT, REMINDER), True),
    (When(tool_result="written"), asked(RESULT, SAID, USER), False),
    (When(tool_result="write"), asked(USER), False),
    (When(model="m"), asked(USER), True),
    (When(model="n"), asked(USER), False),
    (When(offers="Write"), asked(USER, tools=(Tool("Read"), Tool("Write"))), True),
    (When(offers="Write"), asked(USER, tools=(Tool("Read"),)), False),
    (When(turn=0, contains="nothing"), asked(USER), False),
]


@pytest.mark.parametrize(("when", "request_", "expected"), MATCHES)
def test_when(when, request_, expected):
    assert when.matches(request_) is expected


def test_the_first_match_wins_then_the_last_plain_answer():
    script = parse(
        '{"answer": "plain"}\n{"answer": "one", "when": {"turn": 1}}\n{"answer": "uno", "when": {"turn": 1}}\n'
        '{"answer": "last"}'
    )
    assert script.choose(asked(USER), 0).name == "last"
    assert script.choose(asked(USER, SAID, USER), 0).name == "one"
    assert answered(asked(USER, SAID, USER, SAID)) == 2


def test_plain_answers_take_turns_in_a_cycle():
    script = parse(
        '{"cycle": true}\n{"answer": "a"}\n{"answer": "w", "when": {"model": "x"}}\n{"answer": "b"}'
    )
    assert [script.choose(asked(USER), n).name for n in range(3)] == ["a", "b", "a"]


def test_no_answer_says_what_to_add():
    script = parse('{"answer": "a", "when": {"turn": 5}}', source="s.jsonl")
    with pytest.raises(
        ScriptError, match=r"s.jsonl: no answer matches this request .turn 0.: add an answer without"
    ):
        script.choose(asked(USER), 0)
