"""The border: what may leave, by mode, header, findings and budget; permits are not made up; what leaves is written down."""

import json

import pytest

from understudy import border as module
from understudy.auth import Caller
from understudy.border import Border
from understudy.config import ConfigError, Privacy
from understudy.language.embedding import EmbeddingRequest
from understudy.language.errors import KeptHere
from understudy.language.request import Request, Text, Turn
from understudy.language.target import Model, Target
from understudy.routing.redact import restored
from understudy.store.audit import Audit

OPUS = Target("claude", Model("claude-opus-5-5"))
MAIL = "write to ada.lovelace@analytical.io now"
NOBODY = Caller()


def asking(text, model="auto"):
    return Request(model, (Turn("user", (Text(text),)),), raw=b"{}")


@pytest.fixture
def make(tmp_path):
    def made(mode="ask-free", spent="", **settings):
        audit = Audit(tmp_path / "audit.jsonl")
        return Border(Privacy(mode=mode, **settings), audit, lambda: spent, b"secret", lambda: 0.0)

    return made


def lines(tmp_path):
    path = tmp_path / "audit.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


VERDICTS = [  # settings, header, text: does it leave, and what the reason has
    ("local-only", "", "hi", False, "privacy.mode is local-only"),
    ("local-only", "open", "hi", False, "privacy.mode is local-only"),
    ("ask-free", "", "hi", True, "privacy.mode is ask-free"),
    ("ask-free", "", MAIL, False, "kept here: 1 email (user turn 1)"),
    ("ask-free", "open", MAIL, False, "kept here: 1 email"),
    ("ask-free", "local-only", "hi", False, "X-Understudy-Privacy is local-only"),
    ("open", "", MAIL, True, "privacy.mode is open, although there is 1 email"),
    ("open", "ask-free", "hi", True, "X-Understudy-Privacy is ask-free"),
    ("open", "ask-free", MAIL, False, "kept here: 1 email"),
    ("open", "local-only", "hi", False, "X-Understudy-Privacy is local-only"),
]


@pytest.mark.parametrize("row", VERDICTS, ids=str)
def test_the_stricter_of_settings_and_header_decides(make, row):
    mode, header, text, leaves, why = row
    verdict = make(mode).may_leave(asking(text), Caller(privacy=header))
    assert verdict.leaves is leaves
    assert why in verdict.why
    assert "ada" not in verdict.why


def test_a_budget_that_is_spent_keeps_everything_here(make):
    border = make("open", spent="today's budget of $4.00 is spent")
    verdict = border.may_leave(asking("hi"), NOBODY)
    assert not verdict.leaves
    assert verdict.why == "today's budget of $4.00 is spent"
    with pytest.raises(KeptHere, match=r"claude/claude-opus-5-5 is outside the house. today's budget"):
        border.crossing(asking("hi"), NOBODY, OPUS)


def test_a_finding_keeps_its_session_here_and_no_other(make):
    border, mine = make(), Caller(session="s1")
    assert border.may_leave(asking("hi"), mine).leaves
    assert not border.may_leave(asking(MAIL), mine).leaves
    later = border.may_leave(asking("hi"), Caller(session="s1", agent="helper"))
    assert (later.leaves, later.why) == (False, "kept here: this session had 1 email (user turn 1)")
    assert border.may_leave(asking("hi"), Caller(session="s2")).leaves
    assert border.may_leave(asking("hi"), NOBODY).leaves


def test_sessions_are_forgotten_the_oldest_first(make, monkeypatch):
    monkeypatch.setattr(module, "SESSIONS", 2)
    border = make()
    for name in ("a", "b", "a", "c"):
        border.may_leave(asking(MAIL), Caller(session=name))
    assert [name for name in "abc" if border.may_leave(asking("hi"), Caller(session=name)).leaves] == ["b"]


async def test_what_leaves_is_written_down_without_a_word_of_it(make, tmp_path):
    border = make("open")
    caller = Caller(key="k1", session="my session")
    crossing = border.crossing(asking(MAIL), caller, OPUS)
    assert (crossing.request.turns, crossing.request.raw, dict(crossing.values)) == (
        asking(MAIL).turns,
        b"{}",
        {},
    )
    await border.declare(crossing.request.permit, b"the body")
    (line,) = lines(tmp_path)
    assert line["at"] == "1970-01-01T00:00:00.000+00:00"
    assert (line["key"], line["target"], line["model"]) == ("k1", "claude/claude-opus-5-5", "auto")
    assert (line["findings"], line["redacted"], line["bytes"]) == ({"email": 1}, False, 8)
    assert "although there is 1 email" in line["why"]
    text = json.dumps(line)
    assert not [word for word in ("ada", "my session", "the body", "secret") if word in text]


async def test_redacted_it_leaves_with_placeholders(make, tmp_path):
    border = make(redact=True)
    crossing = border.crossing(asking(MAIL), NOBODY, OPUS)
    (block,) = crossing.request.turns[0].blocks
    assert "ada" not in block.text
    assert restored(block.text, crossing.values) == MAIL
    assert crossing.request.raw == b""
    await border.declare(crossing.request.permit, b"x")
    assert lines(tmp_path)[0]["redacted"] is True


async def test_no_session_is_kept_that_may_leave_redacted(make):
    border, mine = make(redact=True), Caller(session="s")
    assert border.may_leave(asking(MAIL), mine).redacted
    assert border.may_leave(asking("hi"), mine).leaves


@pytest.mark.parametrize("change", [lambda _: "", lambda p: p.replace("claude/", "other/"), lambda p: p[:-1]])
async def test_a_permit_cannot_be_made_up(make, tmp_path, change):
    border = make("open")
    permit = border.crossing(asking("hi"), NOBODY, OPUS).request.permit
    with pytest.raises(KeptHere, match="no permit"):
        await border.declare(change(permit), b"x")
    assert lines(tmp_path) == []


async def test_what_cannot_be_written_down_does_not_leave(make, tmp_path):
    border = make("open")
    permit = border.crossing(asking("hi"), NOBODY, OPUS).request.permit
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(KeptHere, match=r"what leaves is written down first, and .*cannot be written"):
        await border.declare(permit, b"x")


def test_words_of_the_settings_are_findings(make):
    border = make(words=("Project Heron",))
    (found,) = border.findings(asking("about project heron"))
    assert found.spot.rule == "word"
    with pytest.raises(ConfigError, match="privacy: the private pattern"):
        make(patterns=("(?=a)",))


def test_texts_to_be_made_vectors_leave_with_a_permit_or_not_at_all(make):
    harmless, private = (EmbeddingRequest("m", (text, (1, 2))) for text in ("hi", MAIL))
    assert make().embedding(harmless, NOBODY, OPUS).permit
    with pytest.raises(KeptHere, match="kept here: 1 email"):
        make().embedding(private, NOBODY, OPUS)
    with pytest.raises(KeptHere, match="something private in these texts"):
        make(redact=True).embedding(private, NOBODY, OPUS)
