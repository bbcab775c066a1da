"""Network addresses of clients, as they are counted and shown."""

import ipaddress
from collections.abc import Sequence

# Who has one IPv6 address has all 2^64 of its network: counted one by one, they would be as many clients.
_COUNTED_BITS_V6 = 64
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_read(text: str) -> str:
    """Return the address in its one spelling, without a port, brackets or zone; an empty text where it is none.

    `[2001:DB8::1]:443` → `2001:db8::1`, `10.0.0.1:5000` → `10.0.0.1`, `::ffff:10.0.0.1` → `10.0.0.1`.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    read = _read(text.partition("%")[0])
    return str(read) if read is not None else ""


def network_of(address: str) -> str:
    """Return the address itself, or the /64 network of an IPv6 address; what is no address stays as it is."""
    read = _read(address)
    if read is None or read.version == 4:
        return str(read or address)
    return str(ipaddress.ip_network((int(read), _COUNTED_BITS_V6), strict=False))


def client_of(*, peer: str, forwarded: Sequence[str], proxy_count: int) -> str:
    """Return the client's address: the peer's, or what the outermost of our own proxies saw.

    `forwarded` is X-Forwarded-For, to which each proxy adds, at the end, whom it saw; what stands before ours was
    written by the client. Where our proxies' own entry is missing or unreadable, the request came past them: then only
    the peer's own address is believed. Example, with two proxies: `6.6.6.6, 1.1.1.1, 10.0.0.1` → `1.1.1.1`.
    """
    if proxy_count > 0 and len(forwarded) >= proxy_count:
        seen = address_read(forwarded[-proxy_count])
        if seen:
            return seen
    return address_read(peer) or peer


def _read(text: str) -> Address | None:
    try:
        read = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = read.ipv4_mapped if isinstance(read, ipaddress.IPv6Address) else None
    return mapped or read
