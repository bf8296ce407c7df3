"""Patterns: what they become, what goes, and the law that what is written matches no less."""

import re

import jsonschema_rs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from schemas import PATTERNS

from understudy.request.patterns import DEEPEST, LONGEST, Translation, Untranslatable, translate

GONE = None

# pattern, over the JSON text, over the value
CASES = [
    (r"^\d{4}-\d{2}$", "^[0-9]{4}-[0-9]{2}$", "^[0-9]{4}-[0-9]{2}$"),
    (r"^\w+$", "^[0-9A-Z_a-z]+$", "^[0-9A-Z_a-z]+$"),
    (r"^\s$", GONE, r"^[\x09-\x0d \u00a0\u1680\u2000-\u200a\u2028-\u2029\u202f\u205f\u3000\ufeff]$"),
    (r"^\D$", GONE, "^[^0-9]$"),
    (r"^[\s\S]*$", GONE, r"^[\s\S]*$"),
    ("ab", GONE, r"^[\s\S]*ab[\s\S]*$"),
    ("^ab", GONE, r"^ab[\s\S]*$"),
    ("ab$", GONE, r"^[\s\S]*ab$"),
    ("^a|b$", GONE, r"^(a[\s\S]*|[\s\S]*b)$"),
    ("^a$|^b$", "^(a|b)$", "^(a|b)$"),
    ("^[a-z0-9-]{1,40}$", "^[a-z0-9-]{1,40}$", "^[a-z0-9-]{1,40}$"),
    ("^a+?b{2}?$", "^a+b{2}$", "^a+b{2}$"),
    ("^a{2,}$", "^a{2,}$", "^a{2,}$"),
    ("^(?:a|b){2,3}$", "^(a|b){2,3}$", "^(a|b){2,3}$"),
    ("^(?<year>x)(?P<n>y)$", "^xy$", "^xy$"),
    ("^(a|b)c$", "^(a|b)c$", "^(a|b)c$"),
    ("^(ab)+$", "^(ab)+$", "^(ab)+$"),
    ("^(a|)$", "^a?$", "^a?$"),
    ("^(|)$", "^$", "^$"),
    ("^(a|a)$", "^a$", "^a$"),
    ("^a{0}(b){1}$", "^b$", "^b$"),
    ("^.$", GONE, r"^[^\x0a]$"),
    ("^[^/]$", GONE, "^[^/]$"),
    (r"^a\.b\-c\/d$", r"^a\.b-c/d$", r"^a\.b-c/d$"),
    (r"^\*\^\$\[\(\{\|$", r"^\*\^\$\[\(\{\|$", r"^\*\^\$\[\(\{\|$"),
    (r"^[\]\^\-\[a]$", r"^[\x2d\x5b\x5d-\x5ea]$", r"^[\x2d\x5b\x5d-\x5ea]$"),
    (r"^[a\-z]$", r"^[\x2daz]$", r"^[\x2daz]$"),
    (r"^[\d\]]$", r"^[0-9\x5d]$", r"^[0-9\x5d]$"),
    (r"^[a-]$", "^[a-]$", "^[a-]$"),
    ("^[&&]$", "^&$", "^&$"),
    ('^"$', GONE, '^"$'),
    (r"^\\$", GONE, r"^\\$"),
    (r"^\x41\u00e9\u{1F600}$", "^Aé😀$", "^Aé😀$"),
    (r"^\t\cJ\0$", GONE, r"^\x09\x0a\x00$"),
    ("^[à-ü]$", "^[à-ü]$", "^[à-ü]$"),
    ("", "", ""),
    ("^", "", ""),
    ("$", "", ""),
    ("^$", "^$", "^$"),
    ("x|", "", ""),
]  # fmt: skip


def made(pattern, *, on_json_text, most=1_000):
    try:
        return translate(pattern, on_json_text=on_json_text, most=most).text
    except Untranslatable:
        return GONE


@pytest.mark.parametrize(("pattern", "text", "value"), CASES, ids=[case[0] for case in CASES])
def test_table(pattern, text, value):
    assert made(pattern, on_json_text=True) == text
    assert made(pattern, on_json_text=False) == value


