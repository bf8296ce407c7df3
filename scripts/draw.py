"""Draws what documents show of the code: grammar, tree, settings, metrics, schemas, syntaxes, checks, the last benchmark.

    .venv/bin/python scripts/draw.py            writes them into the documents
    .venv/bin/python scripts/draw.py --check    only says which of them are out of date

What is drawn stands between `<!-- drawn: NAME -->` and `<!-- end -->`. tests/test_tree.py compares it with the code.
`make bench ARGS="--json docs/bench.json"` before it renews the numbers.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from statistics import median

import msgspec

from understudy.config import Config
from understudy.conform.checks import DIALECTS
from understudy.language.events import GRAMMAR, State
from understudy.observe.metrics import REGISTRY
from understudy.request.schema import TASTES, GrammarTaste, cut
from understudy.stages.reasoning import TAGS, WRAPPINGS
from understudy.stages.toolsyntax import ROWS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "understudy"
BENCH = ROOT / "docs" / "bench.json"
EXAMPLE = ROOT / "understudy.example.toml"
PLACE = re.compile(r"(<!-- drawn: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
KEY = re.compile(r"""^\#\ "?([\w*-]+)"?\ =\ .*?\ {2}\#\ (optional|required)(.*)$""", re.VERBOSE)
DEFAULT = re.compile(r", default (.*?): (.*)$")
NAMES = 26
"""Columns the tree gives to names."""


