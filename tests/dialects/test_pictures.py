"""Pictures, looked at from outside."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.pictures import is_base64, media_type_of


@given(st.binary(min_size=1))
def test_base64_is_known(data):
    text = base64.b64encode(data).decode()
    assert is_base64(text)
    assert is_base64("\r\n".join(text[i : i + 4] for i in range(0, len(text), 4)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "=",
        "A",
        "AA",
        "AAA",
        "AA==AA==",
        "A A A",
        "data:image/png;base64,AAAA",
        "-_-_",
        "é",
        "\ud800",
        "\0",
    ],
)
def test_what_is_none(text):
    assert not is_base64(text)


@given(st.text())
def test_any_text_is_judged(text):
    assert is_base64(text) in (True, False)


@pytest.mark.parametrize(
    ("data", "kind"),
    [("iVBORw0K", "png"), ("/9j/4AAQ", "jpeg"), ("R0lGODlh", "gif"), ("UklGRgAA", "webp"), ("AAAA", "png")],
)
def test_the_kind_is_in_the_first_bytes(data, kind):
    assert media_type_of(data) == f"image/{kind}"
