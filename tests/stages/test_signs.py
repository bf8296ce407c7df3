"""The signs, each alone: what is taken for one, and what is not."""

import pytest

from understudy.stages import signs

# sign, text, what of it is taken ("" = nothing)
TAKEN = [
    ("SPACE", " \u00a0// a\n/* b */# c\n\ufeffx", " \u00a0// a\n/* b */# c\n\ufeff"),
    ("SPACE", "/* open", ""),
    ("QUOTED_KEY", '"a b" : 1', '"a b" :'),
    ("QUOTED_KEY", r'"a\"b":1', r'"a\"b":'),
    ("QUOTED_KEY", "'a' => 1", "'a' =>"),
    ("QUOTED_KEY", "“a”：1", "“a”："),
    ("QUOTED_KEY", '"a", "b":', ""),
    ("BARE_KEY", "a-b.c: 1", "a-b.c:"),
    ("BARE_KEY", '"a: 1', '"a:'),
    ("BARE_KEY", "1: 2", ""),
    ("BARE_AND_VALUE", 'id="x"', 'id="'),
    ("BARE_AND_VALUE", "fix: it", ""),
    ("KEYLIKE", '"time zone" :', '"time zone" :'),
    ("KEYLIKE", r'"\u00e4":', r'"\u00e4":'),
    ("KEYLIKE", '", ":', ""),
    ("KEYLIKE", '"f(x)":', ""),
    ("NUMBER", "-1_000.5e3,", "-1_000.5e3"),
    ("NUMBER", ".5}", ".5"),
    ("NUMBER", "12px", ""),
    ("JSON_NUMBER", "007", "0"),
    ("KEY_WITHOUT_COLON", '"a" "b"', '"a" '),
    ("KEY_WITHOUT_COLON", '"a"}', ""),
    ("MARK", "[/TOOL_CALLS]{", "[/TOOL_CALLS]"),
    ("MARK", "[1]", ""),
    ("WORD", "~/a/b.py ", "~/a/b.py"),
    ("WORD", "// a", ""),
    ("HEX", "u00e4f", "u00e4"),
    ("HEX", "U0001f642", "U0001f642"),
    ("HEX", "Ufffffff0", ""),
    ("WINDOWS_PATH", r'"C:\Users\me",', r'"C:\Users\me"'),
    ("WINDOWS_PATH", r'"C:\new\bin"', ""),
    ("TRIPLE", '"""a "b" c"""}', '"""a "b" c"""'),
    ("TRIPLE", '""""', ""),
    ("RAW_STRING", r"r'\d+'}", r"r'\d+'"),
    ("RAW_STRING", "r'a' b", ""),
    ("EMPTY_FIRST", '{} {"a"', "{} "),
    ("EMPTY_FIRST", "{}}", ""),
    ("UNFINISHED_KEY", '"file_pa', '"file_pa'),
    ("UNFINISHED_KEY", '"a":', ""),
    ("ELEMENT", "[1]", "["),
    ("ELEMENT", "truest", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sign", "text", "taken"), TAKEN)
def test_taken(sign, text, taken):
    found = getattr(signs, sign).match(text)
    assert (found[0] if found else "") == taken


def test_every_quote_has_its_text():
    for closer in signs.QUOTES.values():
        assert signs.CHUNK[closer].match(f"ab{closer}c")[0] == "ab"
        assert signs.CHUNK[closer].match("a\\b")[0] == "a"
