"""Which addresses a node sends to for its users: what they write must not reach its own network.

Rules of this file:
U1  A URL is http or https, has a host and neither a user nor a fragment. A host that is a number in
    any form but four decimal parts (decimal, octal, hex, short) is refused: readers differ on it.
U2  A name is resolved first, and *every* address that it has is judged: one that is refused refuses
    them all. Who connects, connects to a judged address and never resolves again (DNS rebinding).
U3  Refused is whatever is not a public unicast address: loopback, private, link-local with the
    clouds' metadata, shared, multicast, reserved, unspecified. An address of version 4 within one
    of version 6 (mapped, compatible, 6to4, Teredo, NAT64) is judged as well.
U4  A network that the node's configuration allows is let through, by its own addresses only.
U5  A redirect is a URL like the first one, and judged as such.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from actors.errors import InvalidInput

__all__ = ["Networks", "Url", "check_addresses", "parse_networks", "parse_url", "redirected"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

_URL_CHARS: Final = 2048
_VISIBLE: Final = re.compile(r"[!-~]+")
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]*))*\.?", re.IGNORECASE)
_DOTTED: Final = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
_NAME: Final = re.compile(
    r"(?=.{1,253}\.?$)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?"
)
_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_SHARED: Final = ipaddress.IPv4Network("100.64.0.0/10")
# What Python's tables take for public, or did once.
_SPECIAL: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "100::/64", "2001:20::/28", "5f00::/16")
)
_REDIRECTS: Final = frozenset((301, 302, 307, 308))


class Url(NamedTuple):
    """A URL that may be asked for, if its addresses may. `is_address`: the host needs no lookup."""

    text: str
    scheme: str
    host: str
    port: int
    is_address: bool

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whom what is secret was meant for."""
        return self.scheme, self.host, self.port


def parse_networks(texts: Iterable[str]) -> Networks:
    """Read networks such as `10.0.0.0/8`. Raises InvalidInput."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise InvalidInput(f"{error}", remedy="Networks look like 10.1.0.0/16.") from None


def parse_url(text: str) -> Url:
    """Judge a URL by its text. Raises InvalidInput."""
    if len(text) > _URL_CHARS or not _VISIBLE.fullmatch(text) or "\\" in text:
        raise InvalidInput(f"a URL has at most {_URL_CHARS} visible ASCII characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{text} is no URL: {error}") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise InvalidInput(f"{text}: only http and https are sent to")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise InvalidInput("a URL with a user is refused", remedy="Put credentials into headers.")
    if parts.fragment:
        raise InvalidInput(f"{text}: a fragment is not sent; leave it out")
    if port == 0:
        raise InvalidInput(f"{text}: 0 is no port")
    host, is_address = _host(text, parts)
    return Url(text, scheme, host, port or _PORTS[scheme], is_address)


def _host(text: str, parts: SplitResult) -> tuple[str, bool]:
    host = (parts.hostname or "").lower()
    if parts.netloc.startswith("["):
        try:
            if "%" in host:  # a zone names an interface of the node
                raise ValueError
            return str(ipaddress.IPv6Address(host)), True
        except ValueError:
            raise InvalidInput(f"{text}: {host} is no address") from None
    if _NUMBER.fullmatch(host):
        try:
            if not _DOTTED.fullmatch(host):
                raise ValueError
            return str(ipaddress.IPv4Address(host)), True
        except ValueError:
            raise InvalidInput(
                f"{text}: {host} is no address", remedy="Write it as four decimal numbers."
            ) from None
    if not _NAME.fullmatch(host):
        raise InvalidInput(f"{text}: {host or 'nothing'} is no name of a host")
    return host.removesuffix("."), False


def check_addresses(host: str, addresses: Sequence[str], allowed: Networks) -> None:
    """Judge all addresses of a host (U2). Raises InvalidInput for the first that is refused."""
    if not addresses:
        raise InvalidInput(f"{host} has no address")
    for text in addresses:
        why = _why_refused(text, allowed)
        if why:
            shown = text if text == host else f"{host} ({text})"
            raise InvalidInput(
                f"{shown} is {why}: nothing is sent there",
                remedy="hooks.allowed_networks of the node's configuration lets networks through",
            )


def redirected(url: Url, status: int, location: str | None) -> Url | None:
    """Return where an answer sends on with the same body, None when it does not (U5).

    Raises InvalidInput for a place that nothing may be sent to.
    """
    if status not in _REDIRECTS or not location:
        return None
    return parse_url(urljoin(url.text, location).partition("#")[0])


def _why_refused(text: str, allowed: Networks) -> str:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "no address"
    if any(address.version == net.version and address in net for net in allowed):
        return ""
    for each in (address, *_within(address)):
        why = _not_public(each)
        if why:
            return why
    return ""


def _within(address: Address) -> Iterable[ipaddress.IPv4Address]:
    """Yield the addresses of version 4 that one of version 6 leads to."""
    if not isinstance(address, ipaddress.IPv6Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or int(address) >> 32 == 0:  # NAT64, or compatible
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


def _not_public(address: Address) -> str:
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified:
        return "an unspecified address"
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_site_local or address in _LOCAL_NAT64:
            return "a private address"
        if address.ipv4_mapped is not None or address in _NAT64:
            return ""  # judged by what is within
    elif address in _SHARED:
        return "a shared address"
    if address.is_private:
        return "a private address"
    special = any(address.version == net.version and address in net for net in _SPECIAL)
    reserved = special or address.is_reserved or not address.is_global
    return "a reserved address" if reserved else ""
