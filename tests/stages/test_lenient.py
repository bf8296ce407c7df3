r"""Nearly JSON: one reading, or none. What a value means to a schema is tested in test_mend.py."""

import contextlib
import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from understudy.stages.lenient import DEPTH, DOUBTFUL, CutOff, NotNearly, nearly

SURROUNDED, LITERAL, QUOTE, OTHER = "surrounded", "literal", "quote-in-a-string", "other-signs"

# text, value, rules
READ = [
    # --- JSON itself
    ('{"a":[1,-2.5,"x",true,false,null],"b":{}}', {"a": [1, -2.5, "x", True, False, None], "b": {}}, ()),
    (r'{"a":"\u00e4\ud83d\ude42\n\t\"\\\/\b\f\r"}', {"a": 'ä🙂\n\t"\\/\b\f\r'}, ()),
    (r'{"\u0061":1}', {"a": 1}, ()),
    # --- quotes
    ("{'a':'b'}", {"a": "b"}, (LITERAL,)),
    (r"{'a':'it\'s \x41\u0041\U0001f642'}", {"a": "it's AA🙂"}, (LITERAL,)),
    (r'{"a":"it\'s"}', {"a": "it's"}, (LITERAL,)),
    ("{“a”:“b”}", {"a": "b"}, (LITERAL,)),
    ("{”a”:”b”}", {"a": "b"}, (LITERAL,)),
    ("{‘a’:1}", None, NotNearly),
    ('{"a":‘b’}', {"a": "b"}, (LITERAL,)),
    (r'{"a":`x "y" \` \. z`}', {"a": r'x "y" ` \. z'}, (LITERAL,)),
    (r'{"a":`x\ny`}', None, NotNearly),
    (r'{"a":`x\\y`}', None, NotNearly),
    ('{"a":"""x "y"\nz"""}', {"a": 'x "y"\nz'}, (LITERAL,)),
    (r"""{'a':r'\d+'}""", {"a": r"\d+"}, (LITERAL,)),
    ('{"a":"x "y" z"}', {"a": 'x "y" z'}, (QUOTE,)),
    ('{"a":"echo "hi""}', {"a": 'echo "hi"'}, (QUOTE,)),
    ('{"a":"<b c="d" e="f">"}', {"a": '<b c="d" e="f">'}, (QUOTE,)),
    ('{"a":"f(x="y", z="w")"}', None, NotNearly),
    ('{"a":"git -m "fix: it""}', {"a": 'git -m "fix: it"'}, (QUOTE,)),
    ('{"a":"say "b", c","d":1}', None, NotNearly),
    ('{"a":"b": "c"}', None, NotNearly),
    ('{"a":"f("b")  # c"}', {"a": 'f("b")  # c'}, (QUOTE,)),
    ('{"a":"x = "b"  # c"}', {"a": 'x = "b"  # c'}, (QUOTE,)),
    ('{"a":"x = "b" // c', None, CutOff),
    ('{"a":"x" // c\n}', {"a": "x"}, ("comment",)),
    ('{"a":"{"b"}),","c":1', None, NotNearly),
    ('{"a":"f(b, ",", ":")","c":1,}', None, NotNearly),
    ('{"a":"b" c: 1}', None, NotNearly),
    ('{"a":"""}', None, NotNearly),
    # --- escapes
    (r'{"a":"\d\.\u12\x41"}', {"a": r"\d\.\u12\x41"}, (LITERAL,)),
    (r'{"a":"C:\Users\me"}', {"a": r"C:\Users\me"}, (LITERAL,)),
    (r'{"a":"\ud83d\n"}', {"a": "\ud83d\n"}, ()),
    ('{"a":"b\nc\t"}', {"a": "b\nc\t"}, ("control-characters",)),
    ('{"a":"\\', None, CutOff),
    # --- keys
    ("{a:1}", {"a": 1}, (LITERAL,)),
    ('{"a:1}', {"a": 1}, ("half-quoted-key",)),
    ('{a":1,b":2}', {"a": 1, "b": 2}, ("half-quoted-key",)),
    ('{"a":1,b:2}', {"a": 1, "b": 2}, (LITERAL, "mixed-keys")),
    ('{"a" "b"}', {"a": "b"}, ("missing-colon",)),
    ('{"a" "b" "c"}', None, NotNearly),
    ('{"a"=1,"b"=>2}', {"a": 1, "b": 2}, (OTHER, "mixed-keys")),
    ('{"a"：1，"b"：2}', {"a": 1, "b": 2}, (OTHER,)),
    ("{1:2}", None, NotNearly),
    ('{"a":1,"b', None, CutOff),
    # --- commas
    ('{,"a":1}', {"a": 1}, ("surplus-comma",)),
    ('{"a":1,,"b":2,}', {"a": 1, "b": 2}, ("surplus-comma",)),
    ('{"a":[,1,]}', {"a": [1]}, ("surplus-comma",)),
    ('{"a":1 "b":2}', {"a": 1, "b": 2}, ("missing-comma",)),
    ('{"a":"x" "b":2}', {"a": "x", "b": 2}, ("missing-comma",)),
    ('{"a":["x" "y"]}', {"a": ["x", "y"]}, ("missing-comma",)),
    ('{"a":"x"; "b":2}', {"a": "x", "b": 2}, (OTHER,)),
    ('{"a":"echo "x"; ls"}', {"a": 'echo "x"; ls'}, (QUOTE,)),
    ('{"a":"x",', None, CutOff),
    # --- numbers and words
    ("{a:+1,b:.5,c:2.,d:1_000,e:-0}", {"a": 1, "b": 0.5, "c": 2, "d": 1000, "e": 0}, (LITERAL, "number-spelling")),
    ('{"a":007}', {"a": "007"}, ("number-spelling",)),
    ('{"a":True,"b":None,"c":False}', {"a": True, "b": None, "c": False}, (LITERAL,)),
    ('{"a":word}', {"a": "word"}, ("bare-value",)),
    ('{"a":/srv/x.py,"b":~/y,"c":./z}', {"a": "/srv/x.py", "b": "~/y", "c": "./z"}, ("bare-value",)),
    ('{"a":two words}', None, NotNearly),
    ('{"a":NaN}', None, NotNearly),
    ('{"a":}', None, NotNearly),
    ('{"a":', None, CutOff),
    ('{"a":tru', None, CutOff),
    # --- brackets
    ('{"a":"b"', {"a": "b"}, ("missing-brace",)),
    ('{"a":{"b":1}', {"a": {"b": 1}}, ("missing-brace",)),
    ('{"a":true', {"a": True}, ("missing-brace",)),
    ('"a":"b"', {"a": "b"}, ("missing-brace",)),
    ('"a":"b"}', {"a": "b"}, ("missing-brace",)),
    ('{"a":["b"}', {"a": ["b"]}, ("missing-bracket",)),
    ('{"a":[{"b":1]}', {"a": [{"b": 1}]}, ("missing-bracket",)),
    ('{"a":12', None, CutOff),
    ('{"a":["b"', None, CutOff),
    ('{"a":{"b":1', None, CutOff),
    ("{", None, CutOff),
    ("[", None, CutOff),
    ('{"a":[}', None, NotNearly),
    ('{{"a":1}}', {"a": 1}, (SURROUNDED,)),
    ('{{{"a":1}}}', None, NotNearly),
    ('{}{"a":1}', {"a": 1}, (SURROUNDED,)),
    ('{"a":1}}]', {"a": 1}, (SURROUNDED,)),
    ('{"a":"b"]', None, NotNearly),
    # --- around it
    ('Well: {"a":1} it is.', {"a": 1}, (SURROUNDED,)),
    ('[TOOL_CALLS]{"a":1}', {"a": 1}, (SURROUNDED,)),
    ('{"a":1}\n[END]', {"a": 1}, (SURROUNDED,)),
    ('`{"a":1}`', {"a": 1}, (SURROUNDED,)),
    ('{"a":1} {"a":1}', {"a": 1}, (SURROUNDED, "said-twice")),
    ('{"a":1} {"a":true}', None, NotNearly),
    ('{"a":1} {"b":', None, NotNearly),
    ('{"a":1}: 2', None, NotNearly),
    ('{"a":1} see [1]', None, NotNearly),
    ('{"a":1} b}', None, NotNearly),
    ('"x" {"a":1}', None, NotNearly),
    ("word", None, NotNearly),
    ("", None, NotNearly),
    # --- space and comments
    ('{"a":1, // b\n"c":/* d */2, # e\n}', {"a": 1, "c": 2}, ("comment", "surplus-comma")),
    ('{"a":\u00a01}', {"a": 1}, (OTHER,)),
    ('{"a":"http://x#y"}', {"a": "http://x#y"}, ()),
]  # fmt: skip


