import itertools
import json
from dataclasses import replace

import msgspec
import pytest
from conversation import PIXEL, Call, Step, Story, body, client_id, engine_turns, reminder
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.dialects import PLAIN, Quirks, dialect
from understudy.language.request import (
    Request,
    Text,
    Thinking,
    Tool,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    change,
)
from understudy.request.prefix import Recalled, broken_at, fingerprint, stable

ANTHROPIC = dialect("anthropic")


def nothing(_id):
    return None


def asked(story, n, recall=None):
    """The canonical form of the client's n-th request."""
    return stable(ANTHROPIC.parse(body(story, n)), engine_turns(story).get if recall is None else recall)


def sequence(request):
    """Every block of the prompt in the order in which an engine reads it."""
    tools = [tool for tool in request.tools if not tool.deferred]
    turns = [(i, turn.role, block) for i, turn in enumerate(request.turns) for block in turn.blocks]
    return [*tools, *request.system, *turns]


class Sent(msgspec.Struct):
    messages: msgspec.Raw
    tools: msgspec.Raw = msgspec.Raw(b"[]")


def continues(first: Request, then: Request, quirks: Quirks = PLAIN) -> None:
    before, now = sequence(first), sequence(then)
    assert now[: len(before)] == before
    assert broken_at(fingerprint(first), fingerprint(then)) is None
    for name in ("openai", "ollama"):
        old, new = (
            msgspec.json.decode(dialect(name).render(request, quirks), type=Sent) for request in (first, then)
        )
        assert bytes(new.messages).startswith(bytes(old.messages)[:-1]), name
        assert bytes(new.tools) == bytes(old.tools), name


LIST = Call("Bash", {"value": "ls src", "also": "list it"}, "ledger.py\nreport.py")
READ = Call("Read", {"value": "src/ledger.py", "also": "1-40"}, "def total(rows):\n    return 0  \n")
LOOK = Call("Read", {"value": "logo.png"}, "a picture", image=True)
FAIL = Call("Bash", {"value": "make"}, "Exit code 2\nno rule", failed=True)
SEARCH = Call("ToolSearch", {"value": "fetch"}, load=("Fetch", "Aardvark"))

ROWS = {
    "cache_control moves": Story(
        (Step("Let me look.", (LIST,)), Step("Done.", says="Thanks. And the tests?"))
    ),
    "the billing line changes": Story((Step("Hm.", (LIST,)), Step("Well.", (READ,))), moves_cache=False),
    "the system turn is a list, then a string": Story((Step("I see.", says="Go."),), billing=False),
    "a tool search loads tools": Story((Step("", (SEARCH,)), Step("", (LIST,)), Step("So.", says="Yes."))),
    "results come as they finish": Story(
        (Step("Both.", (replace(LIST, order=2), replace(READ, order=1))), Step("", (LIST,)))
    ),
    "calls are replayed rewritten": Story(
        (Step("", (LIST, READ), thinking="First look."), Step("", (FAIL,)))
    ),
    "blank text is dropped on replay": Story((Step(" \n", (LIST,)), Step("", (READ,)))),
    "system turns in the middle": Story(
        (
            Step("", (LIST,), system=("12 tokens left",)),
            Step("", (READ,), system=("a", "b")),
            Step("", (FAIL,)),
        )
    ),
    "a system turn comes last": Story((Step("", (LIST,)), Step("Ok.", says="More.", system=("Plan mode.",)))),
    "words beside the results": Story((Step("", (LIST, LOOK), says="Resume."), Step("", (READ,)))),
    "pictures in results": Story((Step("", (LOOK, LIST)), Step("It is a logo.", says="Good."))),
    "no system turn at all": Story((Step("", (LIST,)), Step("", (READ,))), index_one=None),
}


@pytest.mark.parametrize("story", ROWS.values(), ids=ROWS)
def test_each_turn_continues_the_one_before(story):
    turns = [asked(story, n) for n in range(len(story.steps) + 1)]
    for first, then in itertools.pairwise(turns):
        continues(first, then)


@pytest.mark.parametrize("story", ROWS.values(), ids=ROWS)
def test_stable_twice_is_stable_once(story):
    for n in range(len(story.steps) + 1):
        once = asked(story, n)
        assert stable(once, engine_turns(story).get) == once


