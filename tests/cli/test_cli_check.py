"""Settings with their sources, engines with their answers, and problems in words."""

import json

import pytest
from click.testing import CliRunner

from understudy.cli import casting, cli
from understudy.config import EngineSettings
from understudy.language.target import Model, Standing

UP = Standing("box", "vllm", "up", (Model("qwen", 65_536),))


@pytest.fixture
def there(tmp_path, monkeypatch):
    """An empty place with no engines; gives the function that runs `check` with a settings file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(casting, "found", lambda _loaded: ())

    def run(toml: str = "", *standing: Standing, **env: str):
        monkeypatch.setattr(casting, "standing", lambda _loaded, _rows: standing)
        (tmp_path / "understudy.toml").write_text(toml)
        done = CliRunner().invoke(cli, ["check", "--json"], env=env)
        return done, json.loads(done.stdout) if done.stdout else {}

    return run


ROW = '[[engines]]\nname = "box"\nkind = "vllm"\nurl = "http://me:secret@127.0.0.1:8001"\n'


def test_all_is_well(there):
    done, found = there(ROW, UP)
    assert (done.exit_code, found["ok"], found["problems"]) == (0, True, [])
    assert found["engines"] == [
        {
            "name": "box",
            "kind": "vllm",
            "url": "http://***@127.0.0.1:8001",
            "state": "up",
            "models": [{"id": "qwen", "window": 65536}],
            "detail": "",
        }
    ]


def test_where_a_setting_is_from(there):
    done, found = there(
        "[server]\nport = 8123\n", UNDERSTUDY_SERVER__HOST="::1", UNDERSTUDY_DISCOVER__ON="false"
    )
    rows = {row["path"]: (row["value"], row["source"]) for row in found["settings"]}
    assert done.exit_code == 0
    assert rows["server.port"] == (8123, "understudy.toml")
    assert rows["server.host"] == ("::1", "$UNDERSTUDY_SERVER__HOST")
    assert rows["discover.on"] == (False, "$UNDERSTUDY_DISCOVER__ON")
    assert rows["embedded.slots"] == (2, "default")
    assert rows["models"][1] == "default"


HELD = Standing("claude", "anthropic", "held", detail="held back by [privacy]", local=False)


def test_an_engine_that_is_held_is_shown_and_no_problem(there):
    toml = ROW + '[[engines]]\nname = "claude"\nkind = "anthropic"\n'
    done, found = there(toml, UP, HELD)
    assert (done.exit_code, found["problems"]) == (0, [])
    assert (found["engines"][1]["state"], found["engines"][1]["detail"]) == ("held", "held back by [privacy]")
    printed = CliRunner().invoke(cli, ["check"]).stdout
    assert "held  claude (anthropic) https://api.anthropic.com  held back by [privacy]" in printed


def test_no_secret_is_shown(there):
    toml = ROW + 'key_env = "BOX_KEY"\n[auth]\nkey_hashes = ["' + "ab" * 32 + '"]\n'
    toml += '[privacy]\nwords = ["Heron", "Egret"]\npatterns = ["HR-[0-9]+"]\n'
    done, found = there(toml, UP, BOX_KEY="k-123", UNDERSTUDY_MASTER_KEY="m-123", HF_TOKEN="h-123")
    assert found["secrets"] == {"UNDERSTUDY_MASTER_KEY": "set", "HF_TOKEN": "set", "key of engine box": "set"}
    for secret in ("k-123", "m-123", "h-123", "abab", "me:secret", "Heron", "HR-"):
        assert secret not in done.output
    shown = {row["path"]: row["value"] for row in found["settings"]}
    assert (shown["privacy.words"], shown["privacy.patterns"], shown["auth.key_hashes"]) == (
        "2 words",
        "1 patterns",
        "1 keys",
    )


@pytest.mark.parametrize(
    ("toml", "standing", "problem"),
    [
        (
            ROW,
            Standing("box", "vllm", "down", (), 0, "connection refused"),
            "box: connection refused. Start it, or",
        ),
        (ROW, Standing("box", "vllm", "up"), "box serves no model: load one into it"),
        (
            ROW,
            Standing("box", "vllm", "up", (Model("qwen"),)),
            "box/qwen: the engine does not tell its window",
        ),
        (
            ROW + '[models]\n"gpt-*" = "nope"\n',
            UP,
            "models.gpt-*: 'nope' is no target here. There are: box/qwen",
        ),
        (
            ROW + '[[routing.rules]]\ntargets = ["qwen"]\n[[routing.rules]]\ntargets = ["task"]\n',
            UP,
            "rule 2 of the settings can never hold: rule 1 holds wherever it would",
        ),
        (ROW + '[routing.tasks]\ncode = ["nope"]\n', UP, "routing.tasks.code: 'nope' is no target here"),
        (
            ROW + '[images]\ndescriber = "eyes/vl"\n',
            UP,
            "images.describer: no engine has 'eyes/vl'. They have: box/qwen, qwen",
        ),
        (
            ROW + '[images]\ndescriber = "box/qwen"\n',
            Standing("box", "vllm", "up", (Model("qwen", 65_536, lacks=("images",)),)),
            "images.describer: box/qwen cannot see pictures itself. Name a model that can",
        ),
        (
            ROW + '[images]\ndescriber = "box/qwen"\n',
            Standing("box", "vllm", "up", (Model("qwen", 65_536),), local=False),
            "images.describer: box/qwen is outside the house. Name a model in it",
        ),
    ],
)
def test_problems(there, toml, standing, problem):
    done, found = there(toml, standing)
    assert (done.exit_code, found["ok"]) == (1, False)
    assert len(found["problems"]) == 1
    assert found["problems"][0].startswith(problem)


@pytest.mark.parametrize("target", ["auto", "qwen", "box/qwen"])
def test_names_that_stand_for_something(there, target):
    assert there(ROW + f'[models]\n"gpt-*" = "{target}"\n', UP)[0].exit_code == 0


@pytest.mark.parametrize("name", ["", "qwen", "box/qwen"])
def test_a_describer_that_is_there(there, name):
    assert there(ROW + f'[images]\ndescriber = "{name}"\n', UP)[0].exit_code == 0


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[server]\nprot = 1\n", "prot"),
        ('[server]\nhost = "0.0.0.0"\n', "UNDERSTUDY_MASTER_KEY"),
        (ROW + 'key_env = "NO_SUCH"\n', "$NO_SUCH is not set"),
        ("server = [", "not valid TOML"),
    ],
)
def test_settings_that_cannot_be(there, toml, words):
    done, _ = there(toml)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr


@pytest.mark.parametrize(
    ("toml", "free", "note"),
    [
        ("", 10**12, "serve would fetch qwen3-coder-next"),
        ("", 0, "no model fits"),
        ("[embedded]\nhub = false\n", 10**12, "no model fits"),
        ('[embedded]\nmodel = "x.gguf"\n', 0, "our own llama.cpp, with x.gguf"),
    ],
)
def test_without_an_engine(there, monkeypatch, toml, free, note):
    monkeypatch.setattr("understudy.engines.embedding.free_memory", lambda: free)
    done, found = there(toml)
    assert done.exit_code == 0
    assert note in found["notes"][0]


def test_for_the_eye(there, monkeypatch):
    there(ROW, UP, Standing("old", "ollama", "down", (), 0, "refused"))
    monkeypatch.setattr(
        casting, "engines", lambda loaded: (*loaded.config.engines, EngineSettings("old", "ollama"))
    )
    done = CliRunner().invoke(cli, ["check"])
    assert done.exit_code == 1
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert "  up    box (vllm) http://***@127.0.0.1:8001" in lines
    assert "          qwen  65,536 tokens" in lines
    assert "problem: old: refused. Start it, or take it out of the settings" in lines
    assert "secret" not in done.stdout


def test_the_search_provider_is_shown_without_its_keys(there):
    web = '[web]\nsearch = "searxng"\nsearch_url = "http://me:secret@127.0.0.1:8888"\nsearch_key_env = "SEARCH_KEY"\n'
    done, found = there(web, SEARCH_KEY="hidden")
    rows = {row["path"]: row["value"] for row in found["settings"]}
    assert rows["web.search_url"] == "http://***@127.0.0.1:8888"
    assert found["secrets"]["key of the search provider, SEARCH_KEY"] == "set"
    assert "hidden" not in done.stdout
    assert "secret@" not in done.stdout
