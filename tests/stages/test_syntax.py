"""What a row of the table can say of a text."""

import re

import pytest

from understudy.stages.syntax import Call, Either, Found, Lazy, Syntax, models


def nothing(text, schema_of, *, over):
    return None


def all_of_it(text, schema_of, *, over):
    return Found((Call("f", "{}"),), len(text))


def row(**settings):
    return Syntax(
        name="r",
        models="M",
        example="<c>f",
        head=Lazy("<c>(f)"),
        closers=("</c>",),
        parse=nothing,
        **settings,
    )


LOOKS = Lazy(r"<c>\s*(?:f.*)?", re.DOTALL)
LIKELY = [
    ({}, "<c>whatever", True),
    ({"heads": ("<c>{", "<c>[{")}, "<c>", True),
    ({"heads": ("<c>{", "<c>[{")}, "<c>\n [ ", True),
    ({"heads": ("<c>{", "<c>[{")}, '<c> [\n{"a"', True),
    ({"heads": ("<c>{", "<c>[{")}, "<c>a", False),
    ({"looks": LOOKS}, "<c>\n", True),
    ({"looks": LOOKS}, "<c>f\n1", True),
    ({"looks": LOOKS}, "<c>g", False),
    ({"heads": ("<c>f",), "looks": LOOKS}, "<c>f", True),
]


@pytest.mark.parametrize(("settings", "text", "likely"), LIKELY)
def test_likely(settings, text, likely):
    assert row(**settings).likely(text) == likely


def test_the_first_way_that_fits():
    assert Either((nothing, all_of_it))("ab", {}.get, over=False) == Found((Call("f", "{}"),), 2)
    assert Either((nothing, nothing))("ab", {}.get, over=True) is None


def test_an_expression_is_compiled_when_it_is_used():
    lazy = Lazy("[")
    with pytest.raises(re.error):
        lazy.match("a")
    words = Lazy(r"\w+")
    assert words.match("a b", 1) is None
    assert words.search("a b", 1)[0] == "b"
    assert [found[0] for found in words.each("a b")] == ["a", "b"]
    assert words.fits("ab")
    assert not words.fits("a b")


def test_names_are_found_in_any_case():
    assert models("qwen").search("Org/QWEN-3")
    assert not models("qwen").search("other")