def grammar() -> str:
    """GRAMMAR as a state diagram."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> IDLE"]
    lines += [f'    state "{state.value}" as {state.name}' for state in State]
    for state, moves in GRAMMAR.items():
        by_end = sorted(moves.items(), key=lambda move: list(State).index(move[1]))
        for end, group in groupby(by_end, key=lambda move: move[1]):
            words = " or ".join(word for word, _ in group)
            lines.append(f"    {state.name} --> {end.name}: {words}")
    return "\n".join([*lines, "    DONE --> [*]", "```"])


def tree() -> str:
    """Every module with the first sentence of its docstring."""
    return "\n".join(["```", "understudy/", *_branch(PACKAGE, "  "), "```"])


def _branch(folder: Path, indent: str) -> Iterator[str]:
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            yield f"{indent}{path.name:<{NAMES - len(indent)}} {sentence(path)}"
    for path in sorted(folder.iterdir()):
        if (path / "__init__.py").exists():
            yield f"{indent}{path.name + '/':<{NAMES - len(indent)}} {sentence(path / '__init__.py')}"
            yield from _branch(path, indent + "  ")


def sentence(path: Path) -> str:
    """The first sentence of a module's docstring.

    Raises:
        SystemExit: it has none.
    """
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not said:
        sys.exit(f"{path.relative_to(ROOT)} has no docstring")
    return said.splitlines()[0].partition(". ")[0].rstrip(".")


def settings() -> str:
    """Every setting, as understudy.example.toml explains it.

    Raises:
        SystemExit: a setting is not explained there.
    """
    known = explained()
    out = []
    for section in msgspec.structs.fields(Config):
        rows = [known.get((section.name, name)) for name in _keys(section)]
        if None in rows:
            sys.exit(f"[{section.name}]: understudy.example.toml does not explain each of {_keys(section)}")
        title = f"[[{section.name}]]" if section.name == "engines" else f"[{section.name}]"
        out += [f"### `{title}`", "", "| Key | Default | Meaning |", "|---|---|---|", *map(str, rows), ""]
    return "\n".join(out)


def _keys(section: msgspec.structs.FieldInfo) -> list[str]:
    if section.name == "models":
        return ["claude-*", "auto"]
    kind = section.type.__args__[0] if section.name == "engines" else section.type
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def explained() -> dict[tuple[str, str], str]:
    """The rows of the example file, by section and key."""
    out = {}
    section = ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"(?:# )?\[+(\w+)\]+", line):
            section = heading[1]
        elif found := KEY.match(line):
            default = DEFAULT.match(found[3])
            value, meaning = (default[1], default[2]) if default else ("required", found[3].lstrip(": "))
            out[section, found[1]] = f"| `{found[1]}` | {_code(value)} | {meaning} |"
    return out


def _code(value: str) -> str:
    """`"64MB"`, and what stands behind it in brackets as text."""
    literal, bracket, why = value.partition(" (")
    if literal in ("required", "unset"):
        return literal + bracket + why
    return f"`{literal}`{bracket}{why}"


def metrics() -> str:
    """Every metric."""
    lines = ["| Metric | Kind | Labels | Meaning |", "|---|---|---|---|"]
    for family in REGISTRY.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        lines.append(f"| `{name}` | {family.type} | {_labels(family.name)} | {family.documentation} |")
    return "\n".join(lines)


def _labels(family: str) -> str:
    for collector, names in REGISTRY._collector_to_names.items():  # noqa: SLF001 - there is no other way to them
        if family in names:
            return ", ".join(f"`{label}`" for label in getattr(collector, "_labelnames", ()))
    return ""


WORDS = {
    "1,000 streamed answers": "1,000 个流式回答",
    "1,000 whole answers": "1,000 个非流式回答",
    "100k paced chunks": "100,000 个按节奏到达的数据块",
    "CPU, ": "CPU，",
    "peak memory": "内存峰值",
    "start to ready, CPU": "从启动到就绪的 CPU",
    "ratio": "比值",
}
"""The table of `make bench` in Chinese."""


class Figures(msgspec.Struct):
    """One server in docs/bench.json, as `bench --json` writes it."""

    cpu: dict[str, list[float]]
    start_cpu: list[float]
    memory: int


class Report(msgspec.Struct):
    """docs/bench.json."""

    figures: dict[str, Figures]
    ratios: dict[str, float]


def bench() -> str:
    """The table of the run that docs/bench.json has."""
    report = msgspec.json.decode(BENCH.read_bytes(), type=Report)
    ours, theirs = report.figures["understudy"], report.figures["nginx"]
    rows = [
        (f"CPU, {name}", *(f"{median(row.cpu[name]):.2f} s" for row in (ours, theirs)), f"{ratio:.2f}")
        for name, ratio in report.ratios.items()
    ]
    rows.append(("peak memory", *(f"{row.memory / 2**20:.0f} MB" for row in (ours, theirs)), ""))
    rows.append(("start to ready, CPU", *(f"{median(row.start_cpu):.3f} s" for row in (ours, theirs)), ""))
    lines = ["| | understudy | nginx | ratio |", "|---|---:|---:|---:|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def benchzh() -> str:
    """The same in Chinese."""
    table = bench()
    for word, chinese in WORDS.items():
        table = table.replace(word, chinese)
    return table


def syntaxes() -> str:
    """Every tool-call syntax, in the order of their names."""
    rows = sorted(ROWS, key=lambda row: row.name)
    lines = ["| `tool_syntax` | Models | A call |", "|---|---|---|"]
    for row in rows:
        star = r" \*" if row.shy else ""
        lines.append(f"| `{row.name}`{star} | {row.models} | {_span(row.example)} |")
    return "\n".join(lines)


def reasoning() -> str:
    """What stands around reasoning."""
    lines = ["| Before | After | |", "|---|---|---|"]
    for tag in TAGS:
        notes = ["counts later, too"] if tag.again else []
        notes += [f"only in models named {tag.names.pattern}"] if tag.names else []
        lines.append(f"| {_span(tag.opener)} | {_span(tag.closer)} | {', '.join(notes)} |")
    return "\n".join(lines)


def wrappings() -> str:
    """What stands around visible text."""
    lines = ["| Before | After | |", "|---|---|---|"]
    lines += [
        f"| {_span(row.opener)} | {_span(row.closer)} | {'after reasoning only' if row.after else ''} |"
        for row in WRAPPINGS
    ]
    return "\n".join(lines)


def checks() -> str:
    """Every check of `understudy conform`, by dialect."""
    out = []
    for dialect, rows in DIALECTS.items():
        out += [f"### `--dialect {dialect}`", "", "| Check | | A right server | Else |", "|---|---|---|---|"]
        out += [f"| `{row.id}` | {row.level} | {row.says} | {row.costs} |" for row in rows]
        out.append("")
    return "\n".join(out)


def _span(text: str) -> str:
    """Text as code in a table: no line breaks, no bars, and more backticks around it than in it."""
    if not text:
        return ""
    ticks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    blank = " " if "`" in text or text != text.strip() else ""
    inside = text.replace("\n", "↵").replace("|", r"\|")
    return f"{ticks}{blank}{inside}{blank}{ticks}"


SAMPLES: dict[str, dict[str, object]] = {
    "`properties`, `required`, `additionalProperties`, `items`, `enum`, `const`": {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"enum": [1, "a"]}}, "b": {"const": 1}},
        "required": ["a"],
        "additionalProperties": False,
    },
    "`$ref`": {"$defs": {"s": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/s"}}},
    "`$ref` that leads back": {
        "$defs": {"s": {"type": "object", "properties": {"n": {"$ref": "#/$defs/s"}}}},
        "properties": {"x": {"$ref": "#/$defs/s"}},
    },
    "`allOf`": {"allOf": [{"type": "string"}, {"enum": ["a"]}]},
    "`anyOf`": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "`anyOf` beside other keywords": {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "anyOf": [{"required": ["a"]}],
    },
    "`oneOf`, branches that cannot both hold": {"oneOf": [{"type": "string"}, {"type": "null"}]},
    "`oneOf`, others": {"oneOf": [{"type": "string"}, {"enum": ["a"]}]},
    "`pattern`: `^[a-z]+$`": {"type": "string", "pattern": "^[a-z]+$"},
    "`pattern`: `^\\d+\\w$`": {"type": "string", "pattern": r"^\d+\w$"},
    "`pattern` with `\\s`, `.`, `[^...]`, or not anchored": {"type": "string", "pattern": r"^a\sb"},
    "`pattern` with a lookahead": {"type": "string", "pattern": r"^(?=a)[a-z]+$"},
    "`pattern` with `\\p{...}` or `\\1`": {"type": "string", "pattern": r"^(a)\1$"},
    "`minLength`, `maxLength` up to 256": {"type": "string", "minLength": 2, "maxLength": 256},
    "`minItems`, `maxItems` up to 256": {
        "type": "array",
        "items": {"type": "null"},
        "minItems": 2,
        "maxItems": 256,
    },
    "bounds of an integer": {"type": "integer", "minimum": 1, "exclusiveMaximum": 9},
    "bounds of a number": {"type": "number", "minimum": 1},
    "`multipleOf` of an integer": {"type": "integer", "multipleOf": 5},
    "`prefixItems` of a fixed length": {
        "type": "array",
        "prefixItems": [{"type": "null"}],
        "minItems": 1,
        "items": False,
    },
    "`prefixItems`": {"type": "array", "prefixItems": [{"type": "null"}]},
    "`propertyNames` with an `enum`": {
        "type": "object",
        "propertyNames": {"enum": ["a"]},
        "additionalProperties": {"type": "null"},
    },
    "`propertyNames`": {"type": "object", "propertyNames": {"pattern": "^a"}},
    "`patternProperties`": {"type": "object", "patternProperties": {"^a": {"type": "null"}}},
    "`format`": {"type": "string", "format": "uri"},
    "`if`, `not`, `contains`, `dependent...`, `unevaluated...`": {
        "type": "object",
        "not": {"required": ["a"]},
    },
    "`uniqueItems`, `minProperties`, `maxProperties`": {
        "type": "array",
        "items": {"type": "null"},
        "uniqueItems": True,
    },
    "a keyword without its `type`": {"minItems": 1, "items": {"type": "null"}},
    "`title`, `description`, `default`, `examples`": {"type": "null", "description": "d", "default": None},
}
"""A schema for what each line of the table is about."""
ENGINES = {
    "llama.cpp": "llama.cpp, LM Studio",
    "ollama": "Ollama",
    "xgrammar": "vLLM, SGLang",
    "llguidance": "embedded",
}


def schemas() -> str:
    """What becomes of a schema's keywords, by asking the cut."""
    lines = [f"| | {' | '.join(ENGINES.values())} |", f"|---|{'---|' * len(ENGINES)}"]
    for label, sample in SAMPLES.items():
        shared = {"$defs": sample["$defs"]} if "$defs" in sample else {}
        one = sample["properties"]["x"] if shared else sample
        whole = {**shared, "type": "object", "properties": {"x": one}}
        lines.append(f"| {label} | {' | '.join(_fate(whole, TASTES[row]) for row in ENGINES)} |")
    return "\n".join(lines)


