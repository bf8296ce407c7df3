"""The audit: lines are only added, nobody else may read them, and what cannot be written is said."""

import os
import stat

import msgspec
import pytest

from understudy.store.audit import Audit, Line
from understudy.store.sqlite import StoreError


def line(target="claude/opus"):
    return Line("2026-11-24T12:00:00.000+00:00", "k", "s", target, "auto", "why", {"email": 2}, True, 7, "d")


def test_lines_are_added_to_what_is_there(tmp_path):
    path = tmp_path / "some" / "audit.jsonl"
    for target in ("a/1", "b/2"):
        audit = Audit(path)
        audit.add(line(target))
        audit.add(line(target))
        audit.close()
        audit.close()
    told = [msgspec.json.decode(row, type=Line) for row in path.read_bytes().splitlines()]
    assert [row.target for row in told] == ["a/1", "a/1", "b/2", "b/2"]
    assert told[0] == line("a/1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"audit.jsonl cannot be written: File exists"):
        Audit(tmp_path / "file" / "audit.jsonl").add(line())


def test_a_full_disk(tmp_path, monkeypatch):
    audit = Audit(tmp_path / "audit.jsonl")
    monkeypatch.setattr(os, "write", lambda _file, data: len(data) - 1)
    with pytest.raises(StoreError, match="cannot grow: make room on its disk"):
        audit.add(line())
    audit.close()
