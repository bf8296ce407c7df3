"""The signs of JSON as models write them: quotes, keys, colons, numbers and words, and what is taken for each."""

import re
from typing import Final

SPACE: Final = re.compile(r"(?:[\s\u200b\ufeff]++|//[^\n]*+|/\*(?s:.*?)\*/|\#[^\n]*+)*+")
QUOTES: Final = {'"': '"', "'": "'", "“": "”", "”": "”", "‘": "’", "`": "`"}
CHUNK: Final = {closer: re.compile(rf"[^{closer}\\]*+") for closer in QUOTES.values()}
COLON: Final = r"\s*+(?P<colon>=>|[:：=])"
QUOTED_KEY: Final = re.compile(
    r"(?:\"(?P<double>(?:[^\"\\]|\\.)*+)\"|'(?P<single>(?:[^'\\]|\\.)*+)'|[“”](?P<curly>[^”\\]*+)”)" + COLON,
    re.DOTALL,
)
KEYLIKE: Final = re.compile(
    r"[\"'“”]?[\w$@\\-][^,;(){}\[\]\n]*+\Z"
)  # what code has in quotes is mostly no key
BARE_KEY: Final = re.compile(r"(?P<open>[\"'“]?)(?P<name>[A-Za-z_$][\w$.-]*+)(?P<close>[\"'”]?)" + COLON)
NUMBER: Final = re.compile(r"[+-]?(?:\d[\d_]*+\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?(?=[\s,，}\]/#]|\Z)")
JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
BARE_AND_VALUE: Final = re.compile(BARE_KEY.pattern + r"\s*+(?:[\"'\d\[{-]|true\b|false\b|null\b)")
KEY_WITHOUT_COLON: Final = re.compile(r"\"(?P<name>[A-Za-z_]\w*+)\"\s++(?=[\"\d\[{])")
MARK: Final = re.compile(r"\[/?[A-Z_]+\]")  # Mistral's [TOOL_CALLS], and what others make of it
WORD: Final = re.compile(r"(?:[A-Za-z_]|(?:~|\.{1,2})?/(?=\w))[\w./-]*+")
WORDS: Final = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
NO_VALUES: Final = frozenset({"NaN", "Infinity", "undefined"})
ESCAPES: Final = {
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    '"': '"',
    "\\": "\\",
    "/": "/",
    "'": "'",
}
HEX: Final = re.compile(r"u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U(00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})")
RAW: Final = re.compile(r"[\x00-\x1f]")
WINDOWS_PATH: Final = re.compile(  # every backslash is one: some of them can be nothing else
    r'"(?=[A-Za-z]:[^"]*?\\[^bfnrtu"\\/])([A-Za-z]:(?:\\[^\\"/:*?<>|\x00-\x1f]++)++)"'
)
TRIPLE: Final = re.compile(r"(\"\"\"|''')(?![\"'])((?s:.+?))\1(?![\"'])")  # Python's, for text as it is
RAW_STRING: Final = re.compile(r"""[rR](["'])(?P<text>(?:(?!\1)[^\n])*+)\1(?=\s*[,}\]])""")  # Python's
EMPTY_FIRST: Final = re.compile(
    r"\{\}\s*(?=\{)"
)  # a server began with the empty object, and then let the model speak
COMMAS: Final = ",，"
AFTER_A_STRING: Final = frozenset(",，:}]")
UNFINISHED_KEY: Final = re.compile(r"[\"'“]?[\w$ .-]*+\Z")
ELEMENT: Final = re.compile(r"[\"'“\[{\d+-]|(?:true|false|null|True|False|None)\b")
