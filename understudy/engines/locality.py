"""Whether an engine is in the house: what it is sent then stays with the people whose words it is.

Kinds that serve models on people's own hardware are theirs, wherever they run. The Claude API and whatever else speaks
OpenAI's dialect may be anybody's: there the host of the address decides. Loopback, private and link-local addresses are in
the house, and so are names that only a local network can resolve. Whatever is not surely in the house is outside.
"""

import ipaddress
import re
from urllib.parse import urlsplit

NETWORKS = tuple(
    ipaddress.ip_network(net)
    for net in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "0.0.0.0/32"),
        *("::1/128", "fc00::/7", "fe80::/10", "::/128"),
    )
)
"""Loopback, private (RFC 1918, RFC 4193), link-local, and "this machine". Not what Python calls private: that has more,
tunnels that end in the internet among them."""
NAMES = (".local", ".lan", ".internal", ".localhost", ".home.arpa")
"""Ends of names that no public server answers for (RFC 6762, RFC 6761, RFC 8375; .internal is reserved by ICANN)."""
SINGLE = re.compile(r"(?!0x[0-9a-f]*$)[0-9a-z_-]*[a-z][0-9a-z_-]*", re.ASCII)
"""One label that is no number: `134744072` and `0x08080808` are addresses to a resolver."""


def in_house(url: str, *, own: bool, said: bool | None = None) -> bool:
    """Whether an engine is in the house.

    Args:
        url: where it is; "" for one inside this process.
        own: whether its kind runs on people's own hardware only.
        said: what the settings say of it (`local`); they know best.
    """
    if said is not None:
        return said
    return own or not url or near(url)


def near(url: str) -> bool:
    """Whether the host of an address is in the house."""
    try:
        host = (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:  # "http://[": no address
        return False
    if not host.isascii():  # it may be written with dots that only the resolver sees as such
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return SINGLE.fullmatch(host) is not None or host.endswith(NAMES)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in network for network in NETWORKS)
