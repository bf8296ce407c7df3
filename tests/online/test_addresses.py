"""Where a host is, and whether it may be asked."""

import pytest

from understudy.online.addresses import Private, outside, public, resolved

PUBLIC = [
    "93.184.216.34",
    "1.1.1.1",
    "2606:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::",
]
PRIVATE = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:224.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:1:2::80ff:fffe",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_out_there(address):
    assert public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_within_the_house(address):
    assert not public(address)


def names(*addresses):
    async def resolve(host, port):
        assert (host, port) == ("a.example", 443)
        return addresses

    return resolve


async def test_the_first_address_is_asked():
    assert await outside("a.example", 443, names("1.1.1.1", "1.0.0.1")) == "1.1.1.1"


async def test_one_private_address_is_enough():
    with pytest.raises(Private):
        await outside("a.example", 443, names("1.1.1.1", "10.0.0.1"))


async def test_a_trusted_host_may_be_anywhere():
    assert await outside("a.example", 443, names("10.0.0.1"), ["a.example"]) == "10.0.0.1"


async def test_a_host_without_an_address():
    with pytest.raises(OSError, match="no address"):
        await outside("a.example", 443, names())


async def test_the_system_is_asked():
    assert "127.0.0.1" in await resolved("127.0.0.1", 80)
    for wrong in ("no.such.host.invalid", "a" * 70 + ".example", ".."):
        with pytest.raises(OSError):
            await resolved(wrong, 80)
