"""Tools as a coding agent offers them, and valid calls of theirs: what the corpus of broken calls is made from.

Names, words and schemas are our own; their forms are those that Claude Code and MCP servers send: closed and open
objects, enums, nested lists of objects, unions, `$ref`, numbers that must not become texts and texts that look like numbers.
"""

import json
import random

STRING, NUMBER, INTEGER, BOOLEAN = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))


def closed(*required, **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


def opened(*required, **properties):
    made = closed(*required, **properties)
    del made["additionalProperties"]
    return made


def several(items, **counts):
    return {"type": "array", "items": items, **counts}


TODO = closed(
    "content", "status", content=STRING, status={"enum": ["pending", "in_progress", "completed"]}, note=STRING
)
OPTION = closed("label", label=STRING, description=STRING)
QUESTION = closed(
    "question",
    "options",
    question=STRING,
    options=several(OPTION, minItems=1, maxItems=4),
    multi_select=BOOLEAN,
)

TOOLS = {
    "Read": closed("file_path", file_path=STRING, offset=INTEGER, limit={"type": "integer", "exclusiveMinimum": 0}),
    "Write": closed("file_path", "content", file_path=STRING, content=STRING),
    "Edit": closed(
        "file_path", "old_string", "new_string",
        file_path=STRING, old_string=STRING, new_string=STRING, replace_all=BOOLEAN,
    ),
    "Bash": closed("command", command=STRING, timeout=NUMBER, description=STRING, run_in_background=BOOLEAN),
    "Grep": closed(
        "pattern",
        pattern=STRING, path=STRING, glob=STRING, ignore_case=BOOLEAN, head_limit=NUMBER,
        output_mode={"type": "string", "enum": ["content", "files_with_matches", "count"]},
    ),
    "TodoWrite": closed("todos", todos=several(TODO)),
    "AskUser": closed("questions", questions=several(QUESTION, minItems=1)),
    "ListAgents": opened(status=STRING),
    "mcp__github__create_issue": opened(
        "owner", "repo", "title",
        owner=STRING, repo=STRING, title=STRING, body=STRING, labels=several(STRING), assignee={"type": ["string", "null"]},
    ),
    "mcp__db__run_query": closed(
        "sql", sql=STRING, parameters=several({"type": ["string", "number", "boolean", "null"]}), max_rows=INTEGER,
        isolation={"enum": ["read-committed", "repeatable-read", "serializable"]},
    ),
    "mcp__calendar__create_event": {
        **closed(
            "title", "start",
            title=STRING, start={"$ref": "#/$defs/moment"}, end={"$ref": "#/$defs/moment"},
            attendees=several(closed("email", email=STRING, optional=BOOLEAN)), reminder_minutes=NUMBER,
        ),
        "$defs": {"moment": closed("date", date=STRING, time_zone=STRING, all_day=BOOLEAN)},
    },
    "mcp__home__set_light": closed(
        "room", room=STRING, brightness={"type": "number", "minimum": 0, "maximum": 1}, on=BOOLEAN,
        color={"anyOf": [STRING, closed("r", "g", "b", r=INTEGER, g=INTEGER, b=INTEGER)]},
    ),
    "mcp__release__publish": closed(
        "version", "channel", version=STRING, channel={"enum": ["stable", "beta"]}, notes=STRING, draft=BOOLEAN, build=STRING
    ),
}  # fmt: skip
"""Name -> schema."""

PATHS = [
    "/srv/app/main.py",
    "src/übung/läufer.ts",
    "C:\\Users\\me\\notes.txt",
    "docs/read me.md",
    "/srv/a'b.txt",
]
CODE = [
    'import os\n\ndef main():\n    print("hi")\n',
    "const x = { a: [1, 2], b: 'c' };\nexport default x;\n",
    "# Title\n\n- one\n- two: `code`\n",
    '{"name": "demo", "private": true}\n',
    "SELECT *\nFROM t -- all\nWHERE a = 'x';",
    "if [ -f x ]; then\n\techo \"$HOME\" | sed 's/a/b/'\nfi",
]
COMMANDS = [
    "ls -la",
    'git commit -m "fix: the off-by-one"',
    "grep -rn 'def ' src | head -20",
    "find . -name '*.py' -exec wc -l {} \\;",
    "cd web && npm test -- --run",
    "echo done",
]
PATTERNS = [r"\d+\.\d+", r"def \w+\(", "TODO", r"^\s*import", "foo|bar", r"\[link\]\("]
PHRASES = [
    "Fix the login page",
    "Say it in one line: no more",
    "It's late, isn't it?",
    "Größe ändern",
    "a, b, and c",
    "ok",
]
WORDS = ["alpha", "beta", "docs", "bug", "main", "v2"]
LABELS = [["bug"], ["docs", "good first issue"], ["p1", "it's-urgent", "v2"]]


class Maker:
    """Makes arguments by the names and types of properties: seeded, so that nobody picked them."""

    def __init__(self, rng):
        self.rng = rng

    def call(self):
        """A tool and valid arguments."""
        name = self.rng.choice([*TOOLS])
        return name, self.made(TOOLS[name], TOOLS[name], name)

    def made(self, schema, root, name):
        if "$ref" in schema:
            return self.made(root["$defs"][schema["$ref"].rpartition("/")[2]], root, name)
        if "anyOf" in schema:
            return self.made(self.rng.choice(schema["anyOf"]), root, name)
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        kind = schema["type"]
        kind = self.rng.choice(kind) if isinstance(kind, list) else kind
        if kind == "object":
            required = schema["required"]
            chosen = [each for each in schema["properties"] if each in required or self.rng.random() < 0.5]
            return {each: self.made(schema["properties"][each], root, each) for each in chosen}
        if kind == "array":
            if name == "labels":
                return list(self.rng.choice(LABELS))
            count = self.rng.randint(schema.get("minItems", 0) or 1, 3)
            return [self.made(schema["items"], root, name) for _ in range(count)]
        return self.scalar(kind, name, schema)

    def scalar(self, kind, name, schema):
        if kind == "string":
            return self.rng.choice(self.texts(name))
        if kind == "integer":
            return self.rng.choice([1, 25, 120, 2000, 255])
        if kind == "number":
            return self.rng.choice([0.25, 1, 0.5] if "maximum" in schema else [30, 1.5, 120000, 0.75])
        return self.rng.random() < 0.5 if kind == "boolean" else None

    def texts(self, name):
        named = {
            "file_path": PATHS, "path": PATHS, "content": CODE, "old_string": CODE, "new_string": CODE, "body": CODE,
            "sql": CODE[4:5], "command": COMMANDS, "pattern": PATTERNS, "glob": ["*.py", "**/*.{ts,tsx}"],
            "version": ["3.10", "1.2.3", "2", "0.50"], "build": ["1234", "007", "true"], "date": ["2026-11-24"],
            "email": ["a@b.org", "x.y+z@example.com"], "owner": WORDS, "repo": WORDS, "room": WORDS, "label": WORDS,
            "color": ["#ff8800", "warm white"], "time_zone": ["Europe/Berlin", "UTC"],
        }  # fmt: skip
        return named.get(name, PHRASES)


def calls(seed):
    """Valid calls without end."""
    maker = Maker(random.Random(seed))  # noqa: S311 - the same ones every time are what is wanted
    while True:
        yield maker.call()


def schemas():
    """As a request carries them."""
    return [(name, json.dumps(schema).encode()) for name, schema in TOOLS.items()]
