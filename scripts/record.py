"""Makes docs/session.svg: a real session in a real terminal, drawn as a picture.

    .venv/bin/python scripts/record.py

The gateway and Claude Code are the real ones, and what they show is what they wrote; only the model is a script
(`understudy play agent`), so that the same session comes out everywhere and nothing is run but three file tools. tmux is
the terminal: it must be installed, ports 8000 and 8001 must be free. Everything happens in a folder that is removed.
"""

import io
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "session.svg"
COLUMNS, LINES = 100, 44
PATIENCE = 90.0
WISH = "Write greeting.py, then let it take a name"
DONE = "Done: greeting.py"
FONTS = re.compile(r"@font-face \{\{.*?\}\}", re.DOTALL)
BLANK = re.compile(r"(?:\x1b\[[0-9;]*m|[ ])*\n(?:(?:\x1b\[[0-9;]*m|[ ])*\n)+")
"""Empty lines, of which one is kept."""
SPACE, CELL = "&#160;", 12.2
"""A blank in rich's pictures, and how wide a character is there."""
LEADING, TRAILING = re.compile(f"^(?:{SPACE})+"), re.compile(f"(?:{SPACE})+$")
RUN = re.compile(
    r'<text class="([\w-]+)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*)</text>'
)
TITLE = "understudy (the model is a script: understudy play agent)"


class Terminal:
    """A tmux server of our own with one window."""

    def __init__(self, name: str, home: Path, path: str) -> None:
        self._socket = str(home / f".{name}.socket")
        prompt = shlex.quote("PS1=$ ")
        inside = f"env -i HOME={home} PATH={path} TERM=xterm-256color LANG=C.UTF-8 {prompt} bash --norc --noprofile"
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        self._tmux("new-session", "-d", "-s", "stage", *size, "-c", str(home / "greeter"), inside)

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our words

    def type(self, line: str) -> None:
        """A line, and Enter."""
        self._tmux("send-keys", "-t", "stage", "-l", line)
        self._tmux("send-keys", "-t", "stage", "Enter")

    def screen(self) -> str:
        """What it shows, with colours."""
        return self._tmux("capture-pane", "-e", "-p", "-t", "stage")

    def wait(self, words: str, settle: float = 1.0) -> str:
        """The screen `settle` seconds after it shows these words.

        Raises:
            SystemExit: it never does.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            screen = self.screen()
            if words in Text.from_ansi(screen).plain:
                time.sleep(settle)
                return self.screen() if settle else screen
            time.sleep(0.05)
        sys.exit(f"the terminal never showed it:\n{Text.from_ansi(self.screen()).plain}")

    def close(self) -> None:
        """End it, and what runs in it."""
        self._tmux("kill-server")


@contextmanager
def terminal(name: str, home: Path, path: str) -> Generator[Terminal, None, None]:
    """A terminal that is closed at the end."""
    stage = Terminal(name, home, path)
    try:
        yield stage
    finally:
        stage.close()


@contextmanager
def actor(home: Path) -> Generator[None, None, None]:
    """The scripted engine, where vLLM is looked for."""
    program = str(ROOT / ".venv/bin/understudy")
    script = [
        "play",
        "agent",
        "--model",
        "qwen3-coder-30b",
        "--pace",
        "0.01",
        "--set",
        f"cwd={home / 'greeter'}",
    ]
    with subprocess.Popen([program, *script], stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own
        try:
            yield
        finally:
            process.terminate()


def furnish(home: Path) -> None:
    """A home in which Claude Code asks nothing before it begins."""
    project = home / "greeter"
    project.mkdir()
    known = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    state = {"hasCompletedOnboarding": True, "theme": "dark", "projects": {str(project): known}}
    (home / ".claude.json").write_bytes(msgspec.json.encode(state))


def client() -> Path:
    """The Claude Code that the Agent SDK carries."""
    found = next((ROOT / ".venv").glob("lib/python3*/site-packages/claude_agent_sdk/_bundled/claude"), None)
    if found is None:
        sys.exit("there is no Claude Code in .venv: make test installs it")
    return found


def scenes(home: Path) -> list[str]:
    """The gateway's terminal, and the client's before and after."""
    path = f"{ROOT / '.venv/bin'}:{client().parent}:/usr/local/bin:/usr/bin:/bin"
    with actor(home), terminal("house", home, path) as house, terminal("seat", home, path) as seat:
        house.type("understudy serve")
        ready = house.wait("In another terminal")
        seat.type(f'understudy claude --permission-mode acceptEdits "{WISH}"')
        started = seat.wait("window", settle=0.0)  # Claude Code will take the whole screen
        done = seat.wait(DONE)
        seat.type("/exit")
        seat.wait("--resume", settle=0.5)  # what Claude Code says when it leaves
        return [ready, started, done]


def draw(screens: list[str]) -> None:
    """The screens, one below the other."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for screen in screens:
        console.print(Text.from_ansi(BLANK.sub("\n\n", screen.strip())))
        console.print()
    look = FONTS.sub("", CONSOLE_SVG_FORMAT)  # a picture must not fetch anything
    picture = RUN.sub(bare, console.export_svg(title=TITLE, code_format=look))
    PICTURE.write_text(picture, encoding="utf-8")


def bare(run: re.Match[str]) -> str:
    """A run of text without the blanks around it: not every viewer keeps them."""
    tag, left, top, length, rest, text = run.groups()
    words = LEADING.sub("", text.rstrip("\n"))
    before = (len(text.rstrip("\n")) - len(words)) // len(SPACE)
    words, after = TRAILING.sub("", words), len(words)
    after = (after - len(words)) // len(SPACE)
    if not words:
        return ""
    start, size = float(left) + before * CELL, float(length) - (before + after) * CELL
    return f'<text class="{tag}" x="{start:g}" y="{top}" textLength="{size:g}"{rest}>{words}</text>'


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="session-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        furnish(home)
        draw(scenes(home))
