"""Kinds of failure in the text: calls that are not quite JSON."""

import json
import re

from corpus_hand import dumped, having, is_number, kind, last, plain, strings

# --- brackets, commas, ends ------------------------------------------------------------------------------------------


@kind
def missing_last_brace(rng, tool, arguments):
    return (plain(rng, arguments)[:-1], not is_number(last(arguments))) if arguments else None


@kind
def missing_first_brace(rng, tool, arguments):
    return plain(rng, arguments)[1:] if arguments else None


@kind
def missing_both_braces(rng, tool, arguments):
    return (plain(rng, arguments)[1:-1], not is_number(last(arguments))) if arguments else None


@kind
def missing_bracket_of_a_list(rng, tool, arguments):
    text = plain(rng, arguments)
    places = [
        found.start()
        for found in re.finditer(r"\](?=\s*[},])", text)
        if text[: found.start()].count('"') % 2 == 0
    ]
    if not places or any(set("[]") & set(each) for each in strings(arguments)):
        return None
    place = rng.choice(places)
    return text[:place] + text[place + 1 :], text[place + 1 :].lstrip().startswith("}")


@kind
def missing_brace_in_a_list(rng, tool, arguments):
    text = plain(rng, arguments)
    places = [found.start() for found in re.finditer(r"\}(?=\s*\])", text)]
    if not places or any(set("{}[]") & set(each) for each in strings(arguments)):
        return None
    place = rng.choice(places)
    return text[:place] + text[place + 1 :]


@kind
def surplus_brackets(rng, tool, arguments):
    return plain(rng, arguments) + rng.choice(["}", "]", "}}", "]}", "\n}"])


@kind
def cut_off(rng, tool, arguments):
    text = json.dumps(arguments, ensure_ascii=False)
    end = len(text.rstrip('}]" '))
    return (text[: rng.randrange(1, end)], False) if end > 2 else None


@kind
def missing_comma(rng, tool, arguments):
    if len(arguments) < 2:
        return None
    parts = [
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items()
    ]
    place = rng.randrange(1, len(parts))
    return f"{{{', '.join(parts[:place])}{rng.choice([' ', chr(10)])}{', '.join(parts[place:])}}}"


@kind
def trailing_comma(rng, tool, arguments):
    return dumped(arguments, end=rng.choice([",", ", ", ",\n"])) if arguments else None


@kind
def doubled_comma(rng, tool, arguments):
    return dumped(arguments, comma=rng.choice([",,", ", ,"])) if len(arguments) > 1 else None


@kind
def leading_comma(rng, tool, arguments):
    return "{" + rng.choice([",", ", "]) + plain(rng, arguments)[1:] if arguments else None


@kind
def other_colons(rng, tool, arguments):
    return dumped(arguments, colon=rng.choice([" = ", " => ", "= "])) if arguments else None


# --- quotes and words ------------------------------------------------------------------------------------------


def python(text):
    return repr(text)


def singly(text):
    return "'" + json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


@kind
def python_literal(rng, tool, arguments):
    return repr(arguments) if arguments else None


@kind
def single_quotes(rng, tool, arguments):
    return dumped(arguments, string=singly) if arguments else None


@kind
def single_quotes_around_apostrophes(rng, tool, arguments):
    if not any("'" in text for text in strings(arguments)):
        return None
    within = all(re.search(r"\w'\w", text) and text.count("'") == len(re.findall(r"\w'\w", text))
                 for text in strings(arguments) if "'" in text)  # fmt: skip
    return dumped(arguments, string=lambda text: singly(text).replace("\\'", "'")), within


@kind
def python_words(rng, tool, arguments):
    text = dumped(arguments, words=("True", "False", "None"))
    return text if text != dumped(arguments) else None


@kind
def bare_keys(rng, tool, arguments):
    return dumped(arguments, key=str) if arguments else None


@kind
def half_quoted_keys(rng, tool, arguments):
    half = rng.choice([lambda name: f'"{name}', lambda name: f'{name}"'])
    return dumped(arguments, key=half) if arguments else None


@kind
def bare_values(rng, tool, arguments):
    words = having(
        arguments, lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value)
    )
    if not words or any(arguments[name] in ("true", "false", "null") for name in words):
        return None
    bare = rng.choice(words)
    return dumped(arguments).replace(json.dumps(arguments[bare]), arguments[bare], 1) if json.dumps(
        arguments[bare]) not in dumped({bare: 0}) else None  # fmt: skip


@kind
def curly_quotes(rng, tool, arguments):
    if any(set('“”"\\\n') & set(text) for text in strings(arguments)) or not arguments:
        return None
    return dumped(arguments, string=lambda text: f"“{text}”")


