"""What the wire structs take and how absence is told from null."""

import msgspec
import pytest

from understudy.dialects.openai_wire import (
    ABSENT,
    AssistantMessage,
    Chunk,
    ImagePart,
    ImageUrl,
    Raw,
    SystemMessage,
    given,
)
from understudy.language.jsontext import BROKEN


@pytest.mark.parametrize(
    ("raw", "there"), [(ABSENT, False), (Raw(b"null"), False), (Raw(b"{}"), True), (Raw(b'""'), True)]
)
def test_null_is_as_good_as_absent(raw, there):
    assert given(raw) is there


def test_an_error_that_is_not_there():
    assert not given(msgspec.json.decode(b"{}", type=Chunk).error)
    assert not given(msgspec.json.decode(b'{"error":null}', type=Chunk).error)


@pytest.mark.parametrize("data", [b"", b"{", b'{"choices":7}', b'{"model":"\xff"}', b"[" * 100_000])
def test_all_that_can_go_wrong_is_one_tuple(data):
    with pytest.raises(BROKEN):
        msgspec.json.decode(data, type=Chunk)


def test_tags_come_first():
    assert msgspec.json.encode(SystemMessage("s")) == b'{"role":"system","content":"s"}'
    assert msgspec.json.encode(ImagePart(ImageUrl("u"))) == b'{"type":"image_url","image_url":{"url":"u"}}'


def test_content_is_written_when_it_is_empty():
    assert msgspec.json.encode(AssistantMessage("")) == b'{"role":"assistant","content":""}'
