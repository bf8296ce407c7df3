"""How the corpus writes: JSON in many hands, and what a kind of failure may ask of a tool's schema."""

import json

from corpus_tools import TOOLS

KINDS = {}


def kind(make):
    """A kind of failure. Given (rng, tool, arguments), it makes text, or (text, recoverable), or (name, text, recoverable).

    None where it does not apply.
    """
    KINDS[make.__name__.replace("_", "-")] = make
    return make


def dumped(
    value, *, string=json.dumps, key=None, colon=": ", comma=", ", words=("true", "false", "null"), end=""
):
    """JSON in another hand. `end` stands before every closing bracket."""
    again = {"string": string, "key": key, "colon": colon, "comma": comma, "words": words, "end": end}
    if isinstance(value, dict):
        inside = comma.join(f"{(key or string)(k)}{colon}{dumped(v, **again)}" for k, v in value.items())
        return f"{{{inside}{end if value else ''}}}"
    if isinstance(value, list):
        return f"[{comma.join(dumped(each, **again) for each in value)}{end if value else ''}]"
    if isinstance(value, str):
        return string(value)
    return (
        words[0]
        if value is True
        else words[1]
        if value is False
        else words[2]
        if value is None
        else json.dumps(value)
    )


def plain(rng, value):
    """As models write it: spaced, tight or over several lines."""
    return json.dumps(
        value, ensure_ascii=False, **rng.choice([{}, {"separators": (",", ":")}, {"indent": 2}])
    )


def strings(value):
    if isinstance(value, dict):
        return [text for child in value.values() for text in strings(child)]
    if isinstance(value, list):
        return [text for child in value for text in strings(child)]
    return [value] if isinstance(value, str) else []


def last(value):
    """The last scalar."""
    while isinstance(value, dict | list) and value:
        value = list(value.values())[-1] if isinstance(value, dict) else value[-1]
    return value


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def having(arguments, test):
    """The properties at the top level whose value passes."""
    return [name for name, value in arguments.items() if test(value)]


def schema_of(tool, name):
    return TOOLS[tool]["properties"][name]


def types(tool, name):
    schema = schema_of(tool, name)
    told = schema.get("type", [])
    return {told} if isinstance(told, str) else set(told) if "anyOf" not in schema else {"any"}


def renamed(arguments, old, new):
    return {new if name == old else name: value for name, value in arguments.items()}


def is_missed(tool, name):
    """Whether a property under another name is noticed: it is required, or the schema has no room for others."""
    return name in TOOLS[tool]["required"] or "additionalProperties" in TOOLS[tool]
