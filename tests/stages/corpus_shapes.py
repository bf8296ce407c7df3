"""Kinds of failure in what is written: wrappers, types, names and values that the schema does not have."""

import json
import re

from corpus_hand import dumped, is_missed, is_number, kind, plain, renamed, schema_of, types
from corpus_tools import TOOLS

# --- packed once more ------------------------------------------------------------------------------------------


@kind
def doubled_encoding(rng, tool, arguments):
    text = json.dumps(plain(rng, arguments), ensure_ascii=False)
    return json.dumps(text) if rng.random() < 0.3 else text


@kind
def doubled_encoding_of_python(rng, tool, arguments):
    return json.dumps(repr(arguments), ensure_ascii=False) if arguments else None


WRAPPERS = ["arguments", "parameters", "input", "args", "params", "kwargs", "tool_input"]


@kind
def wrapped(rng, tool, arguments):
    inner = plain(rng, arguments) if rng.random() < 0.4 else arguments
    beside = rng.choice([{}, {"name": tool}, {"tool": tool}, {"type": "function", "name": tool}])
    return plain(rng, {**beside, rng.choice(WRAPPERS): inner})


@kind
def wrapped_twice(rng, tool, arguments):
    return plain(rng, {rng.choice(WRAPPERS): {rng.choice(WRAPPERS): arguments}})


@kind
def wrapped_as_a_function(rng, tool, arguments):
    inner = plain(rng, arguments) if rng.random() < 0.5 else arguments
    return plain(rng, {"type": "function", "function": {"name": tool, "arguments": inner}})


@kind
def wrapped_in_the_tools_name(rng, tool, arguments):
    return plain(rng, {tool: arguments})


@kind
def wrapped_like_a_schema(rng, tool, arguments):
    return plain(rng, {"type": "object", "properties": arguments}) if arguments else None


@kind
def in_a_list(rng, tool, arguments):
    return plain(rng, [arguments])


# --- types ------------------------------------------------------------------------------------------


def with_one(rng, tool, arguments, test, change):
    """The arguments with one value changed, if one passes."""
    names = [name for name, value in arguments.items() if test(name, value)]
    if not names:
        return None
    name = rng.choice(names)
    return plain(rng, {**arguments, name: change(arguments[name])})


@kind
def text_for_a_number(rng, tool, arguments):
    spelt = rng.choice([str, lambda value: f" {value} "])
    return with_one(rng, tool, arguments, lambda name, value: is_number(value), spelt)


@kind
def text_for_a_truth(rng, tool, arguments):
    spelt = rng.choice([str, lambda value: str(value).lower()])
    return with_one(rng, tool, arguments, lambda name, value: isinstance(value, bool), spelt)


@kind
def number_for_a_truth(rng, tool, arguments):
    return with_one(rng, tool, arguments, lambda name, value: isinstance(value, bool), int)


@kind
def text_for_a_list(rng, tool, arguments):
    return with_one(
        rng, tool, arguments, lambda name, value: isinstance(value, list), lambda value: plain(rng, value)
    )


@kind
def python_text_for_a_list(rng, tool, arguments):
    return with_one(rng, tool, arguments, lambda name, value: isinstance(value, list), repr)


@kind
def text_for_an_object(rng, tool, arguments):
    def fits(name, value):
        return isinstance(value, dict) and "anyOf" not in schema_of(tool, name)

    return with_one(rng, tool, arguments, fits, lambda value: plain(rng, value))


@kind
def number_for_a_text(rng, tool, arguments):
    names = [
        name
        for name, value in arguments.items()
        if types(tool, name) == {"string"} and re.fullmatch(r"[\d.]+", str(value))
    ]
    if not names or not isinstance(arguments[names[0]], str) or arguments[names[0]].count(".") > 1:
        return None
    return dumped(arguments).replace(json.dumps(arguments[names[0]]), arguments[names[0]], 1)


@kind
def truth_for_a_text(rng, tool, arguments):
    names = [
        name
        for name, value in arguments.items()
        if types(tool, name) == {"string"} and value in ("true", "false")
    ]
    return dumped({**arguments, names[0]: arguments[names[0]] == "true"}) if names else None


@kind
def one_for_a_list(rng, tool, arguments):
    def fits(name, value):
        return isinstance(value, list) and len(value) == 1 and value[0] is not None

    return with_one(rng, tool, arguments, fits, lambda value: value[0])


@kind
def list_for_one(rng, tool, arguments):
    def fits(name, value):
        return value is not None and not isinstance(value, list | dict)

    return with_one(rng, tool, arguments, fits, lambda value: [value])


@kind
def word_for_a_number(rng, tool, arguments):
    text = with_one(
        rng,
        tool,
        arguments,
        lambda name, value: is_number(value) and "string" not in types(tool, name),
        lambda _: "a few",
    )
    return (text, False) if text else None


# --- names ------------------------------------------------------------------------------------------


def camel(name):
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def slip(rng, word):
    place = rng.randrange(1, len(word) - 1)
    if rng.random() < 0.5:
        return word[:place] + word[place + 1 :]
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def with_renamed(rng, tool, arguments, change, fits=lambda name: True):
    names = [
        name
        for name in arguments
        if is_missed(tool, name) and fits(name) and change(name) not in (name, *arguments)
    ]
    if not names:
        return None
    name = rng.choice(names)
    new = change(name)
    return plain(rng, renamed(arguments, name, new)) if new not in TOOLS[tool]["properties"] else None


