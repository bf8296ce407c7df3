import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest
from enginewires import http, paths
from upstream_server import always, serving

from understudy.config import ConfigError, EngineSettings
from understudy.engines import KINDS
from understudy.engines.discover import PROBES, discover, ollama_url, well_known_ports
from understudy.engines.upstream import Upstream

MODELS = "GET /v1/models"
LIST = http({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "vllm"}]})
REAL = {  # what each kind answers
    "ollama": {"GET /api/version": http({"version": "0.12"}), MODELS: LIST},
    "vllm": {"GET /version": http({"version": "0.33"}), MODELS: LIST},
    "llama-server": {"GET /props": http({"total_slots": 1}), MODELS: LIST},
    "lmstudio": {"GET /api/v0/models": http({"data": []}), MODELS: http({"object": "list", "data": []})},
    "sglang": {"GET /get_model_info": http({"model_path": "x"}), MODELS: LIST},
}


async def found(scripts, hosts=("127.0.0.1",), ollama_host="", patience=1.0):
    """Discovers among servers: {kind whose port it is: script}; names and kinds of what was found."""
    async with AsyncExitStack() as stack:
        servers = [(kind, await stack.enter_async_context(serving(script))) for kind, script in scripts]
        ports = {}
        for kind, server in servers:
            ports.setdefault(kind, ())
            ports[kind] += (urlsplit(server.url).port,)
        upstream = Upstream(connect_timeout=patience)
        stack.push_async_callback(upstream.aclose)
        if isinstance(ollama_host, int):
            ollama_host = urlsplit(servers[ollama_host][1].url).netloc
        rows = await discover(upstream, hosts=hosts, ollama_host=ollama_host, patience=patience, ports=ports)
        return rows, [server.url for _, server in servers]


@pytest.mark.parametrize("kind", REAL)
async def test_each_kind_is_known_by_its_signs(kind):
    rows, (url,) = await found([(kind, paths(REAL[kind]))])
    assert rows == (EngineSettings(kind, kind, url),)


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("other", REAL)
async def test_no_kind_is_taken_for_another(kind, other):
    rows, _ = await found([(kind, paths(REAL[other]))])
    assert [row.kind for row in rows] == ([kind] if kind == other else [])


STRANGERS = {
    "nobody to speak of": always(b"", close=True),
    "404 for all": paths({}),
    "a web page for all": always(http(b"<html>hello</html>")),
    "an empty object for all": always(http({})),
    "an error for all": always(http({}, 500)),
    "a redirect for all": always(http(b"", 302, "Location: /login\r\n")),
    "no http": always(b"220 mail.example ESMTP\r\n", close=True),
    "deep nonsense": always(http(b"[" * 5000)),
    "no utf-8": always(http(b'{"data":[{"object":"\xff"}]}')),
    "another understudy": paths(
        {"GET /version": http({}), MODELS: http({"data": [{"id": "m", "type": "model"}]})}
    ),
    "a list of something else": paths(
        {"GET /version": http({}), MODELS: http({"data": [{"object": "cow"}]})}
    ),
}


@pytest.mark.parametrize("script", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("kind", ["vllm", "llama-server"])
async def test_strangers_are_no_engines(script, kind):
    rows, _ = await found([(kind, script)])
    assert rows == ()


@pytest.mark.parametrize(
    ("version", "kinds"),
    [
        ({"version": "0.13.0", "understudy": "0.1.0"}, []),
        ({"version": "0.13.0", "understudy": ""}, ["ollama"]),
        (["0.13.0"], ["ollama"]),
    ],
)
async def test_an_understudy_is_no_ollama(version, kinds):
    rows, _ = await found([("ollama", paths({"GET /api/version": http(version)}))])
    assert [row.kind for row in rows] == kinds


async def test_one_that_says_nothing_does_not_hold_the_others():
    async def silent(peer):
        await peer.request()
        await peer.gone()

    async with asyncio.timeout(5):
        rows, urls = await found([("ollama", silent), ("vllm", paths(REAL["vllm"]))], patience=0.2)
    assert [(row.kind, row.url) for row in rows] == [("vllm", urls[1])]


async def test_several_of_a_kind_have_names_of_their_own():
    rows, urls = await found([("vllm", paths(REAL["vllm"])) for _ in range(2)])
    assert [row.url for row in rows] == urls
    assert [row.name for row in rows] == ["vllm", f"vllm-{urlsplit(urls[1]).port}"]


async def test_the_same_port_on_several_machines():
    hosts = ("127.0.0.1", "localhost", "127.0.0.1.")
    rows, (url,) = await found([("vllm", paths(REAL["vllm"]))], hosts=hosts[:2])
    port = urlsplit(url).port
    assert [(row.name, row.url) for row in rows] == [
        ("vllm", url),
        (f"vllm-{port}", f"http://localhost:{port}"),
    ]


async def test_names_do_not_run_out(monkeypatch):
    async def everywhere(upstream, kind, url, patience):
        return True

    monkeypatch.setattr("understudy.engines.discover._is_kind", everywhere)
    hosts = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "fe80::1")
    rows = await discover(None, hosts=hosts, ollama_host="", patience=1, ports={"vllm": (8000, 8001)})
    assert len(rows) == len({row.name for row in rows}) == len({row.url for row in rows}) == 8
    assert rows[-1].url == "http://[fe80::1]:8001"
    assert rows[-1].name == "vllm-fe80..1-8001"


async def test_ollama_host_is_looked_at_first_and_instead():
    ollama = paths(REAL["ollama"])
    scripts = [("vllm", paths(REAL["vllm"])), ("ollama", ollama), ("ollama", ollama)]
    rows, urls = await found(scripts, ollama_host=2)
    assert [row.url for row in rows] == [urls[2], urls[0]]


URLS = {
    "": "http://127.0.0.1:11434",
    "0.0.0.0": "http://127.0.0.1:11434",
    "0.0.0.0:8080": "http://127.0.0.1:8080",
    ":11435": "http://127.0.0.1:11435",
    "box": "http://box:11434",
    "Box:1": "http://box:1",
    "http://box": "http://box:80",
    "https://box": "https://box:443",
    "https://box:8443/": "https://box:8443",
    "http://0.0.0.0:11434/": "http://127.0.0.1:11434",
    "[::]:11434": "http://127.0.0.1:11434",
    "::": "http://127.0.0.1:11434",
    "::1": "http://[::1]:11434",
    "[::1]": "http://[::1]:11434",
    "http://[fe80::1]:5": "http://[fe80::1]:5",
    " 'box' ": "http://box:11434",
    "10.1.2.3:11434": "http://10.1.2.3:11434",
}


@pytest.mark.parametrize(("host", "url"), URLS.items())
def test_ollama_host(host, url):
    assert ollama_url(host) == url


@pytest.mark.parametrize("host", ["box:99999", "box:port", "http://[::1", "ftp://box", "unix:///run/x"])
def test_no_ollama_host(host):
    with pytest.raises(ConfigError, match=r"^\$OLLAMA_HOST="):
        ollama_url(host)


def test_every_kind_with_a_port_can_be_told():
    assert set(well_known_ports()) == set(PROBES)
    assert all(ports == KINDS[kind].ports for kind, ports in well_known_ports().items())
