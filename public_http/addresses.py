"""Which IP addresses are public: what a URL from a client may lead to."""

import ipaddress

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))  # 6to4 and Teredo embed any IPv4
# Public by number, private by use: the 6to4 relay, and the address where Azure's machines find their host.
_SPECIAL_V4 = (ipaddress.IPv4Network("192.88.99.0/24"), ipaddress.IPv4Network("168.63.129.16/32"))


def is_public(text: str) -> bool:
    """Whether this address (text, a zone allowed) belongs to the open internet, also where an IPv4 hides in an IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return _is_public_v4(address)
    if address.ipv4_mapped is not None:
        return _is_public_v4(address.ipv4_mapped)
    if address in _NAT64:
        return _is_public_v4(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    tunneled = any(address in network for network in _TUNNELS)
    return address in _GLOBAL_UNICAST and address.is_global and not tunneled


def _is_public_v4(address: ipaddress.IPv4Address) -> bool:
    special = any(address in network for network in _SPECIAL_V4)
    return address.is_global and not address.is_multicast and not address.is_reserved and not special