@kind
def property_in_another_case(rng, tool, arguments):
    styles = [
        camel,
        str.upper,
        str.capitalize,
        lambda name: name.replace("_", "-"),
        lambda name: name.replace("_", ""),
    ]
    return with_renamed(rng, tool, arguments, rng.choice(styles))


@kind
def property_in_the_plural(rng, tool, arguments):
    return with_renamed(rng, tool, arguments, lambda name: name[:-1] if name.endswith("s") else f"{name}s")


@kind
def property_misspelt(rng, tool, arguments):
    state = rng.getstate()

    def change(name):
        rng.setstate(state)
        return slip(rng, name)

    return with_renamed(rng, tool, arguments, change, lambda name: len(name) > 4 and len(set(name)) > 3)


OTHER_WORDS = {
    "file_path": "path", "command": "cmd", "content": "text", "old_string": "old_str", "new_string": "new_str",
    "pattern": "regex", "sql": "query", "description": "desc", "start": "start_time", "limit": "max_lines",
}  # fmt: skip


@kind
def property_by_another_word(rng, tool, arguments):
    return with_renamed(
        rng, tool, arguments, lambda name: OTHER_WORDS.get(name, name), lambda name: name in OTHER_WORDS
    )


@kind
def property_inside_renamed(rng, tool, arguments):
    if tool not in ("TodoWrite", "AskUser"):
        return None
    (name, items), *_ = arguments.items()
    changed = [
        {camel(key) if "_" in key else key.capitalize(): value for key, value in item.items()}
        for item in items
    ]
    return plain(rng, {name: changed})


@kind
def tool_in_another_case(rng, tool, arguments):
    styles = [
        str.lower,
        str.upper,
        lambda name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(),
        lambda name: name.replace("_", "-"),
    ]
    name = rng.choice(styles)(tool)
    return (name, plain(rng, arguments), True) if name != tool else None


@kind
def tool_with_a_prefix(rng, tool, arguments):
    name = rng.choice(
        ["functions.{}", "tools.{}", "default_api.{}", "functions.{}:0", "tool:{}", " {}", "{}()", "`{}`"]
    )
    return name.format(tool), plain(rng, arguments), True


@kind
def tool_without_its_server(rng, tool, arguments):
    if not tool.startswith("mcp__"):
        return None
    _, server, short = tool.split("__")
    called = [short, f"{server}_{short}", f"{server}.{short}", f"{server}__{short}", f"mcp_{server}_{short}"]
    return rng.choice(called), plain(rng, arguments), True


@kind
def tool_misspelt(rng, tool, arguments):
    short = tool.rpartition("__")[2]
    if len(short) < 5 or (name := tool.replace(short, slip(rng, short))) == tool:
        return None
    return name, plain(rng, arguments), True


@kind
def tool_that_is_none(rng, tool, arguments):
    return (
        rng.choice(["Delete", "search_the_web", "mcp__git__push", "python", "final_answer"]),
        plain(rng, arguments),
        False,
    )


# --- values ------------------------------------------------------------------------------------------


def respelt(rng, value, schema, root, change):
    """The value with every enumerated text in it changed."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema and isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return {name: respelt(rng, child, known.get(name, {}), root, change) for name, child in value.items()}
    if isinstance(value, list):
        return [respelt(rng, child, schema.get("items", {}), root, change) for child in value]
    return value


@kind
def choice_in_another_case(rng, tool, arguments):
    change = rng.choice(
        [str.upper, str.title, lambda text: text.replace("_", " ").replace("-", "_"), lambda text: f" {text}"]
    )
    changed = respelt(rng, arguments, TOOLS[tool], TOOLS[tool], change)
    return plain(rng, changed) if changed != arguments else None


@kind
def choice_that_is_none(rng, tool, arguments):
    changed = respelt(rng, arguments, TOOLS[tool], TOOLS[tool], lambda _: "whatever")
    return (plain(rng, changed), False) if changed != arguments else None


@kind
def null_for_nothing(rng, tool, arguments):
    known = TOOLS[tool]["properties"]
    absent = [name for name in known if name not in arguments and "null" not in types(tool, name)]
    return plain(rng, {**arguments, rng.choice(absent): None}) if absent else None


@kind
def surplus_property(rng, tool, arguments):
    if "additionalProperties" not in TOOLS[tool]:
        return None
    surplus = rng.choice([{"explanation": "because"}, {"thought": "hm"}, {"id": 7}, {"requestedBy": None}])
    return plain(rng, {**arguments, **surplus} if rng.random() < 0.5 else {**surplus, **arguments})


@kind
def missing_required(rng, tool, arguments):
    required = TOOLS[tool]["required"]
    if not required:
        return None
    gone = rng.choice(required)
    return plain(rng, {name: value for name, value in arguments.items() if name != gone}), False


@kind
def nothing_at_all(rng, tool, arguments):
    text = rng.choice(["", " ", "null", '""', "[]"])
    return (text, True) if not arguments else None
