"""A page over https: the connection goes to an address, and the certificate must be that of the name."""

import asyncio
import datetime as dt
import ssl
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from understudy.config import WebSettings
from understudy.language.web import Missed
from understudy.online.fetch import fetch
from understudy.online.manners import Manners

NAME = "docs.example"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """The server's, with a certificate for NAME, and one of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=str(pem))


@asynccontextmanager
async def site(context):
    """A server that greets; gives its port, and the names it was asked for."""
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def greet(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        names.append(
            next(line for line in request.split(b"\r\n") if line.lower().startswith(b"host:")).decode()
        )
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], names
    finally:
        server.close()
        await server.wait_closed()


async def read(host, port, client):
    async def resolve(host, port):
        return ["127.0.0.1"]

    manners = Manners(WebSettings(private_hosts=(host,), seconds=5), str, resolve)
    manners.__dict__["ssl"] = client
    return await fetch(f"https://{host}:{port}/", manners, lambda _url: True, "now")


async def test_the_name_is_asked_for_and_judged(contexts):
    server, client = contexts
    async with site(server) as (port, names):
        assert (await read(NAME, port, client)).text == "hello"
        assert names == [NAME, f"host: {NAME}:{port}"]
        assert await read("other.example", port, client) == Missed("url_not_accessible")
        assert names[2:] == ["other.example"]


async def test_a_certificate_that_nobody_trusts(contexts):
    server, _ = contexts
    async with site(server) as (port, _):
        assert await read(NAME, port, ssl.create_default_context()) == Missed("url_not_accessible")