LEFT_OUT = [
    (r"^(?=.*\d)[a-z\d]+$", "^[0-9a-z]+$", "a lookaround is left out"),
    ("^(?!no$)[a-z]+$", "^[a-z]+$", "a lookaround is left out"),
    ("^a(?<=^a)b(?<!x)$", "^ab$", "a lookaround is left out"),
    ("^(?=a|b|$)[ab]*$", "^[a-b]*$", "a lookaround is left out"),
    (r"^\bfoo\B$", "^foo$", "a word boundary is left out"),
    (r"\b", "", "a word boundary is left out"),
]


@pytest.mark.parametrize(("pattern", "text", "left_out"), LEFT_OUT)
def test_assertions_are_left_out_and_told(pattern, text, left_out):
    assert translate(pattern, on_json_text=True, most=1_000) == Translation(text, left_out)


NEVER = [
    (r"^(a)\1$", "the escape"),
    (r"^\p{L}$", "the escape"),
    (r"^\k<n>$", "the escape"),
    (r"^\01$", "the escape"),
    ("^a\\", "the escape"),
    (r"^\ud83d$", "half a character"),
    (r"^\u{110000}$", "half a character"),
    ("^(?>a)$", "a group of an unknown kind"),
    ("^(a$", "a group without end"),
    ("^a)$", "an anchor or a bracket"),
    ("$a", "an anchor or a bracket"),
    ("^(a$)$", "an anchor inside a group"),
    ("^a^$", "an anchor or a bracket"),
    ("^[a$", "a class without end"),
    ("^[a-", "a class without end"),
    ("^[]$", "an empty class"),
    ("^[z-a]$", "a range that ends before"),
    (r"^[a-\d]$", "a range that ends in a set"),
    ("^a{3,1}$", "a repetition that ends before"),
    ("^*$", "a *"),
    ("^a**$", "a *"),
    ("^{$", "a {"),
    ("^]$", "a ]"),
    ("^a{1000}{1,2}$", "a {"),
    ("^(a{100}){100}$", "unroll"),
    ("^" + "(" * (DEEPEST + 1) + ")" * (DEEPEST + 1) + "$", "too many"),
    ("a" * (LONGEST + 1), "too long"),
]


@pytest.mark.parametrize(("pattern", "why"), NEVER, ids=[case[0][:20] for case in NEVER])
def test_what_goes_says_why(pattern, why):
    with pytest.raises(Untranslatable, match=re.escape(why)):
        translate(pattern, on_json_text=False, most=1_000)


def test_little_stack_is_no_crash():
    pattern = "^" + "(" * DEEPEST + "a" + ")" * DEEPEST + "$"

    def below(frames):
        return below(frames - 1) if frames else made(pattern, on_json_text=False)

    seen = set()
    for frames in range(700, 1_000, 5):
        try:
            seen.add(below(frames))
        except RecursionError:  # the test's own frames
            break
    assert seen == {"^a$", GONE}


def matcher(pattern):
    try:
        return jsonschema_rs.validator_for({"pattern": pattern}, offline=True).is_valid
    except ValueError:
        return None


PIECES = st.sampled_from(
    ["a", "b", "-", ".", "^", "$", "|", "(", ")", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\s", r"\.", "*", "+", "?",
     "{1,2}", "(?:", "(?=a)", "(?!b)", r"\b", "é", '"', r"\\", "[\\]-a]", r"\x41"]
)  # fmt: skip
STRINGS = st.text(st.sampled_from('ab-.^1_ \n"\\éA]['), max_size=6)


@settings(max_examples=600, deadline=None)
@given(
    st.lists(PIECES, max_size=6).map("".join),
    st.booleans(),
    st.booleans(),
    st.lists(STRINGS, min_size=6, max_size=6),
)
def test_what_is_written_matches_no_less(middle, opened, closed, texts):
    pattern = "^" * opened + middle + "$" * closed
    before = matcher(pattern)
    assume(before is not None)
    for on_json_text in (True, False):
        try:
            found = translate(pattern, on_json_text=on_json_text, most=1_000)
        except Untranslatable:
            continue
        after = matcher(found.text)
        for text in texts:
            assert after(text) or not before(text), (pattern, found)
            assert found.left_out or after(text) == before(text), (pattern, found)
        assert made(found.text, on_json_text=on_json_text) == found.text
        if on_json_text and found.text:
            assert not any(after(text) for text in texts if set(text) & set('\n"\\'))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_examples_still_match(pattern):
    for on_json_text in (True, False):
        found = made(pattern, on_json_text=on_json_text)
        assert found is GONE or all(matcher(found)(text) for text in PATTERNS[pattern])
