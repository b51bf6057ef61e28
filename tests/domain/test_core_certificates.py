"""The certificate authorities that our HTTP clients believe …"""

from __future__ import annotations

import ssl

import httpx
import pytest

from core.access.adapters import pinned
from core.certificates import authorities
from custody.adapters import pricing
from custody.adapters.bitcoin import BitcoinNode
from kyc.adapters.wire import new_client


def test_are_asked_of_every_server() -> None:
    asked = authorities()
    assert (asked.verify_mode, asked.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert asked.cert_store_stats()["x509_ca"] > 100


def test_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    authorities()

    def read_again(*_: object, **__: object) -> None:
        raise AssertionError("that takes 30 ms")

    monkeypatch.setattr(httpx, "create_ssl_context", read_again)
    monkeypatch.setattr(ssl, "create_default_context", read_again)
    with BitcoinNode("http://127.0.0.1:1"), new_client("https://127.0.0.1:1"):
        pass
    with pytest.raises(pricing.NoQuote):
        pricing.quote("https://127.0.0.1:1", "BTC")
    with pytest.raises(httpx.HTTPError):
        pinned.get("https://127.0.0.1:1")