def number(text):
    return json.loads(text)


@pytest.mark.parametrize(("text", "value", "rules"), READ)
def test_nearly(text, value, rules):
    if isinstance(rules, type):
        with pytest.raises(rules):
            nearly(text, number)
        return
    got, used = nearly(text, number)
    assert json.dumps(got) == json.dumps(value)
    assert used == rules


def test_too_deep_is_no_reading():
    assert nearly("[" * DEPTH + "]" * DEPTH, number)
    with pytest.raises(NotNearly, match="deeply"):
        nearly("[" * (DEPTH + 1) + "]" * (DEPTH + 1), number)


def test_numbers_are_made_by_the_caller():
    assert nearly("{a:1.50,}", str)[0] == {"a": "1.50"}


def test_what_is_doubtful_is_a_rule():
    used = {rule for _, _, rules in READ if isinstance(rules, tuple) for rule in rules}
    assert used >= DOUBTFUL


NAMES = st.from_regex("[ab_é][ab_é' -]{0,3}", fullmatch=True)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-999, 999)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("abc", min_size=1, max_size=3), VALUES, min_size=1, max_size=3)
LAW = settings(deadline=None, derandomize=True, max_examples=300)


@LAW
@given(OBJECTS)
@example({"a": {}})
def test_json_and_python_read_as_what_they_are(value):
    python = repr(value)
    told = (
        [python] if '"' not in python or "\\" not in python else []
    )  # in double quotes, JSON's escapes are meant
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1), *told):
        assert nearly(text, number)[0] == value


