"""Settings: one typed file, `understudy.toml`; the environment; the command line. Later ones win.

Every key has a default and a line in `understudy.example.toml`; an unknown key is an error with its path. Environment names
are `UNDERSTUDY_SECTION__KEY`. This is the only module that reads the environment, and it does so when asked.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Struct, field

from understudy.language.errors import UnderstudyError
from understudy.language.price import Price
from understudy.language.routes import Routing
from understudy.language.target import Mode

PREFIX = "UNDERSTUDY_"
ToolSyntax = Literal[
    "auto",
    "native",
    "apertus",
    "cohere",
    "command-r",
    "deepseek",
    "fenced",
    "functiongemma",
    "functionary",
    "functools",
    "gemma4",
    "gigachat",
    "glm",
    "granite",
    "harmony",
    "hermes",
    "hunyuan",
    "hyperclova",
    "inkling",
    "internlm",
    "invoke",
    "json",
    "k2-horizon",
    "kimi-k2",
    "kimi-k3",
    "lfm2",
    "llama",
    "llama4",
    "longcat",
    "mcp-xml",
    "minicpm",
    "minimax-m3",
    "mistral",
    "nemotron",
    "olmo3",
    "pangu",
    "plamo",
    "pythonic",
    "qwen-xml",
    "seed",
    "solar",
    "tool-calls",
    "xlam",
]
"""How a model writes tool calls: the rows of `stages/toolsyntax.py`, by their names."""

KindName = Literal[
    "ollama", "vllm", "llama-server", "sglang", "lmstudio", "openai", "anthropic", "llamacpp", "scripted"
]
Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]
Size = Annotated[str, Meta(pattern=r"^\s*[0-9]+(\.[0-9]+)?\s*([KMGT]i?)?B?\s*$")]
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


MODELS = {"claude-*": "auto", "auto": "auto"}
"""What a client may ask for when `[models]` says nothing of it; the settings' own entries come first."""


class ConfigError(UnderstudyError):
    """A setting that cannot be used; the message has its path and where it came from."""


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """Where we listen, and what we accept."""

    host: str = "127.0.0.1"
    port: Port = 8000
    body_limit: Size = "64MB"
    ping_seconds: Seconds = 10.0
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


class Discover(Struct, frozen=True, forbid_unknown_fields=True):
    """Looking for engines on this machine; unset, it is on while no engine is named."""

    on: bool | None = None
    timeout_seconds: Seconds = 1.0
    hosts: tuple[str, ...] = ("127.0.0.1",)


class EngineSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[engines]]` entry."""

    name: Annotated[str, Meta(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")]
    kind: KindName
    url: str = ""
    models: tuple[str, ...] = ()
    context: Count = 0
    key_env: str = ""
    slots: Count = 0
    model: str = ""
    script: str = ""
    tool_syntax: ToolSyntax = "auto"
    images: bool | None = None
    thinking: bool | None = None
    local: bool | None = None
    pass_key: bool = False


class Embedded(Struct, frozen=True, forbid_unknown_fields=True):
    """The llama.cpp of our own, used when no engine is found."""

    model: str = ""
    models_dir: str = ""
    context: Count = 0
    slots: Annotated[int, Meta(ge=1, le=64)] = 2
    threads: Count = 0
    batch: Annotated[int, Meta(ge=32, le=8192)] = 512
    cache_ram: Size = "8GB"
    mmproj: str = ""
    grammar: bool = True
    hub: bool = True


class Auth(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may ask. Keys are kept as their SHA-256 in hex only; the master key comes from the environment."""

    key_hashes: tuple[Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")], ...] = ()


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Deadlines and memory."""

    connect_seconds: Seconds = 5.0
    first_byte_seconds: Seconds = 1800.0
    idle_seconds: Seconds = 600.0
    health_seconds: Seconds = 5.0
    sessions_memory: Size = "64MB"
    responses_memory: Size = "64MB"
    default_max_tokens: Annotated[int, Meta(ge=1)] = 8192
    tool_retries: Annotated[int, Meta(ge=0)] = 2


class Images(Struct, frozen=True, forbid_unknown_fields=True):
    """Pictures, for models that cannot see."""

    describer: str = ""
    missing: Literal["refuse", "omit"] = "refuse"
    max_tokens: Annotated[int, Meta(ge=1)] = 1024
    timeout_seconds: Seconds = 300.0
    at_once: Annotated[int, Meta(ge=1)] = 2
    cache: Size = "16MB"


class Documents(Struct, frozen=True, forbid_unknown_fields=True):
    """PDFs, which no local engine takes."""

    pages: Annotated[int, Meta(ge=1)] = 500
    text: Size = "200KB"
    timeout_seconds: Seconds = 60.0
    memory: Size = "1GB"
    cache: Size = "16MB"


class Batches(Struct, frozen=True, forbid_unknown_fields=True):
    """Message Batches: where they are kept, and how they give way to people."""

    on: bool = True
    file: str = ""
    concurrency: Annotated[int, Meta(ge=1, le=256)] = 4
    quiet_seconds: Annotated[float, Meta(ge=0)] = 20.0
    tries: Annotated[int, Meta(ge=1)] = 5
    expire_hours: Annotated[float, Meta(gt=0)] = 24.0
    keep_days: Annotated[float, Meta(gt=0)] = 29.0


class Privacy(Struct, frozen=True, forbid_unknown_fields=True):
    """What may leave the house: nothing, what is free of findings, or everything; and what counts as one."""

    mode: Mode = "local-only"
    redact: bool = False
    words: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    audit: str = ""


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """What may be spent outside the house; 0 is no limit. And by which prices."""

    day_dollars: Annotated[float, Meta(ge=0)] = 0.0
    month_dollars: Annotated[float, Meta(ge=0)] = 0.0
    day_tokens: Count = 0
    month_tokens: Count = 0
    compare: str = "claude-sonnet-5-5"
    prices: dict[str, Price] = {}
    file: str = ""


class WebSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Web search and web fetch for models that have no servers of their own. Nothing of it is on by itself."""

    search: Literal["off", "searxng", "json"] = "off"
    search_url: str = ""
    search_key_env: str = ""
    search_key_header: str = "Authorization"
    search_results: str = "results"
    search_fields: tuple[str, ...] = ("url", "title", "content")
    results: Annotated[int, Meta(ge=1, le=50)] = 8
    fetch: bool = False
    blocked: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()
    seconds: Seconds = 20.0
    page_limit: Size = "4MB"
    page_tokens: Annotated[int, Meta(ge=100)] = 8000
    rounds: Annotated[int, Meta(ge=1, le=100)] = 10


class Observe(Struct, frozen=True, forbid_unknown_fields=True):
    """What we tell of ourselves."""

    log: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All settings."""

    server: Server = Server()
    discover: Discover = Discover()
    engines: tuple[EngineSettings, ...] = ()
    models: dict[str, str] = field(default_factory=lambda: dict(MODELS))
    routing: Routing = Routing()
    embedded: Embedded = Embedded()
    auth: Auth = Auth()
    limits: Limits = Limits()
    images: Images = Images()
    documents: Documents = Documents()
    batches: Batches = Batches()
    privacy: Privacy = Privacy()
    budget: Budget = Budget()
    web: WebSettings = WebSettings()
    observe: Observe = Observe()


class Secrets(Struct, frozen=True):
    """What the environment holds besides settings. Never logged, never shown."""

    master_key: str = ""
    engine_keys: dict[str, str] = field(default_factory=dict)
    search_key: str = ""
    hub_endpoint: str = ""
    hub_token: str = ""
    ollama_host: str = ""


class Visitor(Struct, frozen=True):
    """What the commands that speak to a running gateway take from the environment.

    Attributes:
        url: `$UNDERSTUDY_URL`, the gateway's address.
        key: `$UNDERSTUDY_KEY`, else the master key; empty where the gateway asks for none.
        debug: `$UNDERSTUDY_DEBUG`: show the traceback of a bug.
    """

    url: str = ""
    key: str = ""
    debug: bool = False


class Loaded(Struct, frozen=True):
    """Settings, and for each path where its value came from: a file, an environment variable, an option."""

    config: Config
    sources: dict[str, str]
    secrets: Secrets


def size_bytes(text: str) -> int:
    """Bytes in "64MB", "1.5 GiB" or "100"; units are powers of 1024.

    Raises:
        ConfigError: it is no size.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:([KMGT])i?)?B?\s*", text)
    if match is None:
        raise ConfigError(f"{text!r} is not a size like 64MB")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def load(file: Path | None = None, options: dict[str, object] | None = None) -> Loaded:
    """Read the file (default: `understudy.toml` here, if there is one), the environment and the command line's options.

    Args:
        file: a file that must exist, or None.
        options: values by path ("server.port"), from the command line; None values are skipped.

    Raises:
        ConfigError: an unknown key, a wrong value, an unreadable file.
    """
    path = file or Path("understudy.toml")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if file is not None or path.exists():
        values = _read(path)
        sources = dict.fromkeys(_paths(values), str(path))
    for name, text in sorted(os.environ.items()):  # noqa: TID251 - this is the place
        where = _setting(name)
        if where is not None:
            _put(values, where, _typed(where, text, name))
            sources[".".join(where)] = f"${name}"
    for dotted, value in (options or {}).items():
        if value is not None:
            _put(values, tuple(dotted.split(".")), value)
            sources[dotted] = "command line"
    config = _convert(values, sources)
    return Loaded(config, sources, _secrets(config))


def data_dir() -> Path:
    """Where models and other files of ours live: `$XDG_DATA_HOME/understudy`, else `~/.local/share/understudy`."""
    base = os.environ.get("XDG_DATA_HOME")  # noqa: TID251 - this is the place
    return (Path(base) if base else Path.home() / ".local" / "share") / "understudy"


def environment() -> dict[str, str]:
    """A copy of the environment, for programs we start."""
    return dict(os.environ)  # noqa: TID251 - this is the place


BARE = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What Python itself may need to start."""


def bare_environment() -> dict[str, str]:
    """The environment for a program that touches strangers' files: no keys are in it, no addresses, no names."""
    return {name: value for name, value in environment().items() if name in BARE}


def visitor() -> Visitor:
    """The environment of a command that speaks to a running gateway."""
    get = os.environ.get  # noqa: TID251 - this is the place
    key = get(f"{PREFIX}KEY") or get(f"{PREFIX}MASTER_KEY") or ""
    return Visitor(get(f"{PREFIX}URL", ""), key, bool(get(f"{PREFIX}DEBUG")))


def models_dir(config: Config) -> Path:
    """Where models are kept: `embedded.models_dir`, else `models` in the data directory."""
    chosen = config.embedded.models_dir
    return Path(chosen).expanduser() if chosen else data_dir() / "models"


def batches_file(config: Config) -> Path:
    """Where Message Batches are kept: `batches.file`, else `batches.db` in the data directory."""
    chosen = config.batches.file
    return Path(chosen).expanduser() if chosen else data_dir() / "batches.db"


def ledger_file(config: Config) -> Path:
    """Where it is counted what was spent and saved: `budget.file`, else `ledger.db` in the data directory."""
    chosen = config.budget.file
    return Path(chosen).expanduser() if chosen else data_dir() / "ledger.db"


def audit_file(config: Config) -> Path:
    """Where it is written down what left the house: `privacy.audit`, else `audit.jsonl` in the data directory."""
    chosen = config.privacy.audit
    return Path(chosen).expanduser() if chosen else data_dir() / "audit.jsonl"


def schema() -> dict[str, Any]:
    """The JSON Schema of the settings file."""
    return msgspec.json.schema(Config)


def _read(path: Path) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", msgspec.toml.decode(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _paths(values: dict[str, Any], before: str = "") -> list[str]:
    out: list[str] = []
    for key, value in values.items():
        dotted = f"{before}{key}"
        out += _paths(value, f"{dotted}.") if isinstance(value, dict) and value else [dotted]
    return out


_SECTIONS = tuple(f.name for f in msgspec.structs.fields(Config) if f.name not in ("engines", "models"))
_NO_SETTING = ("MASTER_KEY", "KEY", "URL", "DEBUG")
"""Names of ours in the environment that are no settings: a secret, and what `Visitor` has."""


def _setting(name: str) -> tuple[str, str] | None:
    """The path a variable sets; None for variables that are not ours."""
    if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in _NO_SETTING:
        return None
    section, _, key = name.removeprefix(PREFIX).lower().partition("__")
    if not key or section not in _SECTIONS:
        raise ConfigError(f"${name} is not a setting. They look like {PREFIX}SERVER__PORT=8010")
    return section, key


def _typed(where: tuple[str, str], text: str, name: str) -> object:
    """An environment text as the type its setting has: lists are comma separated."""
    section = {f.name: f.type for f in msgspec.structs.fields(Config)}[where[0]]
    types = {f.name: f.type for f in msgspec.structs.fields(section)}
    if where[1] not in types:
        raise ConfigError(f"${name}: [{where[0]}] has no key {where[1]!r}. It has: {', '.join(types)}")
    if str(types[where[1]]).startswith("tuple"):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return msgspec.convert(text, types[where[1]], strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"${name}={text!r}: {error}") from error


def _put(values: dict[str, Any], where: tuple[str, ...], value: object) -> None:
    for key in where[:-1]:
        section: object = values.setdefault(key, {})
        if not isinstance(section, dict):
            return  # the file has something else in the section's place: _convert() says so
        values = section
    values[where[-1]] = value


def _convert(values: dict[str, Any], sources: dict[str, str]) -> Config:
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), sources) from error
    _check_search(config.web, sources)
    names = [engine.name for engine in config.engines]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{_source('engines', sources)}: engines: two engines are called {name!r}")
    for engine in config.engines:
        if problem := _pass_key_problem(engine):
            where = f"{_source('engines', sources)}: engines.{engine.name}"
            raise ConfigError(f"{where}.{problem}")
    if circle := _circle(config.models):
        raise ConfigError(
            f"{_source('models', sources)}: models: {' -> '.join(circle)}: names that lead to each other lead nowhere"
        )
    defaults = {name: target for name, target in MODELS.items() if name not in config.models}
    return msgspec.structs.replace(config, models={**config.models, **defaults})


def _pass_key_problem(engine: EngineSettings) -> str:
    """What is wrong with an engine that is shown clients' credentials, or ""."""
    if not engine.pass_key:
        return ""
    if engine.kind not in ("anthropic", "openai"):
        return "pass_key: only kinds anthropic and openai are shown a client's credential"
    if not (engine.models or engine.key_env):
        return "models: name the models; with pass_key alone they cannot be asked for before a client comes"
    return ""


def _circle(models: dict[str, str]) -> list[str]:
    """Names of `[models]` that lead to each other, the first once more at the end; one that stands for itself is none."""
    for first in models:
        way = [first]
        while (after := models.get(way[-1], way[-1])) != way[-1]:
            if after in way:
                return [*way[way.index(after) :], after]
            way.append(after)
    return []


def _check_search(web: WebSettings, sources: dict[str, str]) -> None:
    """A provider without an address would fail with the first question only."""
    problem = ""
    if web.search != "off" and not re.match(r"https?://[^\s/]", web.search_url):
        problem = f"search_url: where is the provider? web.search is {web.search!r}"
    elif web.search == "json" and "{query}" not in web.search_url:
        problem = "search_url: it needs {query} in the place of what is looked for"
    elif web.search == "json" and len(web.search_fields) < 3:  # noqa: PLR2004 - address, title and text
        problem = "search_fields: the names of address, title and text in each result, at least"
    if problem:
        raise ConfigError(f"{_source('web.search', sources)}: web.{problem}")


def _misfit(text: str, sources: dict[str, str]) -> ConfigError:
    """What msgspec says of a value, with its path and where it came from."""
    problem, _, where = text.partition(" - at `$")
    path = where.rstrip("`").lstrip(".")
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", problem):
        path, problem = (
            f"{path}.{unknown[1]}".lstrip("."),
            "there is no such key; see understudy.example.toml",
        )
    return ConfigError(f"{_source(path, sources)}: {path}: {problem}")


