"""What of a call's arguments leaves early will stand, whatever follows."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.stages.early import Early
from understudy.stages.mend import Mended, Toolbox

WRITE = json.dumps(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "where"},
            "text": {"type": "string"},
            "mode": {"type": "string", "enum": ["a", "w"]},
            "times": {"type": "integer"},
            "share": {"type": "number"},
            "force": {"type": "boolean", "default": False},
            "lines": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
).encode()


def fed(text, schema=WRITE, *, size=1):
    """What leaves early of a text that comes in pieces of this size, and who knows it."""
    early = Early(schema)
    sent = "".join(early.feed(text[i : i + size]) for i in range(0, len(text), size))
    assert len(sent) == early.sent
    assert text.startswith(sent)
    return sent, early


SENT = [  # arguments, what of them leaves before the end
    ('{"path": "a.py", "text": "x = 1"}', '{"path": "a.py", "text": "x = 1'),
    ('{"path":"a"}', '{"path":"a'),
    (' \n{ "path" : "a" , "text":"b"}', ' \n{ "path" : "a" , "text":"b'),
    ('{"times": 3, "path": "a"}', '{"times": 3, "path": "a'),
    ('{"times": 3}', '{"times": 3'),
    ('{"share": 3.5, "force": true}', '{"share": 3.5, "force": true'),
    ('{"share": -2}', '{"share": -2'),
    (
        '{"path": "\\u00e9\\n\\"q\\" \\ud83d\\ude42", "text": "b"}',
        '{"path": "\\u00e9\\n\\"q\\" \\ud83d\\ude42", "text": "b',
    ),
    ('{"path": "你好 🙂"}', '{"path": "你好 🙂'),
    ("{}", ""),
    ("", ""),
    ('{"path": "a", "mode": "w", "text": "b"}', '{"path": "a'),  # an enumeration waits, and what follows it
    ('{"path": "a", "lines": ["b"]}', '{"path": "a'),
    ('{"path": "a", "path": "b"}', '{"path": "a'),  # twice
    ('{"path": "a", "unknown": "b"}', '{"path": "a'),
    ('{"path": 5}', ""),
    ('{"times": "3"}', ""),
    ('{"times": 3.5}', ""),
    ('{"times": 3e2}', ""),
    ('{"times": true}', ""),
    ('{"force": 1}', ""),
    ('{"arguments": {"path": "a"}}', ""),
    ('"{\\"path\\": \\"a\\"}"', ""),
    ('[{"path": "a"}]', ""),
    ('{"path": "a\nb"}', '{"path": "a'),  # a raw line break: how it goes on is for the mending to say
    ('{"path": "a\\qb"}', '{"path": "a'),
    ('{"path": "a\\ud83d", "text": "b"}', '{"path": "a'),  # half a character
    ('{"path": "a\\ude42", "text": "b"}', '{"path": "a'),
    ('{"path": "say "hi" now", "text": "b"}', '{"path": "say '),  # quotes that nobody escaped
    ('{"path": "a" "text": "b"}', '{"path": "a'),
    ('{, "path": "a"}', ""),
    ("{'path': 'a'}", ""),
]


@pytest.mark.parametrize(("text", "sent"), SENT)
def test_what_leaves_early(text, sent):
    for size in (1, 2, 3, 7, len(text) + 1):
        assert fed(text, size=size)[0] == sent, size


def test_a_member_that_does_not_show_itself_is_not_waited_for():
    assert fed("{" + " " * 400 + '"path": "a"}')[0] == ""
    assert fed('{"times": 1' + " " * 400 + ', "path": "a"}')[0] == ""


SCHEMAS = [
    b"",
    b"[]",
    b"{}",
    b'{"type": "array"}',
    b'{"properties": 3}',
    b'{"properties": {"path": true}}',
    b'{"properties": {"path": {"type": ["string", "null"]}}}',
    b'{"properties": {"path": {"type": "string", "minLength": 1}}}',
    b'{"properties": {"path": {"type": "string"}}, "minProperties": 2}',
    b'{"properties": {"path": {"type": "string"}}, "anyOf": []}',
    b'{"properties": {"path": {"$ref": "#/$defs/p"}}, "$defs": {"p": {"type": "string"}}}',
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_schema_that_is_not_simple_lets_nothing_out_early(schema):
    assert fed('{"path": "a", "times": 1}', schema)[0] == ""


RESTS = [  # written, mended, what both together are; None where they contradict
    ('{"path": "a", "text": "b"}', None, '{"path": "a", "text": "b"}'),
    ('{"path": "a", "mode": "W"}', '{"path":"a","mode":"w"}', '{"path": "a", "mode": "w"}'),
    ('{"path": "a\nb"}', '{"path":"a\\nb"}', '{"path": "a\\nb"}'),
    (
        '{"path": "say "hi"", "times": 2}',
        '{"path":"say \\"hi\\"","times":2}',
        '{"path": "say \\"hi\\"", "times": 2}',
    ),
    ('{"path": "a", "text": "b"', '{"path":"a","text":"b"}', '{"path": "a", "text": "b"}'),
    ('{"path": "a", "Text": "b"}', '{"text":"b","path":"a"}', '{"path": "a", "text": "b"}'),
    ('{"times": 3, "x": 1}', '{"times":3}', '{"times": 3}'),
    ('{"path": "a", "x": 1}', '{"path":"b"}', None),
    ('{"path": "a", "x": 1}', "{}", None),
    ('{"path": "a", "x": 1}', '{"path":5}', None),
    ('{"path": "a", "text": "b", "x": 1}', '{"path":"A","text":"b"}', None),
    ('{"path": "a", "x": 1}', '["a"]', None),
    ('{"times": 1, "path": "a", "x": 1}', '{"times":true,"path":"a"}', None),
    ('{"times": 1, "path": "a", "x": 1}', '{"times":1.0,"path":"a"}', None),
]


@pytest.mark.parametrize(("written", "mended", "whole"), RESTS)
def test_what_has_left_is_completed_or_contradicted(written, mended, whole):
    sent, early = fed(written)
    assert sent
    rest = early.rest(written, written if mended is None else mended)
    if whole is None:
        assert rest is None
    else:
        assert sent + rest == whole


VALUES = st.one_of(
    st.text(max_size=8),
    st.integers(-9, 9),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=2), max_size=2),
)
KEYS = st.sampled_from(["path", "text", "mode", "times", "share", "force", "lines", "Path", "other"])


@given(
    st.dictionaries(KEYS, VALUES),
    st.booleans(),
    st.sampled_from([None, 0, 1]),
    st.lists(st.integers(0, 200)),
    st.data(),
)
def test_what_leaves_early_never_contradicts_what_is_mended(arguments, ascii_only, indent, cuts, data):
    """Whatever is mended, sent or completed: it is one JSON text, and means the mended arguments, or it is said not to."""
    written = json.dumps(arguments, ensure_ascii=ascii_only, indent=indent)
    if data.draw(st.booleans()):  # broken somewhere
        at = data.draw(st.integers(0, len(written)))
        written = (
            written[:at]
            + data.draw(st.sampled_from(["", '"', "\n", ",", "\\", "}", "x"]))
            + written[at + 1 :]
        )
    early, sent = Early(WRITE), ""
    edges = sorted({0, len(written), *(cut % (len(written) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        sent += early.feed(written[start:end])
    assert written.startswith(sent)
    mended = Toolbox([("Write", WRITE)]).mend("Write", written)
    if not isinstance(mended, Mended):
        return
    if not sent:
        return
    rest = early.rest(written, mended.arguments)
    if not mended.rules:
        assert sent + rest == written
    elif rest is not None:
        assert json.loads(sent + rest) == json.loads(mended.arguments)


def test_a_long_string_leaves_as_it_comes():
    early = Early(WRITE)
    early.feed('{"text": "')
    assert all(early.feed("x" * 10) == "x" * 10 for _ in range(1000))
    assert early.feed('"}') == ""
    assert early.rest('{"text": "' + "x" * 10_000 + '"}', '{"text": "' + "x" * 10_000 + '"}') == '"}'
