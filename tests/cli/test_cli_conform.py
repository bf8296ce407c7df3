"""`understudy conform`: lines for people, JSON for programs, and a status for scripts."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from conform.broken import Broken

from understudy.cli import cli
from understudy.conform.checks import CHECKS, DIALECTS
from understudy.conform.exchange import Ask


@contextmanager
def served(server) -> Iterator[str]:
    """A function from `Ask` to `Reply`, on a port; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = tuple((name.lower(), value) for name, value in self.headers.items())
            reply = server(Ask(body, headers, self.path, self.command))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_HEAD = do_POST  # noqa: N815 - the standard library's names

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


def run(*args, **env):
    return CliRunner().invoke(cli, ["conform", *args], env=env)


@pytest.fixture
def good():
    with served(Broken()) as url:
        yield url


@pytest.fixture
def bad():
    """One that breaks its streams off, and tells too few numbers."""

    def short(events):
        del events[0]["message"]["usage"]["cache_read_input_tokens"]
        return events[:-1]

    with served(Broken(records=short)) as url:
        yield url


def test_nothing_failed(good):
    done = run(good, "--only", "stream.*")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].startswith("  ok    stream.comes ")
    assert done.stdout.splitlines()[-1] == "14 passed, 0 failed, 0 undecided, 0 skipped"
    assert f"14 checks of ideal at {good}, a window of 65,536 tokens." in done.stderr
    assert "4 requests" in done.stderr


def test_something_failed(bad):
    done = run(bad, "--only", "stream.order", "--only", "usage.names", "--verbose")
    assert done.exit_code == 1
    assert "FAIL  stream.order" in done.stdout
    assert "the stream ends without message_stop" in done.stdout
    assert "the client's SDK raises in the middle of an answer" in done.stdout
    assert 'curl -sN "$URL/v1/messages?beta=true"' in done.stdout
    assert done.stdout.splitlines()[-1].startswith("0 passed, 2 failed (1 must, 1 should)")


def test_json_and_nothing_else_on_standard_output(bad):
    done = run(bad, "--only", "CC-8.18", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["ok"], found["model"], found["url"]) == (1, False, "ideal", bad)
    assert found["summary"]["failed_must"] == 1
    assert found["requirements"]["CC-8.18"] == "fail"
    by_id = {check["id"]: check for check in found["checks"]}
    assert by_id["stream.order"]["seen"] == "the stream ends without message_stop"
    assert by_id["stream.indices"]["status"] == "pass"


def test_what_stays_undecided_fails_only_where_that_is_wanted(good):
    told = ("--only", "prefix.turns", "--max-prompt-bytes", "2000000")
    with served(Broken(message=lambda _, m: m | {"usage": {"input_tokens": 9, "output_tokens": 1}})) as url:
        assert run(url, *told).exit_code == 0
        assert run(url, *told, "--strict").exit_code == 1
    assert run(good, *told, "--strict").exit_code == 0


def test_questions_of_failures_are_saved(bad, tmp_path):
    run(bad, "--only", "stream.order", "--save", str(tmp_path / "new"))
    saved = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert saved[0] == "stream.order.0.body.json"
    assert json.loads((tmp_path / "new" / saved[0]).read_bytes())["model"] == "ideal"


def test_nobody_there():
    done = run("http://127.0.0.1:9", "--only", "http.hello")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Is the server running, and the address right?" in done.stderr


def test_no_address():
    assert run("ftp://a").exit_code == 2
    assert "is no address of a server" in run("ftp://a").stderr


def test_the_address_of_the_settings(good):
    assert run("--only", "http.hello", UNDERSTUDY_URL=good).exit_code == 0


def test_our_own_key_is_told_to_nobody_else():
    seen = []

    class Noting(Broken):
        def __call__(self, ask):
            seen.append(dict(ask.headers).get("authorization", ""))
            return super().__call__(ask)

    with served(Noting()) as url:
        run(url, "--only", "models.listing", UNDERSTUDY_KEY="ours")
        assert set(seen) == {""}
        run(url, "--only", "models.listing", UNDERSTUDY_KEY="ours", UNDERSTUDY_CONFORM_KEY="theirs")
        assert seen[-1] == "Bearer theirs"
        run("--only", "models.listing", UNDERSTUDY_KEY="ours", UNDERSTUDY_URL=url)
        assert seen[-1] == "Bearer ours"


def test_the_list():
    done = run("--list")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 2 * len(CHECKS)
    assert run("--list", "--only", "CC-6.10").stdout.splitlines()[0].split() == [
        "errors.too-long",
        "must",
        "CC-6.10",
        "CC-7.4",
        "CC-8.22",
        "CC-8.23",
    ]


@pytest.mark.parametrize("dialect", ["openai", "responses", "ollama"])
def test_other_dialects(dialect):
    rows = DIALECTS[dialect]
    assert len(run("--list", "--dialect", dialect).stdout.splitlines()) == 2 * len(rows)
    assert len(run("--list", "--dialect", "all").stdout.splitlines()) == 2 * sum(map(len, DIALECTS.values()))
    group = rows[0].group
    assert run("--list", "--only", f"{group}.*").exit_code == 2
    assert run("--list", "--only", f"{group}.*", "--dialect", dialect).exit_code == 0


def test_a_server_that_does_not_speak_it(good):
    done = run(good, "--dialect", "openai", "--only", "chat.whole")
    assert done.exit_code == 1
    assert "stands for     OpenAI's Chat Completions" in done.stdout
    assert "Small requests" in done.stderr


def test_a_pattern_that_names_nothing():
    done = run("--only", "strem.*")
    assert done.exit_code == 2
    assert "'strem.*' names no check of --dialect anthropic: see --list" in done.stderr


def test_help_shows_how():
    done = run("--help")
    assert "Examples:" in done.stdout
    assert "understudy conform http://127.0.0.1:8080" in done.stdout
    assert "Status: 0 nothing failed, 1 something did, 2 it could not be run." in done.stdout
