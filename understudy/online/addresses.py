"""Where a host is, and whether it may be asked: addresses within the house may not.

A page that a stranger named could stand on this machine or beside it: a router's, a cloud's metadata, a database without a
password. So a name is looked up by us, every address it has is judged, and the connection goes to the very address that
was judged: a name that means another place a moment later gains nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import SOCK_STREAM, gaierror

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, for a port. Raises OSError."""

_NAT64 = IPv6Network("64:ff9b::/96")
"""Addresses of the old kind, in the new kind's clothes (RFC 6052)."""


class Private(Exception):
    """The host is within the house."""


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses the system finds."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    except (gaierror, UnicodeError) as error:
        raise OSError(f"{type(error).__name__}") from error
    return list(dict.fromkeys(str(row[4][0]) for row in found))


async def outside(host: str, port: int, resolve: Resolve, trusted: Collection[str] = ()) -> str:
    """An address of a host outside the house.

    Args:
        host: its name, or an address.
        port: for which it is asked.
        resolve: finds the addresses.
        trusted: hosts that may be anywhere.

    Raises:
        Private: one of its addresses is not out there for everyone.
        OSError: it has none.
    """
    found = await resolve(host, port)
    if not found:
        raise OSError("no address")
    if host not in trusted and not all(public(address) for address in found):
        raise Private
    return found[0]


def public(text: str) -> bool:
    """Whether an address is out there for everyone."""
    address = ip_address(text.partition("%")[0])
    inner = _inner(address) if isinstance(address, IPv6Address) else None
    return (inner or address).is_global and not address.is_multicast and not (inner and inner.is_multicast)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The address of the old kind that one of the new kind leads to."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
