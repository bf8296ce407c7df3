"""Results as lines, as numbers, as JSON, and as files that repeat them."""

import json
import shlex

import msgspec
from conform.broken import Broken, made, refusal

from understudy.conform import report
from understudy.conform.asks import ask, hello
from understudy.conform.exchange import Ask, Check, Result, Scene

SCENE = Scene("m")
LATE = Broken(records=lambda events: events[:-1])


def shown(result, **more):
    return [str(line) for line in report.lines(result, 20, **more)]


def result(status, *needs, level="must"):
    return Result(Check("a.b", needs, "says", "costs", lambda _: (), level), status)


def test_a_pass_is_a_line():
    assert shown(made("stream.order"))[0].startswith("  ok    stream.order")
    assert len(shown(made("stream.order"))) == 1
    assert shown(made("usage.grows"))[0].endswith("(4000 characters are 1000 tokens)")


def test_a_failure_says_what_breaks_and_how_to_repeat_it():
    first, *rest = shown(made("stream.order", LATE), commands=True)
    assert first.startswith("  FAIL  stream.order")
    assert [line[10:25].strip() for line in rest] == [
        "seen",
        "expected",
        "must, else",
        "stands for",
        "repeat it",
    ]
    assert rest[0].endswith("the stream ends without message_stop")
    assert rest[2].endswith("the client's SDK raises in the middle of an answer")
    assert rest[3].endswith("docs/claude-code.md, 8.18")
    assert "$KEY" in rest[4]


def test_what_no_row_stands_for():
    lines = shown(made("usage.names", lambda _ask: refusal("no")))
    assert lines[-1].endswith("the Messages API, as its SDKs read it")


def test_a_command_line_is_one():
    words = shlex.split(report.curl(hello(SCENE), "http://a"))
    assert words[:3] == ["curl", "-sN", "http://a/v1/messages?beta=true"]
    assert json.loads(words[words.index("-d") + 1])["model"] == "m"
    assert not [word for word in words if "stainless" in word]
    head = shlex.split(report.curl(Ask(method="HEAD", path="/"), "http://a"))
    assert head[:4] == ["curl", "-s", "--head", "http://a/"]
    large = report.curl(ask(SCENE, "x" * 5000))
    assert "--data-binary @body.json" in large
    assert "x" * 100 not in large


def test_quotes_survive_the_shell():
    words = shlex.split(report.curl(ask(SCENE, 'it\'s "quoted" $HOME')))
    assert (
        json.loads(words[words.index("-d") + 1])["messages"][0]["content"][0]["text"]
        == 'it\'s "quoted" $HOME'
    )


def test_numbers():
    counts = report.tally(
        [
            result("pass"),
            result("fail"),
            result("fail", level="should"),
            result("fail", level="should"),
            result("undecided"),
            result("skipped"),
        ]
    )
    assert (counts.failed, counts.failed_must, counts.failed_should) == (3, 1, 2)
    assert str(report.summary(counts)) == "1 passed, 3 failed (1 must, 2 should), 1 undecided, 1 skipped"
    assert str(report.summary(report.tally([]))) == "0 passed, 0 failed, 0 undecided, 0 skipped"


def test_a_requirement_is_as_bad_as_its_worst_check():
    found = report.by_requirement(
        [
            result("pass", "CC-6.10", "CC-1.1"),
            result("fail", "CC-6.10"),
            result("undecided", "CC-6.9"),
            result("pass", "CC-6.9"),
            result("skipped", "CC-2.1"),
        ]
    )
    assert list(found.items()) == [
        ("CC-1.1", "pass"),
        ("CC-2.1", "skipped"),
        ("CC-6.9", "undecided"),
        ("CC-6.10", "fail"),
    ]


def test_json_and_files():
    failure = made("stream.order", LATE)
    line = msgspec.to_builtins(report.check_line(failure))
    assert (line["id"], line["status"], line["requirements"]) == ("stream.order", "fail", ["CC-8.18"])
    assert line["repeat"][0].startswith("curl -sN")
    assert "repeat" not in msgspec.to_builtins(report.check_line(made("stream.order")))
    files = dict(report.saved(failure))
    assert json.loads(files["stream.order.0.body.json"])["stream"] is True
    assert json.loads(files["stream.order.0.request.json"])["path"] == "/v1/messages?beta=true"