words = st.text('abz \n<>é漢🙂\\"{}', max_size=12)
calls = st.builds(
    Call,
    name=st.sampled_from(["Bash", "Read", "Edit", "mcp__x__y"]),
    arguments=st.dictionaries(st.sampled_from(["value", "also", "深"]), words, max_size=3),
    result=words,
    order=st.integers(0, 3),
    load=st.sampled_from([(), (), (), ("Aardvark",), ("Zebra", "Fetch")]),
    image=st.booleans(),
    failed=st.booleans(),
)
steps = st.builds(
    Step,
    text=words,
    calls=st.lists(calls, max_size=3).map(tuple),
    thinking=words,
    says=words,
    system=st.lists(words.filter(bool), max_size=2).map(tuple),
)
stories = st.builds(
    Story,
    steps=st.lists(steps, min_size=1, max_size=4).map(tuple),
    prompt=words.filter(bool),
    index_one=st.none() | words.filter(bool),
    opening=st.lists(words.filter(bool), max_size=2).map(tuple),
    billing=st.booleans(),
    rewrites=st.booleans(),
    moves_cache=st.booleans(),
)
QUIRKS = [
    PLAIN,
    Quirks(reasoning_field="reasoning_content"),
    Quirks(reasoning_field="thinking", thinking_switch="think"),
    Quirks(images=False, tools=False),
]


@settings(max_examples=120, deadline=None)
@given(stories, st.sampled_from(QUIRKS))
def test_a_growing_conversation_only_appends(story, quirks):
    turns = [asked(story, n) for n in range(len(story.steps) + 1)]
    for first, then in itertools.pairwise(turns):
        assert stable(first, engine_turns(story).get) == first
        continues(first, then, quirks)


def test_what_a_changed_prompt_costs_is_named():
    """The rows nothing can be done about: the block that broke the prefix is named, all before it is kept."""
    story = ROWS["calls are replayed rewritten"]
    first = asked(story, 1)
    nudged = asked(replace(story, prompt=story.prompt + "\n"), 1)
    dated = asked(replace(story, index_one=story.index_one + "\ndate: tomorrow"), 1)
    elsewhere = change(first, system=(first.system[0], Text(first.system[1].text + "/home/bo")))
    marks = fingerprint(first)
    assert broken_at(marks, fingerprint(nudged)).place == "messages.0.content.2 user text"
    assert broken_at(marks, fingerprint(dated)).place == "messages.0.content.0 user text"
    assert broken_at(marks, fingerprint(elsewhere)).place == "system.1"
    assert broken_at(marks, fingerprint(nudged)).kept > 0.5


def test_compaction_starts_over_behind_tools_and_system():
    story = ROWS["cache_control moves"]
    compacted = Story((), prompt="A summary of the conversation so far.")
    broken = broken_at(fingerprint(asked(story, 2)), fingerprint(asked(compacted, 0)))
    assert broken.place.startswith("messages.0.content.2")
    asks = ANTHROPIC.parse(body(story, 2))
    last = asks.turns[-1]
    compaction = change(asks, turns=(*asks.turns[:-1], Turn("user", (*last.blocks, Text("Summarise.")))))
    whole = stable(compaction, engine_turns(story).get)
    assert broken_at(fingerprint(asked(story, 2)), fingerprint(whole)) is None


def test_who_asks_is_not_in_the_prompt():
    story = ROWS["cache_control moves"]
    one = asked(story, 1)
    assert one.user != asked(story, 2).user
    assert dialect("openai").render(one) == dialect("openai").render(change(one, user="someone else"))


def test_the_index_one_system_turn_goes_before_the_first_words():
    story = Story((Step("", (LIST,), system=("later",)),), index_one="The environment.")
    first, then = asked(story, 0), asked(story, 1)
    assert first.turns[0].blocks[0] == Text(reminder("The environment."))
    assert first.turns[0].blocks[-1] == Text(story.prompt)
    assert then.turns[-1].blocks[-1] == Text(reminder("later"))
    assert [turn.role for turn in then.turns] == ["user", "assistant", "user"]
    other = asked(replace(story, prompt="Something else."), 0)
    assert sequence(first)[:-1] == sequence(other)[:-1]  # sessions share all but the prompt


SYSTEM = Turn("system", (Text("s"),))
USER = Turn("user", (Text("u"),))
ANSWER = Turn("assistant", (Text("a"),))
HOISTS = {  # turns: the texts in their new order
    "index 1": ([USER, SYSTEM, ANSWER], ["S", "u", "a"]),
    "index 0": ([SYSTEM, USER, ANSWER], ["S", "u", "a"]),
    "index 2": ([USER, ANSWER, SYSTEM, USER], ["u", "a", "S", "u"]),
    "index 1 and 2": ([USER, SYSTEM, SYSTEM], ["S", "u", "S"]),
    "after an answer at 0": ([ANSWER, SYSTEM], ["a", "S"]),
    "twice at 0": ([SYSTEM, SYSTEM, USER], ["S", "S", "u"]),
    "alone": ([SYSTEM], ["S"]),
    "none": ([], []),
    "last": ([USER, ANSWER, USER, SYSTEM], ["u", "a", "u", "S"]),
}