@LAW
@given(OBJECTS, st.data())
def test_what_is_cut_off_is_never_completed(value, data):
    """Refused; or all that is there is whole, and only the last brace was missing."""
    text = json.dumps(value)
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    try:
        part, _ = nearly(cut, number)
    except NotNearly:
        return
    assert isinstance(part, dict)
    for name in part:
        last = name == [*part][-1] and isinstance(part[name], dict)  # its brace may have been the inner one
        assert last or part[name] == value[name]


@LAW
@given(st.text("{}[]\"'`:,;=\\ aTrue1./#\n", max_size=60))
def test_anything_has_one_reading_or_none(text):
    try:
        value, rules = nearly(text, number)
    except ValueError:
        return
    json.dumps(value)
    assert len(set(rules)) == len(rules)


@pytest.mark.parametrize(
    "text",
    ['{"a":"' + 'x"y" ' * 20_000 + '"}', '{"a":"' + '"/*' * 20_000, "{" + '"a":1 ' * 20_000, '{"a":"' + "\\" * 100_001,
     "[" + "1," * 50_000,
     '{"a":' + '"""x' * 20_000, "{,,,," + "," * 100_000, '{"a":"' + '" a' * 20_000 + '"}', "{a:" + "/*" * 50_000],
    ids=range(9),
)  # fmt: skip
def test_time_is_linear(text):
    started = time.process_time()
    with contextlib.suppress(NotNearly):
        nearly(text, number)
    assert time.process_time() - started < 3
