"""https behind the same interface, against a raw TLS server with a certificate made here."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from upstream_server import CHUNKED, LENGTH, OK, WHOLE, Peer, always, serving

from understudy.engines.upstream import Upstream
from understudy.language.errors import Bug, EngineAway, EngineError, EngineLost, EngineTimeout


@pytest.fixture(scope="module")
def contexts(tmp_path_factory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context, with a self-signed certificate for 127.0.0.1, and one of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "engine")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=str(pem))


@pytest.fixture
def tls(contexts) -> ssl.SSLContext:
    return contexts[0]


@pytest.fixture
async def upstream(contexts):
    client = Upstream(verify=contexts[1])
    yield client
    await client.aclose()


async def ask(upstream: Upstream, url: str, method: str = "POST", **more) -> tuple[int, bytes]:
    async with upstream.request(method, url, **more) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - {"another coding"}))  # httpx knows chunked only
async def test_every_framing_is_read(upstream, tls, name):
    wire, status, body, kept = WHOLE[name]
    async with serving(always(wire, close=not kept), tls) as server:
        for _ in range(2):
            assert await ask(upstream, server.url) == (status, body)
        assert server.connections == (1 if kept else 2)


async def test_what_the_engine_is_sent(upstream, tls):
    headers = [(b"X-A", b"1"), (b"Content-Length", b"99"), (b"Host", b"evil")]
    async with serving(always(OK), tls) as server:
        await ask(upstream, server.url + "/v1?a=b", headers=headers, body=[b"one ", b"two"])
        lines = server.requests[0].split(b"\r\n")
        assert lines[0] == b"POST /v1?a=b HTTP/1.1"
        host = server.url.removeprefix("https://").encode()
        assert sorted(lines[1:4]) == [b"Content-Length: 7", b"Host: " + host, b"X-A: 1"]
        assert lines[4:] == [b"", b"one two"]


async def test_headers_come_as_they_are(upstream, tls):
    async with serving(always(LENGTH), tls) as server, upstream.request("GET", server.url) as response:
        assert response.headers.get(b"X-TWICE") == b"a"
        assert (b"X-Twice", b"b") in response.headers.raw


@pytest.mark.parametrize("name", ["chunked", "length", "100 and 103"])
async def test_an_answer_cut_at_any_byte_is_lost(upstream, tls, name):
    wire = WHOLE[name][0]

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(wire[:cut])

    async with serving(script, tls) as server:
        for cut in range(0, len(wire), 3):
            with pytest.raises(EngineError) as caught:
                await ask(upstream, server.url)
            assert type(caught.value) is EngineLost, (cut, caught.value)


async def test_garbage_is_an_error_and_not_a_loss(upstream, tls):
    async with serving(always(b"hello\r\n\r\n", close=True), tls) as server:
        with pytest.raises(EngineError, match="does not speak HTTP") as caught:
            await ask(upstream, server.url)
        assert type(caught.value) is EngineError


async def test_a_stale_connection_is_retried_once_and_a_fresh_one_is_not(upstream, tls):
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number > 2:
            return
        peer.send(OK)
        await peer.request()
        if peer.number == 2:
            peer.send(OK)

    async with serving(script, tls) as server:
        assert await ask(upstream, server.url) == (200, b"ok")
        assert await ask(upstream, server.url) == (200, b"ok")
        assert server.connections == 2
        assert await ask(upstream, server.url) == (200, b"ok")
        with pytest.raises(EngineLost):
            await ask(upstream, server.url)
        assert server.connections == 3


async def test_a_first_connection_is_not_retried(upstream, tls):
    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script, tls) as server:
        with pytest.raises(EngineLost):
            await ask(upstream, server.url)
        assert server.connections == 1


@pytest.mark.parametrize("how", ["break", "cancel", "head"])
async def test_leaving_early_closes_the_connection_at_once(upstream, tls, how):
    gone, asked, reading = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        if how != "head":
            peer.send(CHUNKED[:-5])
        await peer.gone()
        gone.set()

    async def leave() -> None:
        async with upstream.request("POST", server.url) as response:
            async for _ in response:
                reading.set()
                if how == "break":
                    return

    async with serving(script, tls) as server:
        task = asyncio.ensure_future(leave())
        await (asked if how == "head" else reading).wait()
        if how != "break":
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() == (how != "break")
        async with asyncio.timeout(2):
            await gone.wait()


async def test_timeouts(upstream, tls):
    async def script(peer: Peer) -> None:
        request = await peer.request()
        if b"/body" in request:
            peer.send(CHUNKED[:-5])
        await peer.gone()

    async with serving(script, tls) as server:
        with pytest.raises(EngineTimeout, match=r"within 0\.05 s"):
            await ask(upstream, server.url, head_timeout=0.05)
        with pytest.raises(EngineTimeout, match=r"nothing for 0\.05 s"):
            await ask(upstream, server.url + "/body", read_timeout=0.05)


async def test_refused_and_unresolvable(upstream):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(EngineAway) as caught:
        await ask(upstream, url)
    assert caught.value.message == f"cannot reach {url}: connection refused. Is the engine running?"
    with pytest.raises(EngineAway, match=r"cannot reach https://engine\.invalid:443: "):
        await ask(upstream, "https://engine.invalid")


async def test_an_unknown_certificate_is_not_trusted(tls):
    upstream = Upstream()
    async with serving(always(OK), tls) as server:
        with pytest.raises(EngineError, match="is not trusted") as caught:
            await ask(upstream, server.url)
        assert type(caught.value) is EngineError
    await upstream.aclose()


async def test_what_cannot_be_sent(upstream, tls):
    with pytest.raises(EngineError, match="is no URL"):
        await ask(upstream, "https://[::1")
    async with serving(always(OK), tls) as server:
        with pytest.raises(Bug, match="malformed"):
            await ask(upstream, server.url, headers=[(b"X", b"a\r\nY: b")])


async def test_a_plain_server_where_tls_was_expected(upstream):
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    async with serving(script) as server:
        with pytest.raises(EngineAway, match="cannot reach https"):
            await ask(upstream, server.url.replace("http:", "https:"))