def _source(path: str, sources: dict[str, str]) -> str:
    """Where the value of this path came from; of a section, its first key; of an item, its list."""
    bare = path.partition("[")[0]
    around = [known for known in sources if known == bare or bare.startswith(f"{known}.")]
    inside = [known for known in sources if known.startswith(f"{bare}.")]
    known = max(around, key=len, default="") or next(iter(inside), "")
    return sources.get(known, "settings")


def _secrets(config: Config) -> Secrets:
    get = os.environ.get  # noqa: TID251 - this is the place
    keys = {}
    for engine in config.engines:
        if engine.key_env:
            key = get(engine.key_env, "").strip()  # a line's end does not belong into a header
            if not key:
                raise ConfigError(f"engines.{engine.name}.key_env: ${engine.key_env} is not set")
            keys[engine.name] = key
    return Secrets(
        master_key=get(f"{PREFIX}MASTER_KEY", "").strip(),
        engine_keys=keys,
        search_key=_search_key(config.web),
        hub_endpoint=get("HF_ENDPOINT", ""),
        hub_token=get("HF_TOKEN", ""),
        ollama_host=get("OLLAMA_HOST", ""),
    )


def _search_key(web: WebSettings) -> str:
    key = os.environ.get(web.search_key_env, "").strip() if web.search_key_env else ""  # noqa: TID251 - this is the place
    if web.search_key_env and not key:
        raise ConfigError(f"web.search_key_env: ${web.search_key_env} is not set")
    return key