def _fate(schema: dict[str, object], taste: GrammarTaste) -> str:
    made = cut(msgspec.json.encode(schema), taste)
    after = msgspec.json.decode(made.schema)
    if made.dropped:
        before, now = schema["properties"]["x"].keys(), after["properties"]["x"].keys()
        return "dropped" if before - now and not now - before - {"description"} else "widened"
    if after == schema:
        return "kept"
    return "dropped" if after["properties"]["x"] == {"type": "null"} else "said otherwise"


DRAWINGS: dict[str, Callable[[], str]] = {
    "grammar": grammar,
    "tree": tree,
    "settings": settings,
    "metrics": metrics,
    "syntaxes": syntaxes,
    "reasoning": reasoning,
    "wrappings": wrappings,
    "checks": checks,
    "bench": bench,
    "benchzh": benchzh,
    "schemas": schemas,
}
DOCUMENTS = (
    *("ARCHITECTURE.md", "README.md", "README.zh.md"),
    *(
        "docs/configuration.md",
        "docs/conform.md",
        "docs/metrics.md",
        "docs/schemas.md",
        "docs/tool-syntaxes.md",
    ),
)


def redrawn(text: str) -> str:
    """A document with its drawings as the code has them now."""
    return PLACE.sub(lambda place: f"{place[1]}{DRAWINGS[place[2]]().rstrip()}\n{place[3]}", text)


def outdated() -> dict[Path, str]:
    """The documents whose drawings are not the code's, as they should be."""
    paths = [ROOT / name for name in DOCUMENTS]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    return {path: new for path, old in texts.items() if (new := redrawn(old)) != old}


if __name__ == "__main__":
    found = outdated()
    for path, text in found.items():
        print(path.relative_to(ROOT))
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    sys.exit(1 if found and "--check" in sys.argv else 0)
