"""What is nearly JSON, read as the one value that it can mean.

A recursive descent that takes other signs for JSON's: quotes of every kind, keys with half of theirs or none, words of
Python, commas too many or too few, comments, signs of full width. It never chooses. Where two readings would do, and where
something is cut off, it gives up:

- A quote inside a string ends it only if what follows could follow a value; and if it does not end it, nothing after it
  may look as if it did. `"echo "hi""` has one reading, `"say "a", b"` has two. What follows is taken for a key only with the
  sign after it that the first key has: `"<a class="x" id="y">"` is one string.
- Missing at the end may be the last brace, and nothing else, after a value that is whole. Not after 12, which may have been
  120, and not inside a list, which may have been longer: half a shell command is another command.
- A bracket may be missing in the middle where the next one that closes says so: in `["a"}` the list ends before the object.
- After the value may stand brackets too many, prose, or the same value once more.

Whatever is not JSON goes by a rule's name, and the names come back with the value. Time is linear in the text: looking ahead
ends after AHEAD characters.
"""

import re
from collections.abc import Callable
from typing import Final

from understudy.stages.signs import (
    AFTER_A_STRING,
    BARE_AND_VALUE,
    BARE_KEY,
    CHUNK,
    COMMAS,
    ELEMENT,
    EMPTY_FIRST,
    ESCAPES,
    HEX,
    JSON_NUMBER,
    KEY_WITHOUT_COLON,
    KEYLIKE,
    MARK,
    NO_VALUES,
    NUMBER,
    QUOTED_KEY,
    QUOTES,
    RAW,
    RAW_STRING,
    SPACE,
    TRIPLE,
    UNFINISHED_KEY,
    WINDOWS_PATH,
    WORD,
    WORDS,
)

DEPTH: Final = 60  # values inside each other; every level costs Python frames
AHEAD: Final = 500  # characters of space and comments between two tokens


class NotNearly(ValueError):
    """The text has no reading, or more than one."""


class CutOff(NotNearly):
    """The text ends too early."""


DOUBTFUL: Final = frozenset({"missing-comma", "mixed-keys", "quote-in-a-string"})
"""Rules after which a member may also have been the inside of a string: it must not be thrown away."""


def nearly(text: str, number: Callable[[str], object]) -> tuple[object, tuple[str, ...]]:
    """The value, and the rules it took to read it.

    Args:
        text: without white space around it.
        number: makes the value of a number spelt as JSON spells it.

    Raises:
        NotNearly: it has no reading, or more than one.
        RecursionError: it is nested too deeply.
    """
    reader = _Reader(text, number)
    return reader.document(), tuple(reader.rules)


