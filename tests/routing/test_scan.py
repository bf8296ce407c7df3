"""Spots: their places in characters, their marks, and that a text is scanned once."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.routing import scan
from understudy.routing.scan import Rule, Scanner, Spot

TOKEN = "ghp_Xk29vPq81zLmAb37Qw6Er5TyUi0OpAsDfGhJ"
SCANNER = Scanner(b"key")


def found(text, scanner=SCANNER):
    return [
        (spot.kind, spot.rule, text[spot.start : spot.start + spot.length]) for spot in scanner.spots(text)
    ]


PLACES = ["{}", "{} and more", "x {}", "密钥是{}。", "😀😀 {} 完", "é{}"[1:], "\ud800 {}", "a\n{}\n"]


@pytest.mark.parametrize("carrier", PLACES, ids=ascii)
def test_places_are_counted_in_characters(carrier):
    assert found(carrier.format(TOKEN)) == [("secret", "github-token", TOKEN)]


def test_two_of_a_kind_and_their_marks():
    other = TOKEN[:-1] + "K"
    first, second, third = SCANNER.spots(f"{TOKEN} {other} {TOKEN}")
    assert first.mark == third.mark != second.mark
    assert len(first.mark) == 2 * scan.MARK


def test_a_mark_says_nothing_without_the_key():
    assert Scanner(b"one").mark("x") != Scanner(b"two").mark("x")


def test_no_spot_holds_the_value():
    assert TOKEN[:8] not in repr(SCANNER.spots(TOKEN))


def test_what_overlaps_is_found_once():
    assert found(f'token = "{TOKEN}"') == [("secret", "github-token", TOKEN)]
    assert found("ftp://u:Xk29vPq81zLm@mail.corp.com/") == [("secret", "url-password", "Xk29vPq81zLm")]


def test_own_rules_come_after_those_of_the_package():
    scanner = Scanner(b"key", [Rule("word", "word", "(?i)ghp|nova", bool)])
    assert found(f"Nova {TOKEN}", scanner) == [("word", "word", "Nova"), ("secret", "github-token", TOKEN)]


def test_a_text_is_scanned_once(monkeypatch):
    scanner, scanned = Scanner(b"key"), []
    find = scanner._found
    monkeypatch.setattr(scanner, "_found", lambda text, data: scanned.append(text) or find(text, data))
    assert scanner.spots(TOKEN) is scanner.spots(TOKEN)
    scanner.spots("other")
    assert scanned == [TOKEN, "other"]


RANDOM = [("aaaaaaaaaaaa", False), ("Xk29vPq81zLm", True), ("your-token-Xk29vPq8", False), ("", False)]


@pytest.mark.parametrize(("value", "expected"), RANDOM)
def test_looks_random(value, expected):
    assert scan.looks_random(value, 2.5) is expected


NAMES = [("max_tokens", True), ("MAX_TOKENS", True), ("max_tokens2", False), ("maxTokens", False)]


@pytest.mark.parametrize(("value", "expected"), NAMES)
def test_is_name(value, expected):
    assert scan.is_name(value) is expected


def test_entropy():
    assert scan.entropy("abcd") == 2
    assert scan.entropy("aaaa") == 0


@given(st.text(alphabet=st.characters(), max_size=200))
def test_spots_lie_in_the_text_and_apart(text):
    end = 0
    for spot in SCANNER.spots(text):
        assert isinstance(spot, Spot)
        assert spot.start >= end
        end = spot.start + spot.length
    assert end <= len(text)


def test_eighty_kilobytes_of_code_take_little():
    code = "".join(path.read_text() for path in sorted(Path(scan.__file__).parents[1].rglob("*.py")))
    SCANNER.spots(code[:80_000])  # the automaton grows with what it reads
    times = []
    for start in range(100):
        text = code[start : start + 80_000]
        started = time.process_time()
        SCANNER.spots(text)
        times.append(time.process_time() - started)
    assert sorted(times)[50] < 0.01


HUGE = [
    "a" * 2_000_000,
    "1" * 500_000,
    "a@" * 300_000,
    "://" * 300_000,
    "password=" * 100_000,
    "-----BEGIN " * 50_000,
]


@pytest.mark.parametrize("text", HUGE, ids=lambda text: text[:12])
def test_no_text_takes_long(text):
    started = time.process_time()
    SCANNER.spots(text)
    assert time.process_time() - started < 3
