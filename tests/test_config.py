import json
import re
import tomllib
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from understudy import config
from understudy.config import (
    MODELS,
    Config,
    ConfigError,
    EngineSettings,
    bare_environment,
    batches_file,
    data_dir,
    environment,
    load,
    models_dir,
    schema,
    size_bytes,
    visitor,
)

EXAMPLE = Path(__file__).parents[1] / "understudy.example.toml"


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No settings file and no settings in the environment."""
    for name in list(environment()):
        if name.startswith("UNDERSTUDY_") or name in (
            "OLLAMA_HOST",
            "HF_ENDPOINT",
            "HF_TOKEN",
            "ANTHROPIC_API_KEY",
        ):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def written(text):
    path = Path("settings.toml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_nothing_said_is_all_defaults():
    loaded = load()
    assert loaded.config == Config()
    assert loaded.sources == {}
    assert loaded.secrets == config.Secrets()


def test_later_ones_win(monkeypatch):
    path = written('[server]\nhost = "a"\nport = 1\nping_seconds = 3\nhosts = ["x"]\n')
    monkeypatch.setenv("UNDERSTUDY_SERVER__PORT", "2")
    monkeypatch.setenv("UNDERSTUDY_SERVER__HOST", "b")
    loaded = load(path, {"server.port": 3, "server.body_limit": None})
    server = loaded.config.server
    assert (server.host, server.port, server.ping_seconds, server.hosts) == ("b", 3, 3.0, ("x",))
    assert loaded.sources == {
        "server.host": "$UNDERSTUDY_SERVER__HOST",
        "server.port": "command line",
        "server.ping_seconds": "settings.toml",
        "server.hosts": "settings.toml",
    }


def test_the_file_here_is_read_unasked():
    Path("understudy.toml").write_text("[server]\nport = 9\n")
    assert load().config.server.port == 9


WRONG = {  # a file: what is said, after its name
    "unknown section": ("[srever]\nport = 1\n", "srever: there is no such key"),
    "unknown empty section": ("[srever]\n", "srever: there is no such key"),
    "unknown key": ("[server]\nprot = 1\n", "server.prot: there is no such key"),
    "unknown key of an engine": (
        '[[engines]]\nname = "a"\nkind = "vllm"\nurll = ""\n',
        r"engines[0].urll: there is no such key",
    ),
    "wrong type": ('[server]\nport = "x"\n', "server.port: Expected `int`"),
    "out of range": ("[server]\nport = 65536\n", "server.port: Expected `int` <= 65535"),
    "zero seconds": ("[limits]\nidle_seconds = 0\n", "limits.idle_seconds: Expected `float` > 0"),
    "nan seconds": ("[limits]\nidle_seconds = nan\n", "limits.idle_seconds: Expected `float` > 0"),
    "no answer at all": (
        "[limits]\ndefault_max_tokens = 0\n",
        "limits.default_max_tokens: Expected `int` >= 1",
    ),
    "another way to miss a picture": (
        '[images]\nmissing = "guess"\n',
        "images.missing: Invalid enum value 'guess'",
    ),
    "no page": ("[documents]\npages = 0\n", "documents.pages: Expected `int` >= 1"),
    "no size": ('[server]\nbody_limit = "much"\n', "server.body_limit: Expected `str` matching"),
    "a number for a size": ("[server]\nbody_limit = 5\n", "server.body_limit: Expected `str`"),
    "no section": ("server = 3\n", "server: Expected `object`"),
    "wrong kind": ('[[engines]]\nname = "a"\nkind = "x"\n', "engines[0].kind: Invalid enum value 'x'"),
    "no kind": ('[[engines]]\nname = "a"\n', "engines[0]: Object missing required field `kind`"),
    "a name with a slash": (
        '[[engines]]\nname = "a/b"\nkind = "vllm"\n',
        "engines[0].name: Expected `str` matching",
    ),
    "a credential for a stranger": (
        '[[engines]]\nname = "a"\nkind = "vllm"\npass_key = true\n',
        "engines.a.pass_key: only kinds anthropic and openai",
    ),
    "nobody to ask for models": (
        '[[engines]]\nname = "a"\nkind = "anthropic"\npass_key = true\n',
        "engines.a.models: name the models",
    ),
    "a mode that is none": ('[privacy]\nmode = "some"\n', "privacy.mode"),
    "two of a name": ('[[engines]]\nname = "a"\nkind = "vllm"\n' * 2, "engines: two engines are called 'a'"),
    "a model that is no text": ("[models]\na = 1\n", "models[...]: Expected `str`"),
    "a key that is no hash": (
        '[auth]\nkey_hashes = ["secret"]\n',
        "auth.key_hashes[0]: Expected `str` matching",
    ),
    "no TOML": ("[server\n", "is not valid TOML"),
    "no UTF-8": (b'[server]\nhost = "\xff"\n', "is not valid TOML"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_an_error_names_the_file_and_the_path(text, said):
    with pytest.raises(ConfigError) as caught:
        load(written(text))
    assert caught.value.message.startswith(("settings.toml: " + said, "settings.toml " + said))


def test_an_error_of_the_command_line_says_so():
    with pytest.raises(ConfigError, match=r"^command line: server\.port: "):
        load(None, {"server.port": "x"})


@pytest.mark.parametrize("path", ["nowhere.toml", "."])
def test_a_file_that_cannot_be_read(path):
    with pytest.raises(ConfigError, match=rf"^cannot read {re.escape(path)}: "):
        load(Path(path))


def test_a_section_that_is_none_and_the_environment(monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_SERVER__PORT", "2")
    with pytest.raises(ConfigError, match=r"^settings\.toml: server: Expected `object`"):
        load(written("server = 3\n"))


TYPED = {  # name, text: the value
    ("SERVER__PORT", "8010"): 8010,
    ("SERVER__HOST", "10"): "10",
    ("SERVER__HOSTS", "a, b,,c "): ("a", "b", "c"),
    ("SERVER__HOSTS", ""): (),
    ("SERVER__PING_SECONDS", "2.5"): 2.5,
    ("SERVER__PING_SECONDS", "2"): 2.0,
    ("SERVER__BODY_LIMIT", "1.5 GiB"): "1.5 GiB",
    ("DISCOVER__ON", "true"): True,
    ("DISCOVER__ON", "0"): False,
    ("DISCOVER__ON", "False"): False,
    ("EMBEDDED__HUB", "1"): True,
    ("EMBEDDED__SLOTS", "64"): 64,
    ("OBSERVE__LEVEL", "debug"): "debug",
    ("LIMITS__SESSIONS_MEMORY", "100"): "100",
    ("AUTH__KEY_HASHES", "a" * 64 + "," + "b" * 64): ("a" * 64, "b" * 64),
    ("IMAGES__DESCRIBER", "eyes/vl"): "eyes/vl",
    ("IMAGES__AT_ONCE", "3"): 3,
    ("DOCUMENTS__TEXT", "1MB"): "1MB",
    ("server__port", "7"): 7,
}


@pytest.mark.parametrize(("name", "text", "value"), [(*pair, value) for pair, value in TYPED.items()])
def test_the_environment_has_the_settings_types(monkeypatch, name, text, value):
    monkeypatch.setenv(f"UNDERSTUDY_{name}", text)
    section, key = name.lower().split("__")
    loaded = load()
    found = getattr(getattr(loaded.config, section), key)
    assert found == value
    assert type(found) is type(value)
    assert loaded.sources == {f"{section}.{key}": f"$UNDERSTUDY_{name}"}


MISTYPED = [
    ("SERVER__PORT", "x"),
    ("SERVER__PORT", ""),
    ("SERVER__PORT", "8.5"),
    ("SERVER__PORT", "-1"),
    ("SERVER__BODY_LIMIT", "64 megs"),
    ("SERVER__PING_SECONDS", "nan"),
    ("SERVER__PING_SECONDS", "0"),
    ("DISCOVER__ON", "yes please"),
    ("EMBEDDED__SLOTS", "65"),
    ("OBSERVE__LEVEL", "loud"),
    ("AUTH__KEY_HASHES", "secret"),
]


@pytest.mark.parametrize(("name", "text"), MISTYPED)
def test_a_wrong_value_in_the_environment_is_named(monkeypatch, name, text):
    monkeypatch.setenv(f"UNDERSTUDY_{name}", text)
    with pytest.raises(ConfigError) as caught:
        load()
    assert f"$UNDERSTUDY_{name}" in caught.value.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("FOO", "is not a setting"),
        ("SRVER__PORT", "is not a setting"),
        ("SERVER", "is not a setting"),
        ("SERVER_PORT", "is not a setting"),
        ("MODELS__AUTO", "is not a setting"),
        ("ENGINES__NAME", "is not a setting"),
        ("SERVER__PROT", "[server] has no key 'prot'. It has: host, port, "),
        ("SERVER__PORT__X", "[server] has no key 'port__x'"),
    ],
)
def test_an_unknown_name_in_the_environment_is_named(monkeypatch, name, said):
    monkeypatch.setenv(f"UNDERSTUDY_{name}", "1")
    with pytest.raises(ConfigError) as caught:
        load()
    assert caught.value.message.startswith(f"$UNDERSTUDY_{name}")
    assert said in caught.value.message


def test_secrets_come_from_the_environment_without_their_line_end(monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_MASTER_KEY", "one\n")
    monkeypatch.setenv("RACK_KEY", " two\n")
    monkeypatch.setenv("OLLAMA_HOST", "0.0.0.0")
    monkeypatch.setenv("HF_TOKEN", "three")
    loaded = load(written('[[engines]]\nname = "rack"\nkind = "vllm"\nkey_env = "RACK_KEY"\n'))
    secrets = loaded.secrets
    assert (secrets.master_key, secrets.engine_keys, secrets.hub_token) == ("one", {"rack": "two"}, "three")
    assert secrets.ollama_host == "0.0.0.0"
    assert "one" not in str(loaded.sources)


@pytest.mark.parametrize("value", [None, "", "\n"])
def test_a_key_that_is_not_there(monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("RACK_KEY", value)
    with pytest.raises(ConfigError, match=r"^engines\.rack\.key_env: \$RACK_KEY is not set"):
        load(written('[[engines]]\nname = "rack"\nkind = "vllm"\nkey_env = "RACK_KEY"\n'))


MERGED = {  # [models] of the file: the names, in the order in which they are tried
    "nothing": ("", MODELS),
    "more": (
        '"gpt-4" = "big"\n"claude-haiku-*" = "small"',
        {"gpt-4": "big", "claude-haiku-*": "small", **MODELS},
    ),
    "another meaning": ('"claude-*" = "big"', {"claude-*": "big", "auto": "auto"}),
    "its own order": (
        '"auto" = "big"\n"x" = "y"\n"claude-*" = "z"',
        {"auto": "big", "x": "y", "claude-*": "z"},
    ),
}


@pytest.mark.parametrize(("text", "names"), MERGED.values(), ids=MERGED)
def test_models_of_the_file_stand_before_the_defaults(text, names):
    assert list(load(written(f"[models]\n{text}\n")).config.models.items()) == list(names.items())
    assert MODELS == {"claude-*": "auto", "auto": "auto"}


SIZES = {"64MB": 64 << 20, "1.5 GiB": 3 << 29, "100": 100, "100B": 100, " 2K ": 2048, "1TiB": 1 << 40, "0": 0}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_sizes(text, size):
    assert size_bytes(text) == size
    assert load(None, {"server.body_limit": text}).config.server.body_limit == text


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "64mb", "1e3", "1,5GB", "64 MB!", "\u0664KB"])
def test_no_sizes(text):
    with pytest.raises(ConfigError):
        size_bytes(text)
    with pytest.raises(ConfigError):
        load(None, {"server.body_limit": text})


def test_where_models_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_dir() == tmp_path / "understudy"
    assert models_dir(Config()) == tmp_path / "understudy" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert data_dir() == Path.home() / ".local" / "share" / "understudy"
    assert models_dir(load(None, {"embedded.models_dir": "~/m"}).config) == Path.home() / "m"


def test_where_batches_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert batches_file(Config()) == tmp_path / "understudy" / "batches.db"
    monkeypatch.setenv("UNDERSTUDY_BATCHES__FILE", "~/b.db")
    assert batches_file(load().config) == Path.home() / "b.db"


def test_a_bare_environment_has_what_python_needs_and_no_more(monkeypatch):
    for name in ("UNDERSTUDY_KEY", "BOX_KEY", "HF_TOKEN", "HTTP_PROXY"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("PYTHONPATH", "here")
    monkeypatch.setenv("PATH", "/bin")
    assert {"PATH": "/bin", "PYTHONPATH": "here"}.items() <= bare_environment().items()
    assert set(bare_environment()) <= set(config.BARE)


def test_what_a_visitor_brings(monkeypatch):
    assert visitor() == config.Visitor()
    monkeypatch.setenv("UNDERSTUDY_MASTER_KEY", "m")
    assert visitor().key == "m"
    monkeypatch.setenv("UNDERSTUDY_KEY", "k")
    monkeypatch.setenv("UNDERSTUDY_URL", "http://x")
    monkeypatch.setenv("UNDERSTUDY_DEBUG", "1")
    assert visitor() == config.Visitor("http://x", "k", debug=True)
    load()


# --- understudy.example.toml

LINE = re.compile(r"^# ((?P<key>\S+) = .*?)  # (optional, default (?P<default>\S+).*|required): .+$")
UNSAID = {"required": "...", "unset": None}


def uncommented():
    """The example with every setting switched on, and what it says of each default: {section: {key: words}}."""
    lines, said, section = [], {}, ""
    for line in EXAMPLE.read_text().splitlines():
        if head := re.match(r"^(?:# )?\[+(\w+)\]+$", line):
            section = head[1]
            lines.append(line.removeprefix("# "))
        elif found := LINE.match(line):
            said.setdefault(section, {})[found["key"].strip('"')] = (found["default"] or "required").rstrip(
                ":"
            )
            lines.append(found[1])
        else:
            assert line == "" or re.match(r"# [A-Z]", line), f"neither setting nor sentence: {line}"
    return "\n".join(lines), said


def test_the_example_fits_the_schema():
    values = tomllib.loads(uncommented()[0])
    validator = jsonschema_rs.validator_for(schema())
    assert [error.message for error in validator.iter_errors(json.loads(json.dumps(values)))] == []
    assert tomllib.loads(EXAMPLE.read_text()) == {key: {} for key in values if key != "engines"}


def test_the_example_read_with_its_comments_off_is_all_defaults():
    text, _ = uncommented()
    read = load(written(text)).config
    unset = msgspec.structs.replace(read.discover, on=None)
    assert msgspec.structs.replace(read, engines=(), discover=unset) == Config()
    (engine,) = read.engines
    plain = EngineSettings(name=engine.name, kind=engine.kind)
    assert msgspec.structs.replace(engine, images=None, thinking=None, local=None) == plain


def test_every_key_is_in_the_example_with_its_default():
    _, said = uncommented()
    expected = {}
    for section in msgspec.structs.fields(Config):
        struct = EngineSettings if section.name == "engines" else section.type
        if section.name != "models":
            expected[section.name] = {f.name: shown(f) for f in msgspec.structs.fields(struct)}
    expected["models"] = {name: f'"{target}"' for name, target in MODELS.items()}
    assert said == expected


def shown(field):
    if field.required:
        return "required"
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return "unset" if default is None else json.dumps(default, separators=(",", ":"))


# --- the web


def test_the_web_is_off():
    web = Config().web
    assert (web.search, web.fetch, web.private_hosts) == ("off", False, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('search = "searxng"', r"web\.search_url: where is the provider\? web\.search is 'searxng'"),
        ('search = "searxng"\nsearch_url = "localhost:8888"', r"web\.search_url: where is"),
        ('search = "searxng"\nsearch_url = "http://"', r"web\.search_url: where is"),
        ('search = "json"\nsearch_url = "https://a.example"', r"web\.search_url: it needs \{query\}"),
        (
            'search = "json"\nsearch_url = "https://a.example/{query}"\nsearch_fields = ["a"]',
            r"web\.search_fields: the names of address, title and text",
        ),
        ('search = "altavista"', r"web\.search: Invalid enum value"),
        ('search_key_env = "SEARCH_KEY"', r"web\.search_key_env: \$SEARCH_KEY is not set"),
    ],
)
def test_a_search_that_could_not_work_is_said_at_once(text, problem):
    with pytest.raises(ConfigError, match=problem):
        load(written(f"[web]\n{text}\n"))


def test_a_search_that_can(monkeypatch):
    monkeypatch.setenv("SEARCH_KEY", " k1\n")
    monkeypatch.setenv("UNDERSTUDY_WEB__SEARCH_FIELDS", "a, b, c")
    text = '[web]\nsearch = "json"\nsearch_url = "https://a.example/{query}"\nsearch_key_env = "SEARCH_KEY"\n'
    loaded = load(written(text))
    assert loaded.secrets.search_key == "k1"
    assert loaded.config.web.search_fields == ("a", "b", "c")
    assert (
        load(written('[web]\nsearch = "searxng"\nsearch_url = "http://127.0.0.1:8888"\n')).secrets.search_key
        == ""
    )
