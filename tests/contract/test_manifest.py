"""Rows, document and tests in step. It reads the sources, so that it says the same whichever tests were chosen to run."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest
from contract.requirements import DOCUMENT, REQUIREMENTS

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
GAPS = {row.id for row in REQUIREMENTS if row.met_by is None}
MET = {row.id for row in REQUIREMENTS} - GAPS


def marked(tree):
    """The ids in every `pytest.mark.requirement(...)` of a test: a decorator, a parameter's mark, a pytestmark."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement":
            assert node.args, f"line {node.lineno}: a requirement mark without an id"
            for arg in node.args:
                assert isinstance(arg, ast.Constant), f"line {node.lineno}: ids are written out"
                yield arg.value


@cache
def declared():
    """Each id and the files whose tests declare it."""
    found = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in marked(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


def test_every_requirement_has_a_test():
    assert sorted(MET - declared().keys()) == []


def test_every_declared_requirement_exists():
    unknown = {name: files for name, files in declared().items() if name not in MET | GAPS}
    assert unknown == {}


def test_a_gap_that_has_a_test_is_no_gap():
    assert sorted(GAPS & declared().keys()) == []


def test_ids_are_unique():
    ids = [row.id for row in REQUIREMENTS]
    assert len(ids) == len(set(ids))


def test_the_document_has_the_same_rows():
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+\.\d+) \|", text, re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert {f"CC-{row}" for row in rows} == MET | GAPS


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: row.id)
def test_a_row_is_met_by_a_part_or_says_why_not(row):
    assert row.sentence
    assert row.source.startswith(DOCUMENT)
    if row.met_by is None:
        assert len(row.reason) > 10
    else:
        assert not row.reason
        assert importlib.util.find_spec(f"understudy.{row.met_by}"), row.met_by


def test_the_scan_sees_decorators_parameters_and_marks_of_a_module():
    source = """
import pytest
pytestmark = pytest.mark.requirement("CC-1.1")
@pytest.mark.requirement("CC-1.2", "CC-1.3")
def test_a(): ...
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.requirement("CC-1.4"))])
def test_b(x): ...
"""
    assert set(marked(ast.parse(source))) == {"CC-1.1", "CC-1.2", "CC-1.3", "CC-1.4"}


def test_an_id_must_be_written_out():
    with pytest.raises(AssertionError, match="written out"):
        list(marked(ast.parse("import pytest\npytest.mark.requirement(NAME)")))