class _Reader:
    def __init__(self, text: str, number: Callable[[str], object]) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.rules: dict[str, None] = {}  # in the order of use
        self.colon = ""  # between the first key and its value: text is full of signs that others use for one
        self.style = ""  # of the first key
        self._number = number

    def used(self, rule: str) -> None:
        self.rules[rule] = None

    # --- the whole ---

    def document(self) -> object:
        self.skip()
        if mark := MARK.match(self.text, self.at):
            self.at = mark.end()
            self.used("surrounded")
            self.skip()
        if found := EMPTY_FIRST.match(self.text, self.at):
            self.at = found.end()
            self.used("surrounded")
        if QUOTED_KEY.match(self.text, self.at):
            self.used("missing-brace")
            self.depth = 1
            value: object = self.members()
        else:
            self._to_the_value()
            value = self.value("")
        if {"missing-colon", "quote-in-a-string"} <= self.rules.keys():
            raise NotNearly("strings and keys cannot be told apart")
        self._after(value)
        return value

    def _to_the_value(self) -> None:
        """Past prose: anything before the first bracket in which no string begins."""
        if self.peek() in "{[" or (self.peek() in QUOTES and self.peek() != "`"):
            return
        start = self.text.find("{", self.at)
        if start < 0 or set('[]}"') & set(self.text[self.at : start]):
            raise NotNearly("no object stands alone in it")
        self.at = start
        self.used("surrounded")

    def _after(self, value: object) -> None:
        """Brackets too many, prose, or the same once more."""
        rest = self.text[self.at :].strip().lstrip("}]`,; \t\r\n")
        rest = MARK.sub("", rest).strip()
        if self.text[self.at :].strip():
            self.used("surrounded")
        if not rest:
            return
        if not set("{[") & set(rest):
            torn = "quote-in-a-string" in self.rules and set(QUOTES) & set(rest)
            if torn or rest[0] in QUOTES or rest[0] in ":=：" or set("}]") & set(rest):
                raise NotNearly("it goes on after its end")
            return
        again = _Reader(rest, self._number)
        if repr(again.document()) != repr(value):  # 1 is not true
            raise NotNearly("there is more than one value")
        self.used("said-twice")

    # --- tokens ---

    def skip(self) -> None:
        """White space and comments."""
        end = self._skipped(self.at)
        skipped = set(self.text[self.at : end])
        if skipped & set("/#"):
            self.used("comment")
        elif skipped - set(" \t\r\n"):
            self.used("other-signs")
        self.at = end

    def _skipped(self, at: int) -> int:
        found = SPACE.match(self.text, at, at + AHEAD)
        return found.end() if found else at

    def peek(self) -> str:
        return self._sign_at(self.at)

    def _sign_at(self, at: int) -> str:
        return self.text[at : at + 1]

    # --- values ---

    def value(self, where: str) -> object:
        """The value that begins here; `where` is the bracket around it, empty for the top."""
        sign = self.peek()
        self.depth += 1
        if self.depth > DEPTH:
            raise NotNearly("it is nested too deeply")
        try:
            if sign == "{":
                self.at += 1
                return self.members()
            if sign == "[":
                self.at += 1
                return self.elements()
            if raw := RAW_STRING.match(self.text, self.at):
                self.at = raw.end()
                self.used("literal")
                return raw["text"]
            return self.string(sign, where) if sign in QUOTES else self.scalar()
        finally:
            self.depth -= 1

    def scalar(self) -> object:
        if found := NUMBER.match(self.text, self.at):
            self.at = found.end()
            return self._spelt(found[0])
        found = WORD.match(self.text, self.at)
        if found is None:
            raise CutOff("it is cut off") if not self.peek() else NotNearly("a value is missing")
        word, end = found[0], self._skipped(found.end())
        if word in WORDS:
            self.at = found.end()
            if word[0].isupper():
                self.used("literal")
            return WORDS[word]
        if end >= len(self.text):
            raise CutOff("a word is cut off")
        if word in NO_VALUES or self.text[end] not in ",，}]":
            raise NotNearly("a value without quotes")
        self.at = found.end()
        self.used("bare-value")
        return word

    def _spelt(self, spelt: str) -> object:
        """A number; one that only JavaScript or Python knows is spelt as JSON would."""
        if JSON_NUMBER.fullmatch(spelt):
            return self._number(spelt)
        self.used("number-spelling")
        tidy = spelt.removeprefix("+").replace("_", "")
        tidy = re.sub(r"(?<!\d)\.", "0.", re.sub(r"\.(?!\d)", "", tidy))
        return self._number(tidy) if JSON_NUMBER.fullmatch(tidy) else spelt  # 007 is a text

    def string(self, opener: str, where: str) -> str:
        """A string up to the quote that ends it."""
        if path := WINDOWS_PATH.match(self.text, self.at):
            self.at = path.end()
            self.used("literal")
            return path[1]
        if triple := TRIPLE.match(self.text, self.at):
            self.at = triple.end()
            self.used("literal")
            return triple[2]
        closer, parts, at = QUOTES[opener], [], self.at + 1
        if closer != '"':
            self.used("literal")
        while True:
            chunk = CHUNK[closer].match(self.text, at)
            end = chunk.end() if chunk else at
            parts.append(self.text[at:end])
            if end >= len(self.text):
                raise CutOff("a string is cut off")
            if self.text[end] == "\\":
                said, at = self._escape(end + 1, closer)
                parts.append(said)
                continue
            at = end + 1
            if self._may_follow(at, where):
                break
            if end == self.at + 1 or self._may_have_ended(at, where):
                raise NotNearly("a string that may end in two places")
            self.used("quote-in-a-string")
            parts.append(self.text[end])
        if RAW.search(self.text, self.at, at):
            self.used("control-characters")
        self.at = at
        return "".join(parts)

    def _escape(self, at: int, closer: str) -> tuple[str, int]:
        r"""What an escape means, and where it ends. Of one that JSON does not know, as in `\d`, the backslash is meant."""
        sign = self.text[at : at + 1]
        if not sign:
            raise CutOff("a string is cut off")
        if found := HEX.match(self.text, at):
            if found[1]:
                return self._unicode(found)
            if closer == "'":  # Python's
                return chr(int(found[2] or found[3], 16)), found.end()
        if sign == closer:
            return sign, at + 1
        if closer == "`" and (sign == "\\" or sign.isalpha()):
            raise NotNearly("an escape, or the text of one")  # in a text that is otherwise as it is
        if sign in ESCAPES:
            if sign == "'":
                self.used("literal")
            return ESCAPES[sign], at + 1
        self.used("literal")
        return f"\\{sign}", at + 1

    def _unicode(self, found: re.Match[str]) -> tuple[str, int]:
        high, end = int(found[1], 16), found.end()
        low = HEX.match(self.text, end + 1) if self.text[end : end + 1] == "\\" else None
        if 0xD800 <= high < 0xDC00 and low and low[1] and 0xDC00 <= int(low[1], 16) < 0xE000:  # noqa: PLR2004 - surrogates
            return chr(0x10000 + ((high - 0xD800) << 10) + int(low[1], 16) - 0xDC00), low.end()
        return chr(high), end

    def _may_follow(self, at: int, where: str) -> bool:
        """Whether what stands here can follow a value."""
        at, after = self._skipped(at), at
        sign = self._sign_at(at)
        if not sign:
            return not self.text[after:].strip()  # a comment up to the end is code: `"a"  # b`
        if sign in "}]":
            return True
        if sign == ";":
            return where == "{" and bool(QUOTED_KEY.match(self.text, self._skipped(at + 1)))
        if sign not in COMMAS:
            return where != "" and self._starts(at, where, after_comma=False)
        at = self._skipped(at + 1)
        return self._sign_at(at) in ("", *COMMAS, "}", "]") or self._starts(at, where, after_comma=True)

    def _starts(self, at: int, where: str, *, after_comma: bool) -> bool:
        """Whether the next member of an object or element of a list begins here."""
        if where == "[":
            return bool(ELEMENT.match(self.text, at))
        if UNFINISHED_KEY.match(self.text, at):
            return True
        keys = (QUOTED_KEY, BARE_KEY) if after_comma else (QUOTED_KEY,)
        found = next(filter(None, (key.match(self.text, at) for key in keys)), None)
        return (
            found is not None and self.colon in ("", _plain(found["colon"])) and bool(KEYLIKE.match(found[0]))
        )

    def _may_have_ended(self, at: int, where: str) -> bool:
        """Whether a quote that cannot be the end of a string looks as if it were, to one who forgets commas."""
        at = self._skipped(at)
        found = BARE_AND_VALUE.match(self.text, at) if where == "{" else None
        return self._sign_at(at) in AFTER_A_STRING or (
            found is not None and self.colon == _plain(found["colon"])
        )

    # --- brackets ---

    def members(self) -> dict[str, object]:
        """The members of an object up to its brace."""
        made: dict[str, object] = {}
        self._leading_commas()
        while True:
            self.skip()
            sign = self.peek()
            if sign == "}":
                self.at += 1
                return made
            if sign == "]" and self.depth > 1 and made:
                self.used("missing-bracket")
                return made
            if sign == "{" and self.depth == 1 and not made and "surrounded" not in self.rules:
                self.at += 1  # {{...}}, from a template in which braces are doubled
                self.used("surrounded")
                continue
            if not sign:
                return self._without_its_brace(made)
            name = self.key()
            self.skip()
            made[name] = self.value("{")
            self._between("}]")

    def _without_its_brace(self, made: dict[str, object]) -> dict[str, object]:
        said = self.text.rstrip()
        whole = said.endswith((*QUOTES.values(), "}", "]", *WORDS))
        if self.depth > 1 or not whole or not made:
            raise CutOff("more than the last brace is missing")
        self.used("missing-brace")
        return made

    def key(self) -> str:
        """A key and its colon."""
        if found := QUOTED_KEY.match(self.text, self.at):
            self.at, name = found.end(), found["double"]
            if name is None:
                self.used("literal")
                name = found["single"] if found["single"] is not None else found["curly"]
            name = self._unescaped(name)
        elif found := BARE_KEY.match(self.text, self.at):
            self.at, name = found.end(), found["name"]
            self.used("half-quoted-key" if found["open"] or found["close"] else "literal")
        elif found := KEY_WITHOUT_COLON.match(self.text, self.at):
            self.at = found.end()
            self.used("missing-colon")
            return found["name"]
        else:
            raise (CutOff if UNFINISHED_KEY.match(self.text, self.at) else NotNearly)(
                "no key where one must stand"
            )
        if found["colon"] != ":":
            self.used("other-signs")
        colon, style = _plain(found["colon"]), "bare" if found.re is BARE_KEY else "quoted"
        if self.colon and (colon, style) != (self.colon, self.style):
            self.used("mixed-keys")
        self.colon, self.style = self.colon or colon, self.style or style
        return name

    def _unescaped(self, name: str) -> str:
        return _Reader(f'"{name}"', self._number).string('"', "") if "\\" in name else name

    def elements(self) -> list[object]:
        """The elements of a list up to its bracket."""
        made: list[object] = []
        self._leading_commas()
        while True:
            self.skip()
            sign = self.peek()
            if sign == "]":
                self.at += 1
                return made
            if sign == "}" and self.depth > 1 and made:
                self.used("missing-bracket")
                return made
            if not sign:
                raise CutOff("a list is cut off")
            made.append(self.value("["))
            self._between("]}")

    def _leading_commas(self) -> None:
        if self._commas():
            self.used("surplus-comma")

    def _between(self, closing: str) -> None:
        """The comma after a member or an element: one, or none where a bracket closes."""
        count = self._commas()
        if not count and self.peek() and self.peek() not in closing:
            self.used("missing-comma")
        if count > 1 or (count and self.peek() in closing):
            self.used("surplus-comma")

    def _commas(self) -> int:
        """How many commas stand here."""
        count = 0
        self.skip()
        while (sign := self.peek()) and sign in f"{COMMAS};":
            if sign != ",":
                self.used("other-signs")
            self.at += 1
            count += 1
            self.skip()
        if count and not self.peek():
            raise CutOff("it is cut off")
        return count


def _plain(colon: str) -> str:
    """The colon that a sign between key and value stands for: of full width or not is the same."""
    return ":" if colon in ":：" else colon
