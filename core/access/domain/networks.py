"""From where a session is used, as the edge says it, and whether that has changed.

The edge sets the address and the country; the number of the provider's network (ASN) only where it is told to
(`ASN_HEADER`). With it, a telephone that changes its address stays where it is; without it, the neighbourhood
of the address must do.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

V4_BITS: Final = 24
V6_BITS: Final = 48
_COUNTRY: Final = re.compile(r"[A-Z][A-Z0-9]")
_NOWHERE: Final = "XX"
"""The edge's word for an address that it cannot place."""
_ASN: Final = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class Whence:
    """Where a request comes from; what is unknown is empty. `device` is None where nobody could be asked."""

    ip: str
    asn: str = ""
    country: str = ""
    device: str | None = None


def country_in(said: str) -> str:
    """The two letters of a country header, or nothing."""
    return said if _COUNTRY.fullmatch(said) and said != _NOWHERE else ""


def asn_in(said: str) -> str:
    """The digits of an ASN header, or nothing."""
    digits = said.strip().removeprefix("AS")
    return digits if _ASN.fullmatch(digits) else ""


def has_moved(before: Whence, now: Whence) -> bool:
    """Whether this is another network, country or device than the session's.

    Known beats unknown: two numbers of networks decide between themselves, whatever the addresses are.
    Without both, the addresses must be neighbours; one that is missing on one side is none.
    """
    if before.device and now.device is not None and now.device != before.device:
        return True
    if before.country and now.country and before.country != now.country:
        return True
    if before.asn and now.asn:
        return before.asn != now.asn
    return _neighbourhood(before.ip) != _neighbourhood(now.ip)


def _neighbourhood(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    bits = V4_BITS if found.version == 4 else V6_BITS
    return str(ipaddress.ip_network((found, bits), strict=False))
