"""Whether a GBNF grammar, as llama.cpp writes them from schemas, admits a text (llama.cpp `grammars/README.md`).

    Gbnf(grammar).admits("tool-0-schema", '{"a": 1}')

A recogniser over sets of positions: no backtracking, and recursion that consumes something is no trouble.
"""

import re

_TOKEN = re.compile(
    r"""\s*(?:(?P<literal>"(?:\\.|[^"\\])*")|(?P<chars>\[(?:\\.|[^\]\\])*\])|(?P<name>[A-Za-z0-9-]+)"""
    r"""|(?P<sign>[()|*+?.]|\{\d+(?:,\d*)?\}))"""
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SHORT = {"n": "\n", "r": "\r", "t": "\t"}


def _unescaped(text):
    """The characters of a literal or class, each with whether it was escaped."""
    at, found = 0, []
    while at < len(text):
        if match := _ESCAPE.match(text, at):
            code = match[1] or match[2] or match[3]
            assert code or match[4] in 'nrt"\\[]-', f"unknown escape in {text!r}"
            found.append((chr(int(code, 16)) if code else _SHORT.get(match[4], match[4]), True))
            at = match.end()
        else:
            found.append((text[at], False))
            at += 1
    return found


class Gbnf:
    """A grammar, parsed."""

    def __init__(self, grammar):
        self.rules = {}
        for line in grammar.splitlines():
            name, _, body = line.partition(" ::= ")
            self.rules[name] = _Parser(body).whole()
        self._memo = {}

    def admits(self, rule, text):
        self._memo = {}
        return len(text) in self._ends(("rule", rule), text, 0)

    def _ends(self, node, text, start):
        key = id(node), start
        if key not in self._memo:
            self._memo[key] = (
                node,
                getattr(self, f"_{node[0]}")(node, text, start),
            )  # the node is kept, or its id is reused
        return self._memo[key][1]

    def _rule(self, node, text, start):
        return self._ends(self.rules[node[1]], text, start)

    def _literal(self, node, text, start):
        return {start + len(node[1])} if text.startswith(node[1], start) else set()

    def _chars(self, node, text, start):
        return {start + 1} if start < len(text) and node[1](text[start]) else set()

    def _either(self, node, text, start):
        return set().union(*(self._ends(each, text, start) for each in node[1]))

    def _sequence(self, node, text, start):
        ends = {start}
        for each in node[1]:
            ends = set().union(*(self._ends(each, text, end) for end in ends))
        return ends

    def _repeat(self, node, text, start):
        _, part, least, most = node
        now, ends, count = {start}, {start} if not least else set(), 0
        while now and (most is None or count < most):
            now = set().union(*(self._ends(part, text, at) for at in now))
            count += 1
            if count >= least:
                now -= ends
                ends |= now
        return ends


class _Parser:
    def __init__(self, body):
        self.tokens, at = [], 0
        body = body.rstrip()
        while at < len(body):
            match = _TOKEN.match(body, at)
            assert match, f"not GBNF: {body[at : at + 40]!r}"
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self.at = 0

    def whole(self):
        tree = self.alternatives()
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return tree

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else (None, None)

    def alternatives(self):
        branches = [self.sequence()]
        while self.peek() == ("sign", "|"):
            self.at += 1
            branches.append(self.sequence())
        return ("either", branches)

    def sequence(self):
        parts = []
        while self.peek()[0] and self.peek()[1] not in ("|", ")"):
            kind, text = self.peek()
            self.at += 1
            parts.append(self.repeated(self.part(kind, text)))
        return ("sequence", parts)

    def part(self, kind, text):
        if kind == "literal":
            return ("literal", "".join(char for char, _ in _unescaped(text[1:-1])))
        if kind == "chars":
            return ("chars", _char_test(text[1:-1]))
        if kind == "name":
            return ("rule", text)
        if text == ".":
            return ("chars", lambda char: True)
        assert text == "(", text
        tree = self.alternatives()
        assert self.peek() == ("sign", ")")
        self.at += 1
        return tree

    def repeated(self, part):
        kind, text = self.peek()
        counts = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if kind == "sign" and (text in counts or text[0] == "{"):
            self.at += 1
            least, comma, most = text.strip("{}").partition(",") if text[0] == "{" else ("", "", "")
            pair = counts.get(text) or (int(least), int(most) if most else None if comma else int(least))
            return self.repeated(("repeat", part, *pair))
        return part


def _char_test(inside):
    negated = inside.startswith("^")
    chars, ranges, at = _unescaped(inside[negated:]), [], 0
    while at < len(chars):
        if at + 2 < len(chars) and chars[at + 1] == ("-", False):
            ranges.append((chars[at][0], chars[at + 2][0]))
            at += 3
        else:
            ranges.append((chars[at][0], chars[at][0]))
            at += 1
    return lambda char: any(low <= char <= high for low, high in ranges) != negated
