"""The real Claude Code on the real gateway, both as processes of their own; engines are scripted.

    async with scripted(tmp_path, script(answer(...), ...), kind="vllm") as stage:
        session = await stage.claude("write a file")
        session.check()

Claude Code sees nothing of the machine it runs on: an environment of its own, a fresh home, loopback only. It is only ever
driven by scripts: a model of random weights could ask for any command.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import claude_agent_sdk
import msgspec

from understudy.cli.clientenv import client_environment
from understudy.engines.play import Played, serving
from understudy.engines.script import parse
from understudy.engines.tinygguf import write_scripted

TOOLS = "Bash,Read,Edit,Write"
READY = "understudy is ready at "
START_SECONDS, CLAUDE_SECONDS, STOP_SECONDS = 60, 90, 20
"""Deadlines on a machine with other things to do; all of it takes a second or two."""
LONGEST_LINE = 16 * 1024 * 1024
ENGINE = """
[server]
port = 0
[discover]
on = false
[[engines]]
name = "box"
kind = "{kind}"
url = "{url}"
context = {context}
tool_syntax = "{syntax}"
"""


# Claude Code


def program() -> str:
    """The Claude Code that comes with its SDK, else the one on PATH."""
    bundled = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"
    found = str(bundled) if bundled.exists() else shutil.which("claude")
    assert found, "there is no Claude Code: install the dev dependencies"
    return found


@dataclass
class Home:
    """A user who has nothing: home, settings and working directory are new, and inside the test's directory."""

    folder: Path

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        for name in ("tmp", ".claude"):
            (self.folder / name).mkdir(exist_ok=True)

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "CLAUDE_CONFIG_DIR": str(self.folder / ".claude"),
            "CLAUDE_CODE_TMPDIR": str(self.folder / "tmp"),
            "IS_SANDBOX": "1",  # root may then skip the questions about permissions
        }


@dataclass
class Usage:
    """Tokens of one answer's prompt, as the client was told: all of it, and what came from the cache."""

    prompt: int
    cached: int

    @property
    def share(self) -> float:
        return self.cached / self.prompt if self.prompt else 0.0

    @property
    def fresh(self) -> int:
        """What had to be read."""
        return self.prompt - self.cached


@dataclass
class Session:
    """What one run of Claude Code left behind."""

    status: int
    events: list[dict]
    stderr: str
    work: Path

    @property
    def result(self) -> dict:
        return next((event for event in reversed(self.events) if event["type"] == "result"), {})

    @property
    def answer(self) -> str:
        return self.result.get("result", "")

    def check(self) -> "Session":
        """It came to its end by itself."""
        found = (self.status, self.result.get("is_error"), self.result.get("terminal_reason"))
        assert found == (0, False, "completed"), f"{found}\n{self.story()}"
        return self

    def blocks(self, kind: str, role: str = "assistant") -> list[dict]:
        """Content blocks of a kind, in order."""
        said = [event["message"]["content"] for event in self.events if event["type"] == role]
        return [
            block
            for content in said
            if isinstance(content, list)
            for block in content
            if block["type"] == kind
        ]

    def calls(self) -> list[str]:
        """The names of the tools that were called."""
        return [block["name"] for block in self.blocks("tool_use")]

    def results(self) -> list[dict]:
        """What the tools gave."""
        return self.blocks("tool_result", "user")

    def failures(self) -> list[dict]:
        return [block for block in self.results() if block.get("is_error")]

    def usages(self) -> list[Usage]:
        """One for each answer, from the start of its stream; needs `--include-partial-messages`."""
        starts = [
            event["event"]["message"]["usage"]
            for event in self.events
            if event["type"] == "stream_event" and event["event"]["type"] == "message_start"
        ]
        ends = [
            event["event"].get("usage", {})
            for event in self.events
            if event["type"] == "stream_event" and event["event"]["type"] == "message_delta"
        ]
        return [
            _usage(start | {k: v for k, v in end.items() if v})
            for start, end in zip(starts, ends, strict=False)
        ]

    def story(self) -> str:
        """For the message of a failed assertion."""
        lines = [json.dumps(event)[:700] for event in self.events if event["type"] != "stream_event"]
        return "\n".join([*lines, self.stderr[-2000:]])


