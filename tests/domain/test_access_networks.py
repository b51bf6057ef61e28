"""Where a session is used from …"""

from __future__ import annotations

import pytest

from core.access.domain.networks import Whence, asn_in, country_in, has_moved

HOME = Whence("203.0.113.7", "64500", "DE", "laptop-1")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (HOME, HOME),
        (HOME, Whence("198.51.100.9", "64500", "DE", "laptop-1")),
        (HOME, Whence("2001:db8::1", "64500", "", None)),
        (Whence("203.0.113.7"), Whence("203.0.113.250")),
        (Whence("203.0.113.7", "", "DE"), Whence("203.0.113.8", "64500", "")),
        (Whence("2001:db8:7:1::1"), Whence("2001:db8:7:ffff::9")),
        (Whence("203.0.113.7"), Whence("::ffff:203.0.113.9")),
        (Whence("203.0.113.7", device=""), Whence("203.0.113.7", device="laptop-1")),
        (Whence("203.0.113.7", device="laptop-1"), Whence("203.0.113.7", device=None)),
        (Whence(""), Whence("")),
    ],
)
def test_is_the_same_place(before: Whence, now: Whence) -> None:
    assert not has_moved(before, now)


@pytest.mark.parametrize(
    "now",
    [
        Whence("203.0.113.7", "64501", "DE", "laptop-1"),
        Whence("203.0.113.7", "64500", "FR", "laptop-1"),
        Whence("203.0.113.7", "64500", "T1", "laptop-1"),
        Whence("203.0.113.7", "64500", "DE", "laptop-2"),
        Whence("203.0.113.7", "64500", "DE", ""),
        Whence("203.0.114.7", "", "DE", "laptop-1"),
        Whence("", "", "DE", "laptop-1"),
        Whence("2001:db8::1", "", "DE", "laptop-1"),
        Whence("::ffff:203.0.114.7", "", "DE", "laptop-1"),
    ],
    ids=["asn", "country", "tor", "device", "no device", "neighbourhood", "no address", "family", "mapped"],
)
def test_is_another_place(now: Whence) -> None:
    assert has_moved(HOME, now)


def test_in_the_next_48_bits_of_ipv6_is_another_place() -> None:
    assert has_moved(Whence("2001:db8:7::1"), Whence("2001:db8:8::1"))


def test_is_read_from_headers_strictly() -> None:
    assert [country_in(said) for said in ("DE", "T1", "XX", "de", "DEU", "", "D\n")] == ["DE", "T1"] + [
        ""
    ] * 5
    assert [asn_in(said) for said in ("64500", "AS64500", " 64500 ")] == ["64500"] * 3
    assert [asn_in(said) for said in ("", "0", "x", "64500, 64501", "6" * 11, "６")] == [""] * 6
