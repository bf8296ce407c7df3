"""Names that were nearly right: of tools, and of their properties.

A wrong name is put right only if exactly one offered name is like it; between two, the model must choose. Spelling
counts word by word, and the first letter must stand: get/set, push/pull and subscribe/unsubscribe are close in
letters and far apart in meaning.
"""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeAlias

LONGEST: Final = 200  # characters of a name; nothing longer was meant as one
MANY: Final = 32  # unknown properties; with more, the model was not filling in this schema
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PREFIX: Final = re.compile(
    r"(?:functions?|tools?|default_api|namespace|assistant|multi_tool_use)[.:/]+", re.IGNORECASE
)
_CALL_NUMBER: Final = re.compile(r"[:#]\d+\Z")  # Kimi writes functions.Bash:0
_TOKEN: Final = re.compile(
    r"<\|.*", re.DOTALL
)  # gpt-oss, where a server lets the next header in: Bash<|channel|>commentary
_SPELLABLE: Final = 4  # letters a word must have before a misspelling of it can be told from another word
_SLIPS: Final = 2
_TELLING: Final = (
    6  # letters a name must have before a misspelling can be told from another name, whatever its words are
)

# Names that mean one thing to the models' training data. Used only for a required property that is missing.
ALIASES: Final[tuple[frozenset[str], ...]] = (
    frozenset({"filepath", "filename", "file", "path", "targetfile", "absolutepath", "fullpath", "pathname"}),
    frozenset({"notebookpath", "notebook", "path", "filepath", "file"}),
    frozenset({"command", "cmd", "shellcommand", "bashcommand", "script", "commandline"}),
    frozenset({"content", "contents", "text", "filetext", "data", "body", "filecontent", "filecontents"}),
    frozenset({"oldstring", "oldstr", "old", "oldtext", "search", "find", "original"}),
    frozenset({"newstring", "newstr", "new", "newtext", "replace", "replacement", "replacewith"}),
    frozenset({"pattern", "regex", "regexp", "glob", "globpattern", "query", "search"}),
    frozenset({"query", "search", "q", "searchquery", "term", "searchterm"}),
    frozenset({"sql", "query", "statement"}),
    frozenset({"url", "uri", "link", "href"}),
    frozenset({"prompt", "instruction", "instructions", "task", "message"}),
    frozenset({"description", "desc", "explanation", "summary"}),
)


# Short forms that are not the beginning of the word.
SHORT_FORMS: Final = {
    "arg": "argument", "args": "arguments", "cmd": "command", "dir": "directory", "max": "maximum", "min": "minimum",
    "msg": "message", "num": "number", "params": "parameters", "regex": "regexp", "str": "string", "txt": "text",
}  # fmt: skip


_Likeness: TypeAlias = Callable[[str, str], bool]


def folded(name: str) -> str:
    """The letters and digits of a name: what camelCase, snake_case and kebab-case have in common."""
    return "".join(filter(str.isalnum, name)).casefold()


def tool(name: str, offered: Collection[str]) -> tuple[str, str] | None:
    """The offered tool that was meant, and the rule that says so; None if no tool or more than one is like it."""
    if len(name) > LONGEST:
        return None
    said = _TOKEN.sub("", name).strip()
    bare = _CALL_NUMBER.sub("", _PREFIX.sub("", said, count=1))
    for rule, like in TOOL_RULES:
        found = [other for other in offered if like(bare, other)]
        if (
            found
        ):  # two of them: a weaker rule must not choose between what a stronger one could not tell apart
            return (found[0], rule) if len(found) == 1 else None
    return None


def renamed(unknown: Collection[str], absent: Collection[str], required: Collection[str]) -> dict[str, str]:
    """Which unknown property was meant by which absent one: unknown -> absent, unique in both directions.

    Args:
        unknown: names the model gave and the schema does not have.
        absent: names the schema has and the model did not give.
        required: those of `absent` without which the call is invalid.
    """
    renames: dict[str, str] = {}
    if len(unknown) > MANY:
        return renames
    torn: set[str] = (
        set()
    )  # between two: a weaker rule must not choose what a stronger one could not tell apart
    surely: tuple[_Likeness, ...] = (_same_letters, _plural, _misspelt, _shortened)
    for like, among in (*((like, absent) for like in surely), (_alias, required), (_contained, required)):
        left = [name for name in unknown if name not in renames and name not in torn and len(name) <= LONGEST]
        free = [name for name in among if name not in renames.values()]
        for name in left:
            meant = [other for other in free if like(name, other)]
            if len(meant) == 1 and _only(other for other in left if like(other, meant[0])) == name:
                renames[name] = meant[0]
            elif meant:
                torn.add(name)
    return renames