@pytest.mark.parametrize(("turns", "texts"), HOISTS.values(), ids=HOISTS)
def test_no_other_system_turn_is_hoisted(turns, texts):
    out = stable(Request("m", tuple(turns)), nothing)
    shown = [b.text.replace(reminder("s"), "S") for turn in out.turns for b in turn.blocks]
    assert shown == texts
    assert not any(turn.role == "system" for turn in out.turns)
    assert not any(a.role == b.role == "user" for a, b in zip(out.turns, out.turns[1:], strict=False))


BILL = "x-anthropic-billing-header: cc_version=2.1.329.abc; cc_entrypoint=sdk-cli; cc_is_subagent=true;"
BILLED = {
    "its own block": ((Text(BILL), Text("You code.")), (Text("You code."),)),
    "only that": ((Text(BILL),), ()),
    "in front of a string": ((Text(f"{BILL}\nYou code.\nWell."),), (Text("You code.\nWell."),)),
    "not in front": ((Text(f"See {BILL}"),), (Text(f"See {BILL}"),)),
    "an empty block stays": ((Text(""), Text("x")), (Text(""), Text("x"))),
}


@pytest.mark.parametrize(("system", "left"), BILLED.values(), ids=BILLED)
def test_the_billing_line_goes_and_nothing_with_it(system, left):
    assert stable(Request("m", (USER,), system=system), nothing).system == left


def test_results_stand_in_the_order_of_the_calls():
    call = tuple(ToolUse(f"t{i}", "Bash", "{}") for i in range(3))
    results = tuple(ToolResult(f"t{i}", (Text(str(i)),)) for i in (2, 9, 0, 1))
    turns = (Turn("assistant", call), Turn("user", (Text("and"), *results)))
    out = stable(Request("m", turns), nothing).turns[1].blocks
    assert [getattr(block, "tool_use_id", "text") for block in out] == ["t0", "t1", "t2", "t9", "text"]


def test_results_of_an_answer_in_two_turns_are_ordered_too():
    turns = (
        Turn("assistant", (ToolUse("a", "Bash", "{}"), ToolUse("b", "Bash", "{}"))),
        Turn("assistant", (ToolUse("c", "Bash", "{}"),)),
        Turn("user", tuple(ToolResult(i) for i in "cba")),
    )
    assert [r.tool_use_id for r in stable(Request("m", turns), nothing).turns[2].blocks] == ["a", "b", "c"]


def test_an_edited_history_is_the_clients_own():
    story = ROWS["calls are replayed rewritten"]
    asks = ANTHROPIC.parse(body(story, 1))
    kept = change(asks.turns[2], blocks=asks.turns[2].blocks[:-1])  # the client cut a call out
    edited = change(asks, turns=(*asks.turns[:2], kept, *asks.turns[3:]))
    out = stable(edited, engine_turns(story).get)
    assert out.turns[1] == kept
    assert {r.tool_use_id for r in out.turns[2].blocks} == {client_id(0, 0), client_id(0, 1)}


def test_the_engines_version_and_its_ids_come_back():
    out = asked(ROWS["calls are replayed rewritten"], 1)
    calls = [block for block in out.turns[1].blocks if isinstance(block, ToolUse)]
    assert [call.id for call in calls] == ["call00", "call01"]
    assert calls[0].input == json.dumps(LIST.arguments, indent=1)
    assert [result.tool_use_id for result in out.turns[2].blocks] == ["call00", "call01"]


def test_a_late_result_still_finds_its_call():
    memory = {"c1": Recalled(Turn("assistant", (ToolUse("e1", "Bash", "{}"),)), {"c1": "e1"})}
    turns = (
        Turn("assistant", (ToolUse("c1", "Bash", '{"a":1}'),)),
        USER,
        ANSWER,
        Turn("user", (ToolResult("c1", (Text("late"),)),)),
    )
    assert stable(Request("m", turns), memory.get).turns[3].blocks[0].tool_use_id == "e1"


def test_tools_are_the_same_object_while_nothing_is_left_out():
    tools = (Tool("Bash"), Tool("Fetch", deferred=True))
    assert stable(Request("m", (USER,), tools=tools), nothing).tools is tools
    placed = (*tools, Tool("DeferredToolPlaceholder", deferred=True))
    assert stable(Request("m", (USER,), tools=placed), nothing).tools == tools


ids = st.sampled_from(["a", "b", "c", ""])
odd_blocks = st.one_of(
    st.builds(
        ToolUse, ids, st.sampled_from(["Bash", ""]), st.sampled_from(["{}", '{"x":1}', "nonsense", ""])
    ),
    st.builds(ToolResult, ids, st.just((Text("r"),)), st.booleans()),
    st.builds(Text, words),
    st.builds(Thinking, words),
    st.builds(ToolReference, st.sampled_from(["Fetch", "Nobody"])),
)
odd_turns = st.builds(
    Turn, st.sampled_from(["user", "assistant", "system"]), st.lists(odd_blocks, max_size=4).map(tuple)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(odd_turns, max_size=6).map(tuple))