@kind
def quotes_within_quotes(rng, tool, arguments):
    if not any('"' in text for text in strings(arguments)):
        return None
    could_end = any(re.search(r'"\s*[,:}\]]|"\s*$', text) for text in strings(arguments))
    return dumped(
        arguments, string=lambda text: json.dumps(text, ensure_ascii=False).replace('\\"', '"')
    ), not could_end


@kind
def full_width_signs(rng, tool, arguments):
    return dumped(arguments, colon="：", comma=rng.choice([", ", "，"])) if arguments else None


@kind
def odd_spaces(rng, tool, arguments):
    return dumped(arguments, colon=":\u00a0", comma=",\u3000") if arguments else None


def raw(text):
    """The string with its line breaks and tabs as they are."""
    return (
        '"'
        + "".join(char if char in "\n\t" else json.dumps(char, ensure_ascii=False)[1:-1] for char in text)
        + '"'
    )


@kind
def raw_line_breaks(rng, tool, arguments):
    return (
        dumped(arguments, string=raw) if any(set("\n\t") & set(text) for text in strings(arguments)) else None
    )


@kind
def unescaped_backslashes(rng, tool, arguments):
    texts = [text for text in strings(arguments) if "\\" in text]
    if not texts:
        return None
    misread = any(re.search(r'\\[bfnrtu"\\/]|\\$', text) for text in texts)
    return dumped(
        arguments, string=lambda text: json.dumps(text, ensure_ascii=False).replace("\\\\", "\\")
    ), not misread


@kind
def escaped_apostrophes(rng, tool, arguments):
    if not any("'" in text for text in strings(arguments)):
        return None
    return dumped(arguments, string=lambda text: json.dumps(text, ensure_ascii=False).replace("'", "\\'"))


@kind
def odd_numbers(rng, tool, arguments):
    numbers = having(arguments, is_number)
    if not numbers:
        return None
    name = rng.choice(numbers)
    value = arguments[name]
    spelt = [f"+{value}", f"{value:,}".replace(",", "_")]
    spelt += [f"{value}."] if isinstance(value, int) else [str(value).lstrip("0")]
    odd = rng.choice([each for each in spelt if each != str(value)])
    return dumped({**arguments, name: "@@"}).replace('"@@"', odd)


@kind
def numbers_that_are_none(rng, tool, arguments):
    numbers = having(arguments, is_number)
    if not numbers:
        return None
    text = dumped({**arguments, rng.choice(numbers): "@@"})
    return text.replace('"@@"', rng.choice(["NaN", "Infinity", "-Infinity"])), False


@kind
def triple_quotes(rng, tool, arguments):
    """Python's, around a text of several lines."""
    texts = [
        name for name in having(arguments, lambda value: isinstance(value, str)) if "\n" in arguments[name]
    ]
    if not texts:
        return None
    name = rng.choice(texts)
    value = arguments[name]
    if "\\" in value or value.startswith('"') or value.endswith('"'):
        return None
    return dumped({**arguments, name: "@@"}).replace('"@@"', f'"""{value}"""')


# --- what stands around it ------------------------------------------------------------------------------------------


@kind
def prose_after(rng, tool, arguments):
    words = [
        "\n\nNow I wait for the result.",
        " // done",
        "\nThis calls the tool.",
        '\n\nI\'ll read "main.py" next.',
    ]
    return plain(rng, arguments) + rng.choice(words)


@kind
def prose_before(rng, tool, arguments):
    return rng.choice(["Here is the call: ", "json\n", "Arguments:\n", "Sure!\n\n", "JSON: "]) + plain(
        rng, arguments
    )


@kind
def code_fence(rng, tool, arguments):
    text = plain(rng, arguments)
    return rng.choice([f"```json\n{text}\n```", f"```\n{text}\n```", f"```{text}```", f"```json\n{text}", f"{text}\n```",
                       f"Here:\n```json\n{text}\n```\nDone."])  # fmt: skip


@kind
def stray_marks(rng, tool, arguments):
    return plain(rng, arguments) + rng.choice(
        ["</tool_call>", "<|im_end|>", "</s>", "\n</function>", "<|eot_id|>"]
    )


@kind
def byte_order_mark(rng, tool, arguments):
    return rng.choice(["\ufeff", "\u200b", "\ufeff\n"]) + plain(rng, arguments)


@kind
def comments(rng, tool, arguments):
    if not arguments:
        return None
    mark = rng.choice([" // as asked\n", " /* as asked */ ", " # as asked\n"])
    return dumped(arguments, comma=f",{mark}", end=mark)


@kind
def said_twice(rng, tool, arguments):
    text = plain(rng, arguments)
    return f"{text}{rng.choice(['', chr(10), ' '])}{text}" if arguments else None


@kind
def two_calls(rng, tool, arguments):
    other = {name: "other" if isinstance(value, str) else value for name, value in arguments.items()}
    return (plain(rng, arguments) + plain(rng, other), False) if other != arguments else None
