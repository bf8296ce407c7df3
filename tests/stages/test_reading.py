"""Readings: nearly JSON becomes the value that was meant, or nothing."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.stages.reading import Spelt, Unreadable, loads, read

# text, value, rules
READ = [
    ("", {}, ("empty",)),
    ("```\n```", {}, ("empty",)),
    ('{"a":1}', {"a": 1}, ()),
    (' [1, "x"]\n', [1, "x"], ()),
    ('\ufeff{"a":1}', {"a": 1}, ("code-fence",)),
    ('```json\r\n{"a":1}\r\n```', {"a": 1}, ("code-fence",)),
    ("```python\n{'a':None}\n```", {"a": None}, ("code-fence", "literal")),
    ('{"a":"x\ny\t"}', {"a": "x\ny\t"}, ("control-characters",)),
    ("{'a':'it\\'s \"b\"'}", {"a": 'it\'s "b"'}, ("literal",)),
    ('{"a":[1,2,],}', {"a": [1, 2]}, ("surplus-comma",)),
    ("{a:true, b-c: False}", {"a": True, "b-c": False}, ("literal",)),
    ('{"a":"\\d\\.\\u00e4\\u12"}', {"a": "\\d\\.ä\\u12"}, ("literal",)),
    ('{"a":"True, None,}"', {"a": "True, None,}"}, ("missing-brace",)),
    ('{"a":{"b":null}', {"a": {"b": None}}, ("missing-brace",)),
    ('{"a":1}}]', {"a": 1}, ("surrounded",)),
    ('Well, {"a":1} it is.', {"a": 1}, ("surrounded",)),
    ('{"a":"b "c" d","e":1}', {"a": 'b "c" d', "e": 1}, ("quote-in-a-string",)),
    ('{"a":1 "b":2}', {"a": 1, "b": 2}, ("missing-comma",)),
    ("None", {}, ("empty",)),
    ("()", {}, ("empty",)),
    (r"{\"a\": \"b \\\"c\\\" \\n\"}", {"a": 'b "c" \n'}, ("escaped",)),
    (r"{\n \"a\": 1,}", {"a": 1}, ("escaped", "surplus-comma")),
    (r'{\n  "a": "b\nc\\n"\n}', {"a": "b\nc\\n"}, ("escaped", "control-characters")),
]


@pytest.mark.parametrize(("text", "value", "rules"), READ)
def test_read(text, value, rules):
    reading = read(text)
    assert (reading.value, reading.rules) == (value, rules)


# text, why not
UNREAD = [
    ('{"a":"b', "cut off"),
    ('{"a":"b\\', "cut off"),
    ('{"a":"b\\"', "cut off"),
    ("{'a':'b", "cut off"),
    ('{"a":12', "cut off"),
    ('{"a":"b",', "cut off"),
    ('{"a":["b"', "cut off"),
    ('{"a":tru', "cut off"),
    ("{" * 50_000, "safely"),
    ('{"a":1 "b":[{"c":2}', "cut off"),
    ('"abc', "cut off"),
    ('{"a":[}', "safely"),
    ('{"a":NaN}', "safely"),
    ('{"a":-Infinity}', "safely"),
    ('{"a":1e400}', "safely"),
    ('{"a":1}{"b":2}', "safely"),
    ('"x" {"a":1}', "safely"),
    ("{'a': " + '"b', "cut off"),
    ("word", "safely"),
    (r"{\"a\": \"b", "cut off"),
    (r'{\"a\": "b"}', "safely"),
    ('{"a" "b" "c"}', "safely"),
    ('{"command":"' + '"' * 98 + '"}', "safely"),
]


@pytest.mark.parametrize(("text", "why"), UNREAD)
def test_unread(text, why):
    with pytest.raises(Unreadable, match=why):
        read(text)


def test_a_list_that_is_whole_needs_only_the_last_brace():
    assert read('{"a":["b"]').value == {"a": ["b"]}


def test_floats_know_their_spelling():
    value = loads('{"v":3.10}')
    assert isinstance(value, dict)
    spelt = value["v"]
    assert isinstance(spelt, Spelt)
    assert (spelt, spelt.text, json.dumps(spelt)) == (3.1, "3.10", "3.1")
    with pytest.raises(ValueError, match="too large"):
        Spelt("1e999")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab_\"'{", max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.dictionaries(st.text("abc", min_size=1), VALUES, min_size=1), st.data())
def test_json_reads_as_itself_and_its_prefixes_never_as_less(value, data):
    text = json.dumps(value)
    assert read(text).value == value
    assert read(text).rules == ()
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    try:
        part = read(cut).value
    except Unreadable:
        return
    assert isinstance(part, dict)
    last = list(part)[-1:]
    for name, child in part.items():
        nested = [name] == last and isinstance(child, dict)  # the last brace missing may be an inner object's
        assert nested or value[name] == child


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text("{}[]\"':,\\ aTrue1.\n`\x00\ud800", max_size=60))
def test_anything_is_read_or_unreadable(text):
    try:
        reading = read(text)
    except Unreadable:
        return
    assert isinstance(reading.rules, tuple)