def _usage(told: Mapping[str, int]) -> Usage:
    cached = told.get("cache_read_input_tokens") or 0
    return Usage(
        told.get("input_tokens", 0) + cached + (told.get("cache_creation_input_tokens") or 0), cached
    )


async def claude(
    home: Home,
    environment: Mapping[str, str],
    prompt: str,
    *options: str,
    tools: str = TOOLS,
    before: tuple[str, ...] = (),
    on_event: Callable[[dict], None] = lambda _event: None,
) -> Session:
    """Run Claude Code to its end; one that does not end is ended, and its status is negative.

    `before` is a command that runs the command behind it; `on_event` is told what is printed, as it comes.
    """
    words = (
        *(*before, program(), "-p", prompt, "--tools", tools, "--dangerously-skip-permissions"),
        *("--strict-mcp-config", "--disable-slash-commands", "--max-turns", "30"),
        *("--output-format", "stream-json", "--verbose", *options),
    )
    warnings = home.folder / "stderr.txt"
    with warnings.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=home.work,
            env={**home.environment(), **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
    events: list[dict] = []
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLAUDE_SECONDS):
                async for line in process.stdout:
                    events.append(json.loads(line))
                    on_event(events[-1])
                await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
    return Session(process.returncode, events, warnings.read_text(errors="replace"), home.work)


# The gateway


@dataclass
class Running:
    """A gateway: its address, its log and its process."""

    url: str
    log_file: Path
    pid: int


