"""The port: ours early, and whose it is if not."""

import os
import socket

import pytest
from fakegateway import running

from understudy.cli.port import address, holder, reserved
from understudy.config import ConfigError
from understudy.language.errors import UnderstudyError


def test_it_is_ours_and_refuses_until_we_listen():
    with reserved("127.0.0.1", 0) as sock:
        place = sock.getsockname()
        assert place[1] > 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(place)


def test_taken_by_a_program():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(UnderstudyError) as caught:
            reserved("127.0.0.1", port)
    said = str(caught.value)
    assert f"port {port} is taken by" in said
    assert f"(process {os.getpid()})" in said
    free = int(said.rpartition("--port ")[2])
    with reserved("127.0.0.1", free):
        assert free > port


def test_taken_by_another_understudy():
    with (
        running() as fake,
        pytest.raises(UnderstudyError, match=r"another understudy \(9.9\) serves port \d+ already"),
    ):
        reserved("127.0.0.1", int(fake.url.rpartition(":")[2]))


def test_a_port_nobody_listens_on_has_no_holder():
    with reserved("127.0.0.1", 0) as sock:
        assert holder(sock.getsockname()[1]) == "another program"


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours(host):
    with pytest.raises(ConfigError, match=host):
        reserved(host, 0)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("::1", "http://[::1]:1"),
        ("localhost", "http://localhost:1"),
    ],
)
def test_address(host, url):
    assert address(host, 1) == url