def _only(names: Iterable[str]) -> str | None:
    found = list(names)
    return found[0] if len(found) == 1 else None


def _same(name: str, other: str) -> bool:
    return name == other


def _same_but_case(name: str, other: str) -> bool:
    return name.casefold() == other.casefold()


def _same_letters(name: str, other: str) -> bool:
    return folded(name) == folded(other) != ""


def _without_server(name: str, other: str) -> bool:
    """`mcp__github__create_issue`, called create_issue, github_create_issue or github.create_issue."""
    if not other.startswith("mcp__"):
        return False
    _, server, short = (*other.split("__", 2), "", "")[:3]
    return folded(name) != "" and folded(name) in {folded(short), folded(server + short)}


def _called_a_tool(name: str, other: str) -> bool:
    """For Bash, BashTool or tool_bash."""
    mine = folded(name)
    return bool(folded(other)) and mine in (f"{folded(other)}tool", f"tool{folded(other)}")


def _misspelt(name: str, other: str) -> bool:
    """At most two slips in all, one in each word; numbers and first letters are right.

    In words too short for that a letter may be missing, surplus or misplaced, but never another: get is not set.
    """
    ours, theirs = _words(name), _words(other)
    if len(ours) == len(theirs) and _slips(ours, theirs):
        return True
    mine, yours = folded(name), folded(other)
    long_enough = min(len(mine), len(yours)) >= _TELLING and mine[0] == yours[0]
    return (
        long_enough and (len(mine) != len(yours) or sorted(mine) == sorted(yours)) and one_slip(mine, yours)
    )


def _slips(ours: list[str], theirs: list[str]) -> bool:
    slips = 0
    for word, right in zip(ours, theirs, strict=True):
        if word != right:
            slips += 1
            if min(len(word), len(right)) < _SPELLABLE or word[0] != right[0] or not one_slip(word, right):
                return False
    return 0 < slips <= _SLIPS


def _plural(name: str, other: str) -> bool:
    shorter, longer = sorted((folded(name), folded(other)), key=len)
    return len(shorter) > 1 and longer == f"{shorter}s"


def _shortened(name: str, other: str) -> bool:
    """For description, desc, or the other way round: each word whole, or the beginning of the other's, or short for it."""
    ours, theirs = _words(name), _words(other)
    if len(ours) != len(theirs) or ours == theirs:
        return False
    return all(_short_for(*sorted(pair, key=len)) for pair in zip(ours, theirs, strict=True))


def _short_for(short: str, word: str) -> bool:
    begins = len(short) >= _SPELLABLE and word.startswith(short)
    return short == word or begins or SHORT_FORMS.get(short) == word


def _contained(name: str, other: str) -> bool:
    """For start, start_time: one has all the words of the other."""
    ours, theirs = set(_words(name)), set(_words(other))
    return bool(ours and theirs) and ours != theirs and (ours <= theirs or theirs <= ours)


def _words(name: str) -> list[str]:
    return [word.casefold() for word in _WORDS.findall(name)]


def one_slip(word: str, right: str) -> bool:
    """Whether one letter is wrong, missing, surplus, or has changed places with its neighbour; digits never are."""
    start = 0
    while start < min(len(word), len(right)) and word[start] == right[start]:
        start += 1
    mine, yours = word[start:], right[start:]
    if mine[:2].isalpha() and mine[:2] == yours[:2][::-1] and len(mine) > 1 and mine[2:] == yours[2:]:
        return True
    letters = (mine[:1] + yours[:1]).isalpha()
    return letters and (mine[1:] == yours[1:] or mine[1:] == yours or mine == yours[1:])


def _alias(name: str, other: str) -> bool:
    mine, yours = folded(name), folded(other)
    return any(mine in group and yours in group for group in ALIASES)


TOOL_RULES: Final[tuple[tuple[str, Callable[[str, str], bool]], ...]] = (
    ("tool-prefix", _same),
    ("tool-case", _same_but_case),
    ("tool-separators", _same_letters),
    ("tool-server", _without_server),
    ("tool-affix", _called_a_tool),
    ("tool-spelling", _misspelt),
)