@dataclass
class Stage:
    """A gateway that runs, and the engine behind it.

    Attributes:
        gateway: where it runs.
        model: the model's name.
        window: its window in tokens.
        home: Claude Code's user.
        engine: the scripted engine, if it is one of another process.
        extra: variables that this user has set himself.
    """

    gateway: Running
    model: str
    window: int
    home: Home
    engine: Played | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        return self.home.work

    def environment(self) -> dict[str, str]:
        return {**client_environment(self.gateway.url, "", self.model, self.window), **self.extra}

    async def claude(self, prompt: str, *options: str, before: tuple[str, ...] = (), **more) -> Session:
        """One run of Claude Code in this user's working directory."""
        return await self.watched(
            claude(self.home, self.environment(), prompt, *options, before=before, **more), outside=not before
        )

    async def watched(self, run: Awaitable[Session], *, outside: bool = True) -> Session:
        """That run, and then until the gateway knows that its answers are over: a client leaves a moment earlier."""
        session = await run
        async with asyncio.timeout(STOP_SECONDS):
            while outside and (await self.metrics())["understudy_requests_in_flight"]:  # noqa: ASYNC110 - not of this process
                await asyncio.sleep(0.01)
        return session

    def log(self) -> list[dict]:
        """The gateway's log."""
        return [
            json.loads(line)
            for line in self.gateway.log_file.read_text().splitlines()
            if line.startswith("{")
        ]

    def answers(self) -> list[dict]:
        """The log's lines of the answers to messages, in the order in which they ended."""
        return [
            row for row in self.log() if row.get("event") == "request" and row.get("path") == "/v1/messages"
        ]

    async def metrics(self) -> dict[str, float]:
        """The gateway's metrics, by name with labels."""
        text = await asyncio.to_thread(_get, f"{self.gateway.url}/metrics")
        return {
            found[1]: float(found[2])
            for found in re.finditer(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
        }

    async def outcomes(self) -> dict[str, int]:
        """Tool calls, by what became of them."""
        told = await self.metrics()
        rows = {
            re.search(r'outcome="(.*)"', name): int(n)
            for name, n in told.items()
            if "tool_calls_total" in name
        }
        return {found[1]: n for found, n in rows.items() if found}


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own address
        return response.read().decode()


@asynccontextmanager
async def gateway(folder: Path, *options: str, before: tuple[str, ...] = (), **variables: str):
    """`understudy serve`, ready, as a `Running`. It must have had no bug, and end when it is asked to."""
    log_file = folder / "gateway.log"
    environment = {"PATH": os.defpath, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "LANG": "C.UTF-8"}
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(*before, sys.executable, "-m", "understudy", "serve", "--port", "0", "--log", "json", *options),
            cwd=folder,
            env={**environment, "UNDERSTUDY_EMBEDDED__HUB": "false", **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            line = (await process.stdout.readline()).decode()
        assert line.startswith(READY), line + log_file.read_text()
        yield Running(line.removeprefix(READY).strip(), log_file, process.pid)
        process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate()
        assert process.returncode == 0, log_file.read_text()
        assert '"event": "bug"' not in log_file.read_text(), log_file.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


# Scripts for engines of other processes


def text(words: str) -> dict:
    return {"text": words}


def thinking(words: str) -> dict:
    return {"thinking": words}


def call(name: str, /, **arguments) -> dict:
    return {"call": {"name": name, "input": arguments}}


def broken(name: str, raw: str) -> dict:
    """A call whose arguments are this text."""
    return {"call": {"name": name, "raw": raw}}


def hermes(name: str, /, **arguments) -> str:
    """The same as models write it into their text: JSON between tags."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def qwen_xml(name: str, /, **arguments) -> str:
    """The same as Qwen3-Coder writes it."""
    parameters = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"


def answer(*steps: dict, **when) -> list[dict]:
    """One answer; `when` says to which request, else answers come one after the other."""
    head = {"answer": "", **({"when": when} if when else {})}
    return [head, {"chunk": 7}, *steps]


def script(*answers: list[dict]) -> str:
    """Answers as the lines of a script; those without `when` take turns."""
    return "\n".join(
        json.dumps(line) for line in [{"cycle": True}, *(line for lines in answers for line in lines)]
    )


@asynccontextmanager
async def scripted(
    folder: Path,
    lines: str,
    *,
    kind: str = "vllm",
    context: int = 65536,
    model: str = "scripted-coder",
    syntax: str = "auto",
    **variables: str,
):
    """A gateway in front of an engine that says what is written."""
    home = Home(folder / "home")
    told = parse(lines, {"cwd": str(home.work)})
    async with serving(told, kind=kind, context=context, model=model) as engine:
        settings = folder / "understudy.toml"
        settings.write_text(ENGINE.format(kind=kind, url=engine.url, context=context, syntax=syntax))
        async with gateway(folder, "--config", str(settings), **variables) as running:
            yield Stage(running, model, context, home, engine)


# Scripted weights


def weights(folder: Path, turns: list[str], home: Home, **more) -> Path:
    """A model that says these turns, {cwd} filled in."""
    path = folder / "scripted.gguf"
    write_scripted(path, [turn.replace("{cwd}", str(home.work)) for turn in turns], **more)
    return path


@asynccontextmanager
async def embedded(
    folder: Path, turns: list[str], *, context: int = 32768, before: tuple[str, ...] = (), **more
):
    """A gateway with a llama.cpp of its own, whose weights say these turns."""
    home = Home(folder / "home")
    model = weights(folder, turns, home, **more)
    options = ("--model", str(model), "--context", str(context), "--no-discover")
    # a script's long pieces are not the tokens that a grammar forces
    async with gateway(folder, *options, before=before, UNDERSTUDY_EMBEDDED__GRAMMAR="false") as running:
        yield Stage(running, model.stem, context, home)


def engine_bodies(stage: Stage) -> list[dict]:
    """The chat requests that the engine got."""
    asked = [
        asked for asked in stage.engine.requests if asked.method == "POST" and b'"messages"' in asked.body
    ]
    return [msgspec.json.decode(request.body) for request in asked if "tokenize" not in request.path]
