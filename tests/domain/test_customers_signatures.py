"""A signed API call …"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.domain.secrets import Unreadable, hash_passphrase, seal, unseal
from customers.domain.signatures import Call, CallRefused, Credentials, authenticate, permitted_from, sign
from tests.cast import NOW

ROW, FIELD_KEY = UUID(int=7), bytes(range(32))
STAMP = "2026-11-21T03:00:00.000Z"
CREDENTIALS = Credentials(
    row=ROW,
    key="k",
    customer=UUID(int=1),
    secret=b"22582BD0CFF14C41EDBF1AB98506286D",
    passphrase=hash_passphrase("correct horse", field_key=FIELD_KEY, row=ROW),
    scopes=frozenset({"read", "trade"}),
    ip_allowlist=(),
)


def call(**changes: Any) -> Call:
    made = Call(
        key="k",
        passphrase="correct horse",
        sign="",
        timestamp=STAMP,
        method="POST",
        target=b"/api/v5/trade/order?x=BTC,USDT",
        body=b'{"sz": "1"}',
        ip="203.0.113.7",
    )
    made = replace(made, **{name: value for name, value in changes.items() if name != "sign"})
    signed = made.timestamp.encode() + made.method.encode() + made.target + made.body
    return replace(made, sign=changes.get("sign", sign(CREDENTIALS.secret, signed).decode()))


def check(given: Call, found: Credentials | None = CREDENTIALS, **changes: Any) -> Credentials:
    known = replace(found, **changes) if found else None
    return authenticate(
        given,
        lookup=lambda key: known if key == "k" else None,
        hash_passphrase=lambda text, row: hash_passphrase(text, field_key=FIELD_KEY, row=row),
        now=NOW,
    )


def code(given: Call, **changes: Any) -> int:
    with pytest.raises(CallRefused) as caught:
        check(given, **changes)
    return caught.value.code


def test_is_the_callers() -> None:
    assert check(call()).customer == UUID(int=1)


def test_is_signed_as_the_exchange_documents_it() -> None:
    # The example that OKX publishes for its own signature.
    message = b"2020-12-08T09:08:57.715Z" + b"GET" + b"/api/v5/account/balance?ccy=BTC"
    assert sign(b"22582BD0CFF14C41EDBF1AB98506286D", message) == sign(CREDENTIALS.secret, message)
    assert len(sign(b"22582BD0CFF14C41EDBF1AB98506286D", message)) == 44


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"key": ""}, 50103),
        ({"passphrase": ""}, 50104),
        ({"sign": ""}, 50106),
        ({"timestamp": ""}, 50107),
        ({"timestamp": "2026-11-21T03:00:00Z"}, 50112),
        ({"timestamp": "2026-13-21T03:00:00.000Z"}, 50112),
        ({"timestamp": "1763694000"}, 50112),
        ({"timestamp": "2026-11-21T03:00:30.001Z"}, 50102),
        ({"timestamp": "2026-11-21T02:59:29.999Z"}, 50102),
        ({"key": "unknown"}, 50111),
        ({"passphrase": "wrong horse"}, 50105),
        ({"sign": "AAAA"}, 50113),
        ({"sign": "é"}, 50113),
        ({"ip": "198.51.100.1"}, 50110),
    ],
)
def test_is_refused_with_the_first_thing_wrong(changes: dict[str, str], expected: int) -> None:
    assert code(call(**changes), ip_allowlist=("203.0.113.0/24",)) == expected


def test_is_refused_in_the_order_that_clients_know() -> None:
    everything_wrong = Call("", "", "", "", "GET", b"/", b"", "")
    fixes: list[tuple[str, str]] = [
        ("key", "unknown"),
        ("passphrase", "wrong"),
        ("sign", "wrong"),
        ("timestamp", "now"),
        ("timestamp", "2020-01-01T00:00:00.000Z"),
        ("timestamp", STAMP),
        ("key", "k"),
        ("passphrase", "correct horse"),
    ]
    seen, current = [code(everything_wrong)], everything_wrong
    for name, value in fixes:
        current = replace(current, **{name: value})  # type: ignore[arg-type]
        seen.append(code(current))
    assert seen == [50103, 50104, 50106, 50107, 50112, 50102, 50111, 50105, 50113]


@pytest.mark.parametrize("part", ["method", "target", "body", "timestamp"])
def test_covers_every_part(part: str) -> None:
    other = {"method": "GET", "target": b"/x", "body": b"{}", "timestamp": "2026-11-21T03:00:01.000Z"}[part]
    assert code(replace(call(), **{part: other})) == 50113  # type: ignore[arg-type]


def test_is_accepted_at_both_ends_of_the_window() -> None:
    for moment in (NOW - timedelta(seconds=30), NOW + timedelta(seconds=30)):
        check(call(timestamp=f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"))


@pytest.mark.parametrize(
    ("ip", "allowlist", "expected"),
    [
        ("203.0.113.7", [], True),
        ("", [], True),
        ("", ["203.0.113.7"], False),
        ("203.0.113.7", ["203.0.113.7"], True),
        ("::ffff:203.0.113.7", ["203.0.113.7/32"], True),
        ("2001:db8::1", ["2001:db8::/64"], True),
        ("203.0.113.8", ["203.0.113.7", "2001:db8::/64"], False),
        ("203.0.113.7, 10.0.0.1", ["203.0.113.7"], False),
    ],
)
def test_comes_from_where_the_key_permits(ip: str, allowlist: list[str], expected: bool) -> None:
    assert permitted_from(ip, allowlist) is expected


@given(st.binary(max_size=64), st.binary(min_size=12, max_size=12))
def test_secret_survives_the_safe(secret: bytes, nonce: bytes) -> None:
    assert (
        unseal(seal(secret, field_key=FIELD_KEY, row=ROW, nonce=nonce), field_key=FIELD_KEY, row=ROW)
        == secret
    )


def test_secret_is_bound_to_row_key_and_bytes() -> None:
    sealed = seal(b"secret", field_key=FIELD_KEY, row=ROW, nonce=b"n" * 12)
    assert b"secret" not in sealed
    for changed in ({"row": UUID(int=8)}, {"field_key": bytes(32)}):
        with pytest.raises(Unreadable):
            unseal(sealed, **({"field_key": FIELD_KEY, "row": ROW} | changed))  # type: ignore[arg-type]
    for broken in (sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", sealed[:12]):
        with pytest.raises(Unreadable):
            unseal(broken, field_key=FIELD_KEY, row=ROW)


def test_shows_no_secret_when_printed() -> None:
    assert "2258" not in repr(CREDENTIALS)
