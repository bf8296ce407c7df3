import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.language import jsontext
from understudy.language.jsontext import (
    Patch,
    Span,
    end_of,
    items,
    kept,
    member,
    members,
    patched,
    whole,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
STYLES = st.sampled_from(
    [
        {"separators": (",", ":")},
        {"separators": (" , ", " : ")},
        {"indent": 2},
        {"ensure_ascii": False},
    ]
)


@given(VALUES, STYLES, st.sampled_from(["", " ", "\n\t "]))
def test_a_value_is_found_whole(value, style, blank):
    data = (blank + json.dumps(value, **style) + blank).encode("utf-8", "replace")
    assert whole(data).of(data) == data.strip()


@given(st.dictionaries(st.text(), VALUES, max_size=5), STYLES)
def test_members_are_those_of_the_object(value, style):
    data = json.dumps(value, **style).encode("utf-8", "replace")
    found = [(name, json.loads(span.of(data))) for name, span in members(data, whole(data))]
    assert found == list(json.loads(data).items())


@given(st.lists(VALUES, max_size=5), STYLES)
def test_items_are_those_of_the_list(value, style):
    data = json.dumps(value, **style).encode("utf-8", "replace")
    assert [json.loads(span.of(data)) for span in items(data, whole(data))] == json.loads(data)


@given(st.lists(st.tuples(VALUES, st.booleans()), min_size=1, max_size=6), STYLES)
def test_items_that_are_left_out_leave_the_others_as_they_were(rows, style):
    data = json.dumps([value for value, _ in rows], **style).encode("utf-8", "replace")
    span = whole(data)
    old = [item.of(data) for item in items(data, span)]
    new = [piece if keep else None for piece, (_, keep) in zip(old, rows, strict=True)]
    out = kept(data, span, new)
    assert json.loads(out) == [v for v, (_, keep) in zip(json.loads(data), rows, strict=True) if keep]
    assert all(piece in out for piece in new if piece is not None)
    if all(keep for _, keep in rows):
        assert out == data


SPLIT = [
    (b'{"a":1,"b":[2,{"c":3}]}', {"a": b"1", "b": b'[2,{"c":3}]'}),
    (b'  { "a" : "x\\"}" , "b":null }', {"a": b'"x\\"}"', "b": b"null"}),
    (b'{"\\u0061":1}', {"a": b"1"}),
    (b'{"a":1,"a":2}', {"a": b"2"}),
    (b'{"a":"\\\\"}', {"a": b'"\\\\"'}),
    (b"{}", {}),
    (b"{ }", {}),
]


@pytest.mark.parametrize(("data", "found"), SPLIT)
def test_the_last_of_two_counts(data, found):
    span = whole(data)
    assert {name: member(data, span, name).of(data) for name in found} == found
    assert member(data, span, "nothing") is None


LISTS = [
    (b"[]", [], b"[]"),
    (b"[ ]", [], b"[ ]"),
    (b"[1]", [None], b"[]"),
    (b"[ 1 , 2 , 3 ]", [None, b"2", b"3"], b"[ 2 , 3 ]"),
    (b"[ 1 , 2 ,3 ]", [b"1", None, b"3"], b"[ 1 ,3 ]"),
    (b"[ 1 , 2 , 3 ]", [b"1", b"9", None], b"[ 1 , 9 ]"),
    (b"[1,2]", [None, None], b"[]"),
]


@pytest.mark.parametrize(("data", "new", "out"), LISTS)
def test_commas_go_with_what_is_left_out(data, new, out):
    assert kept(data, whole(data), new) == out


def test_patches_may_come_in_any_order():
    data = b'{"a":1,"b":2,"c":3}'
    span = whole(data)
    patches = [Patch(member(data, span, name), name.encode() * 2) for name in "cab"]
    assert patched(data, patches) == b'{"a":aa,"b":bb,"c":cc}'
    inner = member(b'{"a":[1,2]}', Span(0, 11), "a")
    assert patched(b'{"a":[1,2]}', [Patch(Span(6, 7), b"9")], inner) == b"[9,2]"


BROKEN = [b"", b"{", b'{"a', b'{"a":', b"[", b"[1,", b"[,", b"[:]", b'["a', b"}", b'{"a":1', b"{{{"]


@pytest.mark.parametrize("data", BROKEN)
def test_what_is_no_json_comes_to_an_end(data):
    span = whole(data)
    list(members(data, span))
    list(items(data, span))
    assert end_of(data, 0) <= len(data)


@given(st.binary(max_size=40))
def test_whatever_it_is(data):
    span = jsontext.whole(data)
    assert 0 <= span.start <= span.end <= len(data)
    assert len(list(items(data, span))) <= len(data)
