"""The repository itself: tests beside modules, documents beside code, layers, the wheel, and nothing of a machine in it."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

import understudy
from understudy.cli import cli
from understudy.config import Config
from understudy.observe.metrics import exposition

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "understudy"
BIN = Path(sys.executable).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
DOCUMENTS = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))

TESTED_ELSEWHERE = {
    "cli/play.py": "cli/test_play_command.py",  # engines/test_play.py has the name already
}
"""Modules whose tests have another name than the rest, and why."""

spec = importlib.util.spec_from_file_location("draw", ROOT / "scripts" / "draw.py")
draw = importlib.util.module_from_spec(spec)
spec.loader.exec_module(draw)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def run(*command, cwd=ROOT, **env):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        command, cwd=cwd, env={**inherited, **env}, capture_output=True, text=True, check=False
    )


# --- tests mirror the package


def places(module):
    """Where the tests of a module may be."""
    folder, stem = module.parent, module.stem.strip("_")
    return {f"{folder / f'test_{stem}.py'}", f"{folder / f'test_{folder.name}_{stem}.py'}"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_its_tests(module):
    told = {TESTED_ELSEWHERE[str(module)]} if str(module) in TESTED_ELSEWHERE else places(module)
    found = [place for place in told if (ROOT / "tests" / place).exists()]
    assert found, f"{module}: no tests at {' or '.join(sorted(told))}"


def test_the_exceptions_are_needed():
    for module, tests in TESTED_ELSEWHERE.items():
        assert Path(module) in MODULES
        assert tests not in places(Path(module))


def test_names_of_test_files_are_unique():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


# --- documents and code


def test_drawings_are_the_codes():
    outdated = [str(path.relative_to(ROOT)) for path in draw.outdated()]
    assert not outdated, "run .venv/bin/python scripts/draw.py"


def test_an_outdated_drawing_is_noticed():
    text = read("ARCHITECTURE.md").replace("IDLE --> OPEN: MessageStart", "IDLE --> OPEN: BlockStop")
    assert draw.redrawn(text) == read("ARCHITECTURE.md")


def test_every_document_with_a_place_for_a_drawing_is_drawn():
    with_places = {str(path) for path in DOCUMENTS if "<!-- drawn: " in read(path)}
    assert with_places == set(draw.DOCUMENTS)


def settings():
    for section in msgspec.structs.fields(Config):
        if section.name == "models":
            continue
        kind = section.type.__args__[0] if section.name == "engines" else section.type
        for field in msgspec.structs.fields(kind):
            yield section.name, field.encode_name


HEADINGS = {
    "docs/configuration.md": r"^### `\[+(\w+)\]+`$",
    "understudy.example.toml": r"^(?:# )?\[+(\w+)\]+$",
}


@pytest.mark.parametrize("name", HEADINGS)
def test_every_setting_is_explained_once_and_no_other(name):
    _, *parts = re.split(HEADINGS[name], read(name), flags=re.MULTILINE)
    found = [
        (section, key)
        for section, part in zip(parts[::2], parts[1::2], strict=True)
        if section != "models"
        for key in re.findall(r"^(?:# |\| `)(\w+)(?: = |` \|)", part, flags=re.MULTILINE)
    ]
    assert sorted(found) == sorted(settings())


def test_every_metric_is_named():
    metrics = set(re.findall(r"^# HELP (\w+)", exposition().decode(), flags=re.MULTILINE))
    metrics = {name for name in metrics if not name.endswith("_created")}
    rows = set(re.findall(r"^\| `(understudy_\w+)` \|", read("docs/metrics.md"), flags=re.MULTILINE))
    assert rows == metrics


def test_no_document_names_a_metric_that_is_none():
    text = "".join(read(path) for path in DOCUMENTS)
    known = exposition().decode()
    named = set(re.findall(r"\bunderstudy_[a-z_]+", text))
    assert [
        name
        for name in named
        if not re.search(rf"^# HELP {name.removesuffix('_bucket')} ", known, re.MULTILINE)
    ] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readmes_tree_is_the_real_one(name):
    block = re.search(r"^```\nunderstudy/\n(.*?)^```", read(name), flags=re.MULTILINE | re.DOTALL)[1]
    inside = set(re.findall(r"^  (\S+)", block, flags=re.MULTILINE))
    beside = re.findall(r"^([a-z]+/)", block, flags=re.MULTILINE)
    modules = {str(path) for path in MODULES if len(path.parts) == 1}
    packages = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert inside == modules | packages
    assert [folder for folder in beside if not (ROOT / folder).is_dir()] == []


def test_the_architectures_tree_names_every_module_and_no_other():
    block = re.search(
        r"^```\nunderstudy/\n(.*?)^```", read("ARCHITECTURE.md"), flags=re.MULTILINE | re.DOTALL
    )[1]
    found, folder = set(), Path()
    for line in block.splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folder = Path(*folder.parts[: depth - 1])
        if name.endswith("/"):
            folder /= name
        else:
            found.add(folder / name)
    assert found == set(MODULES)


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readme_lists_every_command(name):
    listed = re.findall(r"^\| `understudy ([a-z]+)", read(name), flags=re.MULTILINE)
    assert listed == list(cli.commands)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document):
    targets = re.findall(r"\]\(([^)#\s]+)", read(document))
    dead = [t for t in targets if "://" not in t and not ((ROOT / document).parent / t).exists()]
    assert dead == []


EXAMPLES = [
    pytest.param(block, id=f"{document}-{i}")
    for document in DOCUMENTS
    for i, block in enumerate(
        re.findall(r"^```toml\n(.*?)^```", read(document), flags=re.MULTILINE | re.DOTALL)
    )
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_settings_in_documents_are_valid(block):
    msgspec.toml.decode(block, type=Config)


def test_documents_name_modules_that_exist():
    named = re.findall(r"`((?:[a-z]+/)?[a-z_]+\.py)`", read("ARCHITECTURE.md"))
    paths = [PACKAGE / name for name in named]
    missing = [
        p.name
        for p in paths
        if not p.exists() and not list(PACKAGE.rglob(p.name)) and not (ROOT / "tests" / p.name).exists()
    ]
    assert set(missing) <= {"cli.py"}  # of the first plan


def test_the_changelog_has_this_version():
    released = re.findall(r"^## \[([^\]]+)\]", read("CHANGELOG.md"), flags=re.MULTILINE)
    versions = [version for version in released if version != "Unreleased"]
    assert versions[0] == understudy.__version__
    assert f'\nversion = "{understudy.__version__}"\n' in read("pyproject.toml")


def test_help_lists_every_target():
    phony = re.search(r"^\.PHONY: (.*)$", read("Makefile"), flags=re.MULTILINE)[1].split()
    targets = re.findall(r"^([a-z][a-z0-9-]*):(?!=)", read("Makefile"), flags=re.MULTILINE)
    told = [line.split()[0] for line in run("make", "help").stdout.splitlines()]
    assert sorted(told) == sorted(targets)
    assert set(targets) <= set(phony)


def test_the_example_leaves_the_defaults(tmp_path):
    lines = read("understudy.example.toml").splitlines()
    uncommented = "\n".join(re.sub(r"^# (?=(?:\[|\"?[\w*-]+\"? = ))", "", line) for line in lines)
    example = msgspec.toml.decode(uncommented, type=Config)
    assert msgspec.structs.replace(example, engines=(), discover=Config().discover) == Config()


# --- layers


def lint(folder):
    return run(str(BIN / "lint-imports"), "--no-cache", cwd=folder, PYTHONPATH=str(folder))


def test_the_layers_hold():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


PLANTED = {
    "a stage reads the clock": ("stages/tidy.py", "import time\n", "The pure half does no I/O"),
    "the waist knows the gateway": (
        "language/events.py",
        "import understudy.gateway\n",
        "Layers point downwards",
    ),
    "the kit reads with the gateway's eyes": (
        "conform/answer.py",
        "import understudy.dialects.sse\n",
        "The conformance kit shares nothing",
    ),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(planted, tmp_path):
    module, line, contract = planted
    shutil.copytree(PACKAGE, tmp_path / "understudy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "understudy" / module
    path.write_text(path.read_text(encoding="utf-8") + line, encoding="utf-8")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    assert re.search(rf"^{contract}.* BROKEN$", done.stdout, flags=re.MULTILINE), done.stdout


# --- what leaves the house


SHIPPED = {".py", ".jsonl", ".npz", ".typed"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return archive.namelist()


def test_the_wheel_has_all_of_the_package(wheel):
    tracked = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.suffix in SHIPPED}
    assert tracked <= set(wheel)
    assert {"understudy/py.typed", "understudy/engines/scripts/hello.jsonl"} <= set(wheel)


def test_the_wheel_has_nothing_else(wheel):
    inside = {name for name in wheel if not re.match(r"understudy-[\d.]+\.dist-info/", name)}
    assert {name.partition("/")[0] for name in inside} == {"understudy"}
    assert {Path(name).suffix for name in inside} == SHIPPED  # no .pth, nothing native


def shipped():
    """Every file that is, or would be, in a commit."""
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").stdout.split("\0")
    return [path for path in (ROOT / name for name in names if name) if path.is_file()]


TRACES = re.compile(rb"/(?:work|root|Users)/[\w.]|pypi[.]org|pythonhosted[.]org|registry[.]npmjs|index[-]url")


def test_no_trace_of_a_machine_is_in_a_file():
    assert ROOT / "README.md" in shipped()
    found = {
        str(path.relative_to(ROOT)): match[0]
        for path in shipped()
        if (match := TRACES.search(path.read_bytes()))
    }
    assert found == {}


HOUSE = b"/".join((b"see ", b"work", b"main"))
INDEX = b".".join((b"https://pypi", b"org/simple"))


@pytest.mark.parametrize("trace", [HOUSE, INDEX])
def test_a_trace_would_be_found(trace):
    assert TRACES.search(trace)
