"""How personal data looks, and the check digits that tell it from other numbers.

Sources: GB 11643 (resident identity numbers; ISO 7064 MOD 11-2), GB/T 2260 (their provinces), ISO/IEC 7812 (Luhn),
ISO 13616 (IBAN, MOD 97-10; lengths from the IBAN registry), RFC 2606 (names kept for examples), E.164 (length of a number).
"""

from collections.abc import Callable
from typing import NamedTuple

PROVINCES = frozenset(
    str(number)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83))
    for number in range(first, last + 1)
)
RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
RESIDENT_CHECKS = "10X98765432"

CARD_LENGTHS: tuple[tuple[range, frozenset[int]], ...] = (
    (range(340000, 350000), frozenset({15})),
    (range(370000, 380000), frozenset({15})),
    (range(300000, 306000), frozenset({14})),
    (range(360000, 370000), frozenset({14})),
    (range(380000, 400000), frozenset({14})),
    (range(352800, 359000), frozenset({16})),
    (range(400000, 500000), frozenset({13, 16, 19})),
    (range(222100, 272100), frozenset({16})),
    (range(510000, 560000), frozenset({16})),
    (range(601100, 601200), frozenset({16, 19})),
    (range(620000, 630000), frozenset({16, 17, 18, 19})),
    (range(644000, 660000), frozenset({16, 19})),
)
"""First six digits of the great schemes, and how long their numbers are."""

IBAN_LENGTHS: dict[str, int] = {
    country: length
    for length, countries in (
        (15, ("NO",)),
        (16, ("BE",)),
        (18, ("DK", "FI", "FO", "GL", "NL")),
        (19, ("MK", "SI")),
        (20, ("AT", "BA", "EE", "KZ", "LT", "LU", "XK")),
        (21, ("CH", "HR", "LI", "LV")),
        (22, ("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA")),
        (23, ("AE", "GI", "IL", "IQ", "TL")),
        (24, ("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG")),
        (25, ("LY", "PT")),
        (26, ("IS", "TR")),
        (27, ("BI", "FR", "GR", "IT", "MC", "MR", "SM")),
        (28, ("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "PL", "SV")),
        (29, ("BR", "EG", "PS", "QA", "UA")),
        (30, ("JO", "KW", "MU")),
        (31, ("MT", "SC")),
        (32, ("LC",)),
    )
    for country in countries
}

NO_PERSON = frozenset(
    {"git", "noreply", "no-reply", "donotreply", "do-not-reply", "postmaster", "mailer-daemon"}
)
NO_MAIL = (
    *("example.com", "example.org", "example.net", "example.edu", "users.noreply.github.com"),
    *(".example", ".invalid", ".test", ".localhost", ".local"),
)
NO_COUNTRY = frozenset(
    (
        *(
            "png",
            "jpg",
            "jpeg",
            "gif",
            "svg",
            "webp",
            "ico",
            "css",
            "js",
            "ts",
            "tsx",
            "jsx",
            "py",
            "go",
            "rs",
            "java",
        ),
        *("html", "json", "md", "txt", "so", "dll", "exe"),
    )
)
"""Endings of files: `icon@2x.png` is no address."""
FEWEST, MOST = 9, 15
"""Digits of a number with its country's code."""


class Pattern(NamedTuple):
    """One kind of personal data: an RE2 pattern, and what must hold besides."""

    name: str
    pattern: str
    holds: Callable[[str], bool]


def digits(text: str) -> str:
    """The ASCII digits and letters of a number, without its blanks and dashes."""
    return "".join(char for char in text if char.isascii() and char.isalnum())


def luhn(number: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812."""
    total = 0
    for place, char in enumerate(reversed(number)):
        digit = int(char) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit  # noqa: PLR2004 - the digit sum of a number under 20
    return total % 10 == 0


def is_card(text: str) -> bool:
    """A number of a known scheme, of its length, with its check digit."""
    number = digits(text)
    scheme = int(number[:6])
    fits = any(scheme in prefixes and len(number) in lengths for prefixes, lengths in CARD_LENGTHS)
    return fits and len(set(number)) > 2 and luhn(number)  # noqa: PLR2004 - 4111 1111 1111 1111 is for tests


def is_resident(text: str) -> bool:
    """A Chinese resident identity number, by its province and its check digit."""
    number = text.upper()
    total = sum(int(char) * weight for char, weight in zip(number, RESIDENT_WEIGHTS, strict=False))
    return number[:2] in PROVINCES and number[-1] == RESIDENT_CHECKS[total % 11]


def is_iban(text: str) -> bool:
    """An account number, by its country's length and its check digits."""
    number = digits(text).upper()
    if IBAN_LENGTHS.get(number[:2]) != len(number):
        return False
    return int("".join(str(int(char, 36)) for char in number[4:] + number[:4])) % 97 == 1


def is_mail(text: str) -> bool:
    """An address of somebody: not an example's, a robot's, or the name of a picture."""
    local, _, domain = text.lower().partition("@")
    if local in NO_PERSON or domain.rpartition(".")[2] in NO_COUNTRY:
        return False
    return not f".{domain}".endswith(tuple(f".{name.lstrip('.')}" for name in NO_MAIL))


def is_mobile(text: str) -> bool:
    """A Chinese mobile number that nobody made up by holding a key down."""
    return len(set(digits(text)[-8:])) > 2  # noqa: PLR2004 - 138 0000 0000 stands in every manual


def is_phone(text: str) -> bool:
    """A number with its country's code: as many digits as E.164 allows."""
    return FEWEST <= len(digits(text)) <= MOST


PATTERNS = (
    Pattern(
        "email", r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,18}\b", is_mail
    ),
    Pattern(
        "resident-id",
        r"\b[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]\b",
        is_resident,
    ),
    Pattern("mobile", r"(?:\+86[ -]?|\b(?:86[ -]?)?)1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4})\b", is_mobile),
    Pattern("phone", r"\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}\b", is_phone),
    Pattern(
        "card", r"\b[2-6]\d{3}(?:[ -]?\d{4}){2}(?:[ -]?\d{1,7})\b|\b3\d{3}[ -]?\d{6}[ -]?\d{4,5}\b", is_card
    ),
    Pattern("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", is_iban),
)
