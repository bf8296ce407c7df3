"""A tool call's arguments, between JSON text and the object on Ollama's wire."""

import pytest
from msgspec import Raw

from understudy.dialects.ollama_wire import object_of, text_from
from understudy.dialects.words import clean
from understudy.language.jsontext import BROKEN


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{"b" : 1.50}', b'{"b" : 1.50}'),
        ('{\n "a": "\\n x" ,\r\n "b": 1.50}', b'{"a":"\\n x","b":1.50}'),
        ("", b"{}"),
        (" \n", b"{}"),
        ("null", b'{"input":"null"}'),
        ("ls -la", b'{"input":"ls -la"}'),
        ('{"a":"\ud83d\ude00"}', '{"a":"\U0001f600"}'.encode()),
    ],
)
def test_text_becomes_an_object_on_one_line(text, sent):
    assert bytes(object_of(text)) == sent


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"", "{}"), (b"null", "{}"), (b'{"a" :1}', '{"a" :1}'), (b'"{\\"a\\":1}"', '{"a":1}'), (b"[1]", "[1]")],
)
def test_an_object_becomes_its_own_text(raw, text):
    assert text_from(Raw(raw)) == text


@pytest.mark.parametrize("raw", [b'{"a":"\xff"}', b'"\\ud800"'])
def test_broken_bytes_are_known_errors(raw):
    with pytest.raises(BROKEN):
        text_from(Raw(raw))


@pytest.mark.parametrize(
    ("text", "fit"), [("a", "a"), ("é世", "é世"), ("\ud83d\ude00", "\U0001f600"), ("a\ud800b", "a\ufffdb")]
)
def test_clean(text, fit):
    assert clean(text) == fit
