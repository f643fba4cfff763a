"""Where an anonymous caller comes from, for rate limits: never shown, never stored."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from backend.settings import SettingsError

Proxies = tuple[IPv4Network | IPv6Network, ...]

UNKNOWN = "unknown"
LONGEST_FORWARDED = 500  # characters of its end: more proxies than anybody has


def parse_trusted_proxies(entries: Iterable[str]) -> Proxies:
    """Networks of the setting `HEITTO_TRUSTED_PROXIES`. Raises SettingsError."""
    try:
        return tuple(ip_network(entry) for entry in entries)
    except ValueError as error:
        raise SettingsError(f"HEITTO_TRUSTED_PROXIES: {error}") from None


def caller_network(peer: str | None, forwarded_for: str, *, trusted: Proxies) -> str:
    """An IPv4 address, an IPv6 /64 (a home or a phone has at least that much), or `unknown`.

    `peer` is the address of the connection, None on a Unix socket. `forwarded_for` is the text of all
    `X-Forwarded-For` headers, joined by commas. Each trusted proxy vouches for the entry it appended, so we walk
    from the right until an address that isn't trusted; everything left of it is the caller's own writing.
    """
    return _network(peer, forwarded_for[-LONGEST_FORWARDED:], trusted)


@lru_cache(maxsize=4096)
def _network(peer: str | None, forwarded_for: str, trusted: Proxies) -> str:
    caller = _address(peer or "")
    hops = forwarded_for.split(",")
    while caller is not None and hops and any(caller in network for network in trusted):
        behind = _address(hops.pop())
        if behind is None:
            break
        caller = behind
    if isinstance(caller, IPv6Address):
        return str(IPv6Network((int(caller), 64), strict=False))
    return UNKNOWN if caller is None else str(caller)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Reads `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` and `[2001:db8::1]:443`; proxies write all four."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