def test_odd_ids_lose_nothing(turns):
    out = stable(Request("m", turns), nothing)
    plain = [block for turn in turns for block in turn.blocks]
    shown = [block for turn in out.turns for block in turn.blocks]
    unwrapped = [
        Text(b.text.removeprefix("<system-reminder>\n").removesuffix("\n</system-reminder>"))
        if isinstance(b, Text) and b not in plain
        else b
        for b in shown
    ]
    assert sorted(map(repr, unwrapped)) == sorted(map(repr, plain))
    assert stable(out, nothing) == out
    for name in ("openai", "ollama"):
        json.loads(dialect(name).render(out))


BASH, READ_TOOL, EDIT = (Tool(name, "what it does") for name in ("Bash", "Read", "Edit"))
BASE = Request("m", (USER, ANSWER, USER), system=(Text("one"), Text("two")), tools=(BASH, READ_TOOL))
BREAKS = {  # the change: where it is said to be
    "a tool's words": (change(BASE, tools=(BASH, Tool("Read", "else"))), "tools.1 Read"),
    "a tool more at the end": (change(BASE, tools=(BASH, READ_TOOL, EDIT)), "tools.2 Edit"),
    "a tool more in front": (change(BASE, tools=(EDIT, BASH, READ_TOOL)), "tools.0 Bash"),
    "a tool less at the end": (change(BASE, tools=(BASH,)), "tools.1 Read"),
    "no tools": (change(BASE, tools=()), "tools.0 Bash"),
    "the system prompt": (change(BASE, system=(Text("one"), Text("2"))), "system.1"),
    "a system block more": (change(BASE, system=(Text("one"), Text("two"), Text("3"))), "system.2"),
    "a system block less": (change(BASE, system=(Text("one"),)), "system.1"),
    "the first words": (
        change(BASE, turns=(Turn("user", (Text("U"),)), ANSWER)),
        "messages.0.content.0 user text",
    ),
    "a block more in a turn": (
        change(BASE, turns=(Turn("user", (Text("u"), Text("v"))), ANSWER, USER)),
        "messages.0.content.1 user text",
    ),
    "who said it": (
        change(BASE, turns=(USER, Turn("user", (Text("a"),)), USER)),
        "messages.1.content.0 assistant text",
    ),
    "a shorter history": (change(BASE, turns=(USER,)), "messages.1.content.0 assistant text"),
    "nothing at all": (Request("m", ()), "tools.0 Bash"),
}


@pytest.mark.parametrize(("now", "place"), BREAKS.values(), ids=BREAKS)
def test_the_break_is_named_where_it_is(now, place):
    broken = broken_at(fingerprint(BASE), fingerprint(now))
    assert broken is not None
    assert broken.place == place
    assert 0 <= broken.kept < 1


UNBROKEN = {
    "the same": BASE,
    "a turn more": change(BASE, turns=(*BASE.turns, ANSWER)),
    "a block more at the end": change(BASE, turns=(*BASE.turns[:2], Turn("user", (Text("u"), Text("more"))))),
    "a deferred tool more": change(BASE, tools=(Tool("Aardvark", deferred=True), BASH, READ_TOOL)),
    "a server's tool more": change(
        BASE, tools=(Tool("web_search", kind="web_search_20250305"), BASH, READ_TOOL)
    ),
    "another limit": change(BASE, sampling=change(BASE.sampling, max_tokens=7)),
}


@pytest.mark.parametrize("now", UNBROKEN.values(), ids=UNBROKEN)
def test_what_continues_is_no_break(now):
    assert broken_at(fingerprint(BASE), fingerprint(now)) is None
    assert broken_at((), fingerprint(now)) is None


def test_how_much_is_kept_is_a_share_of_the_earlier_prompt():
    before = Request("m", (Turn("user", (Text("x" * 60), Text("y" * 40))),))
    now = Request("m", (Turn("user", (Text("x" * 60), Text("z" * 40))),))
    assert broken_at(fingerprint(before), fingerprint(now)).kept == pytest.approx(0.6)


def test_every_kind_of_block_counts_by_its_length():
    blocks = (Thinking("12345"), ToolUse("i", "n", "123"), ToolResult("i", (Text("12"), ToolReference("t"))))
    assert [mark.size for mark in fingerprint(Request("m", (Turn("user", blocks),)))] == [5, 3, 3]


def test_the_picture_is_there():
    shown = asked(ROWS["pictures in results"], 1)
    assert PIXEL.encode() in dialect("openai").render(shown)
    assert PIXEL.encode() in dialect("ollama").render(shown)
